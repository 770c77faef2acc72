"""A model read over a stream of tokens: what it thought of every target."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipeline.text.vocabulary import UNKNOWN_ID
from pipeline.tokens.windows import paragraph_lanes, windows

# From logits (B, T, V), which of them beat the target's (B, T, V), and targets (B, T): `word_rank`
# and `typed` of `Predictions`, (B, T) each.
Find = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]

# Lanes that a measured stream is read in. Each begins without context: fewer lanes measure more
# exactly, more lanes are faster.
LANES = 8
# Steps in a window; it changes nothing but the memory that logits take.
_WINDOW = 35


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model thought of each target of a stream, in the stream's order.

    Entry i of every array tells of the stream's token i + 1; the shapes are (N,), N = tokens − 1.

    Attributes:
        targets: int32 ids.
        nats: float32, −ln p(target).
        rank: int32, tokens that are more probable; of equals the one with the lower id is.
        confidence: float32, p of the most probable token.
        word_rank: int32, words that are more probable.
        typed: int32, letters of the target to type until it is among the words suggested; −1 where
            typing all but the last does not help, and for what is no word of the vocabulary.
    """

    targets: np.ndarray
    nats: np.ndarray
    rank: np.ndarray
    confidence: np.ndarray
    word_rank: np.ndarray | None = None
    typed: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """Targets in the vocabulary; bool, (N,)."""
        return self.targets != UNKNOWN_ID


def perplexity(nats: float, tokens: float) -> float:
    """exp(nats / tokens); infinite where that overflows, NaN where there is no token."""
    if not tokens:
        return math.nan
    mean = nats / tokens
    return math.exp(mean) if mean < 700 else math.inf


class Meter:
    """Measure a model over streams.

    Args:
        logits: the model; maps ids (B, T) to (B, T, V) and carries state.
        reset: makes the model forget; called before and after each stream, so that nothing
            passes from one to another.
        find: gives `word_rank` and `typed`; None where tokens are pieces of words.
    """

    def __init__(
        self,
        logits: Callable[[tf.Tensor], tf.Tensor],
        *,
        reset: Callable[[], None],
        find: Find | None = None,
    ):
        self._logits, self._reset, self._find = logits, reset, find

    def measure(
        self, stream: np.ndarray, *, batch_size: int = LANES, window: int = _WINDOW
    ) -> Predictions:
        """Predict every token of a stream but the first, read in `batch_size` lanes."""
        columns = self._read(self._rank, stream, batch_size=batch_size, window=window)
        return Predictions(stream[1:], *columns)

    def nats(
        self, stream: np.ndarray, *, batch_size: int = LANES, window: int = _WINDOW
    ) -> np.ndarray:
        """No more than the `nats` of `measure`, float32 (N,), in less time."""
        return self._read(self._nats, stream, batch_size=batch_size, window=window)[0]

    def _read(
        self,
        step: Callable[[np.ndarray, np.ndarray], tuple[tf.Tensor, ...]],
        stream: np.ndarray,
        *,
        batch_size: int,
        window: int,
    ) -> list[np.ndarray]:
        """What a function of x and y, (B, T), tells of each target, in the stream's order."""
        lanes = paragraph_lanes(stream, batch_size=batch_size)
        lengths = [sum(end - 1 - first for first, end in lane) for lane in lanes]
        self._reset()
        told = [
            [values.numpy() for values in step(batch.x, np.maximum(batch.y, 0))]
            for batch in windows(stream, lanes, window=window, stride=window)
        ]
        self._reset()
        columns = [np.concatenate(column, axis=1) for column in zip(*told, strict=True)]  # (B, …)
        return [
            np.concatenate([lane[:length] for lane, length in zip(column, lengths, strict=True)])
            for column in columns
        ]

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)] * 2)
    def _nats(self, x: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return _nats_and_confidence(tf.cast(self._logits(x), tf.float32), target)[:1]

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)] * 2)
    def _rank(self, x: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, ...]:
        logits = tf.cast(self._logits(x), tf.float32)  # (B, T, V)
        own = tf.gather(logits, target[..., None], axis=-1, batch_dims=2)
        before = tf.range(tf.shape(logits)[-1]) < target[..., None]
        # As tf.math.top_k breaks ties.
        better = (logits > own) | (tf.equal(logits, own) & before)
        rank = tf.math.count_nonzero(better, axis=-1, dtype=tf.int32)
        of_words = self._find(logits, better, target) if self._find else ()
        nats, confidence = _nats_and_confidence(logits, target)
        return nats, rank, confidence, *of_words


def _nats_and_confidence(logits: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """−ln p(target), and p of the most probable token: (B, T, V) and (B, T) to (B, T) each.

    TensorFlow's cross entropy takes twice as long, since it computes its gradient as well.
    """
    own = tf.gather(logits, target, axis=-1, batch_dims=2)
    most = tf.reduce_max(logits, axis=-1)
    total = tf.reduce_sum(tf.exp(logits - most[..., None]), axis=-1)
    return most - own + tf.math.log(total), 1 / total
