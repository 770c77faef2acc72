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
    """An interpolation of stateful models for `Meter`: maps ids (B, T) to ln p (B, T, V)."""

    def __init__(self, models: Sequence[Any], weights: Sequence[float]):
        self._models, self._weights = models, weights

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        shares = [
            weight * tf.nn.softmax(tf.cast(model(ids), tf.float32))
            for model, weight in zip(self._models, self._weights, strict=True)
        ]
        return tf.math.log(tf.add_n(shares))

    def reset_states(self) -> None:
        """Clear the state of each model."""
        for model in self._models:
            model.reset_states()
