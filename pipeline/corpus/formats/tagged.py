"""Words that carry tags, `word_TAG` or `word/TAG`, and the texts of the Corpus do Português."""

import collections
import itertools
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.joining import contractions_are_split, join_tokens, plain_words
from pipeline.corpus.formats.texts import Texts, in_documents
from pipeline.corpus.formats.vertical import vertical_paragraphs
from pipeline.corpus.opening import open_lines

_HEAD = 2**16  # characters
_TAG = re.compile(r"[A-Za-z][\w+|:.,#<>=()*$&@-]{0,24}|[^\w\s]{1,3}")
_STRUCTURE = re.compile(r"</?[A-Za-z]\w*>?|\w+=\S*>")  # <s>, <p n=1>
# The Tycho Brahe Corpus numbers and comments its sentences.
_NO_WORDS = frozenset(("ID", "CODE", "COM"))

# Texts of the Corpus do Português have a number; of every 200 words ten are "@".
_NUMBERED = re.compile(r"(?:##|@@)\d+\s+")
_PARAGRAPH_ENDS = re.compile(r"<[ph]>|(?:(?<!\S)@\s+){3,}@?")


class _Layout(NamedTuple):
    """How words carry tags."""

    mark: str  # between a word and its tag
    tags: int  # of each word; 0 if some have more than others
    split: bool  # whether contractions are split

    def parts(self, token: str) -> list[str]:
        """Return a word and its tags; a mark of structure (<s>) has no word."""
        if (token[0] == "<" or token[-1] == ">") and _STRUCTURE.fullmatch(token):
            return [""]
        token = token.replace("*//", "/")  # LX-Tokenizer: a space follows
        if self.tags:  # the word may hold the mark, too: 1/2/NUM
            return token.rsplit(self.mark, self.tags)
        word, *tags = token[1:].split(self.mark)
        return [token[:1] + word, *tags]


def looks_like_tagged(head: str) -> bool:
    """Return whether nearly all words carry a tag after `_` or `/`."""
    return _layout(head.split()) is not None


def read_tagged(path: Path, config: ReadingConfig) -> Texts:
    """Yield a text as one document, a line (or a sentence, if lines are words) as one paragraph."""
    with open_lines(path, config.section) as (file, encoding):
        head = file.readlines(_HEAD)
        layout = _layout("".join(head).split())
        if not layout:
            raise ValueError("its words do not carry a tag each")
        if sum(len(line.split()) > 1 for line in head) < len(head) / 10:  # a word a line
            as_row = partial(_as_row, layout)
            found = vertical_paragraphs(list(map(as_row, head)), map(as_row, file))
            yield from in_documents(found, encoding)
            return
        lines = (line.split() for line in itertools.chain(head, file))
        texts = (
            join_tokens(plain_words(_words(line, layout)), split=layout.split) for line in lines
        )
        yield from in_documents(texts, encoding)


def looks_like_numbered(head: str) -> bool:
    """Return whether a text is of the Corpus do Português."""
    lines = [line for line in head.split("\n")[:-1] or [head] if line.strip()]
    return bool(lines) and all(map(_NUMBERED.match, lines)) and "@ @ @" in head


def read_numbered(path: Path, config: ReadingConfig) -> Texts:
    """Yield a document for each text; a paragraph ends where words are left out."""
    with open_lines(path, config.section) as (file, encoding):
        texts = (
            join_tokens(part.split()) if part is not None else None
            for line in file
            for part in (*_PARAGRAPH_ENDS.split(_NUMBERED.sub("", line, count=1)), None)
        )
        yield from in_documents(texts, encoding)


def _layout(tokens: Iterable[str]) -> _Layout | None:
    tokens = [token for token in tokens if not _STRUCTURE.fullmatch(token)]
    for mark in "_/":
        counts = collections.Counter(token.count(mark) for token in tokens if len(token) > 2)
        if not counts or not 1 <= counts.most_common(1)[0][0] <= 3:
            continue
        number, count = counts.most_common(1)[0]
        layout = _Layout(mark, number if count > 0.85 * counts.total() else 0, split=False)
        parts = [layout.parts(token) for token in tokens]
        tagged = sum(len(part) > 1 and bool(_TAG.fullmatch(part[-1])) for part in parts)
        tags = [part[-1] for part in parts]
        capitals = sum(tag[:1].isupper() for tag in tags)
        marks = sum(not part[0][:1].isalnum() for part in parts)
        prose = marks > len(parts) / 80 and len(set(tags)) < len(tags) / 2  # and no paths of files
        if (prose or capitals > len(tags) / 2) and tagged >= max(4, 0.95 * len(tokens)):
            return layout._replace(split=contractions_are_split(_words(tokens, layout)))
    return None


def _words(tokens: Iterable[str], layout: _Layout) -> Iterator[str]:
    """Yield words; "_" after one marks the first part of a contraction, as `join_tokens` knows."""
    for token in tokens:
        word, *tags = layout.parts(token)
        if tags and tags[-1].endswith("+"):
            yield word + "_"
        elif word and not (tags and tags[-1] in _NO_WORDS):
            yield word


def _as_row(layout: _Layout, line: str) -> str:
    return "\t".join(layout.parts(line.strip() or " ")) + "\n"
