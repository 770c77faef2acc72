"""Which documents train, validate and test: by globs, by the hash of their text, or in parts."""

import fnmatch
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from pipeline import InputError

SPLITS = ("train", "valid", "test")

# A share of the documents this large goes to valid and to test where no glob says otherwise.
HELD_OUT_SHARE = 0.05
# With fewer documents than this, every document is cut instead: its first paragraphs train,
# the next tenth validates, the last tenth tests.
FEW_DOCUMENTS = 20


def digest(text: str) -> str:
    """The doc_id of a text: its SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _fraction(doc_id: str) -> float:
    """A number in [0, 1) that depends on the text alone, so that adding files moves nothing."""
    return int(doc_id[:12], 16) / 16**12


def _matches(source: str, pattern: str) -> bool:
    """Whether a glob matches a source, or is its very name: brackets may be part of that."""
    return source == pattern or fnmatch.fnmatchcase(source, pattern)


@dataclass(frozen=True)
class Splits:
    """How documents are split.

    Attributes:
        valid, test: globs over the sources; what matches both tests.
        few: cut each document that no glob names into parts, one for each split.
        moved: doc_id → split, where chance would have left a split empty.
    """

    valid: Sequence[str] = ()
    test: Sequence[str] = ()
    few: bool = False
    moved: Mapping[str, str] = field(default_factory=dict)

    @property
    def held_out(self) -> list[str]:
        """The splits that no glob fills."""
        return [split for split, globs in (("valid", self.valid), ("test", self.test)) if not globs]

    def named(self, source: str) -> str | None:
        """The split that a glob puts a source into."""
        for split, globs in (("test", self.test), ("valid", self.valid)):
            if any(_matches(source, pattern) for pattern in globs):
                return split
        return None

    def whole(self, doc_id: str, source: str) -> str:
        """The split of a document that is not cut."""
        if named := self.named(source):
            return named
        if doc_id in self.moved:
            return self.moved[doc_id]
        place = int(_fraction(doc_id) / HELD_OUT_SHARE) + 1
        return SPLITS[place] if place < len(SPLITS) and SPLITS[place] in self.held_out else "train"

    def assign(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Add the columns `split` and `part`; with `few`, a document becomes several rows."""
        for frame in frames:
            if not self.few:
                pairs = zip(frame["doc_id"], frame["source"], strict=True)
                yield frame.assign(split=[self.whole(*pair) for pair in pairs], part=0)
                continue
            rows = []
            for row in frame.to_dict("records"):
                parts = self._parts(row["doc_id"], row["source"], row["text"])
                for part, (split, text) in enumerate(parts):
                    row |= {"doc_id": digest(text), "text": text, "split": split, "part": part}
                    rows.append({**row})
            yield pd.DataFrame(rows, columns=[*frame.columns, "split", "part"])

    def _parts(self, doc_id: str, source: str, text: str) -> list[tuple[str, str]]:
        if named := self.named(source):
            return [(named, text)]
        paragraphs = text.split("\n")
        held_out = self.held_out
        if len(paragraphs) <= len(held_out):  # too short to cut
            return [(self.moved.get(doc_id, "train"), text)]
        block = max(len(paragraphs) // 10, 1)
        first = len(paragraphs) - block * len(held_out)
        parts = [("train", paragraphs[:first])]
        for number, split in enumerate(held_out):
            start = first + number * block
            parts.append((split, paragraphs[start : start + block]))
        return [(split, "\n".join(part)) for split, part in parts]


class Census:
    """Counts documents as they pass: as much as must be known of all of them to split each.

    Args:
        splits: the globs.
    """

    def __init__(self, splits: Splits):
        self._splits = splits
        self._unmatched = {*splits.valid, *splits.test}
        self._counts = dict.fromkeys(SPLITS, 0)
        self._unnamed = 0
        self._can_be_cut = False
        self._example = ""
        # The documents nearest to being held out: of all that no glob names, and of those that
        # train.
        self._nearest: list[tuple[float, str]] = []
        self._nearest_training: list[tuple[float, str]] = []

    def count(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Count the documents of frames (doc_id, source, text), and pass them on."""
        for frame in frames:
            for row in frame[["doc_id", "source", "text"]].itertuples(index=False):
                self._count(*row)
            yield frame

    def _count(self, doc_id: str, source: str, text: str) -> None:
        self._example = self._example or source
        if self._unmatched:
            self._unmatched -= {p for p in self._unmatched if _matches(source, p)}
        split = self._splits.whole(doc_id, source)
        self._counts[split] += 1
        if self._splits.named(source) is None:
            self._unnamed += 1
            self._can_be_cut |= text.count("\n") >= len(self._splits.held_out)
            self._nearest = self._nearer(self._nearest, doc_id)
            if split == "train":
                self._nearest_training = self._nearer(self._nearest_training, doc_id)

    @staticmethod
    def _nearer(nearest: list[tuple[float, str]], doc_id: str) -> list[tuple[float, str]]:
        """The two documents with the smallest numbers: at most two splits can be empty."""
        return sorted([*nearest, (_fraction(doc_id), doc_id)])[:2]

    def decide(self) -> Splits:
        """How to split the documents that were counted.

        Raises:
            InputError: a glob matches no document.
        """
        if self._unmatched:
            raise InputError(
                f"No text of the corpus matches {min(self._unmatched)!r}; globs are compared with "
                f"names such as {self._example!r}."
            )
        splits, few = self._splits, self._unnamed < FEW_DOCUMENTS
        # Where chance leaves a split empty, it gets the document that came nearest.
        if few:
            empty = [] if self._can_be_cut else splits.held_out
            nearest = self._nearest[: self._unnamed - 1]
        else:
            empty = [split for split in splits.held_out if not self._counts[split]]
            nearest = self._nearest_training
        moved = {doc_id: split for split, (_, doc_id) in zip(empty, nearest, strict=False)}
        return Splits(splits.valid, splits.test, few=few, moved=moved)
