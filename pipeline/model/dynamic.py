"""Dynamic evaluation: a model goes on learning from the text that it reads (Krause et al. 2018).

A window of T ids is predicted, and only then learned from, in one step on all weights (§4):

    θ ← θ − η g / (√MS + ε) + λ r ⊙ (θ₀ − θ)

g is the gradient of the window's mean loss and MS its mean square over training text, so that
weights move freely where they did in training; θ₀ are the trained weights, towards which λ pulls
back, by r = √MS / mean √MS, but never beyond them.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.model.language_model import LanguageModel
from pipeline.model.meter import Meter
from pipeline.tokens.windows import NO_TARGET, windows

# T: shorter windows learn sooner and take longer. Results depend on it, unlike other models'.
WINDOW = 20
# The paper's ε, as a share of the mean √MS: rare words have gradients far below the mean.
_EPSILON = 0.2
# Windows of training text that MS is the mean of: blocks spread evenly over it.
_BLOCKS, _BLOCK = 20, 25
# The rates that are tried, each η without decay and then each λ with the best η, and the number of
# validation tokens that they are tried on.
_STEPS = (5e-5, 1e-4, 2e-4)
_DECAYS = (0.001, 0.003)
_TRIED = 10_000


@dataclasses.dataclass(frozen=True)
class Rates:
    """How fast a model learns from what it reads.

    Attributes:
        step: η.
        decay: λ.
    """

    step: float
    decay: float


class DynamicModel:
    """A stateful model that learns: maps ids (B, T) to logits (B, T, V) until `reset_states`.

    Each call, of `hidden` too, is a window. What followed the last id of a window is the first of
    the next one, so it is the next call that learns from it, before it predicts anything.

    Args:
        model: of any batch size; all lanes share its weights.
        squares: MS of each weight.
        rates: η and λ.
    """

    def __init__(self, model: LanguageModel, squares: Sequence[np.ndarray], rates: Rates):
        self._model = model
        # A `CachedModel` can be made of this one as of any other.
        self.recurrent, self.features, self.logits = model.recurrent, model.features, model.logits
        self._weights = _weights(model)
        self._trained = [tf.constant(weight.numpy()) for weight in self._weights]
        self._rms = [tf.constant(np.sqrt(square)) for square in squares]
        self._mean = np.float32(np.concatenate([rms.numpy().ravel() for rms in self._rms]).mean())
        self._step, self._decay = tf.Variable(0.0), tf.Variable(0.0)
        self.set_rates(rates)
        batch_size = model.states[0].shape[0]
        # The window before, and the states before it.
        self._ids = tf.Variable(tf.zeros((batch_size, 0), tf.int32), shape=(batch_size, None))
        self._before = [tf.Variable(state.value) for state in model.states]

    def set_rates(self, rates: Rates) -> None:
        """Learn at other rates from now on."""
        self._step.assign(rates.step)
        self._decay.assign(rates.decay)

    def hidden(self, ids: tf.Tensor) -> tuple[tf.Tensor, list[Any]]:
        """Learn from the window before, then compute `LanguageModel.hidden` of this one."""
        tf.cond(tf.size(self._ids) > 0, lambda: self._learn(ids[:, :1]), lambda: None)
        self._ids.assign(ids)
        for before, state in zip(self._before, self._model.states, strict=True):
            before.assign(state.value)
        return self._model.hidden(ids)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        h, _ = self.hidden(ids)
        return self.logits(self.features(h))

    def _learn(self, followed: tf.Tensor) -> None:
        """Take one step on the window before, which ids (B, 1) followed; states stay the same."""
        for before, state in zip(self._before, self._model.states, strict=True):
            state.assign(before)
        ids = tf.convert_to_tensor(self._ids)
        gradients = _gradients(self._model, ids, tf.concat([ids[:, 1:], followed], 1))
        parts = zip(self._weights, self._trained, self._rms, gradients, strict=True)
        for weight, *values in parts:
            weight.assign(self._updated(weight, *values))

    # Compiled, it reads each array once; operation by operation takes more than twice as long.
    @tf.function(jit_compile=True, autograph=False)
    def _updated(
        self, weight: tf.Tensor, trained: tf.Tensor, rms: tf.Tensor, gradient: tf.Tensor
    ) -> tf.Tensor:
        back = tf.minimum(self._decay * rms / self._mean, 1) * (trained - weight)
        return weight + back - self._step * gradient / (rms + _EPSILON * self._mean)

    def reset_states(self) -> None:
        """Clear the states, and restore the trained weights."""
        for weight, trained in zip(self._weights, self._trained, strict=True):
            weight.assign(trained)
        self._model.reset_states()
        self._ids.assign(self._ids[:, :0])


def _weights(model: LanguageModel) -> list[tf.Variable]:
    return [variable.value for variable in model.trainable_variables]


def _gradients(model: LanguageModel, ids: tf.Tensor, targets: tf.Tensor) -> list[tf.Tensor]:
    """Return the gradient of the mean −ln p(target), ids and targets (B, T), by each weight."""
    counted = tf.math.count_nonzero(targets != NO_TARGET, dtype=tf.float32)
    with tf.GradientTape() as tape:
        h, _ = model.hidden(ids)
        loss = tf.reduce_sum(model.negative_log_likelihood(h, targets)) / counted
    return [tf.convert_to_tensor(g) for g in tape.gradient(loss, _weights(model))]


def mean_squares(model: LanguageModel, train: np.ndarray) -> list[np.ndarray]:
    """Return MS of each weight of a stateful model of batch size 1.

    Args:
        model: as it was trained.
        train: int32 ids of the training text, (tokens,).
    """
    sums = [tf.Variable(tf.zeros_like(weight)) for weight in _weights(model)]

    @tf.function(input_signature=[tf.TensorSpec((1, WINDOW), tf.int32)] * 2, autograph=False)
    def add(ids: tf.Tensor, targets: tf.Tensor) -> None:
        for total, gradient in zip(sums, _gradients(model, ids, targets), strict=True):
            total.assign_add(tf.square(gradient))

    length = min(len(train), _BLOCK * WINDOW + 1)
    starts = np.linspace(0, len(train) - length, _BLOCKS).astype(int).tolist()
    blocks = [(start, start + length) for start in starts]
    count = 0
    for window in windows(train, [blocks], window=WINDOW, stride=WINDOW):
        if window.begins:
            model.reset_states()
        add(window.x, window.y)
        count += 1
    model.reset_states()
    return [total.numpy() / count for total in sums]


def tune(model: LanguageModel, squares: Sequence[np.ndarray], stream: np.ndarray) -> Rates:
    """Choose the rates under which the beginning of a validation text is most probable.

    Args:
        model: stateful, of batch size 1.
        squares: MS of each weight.
        stream: int32 ids, (tokens,).
    """
    dynamic = DynamicModel(model, squares, Rates(0.0, 0.0))
    meter = Meter(dynamic)

    def surprise(rates: Rates) -> float:
        dynamic.set_rates(rates)
        nats = meter.negative_log_likelihood(stream[:_TRIED], batch_size=1, window=WINDOW)
        mean = float(nats.mean())
        return mean if math.isfinite(mean) else math.inf

    tried = {rates: surprise(rates) for rates in (Rates(step, 0.0) for step in _STEPS)}
    best = min(tried, key=tried.__getitem__)
    decayed = (dataclasses.replace(best, decay=decay) for decay in _DECAYS)
    tried |= {rates: surprise(rates) for rates in decayed}
    return min(tried, key=tried.__getitem__)
