"""Keras's recurrent layers with their loops compiled by XLA where there is no GPU.

On a CPU, the stock layers spend most of their time between the operations of a loop body, which
autodiff doubles. Here the loop over time and its gradient are two compiled functions, and all that
does not depend on the previous step (the projection of the input, the gradients of the weights) is
one matrix product outside of them. Weights, their order and results are Keras's, so that cuDNN can
take over.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from pipeline.model.dropout import ReplicaSeeds

Tensors = Sequence[tf.Tensor]
# ∂E/∂a, ∂E/∂m, and ∂E/∂(states before) other than by way of m.
Gradients = tuple[tf.Tensor, tf.Tensor, Sequence[Any]]


class Recurrence:
    """One step of a cell and its gradient.

    A cell of Keras defines `step`, `factors` and `back` on a = x W (+ b), the share of the input
    in the gates, and m = h U + b, the share of the state. A cell that changes its input, too,
    overrides the other methods.

    Attributes:
        kept: values, (B, H) each, that the gradient needs besides the states.
        sums: 2 if ∂E/∂m differs from ∂E/∂a, else 1.
    """

    kept: int
    sums = 1

    def step(self, a: tf.Tensor, m: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
        """Return the states after a step, h first, (B, H) each, and the values to keep."""
        raise NotImplementedError

    def factors(self, a: tf.Tensor, before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        """Return what `back` needs, for all steps at once: (T, B, …) to (T, B, …)."""
        raise NotImplementedError

    def back(self, d_states: Tensors, factors: Tensors) -> Gradients:
        """Return the gradients of a step, from ∂E/∂(states after)."""
        raise NotImplementedError

    def project(self, x: tf.Tensor, weights: Tensors) -> tuple[tf.Tensor, Tensors]:
        """Return what the steps read, x (N, E) to (N, …), and the weights that they use."""
        kernel, recurrent, bias = weights
        a = tf.matmul(x, kernel)
        if bias.shape.rank == 2:  # Keras's GRU has one for the input, one for the state
            a, bias = a + bias[0], bias[1]
        return a, (recurrent, bias)

    def forward(self, a: tf.Tensor, states: Tensors, weights: Tensors) -> tuple[Tensors, Tensors]:
        """Return the states after a step and the values to keep."""
        recurrent, bias = weights
        return self.step(a, tf.matmul(states[0], recurrent) + bias, states)

    def backward(
        self, d_states: Tensors, factors: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        """Return ∂E/∂(states before) and what `gradients` needs, from ∂E/∂(states after)."""
        d_a, d_m, (d_h, *d_others) = self.back(d_states, factors)
        d_h = d_h + tf.matmul(d_m, weights[0], transpose_b=True)
        return (d_h, *d_others), (d_a, d_m)[: self.sums]

    def gradients(self, a: tf.Tensor, before: Tensors, kept: Tensors, sums: Tensors) -> Tensors:
        """Return ∂E/∂a (T, B, …) and ∂E/∂(each weight), from what `backward` left of all steps."""
        d_a, d_m = sums[0], sums[-1]
        return d_a, multiply(before[0], d_m), tf.reduce_sum(flat(d_m), 0)


class SimpleRecurrence(Recurrence):
    """h' = tanh(a + m) (Elman 1990)."""

    kept = 0

    def step(self, a: tf.Tensor, m: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
        return (tf.tanh(a + m),), ()

    def factors(self, a: tf.Tensor, before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        return (1 - after[0] * after[0],)

    def back(self, d_states: Tensors, factors: Tensors) -> Gradients:
        d_a = d_states[0] * factors[0]
        return d_a, d_a, (0,)


class GRURecurrence(Recurrence):
    """h' = z h + (1 − z) g with g = tanh(a_g + r m_g) (Cho et al. 2014; r after the product).

    Gates are in Keras's order, z, r, g; z and r are sigmoids of a + m.
    """

    kept, sums = 4, 2

    def step(self, a: tf.Tensor, m: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
        (a_z, a_r, a_g), (m_z, m_r, m_g) = tf.split(a, 3, axis=1), tf.split(m, 3, axis=1)
        z, r = tf.sigmoid(a_z + m_z), tf.sigmoid(a_r + m_r)
        g = tf.tanh(a_g + r * m_g)
        return (z * states[0] + (1 - z) * g,), (z, r, g, m_g)

    def factors(self, a: tf.Tensor, before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        z, r, g, m_g = kept
        d_g = (1 - z) * (1 - g * g)
        return (before[0] - g) * z * (1 - z), d_g * m_g * r * (1 - r), d_g, z, r

    def back(self, d_states: Tensors, factors: Tensors) -> Gradients:
        (d_h,), (by_z, by_r, by_g, z, r) = d_states, factors
        d_z, d_r, d_g = d_h * by_z, d_h * by_r, d_h * by_g
        return tf.concat([d_z, d_r, d_g], 1), tf.concat([d_z, d_r, d_g * r], 1), (d_h * z,)


class LSTMRecurrence(Recurrence):
    """c' = f c + i g, h' = o tanh c' (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    Gates are in Keras's order, i, f, g, o; all are sigmoids of a + m but g, a tanh.
    """

    kept = 4

    def step(self, a: tf.Tensor, m: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
        i, f, g, o = tf.split(a + m, 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        c = f * states[1] + i * g
        return (o * tf.tanh(c), c), (i, f, g, o)

    def factors(self, a: tf.Tensor, before: Tensors, after: Tensors, kept: Tensors) -> Tensors:
        i, f, g, o = kept
        tanh_c = tf.tanh(after[1])
        by_c = tf.concat([g * i * (1 - i), before[1] * f * (1 - f), i * (1 - g * g)], 2)
        return by_c, tanh_c * o * (1 - o), o * (1 - tanh_c * tanh_c), f

    def back(self, d_states: Tensors, factors: Tensors) -> Gradients:
        (d_h, d_c), (by_c, by_o, through, f) = d_states, factors
        d_c = d_c + d_h * through
        d_a = tf.concat([tf.concat([d_c, d_c, d_c], 1) * by_c, d_h * by_o], 1)
        return d_a, d_a, (0, d_c * f)


class CompiledRNN(keras.layers.RNN):
    """A recurrent layer with compiled loops; with a mask or on a GPU, the loop is Keras's.

    Args:
        weight_dropout: share of the recurrent weights dropped in training, drawn for each call
            (DropConnect; Wan et al. 2013; for recurrent layers Merity et al. 2018, §2).
    """

    recurrence: Recurrence

    def __init__(self, *args: Any, weight_dropout: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.weight_dropout = weight_dropout
        if weight_dropout:
            self.seed_generator = ReplicaSeeds()

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, list[Any]]:
        if training and self.weight_dropout:
            kernel = self.cell.recurrent_kernel
            kept = keras.random.dropout(kernel, self.weight_dropout, seed=self.seed_generator)
            # In this scope the kernel has the value `kept`, for cuDNN as well.
            with keras.StatelessScope(state_mapping=[(kernel, kept)]):
                return self.inner_loop(sequences, initial_state, mask)  # no other dropout is left
        if mask is not None or tf.config.list_logical_devices("GPU"):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        states = [tf.convert_to_tensor(state) for state in tf.nest.flatten(initial_state)]
        # Otherwise states of one row would take the unknown batch size of x after one step.
        x = tf.ensure_shape(sequences, (states[0].shape[0], None, None))
        weights = [tf.convert_to_tensor(weight) for weight in self.cell.weights]
        # Outside of a graph, the tape would record the loops. Inside of one, a function shared by
        # the loop and its gradient would pass their tensor arrays out of XLA, which cannot be.
        scan = _scan if tf.inside_function() else _eager_scan
        outputs, last = scan(self.recurrence, x, states, weights)
        return last[0], outputs, list(last)


class SimpleRNN(CompiledRNN, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, compiled."""

    recurrence = SimpleRecurrence()


class GRU(CompiledRNN, keras.layers.GRU):
    """`keras.layers.GRU`, compiled."""

    recurrence = GRURecurrence()


class LSTM(CompiledRNN, keras.layers.LSTM):
    """`keras.layers.LSTM`, compiled."""

    recurrence = LSTMRecurrence()


def _scan(
    recurrence: Recurrence, x: tf.Tensor, states: Tensors, weights: Tensors
) -> tuple[tf.Tensor, Tensors]:
    """Return the outputs (B, T, H) and last states of x (B, T, E) after states (B, H)."""

    @tf.custom_gradient
    def loop(inputs: tf.Tensor, *others: tf.Tensor) -> Any:
        states, weights = others[:count], others[count:]
        after, kept = _forward(recurrence, inputs, states, weights)

        def gradient(d_outputs: tf.Tensor, *d_last: tf.Tensor) -> Any:
            before = [
                tf.concat([s[None], seq[:-1]], 0) for s, seq in zip(states, after, strict=True)
            ]
            d_states, sums = _backward(
                recurrence, inputs, before, after, kept, weights, d_outputs, d_last
            )
            d_inputs, *d_weights = recurrence.gradients(inputs, before, kept, sums)
            return d_inputs, *d_states, *d_weights

        return (after[0], *(sequence[-1] for sequence in after)), gradient

    count = len(states)
    x = tf.transpose(x, (1, 0, 2))
    inputs, weights = recurrence.project(flat(x), weights)  # its gradient is autodiff's
    inputs = tf.reshape(inputs, tf.concat([tf.shape(x)[:2], [inputs.shape[1]]], 0))
    outputs, *last = loop(inputs, *states, *weights)
    return tf.transpose(outputs, (1, 0, 2)), last


_eager_scan = tf.function(_scan, autograph=False)


@tf.function(jit_compile=True, autograph=False)
def _forward(
    recurrence: Recurrence, inputs: tf.Tensor, states: Tensors, weights: Tensors
) -> tuple[Tensors, Tensors]:
    """Return all states and all values kept, (T, B, H) each, of inputs (T, B, …)."""

    def step(now: Tensors, states: Tensors) -> tuple[Tensors, Tensors]:
        after, kept = recurrence.forward(now[0], states, weights)
        return after, (*after, *kept)

    count = len(states)
    _, values = _over_time(step, [inputs], states, count=count + recurrence.kept)
    return values[:count], values[count:]


@tf.function(jit_compile=True, autograph=False)
def _backward(
    recurrence: Recurrence,
    inputs: tf.Tensor,
    before: Tensors,
    after: Tensors,
    kept: Tensors,
    weights: Tensors,
    d_outputs: tf.Tensor,
    d_last: Tensors,
) -> tuple[Tensors, Tensors]:
    """Backpropagate through time: return ∂E/∂(first states) and what `gradients` needs.

    A step needs the gradient of the states after it and nothing else of the loop, so all its
    factors are known before the loop begins.
    """

    def step(now: Tensors, d_states: Tensors) -> tuple[Tensors, Tensors]:
        d_output, *factors = now
        d_states = (d_states[0] + d_output, *d_states[1:])
        return recurrence.backward(d_states, factors, weights)

    sequences = [d_outputs, *recurrence.factors(inputs, before, after, kept)]
    return _over_time(step, sequences, d_last, count=recurrence.sums, backwards=True)


def _over_time(
    step: Callable[[Tensors, Tensors], tuple[Tensors, Tensors]],
    sequences: Tensors,
    states: Tensors,
    *,
    count: int,
    backwards: bool = False,
) -> tuple[Tensors, Tensors]:
    """Loop over time.

    Args:
        step: maps one time of all sequences, (B, …) each, and the states before to the states
            after and `count` values.
        sequences: (T, B, …) each.
        states: before the first step.
        count: number of values.
        backwards: begin with the last time.

    Returns:
        The states after the last step, and the values of all times, (T, B, …) each.
    """
    length = tf.shape(sequences[0])[0]
    parts = [tf.TensorArray(seq.dtype, length).unstack(seq) for seq in sequences]
    arrays = tuple(tf.TensorArray(states[0].dtype, length) for _ in range(count))

    def body(t: Any, states: Tensors, arrays: Sequence[Any]) -> tuple[Any, ...]:
        states, values = step([part.read(t) for part in parts], states)
        written = tuple(array.write(t, v) for array, v in zip(arrays, values, strict=True))
        return t - 1 if backwards else t + 1, tuple(states), written

    _, states, arrays = tf.while_loop(
        lambda t, *_: t >= 0 if backwards else t < length,
        body,
        (length - 1 if backwards else 0, tuple(states), arrays),
        maximum_iterations=length,
    )
    return states, [array.stack() for array in arrays]


def multiply(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Return the sum over time and batch of outer products: (T, B, M), (T, B, N) to (M, N)."""
    return tf.matmul(flat(left), flat(right), transpose_a=True)


def flat(sequence: tf.Tensor) -> tf.Tensor:
    """Return (T, B, N) as (T · B, N)."""
    return tf.reshape(sequence, (-1, sequence.shape[-1]))
