"""Two evaluations held against each other: which model is better, and whether that is noise.

A paired test: both models are measured on the same documents, and the interval is one of their
difference (`intervals`), so that a document that is hard for both does not blur it.
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

from pipeline import InputError
from pipeline.evaluation.intervals import FEW, METRICS, SUMS, figures, with_interval

_SAME = ["unit", "number", "digest", "tokens"]


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far two models are apart in one figure on one split.

    Attributes:
        split: what both were measured on.
        metric: perplexity, top_3 or keystroke_savings.
        first, second: what either has.
        difference: of perplexities the ratio first / second, of shares first − second.
        low, high: its 95 % interval; NaN where there is but one unit.
        unit: what was left out in turn, "document" or "block" (of a single document).
        units: how many there are.
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
    """Compare the models that two evaluations are about, the first of each.

    Args:
        first, second: folders that `evaluate` wrote.

    Returns:
        For each split that both have, each figure that both models can tell.

    Raises:
        InputError: a folder has no evaluation, or the two were not made on the same text with the
            same vocabulary.
    """
    one, other = _load(first), _load(second)
    splits = [split for split in one["split"].unique() if split in set(other["split"])]
    found = []
    for split in splits:
        rows, others = (_of_first_model(table, split) for table in (one, other))
        if not rows[_SAME].equals(others[_SAME]):
            if split == "text":  # two files of --text
                continue
            raise InputError(
                f"{first} and {second} were not measured on the same {split} text with the same "
                "vocabulary: evaluate both on the same tokens."
            )
        found += _differences(split, rows, others)
    if not found:
        raise InputError(f"{first} and {second} have no split in common: evaluate one again.")
    return found


def _load(folder: Path) -> pd.DataFrame:
    path = folder / "documents.csv"
    try:
        table = pd.read_csv(path, dtype={"digest": str})
    except (OSError, ValueError) as error:
        raise InputError(f"No evaluation is in {folder}: run `nextword evaluate` first.") from error
    if missing := {"split", "model", *_SAME, *SUMS} - set(table):
        raise InputError(f"{path} has no column {min(missing)}: run `nextword evaluate` again.")
    return table


def _of_first_model(table: pd.DataFrame, split: str) -> pd.DataFrame:
    rows = table[(table["split"] == split) & (table["model"] == table["model"].iloc[0])]
    return rows.reset_index(drop=True)


def _differences(split: str, rows: pd.DataFrame, others: pd.DataFrame) -> list[Difference]:
    sums = np.concatenate([rows[[*SUMS]], others[[*SUMS]]], axis=1, dtype=np.float64)  # (D, 10)
    # What either has, the difference, and the ends of its interval; (5, 3).
    told = np.concatenate([_either(sums.sum(0)), with_interval(sums, difference)])
    told[:, 0] = np.exp(told[:, 0])  # a difference of logarithms is a ratio
    unit, units = rows["unit"].iloc[0], len(rows)
    return [
        Difference(split, metric, one, other, apart, low, high, unit, units)
        for metric, (one, other, apart, low, high) in zip(METRICS, told.T.tolist(), strict=True)
        if not math.isnan(apart)
    ]


def _either(sums: np.ndarray) -> np.ndarray:
    return np.stack([figures(half) for half in np.split(sums, 2, axis=-1)])


def difference(sums: np.ndarray) -> np.ndarray:
    """`figures` of the first model − those of the second, from the sums of both, (…, 10)."""
    return np.subtract(*_either(sums))


def in_words(differences: Sequence[Difference], *, first: str, second: str) -> list[str]:
    """A sentence for each split, by its perplexity.

    Args:
        differences: what `compare` found.
        first, second: what to call the two models.
    """
    return [
        _sentence(d, first=first, second=second) for d in differences if d.metric == "perplexity"
    ]


def _sentence(found: Difference, *, first: str, second: str) -> str:
    where = {"valid": "On the validation split", "test": "On the test split"}.get(
        found.split, "On the text"
    )
    if math.isnan(found.low):
        return (
            f"{where} nothing can be said: a single paragraph does not tell a difference from "
            "noise."
        )
    sure = f"95 % interval {found.low:.3f} to {found.high:.3f}, over {found.units} {found.unit}s"
    if found.units < FEW:
        sure += f"; of fewer than {FEW} it is wide, and trusts them to be alike"
    if found.better:
        names = (first, second) if found.better == 1 else (second, first)
        return (
            f"{where} {names[0]} is better than {names[1]}, and that is not noise: the perplexity "
            f"of {first} is {found.difference:.3f} × that of {second} ({sure})."
        )
    return (
        f"{where} neither is better, or the text is too short to tell: the perplexity of {first} "
        f"is {found.difference:.3f} × that of {second}, which may be noise ({sure})."
    )


def print_comparison(differences: Sequence[Difference], *, first: str, second: str) -> None:
    """Print a table of all differences, and what they mean."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("split")
    table.add_column("figure")
    for heading in (first, second, "difference", "95 % interval"):
        table.add_column(heading, justify="right")
    for found in differences:
        form, change = ("{:.1f}", "× {:.3f}") if found.metric == "perplexity" else ("{:.1%}",) * 2
        low, high = (change.removeprefix("× ").format(v) for v in (found.low, found.high))
        table.add_row(
            *(found.split, found.metric.replace("_", " ").replace("top ", "top-")),
            *(form.format(value) for value in (found.first, found.second)),
            *(change.format(found.difference), f"{low} to {high}"),
        )
    rich.print(table)
    for sentence in in_words(differences, first=first, second=second):
        print(sentence)
