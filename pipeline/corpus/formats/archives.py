"""Zip archives that are documents: what they are, and their members, of limited size."""

import contextlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

from pipeline.corpus.opening import open_bytes, open_seekable

MAX_MEMBER = 256 * 2**20  # bytes, unpacked
# A zip bomb is packed tighter than any text: markup that repeats itself reaches 1 to 50.
_MAX_RATIO = 200
_ALWAYS_FINE = 4 * 2**20  # bytes, unpacked

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAIN_PART = re.compile(rb'<Relationship\b[^>]*?/officeDocument"[^>]*>')
_TARGET = re.compile(rb'\bTarget="/?([^"]+)"')
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."

# What an archive is, by the start of a member's name, and of its type if it says one.
_BY_TYPE = {
    _OPEN_DOCUMENT + "text": "odt",
    _OPEN_DOCUMENT + "spreadsheet": "a spreadsheet of .ods: save it as .xlsx or .csv first",
    _OPEN_DOCUMENT: "a drawing or a presentation: save its text as .odt first",
    "application/epub+zip": "epub",
}
_BY_NAME = {
    "word/": "docx",
    "META-INF/container.xml": "epub",
    "xl/workbook.bin": "a spreadsheet of .xlsb: save it as .xlsx or .csv first",
    "xl/": "spreadsheet",
    "ppt/": "a presentation: save its text as .docx first",
    "Index/Document.iwa": "a Pages document: export it as .docx first",
}


class Archive:
    """A zip archive whose members are read within limits."""

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
            _damaged(error)
        self.names = self._zip.namelist()

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a member for reading.

        Raises:
            ValueError: It is missing, damaged, encrypted or a zip bomb.
        """
        self.check(name, most=MAX_MEMBER)
        try:
            with self._zip.open(name) as member:
                yield member
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            _damaged(error)

    def check(self, name: str, *, most: float) -> None:
        """Check that a member can be read, and unpacks to so many bytes at most."""
        if name not in self.names:
            raise ValueError(f"its {name} is missing")
        info = self._zip.getinfo(name)
        if info.flag_bits & 1:
            raise ValueError("it is protected by a password: save it without one first")
        size = info.file_size  # no more is unpacked, whatever is packed
        if size > most or size > max(_ALWAYS_FINE, _MAX_RATIO * info.compress_size):
            raise ValueError(f"its {name} unpacks to {size:,} bytes, which no text has")

    def read(self, name: str) -> bytes:
        """Return the bytes of a member."""
        with self.open(name) as member:
            return member.read()

    def kind(self) -> str:
        """Return the name of its format, or what it is."""
        if "mimetype" in self.names:
            says = self.read("mimetype").decode("ascii", errors="replace").strip()
            for start, kind in _BY_TYPE.items():
                if says.startswith(start):
                    return kind
        for start, kind in _BY_NAME.items():
            if any(name.startswith(start) for name in self.names):
                return kind
        if any(name.endswith(".txt") for name in self.names):
            return "whatsapp"  # whose reader tells if there is no chat
        return "a zip archive: unpack it first"

    def main_part(self) -> str:
        """Return the name of the main part of an Office document."""
        relations = _MAIN_PART.search(self.read("_rels/.rels"))
        target = relations and _TARGET.search(relations[0])
        return target[1].decode() if target else "word/document.xml"


def _damaged(error: Exception) -> NoReturn:
    raise ValueError(f"it is a damaged .zip file ({error})") from error


def sniff_document(head: bytes, path: Path) -> str:
    """Return the name of the format of a file of bytes, or what it is; "" if it may be text."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with open_seekable(path) as file:
            return Archive(file).kind()
    if head.startswith(_OLE):
        with open_bytes(path) as file:
            locked = "EncryptedPackage".encode("utf-16-le") in file.read(MAX_MEMBER)
        if locked:
            return "protected by a password: save it without one first"
        return "an old Office document (.doc, .xls): save it as .docx or .csv first"
    if b"%PDF-" in head[:1024] and (head.lstrip().startswith(b"%PDF-") or b" obj" in head):
        return "pdf"
    return "rtf" if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{\\rtf") else ""
