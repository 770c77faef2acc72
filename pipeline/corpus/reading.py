"""Read files of every format in `files.FORMATS` as documents, in constant memory."""

import bz2
import contextlib
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import shutil
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet
from markdown_it import MarkdownIt

from pipeline import InputError
from pipeline.corpus.books import paragraphs
from pipeline.corpus.encoding import count_mojibake, decode
from pipeline.corpus.files import suffixes

# Longer texts, in bytes, are read in pieces: cleaning one takes about ten times its size in
# memory. The longest novels have half of this.
MAX_PIECE = 8 * 2**20
_BATCH_ROWS = 1024  # of a Parquet file, in memory at once

# Formats that would be read as plain text, markup included.
_MARKED_UP = (".html", ".htm", ".xml", ".rtf")

_OPENERS: dict[str, Callable[[Path], Any]] = {
    "": lambda path: path.open("rb"),
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    # The reader of the zstandard package does not notice a truncated file.
    ".zst": lambda path: io.BufferedReader(pa.input_stream(path, compression="zstd")),
}

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_HTML_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)
_CONLLU_COMMENT = re.compile(r"#\s*(newdoc|newpar|text(?=\s*=))\b\s*=?\s*(.*)")

_Texts = Iterator[tuple[list[str], str]]  # paragraphs and encoding of each document


@dataclass(frozen=True, slots=True)
class Document:
    """A text, ready to be split."""

    source: str  # name of its file, relative to the corpus
    text: str  # NFC, one paragraph a line, never empty
    encoding: str  # of its file, as `encoding.decode` returns it
    mojibake: int  # number of sequences that an earlier reader decoded wrongly
    damaged: int  # number of characters that cannot be read (U+FFFD)


def read_file(path: Path, source: str, *, text_column: str) -> Iterator[Document]:
    """Yield the documents of a file, in order; the format depends on the end of its name.

    A plain text or Markdown file is one document, or several if it is longer than `MAX_PIECE`. So
    is each row of a table (.csv, .tsv, .parquet, .jsonl), and each `# newdoc` of a treebank
    (.conllu). Documents without text are skipped.

    Raises:
        InputError: A table has no column `text_column`.
        ValueError, OSError: The file cannot be read, or not to its end.
    """
    kind, _ = suffixes(path)
    if kind in _MARKED_UP:
        raise ValueError(f"a {kind} file has markup: convert it to plain text first")
    try:
        if kind in (".csv", ".tsv"):
            texts = _read_separated(path, text_column)
        elif kind == ".jsonl":
            texts = _read_json_lines(path, text_column)
        elif kind == ".parquet":
            texts = _read_parquet_rows(path, text_column)
        elif kind == ".conllu":
            texts = _read_conllu(path)
        else:
            texts = _read_plain(path, _markdown_paragraphs if kind == ".md" else paragraphs)
        yield from _documents(texts, source)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file
        raise ValueError(f"its compression is damaged ({error})") from error


def read_texts(texts: Iterable[str], source: str) -> Iterator[Document]:
    """Yield a document for each text."""
    yield from _documents(((_row_paragraphs(text), "utf-8") for text in texts), source)


def _documents(texts: _Texts, source: str) -> Iterator[Document]:
    for found, encoding in texts:
        if found:
            text = "\n".join(found)
            damaged = text.count("\N{REPLACEMENT CHARACTER}")
            yield Document(source, text, encoding, count_mojibake(text), damaged)


def _open_bytes(path: Path) -> Any:
    return _OPENERS[suffixes(path)[1]](path)


