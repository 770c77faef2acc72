"""Tables in text: cells separated by commas, semicolons, tabs or something else."""

import collections
import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline import InputError
from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.columns import SAMPLE_ROWS, is_name_of_text, look_at
from pipeline.corpus.formats.tables import (
    Row,
    as_names,
    by_column,
    has_header,
    preamble,
    read_table,
    take_sample,
)
from pipeline.corpus.formats.texts import Texts
from pipeline.corpus.opening import open_lines

_SEPARATORS = ("\t", ";", ",", "|")
_UNUSUAL = ("^", "#", "~", "¦", "§", "\x01")  # of which nearly all rows must have as many
_MIN_FIT = 0.9
_DOUBLED = re.compile(r'(?:^|\t)"[^"\t\n]*""', re.MULTILINE)  # "Ele disse ""vem cá"""
_NONE = "\x1f"  # the separator of a table of one column, which occurs in no text
_NO_ROW = "is not a row of a table (its quotes are not closed, or not doubled)"


class _Dialect(NamedTuple):
    """How the rows of a table are written."""

    separator: str  # _NONE for one column
    quoted: bool = True  # whether a cell that begins with a quote ends with one
    width: int = 0  # number of cells if the last may hold separators, else 0


def read_separated(path: Path, config: ReadingConfig) -> Texts:
    """Yield the cells of the text column of a table."""
    csv.field_size_limit(opening.MAX_PIECE)
    with open_lines(path) as (file, encoding):
        head = take_sample(itertools.dropwhile(lambda line: not line.strip(), file), len)
        separator = _named(config.separator)
        if head and (named := _excel_separator(head[0])):
            del head[0]
            separator = separator or named
        dialect = find_dialect(head, separator, config.text_column)
        lines = itertools.chain(head, file)
        yield from read_table(path, _rows(lines, dialect), config, encoding)


def looks_like_table(head: str) -> bool:
    """Return whether a text is certainly a table: columns have names, and rows as many cells."""
    lines = head.splitlines(keepends=True)[:SAMPLE_ROWS]
    lines = list(itertools.dropwhile(lambda line: not line.strip(), lines))
    if len(lines) > 2 and not head.endswith("\n"):
        del lines[-1]  # it may be cut
    if lines and _excel_separator(lines[0]):
        return True
    dialect = find_dialect(lines, "")
    rows = list(_rows(lines, dialect))
    rows = rows[preamble(rows) :]
    if dialect.separator == _NONE or len(rows) < 3:
        return False
    names = as_names(rows[0])
    fit = sum(len(row.cells) == len(names) for row in rows)
    if fit <= 0.95 * len(rows):
        return False
    if dialect.separator == "\t" and fit == len(rows) > 4 and _is_numbered(rows):
        return True
    named = any(map(is_name_of_text, names))
    spaced = any(name != cell for name, cell in zip(names, rows[0].cells, strict=True))
    if spaced or not all(names) or not has_header(rows):  # as in a sentence
        return False
    # Verses may have a comma each, and a glossary has two columns.
    certain = len(names) > 2 or (dialect.quoted and '"' in head) or (named and "\t" in head)
    looks = map(look_at, by_column(names, rows[1:]).values())
    return certain and (named or any(look.kind == "text" for look in looks))


def _is_numbered(rows: Sequence[Row]) -> bool:
    """Return whether each row is a number and a text, without names of columns."""
    if not all(row.cells[0].isdecimal() for row in rows):
        return False
    return len(rows[0].cells) == 2 and look_at([row.cells[1] for row in rows]).kind == "text"


def _named(separator: str) -> str:
    """Return the separator that the user names."""
    separator = {"\\t": "\t", "tab": "\t"}.get(separator, separator)
    if len(separator) > 1 or separator in ('"', "\n", "\r"):
        raise InputError(
            f"--separator {separator} is not one character: name the one between two cells, or "
            "tab, or leave it out."
        )
    return separator


def _excel_separator(line: str) -> str:
    """Return the separator that a first line "sep=;" names."""
    line = line.rstrip("\r\n")
    return line[4] if len(line) == 5 and line.lower().startswith("sep=") else ""


