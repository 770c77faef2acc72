"""The recurrent layers of an exported model, without XLA and cuDNN.

The input projection does not depend on the step before, so it is one matrix product outside of the
loop. Texts of different lengths are packed, so no step is spent on padding.
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


def run_layers(
    model: LanguageModel, ids: tf.Tensor, packing: Packing, *, states: Sequence[Tensors]
) -> tuple[tf.Tensor, list[Tensors]]:
    """Compute `LanguageModel.hidden` of packed texts.

    Args:
        model: stateless.
        ids: packed, int32 (N,).
        packing: of B texts.
        states: of each layer before the texts, (B, units) each.

    Returns:
        The last layer's h after each token, (N, H), and the states of each layer after each text.
    """
    x = model.embed(ids)  # (N, E)
    after = []
    for layer, before in zip(model.recurrent, states, strict=True):
        x, last = _scan(*_stepper(layer, x), before, packing)
        after.append(last)
    return x, after


def _stepper(layer: Any, x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor, Tensors], Tensors]]:
    """Return the inputs of the steps, (N, …), and a function from one and the states to states."""
    cell, recurrence = layer.cell, _RECURRENCES.get(type(layer))
    if recurrence is None:  # Mogrifier, whose input depends on the state, and feedforward
        return x, lambda x, states: cell(x, states)[1]
    a, weights = recurrence.project(x, [tf.convert_to_tensor(w) for w in cell.weights])
    return a, lambda a, states: recurrence.forward(a, states, weights)[0]


def _scan(
    inputs: tf.Tensor,
    step: Callable[[tf.Tensor, Tensors], Tensors],
    states: Tensors,
    packing: Packing,
) -> tuple[tf.Tensor, Tensors]:
    """Return h after each input, (N, H), and the last states of each text."""
    sizes, ends = packing.sizes, tf.cumsum(packing.sizes)
    steps = tf.size(sizes)

    def body(t: tf.Tensor, states: Tensors, outputs: tf.TensorArray) -> tuple[Any, ...]:
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
        body,
        (tf.constant(0), ordered, outputs),
        shape_invariants=(tf.TensorShape([]), shapes, None),
    )
    back = tf.math.invert_permutation(packing.order)
    return outputs.concat(), [tf.gather(state, back) for state in last]
