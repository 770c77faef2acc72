"""A paired comparison of two evaluations: which model is better, and whether it may be noise.

Both models are measured on the same documents, and the interval is that of their difference
(`intervals`), so that documents that are hard for both do not widen it.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import rich
import rich.box
import rich.table
from rich.markup import escape

from pipeline import InputError
from pipeline.evaluation.intervals import FEW, METRICS, SUMS, jackknife, metrics_of
from pipeline.limits import check_file

_SAME = ["unit", "number", "digest", "tokens"]
_LABELS = dict(zip(METRICS, ("perplexity", "top-3", "keystroke savings"), strict=True))
_SPLITS = {"valid": "On the validation split", "test": "On the test split", "text": "On the text"}


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference of two models in one metric on one split.

    Attributes:
        metric: perplexity, top_3 or keystroke_savings.
        difference: for perplexities the ratio first / second, for shares first − second.
        low, high: its 95 % interval; NaN with a single unit.
        unit, units: "document", or "block" of a single document, and their number.
    """

    split: str
    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    unit: str
    units: int

    @property
    def better(self) -> int:
        """1 if the first model is better, −1 if the second is, 0 if that may be noise."""
        equal = 1.0 if self.metric == "perplexity" else 0.0
        if self.low > equal or self.high < equal:
            return 1 if (self.low > equal) == (self.metric != "perplexity") else -1
        return 0


def compare(first: Path, second: Path) -> list[Difference]:
    """Compare the first models of two folders that `evaluate` wrote.

    Returns:
        The metrics that both models have, on each split that both evaluations have.

    Raises:
        InputError: a folder has no evaluation, or the two differ in text or vocabulary.
    """
    one, other = _load(first), _load(second)
    splits = [split for split in one["split"].unique() if split in set(other["split"])]
    differences = []
    for split in splits:
        rows, others = (_of_first_model(table, split) for table in (one, other))
        if not rows[_SAME].equals(others[_SAME]):
            if split == "text":  # two files of --text
                continue
            raise InputError(
                f"{first} and {second} were not measured on the same {split} text with the same "
                "vocabulary: evaluate both on the same tokens."
            )
        differences += _differences(split, rows, others)
    if not differences:
        raise InputError(f"{first} and {second} have no split in common: evaluate one again.")
    return differences


def _load(folder: Path) -> pd.DataFrame:
    path = folder / "documents.csv"
    check_file(path)
    try:
        table = pd.read_csv(path, dtype={"digest": str})
    except (OSError, ValueError) as error:
        raise InputError(f"No evaluation is in {folder}: run `nextword evaluate` first.") from error
    if missing := {"split", "model", *_SAME, *SUMS} - set(table):
        raise InputError(f"{path} has no column {min(missing)}: run `nextword evaluate` again.")
    try:
        table = table.astype(dict.fromkeys(SUMS, np.float64))
        strange = table.empty or not {*table["split"]} <= {*_SPLITS}
    except (ValueError, TypeError):
        strange = True
    if strange:
        raise InputError(
            f"{path} does not count what models predict: run `nextword evaluate` again."
        )
    return table


def _of_first_model(table: pd.DataFrame, split: str) -> pd.DataFrame:
    rows = table[(table["split"] == split) & (table["model"] == table["model"].iloc[0])]
    return rows.reset_index(drop=True)


def _differences(split: str, rows: pd.DataFrame, others: pd.DataFrame) -> list[Difference]:
    sums = np.concatenate([rows[[*SUMS]], others[[*SUMS]]], axis=1, dtype=np.float64)  # (D, 10)
    # Both values, their difference, and its interval; (5, 3).
    table = np.concatenate([_both(sums.sum(0)), jackknife(sums, difference)])
    table[:, 0] = np.exp(table[:, 0])  # a difference of logarithms is a ratio
    unit, units = rows["unit"].iloc[0], len(rows)
    return [
        Difference(split, metric, one, other, apart, low, high, unit, units)
        for metric, (one, other, apart, low, high) in zip(METRICS, table.T.tolist(), strict=True)
        if not math.isnan(apart)
    ]


def _both(sums: np.ndarray) -> np.ndarray:
    return np.stack([metrics_of(half) for half in np.split(sums, 2, axis=-1)])


def difference(sums: np.ndarray) -> np.ndarray:
    """Subtract `metrics_of` the second model from the first's, from sums of both, (…, 10)."""
    return np.subtract(*_both(sums))


def in_words(differences: Sequence[Difference], *, first: str, second: str) -> list[str]:
    """Say for each split which of two models has the better perplexity; they are named."""
    of_perplexity = [d for d in differences if d.metric == "perplexity"]
    return [_sentence(d, first=first, second=second) for d in of_perplexity]


def _sentence(d: Difference, *, first: str, second: str) -> str:
    where = _SPLITS[d.split]
    if math.isnan(d.low):
        return (
            f"{where} nothing can be said: a single paragraph cannot tell a difference from noise."
        )
    interval = f"95 % interval {d.low:.3f} to {d.high:.3f}, over {d.units} {d.unit}s"
    if d.units < FEW:
        interval += f"; with fewer than {FEW} it is wide, and assumes that they are alike"
    ratio = f"the perplexity of {first} is {d.difference:.3f} × that of {second}"
    if d.better:
        better, worse = (first, second) if d.better == 1 else (second, first)
        return (
            f"{where} {better} is better than {worse}, and that is not noise: {ratio} ({interval})."
        )
    return (
        f"{where} neither is better, or the text is too short to tell: {ratio}, which may be "
        f"noise ({interval})."
    )


def print_comparison(differences: Sequence[Difference], *, first: str, second: str) -> None:
    """Print a table of all differences, and what they mean."""
    table = rich.table.Table("split", "metric", box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in (first, second, "difference", "95 % interval"):
        table.add_column(escape(heading), justify="right")
    for d in differences:
        if d.metric == "perplexity":
            cells = [f"{d.first:.1f}", f"{d.second:.1f}", f"× {d.difference:.3f}"]
            form = ".3f"
        else:
            cells = [f"{value:.1%}" for value in (d.first, d.second, d.difference)]
            form = ".1%"
        ends = (format(end, form) for end in (d.low, d.high))
        interval = "–" if math.isnan(d.low) else " to ".join(ends)
        table.add_row(d.split, _LABELS[d.metric], *cells, interval)
    rich.print(table)
    for sentence in in_words(differences, first=first, second=second):
        print(sentence)