def find_dialect(lines: list[str], separator: str, column: str = "") -> _Dialect:
    """Return how a table is written.

    Args:
        lines: The first ones.
        separator: Between cells, "" if it is to be found.
        column: One that the table has.
    """
    best, most = _Dialect(_NONE), 0.0
    unusual = [
        sign for sign in _UNUSUAL if sum(sign in row for row in lines) > _MIN_FIT * len(lines)
    ]
    for candidate in (separator,) if separator else (*_SEPARATORS, *unusual):
        dialect = _Dialect(candidate)
        rows = list(_rows(lines, dialect))
        # Not the last, whose end may be missing.
        whole = rows[: max(len(rows) * 9 // 10, 50)]
        if candidate == "\t" and _has_own_quotes(whole, lines):
            dialect = _Dialect("\t", quoted=False)  # tweets, with quotes of their own
            rows = list(_rows(lines, dialect))
        rows = rows[preamble(rows) :]
        names = as_names(rows[0]) if rows else []
        fit = sum(len(row.cells) == len(names) for row in rows)
        careless = '"' not in "".join(lines) and fit < len(rows) / 2
        if careless and is_name_of_text(names[-1]):
            dialect = _Dialect(candidate, width=len(names))
        if separator:
            return dialect
        score = fit / max(len(rows), 1) + len(names) / 1e6 + (column != "" and column in names)
        if candidate in _UNUSUAL and score < _MIN_FIT:
            continue
        if len(names) > 1 and score > most and not _is_prose(rows):
            best, most = dialect, score
    return best


def _has_own_quotes(rows: Sequence[Row], lines: Sequence[str]) -> bool:
    """Return whether quotes are part of tweets, rather than those of CSV but for broken rows."""
    broken = sum(bool(row.problem) or row.mended for row in rows)
    quoted = sum("\n" in cell for row in rows for cell in row.cells)
    return broken > quoted + len(_DOUBLED.findall("".join(lines)))


def _is_prose(rows: Sequence[Row]) -> bool:
    """Return whether the separators are those of sentences: a space follows each."""
    if any(map(is_name_of_text, rows[0].cells)):
        return False
    return all(cell[:1] == " " for row in rows for cell in row.cells[1:])


# Rows


class _Lines:
    """Lines that can be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._waiting = iter(lines), collections.deque[str]()
        self.taken: list[str] = []  # of the present row
        self._size = 0
        self.number = 1  # of the first of them

    def start(self) -> None:
        """Begin with the next row."""
        self.number += len(self.taken)
        self.taken, self._size = [], 0

    def give_back(self, keep: int) -> None:
        """Have all lines of this row read again, but the first ones."""
        self._waiting.extendleft(reversed(self.taken[keep:]))
        del self.taken[keep:]
        self._size = sum(map(len, self.taken))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > opening.MAX_PIECE:
            raise csv.Error("a quote is never closed")
        line = self._waiting.popleft() if self._waiting else next(self._lines)
        self.taken.append(line)
        self._size += len(line)
        return line


def _rows(lines: Iterable[str], dialect: _Dialect) -> Iterator[Row]:
    """Yield the rows; where one is broken, the next begins at the next line."""
    source, separator = _Lines(lines), dialect.separator
    readers = [
        csv.reader(taken, delimiter=separator, strict=True, skipinitialspace=separator != "\t")
        for taken in (source, map(_unescape, source))
    ]
    width = 0
    while True:
        source.start()
        line = next(source, None)
        if line is None:
            return
        number, problem, mended = source.number, "", False
        if not line.strip():
            continue
        if '"' not in line or not dialect.quoted:
            cells = line.rstrip("\r\n").split(separator, dialect.width - 1)
        else:
            source.give_back(0)
            cells, mended = _quoted_cells(source, readers, separator, width)
            if not cells:
                cells, problem = _unquoted_cells(source, separator, width)
                mended = True
        width = width or len(cells)
        yield Row(f"line {number}", cells, problem, mended)


def _unescape(line: str) -> str:
    return line.replace('\\"', '""')


def _quoted_cells(
    source: _Lines, readers: Sequence[Iterator[list[str]]], separator: str, width: int
) -> tuple[list[str], bool]:
    """Return the cells of the next row, and whether its quotes were escaped.

    Return no cells, and take its first line alone, if its quotes are broken.
    """
    for escaped, reader in enumerate(readers):
        try:
            cells = next(reader)
        except csv.Error:
            cells = []
        # A quote that is not closed goes on to the quote of another row.
        swallowed = len(source.taken) > 1 and (
            (width and any(cells[width:]))
            or (separator == "\t" and any("\t" in cell and "\n" in cell for cell in cells))
        )
        if cells and not swallowed:
            return cells, bool(escaped)
        if not any('\\"' in line for line in source.taken):
            break
        if not escaped:
            source.give_back(0)
    source.give_back(1)
    return [], False


def _unquoted_cells(source: _Lines, separator: str, width: int) -> tuple[list[str], str]:
    """Return the cells of a line whose quotes are no quotes of CSV, or the problem."""
    cells = source.taken[0].rstrip("\r\n").split(separator)
    if separator in ("\t", _NONE) and len(cells) == (width or len(cells)):
        return cells, ""
    return [], _NO_ROW
