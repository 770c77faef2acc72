"""Which documents train, validate and test: by globs, by the hash of their text, or in parts."""

import fnmatch
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline import InputError

log = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")

# A share of the documents this large goes to valid and to test where no glob says otherwise.
HELD_OUT_SHARE = 0.05
# With fewer documents than this, every document is cut instead: its first paragraphs train,
# the next tenth validates, the last tenth tests.
FEW_DOCUMENTS = 20
_CUT = "cut"
# The file of the folder that keeps what neither a glob nor the hash decides.
_KEPT = "splits.json"


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
        kept: doc_id → its split, or "cut": documents that the hash does not decide, as one of few
            or where chance left a split empty. They stay as they are when others are added.
    """

    valid: Sequence[str] = ()
    test: Sequence[str] = ()
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def held_out(self) -> list[str]:
        """The splits that no glob fills."""
        return [split for split, globs in (("valid", self.valid), ("test", self.test)) if not globs]

    def keeping(self, folder: Path) -> "Splits":
        """These, with what an earlier ingest into a folder has kept there.

        Raises:
            InputError: that cannot be read.
        """
        path = folder / _KEPT
        if not path.exists():
            return self
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if not {*kept.values()} <= {*SPLITS, _CUT}:
                raise ValueError
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(
                f"{path} is damaged: delete it to split the documents as if they were new."
            ) from error
        return replace(self, kept=kept)

    def save(self, folder: Path) -> None:
        """Write what is kept into a folder."""
        (folder / _KEPT).write_text(json.dumps(self.kept, indent=2) + "\n", encoding="utf-8")

    def named(self, source: str) -> str | None:
        """The split that a glob puts a source into."""
        for split, globs in (("test", self.test), ("valid", self.valid)):
            if globs and any(_matches(source, pattern) for pattern in globs):
                return split
        return None

    def of(self, doc_id: str, source: str) -> str:
        """The split of a document, or "cut"."""
        if named := self.named(source):
            return named
        place = int(_fraction(doc_id) / HELD_OUT_SHARE) + 1
        split = self.kept.get(doc_id) or SPLITS[place if place < len(SPLITS) else 0]
        return split if split in ("train", _CUT) or split in self.held_out else "train"

    def assign(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Add the columns `split` and `part`; a document that is cut becomes several rows."""
        for frame in frames:
            splits = [self.of(*p) for p in zip(frame["doc_id"], frame["source"], strict=True)]
            if _CUT not in splits:
                yield frame.assign(split=splits, part=0)
                continue
            rows = []
            for row, whole in zip(frame.to_dict("records"), splits, strict=True):
                parts = self._parts(row["text"]) if whole == _CUT else [(whole, row["text"])]
                for part, (split, text) in enumerate(parts):
                    row |= {"doc_id": digest(text), "text": text, "split": split, "part": part}
                    rows.append({**row})
            yield pd.DataFrame(rows, columns=[*frame.columns, "split", "part"])

    def _parts(self, text: str) -> list[tuple[str, str]]:
        paragraphs = text.split("\n")
        held_out = self.held_out
        if len(paragraphs) <= len(held_out):  # too short to cut
            return [("train", text)]
        block = max(len(paragraphs) // 10, 1)
        first = len(paragraphs) - block * len(held_out)
        parts = [("train", paragraphs[:first])]
        for number, split in enumerate(held_out):
            start = first + number * block
            parts.append((split, paragraphs[start : start + block]))
        return [(split, "\n".join(part)) for split, part in parts]


class _Document(NamedTuple):
    """In the order in which documents are chosen to fill a split that chance left empty."""

    known: bool
    fraction: float
    doc_id: str
    source: str
    can_be_cut: bool


class _Tally:
    """Which splits some documents fill, and the first three to choose of those that train."""

    def __init__(self) -> None:
        self.filled: set[str] = set()
        self.training: list[_Document] = []

    def add(self, splits: Splits, document: _Document) -> None:
        split = splits.of(document.doc_id, document.source)
        self.filled.add(split)
        if split == _CUT and document.can_be_cut:
            self.filled.update(splits.held_out)
        if split != "train" or document.doc_id in {other.doc_id for other in self.training}:
            return
        if len(self.training) < 3 or document < self.training[-1]:
            self.training = sorted([*self.training, document])[:3]


class Census:
    """Counts documents as they pass: as much as must be known of all of them to split each.

    Args:
        splits: the globs, and what an earlier ingest has kept.
    """

    def __init__(self, splits: Splits):
        self._splits = splits
        self._unmatched = {*splits.valid, *splits.test}
        self._example = ""
        self._tally = _Tally()
        self._first: list[_Document] = []  # that no glob names: all of them, where they are few

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
        if self._splits.named(source) is None:
            can_be_cut = text.count("\n") >= len(self._splits.held_out)
            known = doc_id in self._splits.kept
            document = _Document(known, _fraction(doc_id), doc_id, source, can_be_cut)
            self._tally.add(self._splits, document)
            if len(self._first) < FEW_DOCUMENTS:
                self._first.append(document)

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
        splits, tally = self._splits, self._tally
        if len(self._first) < FEW_DOCUMENTS:
            few = {d.doc_id: _CUT if d.can_be_cut else "train" for d in self._first}
            splits, tally = replace(splits, kept={**few, **splits.kept}), _Tally()
            for document in self._first:
                tally.add(splits, document)
        # Where chance leaves a split empty, it gets the document that came nearest.
        empty = [split for split in splits.held_out if split not in tally.filled]
        moved = dict(zip(empty, tally.training[:-1], strict=False))
        for split, document in moved.items():
            log.warning(
                "By chance no document fell into the %s split: %s is put there, and stays there "
                "when others are added.",
                *(split, document.source),
            )
        moved_ids = {document.doc_id: split for split, document in moved.items()}
        return replace(splits, kept={**splits.kept, **moved_ids})
