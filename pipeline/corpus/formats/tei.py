"""Editions and corpora in TEI, the XML of the Text Encoding Initiative."""

import re
from pathlib import Path

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.joining import GLUE, PRONOUN, glue_tokens, join_tokens
from pipeline.corpus.formats.texts import Texts, in_documents
from pipeline.corpus.formats.xml import parse
from pipeline.corpus.opening import open_lines

# Elements without text of the work. Of two readings, the editor's stays: what is corrected,
# regularized, expanded.
_LEFT_OUT = frozenset(
    """teiHeader front note noteGrp fw figDesc index rdg del surplus standOff facsimile sourceDoc
    interpGrp spanGrp linkGrp fs formula desc castList titlePage listBibl annotation""".split()
)
_OTHER_READING = frozenset(("sic", "orig", "abbr"))
_LEFT_OUT_DIVISION = re.compile(
    r"(?i)title.?page|contents|toc|index|notes?|bibliography|advertisements?|errata|colophon"
)
_BLOCKS = frozenset(
    """TEI TEI.2 text body back group div div1 div2 div3 div4 div5 div6 div7 p ab head l lg sp
    speaker list item label row cell table u opener closer salute dateline byline signed trailer
    epigraph argument docTitle titlePart figure cit postscript""".split()
)
_WORDS = frozenset(("w", "pc"))
# What stands in a text for the end of a line (a space), of a page (nothing), and for what ends
# within a word (nothing, and no white space around it). No XML holds these characters.
_LINE_END, _PAGE_END, _NO_BREAK = "\x02", "\x03", "\x04"
_ENDS = {"lb": _LINE_END, "pb": _PAGE_END, "cb": _PAGE_END, "gb": _PAGE_END}
_HYPHEN_AT_END = re.compile(
    rf"(?<=[^\W\d_])[-\xad¬](?:\s*[{_LINE_END}{_PAGE_END}{_NO_BREAK}])+\s*(?=[^\W\d_])({PRONOUN}\b)?"
)
_WITHIN_WORD = re.compile(rf"\s*{_NO_BREAK}\s*")
# A page or a note, in text as it was typed.
_NUMBER_IN_TEXT = re.compile(r"\s*\[\d{1,4}\](?=([^\W\d_])?)")
# The text of a link to a note: "1", "[2]", "(a)", "*".
_NOTE_NUMBER = re.compile(r"[\W\d_]*[a-z]?[\W\d_]*")


def looks_like_tei(head: str) -> bool:
    """Return whether a text is TEI, of this century (TEI) or the last (TEI.2)."""
    return head.lstrip()[:1] == "<" and bool(
        re.search(r"<(?:\w+:)?(?:TEI|teiCorpus)(?:\.2)?[\s>]", head)
    )


def read_tei(path: Path, config: ReadingConfig) -> Texts:
    """Yield each text as one document, or as several if it is longer than `MAX_PIECE`.

    Paragraphs, headings, lines of verse and speakers are paragraphs. Header, front matter, notes,
    page numbers, running heads and milestones are left out.
    """
    with open_lines(path) as (file, encoding):
        yield from in_documents(parse(file, _Tei()), encoding)


class _Tei:
    """Take the parts of TEI; keep what is text."""

    def __init__(self) -> None:
        self._paragraphs: list[str | None] = []  # that are complete; None ends a document
        self._parts: list[str] = []  # of the paragraph that is open
        self._open: list[str] = []  # elements
        self._silent = 0  # how many of them have no text to keep
        self._links: list[int] = []  # where in `_parts` the open links begin
        self._words: list[str] = []  # what stands after each open word
        self._has_words, self._has_glue = False, False  # the paragraph, and all that was read

    def start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else ""
        self._open.append(name)
        if self._silent or _is_left_out(name, parent, attributes):
            self._silent += 1
        elif _is_block(name, parent):
            self._end_paragraph()
        elif name in _ENDS:
            self._parts.append(_NO_BREAK if attributes.get("break") == "no" else _ENDS[name])
        elif name in _WORDS:
            self._start_word(attributes.get("join", ""))
        elif name == "ref":
            self._links.append(len(self._parts))
        elif name == "gap":
            self._parts.append(" … ")

    def end(self, name: str) -> None:
        self._open.pop()
        if self._silent:
            self._silent -= 1
        elif _is_block(name, self._open[-1] if self._open else ""):
            self._end_paragraph()
            if name in ("TEI", "TEI.2"):
                self._paragraphs.append(None)
        elif name in _WORDS:
            self._parts.append(self._words.pop())
        elif name == "ref":
            start = self._links.pop()
            if _NOTE_NUMBER.fullmatch("".join(self._parts[start:])):
                del self._parts[start:]
        elif name == "s":
            self._parts.append(" ")

    def text(self, text: str) -> None:
        if not self._silent:
            self._parts.append(text)

    def take(self) -> list[str | None]:
        """Return the paragraphs that were completed since the last call."""
        paragraphs, self._paragraphs = self._paragraphs, []
        return paragraphs

    def close(self) -> list[str | None]:
        """Return the last paragraphs, even if their file was cut off."""
        self._end_paragraph()
        return self.take()

    def _start_word(self, join: str) -> None:
        glue, self._has_words = f" {GLUE} ", True
        self._parts.append(glue if join in ("left", "both") else " ")
        self._words.append(glue if join in ("right", "both") else " ")
        self._has_glue = self._has_glue or join in ("left", "right", "both")

    def _end_paragraph(self) -> None:
        text, has_words = "".join(self._parts), self._has_words
        self._parts, self._links, self._has_words = [], [0] * len(self._links), False
        if not text or text.isspace():
            return
        if any(end in text for end in (_LINE_END, _PAGE_END, _NO_BREAK)):
            text = _HYPHEN_AT_END.sub(lambda end: f"-{end[1]}" if end[1] else "", text)
            text = _WITHIN_WORD.sub("", text).replace(_LINE_END, " ").replace(_PAGE_END, "")
        if "[" in text:
            text = _NUMBER_IN_TEXT.sub(lambda number: " " if number[1] else "", text)
        tokens = text.split()
        if has_words:
            text = glue_tokens(tokens) if self._has_glue else join_tokens(tokens)
        else:
            text = " ".join(tokens)
        self._paragraphs.append(text)


def _is_block(name: str, parent: str) -> bool:
    return name in _BLOCKS or (name == "seg" and parent == "u")


def _is_left_out(name: str, parent: str, attributes: dict[str, str]) -> bool:
    return (
        name in _LEFT_OUT
        or (parent == "choice" and name in _OTHER_READING)
        or (name[:3] == "div" and bool(_LEFT_OUT_DIVISION.fullmatch(attributes.get("type", ""))))
    )
