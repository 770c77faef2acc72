"""The compiled LSTM is Keras's LSTM: outputs, states and every gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.lstm import LSTM

OPTIONS = {"return_sequences": True, "return_state": True}


@pytest.fixture
def pair():
    """Two layers with the same weights: Keras's and ours."""
    keras.utils.set_random_seed(2)
    stock, ours = keras.layers.LSTM(7, **OPTIONS), LSTM(7, **OPTIONS)
    for layer in (stock, ours):
        layer.build((3, None, 4))
    ours.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in stock.get_weights()])
    stock.set_weights(ours.get_weights())
    return stock, ours


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_outputs_states_and_gradients_are_those_of_keras(pair, steps):
    random = np.random.default_rng(steps)
    x, h, c, *pull = (
        tf.constant(random.normal(size=shape), tf.float32)
        for shape in ((3, steps, 4), (3, 7), (3, 7), (3, steps, 7), (3, 7), (3, 7))
    )
    found = []
    for layer in pair:
        with tf.GradientTape() as tape:
            tape.watch([x, h, c])
            outputs = layer(x, initial_state=[h, c])
            loss = sum(tf.reduce_sum(o * p) for o, p in zip(outputs, pull, strict=True))
        sources = [x, h, c, *(w.value for w in layer.trainable_variables)]
        found.append([*outputs, *tape.gradient(loss, sources)])
    for stock, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, stock, rtol=2e-4, atol=2e-5)


def test_a_mask_is_left_to_keras(pair):
    x = tf.random.stateless_normal((3, 4, 4), [1, 2])
    mask = tf.constant([[True] * 4, [True, True, False, False], [True, False, True, False]])
    for stock, ours in zip(*(layer(x, mask=mask) for layer in pair), strict=True):
        np.testing.assert_array_equal(ours, stock)
