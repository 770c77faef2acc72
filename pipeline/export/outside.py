"""The words of a lexicon in the graph of an exported model: words from outside the vocabulary.

They are sorted by their first letters without accents, packed into one integer, so the words that
can begin with what is typed stand next to each other:

    typed   a   ç        acabou  açaí  ação  açúcar  acúmulo  adeus
                         [─────────────────────────────────)           begin with "ac"
                                 fits  fits  fits                      have the accent
"""

import numpy as np
import tensorflow as tf

from pipeline.export.prefixes import Typed, codes_of, likelihood
from pipeline.text.lexicon import Lexicon
from pipeline.text.suggestible import strip_accent

# Bits of a key; one below that of an int64, so that the end of a range fits as well.
_BITS = 62


class OutsideWords(tf.Module):
    """The best words of a lexicon; they share p(<unk> | text) by f, see `Lexicon`.

    Attributes:
        displays: the words of the lexicon, (N,).
        f: their shares of `<unk>`, (N,).
    """

    def __init__(self, lexicon: Lexicon):
        super().__init__(name="outside_words")
        words = codes_of(tf.constant(list(lexicon.words)))  # (N, None)
        letters = words.values.numpy()
        bare = {code: ord(strip_accent(chr(code))) for code in np.unique(letters).tolist()}
        alphabet = np.array(sorted({*bare, *bare.values()}), np.int32)
        numbers = np.searchsorted(alphabet, letters)
        bare_of = np.searchsorted(alphabet, [bare.get(c, c) for c in alphabet.tolist()])
        self._bits = len(alphabet).bit_length()  # of a letter
        self._packed = _BITS // self._bits  # letters in a key
        self._places = tf.constant(self._bits * np.arange(self._packed)[::-1], tf.int64)
        first = words.with_values(tf.constant(bare_of[numbers] + 1, tf.int64))
        keys = self._pack(first.to_tensor(shape=(None, self._packed))).numpy()
        # Of words with the same key, the most frequent first.
        order = np.argsort(keys, kind="stable")
        self._keys = tf.constant(keys[order])
        self._order = tf.constant(order, tf.int32)
        self.displays, self.f = tf.constant(list(lexicon.words)), tf.constant(lexicon.probabilities)
        sorted_words = tf.gather(words.with_values(tf.constant(numbers, tf.int16)), order)
        self._letters, self._bare_of = sorted_words.values, tf.constant(bare_of, tf.int32)
        self._starts = tf.cast(sorted_words.row_starts(), tf.int32)
        self._lengths = tf.cast(sorted_words.row_lengths(), tf.int32)
        self._alphabet = tf.constant(alphabet)

    def _pack(self, letters: tf.Tensor) -> tf.Tensor:
        """Pack the first letters, int64 (N, ≥ packed) from 1, 0 after the last; int64 (N,)."""
        places = tf.bitwise.left_shift(letters[:, : self._packed], self._places)
        return tf.reduce_sum(places, axis=1)

    def best(self, typed: Typed | None, rows: tf.Tensor, *, count: int) -> tuple[tf.Tensor, ...]:
        """Find the words with the highest f · p(typed | word).

        Args:
            typed: what the words begin with, of B rows; None for nothing.
            rows: B, int32.
            count: K ≤ N, words to find.

        Returns:
            Places of the words in the lexicon, int32 (B, K), and f · p(typed | word), float32
            (B, K); -1 where there are fewer words.
        """
        frequent = tf.repeat(tf.range(count)[None], rows, axis=0)
        f = tf.gather(self.f, frequent)
        if typed is None:
            return frequent, f
        places, scores = self._best_of_range(typed, count)
        nothing = tf.equal(typed.length, 0)[:, None]  # every word fits
        return tf.where(nothing, frequent, places), tf.where(nothing, f, scores)

    def _best_of_range(self, typed: Typed, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        letters, first, end = self._range(typed)
        ranges = tf.ragged.range(first, end)
        word, row = ranges.values, tf.cast(ranges.value_rowids(), tf.int32)
        starts, length = tf.gather(self._starts, word), tf.gather(typed.length, row)
        more = tf.gather(self._lengths, word) - length
        yes = tf.ones_like(word, tf.bool)
        last = tf.size(self._letters) - 1

        def body(i: tf.Tensor, fits: tf.Tensor, same: tf.Tensor) -> tuple[tf.Tensor, ...]:
            own = tf.cast(tf.gather(self._letters, tf.minimum(starts + i, last)), tf.int32)
            at = tf.gather(letters[:, i], row)
            equal = tf.equal(at, own) | (i >= length)
            return i + 1, fits & (equal | tf.equal(at, tf.gather(self._bare_of, own))), same & equal

        longest = tf.shape(letters)[1]
        _, fits, same = tf.while_loop(
            lambda i, *_: i < longest, body, (tf.constant(0), more >= 0, yes)
        )
        f = tf.gather(self.f, tf.gather(self._order, word))
        scores = tf.where(fits, f * likelihood(same, more), -1.0)
        padded = ranges.with_values(scores).to_tensor(-1.0)
        padded = tf.pad(padded, [[0, 0], [0, count]], constant_values=-1.0)
        scores, places = tf.math.top_k(padded, count)
        places = tf.minimum(first[:, None] + places, tf.size(self._order) - 1)
        return tf.gather(self._order, places), scores

    def _range(self, typed: Typed) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return the letters typed as numbers in the alphabet, (B, P), and the ranges of words.

        A range is empty if nothing is typed, or a letter that no word has.
        """
        at = tf.searchsorted(self._alphabet, tf.reshape(typed.letters, [-1]))
        at = tf.reshape(tf.minimum(at, tf.size(self._alphabet) - 1), tf.shape(typed.letters))
        there = typed.letters > 0
        strange = there & tf.not_equal(tf.gather(self._alphabet, at), typed.letters)
        bare = tf.where(there, tf.gather(self._bare_of, at) + 1, 0)
        low = self._pack(tf.pad(tf.cast(bare, tf.int64), [[0, 0], [0, self._packed]]))
        left = tf.cast(tf.maximum(self._packed - typed.length, 0), tf.int64)
        high = low + tf.bitwise.left_shift(tf.ones_like(low), self._bits * left)
        first, end = tf.searchsorted(self._keys, low), tf.searchsorted(self._keys, high)
        empty = tf.reduce_any(strange, axis=1) | tf.equal(typed.length, 0)
        return at, first, tf.where(empty, first, end)
