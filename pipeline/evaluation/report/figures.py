"""The charts of `evaluate` and `explain`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from pipeline.evaluation.report.drawing import (
    Looks,
    draw_line,
    name_ends,
    new_chart,
    plain_numbers,
    styled,
)
from pipeline.evaluation.report.explanation import by_context
from pipeline.evaluation.report.language import FAINTEST, Language
from pipeline.evaluation.report.wording import power, training_size
from pipeline.text.vocabulary import BEGIN

# Tokens below which a point of the calibration chart is left out as noise.
ENOUGH = 20
# Columns of a heat map whose cells have room for numbers.
_NUMBERED = 20
# Ranks that a list of suggestions would show.
_SUGGESTED = 5
_DASHED: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2}
_DOTTED: dict[str, Any] = {"linestyle": ":", "linewidth": 1.5}


@styled
def learning_curves(
    histories: Mapping[str, pd.DataFrame], look: Looks, language: Language
) -> Figure:
    """Draw training and validation perplexity by epoch, from rows of history.csv."""
    _ = language.gettext
    title = _("Perplexity after each epoch")
    figure, axes = new_chart(title, xlabel=_("epoch"), ylabel=_("perplexity"), yscale="log")
    for name, history in histories.items():
        epochs, perplexity = history["epoch"], history["valid_perplexity"]
        draw_line(axes, epochs, perplexity, look[name], label=name)
        draw_line(axes, epochs, history["train_perplexity"], look[name], marker="", **_DASHED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain_numbers(axes.yaxis, language)
    name_ends(axes)
    validation = Line2D([], [], marker="o", color="black", label=_("validation"))
    training = Line2D([], [], color="black", label=_("training"), **_DASHED)
    axes.legend(handles=[validation, training])
    return figure


@styled
def intervals(
    models: Mapping[str, Mapping[str, float]],
    metric: str,
    look: Looks,
    language: Language,
    *,
    title: str,
) -> Figure:
    """Draw a metric of several models with its 95 % interval; shares are drawn in percent."""
    share = metric != "perplexity"
    figure, axes = new_chart(title, height=0.85 + 0.36 * len(models))
    if not share:
        axes.set_xscale("log")
    for number, (name, values) in enumerate(models.items()):
        color, marker = look[name]
        ends = [values.get(f"{metric}_{end}", values[metric]) for end in ("low", "high")]
        axes.plot(ends, [number, number], color=color, solid_capstyle="butt", linewidth=3)
        axes.plot(values[metric], number, marker, color=color, markersize=7)
        axes.annotate(
            (language.percent if share else language.number)(values[metric]),
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
        axes.xaxis.set_major_formatter(lambda x, _: f"{language.plain_number(100 * x)}%")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    else:
        plain_numbers(axes.xaxis, language)
    return figure


@styled
def groups(table: pd.DataFrame, column: str, look: Looks, language: Language) -> Figure:
    """Draw perplexity by a column of frequency.csv or positions.csv, from rows of one split."""
    _ = language.gettext
    title, xlabel = {
        "rank": (_("By how frequent the target is"), _("its rank in training")),
        "part": (_("By the part of a document"), _("fifth of a document")),
    }[column]
    figure, axes = new_chart(title, xlabel=xlabel, ylabel=_("perplexity"), yscale="log")
    names = list(dict.fromkeys(table[column]))
    for model, rows in table.groupby("model", sort=False):
        values = rows.set_index(column)["perplexity"].reindex(names)
        # Unknown words have no rank, so no line leads to them.
        unknown = values.index == "unknown"
        draw_line(axes, range(len(names)), values.mask(unknown), look[str(model)], label=model)
        draw_line(axes, range(len(names)), values.where(unknown), look[str(model)])
    tokens = table.groupby(column, sort=False)["tokens"].first().reindex(names)
    shares = [language.percent(share, 0) for share in tokens / tokens.sum()]
    ticks = [f"{_short(n, language)}\n{s}" for n, s in zip(names, shares, strict=True)]
    axes.set_xticks(range(len(names)), ticks, fontsize=8)
    plain_numbers(axes.yaxis, language)
    name_ends(axes)
    return figure


def _short(name: Any, language: Language) -> str:
    """Shorten a band of ranks: 1001-10000 → 1k–10k."""
    if name == "unknown":
        return language.gettext("unknown")
    return re.sub(r"(\d+)00[01]\b", r"\1k", str(name)).replace("-", "–")


@styled
def calibration(table: pd.DataFrame, look: Looks, language: Language) -> Figure:
    """Draw how often the most probable token is right by its p, from rows of calibration.csv."""
    _ = language.gettext
    figure, axes = new_chart(
        _("Does 30%% mean 30%%?"),
        xlabel=_("probability of the likeliest token (%%)"),
        ylabel=_("how often it is right (%%)"),
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
    flows: Mapping[str, Mapping[str, Any]],
    look: Looks,
    language: Language,
    *,
    detailed: bool = False,
) -> Figure:
    """Draw the share of the gradient that is left after some steps back.

    Args:
        flows: `reach` of explanation.json.
        look: colour and marker of each model.
        language: of the labels.
        detailed: on a larger chart, add medians, and the gradient of LSTMs by h alone.
    """
    _ = language.gettext
    figure, axes = new_chart(
        _("The reach of the gradient"),
        width=8 if detailed else 4.4,
        height=4.8 if detailed else 3.1,
        xlabel=_("steps back from the prediction, t − j"),
        ylabel=_("share of the gradient that is left"),
        yscale="log",
    )
    lowest = 1.0
    for name, flow in flows.items():
        h, state = flow["h"], flow["state"]
        steps, share = _relative(state["mean"], h["mean"][0])
        lowest = min(lowest, share[-1])
        zero = detailed and steps[-1] < len(state["mean"]) - 1
        label = _("%(name)s, zero from step %(step)s on", name=name, step=int(steps[-1]) + 1)
        draw_line(axes, steps, share, look[name], markevery=[-1], label=label if zero else name)
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
        lambda y, _: language.plain_number(y) if y >= 1e-3 else power(y)[2:]
    )
    name_ends(axes)
    if detailed:
        norms = [rf"$\|\partial E_t/\partial {of}\|$" for of in ("s_j", "h_t")]
        formula = _("%(state)s relative to %(output)s", state=norms[0], output=norms[1])
        axes.set_ylabel(formula, parse_math=True)
        styles = {
            _("mean"): {},
            _("median"): _DASHED,
            _("mean, of an LSTM by h without c"): _DOTTED,
        }
        lines = [Line2D([], [], color="0.3", label=n, **style) for n, style in styles.items()]
        axes.legend(handles=lines)
    return figure


def _relative(norms: Sequence[float], unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps back with a gradient, which a logarithmic axis can show, and its share."""
    steps = np.flatnonzero(norms)
    return steps, np.array(norms)[steps] / unit


