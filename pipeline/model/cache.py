"""A continuous cache: people repeat themselves, and what they said last is what they say again.

The cache remembers the last N steps of a text, each as the pair of the hidden state h_i and the
token x_{i+1} that followed. It expects what followed where the network was in a similar state:

    p_cache(w | t) ∝ Σ_i 1[w = x_{i+1}] exp(θ h_t · h_i),  i = t − N … t − 1
    p(w | t)       = (1 − λ) p_model(w | t) + λ p_cache(w | t)

    i         0    1        2     3    t = 4
    reads     <s>  o        gato  e    o
    followed  o    gato     e     o    ?        h_4 is like h_1: «gato» is expected

Grave, Joulin & Usunier 2017, "Improving neural language models with a continuous cache", §3.
Nothing is trained; θ and λ are chosen on validation text.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.model.interpolation import find_weights, interpolate
from pipeline.model.language_model import LanguageModel
from pipeline.model.meter import LANES
from pipeline.tokens.windows import paragraph_lanes, windows

# The best θ depends on the length of the hidden states: 4 or so for 512 units, 128 for 5.
_THETAS = (0.0, *(2.0**power for power in range(-6, 9)))
# Validation text that does nothing but repeat itself would leave the network no say.
_MOST = 0.9
_WINDOW = 35
# Steps of a long text that are looked at at once.
_STEPS = 128


@dataclasses.dataclass(frozen=True)
class Cache:
    """What is asked of the memory.

    Attributes:
        size: N, pairs remembered.
        theta: θ, how much the likeness of states tells; 0 makes all N pairs equal.
        weight: λ < 1, the cache's share of the probability.
    """

    size: int
    theta: float
    weight: float


class Steps(NamedTuple):
    """Steps that a network has taken, the oldest first. N pairs are made of N + 1 steps.

    Attributes:
        h: float32, (B, L, H), the last layer's output.
        ids: int32, (B, L), 1 + the id that was read; 0 before the text began, so that zeros are a
            memory of nothing.
    """

    h: tf.Tensor
    ids: tf.Tensor

    def then(self, h: tf.Tensor, ids: tf.Tensor) -> "Steps":
        """With T more: h (B, T, H) and the ids (B, T) that were read."""
        h = tf.concat([self.h, tf.cast(h, tf.float32)], axis=1)
        return Steps(h, tf.concat([self.ids, ids + 1], axis=1))

    def last(self, size: int, *, padding: tf.Tensor | int = 0) -> "Steps":
        """The pairs that a cache of that size remembers.

        Args:
            size: N.
            padding: int32, (B,), steps at the end that are none.
        """
        length = tf.shape(self.ids)[1]
        first = tf.broadcast_to(length - padding - size - 1, tf.shape(self.ids)[:1])
        places = first[:, None] + tf.range(size + 1)
        h, ids = (tf.gather(part, places, batch_dims=1) for part in self)
        return Steps(h, ids)


def no_steps(batch_size: int | tf.Tensor, size: int, units: int) -> Steps:
    """The memory of a text that has not begun, for a cache of that size."""
    shape = (batch_size, size + 1)
    return Steps(tf.zeros((*shape, units)), tf.zeros(shape, tf.int32))


def _compare(steps: Steps, count: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """h_t · h_i of the last T steps and all P pairs, (B, T, P), and whether t remembers i."""
    length = tf.shape(steps.ids)[1]
    start = length - count
    similarity = tf.matmul(steps.h[:, start:], steps.h[:, :-1], transpose_b=True)
    i, t = tf.range(length - 1), tf.range(start, length)[:, None]
    remembered = (i < t) & (i >= t - size) & (steps.ids[:, None, :-1] > 0)
    return similarity, remembered


def _attend(similarity: tf.Tensor, remembered: tf.Tensor, theta: float) -> tf.Tensor:
    """exp(θ h_t · h_i) of what is remembered, divided by its sum, (B, T, P); else 0."""
    scores = tf.where(remembered, theta * similarity, similarity.dtype.min)
    return tf.where(remembered, tf.nn.softmax(scores), 0.0)


def mix(log_p: tf.Tensor, steps: Steps, cache: Cache) -> tf.Tensor:
    """ln p of model and cache together.

    Where nothing is remembered, it is the model's.

    Args:
        log_p: float32, (B, T, V), ln p_model after each of the last T steps.
        steps: (B, L), L ≥ T; at most the `cache.size` pairs before each step are looked at.
        cache: N, θ and λ.

    Returns:
        float32, (B, T, V).
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
    # Not by way of p, which may be less than a float can be.
    alone = log_p + tf.where(some, tf.math.log1p(-cache.weight), 0.0)
    return tf.where(shares > 0, both, alone)


def target_shares(
    nats: tf.Tensor, targets: tf.Tensor, steps: Steps, *, size: int, thetas: tuple[float, ...]
) -> list[tf.Tensor]:
    """p_cache(target) for each of several θ; no distribution over V is made for it.

    Where nothing is remembered, it is that of the model, so that any λ leaves the model as it is.

    Args:
        nats: float32, (B, T), −ln p_model(target) after each of the last T steps.
        targets: int32, (B, T).
        steps: (B, L), L ≥ T.
        size: N.
        thetas: each θ.

    Returns:
        float32, (B, T) for each θ.
    """
    similarity, remembered = _compare(steps, tf.shape(targets)[1], size)
    hit = tf.equal(steps.ids[:, None, 1:] - 1, targets[..., None])
    some = tf.reduce_any(remembered, axis=-1)
    return [
        tf.where(
            some,
            tf.reduce_sum(tf.where(hit, _attend(similarity, remembered, theta), 0.0), axis=-1),
            tf.exp(-nats),
        )
        for theta in thetas
    ]


