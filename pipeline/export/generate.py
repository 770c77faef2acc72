"""Text that a model writes by itself, sampled token by token.

Each token is drawn from p(token)^(1 / temperature), cut to its nucleus: the fewest most probable
tokens that have a share `top_p` together (Holtzman et al. 2020, "The Curious Case of Neural Text
Degeneration", §3.1).

Between temperatures 0 and 1, none is drawn that would end a row of five tokens which stands among
the last 200 already (Paulus et al. 2018, "A Deep Reinforced Model for Abstractive Summarization",
§2.5, of three). People do that with one token of 1,500, a cold model without end.
"""

import tensorflow as tf

from pipeline.export.capitals import capitalise, sentence_marks, sentence_starts
from pipeline.export.reader import Reader
from pipeline.text.spacing import spaces, spacing_kinds
from pipeline.text.tokenizer import BREAK, skip_blank, tokenize
from pipeline.text.vocabulary import BEGIN_ID, BYTES, NUMBER, UNKNOWN_ID, Vocabulary

# A request that asks for more would keep a server busy for minutes.
_LONGEST = 10_000
# Tokens in a row that are not repeated, and of how many tokens before.
_ROW, _RECENT = 5, 200
# The least temperature that a logarithm can be divided by: the most probable token alone is left.
_COLDEST = 1e-20
# So that some token can be drawn, however sure of another the model is.
_LEAST = 1e-37
# What ends with an open paragraph.
_BEGUN = r"(?s:(.*\n)?\s*)"


