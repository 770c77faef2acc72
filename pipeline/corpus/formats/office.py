"""Read the documents of Word (.docx) and of LibreOffice (.odt)."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.archives import Archive
from pipeline.corpus.formats.markup import Attributes, Markup, Passage, TextCollector
from pipeline.corpus.formats.texts import Texts, in_documents
from pipeline.corpus.formats.xml import parse
from pipeline.corpus.opening import open_seekable

# Headers, footers, comments and notes are in files of their own. Deleted text is in <w:delText>;
# what was moved stands where it was, too; a text box comes once more for old readers.
_WORD = Markup(
    blocks=frozenset({"p"}),
    signs={"br": "\n", "cr": "\n", "tab": " ", "ptab": " ", "noBreakHyphen": "-"},
    skipped=frozenset({"del", "moveFrom", "Fallback", "tabs", "oMath", "oMathPara"}),
    floats=frozenset({"txbxContent"}),
    texts=frozenset({"t"}),
)
# The styles of the lines of a table of contents, whose names Word translates.
_CONTENTS = re.compile(r"(?:TOC|Sum[aá]?rio|[IÍ]?ndice|Contents)\d", re.IGNORECASE)

_OPEN_DOCUMENT = Markup(
    blocks=frozenset({"p", "h"}),
    signs={"line-break": "\n", "tab": " ", "s": " "},
    skipped=frozenset(
        {
            *("annotation", "note", "tracked-changes", "forms", "sequence-decls", "ruby-text"),
            *("table-of-content", "illustration-index", "table-index", "object-index"),
            *("alphabetical-index", "user-index", "page-number", "page-count", "hidden-text"),
            *("title", "desc"),
        }
    ),
    floats=frozenset({"text-box"}),
)


class _WordCollector(TextCollector):
    """Leave out hidden text and tables of contents."""

    def __init__(self) -> None:
        super().__init__(_WORD)
        self._in_run = self._hidden = self._in_contents = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "r":
            self._in_run, self._hidden = True, False
        elif name == "vanish" and self._in_run:
            self._hidden = attributes.get("val", "1") not in ("0", "false", "off")
        elif name == "p":
            self._in_contents = False
        elif name == "pStyle":
            self._in_contents = bool(_CONTENTS.fullmatch(attributes.get("val", "")))
        super().start(name, attributes)

    def text(self, text: str) -> None:
        if not (self._hidden or self._in_contents):
            super().text(text)

    def end(self, name: str) -> None:
        if name == "r":
            self._in_run = self._hidden = False
        super().end(name)


def read_docx(path: Path, config: ReadingConfig) -> Texts:
    """Yield the text of a Word document."""
    with open_seekable(path) as file:
        archive = Archive(file)
        with archive.open(archive.main_part()) as main:
            yield from in_documents(_paragraphs(parse(main, _WordCollector())))


def read_odt(path: Path, config: ReadingConfig) -> Texts:
    """Yield the text of an OpenDocument text."""
    with open_seekable(path) as file:
        archive = Archive(file)
        manifest = "META-INF/manifest.xml"
        if manifest in archive.names and b"encryption-data" in archive.read(manifest):
            raise ValueError("it is protected by a password: save it without one first")
        with archive.open("content.xml") as content:
            collector = TextCollector(_OPEN_DOCUMENT)
            yield from in_documents(_paragraphs(parse(content, collector)))


def _paragraphs(passages: Iterable[Passage]) -> Iterator[str]:
    for passage in passages:
        yield from passage.paragraphs()
