"""Text in markup: what of the elements of HTML, XML and office documents is read, and how."""

import unicodedata
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import NamedTuple

from pipeline.corpus.books import paragraphs
from pipeline.corpus.formats.xml import Handler

Attributes = Mapping[str, str]

# Elements of HTML that hold nothing, and have no end.
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "dd"),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2"),
        *("h3", "h4", "h5", "h6", "header", "hr", "li", "main", "menu", "nav", "ol", "p", "pre"),
        *("section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    }
)
# Elements whose end may be left out, and what ends them by its start.
_ROWS = frozenset({"tr", "tbody", "tfoot"})
_ENDED_BY = {
    **dict.fromkeys(("head", "p"), BLOCKS),
    **dict.fromkeys(("td", "th"), _ROWS | {"td", "th"}),
    **dict.fromkeys(("dt", "dd"), frozenset({"dt", "dd"})),
    "tr": _ROWS,
    "li": frozenset({"li"}),
    "option": frozenset({"option"}),
}
_HOLDERS = frozenset({"table", "ul", "ol", "dl", "select"})  # end with all that they hold
_MAX_DEPTH = 512  # of elements that are followed, as in browsers


class Markup(NamedTuple):
    """What the elements of a language mean, by their names without name space."""

    blocks: frozenset[str]  # start and end a paragraph
    signs: Mapping[str, str]  # stand for a sign, or for a line break
    skipped: frozenset[str]  # with all that they hold
    floats: frozenset[str] = frozenset()  # stand in the middle of a paragraph that goes on
    texts: frozenset[str] = frozenset()  # alone hold text; empty: all do
    verbatim: frozenset[str] = frozenset()  # keep their line breaks
    links: frozenset[str] = frozenset()
    skips: Callable[[str, Attributes], bool] = lambda _name, _attributes: False


class Passage(NamedTuple):
    """The text of a block."""

    text: str  # NFC; a line break where the block has one
    linked: int  # letters in links

    def paragraphs(self) -> list[str]:
        """Return its paragraphs; lines that were broken at a width are joined."""
        if "\n" in self.text:
            return paragraphs(self.text)
        clean = " ".join(self.text.split())
        return [clean] if clean else []


class TextCollector:
    """Collect passages from the events of a parser."""

    def __init__(self, markup: Markup) -> None:
        self._markup = markup
        self._skipping, self._nested = "", 0  # the element that is skipped; how often it is open
        self._open: list[tuple[list[str], int]] = [([], 0)]  # the passage, and those it stands in
        self._texts = self._verbatim = self._links = 0  # how many elements are open
        self._floated: list[Passage] = []
        self._found: list[Passage] = []

    def take(self) -> list[Passage]:
        """Return the passages since the last call."""
        found, self._found = self._found, []
        return found

    def start(self, name: str, attributes: Attributes) -> None:
        markup = self._markup
        if self._skipping:
            self._nested += name == self._skipping
        elif name in markup.skipped or markup.skips(name, attributes):
            self._skipping, self._nested = name, 1
        elif name in markup.signs:
            self._add(markup.signs[name])
        else:
            if name in markup.blocks:
                self._flush()
            if name in markup.floats:
                self._open.append(([], 0))
            self._count(name, 1)

    def end(self, name: str) -> None:
        if self._skipping:
            self._nested -= name == self._skipping
            if not self._nested:
                self._skipping = ""
            return
        self._count(name, -1)
        if name in self._markup.blocks:
            self._flush()
        if name in self._markup.floats and len(self._open) > 1:
            self._flush()
            self._open.pop()

    def text(self, text: str) -> None:
        if not self._skipping and (self._texts > 0 or not self._markup.texts):
            self._add(text if self._verbatim > 0 else text.replace("\n", " "))

    def close(self) -> list[Passage]:
        """Return the passages since the last call of `take`, with one that was left open."""
        while True:
            self._flush()
            if len(self._open) == 1:
                return self.take()
            self._open.pop()

    def _count(self, name: str, step: int) -> None:
        self._texts += step * (name in self._markup.texts)
        self._verbatim += step * (name in self._markup.verbatim)
        self._links = max(self._links + step * (name in self._markup.links), 0)

    def _add(self, text: str) -> None:
        parts, linked = self._open[-1]
        parts.append(text)
        if self._links:
            self._open[-1] = (parts, linked + len(text.strip()))

    def _flush(self) -> None:
        parts, linked = self._open[-1]
        self._open[-1] = ([], 0)
        text = unicodedata.normalize("NFC", "".join(parts)).replace("\N{SOFT HYPHEN}", "")
        passages = [Passage(text, linked)] if text.strip() else []
        if len(self._open) > 1:  # the paragraph around it comes first
            self._floated += passages
        else:
            self._found += passages + self._floated
            self._floated = []


class _HTMLReader(HTMLParser):
    """Pass the parts of HTML on to a handler, with the ends that HTML lets be left out."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler
        self._open: list[str] = []  # of elements whose end may be left out, and what holds them

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while self._open and tag in _ENDED_BY.get(self._open[-1], ()):
            self._handler.end(self._open.pop())
        self._handler.start(tag, {name: value or "" for name, value in attrs})
        if tag in _VOID:
            self._handler.end(tag)
        elif (tag in _ENDED_BY or tag in _HOLDERS) and len(self._open) < _MAX_DEPTH:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while (name := self._open.pop()) != tag:
                self._handler.end(name)
        elif tag in BLOCKS and self._open[-1:] == ["p"]:  # which stands in it
            self._handler.end(self._open.pop())
        if tag not in _VOID:
            self._handler.end(tag)

    def handle_data(self, data: str) -> None:
        self._handler.text(data)

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:  # "<![ x ]>", which browsers take for a comment
            return self.parse_bogus_comment(i, False)


def feed_html(html: str, handler: Handler) -> None:
    """Hand HTML, which may be a fragment, or broken, to a handler."""
    reader = _HTMLReader(handler)
    reader.feed(html)
    reader.close()


def parse_html(html: str, markup: Markup) -> list[Passage]:
    """Return the passages of HTML, which may be a fragment, or broken."""
    collector = TextCollector(markup)
    feed_html(html, collector)
    return collector.close()
