"""Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1998, §3).

Discounts D move probability from the n-grams of a context u v to the shorter context v:

    p(w | u v) = (a(u v w) − D(a(u v w))) / Σ a(u v ·) + γ(u v) p(w | v)

a counts the longest n-grams; for a shorter one, it is the number of different tokens before it, as
«Francisco» may be frequent, but only after «São». Without any context, γ goes to all V tokens
equally. Probabilities are those of KenLM's lmplz (Heafield et al. 2013).
"""

import dataclasses
from typing import Self

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.text.vocabulary import BEGIN_ID

# D1, D2, D3+ for a text too small to estimate them, as in `lmplz --discount_fallback`.
_FALLBACK = (0.5, 1.0, 1.5)


@dataclasses.dataclass(frozen=True)
class _Ngrams:
    """The n-grams of one length; the number of an n-gram is its place in `keys`.

    Attributes:
        keys: int64, (N,), sorted: the number of its first n − 1 tokens times V, plus the last one.
        shares: float64, (N,), (a − D(a)) / Σ a.
        backoff: float64, (N of n − 1,), γ of each context; 1 if nothing follows it.
    """

    keys: np.ndarray
    shares: np.ndarray
    backoff: np.ndarray


class KneserNey:
    """An n-gram model of a stream of ids.

    Paragraphs are what sentences are in lmplz: `<s>` ends one and begins the next, is predicted
    like any token, and no context reaches back beyond it.
    """

    def __init__(self, lengths: list[_Ngrams], *, vocabulary_size: int):
        self._lengths, self.vocabulary_size = lengths, vocabulary_size

    @classmethod
    def fit(cls, stream: np.ndarray, *, order: int = 5, vocabulary_size: int) -> Self:
        """Count the n-grams of up to `order` tokens in int32 ids, (tokens,).

        Raises:
            InputError: there is nothing to count, or an id is not in the vocabulary.
        """
        if order < 1:
            raise InputError(f"An n-gram model cannot have order {order}: choose 1 or more.")
        ids = _ids(stream, vocabulary_size)
        if len(ids) < 2:
            raise InputError("The training stream has no n-grams to count: add more text.")
        places = np.arange(len(ids))
        begins = np.maximum.accumulate(np.where(ids == BEGIN_ID, places, 0))
        # Length of each token's context, `<s>` included; -1 for the first, which is no target.
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
            # Nothing precedes an n-gram at the beginning of a paragraph: count its occurrences.
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
        """Return the contexts before texts begin, (lanes, n), see `advance`."""
        return np.tile(np.where(np.arange(len(self._lengths)), -1, 0), (lanes, 1))

    def advance(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Return the contexts of the next token, before ids (B, T) and after each of them.

        Args:
            contexts: int64, (B, n): for each m < n the number of the last m tokens as an m-gram,
                -1 if it is not in the training stream.
            ids: (B, T).

        Returns:
            int64, (B, T + 1, n).

        Raises:
            InputError: an id is not in the vocabulary.
        """
        ids = _ids(ids, self.vocabulary_size)
        read = np.tile(contexts[:, None], (1, ids.shape[1] + 1, 1))
        for m, ngrams in enumerate(self._lengths[:-1]):
            keys = read[:, :-1, m] * self.vocabulary_size + ids
            places = np.minimum(np.searchsorted(ngrams.keys, keys), len(ngrams.keys) - 1)
            known = (read[:, :-1, m] >= 0) & (ngrams.keys[places] == keys)
            read[:, 1:, m + 1] = np.where(known, places, -1)
        return read

    def probabilities(self, contexts: np.ndarray) -> np.ndarray:
        """Return p of all tokens, float64 (N, V), after contexts (N, n), see `advance`."""
        first, *longer = self._lengths
        p = np.tile(first.backoff / self.vocabulary_size + first.shares, (len(contexts), 1))
        for numbers, ngrams in zip(contexts.T[1:], longer, strict=True):
            p *= np.where(numbers < 0, 1, ngrams.backoff[numbers])[:, None]
            # The n-grams of a context have adjacent keys.
            bounds = np.stack([numbers, numbers + 1]) * self.vocabulary_size
            starts, ends = np.searchsorted(ngrams.keys, bounds)
            counts = ends - starts
            rows = np.repeat(np.arange(len(p)), counts)
            places = np.arange(len(rows)) + np.repeat(ends - np.cumsum(counts), counts)
            p[rows, ngrams.keys[places] % self.vocabulary_size] += ngrams.shares[places]
        return p


class NgramReader:
    """An n-gram model for `Meter`: maps ids (B, T) to ln p (B, T, V), stateful as a network."""

    def __init__(self, ngrams: KneserNey):
        self._ngrams = ngrams
        self._contexts: np.ndarray | None = None  # before the next ids, (B, n)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        log_p = tf.numpy_function(self._read, [ids], tf.float32)
        return tf.ensure_shape(log_p, (*ids.shape, self._ngrams.vocabulary_size))

    def _read(self, ids: np.ndarray) -> np.ndarray:
        before = self._ngrams.begin(len(ids)) if self._contexts is None else self._contexts
        read = self._ngrams.advance(before, ids)[:, 1:]
        self._contexts = read[:, -1]
        p = self._ngrams.probabilities(read.reshape(-1, read.shape[-1]))
        return np.log(p).astype(np.float32).reshape(*ids.shape, -1)

    def reset_states(self) -> None:
        """Clear the contexts."""
        self._contexts = None


def _ids(ids: np.ndarray, vocabulary_size: int) -> np.ndarray:
    ids = np.asarray(ids[:], np.int64)  # [:] reads `Shards`
    if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary_size:
        raise InputError(
            f"The stream has ids from {ids.min()} to {ids.max()}, but the vocabulary has "
            f"{vocabulary_size} tokens: run `nextword tokenize` again."
        )
    return ids


def _discounted(
    keys: np.ndarray, counts: np.ndarray, contexts: np.ndarray, *, number: int
) -> _Ngrams:
    """Discount n-grams with counts (N,) and contexts (N,), of which there are `number`."""
    discounts = np.array([0, *_discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(contexts, counts, minlength=number)
    taken = np.bincount(contexts, discounts, minlength=number)
    backoff = np.divide(taken, totals, out=np.ones(number), where=totals > 0)
    shares = counts - discounts
    return _Ngrams(keys, shares / np.maximum(totals, 1)[contexts], backoff)


def _discounts(counts: np.ndarray) -> tuple[float, ...]:
    """Return D1, D2 and D3+ from how many n-grams have count 1, 2, 3 and 4 (equation 26)."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == count)) for count in range(1, 5))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if n4 and all(0 <= d <= count for count, d in enumerate(discounts, start=1)):
            return discounts
    return _FALLBACK
