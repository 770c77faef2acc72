"""Interpolated modified Kneser-Ney: what counts of n-grams know of the next token.

p(w | u v) is the share of w after the context u v, discounted, and what the discounts left over
goes to the shorter context v:

    p(w | u v) = (a(u v w) − D(a(u v w))) / Σ a(u v ·) + γ(u v) p(w | v)

a is the count of the longest n-grams, and of each shorter one the number of different tokens that
stand before it: «Francisco» may be frequent, but after «São» only, and is not to be expected after
anything else. Where there is no context at all, what is left over goes to all V tokens equally.

Chen & Goodman 1998, "An empirical study of smoothing techniques for language modeling", §3; its
probabilities are those of KenLM's lmplz (Heafield et al. 2013).
"""

import dataclasses
from typing import Self

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.text.vocabulary import BEGIN_ID

# D1, D2, D3+ where a text is too small to tell; those of `lmplz --discount_fallback`.
_FALLBACK = (0.5, 1.0, 1.5)


@dataclasses.dataclass(frozen=True)
class _Ngrams:
    """The n-grams of one length, numbered in the order of their keys.

    Attributes:
        keys: int64, (N,), sorted: the number of the (n − 1)-gram that an n-gram begins with,
            times V, plus its last token.
        shares: float64, (N,), (a − D(a)) / Σ a.
        backoff: float64, (N of n − 1,), γ of each context; 1 where nothing follows it.
    """

    keys: np.ndarray
    shares: np.ndarray
    backoff: np.ndarray


