"""The SavedModel: text in, words out, the tokenizer inside.

`models/README.md` documents the signatures. They use core TensorFlow operations only, so that
`tf.saved_model.load` needs nothing of this project.
"""

from pathlib import Path

import tensorflow as tf

from pipeline import InputError
from pipeline.cache import Cache, Steps, mix, mixed_nats, tune
from pipeline.metrics import LANES
from pipeline.model import LanguageModel, load_model
from pipeline.tokenizer import Tokenizer, is_word, skip_blank
from pipeline.vocabulary import BEGIN_ID, MARK, Vocabulary, choices_path
from pipeline.windows import open_stream

# Positions whose logits `score` holds at once.
_POSITIONS = 512
# Of subwords: the most pieces of a suggested word, and the beginnings that are followed at once.
_PIECES = 4
_BEAM = 16
# What a word's later pieces are made of.
_LETTERS = r"[\p{L}\p{M}\p{N}'_.-]*"

_TEXT = tf.TensorSpec((None,), tf.string, name="text")


class NextWord(tf.Module):
    """A trained model with its vocabulary.

    The state of all layers travels as one tensor of shape (B, S), and what a cache remembers with
    it; zeros stand for a text that has not begun, and `<s>` is read before the first word.

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
        self.model = model
        self.tokenizer = Tokenizer(vocabulary)
        self.displays = tf.constant(list(vocabulary.displays))
        self.closes = tf.constant(vocabulary.closes())
        self.tokens = tf.constant(list(vocabulary.tokens))
        self.unit = vocabulary.unit
        if self.unit == "word":
            self.suggestible = is_word(self.tokens)
        else:
            spelled = vocabulary.spellings()
            begins = is_word(spelled) & tf.not_equal(self.displays, "")
            self.suggestible, self.begins = begins & self.closes, begins & ~self.closes
            self.follows = tf.strings.regex_full_match(spelled, _LETTERS)
        words = int(tf.math.count_nonzero(self.suggestible))
        self.suggestions = min(suggestions, words)
        h, states = model.hidden(tf.zeros((1, 1), tf.int32))
        self.sizes = [[part.shape[-1] for part in state] for state in states]
        self.state_size = sum(map(sum, self.sizes))
        self.cache, self.units = cache, h.shape[-1]
        if cache:
            self.state_size += (cache.size + 1) * (self.units + 1)

    def _unpack(self, state: tf.Tensor) -> list[list[tf.Tensor]]:
        sizes = [size for layer in self.sizes for size in layer]
        parts = iter(tf.split(state[:, : sum(sizes)], sizes, axis=1))
        return [[next(parts) for _ in layer] for layer in self.sizes]

    def _remembered(self, state: tf.Tensor, cache: Cache) -> Steps:
        """The steps that state (B, S) remembers beside the layers' own."""
        length = cache.size + 1
        memory = tf.reshape(state[:, -length * (self.units + 1) :], (-1, length, self.units + 1))
        return Steps(memory[..., 1:], tf.cast(memory[..., 0], tf.int32))

    def _advance(
        self, state: tf.Tensor, ids: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The state after ids (B, T) that follow state (B, S)."""
        h, states = self.model.hidden(ids, states=self._unpack(state), mask=mask)
        parts = [part for layer in states for part in layer]
        if self.cache:
            padding = 0 if mask is None else tf.math.count_nonzero(~mask, axis=1, dtype=tf.int32)
            steps = self._remembered(state, self.cache).then(h, ids)
            last = steps.last(self.cache.size, padding=padding)
            memory = tf.concat([tf.cast(last.ids[..., None], tf.float32), last.h], axis=-1)
            size = (self.cache.size + 1) * (self.units + 1)
            parts.append(tf.reshape(memory, (-1, size)))
        return tf.concat(parts, axis=1)

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
        return self._advance(state, tf.pad(ids.to_tensor(), [[0, 0], [0, 1]]), mask)

    def _probabilities(self, state: tf.Tensor) -> tf.Tensor:
        """Of every id after state (B, S), (B, V)."""
        h = self._unpack(state)[-1][0]  # y_t = f₂(h_t; φ)
        logits = self.model.logits(self.model.features(h))
        if not self.cache:
            return tf.nn.softmax(logits)
        steps = self._remembered(state, self.cache)
        return tf.exp(mix(tf.nn.log_softmax(logits)[:, None], steps, self.cache))[:, 0]

    def _suggest(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """The k most probable words after state (B, S)."""
        probabilities = self._probabilities(state)
        of_words = tf.where(self.suggestible, probabilities, -1.0)
        best, ids = tf.math.top_k(of_words, self.suggestions)
        words = tf.gather(self.displays, ids)
        if self.unit == "subword":
            longer, shares = self._longer_words(state, probabilities)
            words, shares = tf.concat([words, longer], 1), tf.concat([best, shares], 1)
            best, places = tf.math.top_k(shares, self.suggestions)
            words = tf.gather(words, places, batch_dims=1)
        return {"words": words, "probabilities": best}

    def _path(self, words: tf.Tensor) -> tf.Tensor:
        """The pieces of words of any shape, joined by line breaks."""
        pieces = tf.gather(self.tokens, self.tokenizer.segment(tf.reshape(words, (-1,))))
        joined = tf.strings.reduce_join(pieces, axis=1, separator="\n")
        return tf.reshape(joined, tf.shape(words))

    def _longer_words(
        self, state: tf.Tensor, probabilities: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Words of two pieces or more after state (B, S), found by a beam search.

        p(word) is the product over its pieces, of which the last says that the word ends. The
        model knows words cut in one way only; what is spelled in another is left out.

        Args:
            state: (B, S).
            probabilities: of every id after it, (B, V).

        Returns:
            Words and their probabilities, -1 for what is no word: (B, N).
        """
        shares, ids = tf.math.top_k(tf.where(self.begins, probabilities, 0.0), _BEAM)
        paths = tf.gather(self.tokens, ids)
        state = tf.repeat(state, _BEAM, axis=0)
        ended = []
        for _ in range(_PIECES - 1):
            state = self._advance(state, tf.reshape(ids, (-1, 1)))
            after = tf.reshape(self._probabilities(state), (-1, _BEAM, len(self.tokens)))
            joint = shares[..., None] * after  # (B, beam, V)
            ended.append(self._grow(paths, tf.where(self.closes & self.follows, joint, 0.0))[:2])
            paths, shares, ids, parents = self._grow(
                paths, tf.where(~self.closes & self.follows, joint, 0.0)
            )
            states = tf.reshape(state, (-1, _BEAM, self.state_size))
            state = tf.reshape(tf.gather(states, parents, batch_dims=1), (-1, self.state_size))
        paths, shares = (tf.concat(parts, axis=1) for parts in zip(*ended, strict=True))
        words = tf.strings.regex_replace(paths, f"[\n{MARK}]", "")
        return words, tf.where(is_word(words) & tf.equal(self._path(words), paths), shares, -1.0)

    def _grow(self, paths: tf.Tensor, joint: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The most probable of all beginnings (B, beam) with one more piece (B, beam, V).

        Returns:
            Their pieces, their probabilities, the last piece, and what it was put to: (B, beam).
        """
        size = len(self.tokens)
        shares, places = tf.math.top_k(tf.reshape(joint, (-1, _BEAM * size)), _BEAM)
        ids, parents = places % size, places // size
        before = tf.gather(paths, parents, batch_dims=1)
        paths = tf.strings.join([before, tf.gather(self.tokens, ids)], separator="\n")
        return paths, shares, ids, parents

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
        states, h = h, tf.boolean_mask(h, counted)
        targets = tf.boolean_mask(padded[:, 1:], counted)
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
        if self.cache:
            dense = tf.pad(rows.to_tensor(), [[0, 0], [0, 1]])
            mixed = mixed_nats(dense, padded[:, 1:], states, padded[:, :-1], self.cache)
            rows = tf.where(counted, mixed, 0.0)
        closed = ids.with_values(tf.cast(tf.gather(self.closes, ids.values), tf.int32))
        tokens = tf.reduce_sum(closed, axis=1) - 1  # without the first <s>
        return {"log_probability": -tf.reduce_sum(rows, axis=1), "tokens": tokens}


def export(
    *,
    training: Path,
    output: Path,
    suggestions: int,
    cache: int = 0,
    tokens: Path | None = None,
) -> None:
    """Write the model of a training folder as a SavedModel.

    Args:
        training: folder that `train` wrote.
        output: folder to write into.
        suggestions: k, words suggested.
        cache: N, tokens that a continuous cache remembers; 0 for no cache.
        tokens: folder that `tokenize` wrote, on whose validation split a cache is tuned.

    Raises:
        InputError: there is no trained model, no word in its vocabulary, or no text to tune on.
    """
    model = load_model(training)
    path = training / "vocabulary.tsv"
    vocabulary = Vocabulary.load(path)
    tuned = _tuned(training, vocabulary, tokens, size=cache) if cache else None
    module = NextWord(model, vocabulary, suggestions=suggestions, cache=tuned)
    if not module.suggestions:
        raise InputError(f"The vocabulary in {training} has no word to suggest.")
    module.assets = [tf.saved_model.Asset(str(p)) for p in (path, choices_path(path))]
    signatures = {
        "serving_default": module.suggest,
        "step": module.step_function(),
        "score": module.score,
    }
    tf.saved_model.save(module, str(output), signatures=signatures)


def _tuned(training: Path, vocabulary: Vocabulary, tokens: Path | None, *, size: int) -> Cache:
    if tokens is None:
        raise InputError("A cache is tuned on validation text: name the folder of its tokens.")
    if not vocabulary.same_ids(Vocabulary.load(tokens / "vocabulary.tsv")):
        raise InputError(
            f"The model in {training} was trained with another vocabulary than {tokens}: name the "
            "folder of tokens that it was trained on."
        )
    stream = open_stream(tokens / "valid.npy")
    if len(stream) < 2:
        raise InputError(f"The valid split in {tokens} holds no text to tune a cache on.")
    return tune(load_model(training, batch_size=LANES), stream, size=size)
