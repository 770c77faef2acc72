"""Score every token of a stream with a model."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from pipeline.text.vocabulary import UNKNOWN_ID
from pipeline.tokens.windows import NO_TARGET, paragraph_lanes, windows

# Maps logits (B, T, V), whether each is above the target's (B, T, V), and targets (B, T), those
# of other words included, to `word_rank` and `typed` of `Predictions`, (B, T) each.
Find = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]

# Lanes that a stream is read in. Each begins without context: fewer lanes are more exact, more
# lanes are faster.
LANES = 8
# Steps in a window; results do not depend on it, but the memory for logits does.
_WINDOW = 35


@dataclasses.dataclass(frozen=True)
class Predictions:
    """A model's predictions of all tokens of a stream but the first, in order: (N,) each.

    Attributes:
        targets: int32 ids.
        nats: float32, −ln p(target).
        rank: int32, number of tokens that are more probable; ties go to the lower id.
        confidence: float32, p of the most probable token.
        word_rank: int32, number of words that are more probable.
        typed: int32, letters of the target typed before it is suggested; −1 if it is not suggested
            before its last letter, or is not a word of the vocabulary or the lexicon.
        outside: bool, which targets are `<unk>`, but words of the lexicon.
    """

    targets: np.ndarray
    nats: np.ndarray
    rank: np.ndarray
    confidence: np.ndarray
    word_rank: np.ndarray | None = None
    typed: np.ndarray | None = None
    outside: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """Whether targets are in the vocabulary; bool, (N,)."""
        return self.targets != UNKNOWN_ID


def perplexity(nats: float, tokens: float) -> float:
    """Return exp(nats / tokens); infinity if that overflows, NaN if there are no tokens."""
    if not tokens:
        return math.nan
    mean = nats / tokens
    return math.inf if mean >= 700 else math.exp(mean)


class Meter:
    """Score streams with a model.

    Args:
        logits: the model; maps ids (B, T) to logits (B, T, V), or to those of each of several
            models that read together. If it carries state, `reset_states` clears it before and
            after each stream.
        find: computes `word_rank` and `typed`; None if tokens are pieces of words.
    """

    def __init__(
        self,
        logits: Callable[[tf.Tensor], tf.Tensor | list[tf.Tensor]],
        *,
        find: Find | None = None,
    ):
        self._logits, self._find = logits, find
        self._reset = getattr(logits, "reset_states", lambda: None)

    def measure(
        self, stream: np.ndarray, *, batch_size: int = LANES, window: int = _WINDOW
    ) -> Predictions:
        """Predict every token of a stream but the first, read in `batch_size` lanes.

        An id below `NO_TARGET` is `<unk>` to the model, and a word of a lexicon to `find`.
        """
        (predictions,) = self.measure_each(stream, batch_size=batch_size, window=window)
        return predictions

    def measure_each(
        self, stream: np.ndarray, *, batch_size: int = LANES, window: int = _WINDOW
    ) -> list[Predictions]:
        """Predict every token as `measure` does, for each of the models that read together."""
        values = self._read(self._rank, stream, batch_size=batch_size, window=window)
        targets, names = stream[1:], ["nats", "rank", "confidence"]
        names += ["word_rank", "typed"] if self._find else []
        return [
            Predictions(
                np.maximum(targets, UNKNOWN_ID),
                outside=targets < NO_TARGET,
                **dict(zip(names, values[first : first + len(names)], strict=True)),
            )
            for first in range(0, len(values), len(names))
        ]

    def negative_log_likelihood(
        self, stream: np.ndarray, *, batch_size: int = LANES, window: int = _WINDOW
    ) -> np.ndarray:
        """Return only the `nats` of `measure`, float32 (N,), in less time."""
        step = self._negative_log_likelihood
        (nats,) = self._read(step, stream, batch_size=batch_size, window=window)
        return nats

    def of_texts(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return −ln p of all tokens of each text but the first, read from an empty state.

        Args:
            texts: int32 ids, (tokens,) each.

        Returns:
            float32, (tokens − 1,) for each text.
        """
        longest = max(map(len, texts))
        ids = np.full((-(-len(texts) // LANES) * LANES, longest), UNKNOWN_ID, np.int32)
        for row, text in zip(ids, texts, strict=False):
            row[: len(text)] = text
        nats = []
        for lanes in np.split(ids, len(ids) // LANES):
            self._reset()
            (found,) = self._negative_log_likelihood(lanes[:, :-1], lanes[:, 1:])
            nats += [*found.numpy()]
        self._reset()
        return [values[: len(text) - 1] for values, text in zip(nats, texts, strict=False)]

    def _read(
        self,
        step: Callable[[np.ndarray, np.ndarray], tuple[tf.Tensor, ...]],
        stream: np.ndarray,
        *,
        batch_size: int,
        window: int,
    ) -> list[np.ndarray]:
        """Return the values, (N,) each, that `step` maps x and y, (B, T), to."""
        lanes = paragraph_lanes(stream, batch_size=batch_size)
        lengths = [sum(end - 1 - first for first, end in lane) for lane in lanes]
        self._reset()
        parts = [
            [values.numpy() for values in step(np.maximum(batch.x, UNKNOWN_ID), batch.y)]
            for batch in windows(stream, lanes, window=window, stride=window)
        ]
        self._reset()
        columns = [np.concatenate(column, axis=1) for column in zip(*parts, strict=True)]  # (B, …)
        return [
            np.concatenate([lane[:length] for lane, length in zip(column, lengths, strict=True)])
            for column in columns
        ]

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)] * 2, autograph=False)
    def _negative_log_likelihood(self, x: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(nats for *_, nats, _ in self._scores(x, tf.maximum(target, UNKNOWN_ID)))

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)] * 2, autograph=False)
    def _rank(self, x: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, ...]:
        known, values = tf.maximum(target, UNKNOWN_ID), []
        for logits, own, nats, confidence in self._scores(x, known):
            before = tf.range(tf.shape(logits)[-1]) < known[..., None]
            # tf.math.top_k breaks ties in the same way.
            better = (logits > own) | (tf.equal(logits, own) & before)
            rank = tf.math.count_nonzero(better, axis=-1, dtype=tf.int32)
            of_words = self._find(logits, better, target) if self._find else ()
            values += [nats, rank, confidence, *of_words]
        return tuple(values)

    def _scores(self, x: tf.Tensor, target: tf.Tensor) -> Iterator[tuple[tf.Tensor, ...]]:
        """Yield logits (B, T, V), the target's (B, T, 1), −ln p(target) and max p (B, T) by model.

        TensorFlow's cross entropy takes twice as long, since it computes its gradient as well.
        """
        for found in tf.nest.flatten(self._logits(x)):
            logits = tf.cast(found, tf.float32)
            own = tf.gather(logits, target[..., None], axis=-1, batch_dims=2)
            most = tf.reduce_max(logits, axis=-1)
            total = tf.reduce_sum(tf.exp(logits - most[..., None]), axis=-1)
            yield logits, own, most - own[..., 0] + tf.math.log(total), 1 / total
