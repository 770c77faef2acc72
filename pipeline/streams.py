"""Documents become a vocabulary and one stream of ids per split.

The text is cut once: streams are first written with the numbers that different tokens get as
they are met, and renumbered in place when the counts have made the vocabulary.
"""

import collections
import concurrent.futures
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.parquet
import rich.progress
import tensorflow as tf

from pipeline import InputError
from pipeline.corpus.splits import SPLITS
from pipeline.tokenizer import (
    BREAK,
    Tokenizer,
    begins_sentence,
    cut,
    ends_sentence,
    model_form,
    open_paragraph,
    put_back,
    tokenize,
)
from pipeline.vocabulary import BEGIN, NUMBER, UNKNOWN, Case, Numbers, Vocabulary

log = logging.getLogger(__name__)

# Bytes of text cut at once: enough that pieces repeat, little enough to hold several batches.
_BATCH = 2**21
# Different tokens, or ids of a stream, handled at once.
_CHUNK = 2**20

T = TypeVar("T")
R = TypeVar("R")


class _Documents:
    """documents.parquet, read in batches of bounded size.

    Attributes:
        size: about so many bytes of text.
    """

    def __init__(self, path: Path):
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
            self._text, _ = map(self._file.schema_arrow.names.index, ("text", "split"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"No documents can be read from {path}: run `nextword ingest` first."
            ) from error
        self.size = sum(map(self._size, range(self._file.num_row_groups)))

    def _size(self, group: int) -> int:
        size: int = self._file.metadata.row_group(group).column(self._text).total_uncompressed_size
        return size

    def __iter__(self) -> Iterator[tuple[str, list[bytes]]]:
        """Splits with texts of theirs, in order."""
        waiting: dict[str, list[bytes]] = {split: [] for split in SPLITS}
        sizes = dict.fromkeys(SPLITS, 0)
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            at_once = max(1, rows * _BATCH // max(1, self._size(group)))
            for batch in self._file.iter_batches(
                batch_size=at_once, row_groups=[group], columns=["split", "text"]
            ):
                texts = batch.column("text").cast(pyarrow.large_binary()).to_pylist()
                for split, text in zip(batch.column("split").to_pylist(), texts, strict=True):
                    waiting[split].append(text)
                    sizes[split] += len(text)
                    if sizes[split] >= _BATCH:
                        yield split, waiting[split]
                        waiting[split], sizes[split] = [], 0
        yield from ((split, texts) for split, texts in waiting.items() if texts)


def side_by_side(function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Items with what a function makes of them, in order, computed on every core.

    TensorFlow lets go of Python's lock; no more items are drawn than there are threads, and one.
    """
    threads = os.cpu_count() or 1
    waiting: collections.deque[tuple[T, concurrent.futures.Future[R]]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > threads:
                item, future = waiting.popleft()
                yield item, future.result()
        for item, future in waiting:
            yield item, future.result()


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
def _number(text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Number the tokens of texts, of shape (B,), as they are met.

    Returns:
        The F different tokens; the texts as their numbers, one after the other; how often each
        stands; and how often where its case is its own.
    """
    tokens, places = cut(open_paragraph(text))
    forms, numbers = tf.unique(tokens.values)
    stream = put_back(tokens.with_values(numbers), places).values
    # Every text is opened by BREAK, so what stands before it in the batch says nothing.
    opens = begins_sentence(tf.gather(ends_sentence(forms), stream))
    inside = tf.boolean_mask(stream, ~opens)
    size = tf.size(forms)
    counts = [tf.math.bincount(n, minlength=size, maxlength=size) for n in (stream, inside)]
    return forms, stream, *counts


class _Forms:
    """Every different token as people write it, numbered, with its counts in training.

    Attributes:
        numbers: the number of each form, in the order of the numbers.
        counts: how often each form stands, and how often where its case is its own; shape (2, F).
    """

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.counts = np.zeros((2, 0), np.int64)

    def add(self, forms: list[bytes], counts: np.ndarray) -> np.ndarray:
        """Count forms, and tell the number of each; shapes (2, n) → (n,)."""
        known = self.numbers
        numbers = np.fromiter(
            (known.setdefault(form, len(known)) for form in forms), np.int32, len(forms)
        )
        if len(known) > self.counts.shape[1]:
            room = np.zeros((2, 2 * len(known) - self.counts.shape[1]), np.int64)
            self.counts = np.concatenate([self.counts, room], axis=1)
        self.counts[:, numbers] += counts
        return numbers

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> Iterator[np.ndarray]:
        """What a function of strings, any shape, makes of all forms, chunk after chunk."""
        forms = [*self.numbers]
        for start in range(0, len(forms), _CHUNK):
            yield function(tf.constant(forms[start : start + _CHUNK])).numpy()


def _read_listed(path: Path, *, case: Case, numbers: Numbers) -> set[bytes]:
    """The tokens that a file lists, one a line, in the form in which a model sees them.

    Of a line with tabs, as in vocabulary.tsv, the first column counts.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"No tokens can be read from {path}: name a UTF-8 file with one token a line."
        ) from error
    tokens = [line.split("\t")[0].strip() for line in lines]
    tokens = [token for token in tokens if token not in ("", UNKNOWN, BEGIN, NUMBER)]
    listed, left = set(), tokens
    # A case-folded vocabulary has "d.", "r$" and "min.", which are one token only as "D.", "R$"
    # and "Min.".
    for spelling in (str, str.upper, str.capitalize) if case == "fold" else (str,):
        rows = tokenize(tf.constant([spelling(token) for token in left], tf.string))
        single = tf.equal(rows.row_lengths(), 1)
        found = tf.ragged.boolean_mask(rows, single).values
        listed.update(model_form(found, case=case, numbers=numbers).numpy().tolist())
        left = [token for token, is_found in zip(left, single.numpy(), strict=True) if not is_found]
    if not listed:
        raise InputError(f"{path} holds no token: write one a line.")
    if left:
        log.warning(
            "Skipped %d of the %d tokens in %s, which are not exactly one token, such as %r.",
            len(left),
            len(tokens),
            path,
            left[0],
        )
    if numbers == "class":
        listed.add(NUMBER.encode())
    return listed


def _build_vocabulary(
    forms: _Forms,
    *,
    documents: Path,
    size: int,
    min_count: int,
    case: Case,
    numbers: Numbers,
    listed: set[bytes] | None,
) -> Vocabulary:
    """The most frequent tokens of the training split, or the listed ones, most frequent first.

    Ties are broken by code points. A case-folded token is displayed in the form it most often
    has inside a sentence; one that only ever opens sentences is displayed in lower case.
    """
    totals = dict.fromkeys(listed or (), 0)
    displays: dict[bytes, tuple[int, bytes]] = {}
    folded = forms.map(lambda chunk: model_form(chunk, case=case, numbers=numbers))
    tokens = (token for chunk in folded for token in chunk)
    counts = forms.counts[:, : len(forms.numbers)].tolist()
    for form, token, total, inside in zip(forms.numbers, tokens, *counts, strict=True):
        totals[token] = totals.get(token, 0) + total
        if case == "fold" and token != NUMBER.encode():
            # Among forms as frequent, the one in lower case (the greater in code points) wins.
            displays[token] = max(displays.get(token, (1, token)), (inside, form))
    paragraphs = totals.pop(BREAK.encode(), 0)
    occurrences = sum(totals.values())
    if not occurrences:
        raise InputError(f"The training split of {documents} holds no text.")
    kept = sorted(listed if listed else totals, key=lambda token: (-totals[token], token))
    if not listed:
        kept = [token for token in kept if totals[token] >= min_count][: size - 2]
    if not kept:
        raise InputError(
            f"No token of {documents} stands {min_count} times in the training split: add text or "
            "lower --min-count."
        )
    unknown = occurrences - sum(totals[token] for token in kept)
    return Vocabulary(
        (UNKNOWN, BEGIN, *(token.decode() for token in kept)),
        (UNKNOWN, BEGIN, *(displays.get(token, (0, token))[1].decode() for token in kept)),
        (unknown, paragraphs, *(totals[token] for token in kept)),
        case,
        numbers,
    )


def tokenize_documents(
    *,
    documents: Path,
    output: Path,
    vocabulary_size: int,
    min_count: int,
    case: Case = "fold",
    numbers: Numbers = "keep",
    vocabulary: Path | None = None,
) -> None:
    """Write vocabulary.tsv, tokenizer.json, and train.npy, valid.npy and test.npy.

    The streams are int32 ids of shape (tokens,). Memory holds each different token once, and a
    few megabytes of text.

    Args:
        documents: folder that `ingest` wrote.
        output: folder to write into.
        vocabulary_size: V, at most so many tokens, `<unk>` and `<s>` among them.
        min_count: rarer tokens stay out, so that `<unk>` stands for something in training.
        case, numbers: see `Vocabulary`.
        vocabulary: file of the tokens to know, one a line or a vocabulary.tsv; then
            `vocabulary_size` and `min_count` do not apply.

    Raises:
        InputError: the documents or the listed tokens are missing, or hold too little text.
    """
    path = documents / "documents.parquet"
    texts = _Documents(path)
    listed = _read_listed(vocabulary, case=case, numbers=numbers) if vocabulary else None

    forms = _Forms()
    with contextlib.ExitStack() as stack:
        streams = {
            split: stack.enter_context(StreamWriter(output / f"{split}.npy")) for split in SPLITS
        }
        progress = stack.enter_context(_progress())
        bar = progress.add_task("tokenize", total=texts.size, report="")
        start, done = time.perf_counter(), 0

        def number(batch: tuple[str, list[bytes]]) -> list[np.ndarray]:
            return [part.numpy() for part in _number(tf.constant(batch[1]))]

        for (split, batch), (found, stream, *counts) in side_by_side(number, texts):
            counted = np.stack(counts) if split == "train" else np.zeros((2, len(found)), np.int64)
            streams[split].append(forms.add(found.tolist(), counted)[stream])
            done += sum(map(len, batch))
            speed = done / 1e6 / (time.perf_counter() - start)
            progress.update(bar, completed=done, report=f"{speed:.1f} MB/s")
        progress.update(bar, completed=texts.size)

    known = _build_vocabulary(
        forms,
        documents=path,
        size=vocabulary_size,
        min_count=min_count,
        case=case,
        numbers=numbers,
        listed=listed,
    )
    known.save(output / "vocabulary.tsv")
    ids = np.concatenate([*forms.map(Tokenizer(known).lookup)])
    for split in SPLITS:
        stream = np.load(output / f"{split}.npy", mmap_mode="r+")
        for first in range(0, len(stream), _CHUNK):
            stream[first : first + _CHUNK] = ids[stream[first : first + _CHUNK]]
        stream.flush()


def _progress() -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.fields[report]}"),
        rich.progress.TimeRemainingColumn(),
    )


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
