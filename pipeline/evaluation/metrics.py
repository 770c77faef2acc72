"""The numbers of metrics.json, and the tables beside it, computed from `meter.Predictions`."""

import hashlib
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.held_out import HeldOutText
from pipeline.evaluation.intervals import METRICS, SUMS, jackknife
from pipeline.evaluation.keystrokes import pressed_keys, unaided_keys
from pipeline.model.meter import Predictions, perplexity
from pipeline.text.suggestible import suggestible
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary

TOP = (1, 3, 5)
# Bands of the vocabulary by frequency rank in training: up to the 10th, the 100th, …
_BANDS = (10, 100, 1_000, 10_000)
_PARTS = 5
_BINS = 10


def hits(predictions: Predictions, k: int) -> np.ndarray:
    """Return which known targets are among the k most probable tokens, bool (N,)."""
    return predictions.known & (predictions.rank < k)


def score(
    predictions: Predictions, text: HeldOutText, *, vocabulary: Vocabulary
) -> dict[str, float]:
    """Compute the metrics of one model on one text; docs/definitions.md defines them.

    `mean_reciprocal_rank` is the mean of 1 / (1 + rank) of the target among all tokens, 0 for the
    unknown (Voorhees 1999); `calibration_error` is the expected calibration error of the most
    probable token (Guo et al. 2017, §2). Metrics of words need a vocabulary of words; with pieces
    of words there is `perplexity_per_word` instead, exp(nats / words), which is comparable with
    the perplexity of a model of words.
    """
    nats, known = predictions.nats.astype(np.float64), predictions.known
    tokens = len(nats)
    metrics: dict[str, Any] = {
        "perplexity": perplexity(nats.sum(), tokens),
        "perplexity_known": perplexity(nats[known].sum(), known.sum()),
        "oov_rate": 1 - known.mean(),
        "tokens": tokens,
    }
    for k in TOP:
        metrics[f"top_{k}"] = hits(predictions, k).mean()
    metrics["mean_reciprocal_rank"] = np.mean(known / (predictions.rank + 1))
    rows = calibration(predictions)
    distance = (rows["confidence"] - rows["right"]).abs()
    metrics["calibration_error"] = (distance * rows["tokens"]).sum() / tokens
    if vocabulary.unit == "subword":
        metrics["words"] = int(np.array(vocabulary.closes())[predictions.targets].sum())
        metrics["perplexity_per_word"] = perplexity(nats.sum(), metrics["words"])
    if predictions.word_rank is not None:
        word = suggestible(vocabulary)[predictions.targets]
        count = max((word | ~known).sum(), 1)
        if predictions.outside is not None:
            word |= predictions.outside
        for k in TOP:
            metrics[f"top_{k}_words"] = (word & (predictions.word_rank < k)).sum() / count
    sums = by_unit(predictions, text, vocabulary=vocabulary)[[*SUMS]].to_numpy()
    whole, *ends = jackknife(sums)
    metrics["keystroke_savings"] = whole[-1]
    for end, values in zip(("low", "high"), np.clip(ends, 0, [math.inf, 1, 1]), strict=True):
        values[0] = np.exp(values[0])
        metrics |= {f"{name}_{end}": v for name, v in zip(METRICS, values, strict=True)}
    measured = {name: value for name, value in metrics.items() if not math.isnan(value)}
    return {name: v if isinstance(v, int) else float(v) for name, v in measured.items()}


def by_unit(predictions: Predictions, text: HeldOutText, *, vocabulary: Vocabulary) -> pd.DataFrame:
    """Add up `SUMS` over each document, or each block of a single one.

    Returns:
        Columns `unit`, "document" or "block"; `number`, from 1; `digest`, of the targets; `SUMS`.
    """
    unit, bounds = text.units()
    count = len(predictions.nats)
    keys = unaided = np.full(count, math.nan)
    if predictions.typed is not None and text.letters is not None:
        unaided = unaided_keys(text.stream, text.letters, vocabulary)
        keys = pressed_keys(predictions.typed, unaided)
    columns = (np.ones(count), predictions.nats, hits(predictions, 3), keys, unaided)
    sums = np.cumsum(np.stack(columns, axis=1, dtype=np.float64), axis=0)
    sums = np.diff(np.concatenate([np.zeros((1, len(SUMS))), sums])[bounds], axis=0)
    digests = [
        hashlib.sha256(predictions.targets[first:end].astype("<i4").tobytes()).hexdigest()[:16]
        for first, end in itertools.pairwise(bounds)
    ]
    rows = {"unit": unit, "number": np.arange(1, len(sums) + 1), "digest": digests}
    return pd.DataFrame({**rows, **dict(zip(SUMS, sums.T, strict=True))})


def by_frequency(predictions: Predictions, vocabulary: Vocabulary) -> pd.DataFrame:
    """Compute perplexity and top-3 by the target's frequency rank in training: "1-10", "11-100", ….

    Returns:
        Columns `rank`, `tokens`, `perplexity`, `top_3`; unknown tokens have the rank "unknown".
    """
    counts = np.array(vocabulary.counts)
    counts[UNKNOWN_ID] = -1
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
    band = np.searchsorted(_BANDS, rank)
    band[UNKNOWN_ID] = len(_BANDS) + 1
    starts = [1, *(edge + 1 for edge in _BANDS)]
    names = [f"{first}-{last}" for first, last in zip(starts, [*_BANDS, ""], strict=True)]
    return _by_group(
        predictions, band[predictions.targets], names=[*names, "unknown"], column="rank"
    )


def by_position(predictions: Predictions, documents: np.ndarray) -> pd.DataFrame:
    """Compute perplexity and top-3 by `part`, the fifths of `HeldOutText.documents`."""
    lengths = np.diff(documents)
    place = np.arange(len(predictions.nats)) - np.repeat(documents[:-1], lengths)
    part = place * _PARTS // np.repeat(lengths, lengths)
    names = [str(number) for number in range(1, _PARTS + 1)]
    return _by_group(predictions, part, names=names, column="part")


def _by_group(
    predictions: Predictions, group: np.ndarray, *, names: Sequence[str], column: str
) -> pd.DataFrame:
    top = hits(predictions, 3)
    rows = []
    for number, name in enumerate(names):
        here = group == number
        if tokens := int(here.sum()):
            nats = predictions.nats[here].sum(dtype=np.float64)
            rows.append((name, tokens, perplexity(nats, tokens), top[here].mean()))
    return pd.DataFrame(rows, columns=[column, "tokens", "perplexity", "top_3"])


def calibration(predictions: Predictions) -> pd.DataFrame:
    """Compare the most probable token's p with how often it is right (Guo et al. 2017, §2).

    Returns:
        A row for each tenth of p that occurs, `low` to `high`: `tokens`, their mean p as
        `confidence`, and the share that was `right`.
    """
    confidence = predictions.confidence.astype(np.float64)
    right = predictions.rank == 0  # unknown words too, where `<unk>` was the most probable
    tenth = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    rows = []
    for n in np.unique(tenth):
        here = tenth == n
        means = confidence[here].mean(), right[here].mean()
        rows.append((n / _BINS, (n + 1) / _BINS, here.sum(), *means))
    return pd.DataFrame(rows, columns=["low", "high", "tokens", "confidence", "right"])
