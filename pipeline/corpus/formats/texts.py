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
    """What to tell of a file, besides its documents."""

    what: str  # a sentence without its full stop
    skipped: int = 0  # rows, messages, … that were left out


Texts = Iterator[Text | Note]


class SkippedRows:
    """Count the rows that cannot be read; remember the first."""

    def __init__(self) -> None:
        self._count, self._first = 0, ""

    def add(self, why: str) -> None:
        """Add a row; `why` names its line: "line 7 has 3 cells where the first has 2"."""
        self._count, self._first = self._count + 1, self._first or why

    def notes(self) -> Iterator[Note]:
        """Yield a note if any row was skipped."""
        if self._count:
            rows = f"{self._count:,} rows were" if self._count > 1 else "1 row was"
            yield Note(f"{rows} skipped: {self._first}", self._count)


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
