"""A continuous cache (Grave, Joulin & Usunier 2017, §3).

The cache remembers the last N steps of a text, each as a pair: the hidden state h_i and the token
x_{i+1} that followed. It predicts what followed in similar states:

    p_cache(w | t) ∝ Σ_i 1[w = x_{i+1}] exp(θ h_t · h_i),  i = t − N … t − 1
    p(w | t)       = (1 − λ) p_model(w | t) + λ p_cache(w | t)

Nothing is trained; θ and λ are tuned on validation text.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.model.dynamic import DynamicModel
from pipeline.model.interpolation import find_weights, interpolate
from pipeline.model.language_model import LanguageModel
from pipeline.model.meter import LANES
from pipeline.tokens.windows import paragraph_lanes, windows

# The best θ depends on the length of the hidden states: 4 or so for 512 units, 128 for 5.
_THETAS = (0.0, *(2.0**power for power in range(-6, 9)))
# Validation text that only repeats itself would give the cache all the weight.
_MAX_WEIGHT = 0.9
_WINDOW = 35
# Steps of a long text that are compared at once.
_STEPS = 128


@dataclasses.dataclass(frozen=True)
class Cache:
    """Parameters of a cache.

    Attributes:
        size: N, number of pairs.
        theta: θ, weight of the similarity of states; with 0, all N pairs count alike.
        weight: λ < 1, the cache's share of the probability.
    """

    size: int
    theta: float
    weight: float


class Steps(NamedTuple):
    """Steps of a network, oldest first; N + 1 steps make N pairs. Zeros are an empty memory.

    Attributes:
        h: float32, (B, L, H), the last layer's output.
        ids: int32, (B, L), 1 + the id read; 0 before the text begins.
    """

    h: tf.Tensor
    ids: tf.Tensor

    @classmethod
    def empty(cls, batch_size: int | tf.Tensor, size: int, units: int) -> "Steps":
        """Return the memory of a cache of that size before a text begins."""
        shape = (batch_size, size + 1)
        return cls(tf.zeros((*shape, units)), tf.zeros(shape, tf.int32))

    def append(self, h: tf.Tensor, ids: tf.Tensor) -> "Steps":
        """Append T steps: h (B, T, H) and the ids read (B, T)."""
        h = tf.concat([self.h, tf.cast(h, tf.float32)], axis=1)
        return Steps(h, tf.concat([self.ids, ids + 1], axis=1))

    def last(self, size: int, *, padding: tf.Tensor | int = 0) -> "Steps":
        """Return the N + 1 steps before `padding`, int32 (B,), steps at the end."""
        length = tf.shape(self.ids)[1]
        first = tf.broadcast_to(length - padding - size - 1, tf.shape(self.ids)[:1])
        places = first[:, None] + tf.range(size + 1)
        h, ids = (tf.gather(part, places, batch_dims=1) for part in self)
        return Steps(h, ids)


def _compare(steps: Steps, count: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return h_t · h_i of the last T steps and all P pairs, (B, T, P), and whether t sees i."""
    length = tf.shape(steps.ids)[1]
    start = length - count
    similarity = tf.matmul(steps.h[:, start:], steps.h[:, :-1], transpose_b=True)
    i, t = tf.range(length - 1), tf.range(start, length)[:, None]
    remembered = (i < t) & (i >= t - size) & (steps.ids[:, None, :-1] > 0)
    return similarity, remembered


def _attend(similarity: tf.Tensor, remembered: tf.Tensor, theta: float) -> tf.Tensor:
    """Return exp(θ h_t · h_i) over its sum, (B, T, P), and 0 where t does not see i."""
    scores = tf.where(remembered, theta * similarity, similarity.dtype.min)
    return tf.where(remembered, tf.nn.softmax(scores), 0.0)


