"""Make paragraphs of lines that stand somewhere on pages."""

import collections
import itertools
import re
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.corpus.hyphens import NO_SPELLING, join, read_spelling
from pipeline.corpus.wrapping import PARAGRAPH_END

_OPENS = re.compile(r"[—–•▪◦●■‣]|-\s|\(?(?:\d{1,2}|[a-z])[.)]\s|(?i:capítulo|art\.)\s")
_BULLET = re.compile(r"^[•▪◦●■‣⁃]\s*")
_LEADERS = re.compile(r"(?:\s?[.·…_]){4,}\s*(?:\d{1,4}|[ivxlc]{1,6})$")  # of a table of contents
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")
_PAGE_NUMBER = re.compile(
    r"\W*(?:(?:p[áa]g(?:ina|\.)?|pg\.?|page|fls?\.?)\s*)?#(?:\s*(?:/|de|of)\s*#)?\W*", re.IGNORECASE
)

_EDGE_ROWS = 3  # at the top and the bottom of a page that may be running heads
_SLOT = 4.0  # points; running heads stand at the same height on every page
_APART = 1.6  # heights of a line from one to the next
_MIN_REPEATED = 3
_MIN_SHARE = 0.2  # of pages, which makes a place one of running heads
_MIN_GUTTER = 4  # lines that leave the same place free between columns
_MIN_COLUMN = 20  # characters of its lines, at the median
_MIN_LOWER = 0.3  # of the lines of a page of prose open in lower case: three in four, in most
_INDENT = 0.6  # of the height of a line


class Line(NamedTuple):
    """A line of text and its box, in points from the bottom left of the page."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    bold: bool = False
    margins: tuple[float, float] = (0.0, 0.0)  # where the lines of its column start and end

    @property
    def height(self) -> float:
        return self.top - self.bottom

    def beside(self, other: "Line") -> bool:
        """Return whether another line stands at the same height."""
        return self.bottom < other.top - 0.3 * other.height and other.bottom < self.top


class _Row(NamedTuple):
    """A row at the top or the bottom of a page."""

    side: str
    slot: int
    kind: str  # its text, with # for numbers
    apart: bool  # more space than between lines divides it from the rest of the page


class Paragraphs:
    """Join the lines of pages into paragraphs; a sentence may run on over columns and pages."""

    def __init__(self) -> None:
        self._column: list[list[Line]] = []  # its paragraphs
        self._spelling = NO_SPELLING

    def add(self, pages: Sequence[Sequence[Line]]) -> Iterator[str]:
        """Yield the paragraphs that are complete; running heads are alike on these pages."""
        bodies = [_in_order(body) for body in _remove_marks(pages)]
        self._spelling = read_spelling(line.text for body in bodies for line in body)
        for body in bodies:
            leading, verse = _leading(body), _is_verse(body)
            before: Line | None = None
            for line in body:
                if before is None or line.bottom > before.bottom + before.height:
                    yield from self._start_column(line)
                elif (line.text[0].islower() or not verse) and _continues(
                    before, line, leading.get(round(line.height), 0.0)
                ):
                    self._column[-1].append(line)
                else:
                    self._column.append([line])
                before = line

    def close(self) -> Iterator[str]:
        """Yield the last paragraphs."""
        yield from map(self._join, self._column)
        self._column = []

    def _start_column(self, line: Line) -> Iterator[str]:
        resumed = self._unfinished(line)
        # Notes stand below a paragraph that runs on: they come before it.
        yield from (self._join(found) for found in self._column if found is not resumed)
        self._column = [[*resumed, line] if resumed else [line]]

    def _unfinished(self, line: Line) -> list[Line] | None:
        for paragraph in reversed(self._column):
            if _same_type(paragraph[-1], line):
                return paragraph if _runs_on(paragraph[-1], line) else None
        return None

    def _join(self, lines: list[Line]) -> str:
        parts = [_BULLET.sub("", lines[0].text)]
        for line in lines[1:]:
            parts[-1:] = join(parts[-1], line.text, self._spelling)
        return "".join(parts)


def _remove_marks(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Return the lines of pages without page numbers, running heads and tables of contents."""
    edges = [_edge_rows(page) for page in pages]
    counts = collections.Counter(row for rows in edges for row, _ in rows)
    repeated = {
        row
        for row, count in counts.items()
        if count >= _MIN_REPEATED or (count > 1 and row.apart and len(pages) <= _MIN_REPEATED)
    }
    at_edge = [{(row.side, row.slot) for row, _ in rows if row in repeated} for rows in edges]
    often = max(2, _MIN_SHARE * len(pages))
    counted = collections.Counter(slot for slots in at_edge for slot in slots)
    slots = {slot for slot, count in counted.items() if count >= often}
    bodies = []
    for page, rows in zip(pages, edges, strict=True):
        dropped: set[Line] = set()
        inside = {"top": False, "bottom": False}  # whether the text has begun
        for row, lines in rows:
            mark = row in repeated or (row.apart and (row.side, row.slot) in slots)
            mark = mark or bool(_PAGE_NUMBER.fullmatch(row.kind))
            inside[row.side] |= not mark
            if not inside[row.side]:
                dropped.update(lines)
        bodies.append(
            [line for line in page if line not in dropped and not _LEADERS.search(line.text)]
        )
    return bodies


