"""What a sweep has found: a table of its trials, and the best options as a preset."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import rich
import rich.box
import rich.table

from pipeline.training.history import save_rows

PRESET = "preset.toml"
TRIALS = "trials.csv"
# Of trials.csv, before those of the options.
_COLUMNS = 5
# Rows of the table that is printed.
_SHOWN = 10


class Trial(NamedTuple):
    """A training with some options.

    Attributes:
        number: counted from 0.
        complete: whether it was not pruned.
        perplexities: on the validation split, after each epoch.
        cpu_seconds: of all epochs.
        values: of the options that were searched, by name.
        run: id of its MLflow run.
    """

    number: int
    complete: bool
    perplexities: list[float]
    cpu_seconds: float
    values: Mapping[str, int | float]
    run: str

    @property
    def best(self) -> float:
        """The lowest perplexity; infinite if none was measured."""
        return min(self.perplexities, default=math.inf)

    def row(self) -> dict[str, Any]:
        """Return the row of trials.csv."""
        return {
            "trial": self.number,
            "state": "complete" if self.complete else "pruned",
            "valid_perplexity": self.best,
            "epochs": len(self.perplexities),
            "cpu_seconds": round(self.cpu_seconds, 1),
            **self.values,
            "run": self.run,
        }


def write_results(trials: Sequence[Trial], options: Mapping[str, Any], output: Path) -> None:
    """Write trials.csv, the complete and the best trials first, and preset.toml.

    Args:
        trials: at least one; without a complete one there is no preset.
        options: of the first trial; others have these but for their `values`.
        output: folder to write into.
    """
    ranked = sorted(trials, key=lambda trial: (not trial.complete, trial.best))
    save_rows([trial.row() for trial in ranked], output / TRIALS)
    best = ranked[0]
    if best.complete:
        partial = output / f"{PRESET}.partial"
        partial.write_text(
            f"# `nextword sweep`: trial {best.number}, the best of {len(trials)}, with validation "
            f"perplexity {best.best:.2f}.\n" + in_toml({**options, **best.values}),
            encoding="utf-8",
        )
        partial.replace(output / PRESET)


def in_toml(options: Mapping[str, Any]) -> str:
    """Write options as TOML; None, which TOML lacks, is left out."""
    # JSON's numbers, booleans and strings are TOML's.
    given = {name: value for name, value in options.items() if value is not None}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items())


def in_words(values: Mapping[str, int | float]) -> str:
    """Return options as they are typed, rounded."""
    return " ".join(
        f"--{name.replace('_', '-')} {value:.3g}"
        if isinstance(value, float)
        else f"--{name.replace('_', '-')} {value}"
        for name, value in values.items()
    )


def print_trials(output: Path) -> None:
    """Print the first rows of trials.csv as a table."""
    with (output / TRIALS).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    complete = [row for row in rows if row["state"] == "complete"]
    options = list(rows[0])[_COLUMNS:-1]
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("trial", "perplexity", "CPU s", *options):
        table.add_column(name.replace("_", " "), justify="right")
    for row in complete[:_SHOWN]:
        measured = (f"{float(row['valid_perplexity']):.1f}", f"{float(row['cpu_seconds']):,.0f}")
        values = (f"{float(row[name]):.3g}" if "." in row[name] else row[name] for name in options)
        table.add_row(row["trial"], *measured, *values)
    rich.print(table)
    pruned = len(rows) - len(complete)
    print(
        f"Trials to the end: {len(complete):,}, pruned: {pruned:,}; all are in {output / TRIALS}."
    )
