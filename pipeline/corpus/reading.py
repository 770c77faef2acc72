"""Read files of every format as documents, in constant memory."""

import itertools
import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import InputError
from pipeline.corpus import hub
from pipeline.corpus.cleaning import clean
from pipeline.corpus.config import ReadingConfig, Section
from pipeline.corpus.detect import by_name, detect
from pipeline.corpus.formats.cells import row_paragraphs
from pipeline.corpus.formats.texts import Note, Text, Texts
from pipeline.corpus.mask import mask_private
from pipeline.corpus.splits import text_id

Frames = Iterable[pd.DataFrame]

_FRAME = 4 * 2**20  # characters of text; each step needs a small multiple in memory

# Columns that count what is wrong with a file.
COUNTS = ("skipped", "controls", "mended", "mojibake", "damaged")
# Columns that `read_files` returns. A row without text tells something of its file: a note, or why
# it cannot be read.
READ = {
    "file": "int64",  # index of the file in the corpus
    "document": "int64",  # number of the document in the file, from 1
    "source": "str",
    "doc_id": "str",
    "split_id": "str",  # decides the split, see `splits`
    "text": "str",
    "format": "str",
    "encoding": "str",
    **dict.fromkeys(COUNTS, "int64"),
    "note": "str",
    "problem": "str",
}
_NOTHING: dict[str, Any] = {name: "" if kind == "str" else 0 for name, kind in READ.items()}


@dataclass(frozen=True, slots=True)
class Document:
    """A text, ready to be split."""

    source: str  # name of its file, relative to the corpus
    text: str  # NFC, one paragraph a line, never empty
    format: str  # of its file, as `detect` names it
    encoding: str  # of its file, as `encoding.decode` returns it
    group: str  # of the documents that share its split; "" for none
    controls: int  # these as `clean` counts them
    mended: int
    mojibake: int
    damaged: int

    def fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def read_file(path: Path, source: str, config: ReadingConfig) -> Iterator[Document | Note]:
    """Yield the documents of a file, in order, and what there is to tell of it.

    Documents without text are skipped.

    Raises:
        InputError: A table has no column that `config` names.
        ValueError, OSError: The file cannot be read, or not to its end.
    """
    try:
        found = by_name(config.format) if config.format else detect(path)
        yield from _documents(found.read(path, config), source, found.name, config)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file
        raise ValueError(f"its compression is damaged ({error})") from error
    except RecursionError as error:
        raise ValueError("it holds parts in parts in parts, too deep to read") from error


def read_rows(
    rows: Iterable[tuple[str, str]], source: str, config: ReadingConfig
) -> Iterator[Document | Note]:
    """Yield a document for each row (text, group) of a data set."""
    texts = (Text(row_paragraphs(text), group=group) for text, group in rows)
    yield from _documents(texts, source, "hf", config)


def _documents(
    texts: Texts, source: str, name: str, config: ReadingConfig
) -> Iterator[Document | Note]:
    for found in texts:
        if isinstance(found, Note):
            yield found
            continue
        text, *counts = clean("\n".join(found.paragraphs))
        text = mask_private(text) if config.mask == "all" else text
        if text:
            yield Document(source, text, name, found.encoding, found.group, *counts)


def read_files(tables: Frames, *, reading: ReadingConfig) -> Iterator[pd.DataFrame]:
    """Map tables of files (file, `ingest.Place`, start, stop) to frames of documents (`READ`).

    Of a file with a `stop`, the section from `start` to `stop` is read.

    Raises:
        InputError: A table has no such column, or if `reading` is strict a file cannot be read.
    """
    rows: list[dict[str, Any]] = []
    size = 0
    for file in itertools.chain.from_iterable(table.itertuples() for table in tables):
        for row in _read_rows(file, reading):
            rows.append(row)
            size += len(row["text"])
            if size >= _FRAME:
                yield pd.DataFrame(rows, columns=list(READ)).astype(READ)
                rows, size = [], 0
    if rows:
        yield pd.DataFrame(rows, columns=list(READ)).astype(READ)


def _read_rows(file: Any, reading: ReadingConfig) -> Iterator[dict[str, Any]]:
    """Yield the rows of `READ` for a row of the table of files."""
    if file.text_column:
        reading = replace(reading, text_column=file.text_column, group_column=file.group_column)
    if file.path.startswith(hub.PREFIX):
        rows = hub.read_dataset(
            file.path,
            text_column=reading.text_column or "text",
            group_column=reading.group_column,
        )
        documents = read_rows(rows, file.source, reading)
    else:
        section = Section(file.start, file.stop) if file.stop else None
        documents = read_file(Path(file.path), file.source, replace(reading, section=section))
    # Also across sections, documents are in the order of their numbers.
    number, problem = file.start, "" if file.stop else "it is empty"
    place = _NOTHING | {"file": int(file.file), "source": file.source}
    of_section = f" (lines counted from byte {file.start:,})" if file.start else ""
    try:
        for found in documents:
            if isinstance(found, Note):
                what = found.what + of_section
                yield place | {"document": number, "note": what, "skipped": found.skipped}
                continue
            number, problem = number + 1, ""
            doc_id = text_id(found.text)
            ids = {"doc_id": doc_id, "split_id": text_id(found.group) if found.group else doc_id}
            yield place | {"document": number} | ids | found.fields()
    except InputError:
        raise
    except (OSError, ValueError) as error:
        problem = (getattr(error, "strerror", None) or str(error)) + of_section
    if problem and reading.strict:
        raise InputError(
            f"{file.path} cannot be read: {problem}; repair or remove it, or leave out --strict."
        )
    if problem:
        yield place | {"document": number + 1, "problem": problem}
