"""Assign documents to train, valid and test: by globs, by a hash, or in parts.

The hash, the split_id, is that of a document's text, its doc_id; or that of its group, if it has
one, so that the versions of a text share a split.
"""

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
from pipeline.corpus.config import HELD_OUT_TOKENS
from pipeline.limits import read_json

log = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")

# Fraction of the documents that goes to valid, and to test, unless a glob fills the split.
HELD_OUT_SHARE = 0.05
_LETTERS_PER_TOKEN = 5  # with the spaces between, about
# Fewer documents are divided instead: the last tenth of the paragraphs of each is for test, the
# tenth before for valid.
FEW_DOCUMENTS = 20
_DIVIDED = "cut"
_SPLITS_FILE = "splits.json"


def text_id(text: str) -> str:
    """Return the doc_id of a text: its SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _fraction(split_id: str) -> float:
    """Return a number in [0, 1) that depends only on the text, so that adding files moves none."""
    return int(split_id[:12], 16) / 16**12


def _window(fraction: float) -> tuple[str, float]:
    """Return the split of a document by its hash, and its place in [0, HELD_OUT_SHARE) there."""
    number, place = divmod(fraction, HELD_OUT_SHARE)
    return ("valid", "test", "train")[min(int(number), 2)], place


def _matches(source: str, pattern: str) -> bool:
    """Return whether a glob matches a source or equals it (names may contain brackets)."""
    return source == pattern or fnmatch.fnmatchcase(source, pattern)


@dataclass(frozen=True)
class Splits:
    """The rules that assign documents to splits.

    Attributes:
        valid, test: Globs over sources. A source that matches both is for test.
        fixed: split_id → split, or "cut" for a document that is divided. Holds the documents that
            the hash does not decide, so that they stay where they are when others are added.
        share: Fraction of the documents that goes to each held-out split without globs.
    """

    valid: Sequence[str] = ()
    test: Sequence[str] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)
    share: float = HELD_OUT_SHARE

    @property
    def hashed(self) -> list[str]:
        """The held-out splits that have no glob."""
        return [split for split, globs in (("valid", self.valid), ("test", self.test)) if not globs]

    def load(self, folder: Path) -> "Splits":
        """Return these rules with what `save` fixed; raise InputError if that is damaged."""
        path = folder / _SPLITS_FILE
        if not path.exists():
            return self
        unreadable = f"{path} is damaged: delete it to split the documents as if they were new."
        fixed = read_json(path, unreadable=unreadable)
        try:
            if not {*fixed.values()} <= {*SPLITS, _DIVIDED}:
                raise ValueError
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(unreadable) from error
        return replace(self, fixed=fixed)

    def save(self, folder: Path) -> None:
        """Write the fixed documents to splits.json."""
        text = json.dumps(self.fixed, indent=2) + "\n"
        (folder / _SPLITS_FILE).write_text(text, encoding="utf-8")

    def match(self, source: str) -> str | None:
        """Return the split whose globs match a source."""
        for split, globs in (("test", self.test), ("valid", self.valid)):
            if any(_matches(source, pattern) for pattern in globs):
                return split
        return None

    def choose(self, split_id: str, source: str) -> str:
        """Return the split of a document, or "cut"."""
        if matched := self.match(source):
            return matched
        split, place = _window(_fraction(split_id))
        split = self.fixed.get(split_id) or (split if place < self.share else "train")
        return split if split == _DIVIDED or split in self.hashed else "train"

    def assign(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Add the columns `split` and `part`; a divided document becomes several rows."""
        for frame in frames:
            splits = [self.choose(*p) for p in zip(frame["split_id"], frame["source"], strict=True)]
            if _DIVIDED not in splits:
                yield frame.assign(split=splits, part=0)
                continue
            rows = []
            for row, chosen in zip(frame.to_dict("records"), splits, strict=True):
                text = row["text"]
                parts = self._divide(text) if chosen == _DIVIDED else [(chosen, text)]
                for part, (split, text) in enumerate(parts):
                    new = {"doc_id": text_id(text), "text": text, "split": split, "part": part}
                    rows.append(row | new)
            yield pd.DataFrame(rows, columns=[*frame.columns, "split", "part"])

    def _divide(self, text: str) -> list[tuple[str, str]]:
        """Return (split, text) parts; the last tenths of the paragraphs are held out."""
        paragraphs = text.split("\n")
        if len(paragraphs) <= len(self.hashed):  # too short to divide
            return [("train", text)]
        size = max(int(len(paragraphs) * 2 * self.share), 1)
        end = len(paragraphs) - size * len(self.hashed)
        parts = [("train", "\n".join(paragraphs[:end]))]
        for split in self.hashed:
            parts.append((split, "\n".join(paragraphs[end : end + size])))
            end += size
        return parts


