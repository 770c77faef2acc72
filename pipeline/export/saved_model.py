"""The signatures of the SavedModel; `models/README.md` documents them."""

import tensorflow as tf

from pipeline.export.beginnings import NearBeginnings
from pipeline.export.complete import Completer
from pipeline.export.correct import Corrections, Corrector
from pipeline.export.generate import Sampling, Writer
from pipeline.export.packing import Packing
from pipeline.export.reader import Reader
from pipeline.export.suggest import Suggestions, Words
from pipeline.model.cache import Cache, target_losses
from pipeline.model.language_model import LanguageModel
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NO_WORDS, NeverSuggested
from pipeline.text.vocabulary import Vocabulary

# Positions whose logits `score` holds at once.
_CHUNK = 512

_TEXT = tf.TensorSpec((None,), tf.string, name="text")
_PREFIX = tf.TensorSpec((None,), tf.string, name="prefix")
_WORD = tf.TensorSpec((None,), tf.string, name="word")
_SAMPLING = Sampling(
    tf.TensorSpec((), tf.int32, name="length"),
    tf.TensorSpec((), tf.float32, name="temperature"),
    tf.TensorSpec((), tf.float32, name="top_p"),
    tf.TensorSpec((), tf.int32, name="seed"),
)


def step_function(reader: Reader, words: Words) -> tf.types.experimental.PolymorphicFunction:
    """Return the signature `step`: read text after a state."""
    state = tf.TensorSpec((None, reader.state_size), tf.float32, name="state")

    @tf.function(input_signature=[_TEXT, state], autograph=False)
    def step(text: tf.Tensor, state: tf.Tensor) -> dict[str, tf.Tensor]:
        after = reader.read(text, state)
        return {**words.suggest(after), "state": after}

    return step


class NextWord(tf.Module):
    """A stateless model with its vocabulary, and a lexicon of other words: text in, k words out.

    Words that `never` covers do not come out; with subwords there must be none. It consists of core
    TensorFlow operations, so `tf.saved_model.load` needs nothing of this project.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        *,
        suggestions: int,
        cache: Cache | None = None,
        lexicon: Lexicon | None = None,
        never: NeverSuggested = NO_WORDS,
    ):
        super().__init__(name="nextword")
        self.reader = Reader(model, vocabulary, cache=cache)
        if lexicon is None:  # one without words still tells frequencies
            lexicon = Lexicon.of(vocabulary)
        self.words = Words(self.reader, lexicon, suggestions=suggestions, never=never)
        # Any other word is pieces, not one of a list that a typed word could be compared with.
        self.corrector, near = None, None
        if vocabulary.unit == "word":
            self.corrector = Corrector(self.reader, lexicon, suggestions=suggestions, never=never)
            near = NearBeginnings(self.corrector.words, count=suggestions)
        self.completer = Completer(self.reader, words=self.words, near=near)
        self.writer = Writer(self.reader, vocabulary, never)
        self._closes = tf.constant(vocabulary.closes())

    def signatures(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """Return the signatures of the SavedModel by name."""
        return {
            "serving_default": self.suggest,
            "complete": self.complete,
            "step": step_function(self.reader, self.words),
            "score": self.score,
            "generate": self.generate,
            **({"correct": self.correct_function()} if self.corrector else {}),
        }

    @tf.function(input_signature=[_TEXT], autograph=False)
    def suggest(self, text: tf.Tensor) -> Suggestions:
        return self.words.suggest(self.reader.read(text))

    @tf.function(input_signature=[_TEXT, _PREFIX], autograph=False)
    def complete(self, text: tf.Tensor, prefix: tf.Tensor) -> Suggestions:
        return self.completer.complete(self.reader.read(text), prefix)

    def correct_function(self) -> tf.types.experimental.PolymorphicFunction:
        assert self.corrector  # see `signatures`
        corrector = self.corrector

        @tf.function(input_signature=[_TEXT, _WORD], autograph=False)
        def correct(text: tf.Tensor, word: tf.Tensor) -> Corrections:
            return corrector.correct(self.reader.read(text), word)

        return correct

    @tf.function(input_signature=[_TEXT], autograph=False)
    def score(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = self.reader.tokenizer(text)
        lengths = tf.cast(ids.row_lengths() - 1, tf.int32)
        padded = tf.pad(ids.to_tensor(), [[0, 0], [0, 1]])
        read, targets = padded[:, :-1], padded[:, 1:]
        packing = Packing.of(lengths, steps=tf.shape(read)[1])
        h = self.reader.read_ids(packing.pack(read), packing)
        nll = self._negative_log_likelihood(h, packing.pack(targets))
        if cache := self.reader.cache:
            nll = target_losses(packing.unpack(nll), targets, packing.unpack(h), read, cache)
            nll = packing.pack(nll)
        closed = ids.with_values(tf.cast(tf.gather(self._closes, ids.values), tf.int32))
        tokens = tf.reduce_sum(closed, axis=1) - 1  # without the first <s>
        # TensorFlow Serving reads the shape from the signature.
        log_probability = tf.ensure_shape(-packing.total(nll), (None,))
        return {"log_probability": log_probability, "tokens": tokens}

    def _negative_log_likelihood(self, h: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Compute −ln p(target) in nats, (N,), of targets (N,) after h (N, H), N ≥ 0."""

        def body(start: tf.Tensor, nll: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            end = start + _CHUNK
            logits = self.reader.logits(h[start:end])
            # Twice as fast on a CPU as a cross entropy, which computes its gradient as well.
            of_targets = tf.gather(logits, targets[start:end], batch_dims=1)
            return end, nll.write(nll.size(), tf.reduce_logsumexp(logits, axis=1) - of_targets)

        nll = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False)
        size = tf.maximum(tf.size(targets), 1)  # an empty TensorArray cannot be joined
        _, nll = tf.while_loop(lambda start, _: start < size, body, (tf.constant(0), nll))
        return nll.concat()

    @tf.function(input_signature=[_TEXT, *_SAMPLING], autograph=False)
    def generate(
        self,
        text: tf.Tensor,
        length: tf.Tensor,
        temperature: tf.Tensor,
        top_p: tf.Tensor,
        seed: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        return {"text": self.writer.write(text, Sampling(length, temperature, top_p, seed))}
