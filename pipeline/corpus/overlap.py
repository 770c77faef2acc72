"""Remove from the training split what also occurs in held-out text, by 13-grams.

Perplexity on text that was trained on means nothing (Brown et al. 2020, appendix C, which also
filters by 13-grams). Tokens are the tokenizer's, case-folded; a 13-gram may extend across
paragraphs, but not across documents.

A match is removed, with the rest of its sentences on a side where fewer than 13 tokens are left:

    Bom dia. Ele disse: «O rato roeu a roupa do rei … de Roma.» E saiu sem olhar para trás.
             └────────────────── removed ─────────────────────┘
"""

import functools
import itertools
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline.corpus.documents import NGRAM
from pipeline.corpus.splits import text_id
from pipeline.parallel import side_by_side
from pipeline.text.sentences import sentence_end
from pipeline.text.tokenizer import expand, normalise, tokenize_unique

# Odd, so that each token's term keeps all its bits; from the golden ratio, to mix them well.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FILTER_BITS = 26  # 8 MiB: more entries than hashes of the largest held-out split
_BATCH_CHARACTERS = 2**21  # tokenized at once
_MOVED = 2**20  # hashes moved at once
# A word with its punctuation; a full stop joins what it follows, as in the tokenizer.
_SPACED_WORD = re.compile(r"\S+(?:\s+\.\S*)*")
_SENTENCE_END = sentence_end()


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
def _fingerprints(paragraphs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return 62-bit hashes of all tokens, row by row, and the number of tokens in each row."""
    tokens, inverse = tokenize_unique(paragraphs)
    folded = normalise(tokens.values, case="fold", numbers="keep")
    numbers = tf.strings.to_hash_bucket_fast(folded, 2**62)
    rows = expand(tokens.with_values(numbers), inverse)
    return rows.values, rows.row_lengths()


@dataclass(frozen=True)
class Tokens:
    """The concatenated tokens of several documents; all arrays have shape (tokens,)."""

    fingerprints: np.ndarray  # hash of each token, uint64
    paragraph: np.ndarray  # index of its paragraph, counted over all documents
    document: np.ndarray  # index of its document

    def ngrams(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the index of the first token, and the 64-bit hash, of each 13-gram."""
        count = max(len(self.fingerprints) - NGRAM + 1, 0)
        hashes = np.zeros(count, np.uint64)
        for place in range(NGRAM):  # a polynomial in the multiplier, modulo 2^64
            hashes = hashes * _MULTIPLIER + self.fingerprints[place : place + count]
        starts = np.flatnonzero(self.document[:count] == self.document[NGRAM - 1 :][:count])
        return starts, hashes[starts]


def hash_tokens(texts: Sequence[str]) -> Tokens:
    """Tokenize documents with one paragraph a line."""
    documents = [text.split("\n") for text in texts]
    paragraphs = list(itertools.chain(*documents))
    fingerprints, lengths = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    start, size = 0, 0
    for end, paragraph in enumerate(paragraphs, start=1):
        size += len(paragraph)
        if size >= _BATCH_CHARACTERS or end == len(paragraphs):
            hashes, rows = _fingerprints(tf.constant(paragraphs[start:end]))
            fingerprints.append(hashes.numpy().view(np.uint64))
            lengths.append(rows.numpy())
            start, size = end, 0
    places = np.repeat(np.arange(len(paragraphs), dtype=np.int32), np.concatenate(lengths))
    document = np.repeat(np.arange(len(texts), dtype=np.int32), [len(d) for d in documents])
    return Tokens(np.concatenate(fingerprints), places, document[places])


@dataclass(frozen=True)
class HeldOut:
    """The 13-grams of the held-out splits."""

    hashes: np.ndarray  # sorted and distinct, uint64, shape (n,)
    owners: np.ndarray  # index in `sources` of the first document with each, shape (n,)
    sources: Sequence[str]  # "source (split)" of each held-out document

    @functools.cached_property
    def _first_bits(self) -> np.ndarray:
        """Which first bits of a hash occur, as a table of `2^_FILTER_BITS` bits."""
        table = np.zeros(2**_FILTER_BITS, bool)
        table[self.hashes >> np.uint64(64 - _FILTER_BITS)] = True
        return np.packbits(table, bitorder="little")

    def look_up(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether each hash is held out, and the indices of those that are.

        Most are not, which the table of first bits tells ten times as fast as binary search.
        """
        bits = hashes >> np.uint64(64 - _FILTER_BITS)
        byte = self._first_bits[bits >> np.uint64(3)]
        maybe = np.flatnonzero(byte >> (bits & np.uint64(7)).astype(np.uint8) & 1)
        found, places = look_up(hashes[maybe], self.hashes)
        hit = np.zeros(len(hashes), bool)
        hit[maybe[found]] = True
        return hit, places


def held_out_ngrams(frames: Iterable[pd.DataFrame]) -> HeldOut:
    """Collect the 13-grams of held-out documents, in 9 to 12 bytes of memory per token."""
    sources: list[str] = []
    counts: list[int] = []  # 13-grams of each document
    # Sort the hashes in place, and read them again from a file to look up their owners: sorting
    # a table of both would take several times as much memory.
    with tempfile.TemporaryFile() as file:
        for frame, ngrams in side_by_side(_hash_ngrams, frames):
            sources.extend(frame["source"] + " (" + frame["split"] + ")")
            for hashes in ngrams:
                counts.append(len(hashes))
                hashes.tofile(file)
        file.seek(0)
        ordered = np.fromfile(file, np.uint64)
        ordered.sort()
        end = len(ordered)
        ordered = _distinct(ordered)
        owners = np.zeros(len(ordered), np.min_scalar_type(len(counts)))
        for owner, count in reversed([*enumerate(counts)]):  # the first document overwrites others
            end -= count
            file.seek(end * ordered.itemsize)
            hashes = np.fromfile(file, np.uint64, count)
            owners[np.searchsorted(ordered, hashes)] = owner
    return HeldOut(ordered, owners, sources)


def look_up(hashes: np.ndarray, ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each hash is among sorted ones, and the indices of those that are.

    Unlike np.isin, this sorts nothing.
    """
    if not len(ordered):
        return np.zeros(len(hashes), bool), np.zeros(0, np.int64)
    places = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
    hit = ordered[places] == hashes
    return hit, places[hit]


def _distinct(ordered: np.ndarray) -> np.ndarray:
    """Remove repeated numbers from a sorted array, in place; return the part that is left."""
    count = 0
    for start in range(0, len(ordered), _MOVED):
        some = ordered[start : start + _MOVED]
        before = ordered[count - 1] if count else ~some[0]
        some = some[np.concatenate([some[:1] != before, some[1:] != some[:-1]])]
        ordered[count : count + len(some)] = some
        count += len(some)
    return ordered[:count]


def _hash_ngrams(frame: pd.DataFrame) -> list[np.ndarray]:
    """Return the hashes of the 13-grams of each row."""
    tokens = hash_tokens(frame["text"].tolist())
    starts, hashes = tokens.ngrams()
    ends = np.searchsorted(tokens.document[starts], np.arange(1, len(frame)))
    return np.split(hashes, ends) if len(frame) else []


def drop_overlap(frames: Iterable[pd.DataFrame], *, held_out: HeldOut) -> Iterator[pd.DataFrame]:
    """Remove from training documents every passage that shares a 13-gram with held-out text.

    The text before and the text after a passage become paragraphs. No 13-gram of held-out text
    is left, not even one that would form where they meet.

    Yields:
        The frames with a column `removed`: a JSON list of [number of the paragraph, from 1;
        "source (split)" of the held-out text; the passage]. A document that is removed whole has
        an empty text.
    """
    for _, frame in side_by_side(lambda frame: _drop_from_frame(frame, held_out), frames):
        yield frame


def _drop_from_frame(frame: pd.DataFrame, held_out: HeldOut) -> pd.DataFrame:
    kept, ids = frame["text"].tolist(), frame["doc_id"].tolist()
    removed = ["[]"] * len(frame)
    training = np.flatnonzero(frame["split"] == "train")
    if len(training) and len(held_out.hashes):
        texts = [kept[row] for row in training]
        for document, left, passages in _remove_passages(texts, held_out):
            row = training[document]
            kept[row] = "\n".join(left)
            ids[row] = text_id(kept[row])
            removed[row] = json.dumps(passages, ensure_ascii=False)
    return frame.assign(doc_id=ids, text=kept, removed=removed)


@dataclass(frozen=True)
class _Words:
    """The words of a paragraph, separated by white space."""

    spans: np.ndarray  # first and last + 1 character of each word, shape (words, 2)
    word: np.ndarray  # index of the word of each token, shape (tokens,)
    sentence: np.ndarray  # index of the sentence of each word, shape (words,)

    def containing(self, removed: np.ndarray) -> np.ndarray:
        """Map removed tokens, bool, to the words that contain any, bool, shape (words,)."""
        return np.bincount(self.word[removed], minlength=len(self.spans)) > 0

    def widen(self, removed: np.ndarray) -> np.ndarray:
        """Extend removed tokens to words and short rests of sentences, bool, shape (tokens,)."""
        out = self.containing(removed)
        affected = np.bincount(self.sentence[out], minlength=self.sentence[-1] + 1) > 0
        ends = (self.sentence[1:] != self.sentence[:-1]) | (out[1:] != out[:-1])
        part = np.cumsum([0, *ends])  # of a sentence: words that are all removed, or all kept
        short = np.bincount(part[self.word]) < NGRAM
        return (out | affected[self.sentence] & short[part])[self.word]

    def parts(self, removed: np.ndarray, owners: np.ndarray) -> Iterator[tuple[slice, int | None]]:
        """Yield the characters of words all kept or all removed, and the owner of the latter."""
        out = self.containing(removed)
        edges = np.flatnonzero(out[1:] != out[:-1]) + 1
        for start, end in itertools.pairwise([0, *edges.tolist(), len(self.spans)]):
            inside = owners[slice(*np.searchsorted(self.word, [start, end]))]
            characters = slice(self.spans[start, 0], self.spans[end - 1, 1])
            yield characters, next((owner for owner in inside.tolist() if owner >= 0), None)


def _find_words(paragraphs: Sequence[str], sizes: Sequence[int]) -> list[_Words]:
    """Find the words of paragraphs that have `sizes` tokens each."""
    matches = [[*_SPACED_WORD.finditer(paragraph)] for paragraph in paragraphs]
    distinct = [*{match[0] for found in matches for match in found}]
    _, lengths = _fingerprints(tf.constant(distinct, tf.string))
    tokens = dict(zip(distinct, lengths.numpy().tolist(), strict=True))
    words = []
    for paragraph, size, found in zip(paragraphs, sizes, matches, strict=True):
        found = [match for match in found if tokens[match[0]]]
        spans, counts = [match.span() for match in found], [tokens[match[0]] for match in found]
        # "Sr." is one token; the full stop of a sentence is a token of its own.
        ends = [
            bool(_SENTENCE_END.search(match[0])) and (count > 1 or not match[0][0].isalnum())
            for match, count in zip(found, counts, strict=True)
        ]
        if sum(counts) != size:  # invisible characters before a full stop
            spans, counts, ends = [(0, len(paragraph))], [size], [True]
        word = np.repeat(np.arange(len(counts)), counts)
        words.append(_Words(np.array(spans), word, np.cumsum([0, *ends[:-1]])))
    return words


def _remove_passages(
    texts: Sequence[str], held_out: HeldOut
) -> Iterator[tuple[int, list[str], list[tuple[int, str, str]]]]:
    """Yield each document that shares 13-grams: its index, the paragraphs left, the passages."""
    tokens = hash_tokens(texts)
    documents = [text.split("\n") for text in texts]
    paragraphs = list(itertools.chain(*documents))
    firsts = np.cumsum([0, *map(len, documents)])
    ends = np.searchsorted(tokens.paragraph, np.arange(firsts[-1] + 1, dtype=np.int32)).tolist()
    ranges = [slice(*pair) for pair in itertools.pairwise(ends)]
    removed, owners, words = _find_passages(tokens, paragraphs, ranges, held_out)
    for document in np.unique(np.searchsorted(firsts, [*words], side="right") - 1).tolist():
        left: list[str] = []
        passages: list[tuple[int, str, str]] = []
        for number, paragraph in enumerate(range(*firsts[document : document + 2]), start=1):
            text, inside = paragraphs[paragraph], ranges[paragraph]
            if paragraph not in words:
                left.append(text)
                continue
            for characters, owner in words[paragraph].parts(removed[inside], owners[inside]):
                if owner is None:
                    left.append(text[characters])
                else:
                    passages.append((number, held_out.sources[owner], text[characters]))
        yield document, left, passages


def _find_passages(
    tokens: Tokens, paragraphs: Sequence[str], ranges: Sequence[slice], held_out: HeldOut
) -> tuple[np.ndarray, np.ndarray, dict[int, _Words]]:
    """Find the tokens to remove from paragraphs, whose tokens have the indices `ranges`.

    Returns:
        Which tokens to remove, bool, shape (tokens,); the owner of the 13-gram that each is in,
        or -1, shape (tokens,); and the words of the paragraphs concerned, by index.
    """
    count = len(tokens.fingerprints)
    removed, owners, words = np.zeros(count, bool), np.full(count, -1), dict[int, _Words]()
    left = np.arange(count)
    while True:
        rest = Tokens(tokens.fingerprints[left], tokens.paragraph[left], tokens.document[left])
        starts, hashes = rest.ngrams()
        hit, places = held_out.look_up(hashes)
        if not hit.any():
            return removed, owners, words
        runs = left[starts[hit][:, np.newaxis] + np.arange(NGRAM)]
        removed[runs] = True
        owners[runs[::-1]] = held_out.owners[places][::-1, np.newaxis]  # the first one stays
        numbers = np.unique(tokens.paragraph[runs]).tolist()
        new = [number for number in numbers if number not in words]
        sizes = [ranges[number].stop - ranges[number].start for number in new]
        found = _find_words([paragraphs[number] for number in new], sizes)
        words |= zip(new, found, strict=True)
        for number in numbers:
            removed[ranges[number]] = words[number].widen(removed[ranges[number]])
        # The text before a passage and the text after it may form another 13-gram.
        documents = np.unique(tokens.document[runs])
        left = np.flatnonzero(np.isin(tokens.document, documents) & ~removed)
