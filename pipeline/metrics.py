"""How well a model predicts a stream of tokens: sums and counts, divided once at the end."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import tensorflow as tf

from pipeline.vocabulary import UNKNOWN_ID
from pipeline.windows import NO_TARGET, even_lanes, windows

TOP = (1, 3, 5)
# Lanes that a measured stream is read in. Each begins without context, so few are honest and
# many are fast.
LANES = 8
# Steps in a window; it changes nothing but the memory that logits take.
_WINDOW = 35


@dataclasses.dataclass(frozen=True)
class Sums:
    """Sums over targets; the sums of two streams add up field by field.

    Attributes:
        tokens: targets predicted, `<unk>` and `<s>` among them.
        nats: −Σ ln p(target).
        known: targets in the vocabulary.
        known_nats: −Σ ln p over them.
        words: targets that are words, in the vocabulary or not.
        hits: for each k of `TOP`, targets among the k most probable tokens.
        word_hits: the same for words among the k most probable words.
    """

    tokens: int
    nats: float
    known: int
    known_nats: float
    words: int
    hits: np.ndarray
    word_hits: np.ndarray

    def __add__(self, other: Self) -> Self:
        return type(self)(
            *(getattr(self, f.name) + getattr(other, f.name) for f in dataclasses.fields(self))
        )

    def metrics(self) -> dict[str, float]:
        """Perplexities, rates and shares; the definitions stand in the README."""
        return {
            "perplexity": perplexity(self.nats, self.tokens),
            "perplexity_known": perplexity(self.known_nats, self.known),
            "oov_rate": 1 - self.known / self.tokens,
            **{
                f"top_{k}": hits / self.tokens
                for k, hits in zip(TOP, self.hits.tolist(), strict=True)
            },
            **{
                f"top_{k}_words": hits / max(self.words, 1)
                for k, hits in zip(TOP, self.word_hits.tolist(), strict=True)
            },
            "tokens": int(self.tokens),
        }


def perplexity(nats: float, tokens: float) -> float:
    """exp(nats / tokens); infinite where that overflows, NaN where there is no token."""
    if not tokens:
        return math.nan
    mean = nats / tokens
    return math.exp(mean) if mean < 700 else math.inf


class Meter:
    """Measures a model over streams; `logits` maps ids (B, T) to (B, T, V) and carries state.

    Args:
        logits: the model.
        reset: makes the model forget; called before and after each stream, so that nothing
            passes from one to another.
        suggestible: bool, (V,), the tokens that are words.
    """

    def __init__(
        self,
        logits: Callable[[tf.Tensor], tf.Tensor],
        *,
        reset: Callable[[], None],
        suggestible: np.ndarray,
    ):
        self._logits, self._reset = logits, reset
        self._suggestible = tf.constant(suggestible)

    def measure(
        self, stream: np.ndarray, *, batch_size: int = LANES, window: int = _WINDOW
    ) -> Sums:
        """Predict every token of a stream but the first, read in `batch_size` lanes."""
        none = np.zeros(len(TOP), np.int64)
        total = Sums(0, 0.0, 0, 0.0, 0, none, none)
        self._reset()
        lanes = even_lanes(len(stream), batch_size=batch_size)
        for batch in windows(stream, lanes, window=window, stride=window):
            sums: list[Any] = [value.numpy() for value in self._window(batch.x, batch.y)]
            total += Sums(*sums)
        self._reset()
        return total

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None), tf.int32),
        ]
    )
    def _window(self, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, ...]:
        logits = tf.cast(self._logits(x), tf.float32)  # (B, T, V)
        counted = tf.not_equal(y, NO_TARGET)
        known = counted & tf.not_equal(y, UNKNOWN_ID)
        target = tf.maximum(y, 0)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
        better = logits > tf.gather(logits, target, axis=-1, batch_dims=2)[..., None]
        rank = tf.math.count_nonzero(better, axis=-1)
        word_rank = tf.math.count_nonzero(better & self._suggestible, axis=-1)
        is_word = known & tf.gather(self._suggestible, target)

        def count(condition: tf.Tensor) -> tf.Tensor:
            return tf.math.count_nonzero(condition)

        def total(where: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(tf.cast(tf.where(where, nats, 0.0), tf.float64))

        return (
            count(counted),
            total(counted),
            count(known),
            total(known),
            count(is_word | (counted & ~known)),
            tf.stack([count(known & (rank < k)) for k in TOP]),
            tf.stack([count(is_word & (word_rank < k)) for k in TOP]),
        )
