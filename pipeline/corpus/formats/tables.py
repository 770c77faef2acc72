"""Tables: a row is a document, its text in one of the columns."""

import csv
import itertools
import json
import shutil
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from pipeline import InputError
from pipeline.corpus import opening
from pipeline.corpus.books import paragraphs
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import open_bytes, open_lines, suffixes

_BATCH_ROWS = 1024  # of a Parquet file, in memory at once


def row_paragraphs(text: str) -> list[str]:
    return paragraphs(unicodedata.normalize("NFC", text))


def require_columns(path: Path, columns: Sequence[str], config: ReadingConfig) -> None:
    if config.text_column not in columns:
        raise InputError(
            f"{path} has no column {config.text_column!r}: name the one that holds the text with "
            f"--text-column ({', '.join(columns)})."
        )
    if config.group_column and config.group_column not in columns:
        raise InputError(
            f"{path} has no column {config.group_column!r}: name the one whose rows share a split "
            f"with --group-column ({', '.join(columns)})."
        )


def group_of(value: object) -> str:
    """Return the group of a row as text, whatever the type of its column."""
    return "" if value is None else str(value)


def read_separated(path: Path, config: ReadingConfig) -> Texts:
    # A quote that is never closed must not make one cell of all the rest.
    csv.field_size_limit(opening.MAX_PIECE)
    with open_lines(path) as (file, encoding):
        head: list[str] = []  # through the first line that is not blank
        while not "".join(head).strip() and (line := file.readline()):
            head.append(line)
        # Spreadsheets with a decimal comma separate cells with semicolons. TSV has no quotes.
        if suffixes(path)[0] == ".tsv":
            options: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
        else:
            options = {"delimiter": max(",;", key="".join(head).count)}
        # Not pandas, which drops the rest of a row with a comma too many, or shifts the cells.
        rows = csv.reader(itertools.chain(head, file), strict=True, **options)
        try:
            columns = next(filter(None, rows), [])
            if not columns:
                return
            require_columns(path, columns, config)
            column = columns.index(config.text_column)
            groups = [columns.index(config.group_column)] if config.group_column else []
            for row in rows:
                if any(row[len(columns) :]):  # a comma at the end of a line does no harm
                    cells = f"{len(row)} cells where the first has {len(columns)}"
                    raise ValueError(f"line {rows.line_num} has {cells}")
                if column < len(row):
                    group = "".join(row[index] for index in groups if index < len(row))
                    yield Text(row_paragraphs(row[column]), encoding, group)
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num} is not a row of a table ({error})") from error


def read_json_lines(path: Path, config: ReadingConfig) -> Texts:
    text_column = config.text_column
    keys: dict[str, None] = {}  # of the rows up to the first that has the column
    with open_lines(path, config.section) as (file, encoding):
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number} is not JSON ({error})") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            if text_column not in keys:
                keys |= dict.fromkeys(row)
                if number >= _BATCH_ROWS:
                    require_columns(path, list(keys), config)
            text = row.get(text_column)
            if text is None:
                continue
            if not isinstance(text, str):
                raise ValueError(f"{text_column!r} of line {number} is not text")
            if "\\ud" in line or "\\uD" in line:  # lone surrogates, which UTF-8 refuses
                text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            yield Text(row_paragraphs(text), encoding, group_of(row.get(config.group_column)))
    if keys:
        require_columns(path, list(keys), config)


def read_parquet_rows(path: Path, config: ReadingConfig) -> Texts:
    text_column = config.text_column
    with open_bytes(path) as file, tempfile.TemporaryFile() as unpacked:
        if suffixes(path)[1]:  # Parquet is read from its end
            shutil.copyfileobj(file, unpacked)
            file = unpacked
        try:
            table = pa.parquet.ParquetFile(file, pre_buffer=False, buffer_size=2**20)
            require_columns(path, table.schema_arrow.names, config)
            columns = [text_column, *filter(None, [config.group_column])]
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    text, group = row[text_column], group_of(row.get(config.group_column))
                    if isinstance(text, str):
                        yield Text(row_paragraphs(text), group=group)
                    elif text is not None:
                        raise ValueError(f"its column {text_column!r} does not hold text")
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"it is not a Parquet file ({reason})") from error
