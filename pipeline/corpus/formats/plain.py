"""Plain text."""

import re
from pathlib import Path

from pipeline.corpus.books import paragraphs
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.cells import clean_cell
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import read_pieces

# Nobody types these: the text was copied out of a web page.
_LETTER_OF_HTML = re.compile(r"&[AEIOUNCaeiounc](?:acute|grave|circ|tilde|cedil|uml);")


def read_plain(path: Path, config: ReadingConfig) -> Texts:
    """Yield a text as one document, or as several if it is longer than `MAX_PIECE`."""
    for text, encoding in read_pieces(path, config.section):
        if "&" in text and _LETTER_OF_HTML.search(text):
            text = clean_cell(text)
        yield Text(paragraphs(text), encoding)
