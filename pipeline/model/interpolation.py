"""Linear interpolation of models: p(w) = Σ λ_m p_m(w), Σ λ_m = 1 (Jelinek & Mercer 1980)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_ITERATIONS = 200
_TOLERANCE = 1e-6


def find_weights(losses: np.ndarray) -> np.ndarray:
    """Fit λ, float64 (M,), by expectation maximisation, which finds the only maximum.

    Each iteration makes λ_m the mean share of model m in p(target).

    Args:
        losses: −ln p(target) of each model, (M, N), on held-out text.
    """
    likelihood = np.exp(losses.min(0) - losses, dtype=np.float64)
    weights = np.full(len(losses), 1 / len(losses))
    for _ in range(_ITERATIONS):
        joint = weights[:, None] * likelihood
        before, weights = weights, (joint / joint.sum(0)).mean(1)
        if np.abs(weights - before).max() < _TOLERANCE:
            break
    return weights


def interpolate(losses: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return −ln Σ λ_m p_m(target), float32 (N,), from −ln p_m (M, N) and λ (M,)."""
    least = losses.min(0)
    return (least - np.log(weights @ np.exp(least - losses, dtype=np.float64))).astype(np.float32)


class Mixture:
    """Mix stateful models with another one: maps ids (B, T) to ln p (B, T, V) of each mixture.

    Args:
        model: a model, or several that read together; see `Meter`.
        other: the model that each of them is mixed with.
        weights: λ of each of them.
    """

    def __init__(self, model: Any, other: Any, weights: Sequence[float]):
        self._model, self._other, self._weights = model, other, weights

    def __call__(self, ids: tf.Tensor) -> list[tf.Tensor]:
        each, other = tf.nest.flatten(self._model(ids)), _probabilities(self._other(ids))
        return [
            tf.math.log(weight * _probabilities(logits) + (1 - weight) * other)
            for logits, weight in zip(each, self._weights, strict=True)
        ]

    def reset_states(self) -> None:
        """Clear the state of each model."""
        self._model.reset_states()
        self._other.reset_states()


def _probabilities(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(tf.cast(logits, tf.float32))
