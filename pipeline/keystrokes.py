"""Keys that a typist presses with three words suggested after every key, and without.

Choosing a suggestion is one key and brings the space after it, if there is one. Text is typed with
the usual spacing, a letter, a mark, a space and the end of a paragraph being a key each:

    without                                                       Ela_bebeu_água.↵    16 keys
    with «bebeu» suggested after "b" and «água» before any key    Ela_b●●.↵            9 keys

A suggestion is the form people write in mid-sentence; it fits what was typed in either case. The
typist writes accents; words that fit where accents are missing are suggested as well, as an
exported model suggests them (`spelling`). What is no word of the vocabulary is typed in full.
"""

import collections
import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import tensorflow as tf

from pipeline.spelling import MISSING_ACCENT, WHOLE, bare
from pipeline.tokenizer import BREAK, is_word, spaces, spacing_kinds
from pipeline.vocabulary import BEGIN_ID, UNKNOWN_ID, Vocabulary

SUGGESTIONS = 3


@dataclasses.dataclass(frozen=True)
class Completions:
    """The words that can be suggested, and which of them fit what is typed.

    In the alphabet's order, words that begin alike follow each other. There are three such lists,
    one after the other: all words; those with accents, as they are typed without; and those that
    others begin with, as they are typed whole. See `spelling`.

    Attributes:
        is_word: bool, (V,).
        order: int32, (W,), the ids of the words of all lists.
        costs: float32, (W,), −ln p(typed | word) in each.
        prefixes: int32, (V, P), the number of the first j letters of word v; of a word that has no
            more than j letters that of none.
        places: int32, (Q, R, 2): what fits prefix q is order[first:end] of R rows; some are empty.
    """

    is_word: np.ndarray
    order: np.ndarray
    costs: np.ndarray
    prefixes: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Self:
        """The words of a vocabulary."""
        words = is_word(list(vocabulary.tokens)).numpy()
        spelled = [display.lower() for display in vocabulary.displays]
        order = sorted(np.flatnonzero(words).tolist(), key=spelled.__getitem__)
        numbers = {"": 0}
        prefixes = np.zeros((len(vocabulary), max(map(len, spelled))), np.int32)
        for i in order:
            for j, prefix in enumerate(itertools.accumulate(spelled[i][:-1], initial="")):
                prefixes[i, j] = numbers.setdefault(prefix, len(numbers))
        accented = [i for i in order if _bare(spelled[i]) != spelled[i]]
        begun = [i for i in order if spelled[i] in numbers]
        lists = order, accented, begun
        places = _places(list(numbers), *([spelled[i] for i in ids] for ids in lists))
        costs = np.array([0, -math.log(MISSING_ACCENT), -math.log(WHOLE)], np.float32)
        costs = np.repeat(costs, [len(ids) for ids in lists])
        return cls(words, np.concatenate(lists).astype(np.int32), costs, prefixes, places)

    def find(self, logits: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`word_rank` and `typed` of `metrics.Predictions`, int32 (B, T).

        Args:
            logits: of all tokens, (B, T, V).
            target: int32, (B, T).
        """
        scores = tf.gather(logits, self.order, axis=-1) - self.costs  # (B, T, W)
        own = tf.gather(logits, target, axis=-1, batch_dims=2)[..., None]
        # As tf.math.top_k breaks ties.
        better = (scores > own) | (tf.equal(scores, own) & (self.order < target[..., None]))
        better = tf.pad(better, [[0, 0], [0, 0], [1, 0]])
        total = tf.cumsum(tf.cast(better, tf.int32), axis=-1)  # before each place
        # Better words among those that fit the first 0, 1, 2, … letters of the target.
        places = tf.gather(self.places, tf.gather(self.prefixes, target))  # (B, T, P, R, 2)
        counts = tf.gather(total, places, batch_dims=2)
        ranks = tf.reduce_sum(counts[..., 1] - counts[..., 0], axis=-1)  # (B, T, P)
        found = (ranks < SUGGESTIONS) & tf.gather(self.is_word, target)[..., None]
        typed = tf.where(tf.reduce_any(found, -1), tf.argmax(found, -1, tf.int32), -1)
        return total[..., np.count_nonzero(self.is_word)], typed


def _places(
    prefixes: Sequence[str], words: Sequence[str], accented: Sequence[str], begun: Sequence[str]
) -> np.ndarray:
    """`Completions.places` of prefixes, from what its three lists spell."""
    starts = 0, len(words), len(words) + len(accented)
    longer, lacking, whole = map(_by_prefix, (words, accented, begun), starts)
    alike: dict[str, list[str]] = {}
    for prefix in lacking:
        alike.setdefault(_bare(prefix), []).append(prefix)
    equal = collections.Counter(begun)
    rows = []
    for typed in prefixes:
        (first, end), count = longer[typed], equal[typed]
        at = whole[typed][0] if count else 0
        rows.append([(first + count, end), (at, at + count)])  # whole words come first
        rows[-1] += [lacking[p] for p in alike.get(_bare(typed), ()) if _lacks(typed, p)]
    return np.array([*itertools.zip_longest(*rows, fillvalue=(0, 0))], np.int32).swapaxes(0, 1)


def _by_prefix(words: Sequence[str], start: int) -> dict[str, tuple[int, int]]:
    """Where the words that begin with each prefix stand and end, the first of all at `start`."""
    found = {"": (start, start + len(words))}
    for place, word in enumerate(words, start):
        for prefix in itertools.accumulate(word):
            found[prefix] = found.get(prefix, (place,))[0], place + 1
    return found


def _bare(word: str) -> str:
    return "".join(map(bare, word))


def _lacks(typed: str, prefix: str) -> bool:
    """Whether a prefix is typed so where accents are missing."""
    pairs = zip(typed, prefix, strict=True)
    return typed != prefix and all(letter in (meant, bare(meant)) for letter, meant in pairs)


def unaided_keys(stream: np.ndarray, letters: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Keys of each target without suggestions: its letters, and the space after it, if any.

    A paragraph's are the characters that `tokenizer.detokenize` writes, and one for its end.

    Args:
        stream: int32 ids, (tokens,), beginning with `<s>`.
        letters: int32, (tokens,), letters of each token as it was written.
        vocabulary: of words.

    Returns:
        int64, (tokens − 1,).
    """
    forms = [*vocabulary.tokens]
    forms[BEGIN_ID], forms[UNKNOWN_ID] = BREAK, "a"  # what is unknown is most often a word
    spaced = spaces(tf.gather(spacing_kinds(forms), stream[:])).numpy()
    return (np.asarray(letters[:], np.int64) + np.append(spaced[1:], False))[1:]


def pressed_keys(typed: np.ndarray, unaided: np.ndarray) -> np.ndarray:
    """Keys of each target with suggestions, int64 (N,).

    Args:
        typed: of `metrics.Predictions`.
        unaided: of `unaided_keys`.
    """
    return np.where(typed < 0, unaided, np.minimum(typed + 1, unaided))
