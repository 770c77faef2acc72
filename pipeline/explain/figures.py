"""The figures of `explain`.

Probabilities and gradients differ by powers of ten, so scales are logarithmic. The colours are
those of Okabe & Ito, which colour-blind people can tell apart.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.colors
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.explain.gradient_flow import Reach
from pipeline.explain.truncated_context import Cuts

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"
# Probabilities that have the darkest colour, and smaller ones too.
_LEAST = 1e-4
# Columns of a heat map whose cells have room for numbers.
_NUMBERED = 20
# Letters, at the width of the longest word, that stand side by side below an axis.
_LETTERS = 130
# Ranks that a list of suggestions would show.
_SUGGESTED = 5


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_reach(reaches: Mapping[str, Reach], path: Path) -> None:
    """Draw norms of gradients against t − j, each model's relative to its own at t = j."""
    figure, axes = _figure(8, 4.8)
    for number, (name, reach) in enumerate(reaches.items()):
        color = _COLORS[number % len(_COLORS)]
        two = not np.array_equal(reach.h, reach.state)
        axes.plot([], [], color=color, lw=2, label=f"{name}, by h and c" if two else name)
        unit = reach.h[:, 0]
        there = np.flatnonzero(reach.state.max(axis=0))
        mean = reach.state.mean(axis=0)[there] / unit.mean()
        axes.plot(there, mean, color=color, lw=2)
        median = np.median(reach.state, axis=0)[there] / np.median(unit)
        axes.plot(there, median, "--", color=color, lw=1.2)
        if two:
            mean_of_h = reach.h.mean(axis=0) / unit.mean()
            axes.plot(mean_of_h, ":", color=color, lw=1.5, label=f"{name}, by h alone")
        if there[-1] < reach.state.shape[1] - 1:
            axes.plot(there[-1], mean[-1], "o", color=color)
            axes.annotate(
                f"zero from {there[-1] + 1} steps on",
                (there[-1], mean[-1]),
                xytext=(8, 6),
                textcoords="offset points",
                color=color,
            )
    axes.plot([], [], "-", color="0.3", lw=2, label="mean over predictions")
    axes.plot([], [], "--", color="0.3", lw=1.2, label="median")
    axes.set(
        xlabel="t − j, steps back from the prediction",
        ylabel=r"$\|\partial E_t/\partial s_j\|$ relative to $\|\partial E_t/\partial h_t\|$",
        yscale="log",
        xlim=(0, None),
    )
    axes.set_title("How much of the gradient is left after so many steps back", loc="left")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def draw_windows(perplexities: Mapping[str, Mapping[int, float]], budget: str, path: Path) -> None:
    """Draw validation perplexity against the window T.

    Args:
        perplexities: cell → T → perplexity.
        budget: what each training may read, in words.
        path: a PNG.
    """
    figure, axes = _figure(7, 4.4)
    for number, (name, values) in enumerate(perplexities.items()):
        windows = sorted(values)
        axes.plot(
            windows,
            [values[window] for window in windows],
            color=_COLORS[number % len(_COLORS)],
            marker=_MARKERS[number % len(_MARKERS)],
            label=name,
            lw=2,
        )
    axes.set(xlabel="window T, steps the gradient travels back", xscale="log")
    axes.set_ylabel("validation perplexity")
    axes.xaxis.set_major_locator(
        matplotlib.ticker.FixedLocator(sorted({w for v in perplexities.values() for w in v}))
    )
    axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%d"))
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_title(f"What a longer window is worth\n{budget}", loc="left", fontsize=11)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def _percent(p: float) -> str:
    if p < 1e-4:
        return "<.01"
    return f"{100 * p:.0f}" if p >= 0.095 else f"{100 * p:.2g}"


def draw_cuts(name: str, cuts: Cuts, words: Sequence[str], path: Path) -> None:
    """Draw each word's probability (columns) by the words of context that are read (rows).

    Args:
        name: of the model.
        cuts: its predictions.
        words: the N tokens of the sentence, as they are to be shown.
        path: a PNG.
    """
    size = len(words)
    numbered = size <= _NUMBERED
    width, height = (0.62, 0.36) if numbered else (0.4, 0.22)  # inches of a cell
    figure, axes = _figure(max(6.5, 1.6 + width * size), max(3.6, 1.7 + height * size))
    scale = matplotlib.colors.LogNorm(_LEAST, 1, clip=True)
    image = axes.imshow(cuts.probabilities, norm=scale, cmap="cividis", aspect="auto")
    if numbered:
        for (row, column), p in np.ndenumerate(cuts.probabilities):
            if not np.isnan(p):
                bright = scale(max(p, _LEAST)) > 0.5
                color = "black" if bright else "white"
                axes.text(
                    column, row, _percent(p), color=color, ha="center", va="center", fontsize=8
                )
    axes.set_xticks(
        range(size), words, rotation=40, ha="right", rotation_mode="anchor", parse_math=False
    )
    axes.set_yticks(range(size), [str(k) for k in range(1, size + 1)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("tokens that are read")
    title = f"{name}: probability (%) of each word when only the last 1, 2, 3, … tokens are read"
    axes.set_title(title, loc="left", fontsize=11)
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda p, _: f"{100 * p:g} %"))
    bar.ax.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    figure.savefig(path, dpi=150)


def draw_word(all_cuts: Mapping[str, Cuts], words: Sequence[str], place: int, path: Path) -> None:
    """Draw the probability of one word against the words of context that are read.

    Args:
        all_cuts: model → its predictions.
        words: the N tokens of the sentence, as they are to be shown, and before them `<s>`.
        place: which of the N tokens is drawn.
        path: a PNG.
    """
    contexts = np.arange(1, place + 2)
    added = words[place::-1]  # from the word before it to <s>, which is words[0]
    upright = max(map(len, added)) * len(contexts) > _LETTERS
    figure, axes = _figure(max(6.5, 1.8 + (0.3 if upright else 0.7) * len(contexts)), 4.6)
    for number, (name, cuts) in enumerate(all_cuts.items()):
        p = 100 * cuts.probabilities[: place + 1, place]
        color, marker = _COLORS[number % len(_COLORS)], _MARKERS[number % len(_MARKERS)]
        axes.plot(contexts, p, color=color, lw=2, label=name)
        suggested = cuts.ranks[: place + 1, place] <= _SUGGESTED
        for where, face in ((suggested, color), (~suggested, "white")):
            axes.plot(
                contexts[where], p[where], marker, color=color, markerfacecolor=face, markersize=7
            )
    axes.plot([], [], "ko", label=f"among the {_SUGGESTED} most probable tokens")
    axes.plot([], [], "ko", markerfacecolor="white", label="not among them")
    if upright:
        labels = [f"{word}  {k}" for k, word in zip(contexts, added, strict=True)]
    else:
        labels = [f"{k}\n{word}" for k, word in zip(contexts, added, strict=True)]
    axes.set_xticks(contexts, labels, rotation=90 if upright else 0, parse_math=False)
    axes.set(
        xlabel="tokens that are read, and the first of them",
        ylabel="probability (%)",
        yscale="log",
    )
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    title = f"Probability of «{words[place + 1]}» when only the last 1, 2, 3, … tokens are read"
    axes.set_title(title, loc="left", parse_math=False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