@styled
def windows(
    trained: Mapping[str, Any], look: Looks, language: Language, *, detailed: bool = False
) -> Figure:
    """Draw perplexity by the window T, from `windows` of explanation.json.

    `detailed` has the size of the trainings in its title.
    """
    _ = language.gettext
    title = _("What a longer window is worth")
    figure, axes = new_chart(
        f"{title}\n{training_size(trained, language)}" if detailed else title,
        xlabel=_("window T, steps the gradient travels back"),
        ylabel=_("validation perplexity"),
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
    axes.yaxis.set_major_formatter(lambda value, _: language.plain_number(value))
    name_ends(axes)
    return figure


@styled
def word_by_context(
    context: Mapping[str, Any], look: Looks, language: Language, *, detailed: bool = False
) -> Figure:
    """Draw the probability of a word by the tokens read, from `context` of explanation.json.

    `detailed` has room for a long sentence, and shows whether the word would be suggested.
    """
    _ = language.gettext
    place, words = context["place"], context["words"]
    farthest = [BEGIN, *words][place::-1]
    contexts = np.arange(1, place + 2)
    figure, axes = new_chart(
        _("Probability of «%(word)s», by what is read", word=words[place]),
        width=max(6.5, 1.8 + 0.3 * len(contexts)) if detailed else 4.4,
        height=4.6 if detailed else 3.6,
        xlabel=_("tokens read, and the farthest of them"),
        ylabel=_("probability (%%)"),
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
    plain_numbers(axes.yaxis, language)
    name_ends(axes)
    if detailed:
        dot: dict[str, Any] = {"linestyle": "", "marker": "o", "color": "black"}
        most = _("among the %(count)s most probable tokens", count=_SUGGESTED)
        top = Line2D([], [], label=most, **dot)
        other = Line2D([], [], label=_("not among them"), markerfacecolor="white", **dot)
        axes.legend(handles=[top, other])
    return figure


@styled
def heat_map(
    name: str, rows: Sequence[Sequence[float]], words: Sequence[str], language: Language
) -> Figure:
    """Draw each word's probability (columns) by the tokens read (rows): `probabilities`."""
    _ = language.gettext
    size = len(words)
    numbered = size <= _NUMBERED
    width, height = (0.62, 0.36) if numbered else (0.4, 0.22)  # inches of a cell
    figure, axes = new_chart(
        _(
            "%(name)s: probability (%%) of each word when only the last 1, 2, 3, … tokens are read",
            name=name,
        ),
        width=max(6.5, 1.6 + width * size),
        height=max(3.6, 1.7 + height * size),
        ylabel=_("tokens that are read"),
    )
    scale = LogNorm(FAINTEST, 1, clip=True)
    grid = np.full((size, size), np.nan)
    for number, row in enumerate(rows):
        grid[number, number:] = row
    image = axes.imshow(grid, norm=scale, cmap="cividis", aspect="auto")
    if numbered:
        for (y, x), p in np.ndenumerate(grid):
            if not np.isnan(p):
                color = "black" if scale(p) > 0.5 else "white"
                text = language.short_percent(p)
                axes.text(x, y, text, color=color, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(size), words, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), [str(k) for k in range(1, size + 1)])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(lambda p, _: f"{language.plain_number(100 * p)}%")
    bar.ax.yaxis.set_minor_locator(NullLocator())
    return figure
