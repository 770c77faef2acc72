"""Parquet."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats import columns, tables
from pipeline.corpus.formats.cells import cell_texts
from pipeline.corpus.formats.columns import choose_column, find_group
from pipeline.corpus.formats.texts import Texts
from pipeline.corpus.opening import open_seekable

_BATCH_ROWS = 1024  # in memory at once


def read_parquet_rows(path: Path, config: ReadingConfig) -> Texts:
    """Yield the texts of a column, which may be inside others: "reviews.text"."""
    with open_seekable(path) as file:  # Parquet is read from its end
        try:
            table = pa.parquet.ParquetFile(file, pre_buffer=False, buffer_size=2**20)
            yield from _read(path, table, config)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"it is not a Parquet file ({reason})") from error


def _read(path: Path, table: Any, config: ReadingConfig) -> Texts:
    fields = [field for field in table.schema_arrow if not _is_binary(field.type)]
    names = [field.name for field in fields]
    found: dict[str, list[Any]] = {}
    for row in _first_rows(table, names):
        for name, leaf in tables.leaves(row):
            found.setdefault(name, []).append(leaf)
    if not found:
        return
    chosen = choose_column(path, found, config.text_column)
    yield from tables.notes(chosen)
    group = find_group(path, found, config.group_column)
    needed = {_outermost(name, names) for name in (chosen.name, group) if name}
    for row in _rows(table, sorted(needed), _BATCH_ROWS):
        inside = [leaf for leaf in tables.values_at(row, chosen.name) if leaf is not None]
        if not all(isinstance(leaf, str) for leaf in inside):
            raise ValueError(f"its column {chosen.name!r} does not hold text")
        groups = tables.values_at(row, group) if group else ()
        yield from cell_texts("\n\n".join(inside), group=tables.as_group(groups))


def _outermost(name: str, columns: Sequence[str]) -> str:
    """Return the column of the table that holds a name of `tables.leaves`."""
    return max((n for n in columns if f"{name}.".startswith(f"{n}.")), key=len)


def _first_rows(table: Any, names: list[str]) -> list[dict[str, Any]]:
    rows = _rows(table, names, batch_rows=64)
    return tables.take_sample(rows, lambda row: sum(len(str(cell)) for cell in row.values()))


def _rows(table: Any, names: list[str], batch_rows: int) -> Iterator[dict[str, Any]]:
    batch_rows = min(batch_rows, columns.SAMPLE_ROWS)
    for batch in table.iter_batches(batch_size=batch_rows, columns=names):
        yield from batch.to_pylist()


def _is_binary(kind: Any) -> bool:
    """Return whether a column holds bytes, such as pictures; they are not even looked at."""
    if kind.num_fields:
        return all(_is_binary(kind.field(place).type) for place in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
