"""documents.parquet: one file, or a folder of ordered parts as Spark writes it."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from pipeline import InputError
from pipeline.corpus.splits import SPLITS
from pipeline.limits import check_file

# Tokens in a row that training text may not share with held-out text (see overlap.py).
NGRAM = 13

DOCUMENT_COLUMNS = ("doc_id", "source", "split", "text")

# Bytes of a row group in memory; Arrow's arrays of strings hold no more.
_MAX_GROUP = 2**31


def list_parts(path: Path) -> list[Path]:
    """Return the Parquet files in order; raise InputError if there are none."""
    parts = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not parts:
        raise InputError(f"No documents can be read from {path}: run `nextword ingest` first.")
    for part in parts:
        check_file(part, most=math.inf)
    return parts


def write_parquet(
    frames: Iterable[pd.DataFrame], path: Path, columns: Sequence[str]
) -> dict[str, int]:
    """Write each frame as a row group, without empty texts; return document counts per split."""
    integers = ("file", "document")
    schema = pa.schema(
        [(name, pa.int64() if name in integers else pa.string()) for name in columns]
    )
    counts = dict.fromkeys(SPLITS, 0)
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for frame in frames:
            frame = frame[frame["text"] != ""]
            if "split" in frame:
                for split, count in frame["split"].value_counts().items():
                    counts[str(split)] += count
            if len(frame):
                table = pa.Table.from_pandas(frame[list(columns)], schema, preserve_index=False)
                writer.write_table(table)
    return counts


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """Yield the row groups, or some columns; raise InputError if a file is missing or damaged."""
    for part in list_parts(path):
        with open_parquet(part) as file:
            for group in range(file.num_row_groups):
                yield unpack(file.read_row_group(group, columns)).to_pandas()


@contextlib.contextmanager
def open_parquet(path: Path) -> Iterator[pa.parquet.ParquetFile]:
    """Open one part; raise InputError if it is damaged, or larger in memory than a row group is.

    Strings are read as dictionaries: see `unpack`.
    """
    try:
        schema = pa.parquet.read_schema(path)
        strings = [field.name for field in schema if pa.types.is_string(field.type)]
        with pa.parquet.ParquetFile(path, read_dictionary=strings) as file:
            for group in map(file.metadata.row_group, range(file.num_row_groups)):
                _check_size(max(group.total_byte_size, 8 * group.num_columns * group.num_rows))
            yield file
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file
        reason = str(error).split("\n")[0].rstrip(".")
        raise InputError(
            f"{path} is damaged ({reason}): run `nextword ingest --force` to make it again."
        ) from error


def unpack(table: pa.Table) -> pa.Table:
    """Return a table with strings instead of dictionaries, unless they would take all memory.

    A file of a few kilobytes can name one long text a million times.
    """
    for place, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            lengths = (pc.binary_length(c.dictionary).take(c.indices) for c in column.chunks)
            _check_size(sum(pc.sum(length).as_py() or 0 for length in lengths))
            strings = column.cast(column.type.value_type)
            table = table.set_column(place, table.column_names[place], strings)
    return table


def _check_size(size: int) -> None:
    if size > _MAX_GROUP:
        raise pa.ArrowInvalid(f"a row group takes {size:,} bytes, and {_MAX_GROUP:,} at most")
