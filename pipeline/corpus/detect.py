"""Which format a file has: the marks in its content say so, or else the end of its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pipeline import InputError
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.encoding import wide_encoding
from pipeline.corpus.formats.archives import sniff_document
from pipeline.corpus.formats.conllu import looks_like_conllu, read_conllu
from pipeline.corpus.formats.epub import read_epub
from pipeline.corpus.formats.html import looks_like_html, looks_like_mhtml, read_html, read_mhtml
from pipeline.corpus.formats.json import looks_like_json, read_json
from pipeline.corpus.formats.json_lines import looks_like_json_lines, read_json_lines
from pipeline.corpus.formats.latex import looks_like_latex, read_latex
from pipeline.corpus.formats.mail import looks_like_mail, read_mail
from pipeline.corpus.formats.markdown import looks_like_markdown, read_markdown
from pipeline.corpus.formats.no_prose import NO_PROSE
from pipeline.corpus.formats.notebooks import looks_like_notebook, read_notebook
from pipeline.corpus.formats.office import read_docx, read_odt
from pipeline.corpus.formats.parquet import read_parquet_rows
from pipeline.corpus.formats.pdf import read_pdf
from pipeline.corpus.formats.plain import read_plain
from pipeline.corpus.formats.rtf import read_rtf
from pipeline.corpus.formats.separated import looks_like_table, read_separated
from pipeline.corpus.formats.spreadsheets import read_spreadsheet
from pipeline.corpus.formats.subtitles import looks_like_subtitles, read_subtitles
from pipeline.corpus.formats.tagged import (
    looks_like_numbered,
    looks_like_tagged,
    read_numbered,
    read_tagged,
)
from pipeline.corpus.formats.tei import looks_like_tei, read_tei
from pipeline.corpus.formats.telegram import looks_like_telegram, read_telegram
from pipeline.corpus.formats.texts import Texts
from pipeline.corpus.formats.verses import looks_like_verses, read_verses
from pipeline.corpus.formats.vertical import looks_like_vertical, read_vertical
from pipeline.corpus.formats.whatsapp import looks_like_whatsapp, read_whatsapp
from pipeline.corpus.formats.wiki import (
    looks_like_mediawiki,
    looks_like_wikiextractor,
    read_mediawiki,
    read_wikiextractor,
    read_wikitext,
)
from pipeline.corpus.formats.wikitext import looks_like_wikitext
from pipeline.corpus.opening import open_bytes, plain_line_ends, suffixes

_HEAD = 2**16  # bytes that are looked at

# The first bytes of files that are no text, and what they are.
_BINARY = (
    (b"PAR1", "parquet"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x1f\x8b", "compressed: let its name end in .gz"),
    (b"BZh", "compressed: let its name end in .bz2"),
    (b"\xfd7zXZ", "compressed: let its name end in .xz"),
    (b"\x28\xb5\x2f\xfd", "compressed: let its name end in .zst"),
    (b"7z\xbc\xaf", "an archive: unpack it first"),
    (b"Rar!", "an archive: unpack it first"),
    (b"OggS", "a sound recording"),
    (b"ID3", "a sound recording"),
    (b"RIFF", "a recording or a picture"),
    (b"SQLite format 3", "a database: export its texts as a table first"),
)


@dataclass(frozen=True)
class Format:
    """A format and its reader.

    Attributes:
        name: As files.csv and --format call it.
        suffixes: Of the names of its files.
        read: Yields the documents of a file.
        looks_like: Whether the first 64 KiB of a text are of this format. Without it, only the
            name of a file tells.
        end: What ends a document, where a long file may be cut; without it, files are read whole.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, ReadingConfig], Texts]
    looks_like: Callable[[str], bool] | None = None
    end: bytes = b""  # a regular expression