class KneserNey:
    """An n-gram model of a stream of ids; `fit` makes it.

    A paragraph is to it what a sentence is to lmplz: contexts end at `<s>`, which is at once the
    end of a paragraph and the beginning of the next, and is predicted like any token.
    """

    def __init__(self, lengths: list[_Ngrams], *, vocabulary_size: int):
        self._lengths, self.vocabulary_size = lengths, vocabulary_size

    @classmethod
    def fit(cls, stream: np.ndarray, *, order: int = 5, vocabulary_size: int) -> Self:
        """Count the n-grams of a training stream.

        Args:
            stream: int32 ids, (tokens,); `<s>` begins a paragraph.
            order: n, tokens of the longest n-grams.
            vocabulary_size: V.

        Raises:
            InputError: there is nothing to count, or an id that is not in the vocabulary.
        """
        if order < 1:
            raise InputError(f"An n-gram model of order {order} cannot be: take 1 or more.")
        ids = _ids(stream, vocabulary_size)
        if len(ids) < 2:
            raise InputError("The training stream holds no n-grams to count: give it more text.")
        places = np.arange(len(ids))
        begins = np.maximum.accumulate(np.where(ids == BEGIN_ID, places, 0))
        # Tokens of its context, `<s>` included; -1 for the first token, which is no target.
        reach = np.minimum(np.append(-1, places[1:] - begins[:-1]), order - 1)

        lengths: list[_Ngrams] = []
        contexts, keys = 1, np.arange(vocabulary_size)
        numbers = ids  # of the n-gram that ends at each place
        for n in range(1, order + 1):
            longer = np.flatnonzero(reach >= n)
            longer_keys, first, longer_numbers = np.unique(
                numbers[longer - 1] * vocabulary_size + ids[longer],
                return_index=True,
                return_inverse=True,
            )
            # Before what begins a paragraph stands no other token: each of its occurrences counts.
            ends = np.concatenate([np.flatnonzero(reach == n - 1), longer[first]])
            counts = np.bincount(numbers[ends], minlength=len(keys))
            lengths.append(_discounted(keys, counts, keys // vocabulary_size, number=contexts))
            if not len(longer):
                break
            contexts, keys = len(keys), longer_keys
            numbers = np.full(len(ids), -1)
            numbers[longer] = longer_numbers
        return cls(lengths, vocabulary_size=vocabulary_size)

    def begin(self, lanes: int) -> np.ndarray:
        """The contexts before texts begin, as `advance` numbers them; (lanes, n)."""
        return np.tile(np.where(np.arange(len(self._lengths)), -1, 0), (lanes, 1))

    def advance(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """The contexts of the next token, before ids (B, T) and after each of them.

        Args:
            contexts: int64, (B, n): for each m < n the number of the m tokens read last, -1 where
                they were never seen.
            ids: (B, T).

        Returns:
            int64, (B, T + 1, n).

        Raises:
            InputError: an id is not in the vocabulary.
        """
        ids = _ids(ids, self.vocabulary_size)
        read = np.tile(contexts[:, None], (1, ids.shape[1] + 1, 1))
        for m, ngrams in enumerate(self._lengths[:-1]):
            read[:, 1:, m + 1] = self._find(ngrams, read[:, :-1, m], ids)
        return read

    def probabilities(self, contexts: np.ndarray) -> np.ndarray:
        """Of all V tokens after contexts (N, n), as `advance` numbers them; float64, (N, V)."""
        first, *longer = self._lengths
        p = np.tile(first.backoff / self.vocabulary_size + first.shares, (len(contexts), 1))
        for numbers, ngrams in zip(contexts.T[1:], longer, strict=True):
            p *= _left_over(ngrams, numbers)[:, None]
            # What follows a context has keys in a row.
            bounds = np.stack([numbers, numbers + 1]) * self.vocabulary_size
            starts, ends = np.searchsorted(ngrams.keys, bounds)
            counts = ends - starts
            rows = np.repeat(np.arange(len(p)), counts)
            places = np.arange(len(rows)) + np.repeat(ends - np.cumsum(counts), counts)
            p[rows, ngrams.keys[places] % self.vocabulary_size] += ngrams.shares[places]
        return p

    def _find(self, ngrams: _Ngrams, contexts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The numbers of n-grams: contexts (N,), -1 for an unknown one, and tokens (N,) to (N,)."""
        keys = contexts * self.vocabulary_size + tokens
        places = np.minimum(np.searchsorted(ngrams.keys, keys), len(ngrams.keys) - 1)
        return np.where((contexts >= 0) & (ngrams.keys[places] == keys), places, -1)


class NgramReader:
    """An n-gram model as `metrics.Meter` reads one: ids (B, T) to ln p (B, T, V).

    What was read is carried from call to call until `reset_states`.
    """

    def __init__(self, ngrams: KneserNey):
        self._ngrams = ngrams
        self._contexts: np.ndarray | None = None  # before the next ids, (B, n)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        told = tf.numpy_function(self._read, [ids], tf.float32)
        return tf.ensure_shape(told, (*ids.shape, self._ngrams.vocabulary_size))

    def _read(self, ids: np.ndarray) -> np.ndarray:
        before = self._ngrams.begin(len(ids)) if self._contexts is None else self._contexts
        read = self._ngrams.advance(before, ids)[:, 1:]
        self._contexts = read[:, -1]
        p = self._ngrams.probabilities(read.reshape(-1, read.shape[-1]))
        return np.log(p).astype(np.float32).reshape(*ids.shape, -1)

    def reset_states(self) -> None:
        """Forget what was read."""
        self._contexts = None


def _ids(ids: np.ndarray, vocabulary_size: int) -> np.ndarray:
    ids = np.asarray(ids[:], np.int64)  # of shards, too
    if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary_size:
        raise InputError(
            f"The stream holds ids from {ids.min()} to {ids.max()}, but the vocabulary has "
            f"{vocabulary_size} tokens: run `nextword tokenize` again."
        )
    return ids


def _left_over(ngrams: _Ngrams, contexts: np.ndarray) -> np.ndarray:
    """γ of contexts (N,); all of an unknown one's probability comes from the shorter one."""
    return np.where(contexts < 0, 1, ngrams.backoff[contexts])


def _discounted(
    keys: np.ndarray, counts: np.ndarray, contexts: np.ndarray, *, number: int
) -> _Ngrams:
    """n-grams with counts (N,) and numbers of contexts (N,), of which there are `number`."""
    discounts = np.array([0, *_discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(contexts, counts, minlength=number)
    taken = np.bincount(contexts, discounts, minlength=number)
    backoff = np.divide(taken, totals, out=np.ones(number), where=totals > 0)
    shares = counts - discounts
    return _Ngrams(keys, shares / np.maximum(totals, 1)[contexts], backoff)


def _discounts(counts: np.ndarray) -> tuple[float, ...]:
    """D1, D2 and D3+ from how many n-grams have the counts 1, 2, 3 and 4 (equation 26)."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == count)) for count in range(1, 5))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if n4 and all(0 <= d <= count for count, d in enumerate(found, start=1)):
            return found
    return _FALLBACK
