"""Bibles and other texts with the numbers of their chapters and verses."""

import itertools
import re
import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.corpus.books import paragraphs
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import read_pieces
from pipeline.text.sentences import sentence_end

_UPPER = "A-ZÀ-Ý\N{REPLACEMENT CHARACTER}"
_REFERENCE = re.compile(  # "Gn 1:1 …", "1 Samuel 3.2 - …", "1:1 …"
    rf"""\s*[\[(]?(?P<book>(?:(?:[1-3]|I{{1,3}})[ºª]?\s?)?[{_UPPER}][^\W\d]*\.?
            (?:\ (?:d[aeo]s?\ )?[{_UPPER}][^\W\d]*\.?){{0,3}})?
        \s*(?P<chapter>\d{{1,3}})\s?[:.,]\s?(?P<verse>\d{{1,3}})(?:[-–]\d{{1,3}})?[a-c]?[\])]?
        (?:[\s:.–—-]+|(?=[^\W\d]))(?P<text>\S.*)""",
    re.VERBOSE,
)
_CELLS = re.compile(  # Gn|1|1|…
    r"(?:[^\t|]*[\t|])*?(?P<book>[^\t|]*)[\t|](?P<chapter>\d{1,3})[\t|](?P<verse>\d{1,3})[\t|](?P<text>[^\t|]*\S)"
)
_NUMBER = re.compile(r"\s*(?P<verse>\d{1,3})(?: +|(?=[^\W\dºª]))(?P<text>[^\W\d].*|[\"“«'(—–-].*)")
_ALONE = re.compile(r"^[^\S\n]*(\d{1,3})[^\S\n]*\n(?=[^\S\n]*[^\s\d])", re.MULTILINE)
_GLUED = rf"\d{{1,3}}(?=[{_UPPER}]|[a-zà-ÿ]{{2}}|[“\"«][^\W\d])"  # copied from a page: "2E a terra"
_MARK = re.compile(
    rf"(?:^|(?<=\s))(?:\[(\d{{1,3}})\]|([⁰¹²³⁴-⁹]{{1,3}})|({_GLUED}))\s*(?=[^\s\d])", re.MULTILINE
)
_MARK_BEGINS = re.compile(rf"[\[⁰¹²³⁴-⁹]|\b{_GLUED}")
_SENTENCE_END = sentence_end()

_MIN_VERSES = 5
_MAX_REFERENCE = 40  # characters
_MIN_NUMBERED, _MIN_RISING = 0.8, 0.9  # shares of lines, and of verses
_MIN_LENGTH = 25  # characters of a verse, as a median: entries of lists are shorter
_MAX_VERSE = 500  # characters from one mark to the next; references of articles are rarer


class _Verse(NamedTuple):
    book: str  # "" if only its numbers tell
    chapter: int  # 0 likewise
    number: int  # 0 for a heading
    text: str


class _Layout(NamedTuple):
    """How verses are set."""

    pattern: re.Pattern[str]  # of a verse
    wrapped: bool  # whether a verse takes several lines


def looks_like_verses(head: str) -> bool:
    """Return whether nearly every line, or sentence, of a text has the number of a verse."""
    return _find_layout(head) is not None


def read_verses(path: Path, config: ReadingConfig) -> Texts:
    """Yield each book, or a whole text whose verses do not name theirs, without the numbers."""
    layout, known = None, False
    for text, encoding in read_pieces(path):
        layout = layout if known else _find_layout(text[: 2**16])
        known = True
        if layout is None:
            yield Text(paragraphs(text), encoding)
            continue
        for book in _books(_verses(text, layout)):
            yield Text(_join(book), encoding)


def _find_layout(text: str) -> _Layout | None:
    """Return how the verses of a text are set, None if it has none."""
    numbered = sum(bool(re.search(r"\d", line[:_MAX_REFERENCE])) for line in text.splitlines())
    for layout in (
        _Layout(pattern, wrapped)
        for wrapped in (False, True)
        for pattern in (_CELLS, _REFERENCE, _NUMBER)
        if numbered >= _MIN_VERSES
    ):
        lines = [line for line in _lines(text, layout) if line.strip()]
        found = [match for match in map(layout.pattern.fullmatch, lines) if match]
        if (
            len(found) >= max(_MIN_VERSES, _MIN_NUMBERED * len(lines))
            and statistics.median(len(match["text"]) for match in found) >= _MIN_LENGTH
            and _rises([int(match["verse"]) for match in found])
        ):
            return layout
    begins = _MARK_BEGINS.search(text)  # nearly all texts have none
    marks = [_mark_number(mark) for mark in _MARK.finditer(text)] if begins else []
    often = len(marks) >= max(_MIN_VERSES, len(text) / _MAX_VERSE)
    return _Layout(_MARK, wrapped=False) if often and _rises(marks) else None


def _lines(text: str, layout: _Layout) -> list[str]:
    """Return the lines of a text, or the verses that they make up."""
    lines = _ALONE.sub(r"\1 ", text).splitlines()
    if not layout.wrapped:
        return lines
    found: list[str] = []
    for line in lines:
        if found and found[-1] and line.strip() and not layout.pattern.fullmatch(line):
            found[-1] += f" {line.strip()}"
        else:
            found.append(line.strip())
    return found


def _rises(numbers: Sequence[int]) -> bool:
    """Return whether numbers count verses, from 1 in each chapter."""
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    counted = sum(0 < step < 3 for step in steps)
    begins = sum(number == 1 for number in numbers[1:])
    return counted > len(steps) / 2 and counted + begins >= _MIN_RISING * len(steps)


def _mark_number(mark: re.Match[str]) -> int:
    return int(unicodedata.normalize("NFKC", mark[1] or mark[2] or mark[3]))


def _verses(text: str, layout: _Layout) -> Iterator[_Verse]:
    for line in _lines(text, layout):
        if layout.pattern is _MARK:
            first = _MARK.match(line.strip())
            yield _Verse("", 0, _mark_number(first) if first else 0, _MARK.sub("", line.strip()))
        elif found := layout.pattern.fullmatch(line):
            parts = {"book": "", "chapter": "0"} | found.groupdict(default="")
            book = parts["book"].strip()
            yield _Verse(book, int(parts["chapter"]), int(parts["verse"]), parts["text"])
        else:
            yield _Verse("", 0, 0, line)


def _books(verses: Iterator[_Verse]) -> Iterator[list[_Verse]]:
    """Yield the verses of each book, with the headings before them."""
    book: list[_Verse] = []
    headings: list[_Verse] = []
    last = None
    for verse in verses:
        if not verse.number:
            headings.append(verse)
            continue
        if last and (verse.book != last.book or verse.chapter < last.chapter):
            yield book
            book = []
        book += [*headings, verse]
        headings, last = [], verse
    yield book + headings


def _join(verses: Sequence[_Verse]) -> list[str]:
    """Return paragraphs; a sentence may go on in the next verse of its chapter."""
    found: list[str] = []
    last = _Verse("", 0, 0, "")
    for verse in verses:
        text = " ".join(verse.text.split())
        if not text:
            continue
        follows = last.number and verse.number > last.number and verse.chapter == last.chapter
        if follows and not _SENTENCE_END.search(found[-1]):
            found[-1] += f" {text}"
        else:
            found.append(text)
        last = verse
    return found
