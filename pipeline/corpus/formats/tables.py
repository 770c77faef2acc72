"""Tables: a row is a document, its text in one of the columns."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats import columns
from pipeline.corpus.formats.cells import cell_texts
from pipeline.corpus.formats.columns import Column, choose_column, is_name_of_text
from pipeline.corpus.formats.texts import Note, SkippedRows, Texts

_SENTENCE = re.compile(r"\s\S.*[.!?…]['\"”»)]*$", re.DOTALL)
_NAME_WORDS = 4  # the name of a column has no more


class Row(NamedTuple):
    """A row of a table, or why it is none."""

    place: str  # "line 7"
    cells: Sequence[Any] = ()
    problem: str = ""  # what to say after the place: "is not a row of a table"


def read_table(
    path: Path, rows: Iterator[Row], config: ReadingConfig, encoding: str = "utf-8"
) -> Texts:
    """Yield the cells of the text column; rows that have too many or too few are skipped."""
    first = next(rows, None)
    if first is None:
        return
    names = [str(cell or "").strip() for cell in first.cells]
    if not has_header(names, config.text_column):
        rows = itertools.chain([first], rows)
        names = [str(number) for number in range(1, len(names) + 1)]
    sample = take_sample(rows, lambda row: sum(len(str(cell)) for cell in row.cells))
    if not sample:
        return
    chosen = choose_column(path, _columns(names, sample), config.text_column)
    yield from notes(chosen)
    place, skipped = names.index(chosen.name), SkippedRows()
    for row in itertools.chain(sample, rows):
        problem = row.problem or _misfit(row.cells, len(names), place)
        if problem:
            skipped.add(f"{row.place} {problem}")
        elif isinstance(row.cells[place], str):
            yield from cell_texts(row.cells[place], encoding)
    yield from skipped.notes()


def has_header(cells: Sequence[str], text_column: str = "") -> bool:
    """Return whether the first row of a table names its columns."""
    if text_column in cells or any(map(is_name_of_text, filter(_is_name, cells))):
        return True
    return all(_is_name(cell) for cell in cells) and any(cells)


def _is_name(cell: str) -> bool:
    if not cell:
        return True
    letters = any(map(str.isalpha, cell))
    return letters and len(cell.split()) <= _NAME_WORDS and not _SENTENCE.search(cell)


def _misfit(cells: Sequence[Any], width: int, place: int) -> str:
    """Return what is wrong with the cells of a row, "" if nothing is."""
    # A separator at the end of a line does no harm.
    if len(cells) <= place or any(cells[width:]):
        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        return f"has {count} where the first has {width}"
    return ""


def _columns(names: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        if not row.problem and len(row.cells) >= len(names):
            for name, cell in zip(names, row.cells, strict=False):
                found[name].append(cell)
    return found


def take_sample(rows: Iterator[Any], size: Any) -> list[Any]:
    """Return the first rows, to be looked at; `size` tells how many characters one has."""
    found, characters = [], 0
    for row in itertools.islice(rows, columns.SAMPLE_ROWS):
        found.append(row)
        characters += size(row)
        if characters > opening.MAX_PIECE / 4:
            break
    return found


def notes(column: Column) -> Iterator[Note]:
    """Tell which column was taken, unless its name says that it holds the text."""
    if column.by_look:
        yield Note(f"the column {column.name!r} is taken as text")


# Values inside values: JSON and Parquet


def read_values(
    path: Path, rows: Iterator[Row], config: ReadingConfig, encoding: str = "utf-8"
) -> Texts:
    """Yield the text of each row, whose only cell holds values by name, which may hold more."""
    sample = take_sample(rows, lambda row: sum(len(str(cell)) for cell in row.cells))
    found: dict[str, list[Any]] = {}
    for row in sample:
        for value in row.cells:
            for name, leaf in leaves(value):
                found.setdefault(name, []).append(leaf)
    skipped = SkippedRows()
    chosen = None
    if found:
        chosen = choose_column(path, found, config.text_column)
        yield from notes(chosen)
    for row in itertools.chain(sample, rows):
        problem = row.problem
        texts: list[str] = []
        for value in row.cells if chosen else ():
            inside = [leaf for leaf in values_at(value, chosen.name) if leaf is not None]
            texts = [leaf for leaf in inside if isinstance(leaf, str)]
            if len(texts) < len(inside):
                problem = f"holds no text in {chosen.name!r}"
        if problem:
            skipped.add(f"{row.place} {problem}")
        yield from cell_texts("\n\n".join(texts), encoding)
    yield from skipped.notes()


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a value holds, with its names ("reviews.text"); lists have none."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)
    else:
        yield name, value


def values_at(value: Any, name: str) -> Iterator[Any]:
    """Yield what a value holds at a name of `leaves`."""
    if isinstance(value, list):
        for inner in value:
            yield from values_at(inner, name)
    elif not isinstance(value, Mapping):
        if not name:
            yield value
    elif name:
        for key, inner in value.items():
            if name == key:
                yield from values_at(inner, "")
            elif name.startswith(f"{key}."):
                yield from values_at(inner, name[len(key) + 1 :])
