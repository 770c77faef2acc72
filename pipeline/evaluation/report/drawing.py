"""How charts are drawn, and kept.

Each is drawn once and stands twice: as a PNG in figures/, and inside the page as SVG whose ink
follows its light or dark. They are small, so that their words can be read on a phone; lines carry
their name and a mark of their own, for nobody should need the colours, and those of Okabe & Ito
can be told apart by colour-blind people.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pipeline.evaluation.report.wording import label

# On white paper; the page has a lighter one of each on black.
COLORS = ("#0072b2", "#b84a00", "#00755a", "#a2477a", "#6b5b00", "#4b5563")
_MARKERS = "osD^vPX"  # one more than colours: no two of forty models look alike
_STYLE: Any = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "text.parse_math": False,  # «R$» is a word
}
styled = matplotlib.rc_context(_STYLE)
_WIDTH, HEIGHT = 4.4, 3.1  # inches
# Points between two labels, one above the other.
_APART = 11

# Colour and mark of a model.
Look = tuple[str, str]


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A colour and a mark for each model, the same in all charts."""
    return {
        name: (COLORS[number % len(COLORS)], _MARKERS[number % len(_MARKERS)])
        for number, name in enumerate(dict.fromkeys(names))
    }


@styled
def save_png(figure: Figure, path: Path) -> None:
    """Write a chart on white paper."""
    figure.savefig(path, dpi=200, facecolor="white")


@styled
def to_svg(figure: Figure, *, name: str, alt: str) -> str:
    """A chart as an element of a page, which names its colours `--line-0`, `--line-1`, … .

    Args:
        figure: the chart.
        name: of the chart, another one for each of a page.
        alt: what it shows, in words.
    """
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with io.StringIO() as file, matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
        svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"#(000000|262626)", "currentColor", svg)
    for number, color in enumerate(COLORS):
        svg = svg.replace(color, f"var(--line-{number})")
    size = re.search(r'viewBox="[^"]*"', svg)
    assert size
    head = f'<svg role="img" aria-label={quoteattr(alt)} {size[0]}>'
    return re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1)


def new_chart(title: str, *, height: float = HEIGHT, **settings: Any) -> tuple[Figure, Axes]:
    """An empty chart of `height` inches; `settings` are those of its axes."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.set(**settings)
    # Over the names of the ticks, too, where there is the most room.
    figure.suptitle(title, x=0.01, ha="left", fontsize=matplotlib.rcParams["axes.titlesize"])
    return figure, axes


def plain_numbers(axis: Any) -> None:
    """Numbers as people write them on a logarithmic axis, and few of them."""
    low, high = sorted(axis.get_view_interval())
    if high < 4 * low:
        axis.set_major_locator(MaxNLocator(5))
    else:
        steps = (1, 2, 5) if high < 30 * low else (1, 3) if high < 300 * low else (1,)
        axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def name_ends(axes: Axes, lines: Mapping[str, Line2D]) -> None:
    """Write the name of each line beside its last point, names that would meet pushed apart."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    ends = {}
    for name, line in lines.items():
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        drawn = np.flatnonzero(np.isfinite(y) & (y > 0))
        if len(drawn):
            ends[name] = x[drawn[-1]], y[drawn[-1]]
    points = 72 / figure.dpi
    height = {n: points * float(axes.transData.transform(end)[1]) for n, end in ends.items()}
    order = sorted(ends, key=height.__getitem__)
    places = np.array([height[name] for name in order])
    for _ in range(100):
        gaps = np.maximum(0, _APART - np.diff(places)) / 2
        places += np.append(0, gaps) - np.append(gaps, 0)
    for name, place in zip(order, places, strict=True):
        axes.annotate(
            label(name),
            ends[name],
            xytext=(7, place - height[name]),
            textcoords="offset points",
            color=lines[name].get_color(),
            va="center",
            fontsize=9,
        )


def draw_line(axes: Axes, x: Any, y: Any, look: Look, **settings: Any) -> Line2D:
    """Draw a line through points (N,) and (N,) with its colour and mark."""
    color, marker = look
    return axes.plot(x, y, color=color, **{"marker": marker, **settings})[0]
