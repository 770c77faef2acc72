"""How far back a gradient reaches: the product of Jacobians of backpropagation through time.

A recurrent layer has a state s_j after step j: its h_j, of an LSTM also its c_j. What a change
of it would do to the nats E_t of a later target is

    ∂E_t/∂s_j = ∂E_t/∂s_t · ∂s_t/∂s_{t−1} · … · ∂s_{j+1}/∂s_j

and where those Jacobians shrink what they are multiplied with, it vanishes (Bengio et al. 1994;
Pascanu et al. 2013, §2): no training can teach step j anything about target t.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.model.language_model import LanguageModel

# Windows that are stepped through side by side.
_LANES = 64


@dataclasses.dataclass(frozen=True)
class Reach:
    """Norms of gradients by the last layer's state, float64 (samples, D + 1), at t − j = 0, 1, … D.

    Attributes:
        h: ‖∂E_t/∂h_j‖, in nats per unit of h; of an LSTM, c_j held still, but every later c not.
        state: ‖∂E_t/∂s_j‖ by all of the state; of an LSTM, h_j and c_j, of any other cell h_j.
    """

    h: np.ndarray
    state: np.ndarray


def gradient_reach(model: LanguageModel, stream: np.ndarray, *, steps: int, samples: int) -> Reach:
    """Measure the gradients of targets spread evenly over a stream.

    Before each window as much text again is read, so that its first state is not an empty one.

    Args:
        model: stateless.
        stream: int32 ids, shape (tokens,).
        steps: D, the farthest t − j.
        samples: targets E_t, at most.

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
    found = [
        norms(tf.constant(stream[at[:, None] + window]))
        for at in np.array_split(places, -(-len(places) // _LANES))
    ]
    h, state = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Reach(h, state)


def _norms(model: LanguageModel, steps: int) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function of ids (B, 2 D + 1), the last of them the target, to two times (B, D + 1)."""
    *below, last = model.recurrent

    def step(state: Sequence[tf.Tensor], given: tuple[tf.Tensor, Sequence[tf.Tensor]]) -> Any:
        x, shifts = given
        _, state = last.cell(x, list(state), training=False)
        return [part + shift for part, shift in zip(state, shifts, strict=True)]

    @tf.function(input_signature=[tf.TensorSpec((None, 2 * steps + 1), tf.int32)])
    def norms(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = model.embed(ids[:, :-1])
        for layer in below:
            x, *_ = layer(x)
        _, *state = last(x[:, :steps])
        # Shifts by zero, one for each part of each state: h_j and c_j move one by one with them,
        # though h_j is made of c_j.
        shifts = [tf.zeros([steps + 1, *tf.unstack(tf.shape(part))]) for part in state]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(shifts)
            state = [part + shift[0] for part, shift in zip(state, shifts, strict=True)]
            given = tf.transpose(x[:, steps:], (1, 0, 2)), [shift[1:] for shift in shifts]
            h, *_ = tf.scan(step, given, state)
            # Lanes know nothing of each other, so their sum has the gradients of each.
            nats = tf.reduce_sum(model.negative_log_likelihood(h[-1][:, None], ids[:, -1:]))
        gradients = tape.gradient(nats, shifts)
        # (D + 1, B) each, t − j = 0 first; in float32 the squares would be zero too soon.
        squares = [
            tf.reduce_sum(tf.cast(gradient[::-1], tf.float64) ** 2, axis=2)
            for gradient in gradients
        ]
        return tf.sqrt(tf.transpose(squares[0])), tf.sqrt(tf.transpose(tf.add_n(squares)))

    return norms
