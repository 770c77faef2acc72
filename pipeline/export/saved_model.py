"""The signatures of the SavedModel; `models/README.md` documents them."""

import tensorflow as tf

from pipeline.cache import Cache, mixed_nats
from pipeline.export.reader import Reader
from pipeline.export.words import Suggestions, Words
from pipeline.export.writing import Writer
from pipeline.model import LanguageModel
from pipeline.vocabulary import Vocabulary

# Positions whose logits `score` holds at once.
_POSITIONS = 512

_TEXT = tf.TensorSpec((None,), tf.string, name="text")
_PREFIX = tf.TensorSpec((None,), tf.string, name="prefix")
_CHOICES = (
    tf.TensorSpec((), tf.int32, name="length"),
    tf.TensorSpec((), tf.float32, name="temperature"),
    tf.TensorSpec((), tf.float32, name="top_p"),
    tf.TensorSpec((), tf.int32, name="seed"),
)


class NextWord(tf.Module):
    """A trained model with its vocabulary, text in and words out.

    It uses core TensorFlow operations only, so that `tf.saved_model.load` needs nothing of this
    project.

    Args:
        model: stateless.
        vocabulary: the one it was trained with.
        suggestions: k, words suggested.
        cache: over the text so far, if any.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        *,
        suggestions: int,
        cache: Cache | None = None,
    ):
        super().__init__(name="nextword")
        self.reader = Reader(model, vocabulary, cache=cache)
        self.words = Words(self.reader, vocabulary, suggestions=suggestions)
        self.writer = Writer(self.reader, vocabulary)
        self._closes = tf.constant(vocabulary.closes())

    @property
    def suggestions(self) -> int:
        """k, or fewer where the vocabulary has fewer words."""
        return self.words.suggestions

    def signatures(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """What a SavedModel answers, by name."""
        return {
            "serving_default": self.suggest,
            "complete": self.complete,
            "step": self.step_function(),
            "score": self.score,
            "generate": self.generate,
        }

    @tf.function(input_signature=[_TEXT], autograph=False)
    def suggest(self, text: tf.Tensor) -> Suggestions:
        return self.words.suggest(self.reader.read(text, self.reader.begin(text)))

    @tf.function(input_signature=[_TEXT, _PREFIX], autograph=False)
    def complete(self, text: tf.Tensor, prefix: tf.Tensor) -> Suggestions:
        return self.words.complete(self.reader.read(text, self.reader.begin(text)), prefix)

    def step_function(self) -> tf.types.experimental.PolymorphicFunction:
        state = tf.TensorSpec((None, self.reader.state_size), tf.float32, name="state")

        @tf.function(input_signature=[_TEXT, state], autograph=False)
        def step(text: tf.Tensor, state: tf.Tensor) -> dict[str, tf.Tensor]:
            after = self.reader.read(text, state)
            return {**self.words.suggest(after), "state": after}

        return step

    @tf.function(input_signature=[_TEXT], autograph=False)
    def score(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        cache = self.reader.cache
        ids = self.reader.tokenizer(text)
        lengths = tf.cast(ids.row_lengths() - 1, tf.int32)
        padded = tf.pad(ids.to_tensor(), [[0, 0], [0, 1]])
        states = self.reader.read_ids(padded[:, :-1])
        counted = tf.sequence_mask(lengths, tf.shape(padded)[1] - 1)
        h = tf.boolean_mask(states, counted)
        targets = tf.boolean_mask(padded[:, 1:], counted)

        def look(start: tf.Tensor, nats: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            end = start + _POSITIONS
            logits = self.reader.logits(h[start:end])
            some = tf.nn.sparse_softmax_cross_entropy_with_logits(targets[start:end], logits)
            return end, nats.write(nats.size(), some)

        nats = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False)
        _, nats = tf.while_loop(
            lambda start, _: start < tf.size(targets), look, (tf.constant(0), nats)
        )
        nats = tf.cond(nats.size() > 0, nats.concat, lambda: tf.zeros((0,)))
        rows = tf.RaggedTensor.from_row_lengths(nats, lengths)
        if cache:
            dense = tf.pad(rows.to_tensor(), [[0, 0], [0, 1]])
            mixed = mixed_nats(dense, padded[:, 1:], states, padded[:, :-1], cache)
            rows = tf.where(counted, mixed, 0.0)
        closed = ids.with_values(tf.cast(tf.gather(self._closes, ids.values), tf.int32))
        tokens = tf.reduce_sum(closed, axis=1) - 1  # without the first <s>
        # The shape is in the signature, where TensorFlow Serving reads it.
        log_probability = tf.ensure_shape(-tf.reduce_sum(rows, axis=1), (None,))
        return {"log_probability": log_probability, "tokens": tokens}

    @tf.function(input_signature=[_TEXT, *_CHOICES], autograph=False)
    def generate(
        self,
        text: tf.Tensor,
        length: tf.Tensor,
        temperature: tf.Tensor,
        top_p: tf.Tensor,
        seed: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        return {"text": self.writer.write(text, length, temperature, top_p, seed)}
