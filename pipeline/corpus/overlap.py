"""Training text that stands again in held-out text, found by its 13-grams.

A perplexity over text that was trained on is no result (Brown et al. 2020, appendix C, filter
by 13-grams too). Tokens are the tokenizer's, case-folded; a run of them may go on over the end
of a paragraph, but not over that of a document.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline.corpus.splits import digest
from pipeline.streams import side_by_side
from pipeline.tokenizer import cut, model_form, put_back

NGRAM = 13

# Odd, so that no token's share in the sum is lost; from the golden ratio, so that all bits mix.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Letters of text tokenized at once.
_BATCH = 2**21
# Hashes moved at once.
_MOVED = 2**20


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
def _fingerprints(paragraphs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A 62-bit number for each token, row after row, and the number of tokens in each row."""
    tokens, places = cut(paragraphs)
    folded = model_form(tokens.values, case="fold", numbers="keep")
    numbers = tf.strings.to_hash_bucket_fast(folded, 2**62)
    rows = put_back(tokens.with_values(numbers), places)
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
    """Remove from training documents every paragraph that a held-out 13-gram touches.

    Yields:
        The frames with a column `removed` more: a JSON list of [paragraph, counted from 1; where
        it stands again; its text]. A document of which nothing is left has an empty text.
    """
    for _, frame in side_by_side(lambda frame: _without_overlap(frame, held_out), frames):
        yield frame


def _without_overlap(frame: pd.DataFrame, held_out: HeldOut) -> pd.DataFrame:
    kept, ids = frame["text"].tolist(), frame["doc_id"].tolist()
    removed = ["[]"] * len(frame)
    training = np.flatnonzero(frame["split"] == "train")
    if len(training) and len(held_out.hashes):
        texts = [kept[row] for row in training]
        for number, found in _find_overlap(texts, held_out).items():
            row, paragraphs = training[number], texts[number].split("\n")
            kept[row] = "\n".join(p for place, p in enumerate(paragraphs) if place not in found)
            ids[row] = digest(kept[row])
            removed[row] = json.dumps(
                [[place + 1, where, paragraphs[place]] for place, where in found.items()],
                ensure_ascii=False,
            )
    return frame.assign(doc_id=ids, text=kept, removed=removed)


def _find_overlap(texts: Sequence[str], held_out: HeldOut) -> dict[int, dict[int, str]]:
    """Document → paragraph → where it stands again."""
    tokens = read_tokens(texts)
    starts, hashes = tokens.ngrams()
    hit, place = look_up(hashes, held_out.hashes)
    first = np.cumsum([0, *(text.count("\n") + 1 for text in texts)])
    found: dict[int, dict[int, str]] = {}
    for start, owner in zip(starts[hit], held_out.owners[place], strict=True):
        document = int(tokens.document[start])
        for paragraph in np.unique(tokens.paragraph[start : start + NGRAM]).tolist():
            inside = found.setdefault(document, {})
            inside.setdefault(paragraph - int(first[document]), held_out.sources[owner])
    return found
