"""Corpora with a word a line, and corpora with marks of structure: <ext>, <p>, <s>."""

import collections
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.joining import (
    GLUE,
    VISL_MARKS,
    contractions_are_split,
    glue_tokens,
    join_tokens,
    plain_words,
)
from pipeline.corpus.formats.texts import Texts, in_documents
from pipeline.corpus.opening import open_lines
from pipeline.text.sentences import SENTENCE_ENDS

_HEAD = 2**16  # characters

# Part of speech, named entity, or features; a mark of punctuation may be its own tag.
_IN_LOWER_CASE = (
    "n|nom|noun|prop|adj|adv|v|vaux|aux|verb|art|det|prp|prep|pp|pron|num|conj|kc|ks|cc|cs|in|intj|"
    "ec|punc|punct|pu|pnt|sent|x|sym"
)
_TAG = re.compile(
    rf"[A-Z][\w:+|#.<>=*&$@-]{{0,30}}|[^\w\s]{{1,3}}|\[.*|(?:{_IN_LOWER_CASE})(?:[-+_:].*)?"
)
_PUNCTUATION = frozenset([*".,;:?!", "...", "$.", "$,"])
_DOCUMENT_STARTS = ("-DOCSTART-", "$START")
_NO_ROWS = ("# ", *_DOCUMENT_STARTS)
_ENDS = frozenset((*SENTENCE_ENDS, "..."))
_GO_ON = _ENDS | frozenset("»”’)],;:")
_LONG_SENTENCE = 300  # tokens; corpora may be all in lower case

_MARK = re.compile(r"<(/?)([A-Za-z]\w*)\b([^<>]*)>")
_PROLOGUE = re.compile(r"\s*(?:<[?!][^>]*>\s*)*")
_DOCUMENTS = frozenset("doc text ext article artigo file documento texto chapter".split())
_PARAGRAPHS = frozenset("p t title head li u a speaker".split())  # and chapter: of Europarl
_NO_TEXT = frozenset("docno docid date category url".split())  # of newspapers in TREC's form
_KNOWN = _DOCUMENTS | _PARAGRAPHS | _NO_TEXT | frozenset("s g corpus docs mwe".split())


class _Layout(NamedTuple):
    """How a corpus is written."""

    separator: str | None  # of columns; None for any white space
    column: int | None  # that holds the words; None if lines hold text
    has_sentences: bool  # which marks or empty lines end
    has_paragraphs: bool  # which marks end
    has_glue: bool  # <g/> where no space stands
    split: bool  # contractions, as `contractions_are_split` tells


def looks_like_vertical(head: str) -> bool:
    """Return whether each line holds a word with its tags, or marks say what is a sentence."""
    return _layout(head.split("\n")[:-1] or [head]) is not None


def read_vertical(path: Path, config: ReadingConfig) -> Texts:
    """Yield documents; a paragraph is what `<p>` marks, or without any a sentence."""
    with open_lines(path, config.section) as (file, encoding):
        yield from in_documents(vertical_paragraphs(file.readlines(_HEAD), file), encoding)


def vertical_paragraphs(head: Sequence[str], rest: Iterable[str]) -> Iterator[str | None]:
    """Yield the paragraphs of lines, and None at the end of a document.

    Raises:
        ValueError: The lines of the head are not those of such a corpus.
    """
    layout = _layout(head)
    if not layout:
        raise ValueError("its lines do not hold a word and its tags each")
    yield from _paragraphs(_parts(itertools.chain(head, rest), layout), layout)


def _layout(lines: Sequence[str]) -> _Layout | None:
    filled = [line.strip("\r\n") for line in lines if line.strip()]
    rows = [
        line
        for line in filled
        if not _MARK.fullmatch(line.strip()) and not line.startswith(_NO_ROWS)
    ]
    marks = collections.Counter(
        name.lower() for line in filled for slash, name, _ in _MARK.findall(line) if not slash
    )
    tabs = sum("\t" in row or _is_untagged(row) for row in rows)
    separator = "\t" if tabs > 0.9 * len(rows) else None
    cells = [_cells(row, separator) for row in rows]
    cells = [row * 2 if len(row) == 1 and row[0] in VISL_MARKS else row for row in cells]
    column = _column_of_words(cells, has_tabs=separator == "\t", tagged="s" not in marks)
    if column is None and not _is_structured(filled, marks):
        return None
    words = [row[column] for row in cells if len(row) > column] if column is not None else []
    return _Layout(
        separator,
        column,
        has_sentences="s" in marks or (column is not None and not all(map(str.strip, lines[:-1]))),
        has_paragraphs="p" in marks or (column is None and "s" not in marks),
        has_glue="g" in marks,
        split=contractions_are_split(words),
    )


