"""Plain text."""

from pathlib import Path

from pipeline.corpus.books import paragraphs
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.encoding import decode
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import open_bytes, pieces


def read_plain(path: Path, config: ReadingConfig) -> Texts:
    """Yield a text as one document, or as several if it is longer than `MAX_PIECE`."""
    with open_bytes(path, config.section) as file:
        for data in pieces(file):
            text, encoding = decode(data)
            yield Text(paragraphs(text), encoding)
