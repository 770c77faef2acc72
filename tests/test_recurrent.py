"""The compiled layers are Keras's layers: outputs, states and every gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline import recurrent

UNITS, INPUTS, BATCH = 5, 4, 3
CELLS = ("SimpleRNN", "GRU", "LSTM")


def tensors(seed: int, *shapes: tuple[int, ...], dtype: str = "float32") -> list[tf.Tensor]:
    random = np.random.default_rng(seed)
    return [tf.constant(random.normal(size=shape), dtype) for shape in shapes]


def layer(module, cell: str, dtype: str = "float32") -> keras.layers.Layer:
    """A layer with weights that depend on nothing but the cell."""
    made = getattr(module, cell)(UNITS, return_sequences=True, return_state=True, dtype=dtype)
    made.build((BATCH, None, INPUTS))
    made.set_weights(tensors(1, *(w.shape for w in made.weights), dtype=dtype))
    return made


def states(cell: str) -> list[tuple[int, int]]:
    return [(BATCH, UNITS)] * (2 if cell == "LSTM" else 1)


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_states_and_gradients_are_those_of_keras(cell, steps):
    shapes = states(cell)
    x, *initial = tensors(steps, (BATCH, steps, INPUTS), *shapes)
    pull = tensors(7, (BATCH, steps, UNITS), *shapes)
    found = []
    for module in (keras.layers, recurrent):
        subject = layer(module, cell)
        with tf.GradientTape() as tape:
            tape.watch([x, *initial])
            outputs = subject(x, initial_state=initial)
            loss = sum(tf.reduce_sum(o * p) for o, p in zip(outputs, pull, strict=True))
        sources = [x, *initial, *(w.value for w in subject.trainable_variables)]
        found.append([*outputs, *tape.gradient(loss, sources)])
    for stock, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, stock, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_equals_finite_differences(cell):
    subject = layer(recurrent, cell, "float64")
    shapes = states(cell)
    x, *initial = tensors(3, (BATCH, 6, INPUTS), *shapes, dtype="float64")
    pull = tensors(4, (BATCH, 6, UNITS), *shapes, dtype="float64")
    variables = [w.value for w in subject.trainable_variables]
    start = [x, *initial, *map(tf.convert_to_tensor, variables)]
    direction = tensors(5, *(p.shape for p in start), dtype="float64")

    def loss(x: tf.Tensor, initial: list[tf.Tensor]) -> tf.Tensor:
        outputs = subject(x, initial_state=initial)
        return sum(tf.reduce_sum(o * p) for o, p in zip(outputs, pull, strict=True))

    def moved(by: float) -> float:
        x, *rest = (p + by * d for p, d in zip(start, direction, strict=True))
        for variable, value in zip(variables, rest[len(initial) :], strict=True):
            variable.assign(value)
        return float(loss(x, rest[: len(initial)]))

    with tf.GradientTape() as tape:
        tape.watch([x, *initial])
        value = loss(x, initial)
    gradients = tape.gradient(value, [x, *initial, *variables])
    slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))
    step = 1e-5
    assert (moved(step) - moved(-step)) / (2 * step) == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("cell", CELLS)
def test_a_mask_is_left_to_keras(cell):
    x, *_ = tensors(2, (BATCH, 4, INPUTS))
    mask = tf.constant([[True] * 4, [True, True, False, False], [True, False, True, False]])
    results = [layer(module, cell)(x, mask=mask) for module in (keras.layers, recurrent)]
    for stock, ours in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, stock)


@pytest.mark.parametrize("cell", CELLS)
def test_windows_of_another_length_and_batch_fit_too(cell):
    ours, stock = layer(recurrent, cell), layer(keras.layers, cell)
    for shape in ((2, 5, INPUTS), (2, 3, INPUTS), (6, 3, INPUTS)):
        (x,) = tensors(8, shape)
        np.testing.assert_allclose(ours(x)[0], stock(x)[0], rtol=1e-4, atol=1e-5)
