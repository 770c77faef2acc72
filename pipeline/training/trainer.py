"""Truncated backpropagation through time (Werbos 1990; Williams & Peng 1990).

Gradients flow back through the T steps of a window and no further. The state after the first k₁
steps is the initial state of the next window. With k₁ = T windows do not overlap; with k₁ = 1 each
update is the truncated sum at one step t,

    ∂E_t/∂θ = Σ_j ∂E_t/∂h_t · ∂h_t/∂h_j · ∂h_j/∂θ  over the last T steps j.
"""

import keras
import numpy as np
import tensorflow as tf

from pipeline.model.config import Precision
from pipeline.model.language_model import LanguageModel, assign_weights
from pipeline.tokens.windows import NO_TARGET
from pipeline.training.config import TrainingConfig


def scale_losses(optimizer: keras.Optimizer, precision: Precision) -> keras.Optimizer:
    """Return an optimizer that scales the loss where gradients would underflow in float16."""
    if precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


class Trainer:
    """Updates a model, a window at a time.

    Args:
        model: stateful, built in the scope of a strategy.
        optimizer: built in the same scope.
        config: the maximum norm of the gradient (Pascanu et al. 2013); the stride k₁; and the
            weights α of the mean square of the last layer's activations after dropout and β of
            their changes from one step to the next before it (AR, TAR; Merity et al. 2018, §4.6).
    """

    def __init__(
        self,
        model: LanguageModel,
        optimizer: keras.Optimizer,
        config: TrainingConfig,
    ):
        self.model, self.optimizer, self._config = model, optimizer, config
        self._alpha = config.activation_regularization
        self._beta = config.temporal_regularization
        self.strategy = tf.distribute.get_strategy()
        optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True, autograph=False)
    def step(
        self, x: tf.Tensor, y: tf.Tensor, begins: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Update the weights on one window.

        Args:
            x: ids, int32 (B, T), distributed over the replicas, as all arguments.
            y: targets of the last K ≤ T steps, int32 (B, K).
            begins: bool (B,), lanes that start from a zero state.

        Returns:
            Of the whole batch, the total loss in nats, the number of targets, and the gradient
            norm before clipping.
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
        local = tf.reduce_sum(tf.cast(tf.not_equal(y, NO_TARGET), tf.float32))
        targets = replicas.all_reduce(tf.distribute.ReduceOp.SUM, local)
        for state in self.model.states:
            state.assign(tf.where(begins[:, None], tf.zeros_like(state), state))
        # In float16 gradients would underflow: scale the loss up; the optimizer scales them down.
        scale = self.optimizer.scale_loss(tf.constant(1.0))
        with tf.GradientTape() as tape:
            raw = self._hidden(x)
            h = self.model.dropouts[-1](raw, training=True)
            nats = self.model.negative_log_likelihood(h[:, -tf.shape(y)[1] :], y, training=True)
            nats = tf.reduce_sum(nats)
            loss = nats / targets
            if self._alpha or self._beta:
                loss += self._penalty(h, raw) / replicas.num_replicas_in_sync
            loss *= scale
        variables = self.model.trainable_variables
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
        # Clip the gradient of the whole batch. The optimizer sums over replicas, so each applies
        # an equal share.
        gradients = replicas.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients, norm = tf.clip_by_global_norm(gradients, self._config.clip_norm * scale)
        share = 1.0 / replicas.num_replicas_in_sync
        self.optimizer.apply([g * share for g in gradients], variables)
        return nats, targets, norm / scale

    def _penalty(self, h: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
        h, raw = tf.cast(h, tf.float32), tf.cast(raw, tf.float32)
        penalty = self._alpha * tf.reduce_mean(tf.square(h))
        if h.shape[1] != 1:
            penalty += self._beta * tf.reduce_mean(tf.square(raw[:, 1:] - raw[:, :-1]))
        return penalty

    def weights(self) -> list[np.ndarray]:
        """Return the weights; their moving averages, if the optimizer has them."""
        variables = self.model.trainable_variables
        values = [variable.numpy() for variable in variables]
        self.optimizer.finalize_variable_values(variables)
        averages = [variable.numpy() for variable in variables]
        assign_weights(self.model, values)
        return averages

    def _hidden(self, x: tf.Tensor) -> tf.Tensor:
        """Return h of every step, (B, T, H), and leave the layers in the state after the k₁-th.

        Where windows overlap, the masks that a window shares are drawn twice: for its first k₁
        steps, and for the others.
        """
        stride = self._config.stride or x.shape[1]
        if x.shape[1] == stride:
            return self.model.hidden(x, training=True)[0]
        first, carried = self.model.hidden(x[:, :stride], training=True)
        rest, _ = self.model.hidden(x[:, stride:], states=carried, training=True)
        flat = [part for layer in carried for part in layer]
        for state, value in zip(self.model.states, flat, strict=True):
            state.assign(value)
        return tf.concat([first, rest], axis=1)
