"""documents.parquet: one file, or a folder of that name with parts in order, as Spark writes it."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from pipeline import InputError
from pipeline.corpus.splits import SPLITS

DOCUMENTS = ("doc_id", "source", "split", "text")

# Columns that are numbers: the place of a file in the corpus, and of a document in the file.
_NUMBERS = ("file", "document")


def parts(path: Path) -> list[Path]:
    """The files that hold documents, in order.

    Raises:
        InputError: a folder has none.
    """
    found = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not found:
        raise InputError(f"No documents can be read from {path}: run `nextword ingest` first.")
    return found


def write_parquet(
    frames: Iterable[pd.DataFrame], path: Path, columns: Sequence[str]
) -> dict[str, int]:
    """Write the columns of frames, a row group each; returns the documents of each split."""
    schema = pa.schema(
        [(name, pa.int64() if name in _NUMBERS else pa.string()) for name in columns]
    )
    counts = dict.fromkeys(SPLITS, 0)
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for frame in frames:
            frame = frame[frame["text"] != ""]
            if "split" in frame:
                for split, number in frame["split"].value_counts().items():
                    counts[str(split)] += number
            if len(frame):
                table = pa.Table.from_pandas(frame[list(columns)], schema, preserve_index=False)
                writer.write_table(table)
    return counts


def read_parquet(path: Path) -> Iterator[pd.DataFrame]:
    """The row groups that `write_parquet` wrote, of one file or of all parts.

    Raises:
        InputError: a file is damaged.
    """
    for part in parts(path):
        with open_parquet(part) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group).to_pandas()


@contextlib.contextmanager
def open_parquet(path: Path) -> Iterator[pa.parquet.ParquetFile]:
    """A file of documents, read within.

    Raises:
        InputError: it is damaged.
    """
    try:
        with pa.parquet.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # from the disk
        reason = str(error).split("\n")[0].rstrip(".")
        raise InputError(
            f"{path} is damaged ({reason}): run `nextword ingest --force` to make it again."
        ) from error
