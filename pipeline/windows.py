"""A stream of ids cut into lanes and windows, the batches of truncated BPTT.

stream   Ele bebeu água . Ela fez café . …      batch = 2, T = 3

lane 0   [Ele bebeu água] [. …           y = x shifted left by one
lane 1   [Ela fez café]   [. …
          window 1         window 2      h carries over, the gradient stops at the bar
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline import InputError

NO_TARGET = -1


def open_stream(path: Path) -> np.ndarray:
    """The int32 ids of one split, shape (tokens,), memory-mapped.

    Raises:
        InputError: the file is missing or is no vector of ids.
    """
    try:
        stream = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise InputError(
            f"No tokens can be read from {path}: run `nextword tokenize` first."
        ) from error
    if stream.ndim != 1 or stream.dtype != np.int32:
        raise InputError(f"{path} is not a vector of int32 ids; run `nextword tokenize` again.")
    return stream


def windows(
    stream: np.ndarray, *, batch_size: int, window: int, lanes: slice = slice(None)
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield x, y of shape (batch, time), window after window.

    Every token but the first is a target exactly once. Lanes are equally long: the last ones
    are padded with targets `NO_TARGET`, and the last window may be shorter than `window`.

    Args:
        stream: int32 ids, shape (tokens,).
        batch_size: lanes that the whole stream is cut into.
        window: T, steps in a window.
        lanes: which of them to yield; all by default.
    """
    targets = len(stream) - 1
    length = -(-targets // batch_size)
    starts = np.arange(batch_size)[lanes, None] * length
    for first in range(0, length, window):
        steps = np.arange(first, min(first + window, length))
        at = starts + steps  # (batch, time)
        inside = at < targets
        at = np.minimum(at, targets - 1)
        yield stream[at], np.where(inside, stream[at + 1], NO_TARGET)


def count_windows(stream: np.ndarray, *, batch_size: int, window: int) -> int:
    """How many windows `windows` yields."""
    length = -(-(len(stream) - 1) // batch_size)
    return -(-length // window)


def dataset(
    stream: np.ndarray, *, batch_size: int, window: int, context: tf.distribute.InputContext
) -> tf.data.Dataset:
    """The windows that one input pipeline of a distribution strategy feeds to its replicas.

    The global batch is shared out by lanes, so that every replica reads on in its own lanes;
    consecutive elements belong to the replicas of this pipeline in turn.
    """
    replicas = context.num_replicas_in_sync
    local = replicas // context.num_input_pipelines
    share = batch_size // replicas
    first = context.input_pipeline_id * local

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        lanes = slice(first * share, (first + local) * share)
        for x, y in windows(stream, batch_size=batch_size, window=window, lanes=lanes):
            for replica in range(local):
                rows = slice(replica * share, (replica + 1) * share)
                yield x[rows], y[rows]

    shape = tf.TensorSpec((share, None), tf.int32)
    options = tf.data.Options()
    # There is nothing to tune here, and the tuner's thread, which sleeps twice as long each time,
    # can miss the end of an epoch: with it, the end of the data came up to 20 s late (TF 2.21).
    options.autotune.enabled = False
    batches_ahead = tf.data.Dataset.from_generator(batches, output_signature=(shape, shape))
    return batches_ahead.prefetch(4).with_options(options)