def _edge_rows(page: Sequence[Line]) -> list[tuple[_Row, list[Line]]]:
    """Return the first and the last rows of a page, from its edges to its middle."""
    rows: list[list[Line]] = []
    for line in sorted(page, key=lambda line: -line.bottom):
        if rows and line.beside(rows[-1][0]):
            rows[-1].append(line)
        else:
            rows.append([line])
    found = []
    half = min(_EDGE_ROWS, len(rows) // 2 or 1)
    for side, inwards in (("top", rows), ("bottom", rows[::-1])):
        for place, lines in enumerate(inwards[:half]):
            line = lines[0]
            text = " ".join(part.text for part in sorted(lines, key=lambda part: part.left))
            inner = inwards[place + 1 : place + 2]
            apart = not inner or abs(inner[0][0].bottom - line.bottom) > _APART * line.height
            row = _Row(side, round(line.bottom / _SLOT), _NUMBER.sub("#", text), apart)
            found.append((row, lines))
    return found


def _in_order(page: Sequence[Line]) -> list[Line]:
    """Return the lines of a page, column after column, with the margins of their columns.

    Most programs write a page in that order. Those that write row after row are told by the
    gutter: at the same place in many rows, prose on both sides.
    """
    gaps = [
        (first.right, second.left)
        for first, second in itertools.pairwise(page)
        if first.beside(second) and second.left > first.right
    ]
    lines: list[Line] = []
    gutter = 0.0
    for line in page:
        if not (lines and lines[-1].beside(line) and line.left > lines[-1].right):
            lines.append(line)
            continue
        middle = (lines[-1].right + line.left) / 2
        shared = sum(left < middle < right for left, right in gaps)
        if shared > 1:
            lines.append(line)
        else:  # a line with wide spaces
            lines[-1] = lines[-1]._replace(text=f"{lines[-1].text} {line.text}", right=line.right)
        if shared >= _MIN_GUTTER and not gutter and _divides(middle, page):
            gutter = middle
    lines = [line._replace(margins=_margins(line, lines)) for line in lines]
    return _by_columns(lines, gutter) if gutter else lines


def _divides(middle: float, page: Sequence[Line]) -> bool:
    """Return whether there is prose on both sides, not cells of a table."""
    left = [len(line.text) for line in page if line.right <= middle]
    right = [len(line.text) for line in page if line.left >= middle]
    return min(statistics.median(left), statistics.median(right)) >= _MIN_COLUMN


def _by_columns(lines: Sequence[Line], middle: float) -> list[Line]:
    """Return rows of two columns as columns; a line across both ends them."""
    ordered: list[Line] = []
    second: list[Line] = []
    for line in lines:
        if line.left >= middle:
            second.append(line)
        elif line.right <= middle:
            ordered.append(line)
        else:
            ordered += [*second, line]
            second = []
    return ordered + second


def _margins(line: Line, page: Sequence[Line]) -> tuple[float, float]:
    """Return where the lines of a column start and end: two lines at least do."""
    beside = [other.left for other in page if other.left >= line.right and other.beside(line)]
    bound = min(beside, default=float("inf"))
    column = [other for other in page if line.left < other.right <= bound]
    column = [other for other in column if other.left < line.right]
    left = -_reached([-other.left for other in column], line.height)
    right = _reached([other.right for other in column], line.height)
    before, after = line.left - left, right - line.right
    if min(before, after) > line.height and abs(before - after) < line.height:
        return left, right  # it is centred
    aligned = [other for other in column if abs(other.left - line.left) < 3.5 * line.height]
    return left, _reached([other.right for other in aligned], line.height)


def _reached(places: Sequence[float], tolerance: float) -> float:
    """Return the farthest place that two lines reach."""
    ordered = sorted(places, reverse=True)
    pairs = itertools.pairwise(ordered)
    return next((far for far, near in pairs if far - near < tolerance), ordered[0])


def _leading(page: Sequence[Line]) -> dict[float, float]:
    """Return the usual distance from line to line, by their height."""
    steps = collections.defaultdict(list)
    for first, second in itertools.pairwise(page):
        step = first.bottom - second.bottom
        if _same_type(first, second) and 0.5 * first.height < step < 4 * first.height:
            steps[round(first.height)].append(step)
    return {height: statistics.median(found) for height, found in steps.items()}


def _is_verse(page: Sequence[Line]) -> bool:
    """Return whether most lines of a page open as sentences do: verse, dialogue, lists."""
    low = sum(line.text[0].islower() for line in page)
    return len(page) > 1 and low < _MIN_LOWER * len(page)


def _same_type(first: Line, second: Line) -> bool:
    return abs(first.height - second.height) < 0.05 * first.height


def _is_full(line: Line, after: Line) -> bool:
    """Return whether the first word of the next line would not have fitted."""
    word = len(after.text.split(maxsplit=1)[0]) / len(after.text) * (after.right - after.left)
    end = line.margins[1]
    return line.right + 0.4 * line.height + word > end - 0.01 * (end - line.left)


def _is_hyphenated(line: Line, after: Line) -> bool:
    return line.text[-1:] == "-" and line.text[-2:-1].isalpha() and after.text[0].islower()


def _continues(line: Line, after: Line, leading: float) -> bool:
    """Return whether a paragraph continues on the next line of its column."""
    step = line.bottom - after.bottom
    if not _same_type(line, after) or abs(step) < 0.3 * line.height or step > 1.3 * leading:
        return False
    if after.left > line.right or after.right < line.left:
        return False
    ended = bool(PARAGRAPH_END.search(line.text))
    if ended and step > _APART * line.height:
        return False
    if _is_hyphenated(line, after):
        return True
    if line.bold != after.bold and not after.text[0].islower():
        return False
    if _OPENS.match(after.text) and (ended or not _is_full(line, after)):
        return False
    # A paragraph may open with an indent, also after one that has a single line.
    start = after.margins[0] if ended else line.left
    indented = after.left > start + _INDENT * line.height
    if not after.text[0].islower():
        return _is_full(line, after) and not indented
    return _is_full(line, after) or (
        not ended and line.right - line.left > 0.67 * (line.margins[1] - line.left)
    )


def _runs_on(line: Line, after: Line) -> bool:
    """Return whether a paragraph continues at the top of the next column or page."""
    if _is_hyphenated(line, after):
        return True
    if PARAGRAPH_END.search(line.text) or _OPENS.match(after.text):
        return False
    return after.text[0].islower() or _is_full(line, after)
