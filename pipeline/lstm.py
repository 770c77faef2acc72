"""Keras's LSTM with its recurrence compiled by XLA where there is no GPU.

The stock layer spends most of a CPU's time between the operations of a loop body that autodiff
doubles. Here the loop and its gradient are two compiled functions, and whatever does not depend
on the step before (the input's projection, every weight's gradient) is one matrix product
outside of them. The weights, their order and the results are Keras's, so cuDNN can take over.
"""

from typing import Any

import keras
import tensorflow as tf


class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM` for full windows (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    On a GPU, and where a mask says which steps count, this is Keras's own layer.
    """

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, list[Any]]:
        if mask is not None or tf.config.list_logical_devices("GPU"):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        weights = self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias
        arguments = [tf.convert_to_tensor(v) for v in (sequences, *initial_state, *weights)]
        outputs, h, c = _lstm(*arguments)
        return h, outputs, [h, c]


@tf.function  # outside of a graph, the tape would look into the compiled functions and fail
@tf.custom_gradient
def _lstm(
    x: tf.Tensor, h0: tf.Tensor, c0: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: Any
) -> Any:
    """x (B, T, E), h0 and c0 (B, H) to all outputs (B, T, H) and the last h and c."""
    hs, cs, gates = _forward(x, h0, c0, kernel, recurrent, bias)

    def gradient(dhs: tf.Tensor, dh: tf.Tensor, dc: tf.Tensor) -> Any:
        return _backward(x, h0, c0, kernel, recurrent, hs, cs, gates, dhs, dh, dc)

    return (tf.transpose(hs, (1, 0, 2)), hs[-1], cs[-1]), gradient


@tf.function(jit_compile=True)
def _forward(
    x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: Any
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """All h and c, (T, B, H), and the gates i, f, g, o after their activations, (T, B, 4H)."""
    steps = tf.shape(x)[1]
    projected = _by_step(_product(tf.transpose(x, (1, 0, 2)), kernel) + bias)
    hs, cs, gates = (tf.TensorArray(x.dtype, steps) for _ in range(3))

    def step(t: Any, h: Any, c: Any, hs: Any, cs: Any, gates: Any) -> tuple[Any, ...]:
        i, f, g, o = tf.split(projected.read(t) + tf.matmul(h, recurrent), 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        c = f * c + i * g
        h = o * tf.tanh(c)
        gated = gates.write(t, tf.concat([i, f, g, o], 1))
        return t + 1, h, c, hs.write(t, h), cs.write(t, c), gated

    _, _, _, hs, cs, gates = tf.while_loop(
        lambda t, *_: t < steps, step, (0, h, c, hs, cs, gates), maximum_iterations=steps
    )
    return hs.stack(), cs.stack(), gates.stack()


@tf.function(jit_compile=True)
def _backward(
    x: tf.Tensor,
    h0: tf.Tensor,
    c0: tf.Tensor,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    hs: tf.Tensor,
    cs: tf.Tensor,
    gates: tf.Tensor,
    dhs: tf.Tensor,
    dh: tf.Tensor,
    dc: tf.Tensor,
) -> tuple[tf.Tensor, ...]:
    """Backpropagation through time: ∂E/∂(x, h0, c0, kernel, recurrent, bias).

    With a the gates before their activations, every step needs ∂E/∂a of the step after it and
    nothing else of the loop, so all factors of a step are known before the loop begins.
    """
    steps = tf.shape(x)[1]
    before = tf.concat([h0[None], hs[:-1]], 0), tf.concat([c0[None], cs[:-1]], 0)
    i, f, g, o = tf.split(gates, 4, axis=2)
    tanh_c = tf.tanh(cs)
    cell = tf.concat([g * i * (1 - i), before[1] * f * (1 - f), i * (1 - g * g)], 2)
    output, through = tanh_c * o * (1 - o), o * (1 - tanh_c * tanh_c)
    inputs = [_by_step(part) for part in (tf.transpose(dhs, (1, 0, 2)), cell, output, through, f)]
    das = tf.TensorArray(x.dtype, steps)

    def step(t: Any, dh: Any, dc: Any, das: Any) -> tuple[Any, ...]:
        from_output, cell, output, through, forget = (part.read(t) for part in inputs)
        dh = dh + from_output
        dc = dc + dh * through
        da = tf.concat([tf.concat([dc, dc, dc], 1) * cell, dh * output], 1)
        return t - 1, tf.matmul(da, recurrent, transpose_b=True), dc * forget, das.write(t, da)

    _, dh, dc, das = tf.while_loop(
        lambda t, *_: t >= 0, step, (steps - 1, dh, dc, das), maximum_iterations=steps
    )
    da = das.stack()  # (T, B, 4H)
    dx = tf.transpose(_product(da, tf.transpose(kernel)), (1, 0, 2))
    da = _flat(da)
    d_kernel = tf.matmul(_flat(tf.transpose(x, (1, 0, 2))), da, transpose_a=True)
    d_recurrent = tf.matmul(_flat(before[0]), da, transpose_a=True)
    return dx, dh, dc, d_kernel, d_recurrent, tf.reduce_sum(da, 0)


def _by_step(sequence: tf.Tensor) -> tf.TensorArray:
    return tf.TensorArray(sequence.dtype, tf.shape(sequence)[0]).unstack(sequence)


def _flat(sequence: tf.Tensor) -> tf.Tensor:
    """(T, B, N) to (T · B, N)."""
    return tf.reshape(sequence, (-1, sequence.shape[-1]))


def _product(sequence: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """(T, B, M) times (M, N), as one product of matrices."""
    shape = tf.shape(sequence)
    return tf.reshape(tf.matmul(_flat(sequence), matrix), (shape[0], shape[1], matrix.shape[-1]))
