"""Predictions from the last 1, 2, 3, … tokens only."""

import dataclasses

import numpy as np
import tensorflow as tf

from pipeline.model.language_model import LanguageModel


@dataclasses.dataclass(frozen=True)
class TruncatedPredictions:
    """Predictions of each token of a text from the last k tokens before it.

    Attributes:
        probabilities: float32 (N, N), by context k = 1 … N (row k − 1) and token (column); NaN
            where there are fewer than k tokens before it.
        ranks: int (N, N), 1 for the most probable token; 0 where NaN.
        likeliest: the most probable id, int (N, N); 0 where NaN.
    """

    probabilities: np.ndarray
    ranks: np.ndarray
    likeliest: np.ndarray


def truncate_context(model: LanguageModel, ids: np.ndarray) -> TruncatedPredictions:
    """Predict all tokens of a text but the first, from contexts of every length.

    Each context is read from an empty state. The ids are int32, (N + 1,), `<s>` first.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def predict(contexts: tf.Tensor) -> tf.Tensor:
        h, _ = model.hidden(contexts)
        return tf.nn.softmax(model.logits(model.features(h[:, -1])))

    size = len(ids) - 1
    probabilities = np.full((size, size), np.nan, np.float32)
    ranks = np.zeros((size, size), np.int64)
    likeliest = np.zeros((size, size), np.int64)
    for k in range(1, size + 1):
        contexts = np.lib.stride_tricks.sliding_window_view(ids[:-1], k)  # (N − k + 1, k)
        p = predict(tf.constant(contexts)).numpy()
        of_target = np.take_along_axis(p, ids[k:, None], axis=1)
        probabilities[k - 1, k - 1 :] = of_target[:, 0]
        ranks[k - 1, k - 1 :] = 1 + (p > of_target).sum(axis=1)
        likeliest[k - 1, k - 1 :] = p.argmax(axis=1)
    return TruncatedPredictions(probabilities, ranks, likeliest)
