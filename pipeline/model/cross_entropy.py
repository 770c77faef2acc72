"""Cross entropy of softmax(x Wᵀ + b), some rows at a time.

The logits of a window, (B · T, V), are by far the largest tensor of a training step. Pieces of
them fit the memory that the allocator keeps, and only their exponentials e are kept for the
gradient. With s the sum of e over the vocabulary and u = ∂E/∂(loss), it is matrix products only:

    ∂E/∂x = u (e W / s − W_y)    ∂E/∂W = eᵀ (u x / s) − Σ_y u x    ∂E/∂b = eᵀ (u / s) − Σ_y u
"""

from typing import Any

import tensorflow as tf

# Logits at once, 28 MB: glibc returns pieces of 32 MB and more to the system after each use.
_SCORES = 7_000_000


def cross_entropy(
    features: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor
) -> tf.Tensor:
    """Return −ln p(target) of each row, float32 (N,).

    Args:
        features: x, (N, E).
        weights: W, (V, E).
        bias: b, float32 (V,).
        targets: y, int32 (N,).
    """
    if features.dtype != bias.dtype or tf.config.list_logical_devices("GPU"):
        # On a GPU, logits are no bottleneck; in half precision, they are too coarse to subtract.
        scores = tf.cast(tf.matmul(features, weights, transpose_b=True), bias.dtype) + bias
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)
    return _cross_entropy(features, weights, bias, targets)


@tf.custom_gradient
def _cross_entropy(x: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor) -> Any:
    rows = max(1, _SCORES // weights.shape[0])
    # If the graph does not know the number of rows, take one piece.
    pieces = [slice(first, first + rows) for first in range(0, x.shape[0] or 1, rows)]
    if x.shape[0] is None:
        pieces = [slice(None)]
    at_target = tf.reduce_sum(x * tf.gather(weights, targets), 1) + tf.gather(bias, targets)

    total: list[tf.Tensor] = []  # ln Σ e^score
    exponentials, sums = [], []
    for piece in pieces:
        with tf.control_dependencies(total[-1:]):  # one piece after the other
            scores = tf.matmul(x[piece], weights, transpose_b=True) + bias
        largest = tf.reduce_max(scores, 1)
        exponentials.append(tf.exp(scores - largest[:, None]))
        sums.append(tf.reduce_sum(exponentials[-1], 1))
        total.append(largest + tf.math.log(sums[-1]))

    def gradient(up: tf.Tensor) -> Any:
        shares = up / tf.concat(sums, 0)
        d_x: list[tf.Tensor] = []
        d_weights, d_bias = tf.zeros_like(weights), tf.zeros_like(bias)
        for piece, e in zip(pieces, exponentials, strict=True):
            share = shares[piece, None]
            with tf.control_dependencies(d_x[-1:]):
                d_x.append(tf.matmul(e, weights) * share)
            d_weights += tf.matmul(e, x[piece] * share, transpose_a=True)
            d_bias += tf.matmul(share, e, transpose_a=True)[0]
        up_x = up[:, None] * x
        at = targets[:, None]
        return (
            tf.concat(d_x, 0) - up[:, None] * tf.gather(weights, targets),
            tf.tensor_scatter_nd_sub(d_weights, at, up_x),
            tf.tensor_scatter_nd_sub(d_bias, at, up),
            None,
        )

    return tf.concat(total, 0) - at_target, gradient
