"""Texts of different lengths as one sequence without padding."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Packing:
    """Where the tokens of texts, (B, T) with padding, stand when they are packed, (N,).

    All first tokens come first, then all second ones, the longest text before the others: the texts
    that have not ended at a step are the first of those of the step before. (PyTorch's
    `PackedSequence`.)

    Attributes:
        order: int32, (B,), the texts, the longest first.
        sizes: int32, (T,), how many of them go on at each step.
        places: int32, (N, 2), text and step of each token.
    """

    order: tf.Tensor
    sizes: tf.Tensor
    places: tf.Tensor

    @classmethod
    def of(cls, lengths: tf.Tensor, *, steps: tf.Tensor) -> "Packing":
        """That of texts of such lengths, int32 (B,), at most `steps`."""
        order = tf.argsort(lengths, direction="DESCENDING", stable=True)
        goes_on = tf.range(steps)[:, None] < tf.gather(lengths, order)  # (T, B)
        step, row = tf.unstack(tf.cast(tf.where(goes_on), tf.int32), axis=1)
        places = tf.stack([tf.gather(order, row), step], axis=1)
        return cls(order, tf.math.count_nonzero(goes_on, axis=1, dtype=tf.int32), places)

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """(B, T, …) to (N, …)."""
        return tf.gather_nd(values, self.places)

    def unpack(self, values: tf.Tensor) -> tf.Tensor:
        """(N, …) to (B, T, …), zeros where there is no token."""
        shape = tf.concat([tf.shape(self.order), tf.shape(self.sizes), tf.shape(values)[1:]], 0)
        return tf.scatter_nd(self.places, values, shape)

    def total(self, values: tf.Tensor) -> tf.Tensor:
        """The sum of each text's values: (N,) to (B,)."""
        return tf.math.unsorted_segment_sum(values, self.places[:, 0], tf.size(self.order))
