"""The words that a person is shown: the next ones, or those that go on from what is typed."""

import collections

import tensorflow as tf

from pipeline.export.beam import Beam
from pipeline.export.capitals import capitalise
from pipeline.export.prefixes import Letters, Typed, read_prefix
from pipeline.export.reader import Reader
from pipeline.tokenizer import is_word
from pipeline.vocabulary import Vocabulary

Suggestions = dict[str, tf.Tensor]

# The order in which completions are shown; within each the more probable come first.
_WHOLE, _WHOLE_BARE, _SAME, _BARE, _NONE = range(5)


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
        probabilities = self._reader.probabilities(state)
        words, shares = self._best(tf.where(self._suggestible, probabilities, -1.0))
        if self._beam:
            longer, their_shares = self._beam.find(state, probabilities)
            words = tf.concat([words, longer], axis=1)
            shares = tf.concat([shares, their_shares], axis=1)
        words = capitalise(words, first=self._reader.starts(state), every=tf.constant([False]))
        if self._forms > 1 or self._beam:
            ranks = tf.where(shares < 0, _NONE, _SAME)
            words, shares, _ = _arrange(words, shares, ranks)
        return {
            "words": words[:, : self.suggestions],
            "probabilities": shares[:, : self.suggestions],
        }

    def complete(self, state: tf.Tensor, prefix: tf.Tensor) -> Suggestions:
        """The k best words after state (B, S) that begin with a prefix, (B,).

        Accents may be missing in it; those that are there are meant. Where fewer words begin so,
        "" with probability 0 stands in the places that are left.
        """
        probabilities = self._reader.probabilities(state)
        typed, capital, capitals = read_prefix(prefix)
        fits, same = self._letters.compare(typed)
        length = typed.length[:, None]
        fits &= self._suggestible & (self._letters.length >= length)
        whole = fits & tf.equal(self._letters.length, length)
        groups = {
            _WHOLE: whole & same,
            _WHOLE_BARE: whole & ~same,
            _SAME: fits & same & ~whole,
            _BARE: fits & ~same & ~whole,
        }
        found = [self._best(tf.where(g, probabilities, -1.0)) for g in groups.values()]
        ranks = [tf.where(s < 0, _NONE, r) for r, (_, s) in zip(groups, found, strict=True)]
        if self._beam:
            longer, shares = self._beam.find(state, probabilities, typed)
            found.append((longer, shares))
            ranks.append(tf.where(shares < 0, _NONE, _rank(longer, typed)))
        words, shares = (tf.concat(parts, axis=1) for parts in zip(*found, strict=True))
        first = self._reader.starts(state) | capital
        words = capitalise(words, first=first, every=capitals)
        words, shares, rank = _arrange(words, shares, tf.concat(ranks, axis=1))
        chosen = _choose(rank, self.suggestions)
        shares = tf.gather(shares, chosen, batch_dims=1)
        words = tf.where(shares < 0, "", tf.gather(words, chosen, batch_dims=1))
        return {"words": words, "probabilities": tf.maximum(shares, 0.0)}

    def _best(self, shares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Enough of the most probable words for k that differ: of (B, V), -1 for what is none."""
        count = min(self.suggestions * self._forms, len(self._displays))
        best, ids = tf.math.top_k(shares, count)
        return tf.gather(self._displays, ids), best


def _rank(words: tf.Tensor, typed: Typed) -> tf.Tensor:
    """The order of completions (B, N) that were not compared letter by letter."""
    lowered, length = tf.strings.lower(words, encoding="utf-8"), typed.length[:, None]
    begins = tf.strings.substr(lowered, tf.zeros_like(length), length, unit="UTF8_CHAR")
    same = tf.equal(begins, typed.text[:, None])
    whole = tf.equal(tf.strings.length(lowered, unit="UTF8_CHAR"), length)
    return tf.where(whole, tf.where(same, _WHOLE, _WHOLE_BARE), tf.where(same, _SAME, _BARE))


def _arrange(
    words: tf.Tensor, shares: tf.Tensor, ranks: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Words (B, N) by rank and then by probability; of those that are the same the first stays."""
    order = tf.argsort(shares, direction="DESCENDING", stable=True)
    words, shares, ranks = (tf.gather(part, order, batch_dims=1) for part in (words, shares, ranks))
    order = tf.argsort(ranks, stable=True)
    words, shares, ranks = (tf.gather(part, order, batch_dims=1) for part in (words, shares, ranks))
    places = tf.range(tf.shape(words)[1])
    earlier = places < places[:, None]
    repeated = tf.reduce_any(tf.equal(words[:, :, None], words[:, None]) & earlier, axis=2)
    shares, ranks = tf.where(repeated, -1.0, shares), tf.where(repeated, _NONE, ranks)
    order = tf.argsort(ranks, stable=True)
    return tuple(tf.gather(part, order, batch_dims=1) for part in (words, shares, ranks))


def _choose(ranks: tf.Tensor, count: int) -> tf.Tensor:
    """The places of so many words among those arranged, int32 (B, count).

    They are the first, but that the last place is kept for the first that lacks an accent: few
    of all words that begin with "aca" are *ação*, and nobody would ever be shown it.
    """
    places = tf.tile(tf.range(count)[None], [tf.shape(ranks)[0], 1])
    bare = tf.equal(ranks, _BARE)
    first = tf.where(tf.reduce_any(bare, axis=1), tf.argmax(bare, 1, tf.int32), 0)
    if count > 1:
        last = tf.maximum(first, count - 1)
        places = tf.concat([places[:, :-1], last[:, None]], axis=1)
    return places
