"""Keys that a typist presses, with three words suggested after every key and without.

Choosing a suggestion takes one key and adds the space after it, if there is one. Text is typed
with the usual spacing; a letter, a mark, a space and the end of a paragraph take one key each:

    without                                                       Ela_bebeu_água.↵    16 keys
    with «bebeu» suggested after "b" and «água» before any key    Ela_b●●.↵            9 keys

Suggestions ignore case. The typist writes accents, but as in an exported model words
that only fit without accents are suggested too. Tokens that are not words of the vocabulary or of
the lexicon are typed in full.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import tensorflow as tf

from pipeline.export.outside import OutsideWords
from pipeline.export.prefixes import Typed
from pipeline.text.lexicon import Lexicon
from pipeline.text.spacing import spaces, spacing_kinds
from pipeline.text.suggestible import MISSING_ACCENT, WHOLE, strip_accent, suggestible
from pipeline.text.tokenizer import BREAK
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID, Vocabulary
from pipeline.tokens.windows import NO_TARGET

SUGGESTIONS = 3
# Beginnings of words completed at once.
_PREFIXES = 1024


@dataclasses.dataclass(frozen=True)
class Completions:
    """The words that can be suggested, as letters in lower case.

    The words of the vocabulary, V, come first, and then U words of a lexicon, those that are
    targets. In a stream of targets the id of the first of these is −2, of the next −3, ….

    Attributes:
        is_word: bool, (V,).
        letters: int32 code points, (V + U, P), padded with zeros; all zeros for tokens that are
            not words.
        bare: the same without accents.
        outside: the words of the lexicon, if any.
    """

    is_word: np.ndarray
    letters: np.ndarray
    bare: np.ndarray
    outside: "Outside | None" = None

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, lexicon: Lexicon | None = None, targets: Sequence[int] = ()
    ) -> Self:
        """Create from the words of a vocabulary, and a lexicon; `targets` are places in it."""
        words = suggestible(vocabulary)
        pairs = zip(vocabulary.displays, words, strict=True)
        spelled = [display.lower() if word else "" for display, word in pairs]
        if lexicon:
            spelled += [lexicon.words[place].lower() for place in targets]
        letters = _codes(spelled)
        bare = _codes(["".join(map(strip_accent, word)) for word in spelled])
        outside = Outside.of(lexicon, targets, letters) if lexicon else None
        return cls(words, letters, bare, outside)

    def find(
        self, logits: tf.Tensor, better: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Compute `word_rank` and `typed` of `meter.Predictions`; see `meter.Find`."""
        shape, size = tf.shape(target), len(self.is_word)
        target, logits = tf.reshape(target, [-1]), tf.reshape(logits, [-1, size])
        goal = tf.where(target < NO_TARGET, size - 2 - target, tf.maximum(target, UNKNOWN_ID))
        own = tf.gather(logits, tf.maximum(target, UNKNOWN_ID), batch_dims=1)
        better = tf.reshape(better, [-1, size])
        if self.outside:
            own += tf.gather(self.outside.log_shares, goal)
            # A word of the vocabulary comes before one of the lexicon that is as probable.
            better = tf.where((target < NO_TARGET)[:, None], logits >= own[:, None], better)
        better &= self.is_word
        rank = tf.math.count_nonzero(better, axis=-1, dtype=tf.int32)
        # The first letter typed rules out most words.
        first, number = np.unique(self.letters[:, 0], return_inverse=True)
        own_first, bare_first = self.letters[:size, 0], self.bare[:size, 0]
        begins = (own_first == first[:, None]) | (bare_first == first[:, None])
        rivals = better & tf.gather(begins, tf.gather(number, goal))
        counts = self._count(tf.where(rivals), logits, goal, own)
        if self.outside:
            unknown = logits[:, UNKNOWN_ID]
            rank += self.outside.rank(unknown, own, goal)
            counts += self.outside.count(unknown, own, goal)
        counts = tf.concat([rank[:, None], counts], axis=1)[:, :-1]  # after 0, 1, 2, … letters
        suggested = (counts < SUGGESTIONS) & (tf.gather(self.letters, goal) > 0)
        typed = tf.where(tf.reduce_any(suggested, -1), tf.argmax(suggested, -1, tf.int32), -1)
        return tf.reshape(rank, shape), tf.reshape(typed, shape)

    def _count(
        self, places: tf.Tensor, logits: tf.Tensor, goal: tf.Tensor, least: tf.Tensor
    ) -> tf.Tensor:
        """Count words of the vocabulary before the target when 1, 2, … of its letters are typed.

        Args:
            places: int64, (R, 2): a row, and a word that is more probable there than the target.
            logits: (N, V).
            goal: int32, (N,): the target's row of `letters`.
            least: (N,), the target's logit.

        Returns:
            int32, (N, P).
        """
        row, word = places[:, 0], places[:, 1]
        at = tf.cast(tf.gather(goal, row), tf.int64)
        typed = tf.gather(self.letters, at)  # (R, P)
        own, bare = tf.gather(self.letters, word), tf.gather(self.bare, word)
        same = _all_so_far(tf.equal(typed, own))
        fits = _all_so_far((typed > 0) & (tf.equal(typed, own) | tf.equal(typed, bare)))
        whole = tf.equal(tf.pad(own[:, 1:], [[0, 0], [0, 1]]), 0)  # this letter is the last one
        costs = tf.where(same, tf.where(whole, -math.log(WHOLE), 0.0), -math.log(MISSING_ACCENT))
        scores = tf.gather_nd(logits, places)[:, None] - costs
        least = tf.gather(least, row)[:, None]
        # Ties are broken as by tf.math.top_k.
        before = (scores > least) | (tf.equal(scores, least) & (word < at)[:, None])
        counted = tf.cast(fits & before, tf.int32)
        return tf.math.unsorted_segment_sum(counted, row, tf.shape(goal)[0])