class _Candidate(NamedTuple):
    """A document; documents sort in the order in which they would fill an empty split."""

    is_fixed: bool
    fraction: float
    split_id: str
    source: str
    divisible: bool


_OBSERVED = ["doc_id", "split_id", "source", "text"]


class SplitPlanner:
    """Gather what must be known of all documents before any can be assigned, in one pass."""

    def __init__(self, splits: Splits):
        self._splits = splits
        self._unmatched = {*splits.valid, *splits.test}
        self._example = ""
        self._first: list[_Candidate] = []  # the first that match no glob
        self._filled: set[str] = set()
        self._training: list[_Candidate] = []  # the three that would fill a split first
        # Of each split that the hash fills, the document that a smaller share loses last.
        self._last: dict[str, tuple[float, str]] = {}

    def observe(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Take note of documents (`_OBSERVED`), and yield their frames unchanged."""
        for frame in frames:
            for doc_id, split_id, source, text in frame[_OBSERVED].itertuples(index=False):
                self._example = self._example or source
                self._unmatched -= {p for p in self._unmatched if _matches(source, p)}
                if self._splits.match(source):
                    continue
                is_fixed = split_id in self._splits.fixed
                # The parts of two versions of a text would not hold the same passages.
                divisible = split_id == doc_id and text.count("\n") >= len(self._splits.hashed)
                candidate = _Candidate(is_fixed, _fraction(split_id), split_id, source, divisible)
                self._add(candidate)
                if len(self._first) < FEW_DOCUMENTS:
                    self._first.append(candidate)
            yield frame

    def _add(self, candidate: _Candidate) -> None:
        split = self._splits.choose(candidate.split_id, candidate.source)
        self._filled.add(split)
        window, place = _window(candidate.fraction)
        if split == window:
            self._last[split] = min((place, candidate.split_id), self._last.get(split, (1.0, "")))
        if split == _DIVIDED and candidate.divisible:
            self._filled.update(self._splits.hashed)
        if split == "train" and all(candidate.split_id != c.split_id for c in self._training):
            self._training = sorted([*self._training, candidate])[:3]

    def plan(self, letters: int, *, held_out: int = HELD_OUT_TOKENS) -> Splits:
        """Return the rules for these documents.

        Args:
            letters: Of all documents.
            held_out: Tokens, about, that a split without globs holds at most.

        Raises:
            InputError: A glob matches no document.
        """
        if self._unmatched:
            raise InputError(
                f"No text of the corpus matches {min(self._unmatched)!r}; globs are compared with "
                f"names such as {self._example!r}."
            )
        if len(self._first) < FEW_DOCUMENTS:
            few = {c.split_id: _DIVIDED if c.divisible else "train" for c in self._first}
            self._splits = replace(self._splits, fixed={**few, **self._splits.fixed})
            self._filled, self._training = set(), []
            for candidate in self._first:
                self._add(candidate)
        share = min(HELD_OUT_SHARE, held_out * _LETTERS_PER_TOKEN / max(letters, 1))
        self._splits = replace(self._splits, share=share)
        # A split that is empty by chance gets the document that came nearest.
        fixed = {**self._splits.fixed}
        empty = [split for split in self._splits.hashed if split not in self._filled]
        for split, candidate in zip(empty, self._training[:-1], strict=False):
            fixed[candidate.split_id] = split
            log.warning(
                f"By chance no document fell into the {split} split: {candidate.source} is put "
                "there, and stays there when others are added."
            )
        for split, (place, split_id) in self._last.items():
            if share <= place:
                fixed.setdefault(split_id, split)
        return replace(self._splits, fixed=fixed)
