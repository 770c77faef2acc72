"""The words that a person is shown: the next ones, or those that go on from what is typed."""

import collections

import tensorflow as tf

from pipeline.export.beam import Beam
from pipeline.export.capitals import capitalise
from pipeline.export.prefixes import Letters, Typed, read_prefix
from pipeline.export.reader import Reader
from pipeline.text.spelling import MISSING_ACCENT, WHOLE
from pipeline.text.tokenizer import is_word
from pipeline.text.vocabulary import Vocabulary

Suggestions = dict[str, tf.Tensor]


class Words(tf.Module):
    """Suggestions after a state. They are words; probabilities are over the whole vocabulary.

    Args:
        reader: whose states they follow.
        vocabulary: the reader's.
        suggestions: k; fewer where the vocabulary has fewer words.
    """

    def __init__(self, reader: Reader, vocabulary: Vocabulary, *, suggestions: int):
        super().__init__(name="words")
        self._reader = reader
        self._displays = tf.constant(list(vocabulary.displays))
        spelled = vocabulary.spellings()
        shown = tf.not_equal(self._displays, "") & tf.constant(vocabulary.closes())
        self._suggestible = is_word(spelled) & shown
        words = [w.lower() for w, s in zip(spelled, self._suggestible.numpy(), strict=True) if s]
        # With capitals, "ele" and "Ele" are one word: so many at most.
        self._forms = max(collections.Counter(words).values(), default=1)
        self.suggestions = min(suggestions, len(set(words)))
        self._letters = Letters(spelled)
        self._beam = None
        if vocabulary.unit == "subword":
            self._beam = Beam(reader, vocabulary, letters=self._letters)

    def suggest(self, state: tf.Tensor) -> Suggestions:
        """The k most probable words after state (B, S)."""
        return self._find(state, None, first=self._reader.starts(state), every=tf.constant([False]))

    def complete(self, state: tf.Tensor, prefix: tf.Tensor) -> Suggestions:
        """The k best words after state (B, S) that begin with a prefix, (B,).

        Best is the highest p(word | text) · p(typed | word); see `spelling`. Where fewer words
        begin so, "" with probability 0 stands in the places that are left.
        """
        typed, capital, capitals = read_prefix(prefix)
        first = self._reader.starts(state) | capital
        return self._find(state, typed, first=first, every=capitals)

    def _find(
        self, state: tf.Tensor, typed: Typed | None, *, first: tf.Tensor, every: tf.Tensor
    ) -> Suggestions:
        """The k best words, with capitals in the rows that `capitalise` is told."""
        probabilities = self._reader.probabilities(state)
        fits, weights = self._suggestible, tf.constant(1.0)
        if typed:
            begins, same = self._letters.compare(typed)
            more = self._letters.length - typed.length[:, None]
            fits &= begins & (more >= 0)
            weights = _likelihood(same, more)
        count = min(self.suggestions * self._forms, len(self._displays))
        scores, ids = tf.math.top_k(tf.where(fits, probabilities * weights, -1.0), count)
        words, shares = tf.gather(self._displays, ids), tf.gather(probabilities, ids, batch_dims=1)
        if self._beam:
            longer, their_shares = self._beam.find(state, probabilities, typed)
            weights = _likelihood(*_compare(longer, typed)) if typed else tf.constant(1.0)
            words = tf.concat([words, longer], axis=1)
            shares = tf.concat([shares, their_shares], axis=1)
            scores = tf.concat([scores, their_shares * weights], axis=1)
        words = capitalise(words, first=first, every=every)
        if self._forms > 1 or self._beam:
            words, shares, scores = _arrange(words, shares, scores)
        words, shares, scores = (part[:, : self.suggestions] for part in (words, shares, scores))
        return {
            "words": tf.where(scores < 0, "", words),
            "probabilities": tf.where(scores < 0, 0.0, shares),
        }


def _likelihood(same: tf.Tensor, more: tf.Tensor) -> tf.Tensor:
    """p(typed | word) of words that begin as is typed, up to a factor; see `spelling`.

    Args:
        same: bool, whether to the accent.
        more: int32, how many letters longer they are.
    """
    return tf.where(same, tf.where(tf.equal(more, 0), WHOLE, 1.0), MISSING_ACCENT)


def _compare(words: tf.Tensor, typed: Typed) -> tuple[tf.Tensor, tf.Tensor]:
    """What `_likelihood` takes, of words (B, N) as strings."""
    lowered, length = tf.strings.lower(words, encoding="utf-8"), typed.length[:, None]
    begins = tf.strings.substr(lowered, tf.zeros_like(length), length, unit="UTF8_CHAR")
    more = tf.strings.length(lowered, unit="UTF8_CHAR") - length
    return tf.equal(begins, typed.text[:, None]), more


def _arrange(words: tf.Tensor, shares: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Words (B, N) with the best first; of those that are the same the best stays."""
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    words, shares, scores = (tf.gather(p, order, batch_dims=1) for p in (words, shares, scores))
    places = tf.range(tf.shape(words)[1])
    earlier = places < places[:, None]
    repeated = tf.reduce_any(tf.equal(words[:, :, None], words[:, None]) & earlier, axis=2)
    scores = tf.where(repeated, -1.0, scores)
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    return tuple(tf.gather(part, order, batch_dims=1) for part in (words, shares, scores))
