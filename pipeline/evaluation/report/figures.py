"""The charts of the report."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pipeline.evaluation.report.drawing import (
    HEIGHT,
    Look,
    draw_line,
    name_ends,
    new_chart,
    plain_numbers,
    styled,
)
from pipeline.evaluation.report.wording import label, power

# Tokens that a point of the calibration is worth drawing for.
ENOUGH = 20


@styled
def learning_curves(histories: Mapping[str, pd.DataFrame], look: Mapping[str, Look]) -> Figure:
    """Training and validation perplexity by epoch, from the rows of history.csv."""
    figure, axes = new_chart(
        "Perplexity after each epoch", xlabel="epoch", ylabel="perplexity", yscale="log"
    )
    lines = {}
    for name, history in histories.items():
        epochs = history["epoch"]
        lines[name] = draw_line(axes, epochs, history["valid_perplexity"], look[name])
        dashed = {"marker": "", "linestyle": "--", "linewidth": 1.2}
        draw_line(axes, epochs, history["train_perplexity"], look[name], **dashed)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain_numbers(axes.yaxis)
    name_ends(axes, lines)
    axes.plot([], [], "o-", color="black", label="validation")
    axes.plot([], [], "--", color="black", linewidth=1.2, label="training, with dropout")
    axes.legend(frameon=False, fontsize=8.5)
    return figure


@styled
def intervals(
    models: Mapping[str, Mapping[str, float]],
    metric: str,
    look: Mapping[str, Look],
    *,
    title: str,
    percent: bool = False,
) -> Figure:
    """A metric of models that have it, each with its 95 % interval."""
    scale = 100 if percent else 1
    figure, axes = new_chart(title, height=0.85 + 0.36 * len(models))
    if not percent:
        axes.set_xscale("log")
    for number, (name, values) in enumerate(models.items()):
        color, marker = look[name]
        ends = [scale * values.get(f"{metric}_{end}", values[metric]) for end in ("low", "high")]
        axes.plot(ends, [number, number], color=color, solid_capstyle="butt", linewidth=3)
        axes.plot(scale * values[metric], number, marker, color=color, markersize=7)
        axes.annotate(
            f"{scale * values[metric]:.1f}{'%' if percent else ''}",
            (ends[1], number),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(models)), [label(name) for name in models])
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.margins(x=0.15)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if percent:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        axes.xaxis.set_major_locator(MaxNLocator(5))
    else:
        plain_numbers(axes.xaxis)
    return figure


@styled
def groups(
    table: pd.DataFrame, column: str, look: Mapping[str, Look], *, title: str, xlabel: str
) -> Figure:
    """Perplexity of all models by a group of targets.

    Args:
        table: rows of frequency.csv or positions.csv, of one split.
        column: that holds the name of the group.
        look: colour and mark of each model.
        title, xlabel: of the chart.
    """
    figure, axes = new_chart(title, xlabel=xlabel, ylabel="perplexity", yscale="log")
    names = list(dict.fromkeys(table[column]))
    lines = {}
    for model, rows in table.groupby("model", sort=False):
        values = rows.set_index(column)["perplexity"].reindex(names)
        apart = values.where(values.index == "unknown")  # it has no rank that it could come after
        lines[str(model)] = draw_line(
            axes, range(len(names)), values.where(apart.isna()), look[str(model)]
        )
        draw_line(axes, range(len(names)), apart, look[str(model)])
    tokens = table.groupby(column, sort=False)["tokens"].first().reindex(names)
    shares = 100 * tokens / tokens.sum()
    ticks = [f"{n}\n{s:.0f}%" for n, s in zip(map(_short, names), shares, strict=True)]
    axes.set_xticks(range(len(names)), ticks, fontsize=8)
    plain_numbers(axes.yaxis)
    name_ends(axes, lines)
    return figure


def _short(name: Any) -> str:
    """A band of ranks in little room: 1001-10000 → 1k–10k."""
    return re.sub(r"(\d+)00[01]\b", r"\1k", str(name)).replace("-", "–")


@styled
def calibration(table: pd.DataFrame, look: Mapping[str, Look]) -> Figure:
    """How often the most probable token is right, against its p: rows of calibration.csv.

    What too few tokens tell is left out.
    """
    table = table[table["tokens"] >= ENOUGH]
    figure, axes = new_chart(
        "Does 30% mean 30%?",
        xlabel="probability of the likeliest token (%)",
        ylabel="how often it is right (%)",
        xlim=(0, 100),
        ylim=(0, 100),
    )
    axes.plot([0, 100], [0, 100], color="black", linewidth=1, linestyle=":")
    lines = {}
    for model, rows in table.groupby("model", sort=False):
        x, y = 100 * rows["confidence"], 100 * rows["right"]
        lines[str(model)] = draw_line(axes, x, y, look[str(model)])
    name_ends(axes, lines)
    return figure


@styled
def reach(reaches: Mapping[str, Mapping[str, Any]], look: Mapping[str, Look]) -> Figure:
    """What is left of the gradient so many steps back: `reach` of explanation.json."""
    figure, axes = new_chart(
        "The reach of the gradient",
        xlabel="steps back from the prediction, t − j",
        ylabel="share of the gradient that is left",
        yscale="log",
    )
    lines = {}
    for name, found in reaches.items():
        mean = np.array(found["state"]["mean"]) / found["h"]["mean"][0]
        mean = mean[: np.flatnonzero(mean)[-1] + 1]  # there is no zero on this axis
        lines[name] = draw_line(axes, range(len(mean)), mean, look[name], marker="")
        axes.plot(len(mean) - 1, mean[-1], look[name][1], color=look[name][0])
    axes.set_xlim(0, None)
    low = min(float(line.get_ydata()[-1]) for line in lines.values())  # type: ignore[index, arg-type]
    axes.yaxis.set_major_locator(LogLocator(numticks=6 if low < 1e-6 else 12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.3g}" if value >= 1e-3 else power(value)[2:])
    )
    name_ends(axes, lines)
    return figure


@styled
def windows(perplexities: Mapping[str, Mapping[str, float]], look: Mapping[str, Look]) -> Figure:
    """Perplexity against the window T: cell → T → perplexity."""
    figure, axes = new_chart(
        "What a longer window is worth",
        xlabel="window T, steps the gradient travels back",
        ylabel="validation perplexity",
        xscale="log",
    )
    lines = {}
    for name, values in perplexities.items():
        x = sorted(map(int, values))
        lines[name] = draw_line(axes, x, [values[str(window)] for window in x], look[name])
    every = sorted({int(window) for values in perplexities.values() for window in values})
    axes.xaxis.set_major_locator(FixedLocator(every))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    name_ends(axes, lines)
    return figure


@styled
def cuts(
    probabilities: Mapping[str, Sequence[float]],
    words: Sequence[str],
    look: Mapping[str, Look],
    *,
    word: str,
) -> Figure:
    """The probability of a word by the tokens of context that are read.

    Args:
        probabilities: model → p with the last 1, 2, 3, … tokens read.
        words: the farthest of them, for each.
        look: colour and mark of each model.
        word: that is predicted.
    """
    figure, axes = new_chart(
        f"Probability of «{word}», by what is read",
        height=HEIGHT + 0.5,
        xlabel="tokens read, and the farthest of them",
        ylabel="probability (%)",
        yscale="log",
    )
    lines = {}
    for name, values in probabilities.items():
        percent = 100 * np.array(values)
        lines[name] = draw_line(axes, range(1, len(values) + 1), percent, look[name])
    ticks = [f"{number}  {farthest}" for number, farthest in enumerate(words, start=1)]
    axes.set_xticks(range(1, len(words) + 1), ticks, rotation=90)
    plain_numbers(axes.yaxis)
    name_ends(axes, lines)
    return figure
