"""Minimal pairs: does a model give the right form the greater probability?

*A menina que brincava com os meninos no quintal estava cansada*, not *cansado*: only what remembers
the girl can know (Linzen et al. 2016, §2; Gulordava et al. 2018 in five languages).
"""

import csv
import dataclasses
import io
import logging
import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rich
import rich.box
import rich.table
import tensorflow as tf
from rich.markup import escape

from pipeline import InputError
from pipeline.evaluation.intervals import share_interval
from pipeline.evaluation.report.language import ENGLISH
from pipeline.model.meter import Meter
from pipeline.text.tokenizer import Tokenizer
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary

log = logging.getLogger(__name__)

_COLUMNS = ("context", "right", "wrong")
# Groups of pairs: columns that a file may have, and what `group_by_window` adds.
GROUPS = ("distance", "window", "attractor", "phenomenon", "feature")
# First distance of each band; single ones as far as most n-gram models and small windows see.
_BANDS = (0, 1, 2, 3, 4, 5, 7, 10, 13, 16, 21, 31)


@dataclasses.dataclass(frozen=True)
class MinimalPairs:
    """Pairs of texts that differ in one form.

    Attributes:
        table: a row for each pair: `item`, of pairs that are not independent, and those of `GROUPS`
            that the file has; distances are numbers.
        right, wrong: int32 ids of each text, `<s>` first.
    """

    table: pd.DataFrame
    right: Sequence[np.ndarray]
    wrong: Sequence[np.ndarray]


def read_pairs(path: Path, vocabulary: Vocabulary) -> MinimalPairs:
    """Read a table of minimal pairs, separated by tabs.

    Columns are `context`, the text before; `right` and `wrong`, what may follow it.
    If there are, also `distance`, the number of tokens between the form and what it agrees with;
    `attractor`, `phenomenon` and `feature`, any words; and `item`, equal for pairs that are made of
    each other. Other columns are ignored.

    Raises:
        InputError: it is no such table, or no pair in it can be told apart.
    """
    table = _read_table(path)
    tokenizer = Tokenizer(vocabulary)
    right, wrong = (
        [ids.numpy() for ids in tokenizer(tf.constant(texts.to_list()))]
        for texts in (table["context"] + " " + table[form] for form in ("right", "wrong"))
    )
    told = [_told_apart(*pair) for pair in zip(right, wrong, strict=True)]
    if not any(told):
        raise InputError(
            f"The vocabulary lacks the forms of all pairs in {path}, or one form begins with the "
            "other: name another file."
        )
    kept = np.flatnonzero(told)
    if left_out := len(table) - len(kept):
        log.warning(
            "%s of %s pairs in %s are left out: the vocabulary lacks their forms, or one form "
            "begins with the other.",
            *(f"{left_out:,}", f"{len(table):,}", path),
        )
    return MinimalPairs(
        table.drop(columns=[*_COLUMNS]).iloc[kept].reset_index(drop=True),
        [right[i] for i in kept],
        [wrong[i] for i in kept],
    )


def _read_table(path: Path) -> pd.DataFrame:
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip("\n")
        table = pd.read_csv(
            io.StringIO(text), sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE,
            skip_blank_lines=False,  # which are counted where a line is named
        )  # fmt: skip
    except (OSError, ValueError) as error:  # UnicodeDecodeError and ParserError are ValueErrors
        raise InputError(f"{path} cannot be read: name a table in UTF-8.") from error
    if not {*_COLUMNS} <= {*table} or table.empty:
        raise InputError(
            f"{path} does not have the columns {', '.join(_COLUMNS)}, separated by tabs, and a row "
            "below them: name a table of minimal pairs."
        )
    # Of rows with more columns than the header, pandas takes the first ones as names.
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"The rows of {path} have more columns than its first line: repair it.")
    for form in ("right", "wrong"):
        if len(empty := np.flatnonzero(table[form].str.strip() == "")):
            raise InputError(f"Line {empty[0] + 2} of {path} has no {form} form: repair it.")
    if "distance" in table:
        distances = pd.to_numeric(table["distance"], errors="coerce")
        if len(bad := np.flatnonzero(~(distances >= 0))):
            raise InputError(f"Line {bad[0] + 2} of {path} has no distance, 0 or more: repair it.")
        table["distance"] = distances
    if "item" not in table:
        table["item"] = np.arange(len(table)).astype(str)
    groups = (name for name in GROUPS if name in table and name != "window")
    return table[[*_COLUMNS, "item", *groups]]


