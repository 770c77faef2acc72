"""Dropout of which every replica of a distributed training draws masks of its own."""

from typing import Any

import keras
import tensorflow as tf


class ReplicaSeeds(keras.random.SeedGenerator):
    """Keras's seeds on one device; on several, others on each.

    The state is a variable, and the same on all replicas, as variables are: it counts draws. A
    replica adds its number to the seed that it draws with.
    """

    def next(self, ordered: bool = True) -> tf.Tensor:
        seed = super().next(ordered)  # the seed, and which draw of it this is
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return seed + tf.stack([tf.cast(replica, seed.dtype), tf.zeros((), seed.dtype)])


class Dropout(keras.layers.Layer):
    """`keras.layers.Dropout` with `ReplicaSeeds`.

    Args:
        rate: share of the input that is dropped; the rest grows by 1 / (1 - rate).
        noise_shape: of the mask; None for the input's, and in it for the input's dimension.
    """

    def __init__(self, rate: float, *, noise_shape: Any = None, **options: Any):
        super().__init__(**options)
        self.rate, self.noise_shape = rate, noise_shape
        if rate:
            self.seed_generator = ReplicaSeeds()
        self.supports_masking = True
        self.built = True  # there is nothing to build, also where it is never called

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not (training and self.rate):
            return x
        return keras.random.dropout(
            x, self.rate, noise_shape=self.noise_shape, seed=self.seed_generator
        )
