"""Wikipedias: MediaWiki's XML dumps, WikiExtractor's output, and wikitext."""

import html
import re
import unicodedata
from pathlib import Path

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.formats.wikitext import extracted_paragraphs, wikitext_paragraphs
from pipeline.corpus.formats.xml import parse
from pipeline.corpus.opening import open_bytes, open_lines, read_pieces

_DUMP = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?<mediawiki\b")
_EXTRACTED = re.compile(r"\s*<doc (?=[^>\n]*\bid=)(?=[^>\n]*\burl=)(?=[^>\n]*\btitle=)[^>\n]*>")
_SENTENCE = re.compile(r"^<s\b[^>]*>", re.MULTILINE)  # of other corpora of the web
_DOC = re.compile(r'\s*<doc [^\n]*?\btitle="([^\n]*?)"[^>\n]*>\s*')
_NO_ARTICLE = re.compile(
    r"\s*#\s*redirec\w+|.*(?:\{\{\s*(?:d[ei]sambig\w*|dab|geodis|hndis)\s*[|}]|__DISAMBIG__)",
    re.IGNORECASE | re.DOTALL,
)


def looks_like_mediawiki(head: str) -> bool:
    """Return whether a text is a dump of MediaWiki."""
    return bool(_DUMP.match(head))


def looks_like_wikiextractor(head: str) -> bool:
    """Return whether a text opens with `<doc id=… url=… title=…>`."""
    return bool(_EXTRACTED.match(head)) and not _SENTENCE.search(head)


def read_mediawiki(path: Path, config: ReadingConfig) -> Texts:
    """Yield a document for each article of a dump; redirections and disambiguations are skipped."""
    with open_bytes(path, config.section) as file:
        for article in parse(file, _Dump(), root="mediawiki", section=config.section):
            if not _NO_ARTICLE.match(article):
                yield Text(wikitext_paragraphs(unicodedata.normalize("NFC", article)))


class _Dump:
    """Take the articles of a dump: of each page the last revision."""

    def __init__(self) -> None:
        self._articles: list[str] = []
        self._parts: list[str] | None = None  # of the element that is being read
        self._page: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "page":
            self._page = {}
        self._parts = [] if name in ("ns", "model", "text", "redirect") else None

    def end(self, name: str) -> None:
        if self._parts is not None:
            self._page[name] = "".join(self._parts)
            self._parts = None
        elif name == "page" and "redirect" not in self._page:
            namespace, model = self._page.get("ns", "0"), self._page.get("model", "wikitext")
            if namespace == "0" and model == "wikitext":
                self._articles.append(self._page.get("text", ""))

    def text(self, text: str) -> None:
        if self._parts is not None:
            self._parts.append(text)

    def take(self) -> list[str]:
        articles, self._articles = self._articles, []
        return articles

    close = take  # an article that is cut is left out


def read_wikiextractor(path: Path, config: ReadingConfig) -> Texts:
    """Yield a document for each `<doc>`, without its title."""
    lines: list[str] = []
    with open_lines(path, config.section) as (file, encoding):
        for line in file:
            opens = _DOC.match(line)
            if opens or line.startswith("</doc>"):
                if lines and not lines[0].endswith("(desambiguação)"):
                    yield Text(extracted_paragraphs(lines), encoding)
                lines = [html.unescape(opens[1]), line[opens.end() :]] if opens else []
            else:
                lines.append(line)
        yield Text(extracted_paragraphs(lines), encoding)


def read_wikitext(path: Path, config: ReadingConfig) -> Texts:
    """Yield a text as one document, or as several if it is longer than `MAX_PIECE`."""
    for text, encoding in read_pieces(path):
        yield Text(wikitext_paragraphs(text), encoding)