def _band(distance: float) -> str:
    place = int(np.searchsorted(_BANDS, distance, side="right"))
    first = _BANDS[place - 1]
    if place == len(_BANDS):
        return f"{first}+"
    last = _BANDS[place] - 1
    return f"{first}" if first == last else f"{first}-{last}"


def _told_apart(right: np.ndarray, wrong: np.ndarray) -> bool:
    """Return whether two texts differ, only in known tokens, and neither begins with the other."""
    first = _shared(right, wrong)
    if first == min(len(right), len(wrong)):  # nothing of the shorter would be predicted
        return False
    last = _shared(right[first:][::-1], wrong[first:][::-1])
    different = [*right[first : len(right) - last], *wrong[first : len(wrong) - last]]
    return UNKNOWN_ID not in different


def _shared(right: np.ndarray, wrong: np.ndarray) -> int:
    """Return the number of tokens that two texts share at their beginning."""
    shorter = min(len(right), len(wrong))
    different = np.flatnonzero(right[:shorter] != wrong[:shorter])
    return int(different[0]) if len(different) else shorter


def group_by_window(pairs: MinimalPairs, window: int) -> MinimalPairs:
    """Group pairs by whether a window of tokens reaches back to what the form agrees with."""
    if "distance" not in pairs.table:
        return pairs
    inside = pairs.table["distance"] < window
    table = pairs.table.assign(window=inside.map({True: "inside", False: "outside"}))
    return dataclasses.replace(pairs, table=table)


def prefers_right(meter: Meter, pairs: MinimalPairs) -> np.ndarray:
    """Return 1 where a model gives the right form the greater probability, 0.5 for a tie; (N,).

    Every text is read from an empty state, and its tokens count from the first difference on.
    """
    nats = meter.of_texts([*pairs.right, *pairs.wrong])
    first = [_shared(*pair) for pair in zip(pairs.right, pairs.wrong, strict=True)]
    # The first token of a text is no target, so the i-th token has the nats of number i − 1.
    sums = np.array(
        [values[start - 1 :].sum() for values, start in zip(nats, 2 * first, strict=True)]
    )
    right, wrong = sums.reshape(2, -1)
    return (right < wrong) + 0.5 * (right == wrong)


def count_right(pairs: MinimalPairs, answers: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Count what models get right, over all pairs and by each of `GROUPS`.

    Args:
        pairs: N pairs.
        answers: model → `prefers_right`, (N,).

    Returns:
        A row for each model and group: `model`; `by`, "all" or one of `GROUPS`; `group`, distances
        in bands such as "5-6"; `pairs`; `share` of them that are right, and its 95 % interval `low`
        to `high`.
    """
    rows = []
    for model, right in answers.items():
        groups = {"all": np.full(len(right), "all")}
        groups |= {name: pairs.table[name].to_numpy() for name in GROUPS if name in pairs.table}
        if "distance" in groups:
            groups["distance"] = pairs.table["distance"].map(_band).to_numpy()
        for by, values in groups.items():
            names = dict.fromkeys(values)
            for name in sorted(names, key=band_ends) if by == "distance" else names:
                here = values == name
                interval = share_interval(right[here], pairs.table["item"].to_numpy()[here])
                rows.append((model, by, name, int(here.sum()), *interval))
    return pd.DataFrame(rows, columns=["model", "by", "group", "pairs", "share", "low", "high"])


def band_ends(band: str) -> tuple[float, float]:
    """Return the first and the last distance of a band such as "4", "5-6" or "31+"."""
    first, _, last = band.removesuffix("+").partition("-")
    return float(first), math.inf if band.endswith("+") else float(last or first)


def load_counts(path: Path) -> pd.DataFrame:
    """Read what `count_right` counted from a CSV."""
    return pd.read_csv(path, dtype={"group": str}, keep_default_na=False)


def print_counts(counts: pd.DataFrame) -> None:
    """Print what `count_right` counted, a column for each model."""
    title = "Right form preferred to wrong (%), with 95% intervals; 50 is chance"
    table = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, padding=0)
    table.add_column("")
    for heading in ("pairs", *dict.fromkeys(counts["model"])):
        table.add_column(f" {escape(heading)}", justify="right")
    for (by, group), rows in counts.groupby(["by", "group"], sort=False):
        name = "all" if by == "all" else f"{by} {group}"
        cells = (_in_words(row) for row in rows.to_dict("records"))
        table.add_row(escape(name), f"{rows['pairs'].iloc[0]:,}", *cells)
    rich.print(table)


def _in_words(row: Mapping[Hashable, Any]) -> str:
    share, low, high = (ENGLISH.number(100 * row[name], 0) for name in ("share", "low", "high"))
    return f" {share} [dim]{low}–{high}[/]"
