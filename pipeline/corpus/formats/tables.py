"""Tables: a row is a document, its text in one of the columns."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats import columns
from pipeline.corpus.formats.cells import cell_texts
from pipeline.corpus.formats.columns import Column, choose_column, find_group, is_name_of_text
from pipeline.corpus.formats.texts import Note, Skipped, Texts

_SENTENCE = re.compile(r"\s\S.*[.!?…]['\"”»)]*$|\w, \w", re.DOTALL)
_MAX_PREAMBLE = 10  # rows
_NAME_WORDS = 4  # the name of a column has no more


class Row(NamedTuple):
    """A row of a table, or why it is none."""

    place: str  # "line 7"
    cells: Sequence[Any] = ()
    problem: str = ""  # what to say after the place: "is not a row of a table"
    mended: bool = False  # its quotes are not those of CSV


def read_table(
    path: Path, rows: Iterator[Row], config: ReadingConfig, encoding: str = "utf-8"
) -> Texts:
    """Yield the cells of the text column; rows that have too many or too few are skipped."""
    sample = take_sample(rows, row_size)
    del sample[: preamble(sample)]
    if not sample:
        return
    names = _told_apart(as_names(sample[0]))
    if config.text_column in names or has_header(sample):
        del sample[0]
    else:
        names = [str(number) for number in range(1, len(names) + 1)]
    if not sample:
        return
    chosen = choose_column(path, by_column(names, sample), config.text_column)
    yield from notes(chosen)
    place, skipped = names.index(chosen.name), Skipped()
    group_column = find_group(path, names, config.group_column)
    group_place = names.index(group_column) if group_column else None
    for row in itertools.chain(sample, rows):
        problem = row.problem or _misfit(row.cells, len(names), place)
        if problem:
            skipped.add(f"{row.place} {problem}")
        elif isinstance(row.cells[place], str):
            group = row.cells[group_place : group_place + 1] if group_place is not None else ()
            yield from cell_texts(row.cells[place], encoding, as_group(group))
    yield from skipped.notes()


def as_names(row: Row) -> list[str]:
    """Return the cells of a row as names of columns."""
    return [str(cell or "").strip() for cell in row.cells]


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return names of columns, numbered where they are empty or repeated."""
    counts = Counter[str]()
    different = []
    for number, name in enumerate(names, start=1):
        name = name or f"column {number}"
        counts[name] += 1
        different.append(f"{name} {counts[name]}" if counts[name] > 1 else name)
    return different


def preamble(rows: Sequence[Row]) -> int:
    """Return the number of rows before the names of the columns, such as a title."""
    names = [as_names(row) for row in rows]
    start = next((place for place, row in enumerate(names) if sum(map(bool, row)) > 1), 0)
    fit = sum(len(row) == len(names[start]) for row in names[start:])
    certain = start < _MAX_PREAMBLE and fit > max(2, 0.9 * (len(rows) - start))
    if not certain or any(map(is_name_of_text, itertools.chain(*names[:start]))):
        return 0
    return start if all(map(_is_name, names[start])) else 0


def has_header(rows: Sequence[Row]) -> bool:
    """Return whether the first row of a table names its columns."""
    first = as_names(rows[0])
    if any(cell.lower() in ("text", "texto") for cell in first):
        return True
    if all(map(_is_name, first)):
        return any(first)
    # The questions of a form are no names, but "Date and time" is no date.
    return any(
        _has_letters(cell) and values and not any(map(_has_letters, values))
        for cell, values in zip(first, by_column(first, rows[1:]).values(), strict=False)
    )


def _has_letters(cell: Any) -> bool:
    return any(map(str.isalpha, str(cell or "")))


def _is_name(cell: str) -> bool:
    if not cell:
        return True
    return _has_letters(cell) and len(cell.split()) <= _NAME_WORDS and not _SENTENCE.search(cell)


def _misfit(cells: Sequence[Any], width: int, place: int) -> str:
    """Return what is wrong with the cells of a row, "" if nothing is."""
    # A separator at the end of a line does no harm.
    if len(cells) <= place or any(cells[width:]):
        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        return f"has {count} where the first has {width}"
    return ""


def by_column(names: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return the cells of rows by the name of their column."""
    found: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        if not row.problem and len(row.cells) >= len(names):
            for name, cell in zip(names, row.cells, strict=False):
                found[name].append(cell)
    return found


def row_size(row: Row) -> int:
    return sum(len(str(cell)) for cell in row.cells)


def take_sample(rows: Iterator[Any], size: Callable[[Any], int]) -> list[Any]:
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
    path: Path,
    rows: Iterator[Row],
    config: ReadingConfig,
    encoding: str = "utf-8",
    *,
    first: Sequence[Row] = (),
) -> Texts:
    """Yield the text of each row, whose only cell holds values by name, which may hold more.

    Args:
        path: File of the rows.
        rows: What to read.
        config: May name the column.
        encoding: Of the file.
        first: Rows at the start of the file, if `rows` begin later.
    """
    sample = [] if first else take_sample(rows, row_size)
    found: dict[str, list[Any]] = {}
    for value in (value for row in first or sample for value in row.cells):
        for name, leaf in leaves(value):
            found.setdefault(name, []).append(leaf)
    name, skipped = "", Skipped()
    if found:
        chosen = choose_column(path, found, config.text_column)
        yield from notes(chosen)
        name = chosen.name
    group_column = find_group(path, found, config.group_column)
    for row in itertools.chain(sample, rows):
        inside = [leaf for value in row.cells for leaf in values_at(value, name)]
        texts = [leaf for leaf in inside if isinstance(leaf, str)]
        if row.problem or len(texts) + inside.count(None) < len(inside):
            skipped.add(f"{row.place} {row.problem or f'holds no text in {name!r}'}")
        groups = values_at(row.cells, group_column) if group_column else ()
        yield from cell_texts("\n\n".join(texts), encoding, as_group(groups))
    yield from skipped.notes()


def as_group(values: Iterable[Any]) -> str:
    """Return the group of a row, from what its column holds."""
    return " ".join(str(value) for value in values if value is not None)


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
