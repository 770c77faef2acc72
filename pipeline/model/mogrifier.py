"""The Mogrifier LSTM (Melis, Kočiský & Blunsom 2020, "Mogrifier LSTM", §2).

Before each step, input and state gate each other in r rounds, so that a word's vector depends on
the text before it:

    x ← 2 σ(h Q_i) ⊙ x  in odd rounds,    h ← 2 σ(x R_i) ⊙ h  in even ones.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pipeline.model.recurrent import CompiledRNN, LSTMRecurrence, Tensors, flat, multiply


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
        x, h, _ = _mogrify(x, states[0], self.gates)
        return super().call(x, [h, states[1]], training=training)


def _mogrify(x: Any, h: Any, weights: Sequence[Any]) -> tuple[Any, Any, list[tf.Tensor]]:
    """Return x and h after all rounds, and the gates σ(…) of each."""
    gates = []
    for number, weight in enumerate(weights):
        gate = tf.sigmoid(tf.matmul(x if number % 2 else h, weight))
        if number % 2:
            h = 2 * gate * h
        else:
            x = 2 * gate * x
        gates.append(gate)
    return x, h, gates


class MogrifierRecurrence(LSTMRecurrence):
    """The rounds of a `MogrifierCell` and its LSTM, with their gradient.

    The weights are W, U, b and each round's Q or R.
    """

    def __init__(self, rounds: int):
        self.kept, self.sums = 4 + rounds, 2 + rounds

    def project(self, x: tf.Tensor, weights: Tensors) -> tuple[tf.Tensor, Tensors]:
        return x, weights

    def forward(self, x: tf.Tensor, states: Tensors, weights: Tensors) -> tuple[Tensors, Tensors]:
        kernel, recurrent, bias, *rounds = weights
        x, h, gates = _mogrify(x, states[0], rounds)
        a, m = tf.matmul(x, kernel) + bias, tf.matmul(h, recurrent)
        after, kept = self.step(a, m, (h, states[1]))
        return after, (*kept, *gates)

    def factors(self, x: tf.Tensor, before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        gates = kept[4:]
        xs, hs = _rounds(x, before[0], gates)
        # The derivatives of a round's result by the gate's sum, and by its input.
        slopes = [
            2 * (hs[i] if i % 2 else xs[i]) * gate * (1 - gate) for i, gate in enumerate(gates)
        ]
        shares = [2 * gate for gate in gates]
        return *super().factors(x, before, after, kept[:4]), *slopes, *shares

    def backward(
        self, d_states: Tensors, factors: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        kernel, recurrent, _, *rounds = weights
        slopes, shares = factors[4 : 4 + len(rounds)], factors[4 + len(rounds) :]
        d_a, _, (_, d_c) = self.back(d_states, factors[:4])
        d_x = tf.matmul(d_a, kernel, transpose_b=True)
        d_h = tf.matmul(d_a, recurrent, transpose_b=True)
        d_gates = []
        for number in reversed(range(len(rounds))):
            d_result = d_h if number % 2 else d_x
            d_gates.append(d_result * slopes[number])
            by_sum = tf.matmul(d_gates[-1], rounds[number], transpose_b=True)
            if number % 2:
                d_x, d_h = d_x + by_sum, d_result * shares[number]
            else:
                d_x, d_h = d_result * shares[number], d_h + by_sum
        return (d_h, d_c), (d_x, d_a, *reversed(d_gates))

    def gradients(self, x: tf.Tensor, before: Tensors, kept: Tensors, sums: Tensors) -> Tensors:
        d_x, d_a, *d_gates = sums
        xs, hs = _rounds(x, before[0], kept[4:])
        by_rounds = [multiply(xs[i] if i % 2 else hs[i], d) for i, d in enumerate(d_gates)]
        by_lstm = multiply(xs[-1], d_a), multiply(hs[-1], d_a), tf.reduce_sum(flat(d_a), 0)
        return d_x, *by_lstm, *by_rounds


def _rounds(x: tf.Tensor, h: tf.Tensor, gates: Tensors) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Return x and h before each round and after the last, given the gates σ(…)."""
    xs, hs = [x], [h]
    for number, gate in enumerate(gates):
        xs.append(xs[-1] if number % 2 else 2 * gate * xs[-1])
        hs.append(2 * gate * hs[-1] if number % 2 else hs[-1])
    return xs, hs


class Mogrifier(CompiledRNN):
    """`keras.layers.RNN` of a `MogrifierCell`, compiled."""

    def __init__(self, cell: MogrifierCell, **options: Any):
        super().__init__(cell, **options)
        self.recurrence = _recurrence(cell.rounds)


# TensorFlow compiles the loops of each one anew.
_recurrence = functools.cache(MogrifierRecurrence)
