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
    stream: np.ndarray, *, batch_size: int, window: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield x, y of shape (batch, time), window after window.

    Every token but the first is a target exactly once. Lanes are equally long: the last ones
    are padded with targets `NO_TARGET`, and the last window may be shorter than `window`.

    Args:
        stream: int32 ids, shape (tokens,).
        batch_size: lanes that the whole stream is cut into.
        window: T, steps in a window.
    """
    targets = len(stream) - 1
    length = -(-targets // batch_size)
    starts = np.arange(batch_size)[:, None] * length
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


def distribute(
    stream: np.ndarray, *, batch_size: int, window: int, strategy: tf.distribute.Strategy
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """The windows of a stream, x and y, each spread over the replicas of a strategy.

    A replica reads on in its own lanes. This is no tf.data pipeline: a window is cut out of a
    memory map in microseconds, and tf.data's threads slowed the training step down by a fifth on
    two cores (TF 2.21), while its tuner could miss the end of an epoch by 20 s.
    """
    replicas = strategy.num_replicas_in_sync
    for pair in windows(stream, batch_size=batch_size, window=window):
        x, y = (
            strategy.experimental_distribute_values_from_function(
                lambda context, ids=ids: tf.constant(
                    lanes_of(ids, replica=context.replica_id_in_sync_group, replicas=replicas)
                )
            )
            for ids in pair
        )
        yield x, y


def lanes_of(ids: np.ndarray, *, replica: int, replicas: int) -> np.ndarray:
    """The lanes of a batch (batch, time) that one of several replicas reads."""
    share = len(ids) // replicas
    return ids[replica * share : (replica + 1) * share]
