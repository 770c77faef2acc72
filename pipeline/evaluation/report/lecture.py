"""The lecture's sums, drawn: the terms of backpropagation through time, and where it is cut."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pipeline.evaluation.report.drawing import COLORS, Looks, draw_line, new_chart, styled
from pipeline.evaluation.report.language import Language
from pipeline.text.vocabulary import BEGIN
from pipeline.tokens.windows import NO_TARGET, Window

# Steps T of truncated BPTT that are compared with the whole sum.
_TRUNCATIONS = (1, 5, 35)


@styled
def unrolled(
    gradients: Mapping[str, Any], context: Mapping[str, Any], look: Looks, language: Language
) -> Figure:
    """Draw what each step adds to the gradient of a sentence's last word.

    Args:
        gradients: `unrolled` of explanation.json.
        context: the sentence, of explanation.json.
        look: colour and marker of each model.
        language: of the labels.
    """
    place, words = context["place"], context["words"]
    read = [BEGIN, *words][: place + 1]
    figure = Figure(figsize=(4.4, 1.1 + 0.2 * len(read)), layout="constrained")
    title = language.gettext("What each step adds to the gradient of «%(word)s»", word=words[place])
    figure.suptitle(title, x=0.01, ha="left", fontsize=matplotlib.rcParams["axes.titlesize"])
    panels = figure.subplots(1, len(gradients), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, gradient) in zip(panels, gradients.items(), strict=True):
        color, _ = look[name]
        axes.barh(range(len(read)), [100 * s for s in gradient["shares"]], color=color, height=0.7)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_title(name, color=color)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_formatter(lambda x, _: f"{language.plain_number(x)}%")
        for cut in (cut for cut in _TRUNCATIONS if cut < len(read)):
            axes.axhline(len(read) - cut - 0.5, color="black", linewidth=1, linestyle=":")
    for cut in (cut for cut in _TRUNCATIONS if cut < len(read)):
        end = (1, len(read) - cut - 0.5)
        axes.annotate(
            f" T = {cut}", end, xycoords=axes.get_yaxis_transform(), va="center", fontsize=8
        )
    panels[0].set_yticks(range(len(read)), read)
    panels[0].set_ylim(len(read) - 0.5, -0.5)
    return figure


@styled
def left_out(gradients: Mapping[str, Any], look: Looks, language: Language) -> Figure:
    """Draw the share of a gradient that truncated BPTT leaves out by T, from `unrolled`."""
    _ = language.gettext
    figure, axes = new_chart(
        _("What truncation leaves out"),
        xlabel=_("window T, steps the gradient travels back"),
        ylabel=_("share of the gradient left out"),
    )
    for name, gradient in gradients.items():
        shares = [100 * share for share in gradient["left_out"]]
        marked = [cut - 1 for cut in _TRUNCATIONS if cut <= len(shares)]
        steps = range(1, len(shares) + 1)
        draw_line(axes, steps, shares, look[name], label=name, markevery=marked)
    axes.set_ylim(0, None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda y, _: f"{language.plain_number(y)}%")
    axes.legend()
    return figure


@styled
def lanes_and_windows(
    batches: Sequence[Window], tokens: Sequence[str], language: Language
) -> Figure:
    """Draw the windows of an epoch: what is read, below it what is predicted, and the state.

    Args:
        batches: windows that do not overlap, of a short text.
        tokens: of the vocabulary, in id order.
        language: of the labels.
    """
    lanes, window = batches[0].x.shape
    gap = 0.8  # steps
    pitch = window + gap
    width = pitch * len(batches)
    figure = Figure(figsize=(0.3 + 0.85 * width, 0.5 + 0.75 * lanes), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-gap, width - gap + 0.05), ylim=(lanes, -0.55))
    axes.set_axis_off()
    _ = language.gettext
    color, other = COLORS[:2]
    for number, batch in enumerate(batches):
        first = pitch * number
        axes.text(first + window / 2, -0.3, _("window %(number)s", number=number + 1), ha="center")
        if number:
            axes.vlines(first - gap / 2, -0.15, lanes, color=other, linestyle=":")
            axes.text(first - gap / 2, -0.3, _("gradient stops"), color=other, ha="center")
        for lane in range(lanes):
            box = Rectangle((first, lane), window, 0.75, fill=False, edgecolor=color, linewidth=1.5)
            axes.add_patch(box)
            axes.annotate(
                "", (first, lane + 0.37), (first - gap, lane + 0.37), color=color,
                arrowprops={"arrowstyle": "->", "color": color},
            )  # fmt: skip
            axes.text(first - gap / 4, lane + 0.25, "h", color=color, ha="center")
        for lane, step in np.argwhere(batch.y != NO_TARGET):
            x, y = tokens[batch.x[lane, step]], tokens[batch.y[lane, step]]
            place = first + step + 0.5
            axes.text(place, lane + 0.3, x, ha="center", weight="bold")
            axes.text(place, lane + 0.62, y, ha="center", color=other, fontsize=8.5)
    return figure


def of_unrolled(
    gradients: Mapping[str, Any], context: Mapping[str, Any], language: Language
) -> list[str]:
    """Say how much the last step adds to the gradient, and what each truncation leaves out."""
    _, percent, place = language.gettext, language.percent, context["place"]
    target, last = context["words"][place], [BEGIN, *context["words"]][place]
    sentences = []
    for name, gradient in gradients.items():
        share = percent(gradient["shares"][-1])
        sentence = _(
            "In %(name)s %(share)s of the gradient of «%(target)s» is the term of the last step, "
            "which reads «%(last)s».",
            name=name,
            share=share,
            target=target,
            last=last,
        )
        shares = [
            _("%(share)s with T = %(cut)s", share=percent(gradient["left_out"][cut - 1]), cut=cut)
            for cut in _TRUNCATIONS
            if cut <= place
        ]
        if shares:
            shares_in_words = language.join(shares)
            sentence += " " + _("Truncation leaves out %(shares)s.", shares=shares_in_words)
        sentences.append(sentence)
    if whole := [str(cut) for cut in _TRUNCATIONS if cut > place]:
        steps = language.ngettext("%(num)s step", "%(num)s steps", place + 1)
        cuts = language.join(whole)
        sentences.append(
            _("T = %(cuts)s leaves out nothing of the %(steps)s there are.", cuts=cuts, steps=steps)
        )
    return sentences
