"""Markdown."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.encoding import decode
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import open_bytes, pieces

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_HTML_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)


def read_markdown(path: Path, config: ReadingConfig) -> Texts:
    """Yield a text as one document, or as several if it is longer than `MAX_PIECE`."""
    with open_bytes(path) as file:
        for data in pieces(file):
            text, encoding = decode(data)
            yield Text(markdown_paragraphs(text), encoding)


def markdown_paragraphs(text: str) -> list[str]:
    """Return paragraphs, headings, list items and cells, without code, HTML and pictures."""
    text = text.replace("\r\n", "\n")
    text = _FRONT_MATTER.sub("", text, count=1) if text.startswith("---\n") else text
    found = []
    for block in _MARKDOWN.parse(text):
        if block.type != "inline":
            continue
        joined = ""
        for token in block.children or []:
            if token.type in ("text", "code_inline"):
                joined += token.content
            elif token.type == "softbreak":
                joined += " "
            elif token.type == "hardbreak" or (
                token.type == "html_inline" and _HTML_BREAK.fullmatch(token.content)
            ):
                joined += "\n"
        found += [clean for line in joined.split("\n") if (clean := " ".join(line.split()))]
    return found
