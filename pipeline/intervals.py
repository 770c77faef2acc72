"""How sure a figure is: the bootstrap over documents (Efron & Tibshirani 1993, §6 and §13).

Documents are drawn with replacement, as many as there are, again and again; what lies between the
2.5th and the 97.5th percentile of a figure over these texts is its 95 % interval. Tokens are not
drawn one by one: those of a document know of each other.
"""

import numpy as np

# What is added up over the targets of a document. A model that cannot say one of them has NaN.
SUMS = ("tokens", "nats", "top_3", "keys", "unaided_keys")

_RESAMPLES = 2000
_TAILS = (2.5, 97.5)
# How often each document was drawn, of several texts: what is in memory at once.
_COUNTS_AT_ONCE = 2**20


def figures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """What is told with an interval, from sums (…, 5) as in `SUMS`: arrays of shape (…,)."""
    tokens, nats, top, keys, unaided = np.moveaxis(sums, -1, 0)
    with np.errstate(over="ignore"):  # infinite
        perplexity = np.exp(nats / tokens)
    return {
        "perplexity": perplexity,
        "top_3": top / tokens,
        "keystroke_savings": 1 - keys / unaided,
    }


def resample(sums: np.ndarray, *, seed: int) -> np.ndarray:
    """Totals over documents drawn with replacement.

    Args:
        sums: (D, C), a row for each document.
        seed: with the same one, and as many documents, the same ones are drawn.

    Returns:
        (R, C).
    """
    documents = len(sums)
    random = np.random.default_rng(seed)
    shares = np.full(documents, 1 / documents)
    at_once = max(1, _COUNTS_AT_ONCE // documents)
    return np.concatenate(
        [
            random.multinomial(documents, shares, size=min(at_once, _RESAMPLES - done)) @ sums
            for done in range(0, _RESAMPLES, at_once)
        ]
    )


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a figure's values over such texts, of shape (R,)."""
    low, high = np.percentile(values, _TAILS)
    return float(low), float(high)
