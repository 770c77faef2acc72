"""The model that predicts the same everywhere: how frequent each token is in training."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipeline.text.vocabulary import Vocabulary


def log_frequencies(vocabulary: Vocabulary) -> np.ndarray:
    """Compute ln p of every token by its count in training plus one, float32 (V,)."""
    counts = np.array(vocabulary.counts, np.float64) + 1
    return np.log(counts / counts.sum()).astype(np.float32)


def unigram(vocabulary: Vocabulary) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the unigram model of a vocabulary: ids (B, T) → logits (B, T, V)."""
    logits = tf.constant(log_frequencies(vocabulary))
    return lambda ids: tf.gather(logits[None], tf.zeros_like(ids))
