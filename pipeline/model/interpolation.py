"""Several models as one: p(w) = Σ λ_m p_m(w), Σ λ_m = 1 (Jelinek & Mercer 1980)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_ITERATIONS = 200
_ENOUGH = 1e-6


def find_weights(nats: np.ndarray) -> np.ndarray:
    """The λ under which a text is most probable, by expectation maximisation.

    Each iteration makes λ_m the mean share of model m in p(target); the text never gets less
    probable by it, and there is but one maximum.

    Args:
        nats: −ln p(target) of each model, (M, N), on a text that is not the one to be measured.

    Returns:
        float64, (M,).
    """
    likelihood = np.exp(nats.min(0) - nats, dtype=np.float64)
    weights = np.full(len(nats), 1 / len(nats))
    for _ in range(_ITERATIONS):
        joint = weights[:, None] * likelihood
        before, weights = weights, (joint / joint.sum(0)).mean(1)
        if np.abs(weights - before).max() < _ENOUGH:
            break
    return weights


def interpolate(nats: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """−ln Σ λ_m p_m(target): (M, N) and (M,) to float32 (N,)."""
    least = nats.min(0)
    return (least - np.log(weights @ np.exp(least - nats, dtype=np.float64))).astype(np.float32)


class Mixture:
    """Several models as one that `metrics.Meter` reads: ids (B, T) to ln p (B, T, V).

    Args:
        models: each maps ids (B, T) to logits (B, T, V) and carries its state until
            `reset_states`.
        weights: λ of each.
    """

    def __init__(self, models: Sequence[Any], weights: Sequence[float]):
        self._models, self._weights = models, weights

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        shares = [
            weight * tf.nn.softmax(tf.cast(model(ids), tf.float32))
            for model, weight in zip(self._models, self._weights, strict=True)
        ]
        return tf.math.log(tf.add_n(shares))

    def reset_states(self) -> None:
        """Let each model forget what was read."""
        for model in self._models:
            model.reset_states()
