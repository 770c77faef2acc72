"""What predictions come to: the numbers of metrics.json, and the tables beside it.

All of it is plain NumPy over the arrays of `metrics.Predictions`.
"""

import hashlib
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.held_out import Unseen
from pipeline.evaluation.intervals import METRICS, SUMS, with_interval
from pipeline.evaluation.keystrokes import Completions, pressed_keys, unaided_keys
from pipeline.model.meter import Predictions, perplexity
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary

TOP = (1, 3, 5)
# Words of the vocabulary by how frequent they are in training: up to the 10th, the 100th, …
_BANDS = (10, 100, 1_000, 10_000)
_PARTS = 5
_BINS = 10


def hits(predictions: Predictions, k: int) -> np.ndarray:
    """Targets among the k most probable tokens, bool (N,); what is unknown is a miss."""
    return predictions.known & (predictions.rank < k)


def score(
    predictions: Predictions, unseen: Unseen, *, vocabulary: Vocabulary, words: Completions | None
) -> dict[str, float]:
    """The numbers of one model on one text; the README has the definitions.

    `mean_reciprocal_rank` is the mean of 1 / place of the target among all tokens (Voorhees 1999),
    of the unknown 0; `calibration_error` the mean distance of the most probable token's p from how
    often it is right (`calibration`). Where tokens are pieces of words, all is of pieces, nothing
    of words is measured but `perplexity_per_word`, exp(nats / words), which can be compared with
    the perplexity of a model of words.

    Args:
        predictions: what the model said.
        unseen: the text.
        vocabulary: of both.
        words: what can be suggested; None where tokens are pieces of words.
    """
    nats, known = predictions.nats.astype(np.float64), predictions.known
    tokens = len(nats)
    found: dict[str, Any] = {
        "perplexity": perplexity(nats.sum(), tokens),
        "perplexity_known": perplexity(nats[known].sum(), known.sum()),
        "oov_rate": 1 - known.mean(),
        "tokens": tokens,
    }
    for k in TOP:
        found[f"top_{k}"] = hits(predictions, k).mean()
    found["mean_reciprocal_rank"] = np.mean(known / (predictions.rank + 1))
    rows = calibration(predictions)
    distance = (rows["confidence"] - rows["right"]).abs()
    found["calibration_error"] = (distance * rows["tokens"]).sum() / tokens
    if vocabulary.unit == "subword":
        found["words"] = int(np.array(vocabulary.closes())[predictions.targets].sum())
        found["perplexity_per_word"] = perplexity(nats.sum(), found["words"])
    if words and predictions.word_rank is not None:
        word = words.is_word[predictions.targets]
        count = max((word | ~known).sum(), 1)
        for k in TOP:
            found[f"top_{k}_words"] = (word & (predictions.word_rank < k)).sum() / count
    sums = by_unit(predictions, unseen, vocabulary=vocabulary)[[*SUMS]].to_numpy()
    whole, *ends = with_interval(sums)
    found["keystroke_savings"] = whole[-1]
    for end, values in zip(("low", "high"), np.clip(ends, 0, [math.inf, 1, 1]), strict=True):
        values[0] = np.exp(values[0])
        found |= {f"{name}_{end}": v for name, v in zip(METRICS, values, strict=True)}
    numbers = {name: value for name, value in found.items() if not math.isnan(value)}
    return {name: v if isinstance(v, int) else float(v) for name, v in numbers.items()}


def by_unit(predictions: Predictions, unseen: Unseen, *, vocabulary: Vocabulary) -> pd.DataFrame:
    """Sums over each document, or each block of a single one: what intervals are made of.

    Returns:
        A row for each: the `unit`, "document" or "block"; its `number`, from 1; `digest` of its
        targets; and `SUMS`.
    """
    unit, bounds = unseen.units()
    count = len(predictions.nats)
    keys = unaided = np.full(count, math.nan)
    if predictions.typed is not None and unseen.letters is not None:
        unaided = unaided_keys(unseen.stream, unseen.letters, vocabulary)
        keys = pressed_keys(predictions.typed, unaided)
    columns = (np.ones(count), predictions.nats, hits(predictions, 3), keys, unaided)
    sums = np.cumsum(np.stack(columns, axis=1, dtype=np.float64), axis=0)
    sums = np.diff(np.concatenate([np.zeros((1, len(SUMS))), sums])[bounds], axis=0)
    digests = [
        hashlib.sha256(predictions.targets[first:end].astype("<i4").tobytes()).hexdigest()[:16]
        for first, end in itertools.pairwise(bounds)
    ]
    table = pd.DataFrame(sums, columns=[*SUMS])
    table.insert(0, "digest", digests)
    table.insert(0, "number", np.arange(1, len(table) + 1))
    table.insert(0, "unit", unit)
    return table


def by_frequency(predictions: Predictions, vocabulary: Vocabulary) -> pd.DataFrame:
    """Perplexity and top-3 by how frequent the target is in training.

    Returns:
        A row for each band of ranks, "1-10", "11-100", …, and "unknown"; `tokens`, `perplexity`,
        `top_3`.
    """
    counts = np.array(vocabulary.counts)
    counts[UNKNOWN_ID] = -1
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
    band = np.searchsorted(_BANDS, rank)
    band[UNKNOWN_ID] = len(_BANDS) + 1
    starts = [1, *(edge + 1 for edge in _BANDS)]
    names = [f"{first}-{last}" for first, last in zip(starts, _BANDS, strict=False)]
    names += [f"{starts[-1]}-", "unknown"]
    return _by_group(predictions, band[predictions.targets], names=names, column="rank")


def by_position(predictions: Predictions, documents: np.ndarray) -> pd.DataFrame:
    """Perplexity and top-3 by the part of a document, in fifths of its tokens.

    Args:
        predictions: of all documents.
        documents: of `Unseen`.

    Returns:
        A row for each `part`, 1 to 5; `tokens`, `perplexity`, `top_3`.
    """
    lengths = np.diff(documents)
    place = np.arange(len(predictions.nats)) - np.repeat(documents[:-1], lengths)
    part = place * _PARTS // np.repeat(lengths, lengths)
    names = [str(number + 1) for number in range(_PARTS)]
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
    """Whether 30 % means 30 %, of the most probable token (Guo et al. 2017, §2).

    Returns:
        A row for each tenth of p that occurs, from `low` to `high`: `tokens`, their mean p as
        `confidence`, and the share that was `right`.
    """
    rows = []
    confidence = predictions.confidence.astype(np.float64)
    right = predictions.rank == 0  # an unknown word that was expected, too
    tenth = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    for number in range(_BINS):
        here = tenth == number
        if tokens := int(here.sum()):
            means = confidence[here].mean(), right[here].mean()
            rows.append((number / _BINS, (number + 1) / _BINS, tokens, *means))
    return pd.DataFrame(rows, columns=["low", "high", "tokens", "confidence", "right"])
