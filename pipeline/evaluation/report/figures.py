"""The charts of `evaluate` and `explain`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pipeline.evaluation.minimal_pairs import first_distance
from pipeline.evaluation.report.drawing import (
    Looks,
    draw_line,
    name_ends,
    new_chart,
    plain_numbers,
    styled,
)
from pipeline.evaluation.report.explanation import by_context
from pipeline.evaluation.report.wording import power, short_percent, training_size
from pipeline.text.vocabulary import BEGIN

# Tokens below which a point of the calibration chart is left out as noise.
ENOUGH = 20
# Probabilities of the darkest colour in a heat map, and below.
_DARKEST = 1e-4
# Columns of a heat map whose cells have room for numbers.
_NUMBERED = 20
# Ranks that a list of suggestions would show.
_SUGGESTED = 5
_GROUPS = {
    "rank": ("By how frequent the target is", "its rank in training"),
    "part": ("By the part of a document", "fifth of a document"),
}
_DASHED: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2}
_DOTTED: dict[str, Any] = {"linestyle": ":", "linewidth": 1.5}


@styled
def learning_curves(histories: Mapping[str, pd.DataFrame], look: Looks) -> Figure:
    """Draw training and validation perplexity by epoch, from rows of history.csv."""
    title = "Perplexity after each epoch"
    figure, axes = new_chart(title, xlabel="epoch", ylabel="perplexity", yscale="log")
    for name, history in histories.items():
        epochs, perplexity = history["epoch"], history["valid_perplexity"]
        draw_line(axes, epochs, perplexity, look[name], label=name)
        draw_line(axes, epochs, history["train_perplexity"], look[name], marker="", **_DASHED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain_numbers(axes.yaxis)
    name_ends(axes)
    validation = Line2D([], [], marker="o", color="black", label="validation")
    training = Line2D([], [], color="black", label="training, with dropout", **_DASHED)
    axes.legend(handles=[validation, training])
    return figure


@styled
def intervals(
    models: Mapping[str, Mapping[str, float]], metric: str, look: Looks, *, title: str
) -> Figure:
    """Draw a metric of several models with its 95 % interval; shares are drawn in percent."""
    share = metric != "perplexity"
    scale = 100 if share else 1
    figure, axes = new_chart(title, height=0.85 + 0.36 * len(models))
    if not share:
        axes.set_xscale("log")
    for number, (name, values) in enumerate(models.items()):
        color, marker = look[name]
        ends = [scale * values.get(f"{metric}_{end}", values[metric]) for end in ("low", "high")]
        axes.plot(ends, [number, number], color=color, solid_capstyle="butt", linewidth=3)
        axes.plot(scale * values[metric], number, marker, color=color, markersize=7)
        axes.annotate(
            f"{scale * values[metric]:.1f}{'%' if share else ''}",
            (ends[1], number),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(models)), [*models])
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.margins(x=0.15)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if share:
        axes.xaxis.set_major_formatter("{x:g}%")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    else:
        plain_numbers(axes.xaxis)
    return figure


@styled
def groups(table: pd.DataFrame, column: str, look: Looks) -> Figure:
    """Draw perplexity by a column of frequency.csv or positions.csv, from rows of one split."""
    title, xlabel = _GROUPS[column]
    figure, axes = new_chart(title, xlabel=xlabel, ylabel="perplexity", yscale="log")
    names = list(dict.fromkeys(table[column]))
    for model, rows in table.groupby("model", sort=False):
        values = rows.set_index(column)["perplexity"].reindex(names)
        # Unknown words have no rank, so no line leads to them.
        unknown = values.index == "unknown"
        draw_line(axes, range(len(names)), values.mask(unknown), look[str(model)], label=model)
        draw_line(axes, range(len(names)), values.where(unknown), look[str(model)])
    tokens = table.groupby(column, sort=False)["tokens"].first().reindex(names)
    shares = 100 * tokens / tokens.sum()
    ticks = [f"{n}\n{s:.0f}%" for n, s in zip(map(_short, names), shares, strict=True)]
    axes.set_xticks(range(len(names)), ticks, fontsize=8)
    plain_numbers(axes.yaxis)
    name_ends(axes)
    return figure


def _short(name: Any) -> str:
    """Shorten a band of ranks: 1001-10000 → 1k–10k."""
    return re.sub(r"(\d+)00[01]\b", r"\1k", str(name)).replace("-", "–")


@styled
def calibration(table: pd.DataFrame, look: Looks) -> Figure:
    """Draw how often the most probable token is right by its p, from rows of calibration.csv."""
    figure, axes = new_chart(
        "Does 30% mean 30%?",
        xlabel="probability of the likeliest token (%)",
        ylabel="how often it is right (%)",
        xlim=(0, 100),
        ylim=(0, 100),
    )
    axes.plot([0, 100], [0, 100], color="black", linewidth=1, linestyle=":")
    for model, rows in table[table["tokens"] >= ENOUGH].groupby("model", sort=False):
        x, y = 100 * rows["confidence"], 100 * rows["right"]
        draw_line(axes, x, y, look[str(model)], label=model)
    name_ends(axes)
    return figure


@styled
def gradient_flow(
    flows: Mapping[str, Mapping[str, Any]], look: Looks, *, detailed: bool = False
) -> Figure:
    """Draw the share of the gradient that is left after some steps back.

    Args:
        flows: `reach` of explanation.json.
        look: colour and marker of each model.
        detailed: on a larger chart, add medians, and the gradient of LSTMs by h alone.
    """
    figure, axes = new_chart(
        "The reach of the gradient",
        width=8 if detailed else 4.4,
        height=4.8 if detailed else 3.1,
        xlabel="steps back from the prediction, t − j",
        ylabel="share of the gradient that is left",
        yscale="log",
    )
    lowest = 1.0
    for name, flow in flows.items():
        h, state = flow["h"], flow["state"]
        steps, share = _relative(state["mean"], h["mean"][0])
        lowest = min(lowest, share[-1])
        zero = detailed and steps[-1] < len(state["mean"]) - 1
        label = f"{name}, zero from {steps[-1] + 1} steps on" if zero else name
        draw_line(axes, steps, share, look[name], markevery=[-1], label=label)
        if detailed:
            median = _relative(state["median"], h["median"][0])
            draw_line(axes, *median, look[name], marker="", **_DASHED)
        if detailed and h != state:
            by_h = _relative(h["mean"], h["mean"][0])
            draw_line(axes, *by_h, look[name], marker="", **_DOTTED)
    axes.set_xlim(0, None)
    axes.yaxis.set_major_locator(LogLocator(numticks=6 if lowest < 1e-6 else 12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.3g}" if value >= 1e-3 else power(value)[2:])
    )
    name_ends(axes)
    if detailed:
        formula = r"$\|\partial E_t/\partial s_j\|$ relative to $\|\partial E_t/\partial h_t\|$"
        axes.set_ylabel(formula, parse_math=True)
        styles = {"mean": {}, "median": _DASHED, "mean, of an LSTM by h without c": _DOTTED}
        lines = [Line2D([], [], color="0.3", label=n, **style) for n, style in styles.items()]
        axes.legend(handles=lines)
    return figure


def _relative(norms: Sequence[float], unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps back with a gradient, which a logarithmic axis can show, and its share."""
    steps = np.flatnonzero(norms)
    return steps, np.array(norms)[steps] / unit


