"""Keras's recurrent layers with their loops compiled by XLA where there is no GPU.

The stock layers spend most of a CPU's time between the operations of a loop body that autodiff
doubles. Here the loop over time and its derivative are two compiled functions, and whatever does
not depend on the step before (the input's projection, every weight's gradient) is one matrix
product outside of them. Weights, their order and results are Keras's, so cuDNN can take over.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pipeline.model.dropout import ReplicaSeeds

Tensors = Sequence[tf.Tensor]


class Recurrence:
    """One step of a cell and its derivative, as the loops want them.

    With a = x W (+ b), what the input brings to the gates, and m = h U + b, what the state
    brings, a step is a function of a, m and the states, h first, each (B, H). `kept` are the
    values, each (B, H), that its derivative needs besides the states before and after.
    """

    states: int
    kept: int

    @staticmethod
    def step(a: tf.Tensor, m: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
        """The states after a step, and what is kept of it."""
        raise NotImplementedError

    @staticmethod
    def factors(before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        """All that `back` needs to know, of all steps at once: (T, B, …) to (T, B, …)."""
        raise NotImplementedError

    @staticmethod
    def back(d_states: Tensors, factors: Tensors) -> tuple[tf.Tensor, Tensors]:
        """∂E/∂(states after) to ∂E/∂a, and to ∂E/∂(states before) but for the way through m."""
        raise NotImplementedError

    @staticmethod
    def by_state(d_a: tf.Tensor, factors: Tensors) -> tf.Tensor:
        """∂E/∂a to ∂E/∂m, (…, gates · H)."""
        return d_a


class SimpleRecurrence(Recurrence):
    """h' = tanh(a + m) (Elman 1990)."""

    states, kept = 1, 0

    @staticmethod
    def step(a: tf.Tensor, m: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
        return (tf.tanh(a + m),), ()

    @staticmethod
    def factors(before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        return (1 - after[0] * after[0],)

    @staticmethod
    def back(d_states: Tensors, factors: Tensors) -> tuple[tf.Tensor, Tensors]:
        return d_states[0] * factors[0], (tf.zeros_like(d_states[0]),)


class GRURecurrence(Recurrence):
    """h' = z h + (1 − z) g with g = tanh(a_g + r m_g) (Cho et al. 2014; r after the product).

    Gates stand in Keras's order, z, r, g; z and r are sigmoids of a + m.
    """

    states, kept = 1, 4

    @staticmethod
    def step(a: tf.Tensor, m: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
        (a_z, a_r, a_g), (m_z, m_r, m_g) = tf.split(a, 3, axis=1), tf.split(m, 3, axis=1)
        z, r = tf.sigmoid(a_z + m_z), tf.sigmoid(a_r + m_r)
        g = tf.tanh(a_g + r * m_g)
        return (z * states[0] + (1 - z) * g,), (z, r, g, m_g)

    @staticmethod
    def factors(before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        z, r, g, m_g = kept
        d_g = (1 - z) * (1 - g * g)
        gates = tf.concat([(before[0] - g) * z * (1 - z), d_g * m_g * r * (1 - r), d_g], 2)
        return gates, z, r

    @staticmethod
    def back(d_states: Tensors, factors: Tensors) -> tuple[tf.Tensor, Tensors]:
        (d_h,), (gates, z, _) = d_states, factors
        return tf.concat([d_h, d_h, d_h], 1) * gates, (d_h * z,)

    @staticmethod
    def by_state(d_a: tf.Tensor, factors: Tensors) -> tf.Tensor:
        d_z, d_r, d_g = tf.split(d_a, 3, axis=-1)
        return tf.concat([d_z, d_r, d_g * factors[2]], -1)


class LSTMRecurrence(Recurrence):
    """c' = f c + i g, h' = o tanh c' (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    Gates stand in Keras's order, i, f, g, o; all are sigmoids of a + m but g, a tanh.
    """

    states, kept = 2, 4

    @staticmethod
    def step(a: tf.Tensor, m: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
        i, f, g, o = tf.split(a + m, 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        c = f * states[1] + i * g
        return (o * tf.tanh(c), c), (i, f, g, o)

    @staticmethod
    def factors(before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        i, f, g, o = kept
        tanh_c = tf.tanh(after[1])
        by_c = tf.concat([g * i * (1 - i), before[1] * f * (1 - f), i * (1 - g * g)], 2)
        return by_c, tanh_c * o * (1 - o), o * (1 - tanh_c * tanh_c), f

    @staticmethod
    def back(d_states: Tensors, factors: Tensors) -> tuple[tf.Tensor, Tensors]:
        (d_h, d_c), (by_c, by_o, through, f) = d_states, factors
        d_c = d_c + d_h * through
        d_a = tf.concat([tf.concat([d_c, d_c, d_c], 1) * by_c, d_h * by_o], 1)
        return d_a, (tf.zeros_like(d_h), d_c * f)


class CompiledRNN(keras.layers.RNN):
    """The loop of a Keras layer over full windows; with a mask or on a GPU it is Keras's own.

    Args:
        weight_dropout: share of the recurrent weights that are dropped in training, anew for each
            call (DropConnect; Wan et al. 2013; for recurrent layers Merity et al. 2018, §2).
    """

    recurrence: type[Recurrence]

    def __init__(self, *args: Any, weight_dropout: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.weight_dropout = weight_dropout
        if weight_dropout:
            self.seed_generator = ReplicaSeeds()

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, list[Any]]:
        if not (training and self.weight_dropout):
            return self._inner_loop(sequences, initial_state, mask, training)
        weights = self.cell.recurrent_kernel
        kept = keras.random.dropout(weights, self.weight_dropout, seed=self.seed_generator)
        # In this scope the weights are those, for cuDNN's kernels too.
        with keras.StatelessScope(state_mapping=[(weights, kept)]):
            return self._inner_loop(sequences, initial_state, mask, training)

    def _inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool
    ) -> tuple[Any, Any, list[Any]]:
        if mask is not None or tf.config.list_logical_devices("GPU"):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        states = [tf.convert_to_tensor(state) for state in tf.nest.flatten(initial_state)]
        # A batch that may be of any size would be so after the first step, where states of one
        # row meet it.
        sequences = tf.ensure_shape(sequences, (states[0].shape[0], None, None))
        outputs, last = self.scan(sequences, states)
        return last[0], outputs, list(last)

    def scan(self, x: tf.Tensor, states: Tensors) -> tuple[tf.Tensor, Tensors]:
        """x (B, T, E) and states (B, H) to the outputs (B, T, H) and the last states."""
        cell = self.cell
        weights = map(tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, cell.bias))
        # Outside of a graph the tape would look into the loops; inside of one, a function that
        # both share would carry their lists out of XLA, which it cannot.
        scan = _scan if tf.inside_function() else _eager_scan
        return scan(self.recurrence, x, states, *weights)


class SimpleRNN(CompiledRNN, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, compiled."""

    recurrence = SimpleRecurrence


class GRU(CompiledRNN, keras.layers.GRU):
    """`keras.layers.GRU`, compiled."""

    recurrence = GRURecurrence


class LSTM(CompiledRNN, keras.layers.LSTM):
    """`keras.layers.LSTM`, compiled."""

    recurrence = LSTMRecurrence


def _scan(
    recurrence: type[Recurrence],
    x: tf.Tensor,
    states: Tensors,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, Tensors]:
    """x (B, T, E) and states (B, H) to the outputs (B, T, H) and the last states."""

    @tf.custom_gradient
    def loop(a: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor, *first: tf.Tensor) -> Any:
        after, kept = _forward(recurrence, a, first, recurrent, bias)

        def gradient(d_outputs: tf.Tensor, *d_last: tf.Tensor) -> Any:
            before = [
                tf.concat([s[None], seq[:-1]], 0) for s, seq in zip(first, after, strict=True)
            ]
            d_a, d_m, d_first = _backward(
                recurrence, before, after, kept, recurrent, d_outputs, d_last
            )
            d_recurrent = tf.matmul(flat(before[0]), flat(d_m), transpose_a=True)
            return d_a, d_recurrent, tf.reduce_sum(flat(d_m), 0), *d_first

        return (after[0], *(sequence[-1] for sequence in after)), gradient

    # Autodiff does this part.
    x = tf.transpose(x, (1, 0, 2))
    a, bias = project(flat(x), kernel, bias)
    a = tf.reshape(a, tf.concat([tf.shape(x)[:2], [a.shape[1]]], 0))
    outputs, *last = loop(a, recurrent, bias, *states)
    return tf.transpose(outputs, (1, 0, 2)), last


_eager_scan = tf.function(_scan)


@tf.function(jit_compile=True)
def _forward(
    recurrence: type[Recurrence],
    a: tf.Tensor,
    states: Tensors,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[Tensors, Tensors]:
    """a (T, B, gates · H) to all states and all that is kept, (T, B, H) each."""
    steps = tf.shape(a)[0]
    inputs = by_step(a)
    count = recurrence.states + recurrence.kept

    def step(t: Any, states: Tensors, written: Sequence[Any]) -> tuple[Any, ...]:
        m = tf.matmul(states[0], recurrent) + bias
        states, kept = recurrence.step(inputs.read(t), m, states)
        values = zip(written, (*states, *kept), strict=True)
        return t + 1, tuple(states), tuple(array.write(t, value) for array, value in values)

    arrays = tuple(tf.TensorArray(a.dtype, steps) for _ in range(count))
    *_, written = tf.while_loop(
        lambda t, *_: t < steps, step, (0, tuple(states), arrays), maximum_iterations=steps
    )
    found = [array.stack() for array in written]
    return found[: recurrence.states], found[recurrence.states :]


@tf.function(jit_compile=True)
def _backward(
    recurrence: type[Recurrence],
    before: Tensors,
    after: Tensors,
    kept: Tensors,
    recurrent: tf.Tensor,
    d_outputs: tf.Tensor,
    d_last: Tensors,
) -> tuple[tf.Tensor, tf.Tensor, Tensors]:
    """Backpropagation through time: ∂E/∂a and ∂E/∂m (T, B, gates · H), ∂E/∂(first states).

    A step needs the derivative by the states after it and nothing else of the loop, so all its
    factors are known before the loop begins.
    """
    steps = tf.shape(d_outputs)[0]
    factors = recurrence.factors(before, after, kept)
    steps_of, from_outputs = [by_step(factor) for factor in factors], by_step(d_outputs)

    def step(t: Any, d_states: Tensors, written: Any) -> tuple[Any, ...]:
        known = [factor.read(t) for factor in steps_of]
        d_h = d_states[0] + from_outputs.read(t)
        d_a, direct = recurrence.back((d_h, *d_states[1:]), known)
        d_h = direct[0] + tf.matmul(recurrence.by_state(d_a, known), recurrent, transpose_b=True)
        return t - 1, (d_h, *direct[1:]), written.write(t, d_a)

    _, d_first, written = tf.while_loop(
        lambda t, *_: t >= 0,
        step,
        (steps - 1, tuple(d_last), tf.TensorArray(d_outputs.dtype, steps)),
        maximum_iterations=steps,
    )
    d_a = written.stack()
    return d_a, recurrence.by_state(d_a, factors), d_first


def project(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What the input is to the gates, x (N, E) to (N, gates · H), and the state's bias."""
    a = tf.matmul(x, kernel)
    if bias.shape.rank == 2:  # Keras's GRU has one for the input, one for the state
        a, bias = a + bias[0], bias[1]
    return a, bias


def by_step(sequence: tf.Tensor) -> tf.TensorArray:
    return tf.TensorArray(sequence.dtype, tf.shape(sequence)[0]).unstack(sequence)


def flat(sequence: tf.Tensor) -> tf.Tensor:
    """(T, B, N) to (T · B, N)."""
    return tf.reshape(sequence, (-1, sequence.shape[-1]))
