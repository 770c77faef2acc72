"""The terms of backpropagation through time: what each step adds to a gradient.

A recurrent network uses the same weights w at every step, so the gradient of the loss E_t of the
prediction after step t, in nats, is a sum over all steps (Werbos 1990):

    g = ∂E_t/∂w = Σ_j g_j  over j ≤ t    with  g_j = ∂E_t/∂h_t · ∂h_t/∂h_j · ∂⁺h_j/∂w

where ∂⁺h_j/∂w holds the state before step j fixed. Truncated BPTT keeps the last T terms (Williams
& Peng 1990). To tell the terms apart, the network is unrolled, and each step gets a copy of the
weights: g_j is the gradient by the j-th copy.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from pipeline.model.language_model import LanguageModel


@dataclasses.dataclass(frozen=True)
class UnrolledGradient:
    """What each of N steps adds to a gradient g: float64, (N,).

    Attributes:
        shares: ⟨g_j, g⟩ / ‖g‖² by step j = 1 … N; they sum to 1, and are negative where a step
            pulls the weights the other way.
        left_out: ‖g − Σ_{j > N − T} g_j‖ / ‖g‖ by T = 1 … N, what a cut after T steps leaves out.
    """

    shares: np.ndarray
    left_out: np.ndarray


def gradient_terms(model: LanguageModel, ids: np.ndarray) -> list[tf.Tensor]:
    """Return the terms of the gradient of the last token's loss, without dropout.

    The first state is zero. All recurrent layers are unrolled; a feed-forward network has no
    recurrent weights, and so no terms.

    Args:
        model: trained.
        ids: int32, (N + 1,), `<s>` first.

    Returns:
        For each weight of the recurrent layers, of shape S, its g_j in nats: float32, (N, *S).
    """
    inputs, target = tf.constant(ids[None, :-1]), tf.constant(ids[None, -1:])
    cells = [layer.cell for layer in model.recurrent]
    weights = [weight for layer in model.recurrent for weight in layer.trainable_variables]
    copies = [[tf.identity(weight.value) for weight in weights] for _ in ids[:-1]]
    vectors = tf.unstack(model.embed(inputs), axis=1)  # (1, E) each
    states = [cell.get_initial_state(batch_size=1) for cell in cells]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(copies)
        for x, of_step in zip(vectors, copies, strict=True):
            # In this scope the weights have the values of this step's copies.
            with keras.StatelessScope(state_mapping=list(zip(weights, of_step, strict=True))):
                for layer, cell in enumerate(cells):
                    x, states[layer] = cell(x, states[layer], training=False)
        nats = model.negative_log_likelihood(x[:, None], target)
    gradients = tape.gradient(nats, copies)
    return [tf.stack(steps) for steps in zip(*gradients, strict=True)]


def unrolled_gradient(model: LanguageModel, ids: np.ndarray) -> UnrolledGradient:
    """Compare the terms that `gradient_terms` returns with their sum."""
    steps = len(ids) - 1
    products = np.zeros((steps, steps))  # ⟨g_i, g_j⟩
    for terms in gradient_terms(model, ids):
        rows = terms.numpy().reshape(steps, -1).astype(np.float64)
        products += rows @ rows.T
    square = products.sum()
    # A sum of terms has the sum of their rows and columns as the square of its norm.
    earlier = [products[:first, :first].sum() for first in reversed(range(steps))]
    return UnrolledGradient(
        shares=products.sum(axis=1) / square,
        left_out=np.sqrt(np.maximum(earlier, 0) / square),
    )
