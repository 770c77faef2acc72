"""Sequences of different lengths, packed without padding."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Packing:
    """Where the tokens of padded texts (B, T) go in a packed sequence (N,).

    All first tokens come first, then all second ones, each time the longest text first, so the
    texts that go on are a prefix of those of the step before (PyTorch's `PackedSequence`).

    Attributes:
        order: the texts from longest to shortest, int32 (B,).
        sizes: texts that have a token at each step, int32 (T,).
        places: text and step of each token, int32 (N, 2).
    """

    order: tf.Tensor
    sizes: tf.Tensor
    places: tf.Tensor

    @classmethod
    def of(cls, lengths: tf.Tensor, *, steps: tf.Tensor) -> "Packing":
        """Return the packing of texts with `lengths`, int32 (B,), of at most `steps` each."""
        order = tf.argsort(lengths, direction="DESCENDING", stable=True)
        goes_on = tf.range(steps)[:, None] < tf.gather(lengths, order)  # (T, B)
        step, row = tf.unstack(tf.cast(tf.where(goes_on), tf.int32), axis=1)
        places = tf.stack([tf.gather(order, row), step], axis=1)
        return cls(order, tf.math.count_nonzero(goes_on, axis=1, dtype=tf.int32), places)

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """Pack (B, T, …) into (N, …)."""
        return tf.gather_nd(values, self.places)

    def unpack(self, values: tf.Tensor) -> tf.Tensor:
        """Unpack (N, …) into (B, T, …), padded with zeros."""
        shape = tf.concat([tf.shape(self.order), tf.shape(self.sizes), tf.shape(values)[1:]], 0)
        return tf.scatter_nd(self.places, values, shape)

    def total(self, values: tf.Tensor) -> tf.Tensor:
        """Sum the values of each text: (N,) to (B,)."""
        return tf.math.unsorted_segment_sum(values, self.places[:, 0], tf.size(self.order))
