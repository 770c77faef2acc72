"""Read files of every format as documents, in constant memory."""

import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.detect import by_name, detect
from pipeline.corpus.encoding import count_mojibake
from pipeline.corpus.formats.tables import row_paragraphs
from pipeline.corpus.formats.texts import Note, Text, Texts


@dataclass(frozen=True, slots=True)
class Document:
    """A text, ready to be split."""

    source: str  # name of its file, relative to the corpus
    text: str  # NFC, one paragraph a line, never empty
    format: str  # of its file, as `detect` names it
    encoding: str  # of its file, as `encoding.decode` returns it
    mojibake: int  # number of sequences that an earlier reader decoded wrongly
    damaged: int  # number of characters that cannot be read (U+FFFD)
    group: str = ""  # of the documents that share its split

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
        yield from _documents(found.read(path, config), source, found.name)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file
        raise ValueError(f"its compression is damaged ({error})") from error


def read_rows(rows: Iterable[tuple[str, str]], source: str) -> Iterator[Document | Note]:
    """Yield a document for each row (text, group) of a data set."""
    texts = (Text(row_paragraphs(text), group=group) for text, group in rows)
    yield from _documents(texts, source, "hf")


def _documents(texts: Texts, source: str, name: str) -> Iterator[Document | Note]:
    for found in texts:
        if isinstance(found, Note):
            yield found
        elif found.paragraphs:
            text = "\n".join(found.paragraphs)
            damaged = text.count("\N{REPLACEMENT CHARACTER}")
            mojibake = count_mojibake(text)
            yield Document(source, text, name, found.encoding, mojibake, damaged, found.group)