@dataclasses.dataclass(frozen=True)
class Outside:
    """The words of a lexicon that are targets, or come before them.

    What the lexicon suggests for some letters does not depend on the text, but for p(<unk>).

    Attributes:
        log_shares: ln f of each row of `Completions.letters`, (V + U,); 0 for the vocabulary.
        places: int32, (V + U,), the place in the lexicon; -1 for the vocabulary.
        rivals: ln f p(typed | word) of the words that the lexicon suggests when 1, 2, … letters of
            a row are typed, (V + U, P, 3); -∞ where there are fewer. Of a target of the lexicon,
            ∞ of those before it, and -∞ of all others.
        falling: −ln f of all N words of the lexicon, rising, (N,).
    """

    log_shares: tf.Tensor
    places: tf.Tensor
    rivals: tf.Tensor
    falling: tf.Tensor

    @classmethod
    def of(cls, lexicon: Lexicon, targets: Sequence[int], letters: np.ndarray) -> Self:
        """Create from a lexicon, the places in it of U targets, and `Completions.letters`."""
        size = len(letters) - len(targets)
        places = np.concatenate([np.full(size, -1), targets]).astype(np.int32)
        logs = np.log(lexicon.probabilities)
        words, weights = _suggested(lexicon, letters)  # (V + U, P, 3)
        with np.errstate(divide="ignore"):
            rivals = np.log(np.maximum(weights, 0)).astype(np.float32)
        own = words == places[:, None, None]
        after = np.cumsum(own, axis=-1) > 0
        of_lexicon = places[:, None, None] >= 0
        rivals = np.where(of_lexicon, np.where(after | (weights < 0), -np.inf, np.inf), rivals)
        # Where the lexicon does not suggest it, nothing has to be before it.
        rivals = np.where(of_lexicon & ~own.any(axis=-1, keepdims=True), np.inf, rivals)
        log_shares = np.where(places < 0, 0, logs[places])
        # Tensors, so that the graphs of several models share them.
        arrays = (log_shares, places, rivals.astype(np.float32), -logs)
        return cls(*map(tf.constant, arrays))

    def rank(self, unknown: tf.Tensor, own: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
        """Count the words of the lexicon that are more probable than targets, int32 (N,).

        Args:
            unknown, own: logits of `<unk>` and of the targets, (N,).
            goal: rows of the targets, int32 (N,).
        """
        more = tf.searchsorted(self.falling, unknown - own)
        places = tf.gather(self.places, goal)
        return tf.where(places < 0, more, places)

    def count(self, unknown: tf.Tensor, own: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
        """Count them, up to three, when 1, 2, … letters are typed; arguments of `rank`; (N, P)."""
        scores = unknown[:, None, None] + tf.gather(self.rivals, goal)
        return tf.math.count_nonzero(scores > own[:, None, None], axis=-1, dtype=tf.int32)


def mark_outside(stream: np.ndarray, places: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Give the words of a lexicon in a stream their ids of `Completions`.

    Args:
        stream: int32 ids, (tokens,).
        places: of each `<unk>` of the stream in the lexicon, -1 where it is not there, (n,).
        targets: the places that `Completions` was made of, rising.
    """
    if not (places >= 0).any():
        return stream
    marked = np.array(stream[:])
    own_ids = NO_TARGET - 1 - np.searchsorted(targets, places)
    marked[marked == UNKNOWN_ID] = np.where(places < 0, UNKNOWN_ID, own_ids)
    return marked


def _suggested(lexicon: Lexicon, letters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the lexicon suggests when 1, 2, … letters of each of some words are typed.

    Args:
        lexicon: of N words.
        letters: of W words, int32 (W, P), padded with zeros.

    Returns:
        Places in the lexicon, int32 (W, P, 3), -1 where there are fewer, and f · p(typed | word),
        (W, P, 3).
    """
    outside, count = OutsideWords(lexicon), min(SUGGESTIONS, len(lexicon))
    known = {*itertools.compress(lexicon.vocabulary.tokens, suggestible(lexicon.vocabulary))}

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def suggest(prefixes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows, length = tf.unstack(tf.shape(prefixes))
        text = tf.fill([rows], "")
        typed = Typed(text, prefixes, tf.fill([rows], length), text)
        return outside.best(typed, rows, count=count)

    shape = (*letters.shape, SUGGESTIONS)
    places, weights = np.full(shape, -1, np.int32), np.full(shape, -1, np.float32)
    for typed in range(1, letters.shape[1] + 1):
        rows = np.flatnonzero(letters[:, typed - 1])
        prefixes, inverse = np.unique(letters[rows, :typed], axis=0, return_inverse=True)
        for first in range(0, len(prefixes), _PREFIXES):
            found = suggest(prefixes[first : first + _PREFIXES])
            here = (inverse >= first) & (inverse < first + _PREFIXES)
            for table, values in zip((places, weights), found, strict=True):
                table[rows[here], typed - 1, :count] = values.numpy()[inverse[here] - first]
        # After a whole word of the vocabulary `complete` offers none of the lexicon.
        whole = np.array(["".join(map(chr, prefix)) in known for prefix in prefixes.tolist()])
        weights[rows[whole[inverse]], typed - 1] = -1
    return np.where(weights < 0, -1, places), weights


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
