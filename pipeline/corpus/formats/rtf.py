"""Read Rich Text Format (.rtf), as WordPad, TextEdit and Word save it."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.corpus.books import paragraphs
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.encoding import join_surrogates
from pipeline.corpus.formats.texts import Texts, in_documents
from pipeline.corpus.opening import open_bytes

_CHUNK = 2**20  # bytes
# Pictures in hexadecimal digits; what the ends of chunks leave of them is in a group that is
# skipped.
_PICTURE = re.compile(rb"[0-9a-fA-F\r\n]{256,}")
_TOKEN = re.compile(
    r"""
        \\([a-z]{1,32})(-?\d{1,10})?[ ]?  # a word and its number
      | ((?:\\'[0-9a-fA-F]{2})+)         # bytes of letters
      | \\(.)                            # an escaped sign
      | ([{}])
      | ([^\\{}\r\n]+)
    """,
    re.VERBOSE | re.DOTALL,
)

_SKIPPED = frozenset(
    {
        *("fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "listtable", "themedata"),
        *("header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"),
        *("footnote", "annotation", "atnid", "atnauthor", "fldinst", "bkmkstart", "bkmkend"),
        *("nonshppict", "listoverridetable", "revtbl", "rsidtbl", "generator", "xe", "tc", "txe"),
        *("filetbl", "listtext", "pntext", "latentstyles", "datastore", "xmlnstbl", "ftnsep"),
        *("sn", "sv", "shprslt", "aftnsep", "wgrffmtfilter", "template"),
    }
)
# Groups that an old reader skips (\*), but that hold text of the document.
_KEPT = frozenset({"shpinst", "shptxt"})
_SIGNS = {
    "tab": " ", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“",
    "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ", "line": "\n", "softline": "\n",
}  # fmt: skip
_PARAGRAPH_ENDS = frozenset({"par", "sect", "page", "cell", "row", "nestcell", "nestrow"})
_ESCAPED = {"~": " ", "_": "-", "\n": "\f", "\r": "\f"}
# The code pages of fonts, by their \fcharset.
_CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 161: "cp1253", 162: "cp1254", 177: "cp1255",
    178: "cp1256", 186: "cp1257", 204: "cp1251", 238: "cp1250",
}  # fmt: skip


class _Group(NamedTuple):
    """What holds between two braces."""

    skipped: bool = False
    hidden: bool = False
    font: int = -1
    fallback: int = 1  # characters after \\u that older readers show in its place


class _Reader:
    """Turn the tokens of RTF into text; a form feed ends a paragraph."""

    def __init__(self) -> None:
        self.group = _Group()
        self._outer: list[_Group] = []
        self._page = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = -1  # of the font table's line
        self._passed = 0  # characters to pass over
        self._starred = False

    def text(self, token: re.Match[str]) -> str:
        """Return the text of the next token."""
        word, number, code, sign, brace, plain = token.groups()
        starred, self._starred = self._starred, sign == "*"
        if brace:
            self._passed = 0
            if brace == "{":
                self._outer.append(self.group)
            elif self._outer:
                self.group = self._outer.pop()
                if not self._outer:  # the document has ended
                    self.group = _Group(skipped=True)
            return ""
        if word:
            found = self._control(word, int(number) if number else None, starred)
        elif code or plain:
            found = bytes.fromhex(code.replace("\\'", "")).decode("latin-1") if code else plain
            passed = min(self._passed, len(found))
            self._passed -= passed
            found = found[passed:].encode("latin-1").decode(self._encoding(), errors="replace")
        else:
            found = sign if sign in "\\{}" else _ESCAPED.get(sign, "")
        return "" if self.group.skipped or self.group.hidden else found

    def _encoding(self) -> str:
        return self._fonts.get(self.group.font, self._page)

    def _control(self, word: str, number: int | None, starred: bool) -> str:
        group = self.group
        if word in _SKIPPED or (starred and word not in _KEPT):
            self.group = group._replace(skipped=True)
        elif word == "u" and number is not None:
            self._passed = group.fallback
            return chr(number % 2**16)
        elif word in _SIGNS:
            return _SIGNS[word]
        elif word in _PARAGRAPH_ENDS:
            return "\f"
        elif word == "uc":
            self.group = group._replace(fallback=number or 0)
        elif word in ("v", "deleted"):
            self.group = group._replace(hidden=number != 0)
        elif word == "plain":
            self.group = group._replace(hidden=False)
        elif word == "f" and group.skipped:
            self._font = number or 0
        elif word == "f":
            self.group = group._replace(font=number or 0)
        elif word == "fcharset":
            self._fonts[self._font] = _CHARSETS.get(number or 0, self._page)
        elif word in ("ansicpg", "mac", "pc"):
            self._page = _code_page({"mac": "mac_roman", "pc": "cp437"}.get(word, f"cp{number}"))
        return ""


def _code_page(name: str) -> str:
    try:
        return codecs.lookup({"cp65001": "utf-8", "cp10000": "mac_roman"}.get(name, name)).name
    except LookupError:
        return "cp1252"


def read_rtf(path: Path, config: ReadingConfig) -> Texts:
    """Yield the text of a document in Rich Text Format."""
    with open_bytes(path) as file:
        data = b"".join(_PICTURE.sub(b"", chunk) for chunk in iter(lambda: file.read(_CHUNK), b""))
    rtf = data.decode("latin-1")
    if rtf and "{\\rtf" not in rtf[:100]:
        raise ValueError("it is not RTF: if it is plain text, let its name end in .txt")
    yield from in_documents(_paragraphs(rtf))


def _paragraphs(rtf: str) -> Iterator[str]:
    reader = _Reader()
    for text in _split(reader.text(token) for token in _TOKEN.finditer(rtf)):
        clean = unicodedata.normalize("NFC", join_surrogates(text)).replace("\N{SOFT HYPHEN}", "")
        if "\n" in clean:
            yield from paragraphs(clean)
        elif words := clean.split():
            yield " ".join(words)


def _split(parts: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    for part in parts:
        if part == "\f":
            yield "".join(held)
            held = []
        elif part:
            held.append(part)
    yield "".join(held)
