"""Training text that stands again in held-out text, found by its 13-grams.

A perplexity over text that was trained on is no result (Brown et al. 2020, appendix C, filter
by 13-grams too). Tokens are the tokenizer's, case-folded; a run of them may go on over the end
of a paragraph, but not over that of a document.

What goes is the run, and what is left of its sentences where that is shorter than 13 tokens:

    Bom dia. Ele disse: «O rato roeu a roupa do rei … de Roma.» E saiu sem olhar para trás.
             └──────────────────── goes ─────────────────────┘
"""

import itertools
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline.corpus.splits import digest
from pipeline.parallel import side_by_side
from pipeline.text.sentences import sentence_end
from pipeline.text.tokenizer import expand, normalise, tokenize_unique

NGRAM = 13

# Odd, so that no token's share in the sum is lost; from the golden ratio, so that all bits mix.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Letters of text tokenized at once.
_BATCH = 2**21
# Hashes moved at once.
_MOVED = 2**20
# A word with the marks about it; a full stop joins what it follows, as in the tokenizer.
_WORD = re.compile(r"\S+(?:\s+\.\S*)*")
_SENTENCE_END = sentence_end()


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
def _fingerprints(paragraphs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A 62-bit number for each token, row after row, and the number of tokens in each row."""
    tokens, inverse = tokenize_unique(paragraphs)
    folded = normalise(tokens.values, case="fold", numbers="keep")
    numbers = tf.strings.to_hash_bucket_fast(folded, 2**62)
    rows = expand(tokens.with_values(numbers), inverse)
    return rows.values, rows.row_lengths()


@dataclass(frozen=True)
class Tokens:
    """The tokens of several documents, one after the other.

    Attributes:
        fingerprints: a number for each token, uint64, shape (tokens,).
        paragraph: which paragraph each is in, counted through all documents, shape (tokens,).
        document: which document each is in, shape (tokens,).
    """

    fingerprints: np.ndarray
    paragraph: np.ndarray
    document: np.ndarray

    def ngrams(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each 13-gram within a document begins, and its 64-bit hash."""
        count = max(len(self.fingerprints) - NGRAM + 1, 0)
        hashes = np.zeros(count, np.uint64)
        for place in range(NGRAM):  # a polynomial in the multiplier, modulo 2^64
            hashes = hashes * _MULTIPLIER + self.fingerprints[place : place + count]
        starts = np.flatnonzero(self.document[:count] == self.document[NGRAM - 1 :][:count])
        return starts, hashes[starts]


def read_tokens(texts: Sequence[str]) -> Tokens:
    """The tokens of documents with one paragraph a line."""
    paragraphs = [text.split("\n") for text in texts]
    flat = [paragraph for document in paragraphs for paragraph in document]
    fingerprints, lengths = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    start, size = 0, 0
    for end, paragraph in enumerate(flat, start=1):
        size += len(paragraph)
        if size >= _BATCH or end == len(flat):
            found, rows = _fingerprints(tf.constant(flat[start:end]))
            fingerprints.append(found.numpy().view(np.uint64))
            lengths.append(rows.numpy())
            start, size = end, 0
    places = np.repeat(np.arange(len(flat), dtype=np.int32), np.concatenate(lengths))
    document = np.repeat(np.arange(len(texts), dtype=np.int32), [len(p) for p in paragraphs])
    return Tokens(np.concatenate(fingerprints), places, document[places])


@dataclass(frozen=True)
class HeldOut:
    """The 13-grams of the held-out splits.

    Attributes:
        hashes: distinct and sorted, uint64, shape (n,).
        owners: for each, which of `sources` it stands in first, shape (n,), of the smallest type
            that can count them.
        sources: "source (split)" of the held-out documents.
    """

    hashes: np.ndarray
    owners: np.ndarray
    sources: Sequence[str]


def held_out_ngrams(frames: Iterable[pd.DataFrame]) -> HeldOut:
    """Collect the 13-grams of documents that validate and test, 9 to 12 bytes for each token."""
    sources: list[str] = []
    counts: list[int] = []  # 13-grams of each
    # Sorted in place, and looked up again from a file: a table of both would take several times
    # as much memory while it is sorted.
    with tempfile.TemporaryFile() as file:
        for frame, found in side_by_side(_ngrams, frames):
            for source, split, hashes in zip(frame["source"], frame["split"], found, strict=True):
                sources.append(f"{source} ({split})")
                counts.append(len(hashes))
                hashes.tofile(file)
        file.seek(0)
        ordered = np.fromfile(file, np.uint64)
        ordered.sort()
        end = len(ordered)
        ordered = _distinct(ordered)
        owners = np.zeros(len(ordered), np.min_scalar_type(len(counts)))
        for owner, count in reversed([*enumerate(counts)]):  # so that the first has the last word
            end -= count
            file.seek(end * ordered.itemsize)
            hashes = np.fromfile(file, np.uint64, count)
            owners[np.searchsorted(ordered, hashes)] = owner
    return HeldOut(ordered, owners, sources)


def look_up(hashes: np.ndarray, ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which hashes (N,) stand among ordered ones, bool (N,), and the places of those that do.

    Not np.isin, which would sort all that is searched anew for each frame.
    """
    if not len(ordered):
        return np.zeros(len(hashes), bool), np.zeros(0, np.int64)
    places = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
    hit = ordered[places] == hashes
    return hit, places[hit]


def _distinct(ordered: np.ndarray) -> np.ndarray:
    """Sorted numbers without those that repeat the one before, moved together in their place."""
    count = 0
    for start in range(0, len(ordered), _MOVED):
        some = ordered[start : start + _MOVED]
        before = ordered[count - 1] if count else ~some[0]
        some = some[np.concatenate([some[:1] != before, some[1:] != some[:-1]])]
        ordered[count : count + len(some)] = some
        count += len(some)
    return ordered[:count]


def _ngrams(frame: pd.DataFrame) -> list[np.ndarray]:
    """The hashes of the 13-grams of each row of a frame."""
    tokens = read_tokens(frame["text"].tolist())
    starts, hashes = tokens.ngrams()
    ends = np.searchsorted(tokens.document[starts], np.arange(1, len(frame)))
    return np.split(hashes, ends) if len(frame) else []


def drop_overlap(frames: Iterable[pd.DataFrame], *, held_out: HeldOut) -> Iterator[pd.DataFrame]:
    """Cut out of training documents every passage that shares a 13-gram with held-out text.

    What stood before a passage and what stood after it become paragraphs. No 13-gram of held-out
    text is left, not even one that would come about where they meet.

    Yields:
        The frames with a column `removed` more: a JSON list of [paragraph, counted from 1; where
        the passage stands again; its text]. A document of which nothing is left has an empty text.
    """
    for _, frame in side_by_side(lambda frame: _without_overlap(frame, held_out), frames):
        yield frame


def _without_overlap(frame: pd.DataFrame, held_out: HeldOut) -> pd.DataFrame:
    kept, ids = frame["text"].tolist(), frame["doc_id"].tolist()
    removed = ["[]"] * len(frame)
    training = np.flatnonzero(frame["split"] == "train")
    if len(training) and len(held_out.hashes):
        texts = [kept[row] for row in training]
        for number, (left, passages) in _cut_out(texts, held_out).items():
            row = training[number]
            kept[row] = "\n".join(left)
            ids[row] = digest(kept[row])
            removed[row] = json.dumps(passages, ensure_ascii=False)
    return frame.assign(doc_id=ids, text=kept, removed=removed)


@dataclass(frozen=True)
class _Words:
    """The words of a paragraph, as white space parts them.

    Attributes:
        spans: where each begins and ends, in letters, shape (words, 2).
        word: which of them each token is in, shape (tokens,).
        sentence: which sentence each is in, shape (words,).
    """

    spans: np.ndarray
    word: np.ndarray
    sentence: np.ndarray

    def touched(self, gone: np.ndarray) -> np.ndarray:
        """The words of which tokens are gone, bool; tokens → words."""
        return np.bincount(self.word[gone], minlength=len(self.spans)) > 0

    def widen(self, gone: np.ndarray) -> np.ndarray:
        """With tokens that are gone, those that go with them; bool, shape (tokens,)."""
        out = self.touched(gone)
        hurt = np.bincount(self.sentence[out], minlength=self.sentence[-1] + 1) > 0
        ends = (self.sentence[1:] != self.sentence[:-1]) | (out[1:] != out[:-1])
        part = np.cumsum([0, *ends])  # of a sentence: words that all go, or all stay
        short = np.bincount(part[self.word]) < NGRAM
        return (out | hurt[self.sentence] & short[part])[self.word]

    def stretches(self, gone: np.ndarray, owners: np.ndarray) -> Iterator[tuple[slice, int | None]]:
        """The letters of words that all stay, or all go; of these, the owner of the first run."""
        out = self.touched(gone)
        edges = np.flatnonzero(out[1:] != out[:-1]) + 1
        for start, end in itertools.pairwise([0, *edges.tolist(), len(self.spans)]):
            inside = owners[slice(*np.searchsorted(self.word, [start, end]))]
            letters = slice(self.spans[start, 0], self.spans[end - 1, 1])
            yield letters, next((owner for owner in inside.tolist() if owner >= 0), None)


def _find_words(paragraphs: Sequence[str], sizes: Sequence[int]) -> list[_Words]:
    """The words of paragraphs of so many tokens each."""
    matches = [[*_WORD.finditer(paragraph)] for paragraph in paragraphs]
    different = [*{match[0] for found in matches for match in found}]
    _, lengths = _fingerprints(tf.constant(different, tf.string))
    tokens = dict(zip(different, lengths.numpy().tolist(), strict=True))
    words = []
    for paragraph, size, found in zip(paragraphs, sizes, matches, strict=True):
        found = [match for match in found if tokens[match[0]]]
        spans, counts = [match.span() for match in found], [tokens[match[0]] for match in found]
        # "Sr." is one token, the end of a sentence is one of its own.
        ends = [
            bool(_SENTENCE_END.search(match[0])) and (count > 1 or not match[0][0].isalnum())
            for match, count in zip(found, counts, strict=True)
        ]
        if sum(counts) != size:  # invisible letters before a full stop
            spans, counts, ends = [(0, len(paragraph))], [size], [True]
        word = np.repeat(np.arange(len(counts)), counts)
        words.append(_Words(np.array(spans), word, np.cumsum([0, *ends[:-1]])))
    return words


def _find_gone(
    tokens: Tokens, paragraphs: Sequence[str], edges: np.ndarray, held_out: HeldOut
) -> tuple[np.ndarray, np.ndarray, dict[int, _Words]]:
    """What must go of texts.

    Args:
        tokens, paragraphs, held_out: of the texts, and what they must not share.
        edges: at which token each paragraph begins, and the last ends, shape (paragraphs + 1,).

    Returns:
        Which tokens go, bool; the owner of the 13-gram that each shares, or -1, shape (tokens,);
        and the words of the paragraphs that lose some.
    """
    count = len(tokens.fingerprints)
    gone, owners, touched = np.zeros(count, bool), np.full(count, -1), dict[int, _Words]()
    left = np.arange(count)
    while True:
        still = Tokens(tokens.fingerprints[left], tokens.paragraph[left], tokens.document[left])
        starts, hashes = still.ngrams()
        hit, places = look_up(hashes, held_out.hashes)
        if not hit.any():
            return gone, owners, touched
        runs = left[starts[hit][:, np.newaxis] + np.arange(NGRAM)]
        gone[runs] = True
        owners[runs[::-1]] = held_out.owners[places][::-1, np.newaxis]  # the first stays
        numbers = np.unique(tokens.paragraph[runs]).tolist()
        new = [number for number in numbers if number not in touched]
        sizes = [edges[number + 1] - edges[number] for number in new]
        words = _find_words([paragraphs[number] for number in new], sizes)
        touched |= zip(new, words, strict=True)
        for number in numbers:
            some = slice(edges[number], edges[number + 1])
            gone[some] = touched[number].widen(gone[some])
        # What stood before a passage and after it may bring another 13-gram together.
        documents = np.unique(tokens.document[runs])
        left = np.flatnonzero(np.isin(tokens.document, documents) & ~gone)


def _cut_out(
    texts: Sequence[str], held_out: HeldOut
) -> dict[int, tuple[list[str], list[tuple[int, str, str]]]]:
    """Document → the paragraphs that are left of it, and what `drop_overlap` tells of the others.

    Documents of which nothing goes are left out.
    """
    tokens = read_tokens(texts)
    documents = [text.split("\n") for text in texts]
    firsts = np.cumsum([0, *map(len, documents)])
    edges = np.searchsorted(tokens.paragraph, np.arange(firsts[-1] + 1, dtype=np.int32))
    flat = [*itertools.chain(*documents)]
    gone, owners, touched = _find_gone(tokens, flat, edges, held_out)
    found = {}
    for number in np.unique(np.searchsorted(firsts, [*touched], side="right") - 1).tolist():
        left: list[str] = []
        passages: list[tuple[int, str, str]] = []
        for place, paragraph in enumerate(range(firsts[number], firsts[number + 1]), start=1):
            if paragraph not in touched:
                left.append(flat[paragraph])
                continue
            some = slice(edges[paragraph], edges[paragraph + 1])
            for letters, owner in touched[paragraph].stretches(gone[some], owners[some]):
                if owner is None:
                    left.append(flat[paragraph][letters])
                else:
                    passages.append((place, held_out.sources[owner], flat[paragraph][letters]))
        found[number] = left, passages
    return found