@contextlib.contextmanager
def _open_text(path: Path) -> Iterator[tuple[IO[str], str]]:
    """Open a file of lines for reading; yield it and its encoding."""
    encoding = "utf-8-sig"  # which also reads UTF-8 without BOM
    with _open_bytes(path) as file:
        for data in _pieces(file):
            try:
                data.decode()
            except UnicodeDecodeError:
                encoding = decode(data)[1]
                break
    with io.TextIOWrapper(_open_bytes(path), encoding, errors="replace", newline="") as text:
        yield text, encoding.removesuffix("-sig")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a text in pieces of at most `MAX_PIECE`, split at an empty line if any."""
    start = file.read(2)
    mark = start if start in (b"\xff\xfe", b"\xfe\xff") else b""  # each piece of UTF-16 needs it
    wide = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(mark)
    rest = start.removeprefix(mark)
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


def _read_plain(path: Path, split: Callable[[str], list[str]]) -> _Texts:
    with _open_bytes(path) as file:
        for data in _pieces(file):
            text, encoding = decode(data)
            yield split(text), encoding


def _markdown_paragraphs(text: str) -> list[str]:
    """Return paragraphs, headings, list items and cells, without code, HTML and pictures."""
    text = text.replace("\r\n", "\n")
    text = _FRONT_MATTER.sub("", text, count=1) if text.startswith("---\n") else text
    found = []
    for block in _MARKDOWN.parse(text):
        if block.type != "inline":
            continue
        joined = ""
        for token in block.children or []:
            if token.type in ("text", "code_inline"):
                joined += token.content
            elif token.type == "softbreak":
                joined += " "
            elif token.type == "hardbreak" or (
                token.type == "html_inline" and _HTML_BREAK.fullmatch(token.content)
            ):
                joined += "\n"
        found += [clean for line in joined.split("\n") if (clean := " ".join(line.split()))]
    return found


def _row_paragraphs(text: str) -> list[str]:
    return paragraphs(unicodedata.normalize("NFC", text))


def _require_column(path: Path, columns: Sequence[str], text_column: str) -> None:
    if text_column not in columns:
        raise InputError(
            f"{path} has no column {text_column!r}: name the one that holds the text with "
            f"--text-column ({', '.join(columns)})."
        )


def _read_separated(path: Path, text_column: str) -> _Texts:
    # A quote that is never closed must not make one cell of all the rest.
    csv.field_size_limit(MAX_PIECE)
    with _open_text(path) as (file, encoding):
        head: list[str] = []  # through the first line that is not blank
        while not "".join(head).strip() and (line := file.readline()):
            head.append(line)
        # Spreadsheets with a decimal comma separate cells with semicolons. TSV has no quotes.
        if suffixes(path)[0] == ".tsv":
            options: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
        else:
            options = {"delimiter": max(",;", key="".join(head).count)}
        # Not pandas, which drops the rest of a row with a comma too many, or shifts the cells.
        rows = csv.reader(itertools.chain(head, file), strict=True, **options)
        try:
            columns = next(filter(None, rows), [])
            if not columns:
                return
            _require_column(path, columns, text_column)
            column = columns.index(text_column)
            for row in rows:
                if any(row[len(columns) :]):  # a comma at the end of a line does no harm
                    cells = f"{len(row)} cells where the first has {len(columns)}"
                    raise ValueError(f"line {rows.line_num} has {cells}")
                if column < len(row):
                    yield _row_paragraphs(row[column]), encoding
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num} is not a row of a table ({error})") from error


def _read_json_lines(path: Path, text_column: str) -> _Texts:
    keys: dict[str, None] = {}  # of the rows up to the first that has the column
    with _open_text(path) as (file, encoding):
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number} is not JSON ({error})") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            if text_column not in keys:
                keys |= dict.fromkeys(row)
                if number >= _BATCH_ROWS:
                    _require_column(path, list(keys), text_column)
            text = row.get(text_column)
            if text is None:
                continue
            if not isinstance(text, str):
                raise ValueError(f"{text_column!r} of line {number} is not text")
            if "\\ud" in line or "\\uD" in line:  # lone surrogates, which UTF-8 refuses
                text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            yield _row_paragraphs(text), encoding
    if keys:
        _require_column(path, list(keys), text_column)


def _read_parquet_rows(path: Path, text_column: str) -> _Texts:
    with _open_bytes(path) as file, tempfile.TemporaryFile() as unpacked:
        if suffixes(path)[1]:  # Parquet is read from its end
            shutil.copyfileobj(file, unpacked)
            file = unpacked
        try:
            table = pa.parquet.ParquetFile(file, pre_buffer=False, buffer_size=2**20)
            _require_column(path, table.schema_arrow.names, text_column)
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=[text_column]):
                for text in batch.column(0).to_pylist():
                    if isinstance(text, str):
                        yield _row_paragraphs(text), "utf-8"
                    elif text is not None:
                        raise ValueError(f"its column {text_column!r} does not hold text")
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"it is not a Parquet file ({reason})") from error


def _read_conllu(path: Path) -> _Texts:
    """Yield documents; a paragraph begins at `# newpar`, or without any at each sentence."""
    found: list[str] = []
    size, in_paragraph, opens, has_text = 0, False, True, False
    with _open_text(path) as (file, encoding):
        for comment in filter(None, map(_CONLLU_COMMENT.match, file)):
            what, value = comment.groups()
            if what == "newdoc" or (size > MAX_PIECE and (what == "newpar" or not in_paragraph)):
                yield found, encoding
                found, size = [], 0
            if what != "text":
                in_paragraph, opens = what == "newpar", True
                continue
            has_text = True
            sentence = unicodedata.normalize("NFC", " ".join(value.split()))
            if in_paragraph and not opens:
                found[-1] = f"{found[-1]} {sentence}"
            elif sentence:
                found.append(sentence)
                opens = False
            size += len(sentence)
        if not has_text:
            raise ValueError("it has no lines '# text = …'")
        yield found, encoding
