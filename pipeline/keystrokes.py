"""Keys that a typist presses with three words suggested after every key, and without.

Choosing a suggestion is one key and brings the space after it, if there is one. Text is typed with
the usual spacing, a letter, a mark, a space and the end of a paragraph being a key each:

    without                                                       Ela_bebeu_água.↵    16 keys
    with «bebeu» suggested after "b" and «água» before any key    Ela_b●●.↵            9 keys

A suggestion is the form people write in mid-sentence; it fits what was typed in either case, but
only with the same accents. What is no word of the vocabulary is typed in full.
"""

import bisect
import dataclasses
import itertools
from typing import Self

import numpy as np
import tensorflow as tf

from pipeline.tokenizer import is_word
from pipeline.vocabulary import BEGIN_ID, Vocabulary

SUGGESTIONS = 3

# Marks without a space before them, and without one after them; see `tokenizer.detokenize`.
_CLOSING, _OPENING, _QUOTE = frozenset(",;:!?.…)]}"), frozenset("([{"), '"'


@dataclasses.dataclass(frozen=True)
class Completions:
    """The words that can be suggested, and which of them begin alike.

    In the alphabet's order, words that begin alike follow each other.

    Attributes:
        is_word: bool, (V,).
        order: int32, (W,), the ids of the words in the order of their letters.
        first, last: int32, (V, P): the words that begin with the first j letters of word v are
            order[first[v, j] : last[v, j]]. A word that has no more than j letters has all words
            there.
    """

    is_word: np.ndarray
    order: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Self:
        """The words of a vocabulary."""
        words = is_word(list(vocabulary.tokens)).numpy()
        spelled = [display.lower() for display in vocabulary.displays]
        order = sorted(np.flatnonzero(words).tolist(), key=spelled.__getitem__)
        letters = [spelled[i] for i in order]
        shape = (len(vocabulary), max(map(len, letters), default=1))
        first, last = np.zeros(shape, np.int32), np.full(shape, len(order), np.int32)
        ends: dict[str, tuple[int, int]] = {}
        for i, word in zip(order, letters, strict=True):
            for j, prefix in enumerate(itertools.accumulate(word[:-1], initial="")):
                if prefix not in ends:
                    start = bisect.bisect_left(letters, prefix)
                    ends[prefix] = start, bisect.bisect_left(letters, prefix + chr(0x10FFFF))
                first[i, j], last[i, j] = ends[prefix]
        return cls(words, np.array(order, np.int32), first, last)

    def find(self, better: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`word_rank` and `typed` of `metrics.Predictions`, int32 (B, T).

        Args:
            better: bool, (B, T, V), tokens that are more probable than the target.
            target: int32, (B, T).
        """
        words = tf.cast(tf.gather(better, self.order, axis=-1), tf.int32)  # (B, T, W)
        total = tf.pad(tf.cumsum(words, axis=-1), [[0, 0], [0, 0], [1, 0]])
        # Better words among those that begin with the first 0, 1, 2, … letters of the target.
        ranks = tf.gather(total, tf.gather(self.last, target), axis=-1, batch_dims=2)
        ranks -= tf.gather(total, tf.gather(self.first, target), axis=-1, batch_dims=2)
        found = (ranks < SUGGESTIONS) & tf.gather(self.is_word, target)[..., None]
        typed = tf.where(tf.reduce_any(found, -1), tf.argmax(found, -1, tf.int32), -1)
        return total[..., -1], typed


def unaided_keys(stream: np.ndarray, letters: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Keys of each target without suggestions: its letters, and the space after it, if any.

    Args:
        stream: int32 ids, (tokens,), beginning with `<s>`.
        letters: int32, (tokens,), letters of each token as it was written.
        vocabulary: of words.

    Returns:
        int64, (tokens − 1,).
    """
    marks = {token: i for i, token in enumerate(vocabulary.tokens)}
    ids = np.asarray(stream[:])
    breaks = ids == BEGIN_ID
    quotes = np.cumsum(ids == marks.get(_QUOTE, -1))
    # Quotes since the paragraph began: the first opens, the second closes, …
    quotes -= np.maximum.accumulate(np.where(breaks, quotes, 0))
    quote = ids == marks.get(_QUOTE, -1)
    closes = np.isin(ids, [marks[mark] for mark in _CLOSING if mark in marks])
    opens = np.isin(ids, [marks[mark] for mark in _OPENING if mark in marks])
    closes |= breaks | (quote & (quotes % 2 == 0))
    opens |= breaks | (quote & (quotes % 2 == 1))
    spaces = np.append(~opens[:-1] & ~closes[1:], False)
    return (np.asarray(letters[:], np.int64) + spaces)[1:]


def pressed_keys(typed: np.ndarray, unaided: np.ndarray) -> np.ndarray:
    """Keys of each target with suggestions, int64 (N,).

    Args:
        typed: of `metrics.Predictions`.
        unaided: of `unaided_keys`.
    """
    return np.where(typed < 0, unaided, np.minimum(typed + 1, unaided))
