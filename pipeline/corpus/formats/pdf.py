"""Read .pdf: the lines of each page, which `pages` makes into paragraphs."""

import ctypes
import math
import re
import statistics
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.encoding import join_surrogates
from pipeline.corpus.formats.archives import MAX_MEMBER
from pipeline.corpus.formats.pages import Line, Paragraphs
from pipeline.corpus.formats.texts import Note, Texts, in_documents
from pipeline.corpus.opening import open_seekable

_BATCH = 200  # pages that are compared to find running heads
_GAP = 1.5  # in heights of a line; wider ones may separate columns, or cells of a table
_SMALL = 0.9  # of the height of a line: the number of a note
_HYPHENS = "\x02\ufffe"  # PDFium writes a hyphen and the end of a line in this way
_WRITTEN: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), 0x7F, 0xAD, *range(0xE000, 0xF900)), None),
    0: "\N{REPLACEMENT CHARACTER}",  # its font does not tell which letter it is
    **{code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)},
    **dict.fromkeys(map(ord, _HYPHENS), "-"),
}  # without controls, and signs that only the font of the document knows (most are bullets)

_PAGE = re.compile(rb"^(\d+) 0 obj\s*<<(?:(?!endobj).)*?/Type\s*/Page\b", re.MULTILINE | re.DOTALL)
# What a PDF ends with, for one whose end is missing.
_LISTS = b"""
endstream endobj
9000001 0 obj << /Type /Pages /Count %d /Kids [%b] >> endobj
9000002 0 obj << /Type /Catalog /Pages 9000001 0 R >> endobj
trailer << /Root 9000002 0 R /Size 9000003 >>
"""


