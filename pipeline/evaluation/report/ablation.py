"""Trainings with one change each, and what the changes are worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import InputError
from pipeline.evaluation.report.language import Language

_COLUMNS = ("change", "options", "train", "valid", "test", "top_3", "cpu")


def read_ablation(path: Path) -> list[dict[str, Any]]:
    """Read a CSV of trainings with one change each; the first row is the one without.

    Columns are `change`, `options`; `train`, `valid` and `test`, perplexities; `top_3`, a share;
    `cpu`, CPU time relative to the first row.

    Raises:
        InputError: it is not such a table.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False)
        numbers = [*_COLUMNS[2:]]
        table[numbers] = table[numbers].astype(float)
        table["change"], table["options"]
    except (OSError, ValueError, LookupError) as error:
        raise InputError(
            f"No ablation can be read from {path}: it must be a CSV with the columns "
            f"{', '.join(_COLUMNS)}, the last five plain numbers."
        ) from error
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def of_ablation(rows: Sequence[Mapping[str, Any]], language: Language) -> str:
    """Name the changes that help most and least, compared with the first row."""
    (first, *others) = rows
    if not others:
        return ""
    best, worst = (pick(others, key=lambda row: row["test"]) for pick in (min, max))
    return language.gettext(
        "Compared with “%(first)s”, whose test perplexity is %(perplexity)s, “%(best)s” has the "
        "lowest (%(lowest)s) and “%(worst)s” the highest (%(highest)s).",
        first=first["change"],
        perplexity=language.number(first["test"]),
        best=best["change"],
        lowest=language.change(best["test"] / first["test"]),
        worst=worst["change"],
        highest=language.change(worst["test"] / first["test"]),
    )