class Writer(tf.Module):
    """Goes on with a text.

    Args:
        reader: of the text.
        vocabulary: the reader's.
    """

    def __init__(self, reader: Reader, vocabulary: Vocabulary):
        super().__init__(name="writer")
        self._reader = reader
        # What no person writes, and bytes, which might not spell a character.
        unwritten = {vocabulary.tokens[UNKNOWN_ID], NUMBER, *BYTES}
        closes = vocabulary.closes()
        spelled = vocabulary.spellings()
        self._written = tf.constant([token not in unwritten for token in vocabulary.tokens])
        self._closes = tf.constant(closes)
        self._begins = tf.range(len(closes)) == BEGIN_ID
        first = [d or s for d, s in zip(vocabulary.displays, spelled, strict=True)]
        first[BEGIN_ID] = spelled[BEGIN_ID] = f" {BREAK}"  # also behind a word left open
        # Tokens hold no blanks, so that a blank tells where one ends.
        self._first, self._later = (
            tf.constant([s + " " * c for s, c in zip(strings, closes, strict=True)])
            for strings in (first, spelled)
        )

    def write(
        self,
        text: tf.Tensor,
        length: tf.Tensor,
        temperature: tf.Tensor,
        top_p: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """How texts of shape (B,) go on, to be put right behind them.

        Args:
            text: UTF-8.
            length: tokens of the model, int32.
            temperature: 0 for always the most probable token, 1 for the model's own distribution.
            top_p: share of the nucleus, in (0, 1]; 1 for all tokens.
            seed: the same one gives the same text. A row does not depend on those beside it.
        """
        checks = (
            (length >= 0, "length must not be negative."),
            (length <= _LONGEST, f"length must be at most {_LONGEST} tokens."),
            (
                (temperature >= 0) & tf.math.is_finite(temperature),
                "temperature must be a finite number, and not negative.",
            ),
            ((top_p > 0) & (top_p <= 1), "top_p must lie above 0 and be at most 1."),
        )
        with tf.control_dependencies(
            [tf.debugging.Assert(check, [message]) for check, message in checks]
        ):
            state = self._reader.read(text, self._reader.begin(text))
        begun = tf.strings.regex_full_match(text, _BEGUN)
        ids = self._sample(state, begun, length, temperature, top_p, seed)
        return self._join(text, self._tokens(ids))

    def _sample(
        self,
        state: tf.Tensor,
        begun: tf.Tensor,
        length: tf.Tensor,
        temperature: tf.Tensor,
        top_p: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Ids (B, length) after state (B, S), in rows where a paragraph has just `begun`."""
        rows = tf.shape(state)[0]

        def go_on(
            t: tf.Tensor,
            state: tf.Tensor,
            begun: tf.Tensor,
            recent: tf.Tensor,
            ids: tf.TensorArray,
        ) -> tuple[tf.Tensor, ...]:
            # The last piece must not leave a word open.
            allowed = self._written & (self._closes | (t < length - 1))
            allowed &= ~(begun[:, None] & self._begins)
            p = tf.maximum(self._reader.probabilities(state), _LEAST)
            p = tf.where(allowed, p, 0.0)
            cold = (temperature > 0) & (temperature < 1)
            p = tf.cond(cold, lambda: _without_repeats(p, recent), lambda: p)
            drawn = _draw(p, temperature, top_p, tf.random.stateless_uniform([rows], [seed, t]))
            state = self._reader.advance(state, drawn[:, None])
            recent = tf.concat([recent[:, 1:], drawn[:, None]], 1)
            return t + 1, state, tf.equal(drawn, BEGIN_ID), recent, ids.write(t + 1, drawn)

        # One more, since nothing cannot be stacked.
        ids = tf.TensorArray(tf.int32, length + 1).write(0, tf.zeros([rows], tf.int32))
        recent = tf.fill([rows, _RECENT], -1)
        *_, ids = tf.while_loop(
            lambda t, *_: t < length, go_on, (tf.constant(0), state, begun, recent, ids)
        )
        return tf.transpose(ids.stack()[1:])

    def _tokens(self, ids: tf.Tensor) -> tf.RaggedTensor:
        """Ids (B, T) as tokens in the form in which people write them in mid-sentence."""
        rows = tf.shape(ids)[0]
        opens = tf.concat([tf.fill([rows, 1], True), tf.gather(self._closes, ids)], 1)[:, :-1]
        strings = tf.where(opens, tf.gather(self._first, ids), tf.gather(self._later, ids))
        return tf.strings.split(tf.strings.reduce_join(strings, axis=1))

    def _join(self, text: tf.Tensor, tokens: tf.RaggedTensor) -> tf.Tensor:
        """Tokens (B, None) as they go on from texts (B,), with blanks and capitals."""
        before = tokenize(tf.strings.join(["\n", skip_blank(text)]))
        both = tf.concat([before, tokens], axis=1)
        starts = sentence_starts(
            both.with_values(sentence_marks(both.values)), tf.fill([both.nrows()], True)
        )
        starts = starts[:, :-1].values
        capitals = capitalise(
            both.values[None], first=tf.constant([True]), every=tf.constant([False])
        )[0]
        strings = tf.where(starts, capitals, both.values)
        strings = tf.where(tf.equal(strings, BREAK), "\n", strings)

        own = tf.gather(before.row_lengths(), both.value_rowids())
        place = tf.ragged.range(both.row_lengths()).values - own
        has_blank = tf.gather(tf.strings.regex_full_match(text, r"(?s:.*\s)"), both.value_rowids())
        spaced = spaces(spacing_kinds(both.values)) & ~(has_blank & tf.equal(place, 0))
        strings = tf.strings.join([tf.where(spaced, " ", ""), strings])
        joined = both.with_values(tf.where(place < 0, "", strings))
        return tf.strings.reduce_join(joined, axis=1)


def _without_repeats(p: tf.Tensor, recent: tf.Tensor) -> tf.Tensor:
    """p (B, V), 0 where an id would end a row that stands in recent ids, unless all would.

    Args:
        p: of the next id.
        recent: the ids before it, int32 (B, W), −1 where there is none yet.
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
    """One id of each row of p (B, V), int32 (B,), given numbers in [0, 1), (B,)."""
    log_p = tf.math.log(p)
    log_p -= tf.reduce_max(log_p, axis=1, keepdims=True)
    p = tf.nn.softmax(log_p / tf.maximum(temperature, _COLDEST))
    p, ids = tf.math.top_k(p, tf.shape(p)[1])
    before = tf.cumsum(p, axis=1, exclusive=True)
    p = tf.where(before < top_p, p, 0.0)
    sums = tf.cumsum(p, axis=1)
    place = tf.math.count_nonzero(sums <= uniform[:, None] * sums[:, -1:], axis=1, dtype=tf.int32)
    place = tf.minimum(place, tf.math.count_nonzero(p, axis=1, dtype=tf.int32) - 1)
    return tf.gather(ids, place, batch_dims=1)