def _is_untagged(row: str) -> bool:
    """Return whether a row of VISL is a mark, and perhaps what it depends on: "$. #7->0"."""
    return row[:1] == "$" and row.split(None, 1)[0] in VISL_MARKS


def _cells(row: str, separator: str | None, most: int = -1) -> list[str]:
    if separator and _is_untagged(row):
        return row.split(None, 1)[:1]
    return [cell.strip() for cell in row.split(separator, most)]


def _column_of_words(rows: Sequence[Sequence[str]], *, has_tabs: bool, tagged: bool) -> int | None:
    """Return the first column of words and punctuation, if rows are such a table.

    Args:
        rows: Cells of lines.
        has_tabs: Whether tabs separate the cells; lines of prose have spaces, too.
        tagged: Whether there must be a column of tags, too.
    """
    widths = sorted(map(len, rows))
    if len(rows) < 4:
        return None
    width = widths[len(rows) // 20]
    if width < 1 + tagged or (not has_tabs and widths[-1 - len(rows) // 20] > width):
        return None
    columns = list(zip(*(row[:width] for row in rows if len(row) >= width), strict=True))
    has_tags = [_share(_TAG.fullmatch, column) > 0.95 for column in columns]
    for number, column in enumerate(columns):
        if (
            _share(_PUNCTUATION.__contains__, column) > 1 / 80
            and _share(_is_word, column) > 0.2
            and _share(lambda cell: " " in cell, column) < 0.02
            and (any(has_tags[number + 1 :]) or not tagged)
        ):
            return number
    return None


def _share(holds: Callable[[str], object], cells: Sequence[str]) -> float:
    return sum(map(bool, map(holds, cells))) / len(cells)


def _is_word(cell: str) -> bool:
    return not cell.isupper() and cell[:1].isalpha()


def _is_structured(lines: Sequence[str], marks: collections.Counter[str]) -> bool:
    """Return whether a text with marks is a corpus, and not some other XML or HTML."""
    text = "\n".join(lines)
    first = _MARK.match(_PROLOGUE.sub("", text, count=1))
    known = sum(count for name, count in marks.items() if name in _KNOWN)
    if not first or first[2].lower() not in _KNOWN or known < 0.9 * marks.total():
        return False
    return "</s>" in text or first[2].lower() in _DOCUMENTS - {"text"}


def _parts(lines: Iterable[str], layout: _Layout) -> Iterator[tuple[str, str]]:
    """Yield (word or text, "") and ("", name of a mark); "/" before a name ends an element."""
    separator, column = layout.separator, layout.column
    for line in lines:
        if column is None:
            end = 0
            for mark in _MARK.finditer(line):
                yield line[end : mark.start()], ""
                yield "", (mark[1] + mark[2]).lower()
                end = mark.end()
            yield line[end:], ""
            if not layout.has_sentences:
                yield "", "/p"
        elif line.isspace():
            yield "", "/s"
        elif line[0] == "<" and (whole := _MARK.fullmatch(line.strip())):
            yield "", (whole[1] + whole[2]).lower()
        elif line.startswith(_DOCUMENT_STARTS):
            yield "", "doc"
        else:
            cells = _cells(line.strip("\r\n"), separator, column + 1)
            yield cells[column] if len(cells) > column else "", ""


def _paragraphs(parts: Iterable[tuple[str, str]], layout: _Layout) -> Iterator[str | None]:
    """Yield paragraphs, and None at the end of a document."""
    tokens: list[str] = []
    sentences: list[str] = []
    marked = layout.has_sentences or layout.has_paragraphs
    ended = silent = False
    for text, mark in itertools.chain(parts, [("", "/doc")]):
        name = mark.lstrip("/")
        if text and not silent:
            if ended and not _goes_on(text, tokens):
                yield _join(tokens, layout)
                tokens, ended = [], False
            tokens += [text] if layout.column is not None else text.split()
            ended = not marked and (ended or text in _ENDS)
        elif name == "g":
            tokens.append(GLUE)
        elif name in _NO_TEXT:
            silent = not mark.startswith("/")
        elif name == "s" or name in _PARAGRAPHS or name in _DOCUMENTS:
            if tokens:
                sentences.append(_join(tokens, layout))
                tokens, ended = [], False
            if name != "s" or not layout.has_paragraphs:
                yield " ".join(sentences)
                sentences = []
            if name in _DOCUMENTS:
                yield None


def _goes_on(word: str, tokens: Sequence[str]) -> bool:
    """Return whether a sentence with a full stop goes on: "Vem!" disse ela."""
    if len(tokens) > _LONG_SENTENCE:
        return False
    closes = word in "\"'" and tokens.count(word) % 2 == 1
    return closes or word in _GO_ON or word[0].islower()


def _join(tokens: Sequence[str], layout: _Layout) -> str:
    words = plain_words(tokens)
    return glue_tokens(words) if layout.has_glue else join_tokens(words, split=layout.split)
