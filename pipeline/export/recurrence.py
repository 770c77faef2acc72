"""A model's layers over time, as an exported model runs them: no XLA, no cuDNN.

What does not depend on the step before, the input's projection, is one matrix product outside of
the loop. Texts of different lengths stand side by side, and each stops where it ends.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pipeline.model import LanguageModel
from pipeline.recurrent import Tensors, project


def run(
    model: LanguageModel,
    ids: tf.Tensor,
    *,
    states: Sequence[Tensors],
    lengths: tf.Tensor | None = None,
) -> tuple[tf.Tensor, list[Tensors]]:
    """What `LanguageModel.hidden` computes.

    Args:
        model: stateless.
        ids: int32, (B, T), T ≥ 1.
        states: of every layer before, (B, units) each.
        lengths: int32, (B,), steps of each row that count; None for all.

    Returns:
        The last layer's h, (T, B, H), time first; a row that has ended repeats its last. And every
        layer's state after the last step that counts.
    """
    x = model.embed(tf.transpose(ids))  # (T, B, E)
    after = []
    for layer, before in zip(model.recurrent, states, strict=True):
        x, last = _over_time(*_stepper(layer, x), before, lengths)
        after.append(last)
    return x, after


def _stepper(layer: Any, x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor, Tensors], Tensors]]:
    """What each step is given, (T, B, …), and the states, h first, that it makes of this."""
    cell, recurrence = layer.cell, getattr(layer, "recurrence", None)
    if recurrence is None:  # a Mogrifier, whose state changes the input; feedforward
        return x, lambda x, states: cell(x, states)[1]
    kernel, recurrent, bias = map(
        tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, cell.bias)
    )
    a, bias = project(x, kernel, bias)

    def step(a: tf.Tensor, states: Tensors) -> Tensors:
        return recurrence.step(a, tf.matmul(states[0], recurrent) + bias, states)[0]

    return a, step


def _over_time(
    inputs: tf.Tensor,
    step: Callable[[tf.Tensor, Tensors], Tensors],
    states: Tensors,
    lengths: tf.Tensor | None,
) -> tuple[tf.Tensor, Tensors]:
    """All outputs, (T, B, H), and the last states."""
    steps = tf.shape(inputs)[0]

    def go_on(t: tf.Tensor, states: Tensors, outputs: tf.TensorArray) -> tuple[Any, ...]:
        after = step(inputs[t], states)
        if lengths is not None:
            goes_on = (t < lengths)[:, None]
            after = [tf.where(goes_on, new, old) for new, old in zip(after, states, strict=True)]
        return t + 1, tuple(after), outputs.write(t, after[0])

    shapes = tuple(tf.TensorShape([None, state.shape[-1]]) for state in states)
    _, last, outputs = tf.while_loop(
        lambda t, *_: t < steps,
        go_on,
        (tf.constant(0), tuple(states), tf.TensorArray(inputs.dtype, steps)),
        shape_invariants=(tf.TensorShape([]), shapes, None),
    )
    return outputs.stack(), last