def mix(log_p: tf.Tensor, steps: Steps, cache: Cache) -> tf.Tensor:
    """Return ln p of model and cache, (B, T, V); with an empty memory, the model's.

    Args:
        log_p: float32, (B, T, V), ln p_model after each of the last T steps.
        steps: (B, L), L ≥ T.
        cache: N, θ and λ.
    """
    batch, count, size = tf.unstack(tf.shape(log_p, tf.int64))
    similarity, remembered = _compare(steps, tf.cast(count, tf.int32), cache.size)
    attention = _attend(similarity, remembered, cache.theta)
    followed = tf.cast(tf.maximum(steps.ids[:, None, 1:] - 1, 0), tf.int64)
    rows = tf.reshape(tf.range(batch * count), (batch, count, 1))
    shares = tf.math.unsorted_segment_sum(attention, rows * size + followed, batch * count * size)
    shares = tf.reshape(shares, tf.shape(log_p))
    both = tf.math.log((1 - cache.weight) * tf.exp(log_p) + cache.weight * shares)
    some = tf.reduce_any(remembered, axis=-1, keepdims=True)
    # Without p, which may underflow.
    alone = log_p + tf.where(some, tf.math.log1p(-cache.weight), 0.0)
    return tf.where(shares > 0, both, alone)


def target_shares(
    losses: tf.Tensor, targets: tf.Tensor, steps: Steps, *, size: int, thetas: tuple[float, ...]
) -> list[tf.Tensor]:
    """Return p_cache(target), (B, T) for each θ, without a distribution over V.

    With an empty memory, it is p_model(target), so that λ has no effect.

    Args:
        losses: float32, (B, T), −ln p_model(target) after each of the last T steps.
        targets: int32, (B, T).
        steps: (B, L), L ≥ T.
        size: N.
        thetas: each θ.
    """
    similarity, remembered = _compare(steps, tf.shape(targets)[1], size)
    hit = tf.equal(steps.ids[:, None, 1:] - 1, targets[..., None])
    some = tf.reduce_any(remembered, axis=-1)
    return [
        tf.where(
            some,
            tf.reduce_sum(tf.where(hit, _attend(similarity, remembered, theta), 0.0), axis=-1),
            tf.exp(-losses),
        )
        for theta in thetas
    ]


