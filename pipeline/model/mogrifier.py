"""The Mogrifier LSTM (Melis, Kočiský & Blunsom 2020, "Mogrifier LSTM", §2).

Before a step of an LSTM, its input and its state change one another in r rounds, so that a word's
vector depends on what was read:

    x ← 2 σ(h Q_i) ⊙ x  in odd rounds,    h ← 2 σ(x R_i) ⊙ h  in even ones.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pipeline.model.recurrent import CompiledRNN, LSTMRecurrence, Tensors, by_step, flat


@keras.saving.register_keras_serializable("nextword")
class MogrifierCell(keras.layers.LSTMCell):
    """One step: rounds of gates, then Keras's LSTM.

    Args:
        units: H.
        rounds: r.
    """

    def __init__(self, units: int, *, rounds: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.rounds = rounds

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        sizes = (self.units, input_shape[-1])
        self.gates = [
            self.add_weight(sizes[:: 1 if number % 2 == 0 else -1], name=f"gate_{number + 1}")
            for number in range(self.rounds)
        ]

    def call(self, x: Any, states: Sequence[Any], training: bool = False) -> tuple[Any, list[Any]]:
        h, c = states
        for number, gate in enumerate(self.gates):
            if number % 2 == 0:
                x = x * 2 * keras.ops.sigmoid(keras.ops.matmul(h, gate))
            else:
                h = h * 2 * keras.ops.sigmoid(keras.ops.matmul(x, gate))
        return super().call(x, [h, c], training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rounds": self.rounds}


class Mogrifier(CompiledRNN):
    """`keras.layers.RNN` of a `MogrifierCell`, compiled."""

    def scan(self, x: tf.Tensor, states: Tensors) -> tuple[tf.Tensor, Tensors]:
        cell = self.cell
        weights = [cell.kernel, cell.recurrent_kernel, cell.bias, *cell.gates]
        scan = _scan if tf.inside_function() else _eager_scan  # as in recurrent.py
        return scan(x, states, *map(tf.convert_to_tensor, weights))


def _scan(
    x: tf.Tensor,
    states: Tensors,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
    *gates: tf.Tensor,
) -> tuple[tf.Tensor, Tensors]:
    """x (B, T, E), h and c (B, H) to the outputs (B, T, H) and the last h and c."""

    @tf.custom_gradient
    def loop(
        x: tf.Tensor,
        h: tf.Tensor,
        c: tf.Tensor,
        kernel: tf.Tensor,
        recurrent: tf.Tensor,
        bias: tf.Tensor,
        *gates: tf.Tensor,
    ) -> Any:
        after, kept, opened = _forward(x, (h, c), kernel, recurrent, bias, gates)

        def gradient(d_outputs: tf.Tensor, *d_last: tf.Tensor) -> Any:
            before = [
                tf.concat([s[None], seq[:-1]], 0) for s, seq in zip((h, c), after, strict=True)
            ]
            xs, hs = _rounds(x, before[0], opened)
            d_x, d_a, d_gates, d_first = _backward(
                before, after, kept, opened, xs, hs, kernel, recurrent, gates, d_outputs, d_last
            )
            return (
                d_x,
                *d_first,
                tf.matmul(flat(xs[-1]), flat(d_a), transpose_a=True),
                tf.matmul(flat(hs[-1]), flat(d_a), transpose_a=True),
                tf.reduce_sum(flat(d_a), 0),
                *(
                    tf.matmul(flat(xs[i] if i % 2 else hs[i]), flat(d_gate), transpose_a=True)
                    for i, d_gate in enumerate(d_gates)
                ),
            )

        return (after[0], *(sequence[-1] for sequence in after)), gradient

    outputs, *last = loop(tf.transpose(x, (1, 0, 2)), *states, kernel, recurrent, bias, *gates)
    return tf.transpose(outputs, (1, 0, 2)), last


_eager_scan = tf.function(_scan)


def _rounds(x: tf.Tensor, h: tf.Tensor, opened: Tensors) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """x and h before each round and after the last, given the gates σ(…)."""
    xs, hs = [x], [h]
    for number, gate in enumerate(opened):
        xs.append(xs[-1] if number % 2 else 2 * gate * xs[-1])
        hs.append(2 * gate * hs[-1] if number % 2 else hs[-1])
    return xs, hs


@tf.function(jit_compile=True)
def _forward(
    x: tf.Tensor,
    states: Tensors,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
    gates: Tensors,
) -> tuple[Tensors, Tensors, Tensors]:
    """x (T, B, E) to all states, what the LSTM's derivative needs, and all gates σ(…)."""
    steps = tf.shape(x)[0]
    inputs = by_step(x)

    def step(t: Any, states: Tensors, written: Sequence[Any]) -> tuple[Any, ...]:
        x, h, opened = inputs.read(t), states[0], []
        for number, gate in enumerate(gates):
            opened.append(tf.sigmoid(tf.matmul(x if number % 2 else h, gate)))
            if number % 2:
                h = 2 * opened[-1] * h
            else:
                x = 2 * opened[-1] * x
        a, m = tf.matmul(x, kernel) + bias, tf.matmul(h, recurrent)
        after, kept = LSTMRecurrence.step(a, m, (h, states[1]))
        values = zip(written, (*after, *kept, *opened), strict=True)
        return t + 1, tuple(after), tuple(array.write(t, value) for array, value in values)

    count = LSTMRecurrence.states + LSTMRecurrence.kept + len(gates)
    arrays = tuple(tf.TensorArray(x.dtype, steps) for _ in range(count))
    *_, written = tf.while_loop(
        lambda t, *_: t < steps, step, (0, tuple(states), arrays), maximum_iterations=steps
    )
    found = [array.stack() for array in written]
    return found[:2], found[2 : -len(gates)], found[-len(gates) :]


