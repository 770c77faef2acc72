"""Text to the state of a trained model, and a state to what it expects."""

import tensorflow as tf

from pipeline.export.capitals import sentence_marks, starts_sentence
from pipeline.export.packing import Packing
from pipeline.export.recurrence import run
from pipeline.model.cache import Cache, Steps, mix
from pipeline.model.language_model import LanguageModel
from pipeline.text.tokenizer import Tokenizer, expand, skip_blank, tokenize_unique
from pipeline.text.vocabulary import Vocabulary


class Reader(tf.Module):
    """A trained model with its tokenizer.

    All that is known of a text travels as one tensor of shape (B, S): the states of all layers,
    whether the next word stands within a sentence, and what a cache remembers. Zeros are a text
    that has not begun, and `<s>` is read before the first word.

    Args:
        model: stateless.
        vocabulary: the one it was trained with.
        cache: over the text so far, if any.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary, *, cache: Cache | None = None):
        super().__init__(name="reader")
        self.model: LanguageModel
        # The model itself is not tracked, only TensorFlow's variables in it: of each of Keras's a
        # SavedModel holds two, and a session, which TensorFlow Serving and saved_model_cli load it
        # into, restores the one that nothing reads.
        object.__setattr__(self, "model", model)
        self.tokenizer = Tokenizer(vocabulary)
        h, states = model.hidden(tf.zeros((1, 1), tf.int32))
        self._sizes = [[part.shape[-1] for part in state] for state in states]
        self._layers = sum(map(sum, self._sizes))
        own = model.output_weights  # none where they are the embedding's
        if not model.adaptive:
            matrix = model.embed.embeddings if own is None else own
            # (E, V), the order in which a product with few rows reads memory once, and in a row.
            self._output = tf.Variable(tf.transpose(matrix), trainable=False, name="output")
        self.weights = [v.value for v in model.trainable_variables if v is not own]
        self.cache, self._units = cache, h.shape[-1]
        self.state_size = self._layers + 1
        if cache:
            self.state_size += (cache.size + 1) * (self._units + 1)

    def begin(self, texts: tf.Tensor) -> tf.Tensor:
        """The state before texts of shape (B,): zeros, (B, S)."""
        return tf.zeros((tf.size(texts), self.state_size))

    def read(self, text: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """The state after reading text (B,) from state (B, S)."""
        begins = tf.reduce_all(tf.equal(state, 0.0), axis=1)
        opened = tf.strings.join(["\n", skip_blank(text)])  # a line break is read as `<s>`
        tokens, inverse = tokenize_unique(tf.where(begins, opened, text))
        ids = self.tokenizer.ids_of_unique(tokens, inverse)
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        nothing = tf.maximum(1 - tf.reduce_max(lengths), 0)  # one step of padding
        marks = expand(tokens.with_values(sentence_marks(tokens.values)), inverse)
        return self.advance(
            state,
            tf.pad(ids.to_tensor(), [[0, 0], [0, nothing]]),
            lengths=lengths,
            starts=starts_sentence(marks, self.starts(state)),
        )

    def read_ids(self, ids: tf.Tensor, packing: Packing) -> tf.Tensor:
        """The last layer's h after each of ids (N,), packed, from the beginning: (N, H)."""
        nothing = tf.zeros((tf.size(packing.order), self.state_size))
        return run(self.model, ids, packing, states=self._unpack(nothing))[0]

    def advance(
        self,
        state: tf.Tensor,
        ids: tf.Tensor,
        *,
        lengths: tf.Tensor | None = None,
        starts: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The state after ids (B, T) that follow state (B, S).

        Args:
            state: before.
            ids: T ≥ 1 of them.
            lengths: int32, (B,), how many of each row count; None for all.
            starts: bool, (B,), whether the next word begins a sentence; None for as before.
        """
        batch, steps = tf.unstack(tf.shape(ids))
        if lengths is None:
            lengths = tf.fill([batch], steps)
        packing = Packing.of(lengths, steps=steps)
        h, states = run(self.model, packing.pack(ids), packing, states=self._unpack(state))
        parts = [part for layer in states for part in layer]
        within = ~(self.starts(state) if starts is None else starts)
        parts.append(tf.cast(within, tf.float32)[:, None])
        if self.cache:
            known = self._remembered(state, self.cache).then(packing.unpack(h), ids)
            last = known.last(self.cache.size, padding=steps - lengths)
            memory = tf.concat([tf.cast(last.ids[..., None], tf.float32), last.h], axis=-1)
            parts.append(tf.reshape(memory, (-1, (self.cache.size + 1) * (self._units + 1))))
        return tf.concat(parts, axis=1)

    def starts(self, state: tf.Tensor) -> tf.Tensor:
        """Whether the next word begins a sentence: state (B, S) to bool (B,)."""
        return tf.equal(state[:, self._layers], 0.0)

    def logits(self, h: tf.Tensor) -> tf.Tensor:
        """Of every id, (N, V): from the last layer's h, (N, H)."""
        features = self.model.features(h)
        if self.model.adaptive:
            return self.model.logits(features)
        return tf.matmul(features, self._output) + self.model.output_bias

    def probabilities(self, state: tf.Tensor) -> tf.Tensor:
        """Of every id after state (B, S), (B, V)."""
        logits = self.logits(self._unpack(state)[-1][0])  # y_t = f₂(h_t; φ)
        if not self.cache:
            return tf.nn.softmax(logits)
        steps = self._remembered(state, self.cache)
        return tf.exp(mix(tf.nn.log_softmax(logits)[:, None], steps, self.cache))[:, 0]

    def _unpack(self, state: tf.Tensor) -> list[list[tf.Tensor]]:
        sizes = [size for layer in self._sizes for size in layer]
        parts = iter(tf.split(state[:, : self._layers], sizes, axis=1))
        return [[next(parts) for _ in layer] for layer in self._sizes]

    def _remembered(self, state: tf.Tensor, cache: Cache) -> Steps:
        """The steps that state (B, S) remembers beside the layers' own."""
        memory = tf.reshape(state[:, self._layers + 1 :], (-1, cache.size + 1, self._units + 1))
        return Steps(memory[..., 1:], tf.cast(memory[..., 0], tf.int32))
