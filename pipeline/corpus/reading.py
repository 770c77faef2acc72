"""Files of every format that `files.FORMATS` names become documents, in memory that stays flat."""

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import re
import shutil
import tempfile
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa
import pyarrow.parquet
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline import InputError
from pipeline.corpus.books import paragraphs
from pipeline.corpus.encoding import count_mojibake, decode
from pipeline.corpus.files import suffixes

# A plain text longer than this, in bytes, is read in pieces: repairing one takes some ten
# times its size in memory. The longest novels have half of it.
LONGEST = 8 * 2**20

# What would be read as text, with everything in it that is none.
_MARKED_UP = (".html", ".htm", ".xml", ".rtf")

# Rows of a Parquet file that are in memory at once.
_ROWS = 1024

_Bytes = io.BufferedReader | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)
_CONLLU_COMMENT = re.compile(r"#\s*(newdoc|newpar|text(?=\s*=))\b\s*=?\s*(.*)")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, ready to be split.

    Attributes:
        source: the name of the file it is from, relative to the corpus.
        text: NFC, one paragraph a line; never empty.
        encoding: the encoding of the file, as `encoding.decode` names it.
        mojibake: how many sequences of letters an earlier reader has decoded wrongly.
        damaged: how many characters cannot be read (U+FFFD).
    """

    source: str
    text: str
    encoding: str
    mojibake: int
    damaged: int


def read_file(path: Path, source: str, *, text_column: str) -> Iterator[Document]:
    """The documents of a file, in its order.

    A plain text or Markdown file is one document, or several where it is longer than `LONGEST`
    bytes; a row of a table (.csv, .tsv, .parquet, .jsonl) is one, and so is what `# newdoc`
    begins in a treebank (.conllu). Documents without text are left out.

    Args:
        path: the file; how it is read depends on the end of its name.
        source: the name that its documents bear.
        text_column: which column of a table holds text.

    Raises:
        InputError: a table has no such column.
        ValueError, OSError: the file cannot be read (to its end: documents may have come before).
    """
    kind, _ = suffixes(path)
    if kind in _MARKED_UP:
        raise ValueError(f"a {kind} file is marked up: make plain text of it first")
    try:
        if kind in (".csv", ".tsv"):
            texts = _read_separated(path, text_column)
        elif kind == ".jsonl":
            texts = _read_json_lines(path, text_column)
        elif kind == ".parquet":
            texts = _read_parquet(path, text_column)
        elif kind == ".conllu":
            texts = _read_conllu(path)
        else:
            texts = _read_plain(path, is_markdown=kind == ".md")
        for found, encoding in texts:
            yield from _document(source, found, encoding)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # from the disk
        raise ValueError(f"its compression is damaged ({error})") from error


def read_texts(texts: Iterable[str], source: str) -> Iterator[Document]:
    """The documents of texts that somebody else has read, one each."""
    for text in texts:
        yield from _document(source, _row_paragraphs(text), "utf-8")


def _document(source: str, found: Sequence[str], encoding: str) -> Iterator[Document]:
    """A document of paragraphs, or none where there are none."""
    if found:
        text = "\n".join(found)
        damaged = text.count("\N{REPLACEMENT CHARACTER}")
        yield Document(source, text, encoding, count_mojibake(text), damaged)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[_Bytes]:
    """The bytes of a file, decompressed."""
    compression = suffixes(path)[1]
    with path.open("rb") as file:
        if compression == ".gz":
            with gzip.GzipFile(fileobj=file) as opened:
                yield opened
        elif compression == ".bz2":
            with bz2.BZ2File(file) as opened:
                yield opened
        elif compression == ".xz":
            with lzma.LZMAFile(file) as opened:
                yield opened
        elif compression == ".zst":
            # Arrow's, because the reader of zstandard takes a file cut short for a whole one.
            with io.BufferedReader(pa.input_stream(file, compression="zstd")) as opened:
                yield opened
        else:
            yield file


def _pieces(file: _Bytes) -> Iterator[bytes]:
    """The bytes of a text, cut at an empty line or what comes nearest once they are too many."""
    start = file.read(2)
    mark = start if start in (b"\xff\xfe", b"\xfe\xff") else b""  # each piece of UTF-16 needs it
    wide = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(mark)
    rest = start.removeprefix(mark)
    while len(data := rest + file.read(LONGEST - len(rest))) >= LONGEST:
        end = _last_line_end(data, wide or "ascii", width=2 if wide else 1)
        yield mark + data[:end]
        rest = data[end:]
    if data:
        yield mark + data


def _last_line_end(data: bytes, encoding: str, *, width: int) -> int:
    for separator in ("\n\n", "\n\r\n", "\n", "\r", " "):
        sought = separator.encode(encoding)
        end = len(data)
        while (place := data.rfind(sought, len(data) // 2, end)) >= 0:
            if place % width == 0:
                return place + len(sought)
            end = place + len(sought) - 1
    return len(data) // width * width


def _read_plain(path: Path, *, is_markdown: bool) -> Iterator[tuple[list[str], str]]:
    with _open(path) as file:
        for data in _pieces(file):
            text, encoding = decode(data)
            yield (_markdown_paragraphs(text) if is_markdown else paragraphs(text)), encoding


def _markdown_paragraphs(text: str) -> list[str]:
    """The text of paragraphs, headings, list items and cells, without code, HTML and pictures."""
    text = text.replace("\r\n", "\n")
    text = _FRONT_MATTER.sub("", text, count=1) if text.startswith("---\n") else text
    found = []
    for block in _MARKDOWN.parse(text):
        if block.type == "inline":
            lines = "".join(map(_inline_text, block.children or [])).split("\n")
            found += [clean for line in lines if (clean := " ".join(line.split()))]
    return found


def _inline_text(token: Token) -> str:
    if token.type in ("text", "code_inline"):
        return token.content
    if token.type == "html_inline" and _LINE_BREAK.fullmatch(token.content):
        return "\n"
    return {"softbreak": " ", "hardbreak": "\n"}.get(token.type, "")


def _find_encoding(path: Path) -> str:
    """The encoding of a table: UTF-8 if all of it is, or that of the first piece that is not."""
    with _open(path) as file:
        for data in _pieces(file):
            try:
                data.decode()
            except UnicodeDecodeError:
                return decode(data)[1]
    return "utf-8-sig"  # which reads UTF-8 without BOM as well


@contextlib.contextmanager
def _open_text(path: Path, encoding: str) -> Iterator[IO[str]]:
    with (
        _open(path) as file,
        io.TextIOWrapper(file, encoding, errors="replace", newline="") as text,
    ):
        yield text


def _row_paragraphs(text: str) -> list[str]:
    return paragraphs(unicodedata.normalize("NFC", text))


def _choose_column(path: Path, columns: Sequence[str], text_column: str) -> str:
    if text_column not in columns:
        raise InputError(
            f"{path} has no column {text_column!r}: name the one that holds the text with "
            f"--text-column ({', '.join(columns)})."
        )
    return text_column


def _read_separated(path: Path, text_column: str) -> Iterator[tuple[list[str], str]]:
    encoding = _find_encoding(path)
    with _open_text(path, encoding) as file:
        header = next(filter(str.strip, file), "")
    # Spreadsheets that write a decimal comma separate with semicolons. TSV knows no quotes.
    tabs = suffixes(path)[0] == ".tsv"
    separator = "\t" if tabs else max(",;", key=header.count)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL
    # A quote that is never closed must not make one cell of all the rest.
    csv.field_size_limit(LONGEST)
    with _open_text(path, encoding) as file:
        # Not pandas: of a row with a comma too many it drops the rest, or shifts the cells.
        rows = csv.reader(file, delimiter=separator, quoting=quoting, strict=True)
        try:
            columns = next(filter(None, rows), [])
            if not columns:
                return
            column = columns.index(_choose_column(path, columns, text_column))
            for row in rows:
                if any(row[len(columns) :]):  # a comma at the end of a line does no harm
                    raise ValueError(
                        f"line {rows.line_num} has {len(row)} cells where the first has "
                        f"{len(columns)}"
                    )
                if column < len(row):
                    yield _row_paragraphs(row[column]), encoding.removesuffix("-sig")
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num} is no row of a table ({error})") from error


def _read_json_lines(path: Path, text_column: str) -> Iterator[tuple[list[str], str]]:
    encoding = _find_encoding(path)
    keys: dict[str, None] = {}  # of the rows up to the first that has the column
    found = False
    with _open_text(path, encoding) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number} is no JSON ({error})") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object")
            if not found:
                keys |= dict.fromkeys(row)
                found = text_column in keys
                if not found and number >= _ROWS:
                    break
            text = row.get(text_column)
            if text is None:
                continue
            if not isinstance(text, str):
                raise ValueError(f"{text_column!r} of line {number} is no text")
            if "\\ud" in line or "\\uD" in line:  # halves of a character, which UTF-8 refuses
                text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            yield _row_paragraphs(text), encoding.removesuffix("-sig")
    if keys and not found:
        _choose_column(path, list(keys), text_column)


def _read_parquet(path: Path, text_column: str) -> Iterator[tuple[list[str], str]]:
    with contextlib.ExitStack() as stack:
        packed = stack.enter_context(_open(path))
        unpacked: _Bytes | IO[bytes] = packed
        if suffixes(path)[1]:  # Parquet is read from its end
            unpacked = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(packed, unpacked)
        try:
            table = pa.parquet.ParquetFile(unpacked, pre_buffer=False, buffer_size=2**20)
            column = _choose_column(path, table.schema_arrow.names, text_column)
            for batch in table.iter_batches(batch_size=_ROWS, columns=[column]):
                for text in batch.column(0).to_pylist():
                    if text is None:
                        continue
                    if not isinstance(text, str):
                        raise ValueError(f"its column {column!r} holds no text")
                    yield _row_paragraphs(text), "utf-8"
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"it is no Parquet file ({str(error).splitlines()[0]})") from error


def _read_conllu(path: Path) -> Iterator[tuple[list[str], str]]:
    encoding = _find_encoding(path)
    with _open_text(path, encoding) as file:
        for found in _conllu_documents(file):
            yield found, encoding.removesuffix("-sig")


def _conllu_documents(lines: Iterable[str]) -> Iterator[list[str]]:
    """Paragraphs of the documents: `# newpar` begins one, or each sentence where it is missing."""
    found: list[str] = []
    length, in_paragraph, opens, has_text = 0, False, True, False
    for line in lines:
        comment = _CONLLU_COMMENT.match(line) if line.startswith("#") else None
        if not comment:
            continue
        what, value = comment.groups()
        if what == "newdoc" or (what == "newpar" and length > LONGEST):
            yield found
            found, length = [], 0
        if what != "text":
            in_paragraph, opens = what == "newpar", True
            continue
        has_text = True
        sentence = unicodedata.normalize("NFC", " ".join(value.split()))
        if in_paragraph and not opens:
            found[-1] = f"{found[-1]} {sentence}"
        elif sentence:
            if not in_paragraph and length > LONGEST:
                yield found
                found, length = [], 0
            found.append(sentence)
            opens = False
        length += len(sentence)
    if not has_text:
        raise ValueError("it has no lines '# text = …'")
    yield found
