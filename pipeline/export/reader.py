"""From text to the state of a trained model, and from a state to probabilities."""

import tensorflow as tf

from pipeline.export.capitals import next_starts_sentence, sentence_marks
from pipeline.export.packing import Packing
from pipeline.export.recurrence import run_layers
from pipeline.model.cache import Cache, Steps, mix
from pipeline.model.language_model import LanguageModel
from pipeline.text.tokenizer import Tokenizer, begin_paragraph, expand, tokenize_unique
from pipeline.text.vocabulary import Vocabulary


class Reader(tf.Module):
    """A stateless model with its tokenizer, and a continuous cache over the text so far, if any.

    The state of a text is one tensor (B, S): the states of all layers, whether the next word is
    inside a sentence, and the memory of the cache. Zeros are a text that has not begun; `<s>` is
    read before its first word.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary, *, cache: Cache | None = None):
        super().__init__(name="reader")
        self.model: LanguageModel
        # Do not track the model, only its TensorFlow variables. A SavedModel would hold each Keras
        # variable twice, and a session (TensorFlow Serving, saved_model_cli) would restore the one
        # that nothing reads.
        object.__setattr__(self, "model", model)
        self.tokenizer = Tokenizer(vocabulary)
        h, states = model.hidden(tf.zeros((1, 1), tf.int32))
        self._sizes = [[part.shape[-1] for part in state] for state in states]
        self._layers = sum(map(sum, self._sizes))
        own = model.output_weights  # None if tied to the embedding
        if not model.adaptive:
            matrix = model.embed.embeddings if own is None else own
            # (E, V) lets a product with few rows read memory sequentially, and only once.
            self._output = tf.Variable(tf.transpose(matrix), trainable=False, name="output")
        self.weights = [v.value for v in model.trainable_variables if v is not own]
        self.cache, self._units = cache, h.shape[-1]
        self.state_size = self._layers + 1
        if cache:
            self.state_size += (cache.size + 1) * (self._units + 1)
        # All signatures share one graph of it, which a SavedModel holds once.
        after = [tf.TensorSpec((None,), tf.string), tf.TensorSpec((None, self.state_size))]
        self._read = tf.function(self._read_after, input_signature=after, autograph=False)

    def read(self, text: tf.Tensor, state: tf.Tensor | None = None) -> tf.Tensor:
        """Return the state after reading text (B,) from state (B, S), or from the beginning."""
        if state is None:
            state = tf.zeros((tf.size(text), self.state_size))
        return self._read(text, state)

    def _read_after(self, text: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        begins = tf.reduce_all(tf.equal(state, 0.0), axis=1)
        # A line break is read as `<s>`.
        tokens, inverse = tokenize_unique(tf.where(begins, begin_paragraph(text), text))
        ids = self.tokenizer.ids_of_unique(tokens, inverse)
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        padding = tf.maximum(1 - tf.reduce_max(lengths), 0)  # `advance` needs a step
        marks = expand(tokens.with_values(sentence_marks(tokens.values)), inverse)
        return self.advance(
            state,
            tf.pad(ids.to_tensor(), [[0, 0], [0, padding]]),
            lengths=lengths,
            starts=next_starts_sentence(marks, self.starts(state)),
        )

    def read_ids(self, ids: tf.Tensor, packing: Packing) -> tf.Tensor:
        """Return the last layer's h, (N, H), after each of the packed ids (N,) of new texts."""
        zeros = tf.zeros((tf.size(packing.order), self.state_size))
        return run_layers(self.model, ids, packing, states=self._unpack(zeros))[0]

    def advance(
        self,
        state: tf.Tensor,
        ids: tf.Tensor,
        *,
        lengths: tf.Tensor | None = None,
        starts: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return the state after ids (B, T), T ≥ 1, that follow state (B, S).

        Args:
            state: before the ids.
            ids: right-padded.
            lengths: ids of each row that count, int32 (B,); None for all.
            starts: whether the next word begins a sentence, bool (B,); None for as before.
        """
        batch, steps = tf.unstack(tf.shape(ids))
        if lengths is None:
            lengths = tf.fill([batch], steps)
        packing = Packing.of(lengths, steps=steps)
        h, states = run_layers(self.model, packing.pack(ids), packing, states=self._unpack(state))
        parts = [part for layer in states for part in layer]
        inside = ~(self.starts(state) if starts is None else starts)
        parts.append(tf.cast(inside, tf.float32)[:, None])
        if self.cache:
            known = self._remembered(state, self.cache).append(packing.unpack(h), ids)
            last = known.last(self.cache.size, padding=steps - lengths)
            memory = tf.concat([tf.cast(last.ids[..., None], tf.float32), last.h], axis=-1)
            parts.append(tf.reshape(memory, (-1, (self.cache.size + 1) * (self._units + 1))))
        return tf.concat(parts, axis=1)

    def starts(self, state: tf.Tensor) -> tf.Tensor:
        """Return whether the next word begins a sentence, bool (B,), from state (B, S)."""
        return tf.equal(state[:, self._layers], 0.0)

    def logits(self, h: tf.Tensor) -> tf.Tensor:
        """Return the logits (N, V) after the last layer's h (N, H)."""
        features = self.model.features(h)
        if self.model.adaptive:
            return self.model.logits(features)
        return tf.matmul(features, self._output) + self.model.output_bias

    def probabilities(self, state: tf.Tensor) -> tf.Tensor:
        """Return p(next token), (B, V), after state (B, S)."""
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
        memory = tf.reshape(state[:, self._layers + 1 :], (-1, cache.size + 1, self._units + 1))
        return Steps(memory[..., 1:], tf.cast(memory[..., 0], tf.int32))
