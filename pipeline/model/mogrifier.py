"""The Mogrifier LSTM (Melis, Kočiský & Blunsom 2020, "Mogrifier LSTM", §2).

Before a step of an LSTM, its input and its state change one another in r rounds, so that a word's
vector depends on what was read:

    x ← 2 σ(h Q_i) ⊙ x  in odd rounds,    h ← 2 σ(x R_i) ⊙ h  in even ones.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pipeline.model.recurrent import CompiledRNN, LSTMRecurrence, Tensors, flat, multiply


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


class MogrifierRecurrence(LSTMRecurrence):
    """The rounds of a `MogrifierCell` and its LSTM, with their gradient.

    The weights are W, U, b and each round's Q or R.
    """

    def __init__(self, rounds: int):
        self.kept, self.sums = 4 + rounds, 2 + rounds

    def project(self, x: tf.Tensor, weights: Tensors) -> tuple[tf.Tensor, Tensors]:
        return x, weights

    def forward(self, x: tf.Tensor, states: Tensors, weights: Tensors) -> tuple[Tensors, Tensors]:
        (h, c), (kernel, recurrent, bias, *gates) = states, weights
        opened = []
        for number, gate in enumerate(gates):
            opened.append(tf.sigmoid(tf.matmul(x if number % 2 else h, gate)))
            if number % 2:
                h = 2 * opened[-1] * h
            else:
                x = 2 * opened[-1] * x
        a, m = tf.matmul(x, kernel) + bias, tf.matmul(h, recurrent)
        after, kept = self.step(a, m, (h, c))
        return after, (*kept, *opened)

    def factors(self, x: tf.Tensor, before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        opened = kept[4:]
        xs, hs = _rounds(x, before[0], opened)
        # ∂(what a gate lets through) by the gate's sum, and by what comes in.
        slopes = [
            2 * (hs[i] if i % 2 else xs[i]) * gate * (1 - gate) for i, gate in enumerate(opened)
        ]
        shares = [2 * gate for gate in opened]
        return *super().factors(x, before, after, kept[:4]), *slopes, *shares

    def backward(
        self, d_states: Tensors, factors: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        kernel, recurrent, _, *gates = weights
        slopes, shares = factors[4 : 4 + len(gates)], factors[4 + len(gates) :]
        d_a, _, (_, d_c) = self.back(d_states, factors[:4])
        d_x = tf.matmul(d_a, kernel, transpose_b=True)
        d_h = tf.matmul(d_a, recurrent, transpose_b=True)
        d_gates = []
        for number in reversed(range(len(gates))):
            let_through = d_h if number % 2 else d_x
            d_gates.append(let_through * slopes[number])
            by_input = tf.matmul(d_gates[-1], gates[number], transpose_b=True)
            let_through = let_through * shares[number]
            if number % 2:
                d_x, d_h = d_x + by_input, let_through
            else:
                d_x, d_h = let_through, d_h + by_input
        return (d_h, d_c), (d_x, d_a, *reversed(d_gates))

    def gradients(self, x: tf.Tensor, before: Tensors, kept: Tensors, sums: Tensors) -> Tensors:
        d_x, d_a, *d_gates = sums
        xs, hs = _rounds(x, before[0], kept[4:])
        by_gates = [multiply(xs[i] if i % 2 else hs[i], d_gate) for i, d_gate in enumerate(d_gates)]
        of_lstm = multiply(xs[-1], d_a), multiply(hs[-1], d_a), tf.reduce_sum(flat(d_a), 0)
        return d_x, *of_lstm, *by_gates


def _rounds(x: tf.Tensor, h: tf.Tensor, opened: Tensors) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Return x and h before each round and after the last, given the gates σ(…)."""
    xs, hs = [x], [h]
    for number, gate in enumerate(opened):
        xs.append(xs[-1] if number % 2 else 2 * gate * xs[-1])
        hs.append(2 * gate * hs[-1] if number % 2 else hs[-1])
    return xs, hs


class Mogrifier(CompiledRNN):
    """`keras.layers.RNN` of a `MogrifierCell`, compiled."""

    def __init__(self, cell: MogrifierCell, **options: Any):
        super().__init__(cell, **options)
        self.recurrence = MogrifierRecurrence(cell.rounds)
