"""How charts are drawn and saved.

A chart is a PNG in figures/ or an SVG in the page, whose ink follows the page's light or dark
scheme. Charts are small, to be legible on a phone. Lines are told apart by name and marker, not
by colour alone; the colours are Okabe & Ito's, darker, for colour-blind readers.
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
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from pipeline.evaluation.report.language import Language

# For white paper; the page replaces each by a lighter one on black.
COLORS = ("#0072b2", "#b84a00", "#00755a", "#a2477a", "#6b5b00", "#4b5563")
_MARKERS = "osD^vPX"  # one more than colours, so that 42 models look different
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
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "text.parse_math": False,  # «R$» is a word
}
styled = matplotlib.rc_context(_STYLE)
_LABEL_HEIGHT = 11  # points

# Colour and marker of a model, and of all models.
Look = tuple[str, str]
Looks = Mapping[str, Look]


def looks(names: Sequence[str]) -> Looks:
    """Assign a colour and a marker to each model, the same in all charts."""
    return {
        name: (COLORS[number % len(COLORS)], _MARKERS[number % len(_MARKERS)])
        for number, name in enumerate(dict.fromkeys(names))
    }


@styled
def save_png(figure: Figure, path: Path) -> None:
    """Save a chart on white paper."""
    figure.savefig(path, dpi=200, facecolor="white")


@styled
def to_svg(figure: Figure, *, name: str, alt: str) -> str:
    """Convert a chart, named uniquely in its page, to an SVG element; `alt` says what it shows.

    Its colours are the CSS variables `--line-0`, `--line-1`, ….
    """
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with io.StringIO() as file, matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
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
    label = quoteattr(f"{figure.get_suptitle()}. {alt}")
    head = f'<svg role="img" aria-label={label} {size[0]}>'
    return re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1)


def new_chart(
    title: str, *, width: float = 4.4, height: float = 3.1, **settings: Any
) -> tuple[Figure, Axes]:
    """Create an empty chart; sizes are in inches, `settings` are those of its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set(**settings)
    # A title of the figure may start left of the axes, above the tick labels.
    figure.suptitle(title, x=0.01, ha="left", fontsize=matplotlib.rcParams["axes.titlesize"])
    return figure, axes


def plain_numbers(axis: Any, language: Language) -> None:
    """Label a logarithmic axis with few, plainly written numbers."""
    low, high = sorted(axis.get_view_interval())
    if high < 4 * low:
        axis.set_major_locator(MaxNLocator(5))
    else:
        steps = (1, 2, 5) if high < 30 * low else (1, 3) if high < 300 * low else (1,)
        axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(lambda value, _: language.plain_number(value))
    axis.set_minor_locator(NullLocator())


def draw_line(axes: Axes, x: Any, y: Any, look: Look, **settings: Any) -> None:
    """Draw a line through points (N,) and (N,) with a model's colour and marker."""
    color, marker = look
    axes.plot(x, y, **{"color": color, "marker": marker, **settings})


def name_ends(axes: Axes) -> None:
    """Write the label of each labelled line beside its last point, moved apart where they touch.

    Call it last: it depends on the limits of the axes.
    """
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    ends = []
    # Matplotlib labels the other lines _child0, _child1, ….
    for line in (line for line in axes.lines if not str(line.get_label()).startswith("_")):
        points = np.asarray(line.get_xydata())
        drawn = points[np.isfinite(points).all(axis=1) & (points[:, 1] > 0)]
        if len(drawn):
            height = axes.transData.transform(drawn[-1])[1] * 72 / figure.dpi  # points
            ends.append((height, drawn[-1], line))
    ends.sort(key=lambda end: end[0])
    heights = np.array([height for height, *_ in ends])
    places = heights.copy()
    for _ in range(100):
        gaps = np.maximum(0, _LABEL_HEIGHT - np.diff(places)) / 2
        places += np.append(0, gaps) - np.append(gaps, 0)
    for (_, end, line), shift in zip(ends, places - heights, strict=True):
        axes.annotate(
            str(line.get_label()),
            end,
            xytext=(7, shift),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
            fontsize=9,
        )
    # Beside narrower axes the labels end elsewhere, so the layout is computed again.
    figure.draw_without_rendering()
