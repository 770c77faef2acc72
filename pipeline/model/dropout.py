"""Dropout with different masks on each replica of a distributed training."""

from typing import Any

import keras
import tensorflow as tf


class ReplicaSeeds(keras.random.SeedGenerator):
    """Keras's seeds, plus the number of the replica: the state, a variable, is the same on all."""

    def next(self, ordered: bool = True) -> tf.Tensor:
        seed = super().next(ordered)  # the seed and the number of the draw
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return seed + tf.stack([tf.cast(replica, seed.dtype), tf.zeros((), seed.dtype)])


class Dropout(keras.layers.Layer):
    """`keras.layers.Dropout` with `ReplicaSeeds`.

    Args:
        rate: share of the input that is dropped; the rest is scaled by 1 / (1 - rate).
        noise_shape: of the mask, None for the input's; None in it stands for that dimension of x.
    """

    def __init__(self, rate: float, *, noise_shape: Any = None, **options: Any):
        super().__init__(**options)
        self.rate, self.noise_shape = rate, noise_shape
        if rate:
            self.seed_generator = ReplicaSeeds()
        self.supports_masking = True
        self.built = True  # also if it is never called

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not (training and self.rate):
            return x
        return keras.random.dropout(
            x, self.rate, noise_shape=self.noise_shape, seed=self.seed_generator
        )