@tf.function(jit_compile=True)
def _backward(
    before: Tensors,
    after: Tensors,
    kept: Tensors,
    opened: Tensors,
    xs: Tensors,
    hs: Tensors,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    gates: Tensors,
    d_outputs: tf.Tensor,
    d_last: Tensors,
) -> tuple[tf.Tensor, tf.Tensor, Tensors, Tensors]:
    """Backpropagation through time.

    Returns:
        ∂E/∂x (T, B, E), by the LSTM's sums (T, B, 4 H), by each gate's sum, by the first states.
    """
    steps = tf.shape(d_outputs)[0]
    factors = [by_step(f) for f in LSTMRecurrence.factors(before, after, kept)]
    # By a gate's sum, of the derivative by what the gate lets through.
    slopes = [
        by_step(2 * (hs[i] if i % 2 else xs[i]) * gate * (1 - gate))
        for i, gate in enumerate(opened)
    ]
    shares = [by_step(2 * gate) for gate in opened]
    from_outputs = by_step(d_outputs)

    def step(t: Any, d_states: Tensors, written: Sequence[Any]) -> tuple[Any, ...]:
        d_h = d_states[0] + from_outputs.read(t)
        d_a, (_, d_c) = LSTMRecurrence.back(
            (d_h, d_states[1]), [factor.read(t) for factor in factors]
        )
        d_x = tf.matmul(d_a, kernel, transpose_b=True)
        d_h = tf.matmul(d_a, recurrent, transpose_b=True)
        d_gates = []
        for number in reversed(range(len(gates))):
            let_through = d_h if number % 2 else d_x
            d_gates.append(let_through * slopes[number].read(t))
            by_input = tf.matmul(d_gates[-1], gates[number], transpose_b=True)
            let_through = let_through * shares[number].read(t)
            if number % 2:
                d_x, d_h = d_x + by_input, let_through
            else:
                d_x, d_h = let_through, d_h + by_input
        values = zip(written, (d_x, d_a, *reversed(d_gates)), strict=True)
        return t - 1, (d_h, d_c), tuple(array.write(t, value) for array, value in values)

    arrays = tuple(tf.TensorArray(d_outputs.dtype, steps) for _ in range(2 + len(gates)))
    _, d_first, written = tf.while_loop(
        lambda t, *_: t >= 0,
        step,
        (steps - 1, tuple(d_last), arrays),
        maximum_iterations=steps,
    )
    d_x, d_a, *d_gates = (array.stack() for array in written)
    return d_x, d_a, d_gates, d_first
