"""Spreadsheets of Excel."""

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import InputError
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.encoding import join_surrogates
from pipeline.corpus.formats.archives import MAX_MEMBER, Archive
from pipeline.corpus.formats.tables import Row, read_table
from pipeline.corpus.formats.texts import Note, Texts
from pipeline.corpus.opening import open_seekable

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class _DamagedError(ValueError):
    """A spreadsheet that openpyxl cannot read."""


@contextlib.contextmanager
def _telling_damage() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of Python and of two parsers: openpyxl looks for no damage
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file
        raise _DamagedError("it is no spreadsheet, or it is damaged or encrypted") from error


def read_spreadsheet(path: Path, config: ReadingConfig) -> Texts:
    """Yield the cells of the text column of each sheet; sheets without text are passed over."""
    try:
        import openpyxl
    except ImportError as error:
        raise ValueError("it is a spreadsheet: pip install 'nextword-pt[documents]'") from error
    with open_seekable(path) as file:
        archive = Archive(file)
        for name in archive.names:
            if name.endswith(".xml"):  # sheets are read row by row, and what they share at once
                sheet = name.startswith("xl/worksheets/")
                archive.check(name, most=math.inf if sheet else MAX_MEMBER)
        with _telling_damage():
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        yield from _read_sheets(path, book.worksheets, config)


def _read_sheets(path: Path, sheets: list[Any], config: ReadingConfig) -> Texts:
    problem, found = "", False
    for sheet in sheets:
        try:
            for text in read_table(path, _rows(sheet), config):
                found = found or not isinstance(text, Note)
                yield text
        except (InputError, _DamagedError):
            raise
        except ValueError as error:
            problem = problem or str(error)
    if problem and not found:
        raise ValueError(problem)


def _rows(sheet: Any) -> Iterator[Row]:
    with _telling_damage():
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            if any(cell is not None for cell in cells):
                yield Row(f"row {number} of {sheet.title!r}", [*map(_unescape, cells)])


def _unescape(cell: Any) -> Any:
    """Return the value of a cell; Excel writes controls as _x000D_, which openpyxl leaves."""
    if not isinstance(cell, str) or "_x" not in cell:
        return cell
    return join_surrogates(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), cell))