@styled
def windows(trained: Mapping[str, Any], look: Looks, *, detailed: bool = False) -> Figure:
    """Draw perplexity by the window T, from `windows` of explanation.json.

    `detailed` has the size of the trainings in its title.
    """
    figure, axes = new_chart(
        "What a longer window is worth" + (f"\n{training_size(trained)}" if detailed else ""),
        xlabel="window T, steps the gradient travels back",
        ylabel="validation perplexity",
        xscale="log",
    )
    all_windows = set()
    for name, by_window in trained["perplexity"].items():
        values = {int(window): perplexity for window, perplexity in by_window.items()}
        all_windows |= {*values}
        x = sorted(values)
        draw_line(axes, x, [values[window] for window in x], look[name], label=name)
    axes.xaxis.set_major_locator(FixedLocator(sorted(all_windows)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    name_ends(axes)
    return figure


@styled
def agreement(agreement: Mapping[str, Any], look: Looks, *, detailed: bool = False) -> Figure:
    """Draw how often the right form is preferred by distance: `agreement` of explanation.json.

    `detailed` is larger, and shows 95 % intervals.
    """
    figure, axes = new_chart(
        "Agreement over a distance",
        width=8 if detailed else 4.4,
        height=4.8 if detailed else 3.6,
        xlabel="tokens between the form and what it agrees with",
        ylabel="right form preferred (%)",
    )
    rows = pd.DataFrame(agreement["counts"])
    rows = rows[rows["by"] == "distance"]
    bands = [*dict.fromkeys(rows["group"])]
    x = np.arange(len(bands))
    axes.axhline(50, color="black", linewidth=1, linestyle=":")
    for model, mine in rows.groupby("model", sort=False):
        share, low, high = (
            100 * mine.set_index("group")[name].reindex(bands).to_numpy()
            for name in ("share", "low", "high")
        )
        draw_line(axes, x, share, look[str(model)], label=model)
        if detailed:
            axes.vlines(x, low, high, color=look[str(model)][0], linewidth=1, alpha=0.5)
    window = agreement["window"]
    seen = sum(first_distance(band) < window for band in bands) if window else len(bands)
    if seen < len(bands):  # here the feedforward model's window ends
        axes.axvline(seen - 0.5, color="black", linewidth=1, linestyle="--")
    axes.set_xticks(x, [band.replace("-", "–") for band in bands])
    axes.set_ylim(None, 102)
    name_ends(axes)
    return figure


@styled
def word_by_context(context: Mapping[str, Any], look: Looks, *, detailed: bool = False) -> Figure:
    """Draw the probability of a word by the tokens read, from `context` of explanation.json.

    `detailed` has room for a long sentence, and shows whether the word would be suggested.
    """
    place, words = context["place"], context["words"]
    farthest = [BEGIN, *words][place::-1]
    contexts = np.arange(1, place + 2)
    figure, axes = new_chart(
        f"Probability of «{words[place]}», by what is read",
        width=max(6.5, 1.8 + 0.3 * len(contexts)) if detailed else 4.4,
        height=4.6 if detailed else 3.6,
        xlabel="tokens read, and the farthest of them",
        ylabel="probability (%)",
        yscale="log",
    )
    for name, model in context["models"].items():
        percent = 100 * np.array(by_context(model["probabilities"], place))
        draw_line(axes, contexts, percent, look[name], label=name)
        if detailed:
            missed = np.array(by_context(model["ranks"], place)) > _SUGGESTED
            hollow = {"linestyle": "", "markerfacecolor": "white"}
            draw_line(axes, contexts[missed], percent[missed], look[name], **hollow)
    ticks = [f"{number}  {word}" for number, word in zip(contexts, farthest, strict=True)]
    axes.set_xticks(contexts, ticks, rotation=90)
    plain_numbers(axes.yaxis)
    name_ends(axes)
    if detailed:
        dot: dict[str, Any] = {"linestyle": "", "marker": "o", "color": "black"}
        top = Line2D([], [], label=f"among the {_SUGGESTED} most probable tokens", **dot)
        other = Line2D([], [], label="not among them", markerfacecolor="white", **dot)
        axes.legend(handles=[top, other])
    return figure


@styled
def heat_map(name: str, rows: Sequence[Sequence[float]], words: Sequence[str]) -> Figure:
    """Draw each word's probability (columns) by the tokens read (rows): `probabilities`."""
    size = len(words)
    numbered = size <= _NUMBERED
    width, height = (0.62, 0.36) if numbered else (0.4, 0.22)  # inches of a cell
    figure, axes = new_chart(
        f"{name}: probability (%) of each word when only the last 1, 2, 3, … tokens are read",
        width=max(6.5, 1.6 + width * size),
        height=max(3.6, 1.7 + height * size),
        ylabel="tokens that are read",
    )
    scale = LogNorm(_DARKEST, 1, clip=True)
    grid = np.full((size, size), np.nan)
    for number, row in enumerate(rows):
        grid[number, number:] = row
    image = axes.imshow(grid, norm=scale, cmap="cividis", aspect="auto")
    if numbered:
        for (y, x), p in np.ndenumerate(grid):
            if not np.isnan(p):
                color = "black" if scale(p) > 0.5 else "white"
                text = short_percent(p)
                axes.text(x, y, text, color=color, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(size), words, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), [str(k) for k in range(1, size + 1)])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda p, _: f"{100 * p:g} %"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    return figure
