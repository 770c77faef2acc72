"""The compiled layers are Keras's layers: outputs, states and every gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.model import recurrent
from pipeline.model.mogrifier import Mogrifier, MogrifierCell

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


@pytest.mark.parametrize("cell", [*CELLS, "Mogrifier"])
def test_a_state_of_one_row_meets_a_batch_of_any_size(cell):
    subject = (
        Mogrifier(MogrifierCell(UNITS, rounds=2), stateful=True)
        if cell == "Mogrifier"
        else getattr(recurrent, cell)(UNITS, stateful=True)
    )
    subject.build((1, None, INPUTS))
    (x,) = tensors(8, (1, 4, INPUTS))
    read = tf.function(subject, input_signature=[tf.TensorSpec((None, None, INPUTS))])
    whole = read(x)
    subject.reset_state()
    read(x[:, :2])
    np.testing.assert_allclose(read(x[:, 2:]), whole, rtol=1e-5, atol=1e-6)


def test_a_graph_and_the_eye_see_the_same_gradient():
    """In this order: what the graph has made must not be in the way of the tape outside of it."""
    (x,) = tensors(6, (BATCH, 4, INPUTS))
    subject = layer(recurrent, "LSTM")

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(subject(x)[0] ** 2)
        return tape.gradient(loss, x)

    tf.function(lambda: subject(x))()
    np.testing.assert_allclose(tf.function(gradient)(), gradient(), rtol=1e-5)


@pytest.mark.parametrize("rounds", [1, 4, 5])
def test_the_compiled_mogrifier_is_the_cell_that_keras_runs(rounds):
    """Outputs, states and every gradient, in float64; the cell is held to the paper below."""
    x, h, c = tensors(2, (BATCH, 6, INPUTS), (BATCH, UNITS), (BATCH, UNITS), dtype="float64")
    pull = tensors(7, (BATCH, 6, UNITS), (BATCH, UNITS), (BATCH, UNITS), dtype="float64")
    found = []
    for kind in (keras.layers.RNN, Mogrifier):
        cell = MogrifierCell(UNITS, rounds=rounds, dtype="float64")
        subject = kind(cell, return_sequences=True, return_state=True, dtype="float64")
        subject.build((BATCH, None, INPUTS))
        subject.set_weights(tensors(1, *(w.shape for w in subject.weights), dtype="float64"))
        with tf.GradientTape() as tape:
            tape.watch([x, h, c])
            outputs = subject(x, initial_state=[h, c])
            loss = sum(tf.reduce_sum(o * p) for o, p in zip(outputs, pull, strict=True))
        sources = [x, h, c, *(w.value for w in subject.trainable_variables)]
        found.append([*outputs, *tape.gradient(loss, sources)])
    assert len(found[0]) == 3 + 3 + 3 + rounds
    for stock, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, stock, rtol=1e-9, atol=1e-12)


def test_the_mogrifier_gates_as_the_paper_says():
    """Three rounds by hand, then a plain LSTM."""
    cell = MogrifierCell(UNITS, rounds=3, dtype="float64")
    cell.build((BATCH, INPUTS))
    cell.set_weights(tensors(1, *(w.shape for w in cell.weights), dtype="float64"))
    x, h, c = tensors(2, (BATCH, INPUTS), (BATCH, UNITS), (BATCH, UNITS), dtype="float64")

    def gate(vector, weights):
        return 2 / (1 + np.exp(-vector.numpy() @ weights.numpy()))

    q1, r2, q3 = cell.gates
    x1 = gate(h, q1) * x
    h2 = gate(x1, r2) * h
    x3 = gate(h2, q3) * x1
    plain = keras.layers.LSTMCell(UNITS, dtype="float64")
    plain.build((BATCH, INPUTS))
    plain.set_weights(cell.get_weights()[:3])
    for found, expected in zip(
        tf.nest.flatten(cell(x, [h, c])), tf.nest.flatten(plain(x3, [h2, c])), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
