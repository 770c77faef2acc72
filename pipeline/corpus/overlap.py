"""Training text that stands again in held-out text, found by its 13-grams.

A perplexity over text that was trained on is no result (Brown et al. 2020, appendix C, filter
by 13-grams too). Tokens are the tokenizer's, case-folded; a run of them may go on over the end
of a paragraph, but not over that of a document.
"""

import json
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
        owners: for each, which of `sources` it stands in first, int32, shape (n,).
        sources: "source (split)" of the held-out documents.
    """

    hashes: np.ndarray
    owners: np.ndarray
    sources: Sequence[str]


def held_out_ngrams(frames: Iterable[pd.DataFrame]) -> HeldOut:
    """Collect the 13-grams of documents that validate and test, 12 bytes for each token."""
    hashes, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)]
    sources: list[str] = []
    for frame, (found, documents) in side_by_side(_ngrams, frames):
        hashes.append(found)
        owners.append(documents + np.int32(len(sources)))
        rows = zip(frame["source"], frame["split"], strict=True)
        sources += [f"{source} ({split})" for source, split in rows]
    distinct, first = np.unique(np.concatenate(hashes), return_index=True)
    return HeldOut(distinct, np.concatenate(owners)[first], sources)


def _ngrams(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The hash of each 13-gram of a frame, and which row it is in."""
    tokens = read_tokens(frame["text"].tolist())
    starts, hashes = tokens.ngrams()
    return hashes, tokens.document[starts]


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
    place = np.minimum(np.searchsorted(held_out.hashes, hashes), len(held_out.hashes) - 1)
    hit = held_out.hashes[place] == hashes
    first = np.cumsum([0, *(text.count("\n") + 1 for text in texts)])
    found: dict[int, dict[int, str]] = {}
    for start, owner in zip(starts[hit], held_out.owners[place[hit]], strict=True):
        document = int(tokens.document[start])
        for paragraph in np.unique(tokens.paragraph[start : start + NGRAM]).tolist():
            inside = found.setdefault(document, {})
            inside.setdefault(paragraph - int(first[document]), held_out.sources[owner])
    return found