class _Box(NamedTuple):
    """Where a character stands, in points from the bottom left of the page."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom


class _Word(NamedTuple):
    """What stands between two spaces."""

    places: range  # of its characters, in the text of the page
    first: _Box
    last: _Box


def read_pdf(path: Path, config: ReadingConfig) -> Texts:
    """Yield the text of a PDF, and notes on its pages that have none."""
    try:
        import pypdfium2
    except ImportError as error:
        raise ValueError("it is a PDF: pip install 'nextword-pt[documents]'") from error
    with open_seekable(path) as file:
        document, whole = _open(pypdfium2, file)
        try:
            reader = _Reader(pypdfium2, document)
            empty = True
            for text in in_documents(reader.paragraphs()):
                yield text
                empty = False
            if empty and reader.pictures:
                raise ValueError("it is scanned: it has pictures of text, run OCR on it first")
            yield from reader.notes()
            if not whole:
                raise ValueError("it is damaged: its last pages are lost")
        finally:
            document.close()


def _open(pypdfium2: Any, file: IO[bytes]) -> tuple[Any, bool]:
    """Return the document, and whether it is whole: the list of its pages stands at its end."""
    try:
        return pypdfium2.PdfDocument(file), True
    except pypdfium2.PdfiumError as error:
        if "assword" in str(error) or "ecurity" in str(error):
            raise ValueError("it is protected by a password: save it without one first") from error
        file.seek(0)
        data = file.read(MAX_MEMBER)
        pages = [number + b" 0 R" for number in _PAGE.findall(data)]
        if not pages:
            raise ValueError("it is damaged: its pages cannot be found") from error
    lists = _LISTS % (len(pages), b" ".join(pages))
    try:
        return pypdfium2.PdfDocument(data + lists), False
    except pypdfium2.PdfiumError as error:
        raise ValueError("it is damaged: its pages cannot be read") from error


class _Reader:
    """Read the pages of a document."""

    def __init__(self, pypdfium2: Any, document: Any) -> None:
        self._pypdfium2, self._raw, self._document = pypdfium2, pypdfium2.raw, document
        self._damaged: list[int] = []
        self.pictures = 0  # pages without text that have pictures

    def paragraphs(self) -> Iterator[str]:
        found = Paragraphs()
        for first in range(0, len(self._document), _BATCH):
            numbers = range(first, min(first + _BATCH, len(self._document)))
            yield from found.add([lines for number in numbers if (lines := self._page(number))])
        yield from found.close()

    def notes(self) -> Iterator[Note]:
        """Yield what to tell of the pages that were not read."""
        if count := len(self._damaged):
            pages = f"{count:,} pages are" if count > 1 else "a page is"
            yield Note(f"{pages} damaged, from page {self._damaged[0]:,} on", count)
        if count := self.pictures:
            pages = f"{count:,} pages have" if count > 1 else "a page has"
            yield Note(f"{pages} pictures and no text", count)

    def _page(self, number: int) -> list[Line]:
        try:
            page = self._document[number]
            try:
                text = page.get_textpage()
                lines = [line for line in self._lines(text, page.get_rotation()) if line.text]
                text.close()
                if not lines:
                    self.pictures += self._has_pictures(page)
                return lines
            finally:
                page.close()
        except self._pypdfium2.PdfiumError:
            self._damaged.append(number + 1)
            return []

    def _has_pictures(self, page: Any) -> bool:
        return any(page.get_objects(filter=[self._raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))

    def _lines(self, text: Any, rotation: int) -> Iterator[Line]:
        """Yield the lines of a page in the order in which they were written."""
        signs = _Signs(self._raw, text, rotation)
        words: list[_Word] = []
        start = 0  # of the next word
        for place, sign in enumerate(signs.text):
            hyphen = sign in _HYPHENS
            if not hyphen and not sign.isspace():
                continue
            words += signs.word(range(start, place + hyphen))
            start = place + 1
            if hyphen or sign in "\r\n":
                yield from signs.lines(words)
                words = []
        yield from signs.lines([*words, *signs.word(range(start, len(signs.text)))])


class _Signs:
    """The characters of a page."""

    def __init__(self, raw: Any, page: Any, rotation: int) -> None:
        self._raw, self._page, self._rotation = raw, page, rotation
        places = range(page.count_chars())
        self.text = "".join(chr(raw.FPDFText_GetUnicode(page, place)) for place in places)

    def word(self, places: range) -> Iterator[_Word]:
        """Yield the word of these characters, if there are any."""
        if places:
            yield _Word(places, self.box(places[0]), self.box(places[-1]))

    def box(self, place: int) -> _Box:
        box = self._raw.FS_RECTF()
        self._raw.FPDFText_GetLooseCharBox(self._page, place, ctypes.byref(box))
        left, bottom, right, top = box.left, box.bottom, box.right, box.top
        if self._rotation == 90:
            return _Box(bottom, -right, top, -left)
        if self._rotation == 180:
            return _Box(-right, -top, -left, -bottom)
        if self._rotation == 270:
            return _Box(-top, left, -bottom, right)
        return _Box(left, bottom, right, top)

    def lines(self, words: list[_Word]) -> Iterator[Line]:
        """Yield a line, in parts where wide gaps divide it."""
        if not words or self._is_turned(words[len(words) // 2].places[0]):
            return
        height = statistics.median(word.first.height for word in words)
        part: list[_Word] = []
        for word in words:
            if part and word.first.left - part[-1].last.right > _GAP * height:
                yield self._line(part, height)
                part = []
            part.append(word)
        yield self._line(part, height)

    def _line(self, words: list[_Word], height: float) -> Line:
        text = " ".join(filter(None, (self._written(word, height) for word in words)))
        clean = unicodedata.normalize("NFC", join_surrogates(text))
        middle = words[len(words) // 2]
        ends = (words[0].places[0], middle.places[0], words[-1].places[-1])
        bold = all(map(self._is_bold, ends))
        left, right = words[0].first.left, words[-1].last.right
        return Line(clean, left, right, middle.first.bottom, middle.first.top, bold)

    def _written(self, word: _Word, height: float) -> str:
        """Return a word without the number of a note, which is small and raised."""
        places = word.places
        while places and self.text[places[-1]].isdigit():
            box = self.box(places[-1])
            if box.height > _SMALL * height or box.top < word.first.top - 0.2 * height:
                break
            places = places[:-1]
        return self.text[places.start : places.stop].translate(_WRITTEN)

    def _is_turned(self, place: int) -> bool:
        """Return whether a character stands aslant: a watermark, a stamp on the margin."""
        angle = self._raw.FPDFText_GetCharAngle(self._page, place)
        return abs(math.sin(angle - math.radians(self._rotation))) > 0.1

    def _is_bold(self, place: int) -> bool:
        name = ctypes.create_string_buffer(100)
        self._raw.FPDFText_GetFontInfo(self._page, place, name, len(name), None)
        return b"bold" in name.value.lower()
