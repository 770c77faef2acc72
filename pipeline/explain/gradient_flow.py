"""How far back a gradient flows: the product of Jacobians of backpropagation through time.

A recurrent layer has a state s_j after step j: h_j, and in an LSTM also c_j. The gradient of the
loss E_t of a later target, in nats, is

    ∂E_t/∂s_j = ∂E_t/∂s_t · ∂s_t/∂s_{t−1} · … · ∂s_{j+1}/∂s_j

and where the Jacobians are contractive it vanishes (Bengio et al. 1994; Pascanu et al. 2013, §2):
no training can teach step j anything about target t.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.model.language_model import LanguageModel

# Windows in a batch.
_LANES = 64


@dataclasses.dataclass(frozen=True)
class GradientFlow:
    """Norms of gradients with respect to the last layer's state, at t − j = 0, 1, … D.

    Float64, (samples, D + 1), in nats per unit of the state.

    Attributes:
        h: ‖∂E_t/∂h_j‖; in an LSTM c_j is held fixed, but later c are not.
        state: ‖∂E_t/∂s_j‖; in an LSTM s is h and c, in other cells h.
    """

    h: np.ndarray
    state: np.ndarray


def gradient_flow(
    model: LanguageModel, stream: np.ndarray, *, steps: int, samples: int
) -> GradientFlow:
    """Measure the gradients of up to `samples` targets spread evenly over a stream.

    They are followed back D = `steps` steps; as many tokens are read before, so that the first
    state is not empty.

    Raises:
        InputError: the stream is too short.
    """
    if len(stream) <= 2 * steps:
        raise InputError(
            f"The validation split has {len(stream)} tokens, too few to look back {steps} steps: "
            "lower --steps."
        )
    places = np.linspace(2 * steps, len(stream) - 1, samples).round().astype(np.int64)
    places = np.unique(places)
    window = np.arange(-2 * steps, 1)
    norms = _norms(model, steps)
    batches = [
        norms(tf.constant(stream[at[:, None] + window]))
        for at in np.array_split(places, -(-len(places) // _LANES))
    ]
    h, state = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return GradientFlow(h, state)


def _norms(model: LanguageModel, steps: int) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Return a function from ids (B, 2 D + 1), the target last, to `h` and `state`, (B, D + 1)."""
    *below, last = model.recurrent

    def step(state: Sequence[tf.Tensor], given: tuple[tf.Tensor, Sequence[tf.Tensor]]) -> Any:
        x, shifts = given
        _, state = last.cell(x, list(state), training=False)
        return [part + shift for part, shift in zip(state, shifts, strict=True)]

    @tf.function(input_signature=[tf.TensorSpec((None, 2 * steps + 1), tf.int32)], autograph=False)
    def norms(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = model.embed(ids[:, :-1])
        for layer in below:
            x, *_ = layer(x)
        _, *state = last(x[:, :steps])
        # Add zeros to h_j and c_j and differentiate by them: h_j depends on c_j, so the gradient
        # by h_j itself would not tell them apart.
        shifts = [tf.zeros([steps + 1, *tf.unstack(tf.shape(part))]) for part in state]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(shifts)
            state = [part + shift[0] for part, shift in zip(state, shifts, strict=True)]
            given = tf.transpose(x[:, steps:], (1, 0, 2)), [shift[1:] for shift in shifts]
            h, *_ = tf.scan(step, given, state)
            # Rows are independent, so the gradient of their sum is the gradient of each.
            nats = tf.reduce_sum(model.negative_log_likelihood(h[-1][:, None], ids[:, -1:]))
        gradients = tape.gradient(nats, shifts)
        # (D + 1, B) each, t − j = 0 first; squares would underflow in float32.
        squares = [
            tf.reduce_sum(tf.cast(gradient[::-1], tf.float64) ** 2, axis=2)
            for gradient in gradients
        ]
        return tf.sqrt(tf.transpose(squares[0])), tf.sqrt(tf.transpose(tf.add_n(squares)))

    return norms
