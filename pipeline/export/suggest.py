"""The words of a model by rank: next words, or those that begin with what is typed."""

import collections

import tensorflow as tf

from pipeline.export.beam import Beam
from pipeline.export.capitals import capitalise
from pipeline.export.outside import OutsideWords
from pipeline.export.prefixes import Letters, Typed, likelihood
from pipeline.export.reader import Reader
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NO_WORDS, NeverSuggested
from pipeline.text.suggestible import suggestible
from pipeline.text.vocabulary import UNKNOWN_ID

Suggestions = dict[str, tf.Tensor]


class Words(tf.Module):
    """Suggestions after a state of a reader: only words, but p is over the whole vocabulary.

    A word of the lexicon, which the vocabulary lacks, has its share of p(<unk>). `suggestions` is
    k, lowered to the number of words in both. Words that `never` covers are left out.
    """

    def __init__(
        self,
        reader: Reader,
        lexicon: Lexicon,
        *,
        suggestions: int,
        never: NeverSuggested = NO_WORDS,
    ):
        super().__init__(name="words")
        lexicon = lexicon.without(never.covers(tf.constant(lexicon.words, tf.string)).numpy())
        self._reader, vocabulary = reader, lexicon.vocabulary
        self._displays = tf.constant(list(vocabulary.displays))
        spellings = vocabulary.spellings()
        whole = suggestible(vocabulary) & vocabulary.closes()
        self._is_word = tf.constant(whole)
        whole &= ~never.covers(self._displays).numpy()
        self._suggestible = tf.constant(whole)
        words = [word.lower() for word, is_whole in zip(spellings, whole, strict=True) if is_whole]
        words += [word.lower() for word in lexicon.words]
        # "ele" and "Ele" are the same suggestion where a sentence begins.
        self._variants = max(collections.Counter(words).values(), default=1)
        self.suggestions = min(suggestions, len(set(words)))
        self._letters = Letters(spellings)
        self._outside = OutsideWords(lexicon) if lexicon else None
        self._beam = None
        if vocabulary.unit == "subword":
            self._beam = Beam(reader, vocabulary, letters=self._letters)

    def is_known(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return which tokens are words of a vocabulary of words, bool (B,)."""
        return tf.gather(self._is_word, self._reader.tokenizer.lookup(tokens))

    def suggest(self, state: tf.Tensor) -> Suggestions:
        """Return the k most probable words after state (B, S)."""
        return self.rank(state, self._reader.probabilities(state), first=self._reader.starts(state))

    def rank(
        self,
        state: tf.Tensor,
        probabilities: tf.Tensor,
        typed: Typed | None = None,
        *,
        first: tf.Tensor,
        every: tf.Tensor | None = None,
    ) -> Suggestions:
        """Return the k best words, ranked by p(word | text) · p(typed | word).

        See `text.suggestible`. A row with fewer words is filled up with "" and probability 0.

        Args:
            state: after the text, (B, S).
            probabilities: of each id after the text, (B, V).
            typed: what the words begin with, if anything.
            first: the rows to capitalise, bool (B,).
            every: the rows to write in capitals, bool (B,); None for no row.
        """
        fits, weights = self._suggestible, tf.constant(1.0)
        if typed:
            begins, same = self._letters.compare(typed)
            more = self._letters.length - typed.length[:, None]
            fits &= begins & (more >= 0)
            weights = likelihood(same, more)
        wanted = self.suggestions * self._variants
        count = min(wanted, len(self._displays))
        scores, ids = tf.math.top_k(tf.where(fits, probabilities * weights, -1.0), count)
        words, p = tf.gather(self._displays, ids), tf.gather(probabilities, ids, batch_dims=1)
        if self._beam:
            longer, longer_p = self._beam.search(state, probabilities, typed)
            weights = likelihood(*_compare(longer, typed)) if typed else tf.constant(1.0)
            words = tf.concat([words, longer], axis=1)
            p = tf.concat([p, longer_p], axis=1)
            scores = tf.concat([scores, longer_p * weights], axis=1)
        if self._outside:
            unknown = probabilities[:, UNKNOWN_ID, None]
            count = min(wanted, len(self._outside.displays))
            places, shares = self._outside.best(typed, tf.shape(unknown)[0], count=count)
            words = tf.concat([words, tf.gather(self._outside.displays, places)], axis=1)
            p = tf.concat([p, unknown * tf.gather(self._outside.f, places)], axis=1)
            if typed:
                # After a whole word another letter says that it is the beginning of a rarer one.
                shares = tf.where(self.is_known(typed.token)[:, None], -1.0, shares)
            scores = tf.concat([scores, tf.where(shares < 0, -1.0, unknown * shares)], axis=1)
        words = capitalise(
            words, first=first, every=tf.constant([False]) if every is None else every
        )
        if self._variants > 1 or self._beam or self._outside:
            words, p, scores = _sort_unique(words, p, scores)
        words, p, scores = (part[:, : self.suggestions] for part in (words, p, scores))
        return {
            "words": tf.where(scores < 0, "", words),
            "probabilities": tf.where(scores < 0, 0.0, p),
        }


def _compare(words: tf.Tensor, typed: Typed) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the arguments of `likelihood` for words (B, N) as strings."""
    lowered, length = tf.strings.lower(words, encoding="utf-8"), typed.length[:, None]
    begins = tf.strings.substr(lowered, tf.zeros_like(length), length, unit="UTF8_CHAR")
    more = tf.strings.length(lowered, unit="UTF8_CHAR") - length
    return tf.equal(begins, typed.text[:, None]), more


def _sort_unique(words: tf.Tensor, p: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Sort words (B, N) by score; all but the best of equal words get score -1."""
    places = tf.range(tf.shape(words)[1])
    earlier = tf.equal(scores[:, None], scores[:, :, None]) & (places < places[:, None])
    better = (scores[:, None] > scores[:, :, None]) | earlier
    repeated = tf.reduce_any(tf.equal(words[:, None], words[:, :, None]) & better, axis=2)
    scores = tf.where(repeated, -1.0, scores)
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    return tuple(tf.gather(part, order, batch_dims=1) for part in (words, p, scores))
