"""Plain text."""

from pathlib import Path

from pipeline.corpus.books import paragraphs
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import read_pieces


def read_plain(path: Path, config: ReadingConfig) -> Texts:
    """Yield a text as one document, or as several if it is longer than `MAX_PIECE`."""
    for text, encoding in read_pieces(path, config.section):
        yield Text(paragraphs(text), encoding)
