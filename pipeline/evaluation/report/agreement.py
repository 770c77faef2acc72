"""Agreement over a distance: the chart, and what it says."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.evaluation.minimal_pairs import band_ends
from pipeline.evaluation.report.drawing import (
    Looks,
    draw_line,
    looks,
    name_ends,
    new_chart,
    styled,
)
from pipeline.evaluation.report.language import Language
from pipeline.evaluation.report.wording import model_label


def has_distances(agreement: Mapping[str, Any]) -> bool:
    """Return whether the pairs have the distances that `by_distance` draws."""
    return any(row["by"] == "distance" for row in agreement["counts"])


@styled
def by_distance(
    agreement: Mapping[str, Any], look: Looks, language: Language, *, detailed: bool = False
) -> Figure:
    """Draw how often the right form is preferred by distance: `agreement` of explanation.json.

    The dotted line is chance. `detailed` is larger, and shows 95 % intervals.
    """
    _ = language.gettext
    figure, axes = new_chart(
        _("Agreement over a distance"),
        width=8 if detailed else 4.4,
        height=4.8 if detailed else 3.6,
        xlabel=_("tokens between the form and what it agrees with"),
        ylabel=_("right form preferred (%%)"),
    )
    rows = pd.DataFrame(agreement["counts"])
    rows = rows[(rows["by"] == "distance") & (rows["model"] != "unigram")]
    bands = [*dict.fromkeys(rows["group"])]
    x = np.arange(len(bands))
    axes.axhline(50, color="black", linewidth=1, linestyle=":")
    look = looks([*look, *(model_label(name, language) for name in rows["model"])])
    for model, mine in rows.groupby("model", sort=False):
        label = model_label(str(model), language)
        share, low, high = (
            100 * mine.set_index("group")[name].reindex(bands).to_numpy()
            for name in ("share", "low", "high")
        )
        draw_line(axes, x, share, look[label], label=label)
        if detailed:
            axes.vlines(x, low, high, color=look[label][0], linewidth=1, alpha=0.5)
    first, last = np.array([band_ends(band) for band in bands]).T
    window = agreement["window"]
    # Where the feedforward model's window ends, which may be within a band.
    if window and window <= last[-1]:
        seen = np.clip((window - first) / (last + 1 - first), 0, 1).sum()
        axes.axvline(seen - 0.5, color="black", linewidth=1, linestyle="--")
    # Every second label is a line lower, to be told from its neighbours.
    ticks = ["\n" * (number % 2) + band.replace("-", "–") for number, band in enumerate(bands)]
    axes.set_xticks(x, ticks, fontsize=8)
    axes.set_ylim(min(35, *(100 * rows["share"])), 102)  # names fit below 50
    name_ends(axes)
    return figure


def of_agreement(agreement: Mapping[str, Any], language: Language) -> list[str]:
    """Say how often each model but the unigram prefers the right form of minimal pairs."""
    _, percent = language.gettext, language.percent
    counts = {(row["model"], row["by"], row["group"]): row for row in agreement["counts"]}
    sentences = []

    def shares(row: Mapping[str, Any]) -> dict[str, str]:
        return {key: percent(row[key]) for key in ("share", "low", "high")}

    for name in dict.fromkeys(row["model"] for row in agreement["counts"] if row["by"] == "all"):
        if name == "unigram":
            continue
        every = counts[name, "all", "all"]
        sentences.append(
            _(
                "%(model)s prefers the right form in %(share)s of %(pairs)s pairs (95%% interval "
                "%(low)s to %(high)s).",
                model=model_label(name, language),
                pairs=language.number(every["pairs"], 0),
                **shares(every),
            )
        )
        if other := counts.get((name, "attractor", "other")):
            sentences[-1] += " " + _(
                "Where a word of the other number or gender stands between, it does so in "
                "%(share)s (%(low)s to %(high)s).",
                **shares(other),
            )
        if outside := counts.get((name, "window", "outside")):
            sentences[-1] += " " + _(
                "Over %(window)s tokens and more: %(share)s (%(low)s to %(high)s),",
                window=agreement["window"],
                **shares(outside),
            )
            if outside["low"] > 0.5:
                verdict = _("better than chance.")
            elif outside["high"] < 0.5:
                verdict = _("worse than chance.")
            else:
                verdict = _("as by chance.")
            sentences[-1] += f" {verdict}"
    return sentences
