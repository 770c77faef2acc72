"""Split a stream of ids into lanes and windows, the batches of truncated BPTT.

stream   Ele bebeu água . Ela fez café . …      batch = 2, T = 3

lane 0   [Ele bebeu água] [. …           y = x shifted left by one
lane 1   [Ela fez café]   [. …
          window 1         window 2      h carries over, the gradient stops at the bar

With a stride k₁ < T windows overlap: each begins k₁ steps after the one before, and only its last
k₁ steps, which no earlier window predicts, have targets.
"""

import dataclasses
import heapq
import itertools
import math
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.limits import check_file
from pipeline.text.vocabulary import BEGIN_ID

NO_TARGET = -1

# First token and end of a part of the stream; all of its tokens but the first are predicted.
Span = tuple[int, int]

# Ids of a stream searched at once.
_CHUNK = 2**20


@dataclasses.dataclass(frozen=True)
class Window:
    """The batch of one update.

    Attributes:
        x: int32 ids, (B, T).
        y: int32 targets of the last K ≤ T steps, or `NO_TARGET`, (B, K).
        begins: bool, (B,), lanes that begin a new text, whose state must be reset before.
    """

    x: np.ndarray
    y: np.ndarray
    begins: np.ndarray


class Shards:
    """Read int32 vectors as one stream, by `len` and indexing."""

    def __init__(self, shards: Iterable[np.ndarray]):
        self._shards = [shard for shard in shards if len(shard)]
        self._starts = np.cumsum([0, *map(len, self._shards)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return the ids of a slice, or at indices of any shape, in that shape."""
        if isinstance(index, slice):
            index = range(*index.indices(len(self)))
        places = np.asarray(index, np.int64)
        places = np.where(places < 0, places + len(self), places)
        if ((places < 0) | (places >= len(self))).any():
            raise IndexError(f"A stream of {len(self)} ids has none at {index}.")
        shard = np.searchsorted(self._starts, places, side="right") - 1
        ids = np.empty(places.shape, np.int32)
        for number in np.unique(shard):
            here = shard == number
            ids[here] = self._shards[number][places[here] - self._starts[number]]
        return ids[()]


def open_stream(path: Path, *, below: int | None = None) -> np.ndarray:
    """Return the int32 ids of a split, (tokens,), memory-mapped.

    If train.npy is missing, read train-00000.npy, train-00001.npy, …, which Spark writes.

    Args:
        path: of the split, or of numbers beside it.
        below: size of the vocabulary, which no id may reach: a GPU would read others as zeros.

    Raises:
        InputError: the file is missing, or is not a vector of such ids.
    """
    shards = [] if path.exists() else sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))
    if shards:
        return Shards(_open_file(shard, below) for shard in shards)  # type: ignore[return-value]
    return _open_file(path, below)


def _open_file(path: Path, below: int | None) -> np.ndarray:
    check_file(path, most=math.inf)
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):  # others have headers of gigabytes
                raise ValueError("it is no NPY file of version 1.0")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            bytes_held = path.stat().st_size - file.tell()
        if math.prod(shape) * dtype.itemsize > bytes_held:
            raise ValueError(f"it says that it holds {math.prod(shape):,} ids, and holds fewer")
        stream = np.lib.format.open_memmap(path, mode="r")  # as np.load, but no zip, no pickle
    except (OSError, ValueError, tokenize.TokenError) as error:  # the last of a header
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0].rstrip(".")
        raise InputError(
            f"No tokens can be read from {path} ({reason}): run `nextword tokenize` first."
        ) from error
    if stream.ndim != 1 or stream.dtype != np.int32:
        raise InputError(f"{path} is not a vector of int32 ids; run `nextword tokenize` again.")
    if below is not None and len(stream) and not (stream.min() >= 0 and stream.max() < below):
        raise InputError(
            f"{path} holds ids that its vocabulary of {below:,} does not have: run `nextword "
            "tokenize` again."
        )
    return stream


def even_lanes(tokens: int, *, batch_size: int) -> list[list[Span]]:
    """Split a stream into lanes of equal length; the last ones may be shorter, or empty."""
    targets = tokens - 1
    length = -(-targets // batch_size)
    starts = range(0, batch_size * length, length) if length else [0] * batch_size
    return [[(a, min(a + length, targets) + 1)] if a < targets else [] for a in starts]


def paragraph_lanes(stream: np.ndarray, *, batch_size: int) -> list[list[Span]]:
    """Return `even_lanes`, each moved to the first paragraph that begins in it, if any.

    A model in use never begins within a sentence, and some take long to recover if they do.
    """
    lanes = [lane for lane in even_lanes(len(stream), batch_size=batch_size) if lane]
    bounds = [0]
    for [(first, end)] in lanes[1:]:
        begins = np.flatnonzero(stream[first : end - 1] == BEGIN_ID)
        bounds.append(first + int(begins[0]) if len(begins) else first)
    ends = [*bounds[1:], len(stream) - 1]
    spans = [[(first, last + 1)] for first, last in zip(bounds, ends, strict=True) if lanes]
    return [*spans, *([] for _ in range(batch_size - len(spans)))]


def document_lanes(
    documents: Iterable[Span], *, batch_size: int, window: int, stride: int
) -> list[list[Span]]:
    """Assign whole documents to lanes, longest first, each to the lane with fewest windows."""
    heap: list[tuple[int, int, list[Span]]] = [(0, lane, []) for lane in range(batch_size)]
    for span in sorted(documents, key=lambda span: (span[0] - span[1], span)):
        count, lane, spans = heap[0]
        spans.append(span)
        count += _windows_of([span], window=window, stride=stride)
        heapq.heapreplace(heap, (count, lane, spans))
    return [sorted(spans) for _, _, spans in sorted(heap, key=lambda entry: entry[1])]


def paragraph_spans(stream: np.ndarray) -> Iterator[Span]:
    """Yield the paragraphs of a stream, each with the `<s>` that ends it."""
    start = 0
    for first in range(0, len(stream), _CHUNK):
        begins = first + np.flatnonzero(stream[first : first + _CHUNK] == BEGIN_ID)
        for begin in begins.tolist():
            if begin > start:
                yield start, begin + 1
                start = begin
    if len(stream) - start > 1:
        yield start, len(stream)


def document_spans(stream: np.ndarray, counts: Iterable[int]) -> Iterator[Span]:
    """Yield the documents of a stream, each with the `<s>` that begins the next.

    Args:
        stream: int32 ids, (tokens,).
        counts: number of paragraphs in each document.
    """
    spans = paragraph_spans(stream)
    for count in counts:
        if group := list(itertools.islice(spans, count)):
            yield group[0][0], group[-1][1]


def _windows_of(spans: Sequence[Span], *, window: int, stride: int) -> int:
    return sum(1 + max(0, -(-(end - 1 - first - window) // stride)) for first, end in spans)


def count_windows(lanes: Sequence[Sequence[Span]], *, window: int, stride: int) -> int:
    """Return the number of windows that `windows` yields."""
    return max(_windows_of(spans, window=window, stride=stride) for spans in lanes)


def windows(
    stream: np.ndarray, lanes: Sequence[Sequence[Span]], *, window: int, stride: int
) -> Iterator[Window]:
    """Yield windows of T steps, each `stride` steps after the one before.

    The first window of a span has targets at all steps. After the end of a span or lane, targets
    are `NO_TARGET`.

    Args:
        stream: int32 ids, (tokens,).
        lanes: spans that each lane reads in turn.
        window: T, steps in a window.
        stride: k₁ ≤ T.
    """

    def walk(spans: Sequence[Span]) -> Iterator[tuple[int, int, bool]]:
        for first, end in spans:
            for i in range(_windows_of([(first, end)], window=window, stride=stride)):
                yield first + i * stride, end, i == 0

    steps = np.arange(window)
    for places in itertools.zip_longest(*map(walk, lanes), fillvalue=(0, 1, False)):
        start, end, begins = (np.array(column) for column in zip(*places, strict=True))
        at = start[:, None] + steps  # (B, T)
        counted = (at + 1 < end[:, None]) & (begins[:, None] | (steps >= window - stride))
        last = end[:, None] - 1
        y = np.where(counted, stream[np.minimum(at + 1, last)], NO_TARGET)
        outputs = window if begins.any() else stride
        yield Window(stream[np.minimum(at, last)], y[:, window - outputs :], begins)


def sequences(
    stream: np.ndarray, spans: np.ndarray, *, batch_size: int, seed: Sequence[int]
) -> Iterator[Window]:
    """Yield batches of whole spans of about equal length.

    T is the longest of the batch, rounded up so that few lengths occur, since each one compiles.

    Args:
        stream: int32 ids, (tokens,).
        spans: int64, (spans, 2).
        batch_size: spans in a batch; one batch, of short ones, may have fewer.
        seed: of the order of batches, and of which spans of similar length share one.
    """
    random = np.random.default_rng(seed)
    sizes = _round_up(spans[:, 1] - 1 - spans[:, 0])
    order = random.permutation(len(spans))
    order = order[np.argsort(-sizes[order], kind="stable")]
    for first in random.permutation(np.arange(0, len(order), batch_size)):
        batch = order[first : first + batch_size]
        lanes = [[(start, end)] for start, end in spans[batch].tolist()]
        lanes += [[] for _ in range(batch_size - len(lanes))]
        window = int(sizes[batch[0]])
        yield from windows(stream, lanes, window=window, stride=window)


def _round_up(lengths: np.ndarray) -> np.ndarray:
    """Round up to one of 8, 12, 16, 24, 32, 48, …"""
    power = 2 ** np.ceil(np.log2(np.maximum(lengths, 8))).astype(np.int64)
    between = power * 3 // 4
    return np.where((lengths <= between) & (power > 8), between, power)


def distribute(
    batches: Iterable[Window], strategy: tf.distribute.Strategy
) -> Iterator[tuple[tf.Tensor, ...]]:
    """Yield x, y and begins of windows, with the lanes split over the replicas of a strategy.

    A replica always reads the same lanes. This is not a tf.data pipeline: slicing a memory map
    takes microseconds, while tf.data's threads slowed the training step down by a fifth on two
    cores (TF 2.21), and its tuner could delay the end of an epoch by 20 s.
    """
    for window in batches:
        yield tuple(per_replica(lanes, strategy) for lanes in (window.x, window.y, window.begins))


def per_replica(lanes: np.ndarray, strategy: tf.distribute.Strategy) -> tf.Tensor:
    """Split the lanes of a batch (batch, …) evenly over the replicas of a strategy."""
    shares = np.split(lanes, strategy.num_replicas_in_sync)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(shares[context.replica_id_in_sync_group])
    )