def mixed_nats(
    nats: tf.Tensor, targets: tf.Tensor, h: tf.Tensor, ids: tf.Tensor, cache: Cache
) -> tf.Tensor:
    """−ln p(target) of model and cache together, of texts of any length from their beginning.

    Args:
        nats: float32, (B, T), −ln p_model(target).
        targets: int32, (B, T).
        h: (B, T, H).
        ids: int32, (B, T), that were read.
        cache: N, θ and λ.

    Returns:
        float32, (B, T).
    """
    batch, count = tf.unstack(tf.shape(targets))
    pieces = tf.maximum(-(-count // _STEPS), 1)  # none cannot be stacked
    padding = pieces * _STEPS - count
    steps = no_steps(batch, cache.size, h.shape[-1]).then(
        tf.pad(h, [[0, 0], [0, padding], [0, 0]]), tf.pad(ids, [[0, 0], [0, padding]])
    )
    padded, sought = (tf.pad(part, [[0, 0], [0, padding]]) for part in (nats, targets))

    def look(start: tf.Tensor) -> tf.Tensor:
        end = start + _STEPS
        part = Steps(*(part[:, start : end + cache.size + 1] for part in steps))
        return target_shares(
            padded[:, start:end],
            sought[:, start:end],
            part,
            size=cache.size,
            thetas=(cache.theta,),
        )[0]

    starts = tf.range(pieces) * _STEPS
    found = tf.map_fn(look, starts, fn_output_signature=tf.float32, parallel_iterations=1)
    shares = tf.reshape(tf.transpose(found, (1, 0, 2)), (batch, count + padding))[:, :count]
    both = -tf.math.log((1 - cache.weight) * tf.exp(-nats) + cache.weight * shares)
    return tf.where(shares > 0, both, nats - tf.math.log1p(-cache.weight))


def choose(nats: np.ndarray, shares: np.ndarray, *, size: int, thetas: tuple[float, ...]) -> Cache:
    """The θ of several, with the λ, under which a text is most probable.

    Args:
        nats: −ln p_model(target), (M,).
        shares: p_cache(target) for each θ, (K, M).
        size: N.
        thetas: each θ, (K,).
    """
    found = []
    for theta, share in zip(thetas, shares, strict=True):
        with np.errstate(divide="ignore"):
            both = np.stack([nats, -np.log(share)])
        weight = min(float(find_weights(both)[1]), _MOST)
        mean = interpolate(both, np.array([1 - weight, weight])).mean(dtype=np.float64)
        found.append((mean, Cache(size, theta, weight)))
    return min(found, key=lambda entry: entry[0])[1]


def tune(model: LanguageModel, stream: np.ndarray, *, size: int) -> Cache:
    """The best cache of a size for a model, which reads the text but once.

    Args:
        model: stateful, of `metrics.LANES` lanes.
        stream: int32 ids of the validation split, (tokens,).
        size: N.
    """
    cached = CachedModel(model, Cache(size, 0.0, 0.0))

    @tf.function(input_signature=[tf.TensorSpec((LANES, None), tf.int32)] * 2)
    def step(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        h, steps = cached.read(x)
        nats = model.nats(h, y)
        return nats, tf.stack(target_shares(nats, y, steps, size=size, thetas=_THETAS))

    cached.reset_states()
    nats, shares = [], []
    for window in windows(
        stream, paragraph_lanes(stream, batch_size=LANES), window=_WINDOW, stride=_WINDOW
    ):
        of_model, of_cache = (values.numpy() for values in step(window.x, window.y))
        counted = window.y >= 0
        nats.append(of_model[counted])
        shares.append(of_cache[:, counted])
    cached.reset_states()
    return choose(np.concatenate(nats), np.concatenate(shares, axis=1), size=size, thetas=_THETAS)


class CachedModel(tf.Module):
    """A model with a cache; as the model itself, it maps ids (B, T) to logits (B, T, V).

    What it remembers is carried from call to call until `reset_states`.

    Args:
        model: stateful.
        cache: N, θ and λ.
    """

    def __init__(self, model: LanguageModel, cache: Cache):
        super().__init__(name="cached")
        self.model, self.cache = model, cache
        batch_size, units = model.recurrent[-1].states[0].shape
        self._memory = [
            tf.Variable(part, trainable=False) for part in no_steps(batch_size, cache.size, units)
        ]

    def read(self, ids: tf.Tensor) -> tuple[tf.Tensor, Steps]:
        """h (B, T, H) of ids (B, T), and these steps after those remembered."""
        h, _ = self.model.hidden(ids)
        steps = Steps(*map(tf.convert_to_tensor, self._memory)).then(h, ids)
        for variable, part in zip(self._memory, steps.last(self.cache.size), strict=True):
            variable.assign(part)
        return h, steps

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        h, steps = self.read(ids)
        logits = tf.cast(self.model.logits(self.model.features(h)), tf.float32)
        return mix(tf.nn.log_softmax(logits), steps, self.cache)

    def reset_states(self) -> None:
        """Forget what was read."""
        self.model.reset_states()
        for variable in self._memory:
            variable.assign(tf.zeros_like(variable))
