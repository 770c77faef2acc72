"""A model's layers over time, as an exported model runs them: no XLA, no cuDNN.

What does not depend on the step before, the input's projection, is one matrix product outside of
the loop. Texts of different lengths are packed, so that no step is taken for padding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from pipeline.export.packing import Packing
from pipeline.model.language_model import LanguageModel
from pipeline.model.recurrent import (
    GRURecurrence,
    LSTMRecurrence,
    Recurrence,
    SimpleRecurrence,
    Tensors,
)

# A stateless model has Keras's own layers, which know nothing of these.
_RECURRENCES: dict[type[keras.layers.Layer], Recurrence] = {
    keras.layers.SimpleRNN: SimpleRecurrence(),
    keras.layers.GRU: GRURecurrence(),
    keras.layers.LSTM: LSTMRecurrence(),
}


def run(
    model: LanguageModel, ids: tf.Tensor, packing: Packing, *, states: Sequence[Tensors]
) -> tuple[tf.Tensor, list[Tensors]]:
    """What `LanguageModel.hidden` computes.

    Args:
        model: stateless.
        ids: int32, (N,), packed.
        packing: of B texts.
        states: of every layer before, (B, units) each.

    Returns:
        The last layer's h after each token, (N, H), and every layer's state after each text.
    """
    x = model.embed(ids)  # (N, E)
    after = []
    for layer, before in zip(model.recurrent, states, strict=True):
        x, last = _over_time(*_stepper(layer, x), before, packing)
        after.append(last)
    return x, after


def _stepper(layer: Any, x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor, Tensors], Tensors]]:
    """What each step is given, (N, …), and the states, h first, that it makes of this."""
    cell, recurrence = layer.cell, _RECURRENCES.get(type(layer))
    if recurrence is None:  # a Mogrifier, whose state changes the input; feedforward
        return x, lambda x, states: cell(x, states)[1]
    a, weights = recurrence.project(x, [tf.convert_to_tensor(w) for w in cell.weights])
    return a, lambda a, states: recurrence.forward(a, states, weights)[0]


def _over_time(
    inputs: tf.Tensor,
    step: Callable[[tf.Tensor, Tensors], Tensors],
    states: Tensors,
    packing: Packing,
) -> tuple[tf.Tensor, Tensors]:
    """All outputs, (N, H), and the last states."""
    sizes, ends = packing.sizes, tf.cumsum(packing.sizes)
    steps = tf.size(sizes)

    def go_on(t: tf.Tensor, states: Tensors, outputs: tf.TensorArray) -> tuple[Any, ...]:
        size, end = sizes[t], ends[t]
        after = step(inputs[end - size : end], [state[:size] for state in states])
        outputs = outputs.write(t, after[0])
        both = zip(after, states, strict=True)
        return t + 1, tuple(tf.concat([new, old[size:]], 0) for new, old in both), outputs

    ordered = tuple(tf.gather(state, packing.order) for state in states)
    shapes = tuple(tf.TensorShape([None, state.shape[-1]]) for state in states)
    outputs = tf.TensorArray(
        inputs.dtype, steps, infer_shape=False, element_shape=[None, states[0].shape[-1]]
    )
    _, last, outputs = tf.while_loop(
        lambda t, *_: t < steps,
        go_on,
        (tf.constant(0), ordered, outputs),
        shape_invariants=(tf.TensorShape([]), shapes, None),
    )
    back = tf.math.invert_permutation(packing.order)
    return outputs.concat(), [tf.gather(state, back) for state in last]
