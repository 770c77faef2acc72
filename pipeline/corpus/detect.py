"""Which format a file has: the marks in its content say so, or else the end of its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.conllu import read_conllu
from pipeline.corpus.formats.markdown import read_markdown
from pipeline.corpus.formats.plain import read_plain
from pipeline.corpus.formats.tables import read_json_lines, read_parquet_rows, read_separated
from pipeline.corpus.formats.texts import Texts
from pipeline.corpus.opening import suffixes


@dataclass(frozen=True)
class Format:
    """A format and its reader."""

    name: str  # in files.csv
    suffixes: tuple[str, ...]  # of the names of its files
    read: Callable[[Path, ReadingConfig], Texts]


PLAIN = Format("text", (".txt",), read_plain)
FORMATS = (
    PLAIN,
    Format("markdown", (".md",), read_markdown),
    Format("csv", (".csv", ".tsv"), read_separated),
    Format("jsonl", (".jsonl",), read_json_lines),
    Format("parquet", (".parquet",), read_parquet_rows),
    Format("conllu", (".conllu",), read_conllu),
)
# Formats that would be read as plain text, markup included.
_MARKED_UP = (".html", ".htm", ".xml", ".rtf")


def detect(path: Path) -> Format:
    """Return the format of a file; raise ValueError if none can read it."""
    suffix = suffixes(path)[0]
    if suffix in _MARKED_UP:
        raise ValueError(f"a {suffix} file has markup: convert it to plain text first")
    return next((known for known in FORMATS if suffix in known.suffixes), PLAIN)
