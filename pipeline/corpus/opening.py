"""Open files, compressed or not, as bytes, as lines of text, or as pieces of a long text."""

import bz2
import contextlib
import gzip
import io
import lzma
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from pipeline.corpus.config import Section
from pipeline.corpus.encoding import (
    HEAD,
    byte_order_mark,
    decode,
    decode_line,
    is_utf8,
    wide_encoding,
)

# Longer texts, in bytes, are read in pieces: cleaning one takes about ten times its size in
# memory. The longest novels have half of this.
MAX_PIECE = 8 * 2**20
_MAX_LINE = 64 * 2**20

_OPENERS: dict[str, Callable[[Path], Any]] = {
    "": lambda path: path.open("rb"),
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    # The reader of the zstandard package does not notice a truncated file.
    ".zst": lambda path: io.BufferedReader(pa.input_stream(path, compression="zstd")),
}
COMPRESSIONS = tuple(filter(None, _OPENERS))


def suffixes(path: Path) -> tuple[str, str]:
    """Return the (format, compression) suffixes in lower case; "" for one that is missing."""
    name = Path(path.name.lower())
    compression = name.suffix if name.suffix in COMPRESSIONS else ""
    return Path(name.name.removesuffix(compression)).suffix, compression


def open_bytes(path: Path, section: Section | None = None) -> Any:
    """Open a file to read its bytes; the end of its name tells how it is compressed."""
    if section:
        return io.BufferedReader(_Window(path, section))
    return _OPENERS[suffixes(path)[1]](path)


@contextlib.contextmanager
def open_seekable(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading in any order; a compressed one is unpacked into a temporary file."""
    with open_bytes(path) as file:
        if not suffixes(path)[1]:
            yield file
            return
        with tempfile.TemporaryFile() as unpacked:
            shutil.copyfileobj(file, unpacked)
            unpacked.seek(0)
            yield unpacked


class _Derived(io.RawIOBase):
    """A file for reading that is made from another, and closes it."""

    def __init__(self, file: Any):
        self._file = file

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


class _Window(_Derived):
    """The bytes of a section of a file."""

    def __init__(self, path: Path, section: Section):
        super().__init__(path.open("rb"))
        self._left = section.stop - section.start
        self._file.seek(section.start)

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(memoryview(buffer)[: self._left])
        self._left -= count
        return count


@contextlib.contextmanager
def open_lines(path: Path, section: Section | None = None) -> Iterator[tuple[IO[str], str]]:
    """Open a file of lines for reading; yield it and its encoding."""
    encoding, wide, broken = "utf-8", "", False
    with open_bytes(path, section) as file:
        for data in pieces(file):
            wide = wide_encoding(data)
            if wide or not is_utf8(data):
                encoding, broken = decode(data)[1].removesuffix("-sig"), not wide
            if encoding != "utf-8":
                break
    lines = open_bytes(path, section)
    mark = byte_order_mark(wide)
    if mark and lines.peek(len(mark)).startswith(mark):
        lines.read(len(mark))
    if broken:
        lines = io.BufferedReader(_Lines(lines, encoding))
    # utf-8-sig also reads UTF-8 without BOM.
    with _ShortLines(lines, wide or "utf-8-sig", errors="replace", newline="") as text:
        yield text, encoding


class _ShortLines(io.TextIOWrapper):
    """Lines of at most `_MAX_LINE` characters: a small packed file may hold one of gigabytes."""

    def __next__(self) -> str:  # type: ignore[override]
        if line := self.readline(_MAX_LINE):
            return line
        raise StopIteration


class _Lines(_Derived):
    """A file in UTF-8, made from one whose lines are in the encodings that `decode` named."""

    def __init__(self, file: IO[bytes], encoding: str):
        super().__init__(file)
        self._encoding, self._rest = encoding, b""

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            lines = self._file.readline(MAX_PIECE).splitlines(keepends=True)  # \r ends one, too
            text = "".join(decode_line(line, self._encoding) for line in lines)
            self._rest = text.encode()
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def read_pieces(path: Path, section: Section | None = None) -> Iterator[tuple[str, str]]:
    """Yield a text in pieces, each with its encoding, of at most about `MAX_PIECE`."""
    with open_bytes(path, section) as file:
        for data in pieces(file):
            text, encoding = decode(data)
            yield plain_line_ends(text), encoding


def plain_line_ends(text: str) -> str:
    r"""Return a text whose lines all end in "\n"."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a text in pieces of at most `MAX_PIECE`, split at an empty line if any.

    Each piece of UTF-16 begins with a byte order mark.
    """
    rest = file.read(min(HEAD, MAX_PIECE))
    wide = wide_encoding(rest)
    mark = byte_order_mark(wide)
    rest = rest.removeprefix(mark)
    while len(data := rest + file.read(MAX_PIECE - len(rest))) >= MAX_PIECE:
        end = _last_line_end(data, wide or "ascii", width=2 if wide else 1)
        yield mark + data[:end]
        rest = data[end:]
    if data:
        yield mark + data


def _last_line_end(data: bytes, encoding: str, *, width: int) -> int:
    for separator in ("\n\n", "\n\r\n", "\n", "\r", " "):
        encoded = separator.encode(encoding)
        end = len(data)
        while (place := data.rfind(encoded, len(data) // 2, end)) >= 0:
            if place % width == 0:
                return place + len(encoded)
            end = place + len(encoded) - 1
    return len(data) // width * width
