"""The signatures of the SavedModel; `models/README.md` documents them."""

import tensorflow as tf

from pipeline.export.generate import Writer
from pipeline.export.packing import Packing
from pipeline.export.reader import Reader
from pipeline.export.suggest import Suggestions, Words
from pipeline.model.cache import Cache, target_losses
from pipeline.model.language_model import LanguageModel
from pipeline.text.vocabulary import Vocabulary

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
        ids = self.reader.tokenizer(text)
        lengths = tf.cast(ids.row_lengths() - 1, tf.int32)
        padded = tf.pad(ids.to_tensor(), [[0, 0], [0, 1]])
        read, expected = padded[:, :-1], padded[:, 1:]
        packing = Packing.of(lengths, steps=tf.shape(read)[1])
        h = self.reader.read_ids(packing.pack(read), packing)
        nats = self._nats(h, packing.pack(expected))
        if cache := self.reader.cache:
            apart = packing.unpack(nats), expected, packing.unpack(h), read
            nats = packing.pack(target_losses(*apart, cache))
        closed = ids.with_values(tf.cast(tf.gather(self._closes, ids.values), tf.int32))
        tokens = tf.reduce_sum(closed, axis=1) - 1  # without the first <s>
        # The shape is in the signature, where TensorFlow Serving reads it.
        log_probability = tf.ensure_shape(-packing.total(nats), (None,))
        return {"log_probability": log_probability, "tokens": tokens}

    def _nats(self, h: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """−ln p of targets (N,) after states (N, H), N ≥ 0."""

        def look(start: tf.Tensor, nats: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            end = start + _POSITIONS
            logits = self.reader.logits(h[start:end])
            # Twice as fast on a CPU as a cross entropy, which computes its gradient as well.
            known = tf.gather(logits, targets[start:end], batch_dims=1)
            return end, nats.write(nats.size(), tf.reduce_logsumexp(logits, axis=1) - known)

        nats = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False)
        some = tf.maximum(tf.size(targets), 1)  # nothing cannot be joined
        _, nats = tf.while_loop(lambda start, _: start < some, look, (tf.constant(0), nats))
        return nats.concat()

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
