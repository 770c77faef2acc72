"""The SavedModel: text in, words out, the tokenizer inside.

`models/README.md` documents the signatures. They use core TensorFlow operations only, so that
`tf.saved_model.load` needs nothing of this project.
"""

from pathlib import Path

import tensorflow as tf

from pipeline import InputError
from pipeline.model import LanguageModel, load_model
from pipeline.tokenizer import Tokenizer, is_word, skip_blank
from pipeline.vocabulary import BEGIN_ID, Vocabulary, choices_path

# Positions whose logits `score` holds at once.
_POSITIONS = 512

_TEXT = tf.TensorSpec((None,), tf.string, name="text")


class NextWord(tf.Module):
    """A trained model with its vocabulary.

    The state of all layers travels as one tensor of shape (B, S); zeros stand for a text that
    has not begun, and `<s>` is read before the first word.

    Args:
        model: stateless.
        vocabulary: the one it was trained with.
        suggestions: k, words suggested.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary, *, suggestions: int):
        super().__init__(name="nextword")
        self.model = model
        self.tokenizer = Tokenizer(vocabulary)
        self.displays = tf.constant(list(vocabulary.displays))
        self.suggestible = is_word(list(vocabulary.tokens))
        words = int(tf.math.count_nonzero(self.suggestible))
        self.suggestions = min(suggestions, words)
        _, states = model.hidden(tf.zeros((1, 1), tf.int32))
        self.sizes = [[part.shape[-1] for part in state] for state in states]
        self.state_size = sum(map(sum, self.sizes))

    def _unpack(self, state: tf.Tensor) -> list[list[tf.Tensor]]:
        parts = iter(tf.split(state, [size for layer in self.sizes for size in layer], axis=1))
        return [[next(parts) for _ in layer] for layer in self.sizes]

    def _read(self, text: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """The state after reading text (B,) from state (B, S)."""
        begins = tf.reduce_all(tf.equal(state, 0.0), axis=1)
        text = tf.where(begins, skip_blank(text), text)
        begin = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.math.count_nonzero(begins)], BEGIN_ID), tf.cast(begins, tf.int64)
        )
        ids = tf.concat([begin, self.tokenizer.ids(text)], axis=1)
        # One step of padding more than needed, since a loop over no step at all fails.
        mask = tf.sequence_mask(ids.row_lengths(), tf.reduce_max(ids.row_lengths()) + 1)
        padded = tf.pad(ids.to_tensor(), [[0, 0], [0, 1]])
        _, states = self.model.hidden(padded, states=self._unpack(state), mask=mask)
        return tf.concat([part for layer in states for part in layer], axis=1)

    def _suggest(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """The k most probable words after state (B, S)."""
        h = self._unpack(state)[-1][0]  # y_t = f₂(h_t; φ)
        probabilities = tf.nn.softmax(self.model.logits(self.model.features(h)))
        of_words = tf.where(self.suggestible, probabilities, -1.0)
        best, ids = tf.math.top_k(of_words, self.suggestions)
        return {"words": tf.gather(self.displays, ids), "probabilities": best}

    @tf.function(input_signature=[_TEXT])
    def suggest(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._suggest(self._read(text, tf.zeros((tf.size(text), self.state_size))))

    def step_function(self) -> tf.types.experimental.PolymorphicFunction:
        state = tf.TensorSpec((None, self.state_size), tf.float32, name="state")

        @tf.function(input_signature=[_TEXT, state])
        def step(text: tf.Tensor, state: tf.Tensor) -> dict[str, tf.Tensor]:
            after = self._read(text, state)
            return {**self._suggest(after), "state": after}

        return step

    @tf.function(input_signature=[_TEXT])
    def score(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = self.tokenizer(text)
        lengths = tf.cast(ids.row_lengths() - 1, tf.int32)
        padded = tf.pad(ids.to_tensor(), [[0, 0], [0, 1]])
        h, _ = self.model.hidden(padded[:, :-1])
        counted = tf.sequence_mask(lengths, tf.shape(padded)[1] - 1)
        h, targets = tf.boolean_mask(h, counted), tf.boolean_mask(padded[:, 1:], counted)
        nats = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False)
        for start in tf.range(0, tf.size(targets), _POSITIONS):
            logits = self.model.logits(self.model.features(h[start : start + _POSITIONS]))
            nats = nats.write(
                nats.size(),
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    targets[start : start + _POSITIONS], logits
                ),
            )
        nats = tf.cond(nats.size() > 0, nats.concat, lambda: tf.zeros((0,)))
        rows = tf.RaggedTensor.from_row_lengths(nats, lengths)
        return {"log_probability": -tf.reduce_sum(rows, axis=1), "tokens": lengths}


def export(*, training: Path, output: Path, suggestions: int) -> None:
    """Write the model of a training folder as a SavedModel.

    Args:
        training: folder that `train` wrote.
        output: folder to write into.
        suggestions: k, words suggested.

    Raises:
        InputError: there is no trained model, or no word in its vocabulary.
    """
    model = load_model(training)
    path = training / "vocabulary.tsv"
    vocabulary = Vocabulary.load(path)
    module = NextWord(model, vocabulary, suggestions=suggestions)
    if not module.suggestions:
        raise InputError(f"The vocabulary in {training} has no word to suggest.")
    module.assets = [tf.saved_model.Asset(str(p)) for p in (path, choices_path(path))]
    signatures = {
        "serving_default": module.suggest,
        "step": module.step_function(),
        "score": module.score,
    }
    tf.saved_model.save(module, str(output), signatures=signatures)
