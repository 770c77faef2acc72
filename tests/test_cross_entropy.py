"""The cross entropy in pieces is TensorFlow's: values and every gradient."""

import numpy as np
import pytest
import tensorflow as tf

from pipeline.model import cross_entropy as module
from pipeline.model.cross_entropy import cross_entropy

ROWS, WIDTH, WORDS = 13, 6, 11


def problem(dtype: str = "float32", scale: float = 1.0) -> tuple[list[tf.Tensor], tf.Tensor]:
    random = np.random.default_rng(0)
    shapes = (ROWS, WIDTH), (WORDS, WIDTH), (WORDS,)
    values = [tf.constant(scale * random.normal(size=shape), dtype) for shape in shapes]
    return values, tf.constant(random.integers(0, 4, ROWS), tf.int32)  # words repeat


def stock(x, weights, bias, targets):
    scores = tf.matmul(x, weights, transpose_b=True) + bias
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)


def losses_and_gradients(function, values, targets):
    pull = tf.constant(np.random.default_rng(1).normal(size=ROWS), values[0].dtype)
    with tf.GradientTape() as tape:
        tape.watch(values)
        losses = function(*values, targets)
        loss = tf.reduce_sum(losses * pull)
    return [losses, *tape.gradient(loss, values)]


@pytest.mark.parametrize("scores", [1, WORDS * 4, WORDS * 13, 7_000_000])  # rows: 1, 4, 13, all
@pytest.mark.parametrize("compiled", [False, True])
def test_losses_and_gradients_are_those_of_tensorflow(monkeypatch, scores, compiled):
    monkeypatch.setattr(module, "_SCORES", scores)
    values, targets = problem("float64")
    ours = tf.function(cross_entropy) if compiled else cross_entropy
    actual = losses_and_gradients(ours, values, targets)
    for a, b in zip(actual, losses_and_gradients(stock, values, targets), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_rows_that_the_graph_does_not_count_are_counted_all(monkeypatch):
    monkeypatch.setattr(module, "_SCORES", WORDS * 4)
    values, targets = problem()
    spec = [tf.TensorSpec((None, WIDTH)), tf.TensorSpec((WORDS, WIDTH)), tf.TensorSpec((WORDS,))]
    graph = tf.function(cross_entropy, input_signature=[*spec, tf.TensorSpec((None,), tf.int32)])
    np.testing.assert_allclose(graph(*values, targets), stock(*values, targets), rtol=1e-5)


def test_large_scores_do_not_overflow():
    values, targets = problem(scale=300.0)
    actual = losses_and_gradients(cross_entropy, values, targets)
    for a, b in zip(actual, losses_and_gradients(stock, values, targets), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-1)


def test_half_precision_keeps_its_sums_in_float32():
    (x, weights, bias), targets = problem()
    losses = cross_entropy(tf.cast(x, tf.bfloat16), tf.cast(weights, tf.bfloat16), bias, targets)
    assert losses.dtype == tf.float32
    np.testing.assert_allclose(losses, stock(x, weights, bias, targets), rtol=0.05, atol=0.05)
