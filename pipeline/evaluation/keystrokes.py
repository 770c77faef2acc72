"""Keys that a typist presses, with three words suggested after every key and without.

Choosing a suggestion takes one key and adds the space after it, if there is one. Text is typed
with the usual spacing; a letter, a mark, a space and the end of a paragraph take one key each:

    without                                                       Ela_bebeu_água.↵    16 keys
    with «bebeu» suggested after "b" and «água» before any key    Ela_b●●.↵            9 keys

Suggestions ignore case. The typist writes accents, but as in an exported model words
that only fit without accents are suggested too. Tokens that are not words of the vocabulary are
typed in full.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import tensorflow as tf

from pipeline.text.spacing import spaces, spacing_kinds
from pipeline.text.suggestible import MISSING_ACCENT, WHOLE, strip_accent, suggestible
from pipeline.text.tokenizer import BREAK
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID, Vocabulary

SUGGESTIONS = 3


@dataclasses.dataclass(frozen=True)
class Completions:
    """The words that can be suggested, as letters in lower case.

    Attributes:
        is_word: bool, (V,).
        letters: int32 code points, (V, P), padded with zeros; all zeros for tokens that are not
            words.
        bare: the same without accents.
    """

    is_word: np.ndarray
    letters: np.ndarray
    bare: np.ndarray

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Self:
        """Create from the words of a vocabulary."""
        words = suggestible(vocabulary)
        pairs = zip(vocabulary.displays, words, strict=True)
        spelled = [display.lower() if word else "" for display, word in pairs]
        return cls(
            words, _codes(spelled), _codes(["".join(map(strip_accent, word)) for word in spelled])
        )

    def find(
        self, logits: tf.Tensor, better: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Compute `word_rank` and `typed` of `meter.Predictions`; see `meter.Find`."""
        shape, size = tf.shape(target), len(self.is_word)
        target = tf.reshape(target, [-1])
        better = tf.reshape(better, [-1, size]) & self.is_word
        rank = tf.math.count_nonzero(better, axis=-1, dtype=tf.int32)
        # The first letter typed rules out most words.
        first, number = np.unique(self.letters[:, 0], return_inverse=True)
        begins = (self.letters[:, 0] == first[:, None]) | (self.bare[:, 0] == first[:, None])
        rivals = better & tf.gather(begins, tf.gather(number, target))
        counts = self._count(tf.where(rivals), tf.reshape(logits, [-1, size]), target)
        counts = tf.concat([rank[:, None], counts], axis=1)[:, :-1]  # after 0, 1, 2, … letters
        suggested = (counts < SUGGESTIONS) & (tf.gather(self.letters, target) > 0)
        typed = tf.where(tf.reduce_any(suggested, -1), tf.argmax(suggested, -1, tf.int32), -1)
        return tf.reshape(rank, shape), tf.reshape(typed, shape)

    def _count(self, places: tf.Tensor, logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Count the words suggested before the target when 1, 2, … of its letters are typed.

        Args:
            places: int64, (R, 2): a row, and a word that is more probable there than the target.
            logits: (N, V).
            target: int32, (N,).

        Returns:
            int32, (N, P).
        """
        row, word = places[:, 0], places[:, 1]
        goal = tf.cast(tf.gather(target, row), tf.int64)
        typed = tf.gather(self.letters, goal)  # (R, P)
        own, bare = tf.gather(self.letters, word), tf.gather(self.bare, word)
        same = _all_so_far(tf.equal(typed, own))
        fits = _all_so_far((typed > 0) & (tf.equal(typed, own) | tf.equal(typed, bare)))
        whole = tf.equal(tf.pad(own[:, 1:], [[0, 0], [0, 1]]), 0)  # this letter is the last one
        costs = tf.where(same, tf.where(whole, -math.log(WHOLE), 0.0), -math.log(MISSING_ACCENT))
        scores = tf.gather_nd(logits, places)[:, None] - costs
        least = tf.gather_nd(logits, tf.stack([row, goal], axis=1))[:, None]
        # Ties are broken as by tf.math.top_k.
        before = (scores > least) | (tf.equal(scores, least) & (word < goal)[:, None])
        counted = tf.cast(fits & before, tf.int32)
        return tf.math.unsorted_segment_sum(counted, row, tf.shape(target)[0])


def _codes(words: Sequence[str]) -> np.ndarray:
    """Return code points, int32 (V, P), padded with zeros."""
    longest = max(1, *map(len, words))
    return np.array([[*map(ord, word.ljust(longest, "\0"))] for word in words], np.int32)


def _all_so_far(true: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.math.cumprod(tf.cast(true, tf.int32), axis=-1), tf.bool)


def unaided_keys(stream: np.ndarray, letters: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Count the keys of each target without suggestions: its letters, and the space after it.

    In a paragraph they are the characters that `detokenize` writes, and one for its end.
    `letters` are the lengths of tokens as they were written, int32 (tokens,).
    """
    tokens = [*vocabulary.tokens]
    tokens[BEGIN_ID], tokens[UNKNOWN_ID] = BREAK, "a"  # most unknown tokens are words
    spaced = spaces(tf.gather(spacing_kinds(tokens), stream[:])).numpy()
    return (np.asarray(letters[:], np.int64) + np.append(spaced[1:], False))[1:]


def pressed_keys(typed: np.ndarray, unaided: np.ndarray) -> np.ndarray:
    """Count the keys of each target with suggestions, from `typed` and `unaided_keys`; (N,)."""
    return np.where(typed < 0, unaided, np.minimum(typed + 1, unaided))
