"""Documents become a vocabulary and one stream of ids per split."""

import collections
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import tensorflow as tf

from pipeline import InputError
from pipeline.corpus import SPLITS
from pipeline.tokenizer import (
    BEGIN,
    BREAK,
    UNKNOWN,
    Tokenizer,
    Vocabulary,
    begins_sentence,
    fold,
    tokenize,
)

# Paragraphs tokenized at once: enough to fill both cores, little enough to hold in memory.
_BATCH = 4096


def _paragraphs(path: Path, split: str) -> Iterator[list[str]]:
    """Batches of paragraphs of one split, in order, read without holding the file."""
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No documents can be read from {path}: run `nextword ingest` first."
        ) from error
    batch: list[str] = []
    for rows in file.iter_batches(batch_size=64, columns=["split", "text"]):
        for row in rows.to_pylist():
            if row["split"] == split:
                batch += row["text"].split("\n")
            while len(batch) >= _BATCH:
                yield batch[:_BATCH]
                batch = batch[_BATCH:]
    if batch:
        yield batch


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
def _count(text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Distinct surface forms, how often each stands, and how often where its case is its own."""
    tokens = tokenize(text)
    forms, index, counts = tf.unique_with_counts(tokens.values)
    own_case = tf.cast(~begins_sentence(tokens), tf.int32)
    return forms, counts, tf.math.unsorted_segment_sum(own_case, index, tf.size(forms))


def build_vocabulary(documents: Path, *, size: int, min_count: int) -> Vocabulary:
    """The most frequent case-folded tokens of the training split.

    Ties are broken by code points. A token is displayed in the form it most often has inside
    a sentence; one that only ever opens sentences is displayed in lower case.

    Args:
        documents: documents.parquet.
        size: V, at most so many rows, `<unk>` and `<s>` among them.
        min_count: rarer tokens stay out, so that `<unk>` stands for something in training.
    """
    counts: collections.Counter[bytes] = collections.Counter()
    own_case: collections.Counter[bytes] = collections.Counter()
    paragraphs = 0
    for batch in _paragraphs(documents, "train"):
        paragraphs += len(batch)
        forms, total, inside = (column.numpy() for column in _count(tf.constant(batch)))
        counts.update(dict(zip(forms, total.tolist(), strict=True)))
        own_case.update(dict(zip(forms, inside.tolist(), strict=True)))
    if not counts:
        raise InputError(f"The training split of {documents} holds no text.")

    forms = list(counts)
    folded = fold(tf.RaggedTensor.from_row_lengths(tf.constant(forms), [len(forms)])).values.numpy()
    totals: collections.Counter[bytes] = collections.Counter()
    displays: dict[bytes, tuple[int, bytes]] = {}
    for form, token in zip(forms, folded, strict=True):
        totals[token] += counts[form]
        # Among forms as frequent, the one in lower case (the greater in code points) wins.
        displays[token] = max(displays.get(token, (1, token)), (own_case[form], form))
    ranked = sorted(totals, key=lambda token: (-totals[token], token))
    kept = [token for token in ranked if totals[token] >= min_count and token != BREAK.encode()]
    kept = kept[: size - 2]
    if not kept:
        raise InputError(
            f"No token of {documents} stands {min_count} times in the training split: add text or "
            "lower --min-count."
        )
    unknown = totals.total() - sum(totals[token] for token in kept) - totals[BREAK.encode()]
    return Vocabulary(
        (UNKNOWN, BEGIN, *(token.decode() for token in kept)),
        (UNKNOWN, BEGIN, *(displays[token][1].decode() for token in kept)),
        (unknown, paragraphs, *(totals[token] for token in kept)),
    )


def tokenize_documents(
    *, documents: Path, output: Path, vocabulary_size: int, min_count: int
) -> None:
    """Write vocabulary.tsv, train.npy, valid.npy and test.npy (int32 ids, shape (tokens,)).

    Args:
        documents: folder that `ingest` wrote.
        output: folder to write into.
        vocabulary_size, min_count: see `build_vocabulary`.

    Raises:
        InputError: the documents are missing or hold too little text.
    """
    path = documents / "documents.parquet"
    vocabulary = build_vocabulary(path, size=vocabulary_size, min_count=min_count)
    vocabulary.save(output / "vocabulary.tsv")
    tokenizer = Tokenizer(vocabulary.tokens)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def ids(text: tf.Tensor) -> tf.Tensor:
        return tokenizer(text).values

    for split in SPLITS:
        with StreamWriter(output / f"{split}.npy") as stream:
            for batch in _paragraphs(path, split):
                stream.append(ids(tf.constant(batch)).numpy())


class StreamWriter:
    """Writes a .npy vector of int32 whose length is known only at the end."""

    # The header is written twice: as long the first time as the longest it can be.
    _LENGTH = 128

    def __init__(self, path: Path):
        self._file = path.open("wb")
        self._tokens = 0
        self._header()

    def __enter__(self) -> "StreamWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.seek(0)
        self._header()
        self._file.close()

    def _header(self) -> None:
        header = {"descr": "<i4", "fortran_order": False, "shape": (self._tokens,)}
        np.lib.format.write_array_header_1_0(self._file, header)
        assert self._file.tell() == self._LENGTH

    def append(self, ids: np.ndarray) -> None:
        self._file.write(ids.astype("<i4").tobytes())
        self._tokens += len(ids)
