"""What readers of files yield."""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.corpus import opening


class Text(NamedTuple):
    """A document as it was read."""

    paragraphs: list[str]
    encoding: str = "utf-8"  # of its file, as `encoding.decode` returns it
    group: str = ""  # documents with the same group share a split; without one it has its own


class Note(NamedTuple):
    """What to tell the user about a file, besides its documents."""

    what: str  # a sentence without its full stop
    skipped: int = 0  # rows, messages, … that were left out


Texts = Iterator[Text | Note]


class Skipped:
    """Count the rows, or other items, that cannot be read; remember why the first cannot."""

    def __init__(self, item: str = "row") -> None:
        self._item, self._count, self._first = item, 0, ""

    def add(self, why: str) -> None:
        """Add an item; of a row, `why` names the line: "line 7 has 3 cells where …"."""
        self._count, self._first = self._count + 1, self._first or why

    def notes(self) -> Iterator[Note]:
        """Yield a note if any item was skipped."""
        if self._count:
            plural = "s were" if self._count > 1 else " was"
            what = f"{self._count:,} {self._item}{plural} skipped: {self._first}"
            yield Note(what, self._count)


def in_documents(paragraphs: Iterable[str | None], encoding: str = "utf-8") -> Iterator[Text]:
    """Gather paragraphs to documents of at most about `MAX_PIECE`; None ends one.

    If `paragraphs` raises ValueError, those before it are yielded first.
    """
    held: list[str] = []
    size, problem = 0, None
    try:
        for paragraph in paragraphs:
            if paragraph:
                held.append(unicodedata.normalize("NFC", paragraph))
                size += len(paragraph)
            if held and (paragraph is None or size >= opening.MAX_PIECE):
                yield Text(held, encoding)
                held, size = [], 0
    except ValueError as error:
        problem = error
    if held:
        yield Text(held, encoding)
    if problem:
        raise problem
