"""Treebanks in CoNLL-U, and in CoNLL-X and CoNLL-2009 before it."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.joining import (
    GLUE,
    contractions_are_split,
    glue_tokens,
    join_tokens,
    plain_words,
)
from pipeline.corpus.formats.texts import Texts, in_documents
from pipeline.corpus.opening import open_lines

_COMMENT = re.compile(r"#\s*(newdoc|newpar|text(?=\s*=))\b\s*=?\s*(.*)")
_ROW = re.compile(r"(\d+)(?:([-.])(\d+))?[ \t]+(\S[^\t\r\n]*)")
_FULL_ROW = re.compile(r"\d+(?:[-.]\d+)?\t([^\t]+)(?:\t[^\t]+){6,}")
_HEAD = 2**16  # characters

_Join = Callable[[Iterable[str]], str]


def looks_like_conllu(head: str) -> bool:
    """Return whether all lines but comments are rows of a treebank."""
    lines = head.split("\n")[:-1] or [head]
    rows = [line for line in lines if line and not line.startswith("#")]
    first = any(line.startswith(("1\t", "1-2\t")) for line in rows[:1])
    forms = [row[1] for row in map(_FULL_ROW.match, rows) if row]
    with_space = sum(" " in form for form in forms)
    return first and len(forms) == len(rows) and with_space < max(1, len(forms) / 50)


def read_conllu(path: Path, config: ReadingConfig) -> Texts:
    """Yield documents; a paragraph begins at `# newpar`, or without any at each sentence.

    A sentence is its `# text`, or else its words and marks joined.
    """
    with open_lines(path) as (file, encoding):
        yield from in_documents(_paragraphs(file), encoding)


def _paragraphs(lines: IO[str]) -> Iterator[str | None]:
    """Yield paragraphs, and None at the end of a document."""
    sentences: list[str] = []
    in_paragraph = has_text = False
    for what, value in _parts(lines):
        if what == "text":
            has_text = True
            sentences += filter(None, [" ".join(value.split())])
        else:
            in_paragraph = what == "newpar"
        if what != "text" or not in_paragraph:
            yield " ".join(sentences)
            sentences = []
        if what == "newdoc":
            yield None
    if not has_text:
        raise ValueError("it has no words in numbered rows")
    yield " ".join(sentences)


def _parts(lines: IO[str]) -> Iterator[tuple[str, str]]:
    """Yield ("newdoc", …), ("newpar", …) and ("text", sentence)."""
    head = lines.readlines(_HEAD)
    join = _way_to_join(head)
    rows: list[str] = []  # of a sentence without `# text`
    text, has_text = "", False
    for line in itertools.chain(head, lines, [""]):
        comment = _COMMENT.match(line) if line[:1] == "#" else None
        is_text = bool(comment and comment[1] == "text")
        if text and (line[:1] != "#" or is_text):  # `# newpar` may stand below `# text`
            yield "text", text
            text = ""
        if line[:1].isdigit():
            if not has_text:
                rows.append(line)
            continue
        if rows and (comment or not line.strip()):
            tokens = list(_tokens(rows))
            if any(token != "_" for token in tokens):  # which stands for what may not be shared
                yield "text", join(plain_words(tokens))
            rows = []
        if comment and is_text:
            text, has_text = comment[2], True
        elif comment:
            yield comment[1], comment[2]
        elif not line.strip():
            has_text = False


def _way_to_join(head: Iterable[str]) -> _Join:
    if any("SpaceAfter=No" in line for line in head):
        return glue_tokens
    return partial(join_tokens, split=contractions_are_split(_tokens(head)))


def _tokens(rows: Iterable[str]) -> Iterator[str]:
    """Yield the words and marks of a sentence, and `GLUE`."""
    parts = range(0)  # of the word before, as "de" and "o" of "do"
    for row in filter(None, map(_ROW.match, rows)):
        number, sign, end, form = row.groups()
        if sign == "." or (sign is None and int(number) in parts):
            continue
        parts = range(int(number), int(end) + 1) if sign else range(0)
        # Bosque marks the first part of a contraction, where it has no row for the whole.
        yield f"{form}_" if "<sam->" in row.string else form
        if "SpaceAfter=No" in row.string:
            yield GLUE