def target_losses(
    losses: tf.Tensor, targets: tf.Tensor, h: tf.Tensor, ids: tf.Tensor, cache: Cache
) -> tf.Tensor:
    """Return −ln p(target) of model and cache, (B, T), for texts from their beginning.

    Args:
        losses: float32, (B, T), −ln p_model(target).
        targets, ids: int32, (B, T), predicted and read at each step.
        h: (B, T, H).
        cache: N, θ and λ.
    """
    batch, count = tf.unstack(tf.shape(targets))
    chunks = tf.maximum(-(-count // _STEPS), 1)  # `map_fn` fails on none
    padding = chunks * _STEPS - count
    padded, padded_targets, ids = (
        tf.pad(part, [[0, 0], [0, padding]]) for part in (losses, targets, ids)
    )
    h = tf.pad(h, [[0, 0], [0, padding], [0, 0]])
    steps = Steps.empty(batch, cache.size, h.shape[-1]).append(h, ids)

    def chunk_shares(start: tf.Tensor) -> tf.Tensor:
        end = start + _STEPS
        chunk = Steps(*(part[:, start : end + cache.size + 1] for part in steps))
        now = padded[:, start:end], padded_targets[:, start:end]
        return target_shares(*now, chunk, size=cache.size, thetas=(cache.theta,))[0]

    starts = tf.range(chunks) * _STEPS
    shares = tf.map_fn(chunk_shares, starts, fn_output_signature=tf.float32, parallel_iterations=1)
    shares = tf.reshape(tf.transpose(shares, (1, 0, 2)), (batch, count + padding))[:, :count]
    both = -tf.math.log((1 - cache.weight) * tf.exp(-losses) + cache.weight * shares)
    return tf.where(shares > 0, both, losses - tf.math.log1p(-cache.weight))


def choose(
    losses: np.ndarray, shares: np.ndarray, *, size: int, thetas: tuple[float, ...]
) -> Cache:
    """Choose the θ and λ under which a text is most probable.

    Args:
        losses: −ln p_model(target), (M,).
        shares: p_cache(target) for each θ, (K, M).
        size, thetas: N and each θ.
    """
    candidates = []
    for theta, share in zip(thetas, shares, strict=True):
        with np.errstate(divide="ignore"):
            both = np.stack([losses, -np.log(share)])
        weight = min(float(find_weights(both)[1]), _MAX_WEIGHT)
        mean = interpolate(both, np.array([1 - weight, weight])).mean(dtype=np.float64)
        candidates.append((mean, Cache(size, theta, weight)))
    return min(candidates, key=lambda candidate: candidate[0])[1]


def tune(model: LanguageModel, stream: np.ndarray, *, size: int) -> Cache:
    """Tune a cache of N = `size` on validation text, int32 ids (tokens,), which is read once.

    The model is stateful, with batch size `LANES`.
    """
    cached = CachedModel(model, Cache(size, 0.0, 0.0))

    @tf.function(input_signature=[tf.TensorSpec((LANES, None), tf.int32)] * 2, autograph=False)
    def step(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        h, steps = cached.read(x)
        losses = model.negative_log_likelihood(h, y)
        return losses, tf.stack(target_shares(losses, y, steps, size=size, thetas=_THETAS))

    lanes = paragraph_lanes(stream, batch_size=LANES)
    cached.reset_states()
    losses, shares = [], []
    for window in windows(stream, lanes, window=_WINDOW, stride=_WINDOW):
        of_model, of_cache = (values.numpy() for values in step(window.x, window.y))
        counted = window.y >= 0
        losses.append(of_model[counted])
        shares.append(of_cache[:, counted])
    cached.reset_states()
    return choose(np.concatenate(losses), np.concatenate(shares, axis=1), size=size, thetas=_THETAS)


class CachedModel(tf.Module):
    """A stateful model with a cache: maps ids (B, T) to ln p (B, T, V) until `reset_states`."""

    def __init__(self, model: LanguageModel | DynamicModel, cache: Cache):
        super().__init__(name="cached")
        self.model, self.cache = model, cache
        batch_size, units = model.recurrent[-1].states[0].shape
        self._memory = [
            tf.Variable(part, trainable=False)
            for part in Steps.empty(batch_size, cache.size, units)
        ]

    def read(self, ids: tf.Tensor) -> tuple[tf.Tensor, Steps]:
        """Return h (B, T, H) of ids (B, T), and all steps, those remembered first."""
        h, _ = self.model.hidden(ids)
        steps = Steps(*map(tf.convert_to_tensor, self._memory)).append(h, ids)
        for variable, part in zip(self._memory, steps.last(self.cache.size), strict=True):
            variable.assign(part)
        return h, steps

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        return self.without_and_with(ids)[1]

    def without_and_with(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """Return ln p (B, T, V) of the model alone, and of the model with its cache."""
        h, steps = self.read(ids)
        logits = tf.cast(self.model.logits(self.model.features(h)), tf.float32)
        log_p = tf.nn.log_softmax(logits)
        return [log_p, mix(log_p, steps, self.cache)]

    def reset_states(self) -> None:
        """Clear the states and the cache."""
        self.model.reset_states()
        for variable in self._memory:
            variable.assign(tf.zeros_like(variable))


class WithoutAndWithCache:
    """A model alone, and the same with its cache, for `Meter.measure_each`."""

    def __init__(self, cached: CachedModel):
        self._cached, self.reset_states = cached, cached.reset_states

    def __call__(self, ids: tf.Tensor) -> list[tf.Tensor]:
        return self._cached.without_and_with(ids)
