"""One update of truncated backpropagation through time (Werbos 1990; Williams & Peng 1990).

The gradient of the losses of a window reaches back through its T steps and no further; the state
after the first k₁ of them opens the next window. With k₁ = T windows stand side by side; with
k₁ = 1 every update is the truncated sum at one step t,

    ∂E_t/∂θ = Σ_j ∂E_t/∂h_t · ∂h_t/∂h_j · ∂h_j/∂θ  over the last T steps j.
"""

import keras
import tensorflow as tf

from pipeline.model.language_model import LanguageModel
from pipeline.tokens.windows import NO_TARGET


class Trainer:
    """One model, its optimizer, and the step that a window takes through both.

    Args:
        model: stateful, built in the scope of the strategy it is trained under.
        optimizer: built in that scope too.
        clip_norm: the gradient's global norm is cut to this (Pascanu et al. 2013).
        stride: k₁, steps after which the next window begins; None if windows do not overlap.
        activation_regularization: α; the loss grows by α times the mean square of the last
            layer's activations after dropout (AR; Merity et al. 2018, §4.6).
        temporal_regularization: β; it grows by β times the mean square of their changes from one
            step to the next, before dropout (TAR).
    """

    def __init__(
        self,
        model: LanguageModel,
        optimizer: keras.Optimizer,
        *,
        clip_norm: float,
        stride: int | None = None,
        activation_regularization: float = 0.0,
        temporal_regularization: float = 0.0,
    ):
        self.model, self.optimizer = model, optimizer
        self.clip_norm, self.stride = clip_norm, stride
        self.alpha, self.beta = activation_regularization, temporal_regularization
        self.strategy = tf.distribute.get_strategy()
        optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(
        self, x: tf.Tensor, y: tf.Tensor, begins: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Learn from one window.

        Args:
            x: ids, int32 (B, T), spread over the replicas, as all arguments.
            y: targets of the last K ≤ T steps, int32 (B, K).
            begins: bool (B,), lanes that forget their state before.

        Returns:
            Σ nats and number of targets of the whole batch, gradient norm before clipping.
        """
        nats, targets, norm = self.strategy.run(self._replica_step, (x, y, begins))
        reduce = self.strategy.reduce
        return (
            reduce(tf.distribute.ReduceOp.SUM, nats, axis=None),
            reduce(tf.distribute.ReduceOp.MEAN, targets, axis=None),
            reduce(tf.distribute.ReduceOp.MEAN, norm, axis=None),
        )

    def _replica_step(
        self, x: tf.Tensor, y: tf.Tensor, begins: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        replicas = tf.distribute.get_replica_context()
        counted = tf.reduce_sum(tf.cast(tf.not_equal(y, NO_TARGET), tf.float32))
        targets = replicas.all_reduce(tf.distribute.ReduceOp.SUM, counted)
        for state in self.model.states:
            state.assign(tf.where(begins[:, None], tf.zeros_like(state), state))
        # With float16 gradients would vanish: the loss is scaled up, and the optimizer scales back.
        scale = self.optimizer.scale_loss(tf.constant(1.0))
        with tf.GradientTape() as tape:
            raw = self._read(x)
            h = self.model.dropouts[-1](raw, training=True)
            nats = self.model.negative_log_likelihood(h[:, -tf.shape(y)[1] :], y, training=True)
            nats = tf.reduce_sum(nats)
            loss = nats / targets
            if self.alpha or self.beta:
                loss += self._penalty(h, raw) / replicas.num_replicas_in_sync
            loss *= scale
        variables = self.model.trainable_variables
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
        # Clip what all replicas found together, then hand each its share: the optimizer adds
        # the shares up again.
        gradients = replicas.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients, norm = tf.clip_by_global_norm(gradients, self.clip_norm * scale)
        share = 1.0 / replicas.num_replicas_in_sync
        self.optimizer.apply([g * share for g in gradients], variables)
        return nats, targets, norm / scale

    def _penalty(self, h: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
        h, raw = tf.cast(h, tf.float32), tf.cast(raw, tf.float32)
        penalty = self.alpha * tf.reduce_mean(tf.square(h))
        if h.shape[1] != 1:
            penalty += self.beta * tf.reduce_mean(tf.square(raw[:, 1:] - raw[:, :-1]))
        return penalty

    def copy_weights(self, model: LanguageModel) -> None:
        """Give another model what was learned: the averages, if the optimizer keeps any."""
        variables = self.model.trainable_variables
        learned = [variable.numpy() for variable in variables]
        self.optimizer.finalize_variable_values(variables)
        for theirs, mine, value in zip(model.trainable_variables, variables, learned, strict=True):
            theirs.assign(mine)
            mine.assign(value)

    def _read(self, x: tf.Tensor) -> tf.Tensor:
        """h of every step (B, T, H); the layers keep the state of the k₁-th.

        What is dropped for a window is drawn twice where windows overlap, for its first k₁ steps
        and for the others.
        """
        if self.stride is None or x.shape[1] == self.stride:
            return self.model.hidden(x, training=True)[0]
        first, carried = self.model.hidden(x[:, : self.stride], training=True)
        rest, _ = self.model.hidden(x[:, self.stride :], states=carried, training=True)
        flat = [part for layer in carried for part in layer]
        for state, value in zip(self.model.states, flat, strict=True):
            state.assign(value)
        return tf.concat([first, rest], axis=1)
