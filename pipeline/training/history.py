"""history.csv: what was measured in each epoch of a training."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import InputError
from pipeline.limits import check_file


def save_history(rows: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Write one row per epoch."""
    save_rows(rows, folder / "history.csv")


def save_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a table as CSV. Readers see the old file or the new one, never a mix."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


def load_history(folder: Path) -> list[dict[str, float]]:
    """Read what `save_history` wrote: at least one row.

    Raises:
        InputError: there is no history of a training, or it is damaged.
    """
    path = folder / "history.csv"
    check_file(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, csv.Error):
        rows = []
    if not rows or not {"epoch", "train_perplexity", "valid_perplexity"} <= {*rows[0]}:
        raise InputError(f"{path} is no history of a training: run `nextword train` again.")
    return rows