PLAIN = Format("text", (".txt",), read_plain, end=rb"\n\r?\n")
# Those that are surest of their own files come first.
FORMATS = (
    PLAIN,
    Format("mhtml", (".mhtml", ".mht"), read_mhtml, looks_like_mhtml),
    Format("html", (".html", ".htm", ".xhtml"), read_html, looks_like_html),
    Format("pdf", (".pdf",), read_pdf),
    Format("docx", (".docx",), read_docx),
    Format("odt", (".odt",), read_odt),
    Format("epub", (".epub",), read_epub),
    Format("rtf", (".rtf",), read_rtf),
    Format("whatsapp", (".zip",), read_whatsapp, looks_like_whatsapp),
    Format("telegram", (".json",), read_telegram, looks_like_telegram),
    Format("notebook", (".ipynb",), read_notebook, looks_like_notebook),
    Format("json", (".json",), read_json, looks_like_json),
    Format("jsonl", (".jsonl", ".ndjson"), read_json_lines, looks_like_json_lines, rb"\n"),
    Format("spreadsheet", (".xlsx", ".xlsm"), read_spreadsheet),
    Format("parquet", (".parquet",), read_parquet_rows),
    Format("conllu", (".conllu", ".conll"), read_conllu, looks_like_conllu),
    Format("tei", (".tei", ".xml"), read_tei, looks_like_tei),
    Format("mediawiki", (".xml",), read_mediawiki, looks_like_mediawiki, rb"</page>\s*"),
    Format("wikiextractor", (), read_wikiextractor, looks_like_wikiextractor, rb"</doc>\s*\n"),
    Format("tagged", (".pos",), read_tagged, looks_like_tagged, rb"\n"),
    Format(
        "vertical",
        (".vrt", ".vert", ".conll", ".iob", ".sgml"),
        read_vertical,
        looks_like_vertical,
        rb"</(?:doc|text|ext|DOC)>\s*\n",
    ),
    Format("corpus-do-portugues", (), read_numbered, looks_like_numbered, rb"\n"),
    Format("wikitext", (".wiki", ".mediawiki"), read_wikitext, looks_like_wikitext),
    Format(
        "mail",
        (".eml", ".mbox", ".emlx"),
        read_mail,
        looks_like_mail,
        rb"\n\r?\n(?=From [^\n]*\d:\d\d)",
    ),
    Format(
        "subtitles",
        (".srt", ".vtt", ".ass", ".ssa", ".sub", ".sbv"),
        read_subtitles,
        looks_like_subtitles,
    ),
    Format("latex", (".tex", ".ltx"), read_latex, looks_like_latex),
    Format("verses", (".tsv",), read_verses, looks_like_verses),
    Format("csv", (".csv", ".tsv"), read_separated, looks_like_table),
    Format(
        "markdown",
        (".md", ".markdown", ".mdown", ".mkd", ".mdx", ".rmd", ".qmd"),
        read_markdown,
        looks_like_markdown,
    ),
)
SUFFIXES = tuple(suffix for known in FORMATS for suffix in known.suffixes)
# Formats that would be read as plain text, markup included.
_MARKED_UP = ".xml .rss .atom .rst .org .adoc .textile .usfm .sfm .yml .yaml".split()


def by_name(name: str) -> Format:
    """Return the format of that name; raise InputError if there is none."""
    found = _find(name)
    if not found:
        names = ", ".join(known.name for known in FORMATS)
        raise InputError(f"There is no format {name!r}: let --format name one of {names}.")
    return found


def _find(name: str) -> Format | None:
    return next((known for known in FORMATS if known.name == name), None)


def detect(path: Path) -> Format:
    """Return the format of a file.

    Raises:
        ValueError: It is known, but not read here.
        OSError: The file cannot be read.
    """
    with open_bytes(path) as file:
        head = file.read(_HEAD)
    if not head.strip():
        return PLAIN  # whose reader finds that it is empty
    marked = next((what for mark, what in _BINARY if head.startswith(mark)), "")
    if what := marked or sniff_document(head, path):
        return _find(what) or _refuse(what)
    suffix = suffixes(path)[0]
    named = [known for known in FORMATS if suffix in known.suffixes]
    if named and not named[0].looks_like and named[0] is not PLAIN:
        return named[0]
    text = _decode_head(head)
    for known in (*named, *FORMATS):
        if known.looks_like and known.looks_like(text):
            return known
    for looks_like, what in NO_PROSE:
        if looks_like(text):
            _refuse(what)
    if suffix in _MARKED_UP:
        _refuse(f"a {suffix} file, which has markup: convert it to plain text first")
    return named[-1] if named else PLAIN  # the most general of that suffix


def _refuse(what: str) -> NoReturn:
    raise ValueError(f"it is {what}")


def _decode_head(head: bytes) -> str:
    """Decode the start of a text, whose last character may be cut."""
    text = head.decode(wide_encoding(head) or "utf-8", errors="replace")
    return plain_line_ends(text.removeprefix("\ufeff"))
