"""Text that a model writes by itself, sampled token by token.

Each token is drawn from p(token)^(1 / temperature), restricted to the nucleus: the fewest most
probable tokens with a total probability of `top_p` (Holtzman et al. 2020, §3.1).

At temperatures between 0 and 1, a token is not drawn if it would repeat five tokens in a row from
the last 200 drawn (Paulus et al. 2018, §2.5, with three tokens). People repeat five tokens once
in 1,500; a cold model repeats itself without end.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.export.capitals import capitalise, sentence_marks, sentence_starts
from pipeline.export.reader import Reader
from pipeline.text.never import NO_WORDS, NeverSuggested
from pipeline.text.spacing import spaces, spacing_kinds
from pipeline.text.tokenizer import BREAK, begin_paragraph, ends_in_space, tokenize
from pipeline.text.vocabulary import BEGIN_ID, BYTES, NUMBER, UNKNOWN_ID, Vocabulary

# A longer request would keep a server busy for minutes.
_MAX_LENGTH = 10_000
# Tokens in a row that are not repeated, and the tokens before in which they are looked for.
_ROW, _RECENT = 5, 200
# Division by this temperature leaves only the most probable token.
_MIN_TEMPERATURE = 1e-20
# Keeps tokens possible when the model is certain of one that must not be drawn.
_MIN_PROBABILITY = 1e-37


class Sampling(NamedTuple):
    """How to continue texts, all scalars.

    Attributes:
        length: tokens of the model, int32.
        temperature: 0 for the most probable token, 1 for the model's distribution.
        top_p: probability of the nucleus, in (0, 1]; 1 for all tokens.
        seed: the same seed gives the same text, whatever the other rows of the batch are.
    """

    length: tf.Tensor
    temperature: tf.Tensor
    top_p: tf.Tensor
    seed: tf.Tensor

    def checks(self) -> list[tf.Operation]:
        """Return assertions that every value is in its range."""
        length, temperature, top_p, _ = self
        valid = {
            "length must not be negative.": length >= 0,
            f"length must be at most {_MAX_LENGTH} tokens.": length <= _MAX_LENGTH,
            "temperature must be a finite number, and not negative.": (temperature >= 0)
            & tf.math.is_finite(temperature),
            "top_p must lie above 0 and be at most 1.": (top_p > 0) & (top_p <= 1),
        }
        return [tf.debugging.Assert(check, [message]) for message, check in valid.items()]


class Writer(tf.Module):
    """Continues the texts of a reader."""

    def __init__(self, reader: Reader, vocabulary: Vocabulary, never: NeverSuggested = NO_WORDS):
        super().__init__(name="writer")
        self._reader = reader
        closes, spellings = vocabulary.closes(), vocabulary.spellings()
        # Bytes might not spell a character.
        excluded = {vocabulary.tokens[UNKNOWN_ID], NUMBER, *BYTES}
        self._closes = tf.constant(closes)
        self._begins = tf.range(len(closes)) == BEGIN_ID
        first = [d or s for d, s in zip(vocabulary.displays, spellings, strict=True)]
        allowed = np.array([spelling not in excluded for spelling in spellings])
        self._allowed = tf.constant(allowed & ~never.covers(tf.constant(first)).numpy())
        first[BEGIN_ID] = spellings[BEGIN_ID] = f" {BREAK}"  # also ends a word left open
        # Tokens contain no spaces, so a space can mark where one ends.
        self._first, self._later = (
            tf.constant([s + " " * c for s, c in zip(strings, closes, strict=True)])
            for strings in (first, spellings)
        )

    def write(self, text: tf.Tensor, sampling: Sampling) -> tf.Tensor:
        """Return continuations of UTF-8 texts (B,), to be appended to them as they are."""
        with tf.control_dependencies(sampling.checks()):
            state = self._reader.read(text)
        before = tokenize(begin_paragraph(text))
        new_paragraph = tf.equal(tf.gather(before.values, before.row_limits() - 1), BREAK)
        tokens = self._tokens(self._sample(state, new_paragraph, sampling))
        return self._join(text, before, tokens)

    def _sample(self, state: tf.Tensor, new_paragraph: tf.Tensor, sampling: Sampling) -> tf.Tensor:
        """Draw ids (B, length) after state (B, S); bool (B,) says where a paragraph is empty."""
        rows = tf.shape(state)[0]
        length, temperature, top_p, seed = sampling

        def body(
            t: tf.Tensor,
            state: tf.Tensor,
            new_paragraph: tf.Tensor,
            recent: tf.Tensor,
            ids: tf.TensorArray,
        ) -> tuple[tf.Tensor, ...]:
            # The last piece must close its word.
            allowed = self._allowed & (self._closes | (t < length - 1))
            allowed &= ~(new_paragraph[:, None] & self._begins)
            p = tf.maximum(self._reader.probabilities(state), _MIN_PROBABILITY)
            p = tf.where(allowed, p, 0.0)
            cold = (temperature > 0) & (temperature < 1)
            p = tf.cond(cold, lambda: _without_repeats(p, recent), lambda: p)
            drawn = _draw(p, temperature, top_p, tf.random.stateless_uniform([rows], [seed, t]))
            state = self._reader.advance(state, drawn[:, None])
            recent = tf.concat([recent[:, 1:], drawn[:, None]], 1)
            return t + 1, state, tf.equal(drawn, BEGIN_ID), recent, ids.write(t + 1, drawn)

        # An empty TensorArray cannot be stacked, so write one more id.
        ids = tf.TensorArray(tf.int32, length + 1).write(0, tf.zeros([rows], tf.int32))
        recent = tf.fill([rows, _RECENT], -1)
        *_, ids = tf.while_loop(
            lambda t, *_: t < length, body, (tf.constant(0), state, new_paragraph, recent, ids)
        )
        return tf.transpose(ids.stack()[1:])

    def _tokens(self, ids: tf.Tensor) -> tf.RaggedTensor:
        """Return the tokens of ids (B, T) as people write them in mid-sentence."""
        rows = tf.shape(ids)[0]
        opens = tf.concat([tf.fill([rows, 1], True), tf.gather(self._closes, ids)], 1)[:, :-1]
        strings = tf.where(opens, tf.gather(self._first, ids), tf.gather(self._later, ids))
        return tf.strings.split(tf.strings.reduce_join(strings, axis=1))

    def _join(self, text: tf.Tensor, before: tf.RaggedTensor, tokens: tf.RaggedTensor) -> tf.Tensor:
        """Join tokens (B, None) to those before them of texts (B,), with spaces and capitals."""
        both = tf.concat([before, tokens], axis=1)
        marks = both.with_values(sentence_marks(both.values))
        starts = sentence_starts(marks, tf.fill([both.nrows()], True))[:, :-1].values
        capitals = capitalise(
            both.values[None], first=tf.constant([True]), every=tf.constant([False])
        )[0]
        strings = tf.where(starts, capitals, both.values)
        strings = tf.where(tf.equal(strings, BREAK), "\n", strings)

        rows = both.value_rowids()
        place = tf.ragged.range(both.row_lengths()).values - tf.gather(before.row_lengths(), rows)
        has_space = tf.gather(ends_in_space(text), rows) & tf.equal(place, 0)
        spaced = spaces(spacing_kinds(both.values)) & ~has_space
        strings = tf.strings.join([tf.where(spaced, " ", ""), strings])
        joined = both.with_values(tf.where(place < 0, "", strings))
        return tf.strings.reduce_join(joined, axis=1)


def _without_repeats(p: tf.Tensor, recent: tf.Tensor) -> tf.Tensor:
    """Set p to 0 where an id would repeat `_ROW` ids in a row, unless no id is left.

    Args:
        p: of the next id, (B, V).
        recent: the ids before it, −1 where there is none, int32 (B, W).
    """
    begin, ends = recent[:, 1 - _ROW :], recent[:, _ROW - 1 :]
    same = ends >= 0
    for i in range(_ROW - 1):
        same &= tf.equal(recent[:, i : i - _ROW + 1], begin[:, i : i + 1])
    places = tf.where(same)
    rows = tf.cast(places[:, 0], tf.int32)
    repeats = tf.stack([rows, tf.gather_nd(ends, places)], axis=1)
    others = tf.tensor_scatter_nd_update(p, repeats, tf.zeros_like(rows, p.dtype))
    return tf.where(tf.reduce_any(others > 0, axis=1, keepdims=True), others, p)


def _draw(p: tf.Tensor, temperature: tf.Tensor, top_p: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Draw one id from each row of p (B, V), given numbers in [0, 1), (B,)."""
    log_p = tf.math.log(p)
    log_p -= tf.reduce_max(log_p, axis=1, keepdims=True)
    p = tf.nn.softmax(log_p / tf.maximum(temperature, _MIN_TEMPERATURE))
    p, ids = tf.math.top_k(p, tf.shape(p)[1])
    before = tf.cumsum(p, axis=1, exclusive=True)
    p = tf.where(before < top_p, p, 0.0)
    sums = tf.cumsum(p, axis=1)
    place = tf.math.count_nonzero(sums <= uniform[:, None] * sums[:, -1:], axis=1, dtype=tf.int32)
    place = tf.minimum(place, tf.math.count_nonzero(p, axis=1, dtype=tf.int32) - 1)
    return tf.gather(ids, place, batch_dims=1)
