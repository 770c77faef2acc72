"""Cells of tables: their text without HTML and written line breaks."""

import html
import html.entities
import io
import re
import unicodedata
from collections.abc import Iterator

from pipeline.corpus import opening
from pipeline.corpus.books import paragraphs
from pipeline.corpus.formats.texts import Text
from pipeline.corpus.opening import pieces

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_MAX_ESCAPES = 3  # of an entity: "&amp;amp;eacute;"

_ATTRIBUTES = r"""(?:\s+[\w:-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>]+))?)*\s*"""
_HIDDEN = re.compile(
    rf"<!--(?:(?!<!--).)*?-->|<(script|style|iframe|svg){_ATTRIBUTES}>(?:(?!<\1\b).)*?</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
_BLOCK = re.compile(
    rf"</?(?:br|hr|p|div|ul|ol|li|h[1-6]|table|thead|tbody|tr|td|th|blockquote|pre|section|article"
    rf"|header|footer|figure|figcaption|dl|dt|dd){_ATTRIBUTES}/?>",
    re.IGNORECASE,
)
_INLINE = re.compile(
    rf"</?(?:a|b|i|u|s|em|strong|span|font|small|big|sub|sup|img|code|mark|del|ins|abbr|cite|q"
    rf"|center|tt|strike|label|wbr){_ATTRIBUTES}/?>",
    re.IGNORECASE,
)

_ANY_TAG = re.compile(r"</?[A-Za-z][^<>]*>")

# A line break that a program wrote as "\n". Commands of LaTeX begin like that, too.
_WRITTEN_BREAK = re.compile(
    r"(?:\\{1,4}r)?\\{1,4}n(?!(?:abla|eq|eg|u|ot|otin|i|mid|leq|geq|ew[a-z]+|ormalsize|oindent)\b)"
)
# Where a sentence ends or a capital follows: \times, \text and others are commands.
_WRITTEN_TAB = re.compile(r"(?<=[.,;:!?)\"])\\{1,4}t|\\{1,4}t(?=[A-ZÀ-Ý\d])")
_ESCAPED = re.compile(r"\\(['\"/])")
_WORD = re.compile(r"\S+")
_PATH = re.compile(r"(?<!\w)[A-Za-z]:\\|%\w{1,30}%\\")
_OTHER_ESCAPE = re.compile(r"\\[^nrt\"'/\\]")

# Fewer lines are not broken at a width, unless nearly all of them are full.
_MIN_LINES = 30
_MIN_FULL, _MIN_WIDTH, _MAX_WIDTH = 4, 50, 120


def cell_texts(text: str, encoding: str = "utf-8", group: str = "") -> Iterator[Text]:
    """Yield a cell as one document, or as several if it is longer than `MAX_PIECE`."""
    if len(text) < opening.MAX_PIECE:
        yield Text(row_paragraphs(text), encoding, group)
        return
    for data in pieces(io.BytesIO(text.encode("utf-8", "replace"))):
        yield Text(row_paragraphs(data.decode("utf-8", "replace")), encoding, group)


def row_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a cell; a line is one, unless all were broken at a width."""
    text = unicodedata.normalize("NFC", clean_cell(text))
    lines = text.splitlines()
    if len(lines) < 2 or len(lines) >= _MIN_LINES or _is_wrapped(lines):
        return paragraphs(text)
    return [clean for line in lines if (clean := " ".join(line.split()))]


def _is_wrapped(lines: list[str]) -> bool:
    lengths = [len(line.rstrip()) for line in lines if line.strip()]
    width = max(lengths, default=0)
    full = sum(length > width - 15 for length in lengths)
    return _MIN_WIDTH <= width <= _MAX_WIDTH and full >= max(_MIN_FULL, len(lengths) / 2)


def clean_cell(text: str) -> str:
    """Return a cell with written line breaks, HTML entities and tags as what they stand for."""
    if "\\" in text:
        text = _WORD.sub(_break_lines, text)
    for _ in range(_MAX_ESCAPES):
        if "&" not in text or (unescaped := _ENTITY.sub(_unescape, text)) == text:
            break
        text = unescaped
    return clean_html(text) if "<" in text else text


def clean_html(text: str, *, all_tags: bool = False) -> str:
    """Return a text without tags of HTML; "<3" and "<nome>" are none."""
    text = _BLOCK.sub("\n", _HIDDEN.sub("", text))
    return (_ANY_TAG if all_tags else _INLINE).sub("", text)


def _unescape(entity: re.Match[str]) -> str:
    name = entity[0][1:]
    known = name[0] == "#" or name in html.entities.html5
    return html.unescape(entity[0]) if known else entity[0]


def _break_lines(word: re.Match[str]) -> str:
    """Resolve what programs escape in a word, unless it is the path of a file."""
    if "\\" not in word[0] or _PATH.search(word[0]) or _OTHER_ESCAPE.search(word[0]):
        return word[0]
    text = _WRITTEN_TAB.sub(" ", _WRITTEN_BREAK.sub("\n", word[0]))
    return _ESCAPED.sub(r"\1", text)
