"""The adaptive softmax (Grave et al. 2017, "Efficient softmax approximation for GPUs").

Ids are sorted by frequency, and a few thousand of them make up most of any text. So p(id) takes
two steps: the *head* has the frequent ids and one entry for each *cluster* of rarer ones,

    id           0 … 3999   cluster 1   cluster 2          p(id) = p(cluster) · p(id | cluster)
    head         [        width E      ]
    cluster 1                4000 … 15999                  vectors of E / 4
    cluster 2                            16000 … V − 1     vectors of E / 16

and only positions whose target is in a cluster pay for that cluster. Nothing is sampled: the
probabilities of all V ids sum to one.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

# The head covers most of any text and costs little beside an LSTM of some hundred units. Each
# cluster ends at four times the id where the part before it ends, and is a quarter as wide.
_HEAD, _GROWTH = 4_000, 4
_NARROWEST = 8


def cutoffs(vocabulary_size: int) -> tuple[int, ...]:
    """Return where the head and each cluster end; the last is V."""
    ends = [_HEAD]
    while ends[-1] < vocabulary_size:
        ends.append(ends[-1] * _GROWTH)
    return (*ends[:-1], vocabulary_size)


class AdaptiveSoftmax(keras.layers.Layer):
    """Head and clusters; called on ids, the adaptive input (Baevski & Auli 2019) of equal weights.

    Args:
        cutoffs: where the head and each cluster end, ascending; the last is V.
        width: E, length of features and of a word's vector.
    """

    def __init__(self, cutoffs: Sequence[int], *, width: int, dtype: str | None = None):
        super().__init__(name="adaptive_softmax", dtype=dtype)
        self.cutoffs, self.width = tuple(cutoffs), width
        starts = (0, *self.cutoffs[:-1])
        self.clusters = len(starts) - 1
        # The scales of a full model, for projected vectors, too.
        vectors = keras.initializers.RandomUniform(-0.1, 0.1)
        self.tables, self.biases, self.projections = [], [], []
        for i, (start, end) in enumerate(zip(starts, self.cutoffs, strict=True)):
            size = end - start if i else end + self.clusters
            narrow = max(width // _GROWTH**i, min(width, _NARROWEST))
            self.tables.append(self.add_weight((size, narrow), vectors, name=f"table_{i}"))
            bias = self.add_weight((size,), "zeros", autocast=False, name=f"bias_{i}")
            self.biases.append(bias)
            if i:
                scale = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
                self.projections.append(
                    self.add_weight((narrow, width), scale, name=f"projection_{i}")
                )
        self.built = True  # also if it is never called

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Embed ids of any shape: (…) to (…, E)."""
        ids = tf.cast(ids, tf.int32)  # Keras passes floats when it saves a model
        vectors = tf.gather(self._cast(self.tables[0]), tf.minimum(ids, self.cutoffs[0] - 1))
        for i in range(self.clusters):
            start, end = self.cutoffs[i], self.cutoffs[i + 1]
            inside = (ids >= start) & (ids < end)
            rows = tf.gather(self._cast(self.tables[i + 1]), tf.where(inside, ids - start, 0))
            projected = tf.tensordot(rows, self._cast(self.projections[i]), 1)
            vectors = tf.where(inside[..., None], projected, vectors)
        return vectors

    def log_probabilities(self, features: tf.Tensor) -> tf.Tensor:
        """Return ln p of all ids, (N, V), from features (N, E)."""
        head = tf.nn.log_softmax(self._scores(features, 0))
        parts = [head[:, : self.cutoffs[0]]]
        for i in range(self.clusters):
            of_cluster = head[:, self.cutoffs[0] + i, None]
            parts.append(of_cluster + tf.nn.log_softmax(self._scores(features, i + 1)))
        return tf.concat(parts, axis=1)

    def negative_log_likelihood(self, features: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return −ln p(target), (N,), from features (N, E) and targets, int32 (N,) in [0, V).

        A cluster computes only the rows whose target it has.
        """
        starts = self.cutoffs[:-1]
        part = tf.add_n([tf.cast(targets >= start, tf.int32) for start in starts] or [0 * targets])
        in_head = tf.where(part > 0, self.cutoffs[0] + part - 1, targets)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
        losses = cross_entropy(in_head, self._scores(features, 0))
        # Partition and stitch, since their gradients are dense.
        count = self.clusters + 1
        rows = tf.dynamic_partition(features, part, count)
        own = tf.dynamic_partition(targets, part, count)
        within = [tf.zeros_like(own[0], losses.dtype)] + [
            cross_entropy(own[i] - self.cutoffs[i - 1], self._scores(rows[i], i))
            for i in range(1, count)
        ]
        places = tf.dynamic_partition(tf.range(tf.size(targets)), part, count)
        return losses + tf.dynamic_stitch(places, within)

    def _scores(self, features: tf.Tensor, part: int) -> tf.Tensor:
        """Return the logits of a part, (N, size), in the precision of the weights."""
        if part:
            projection = self._cast(self.projections[part - 1])
            features = tf.matmul(features, projection, transpose_b=True)
        scores = tf.matmul(features, self._cast(self.tables[part]), transpose_b=True)
        return tf.cast(scores, self.variable_dtype) + self.biases[part].value

    def _cast(self, weight: keras.Variable) -> tf.Tensor:
        return tf.cast(weight.value, self.compute_dtype)
