"""What `explain` wrote, for the report, and what it means in sentences."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pipeline import InputError
from pipeline.evaluation.report.language import Language
from pipeline.evaluation.report.wording import power
from pipeline.limits import read_json


@dataclasses.dataclass(frozen=True)
class Explanation:
    """explanation.json.

    Attributes:
        models: name → digest of the model's folder.
        reach: name → norms of gradients by the number of steps back.
        unrolled: recurrent models' shares of each step in the gradient of a word, and what
            truncation leaves out of it.
        windows: perplexity by cell and window T, and the size of these trainings; None without.
        agreement: how often each model prefers the right form of minimal pairs; None without.
        context: a sentence, and each model's predictions from truncated contexts.
    """

    models: Mapping[str, str]
    reach: Mapping[str, Any]
    unrolled: Mapping[str, Any]
    windows: Mapping[str, Any] | None
    context: Mapping[str, Any]
    agreement: Mapping[str, Any] | None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the folder that `explain` wrote.

        Raises:
            InputError: there is no explanation.json, or it is not one.
        """
        path = folder / "explanation.json"
        unreadable = f"{path} holds no explanation: run `nextword explain` first."
        fields = read_json(path, unreadable=unreadable)
        try:
            return cls(**fields)
        except TypeError as error:
            raise InputError(unreadable) from error


def by_context(rows: Sequence[Sequence[Any]], place: int) -> list[Any]:
    """Select the entries of the token at a place, from the shortest context to the longest.

    In explanation.json, row k is for contexts of k + 1 tokens, and begins with the k-th token.
    """
    return [row[place - k] for k, row in enumerate(rows[: place + 1])]


def of_gradient_flow(flows: Mapping[str, Any], language: Language) -> list[str]:
    """Say after how many steps back less than 1 % of each model's gradient is left."""
    _ = language.gettext

    def steps(number: int) -> str:
        return language.ngettext("%(num)s step", "%(num)s steps", number)

    sentences = []
    for name, flow in flows.items():
        mean, vanished = flow["state"]["mean"], flow["vanished_after"]
        last = steps(len(mean) - 1)
        zero = max((step + 1 for step, value in enumerate(mean) if value), default=0)
        if zero < len(mean):
            text = _(
                "The gradient of %(name)s is zero from %(steps)s back on.",
                name=name,
                steps=steps(zero),
            )
        elif vanished is None:
            text = _(
                "After %(steps)s back more than 1%% of the gradient of %(name)s is left.",
                steps=last,
                name=name,
            )
        else:
            text = _(
                "Less than 1%% of the gradient of %(name)s is left from %(steps)s back on, and "
                "%(left)s after %(last)s.",
                name=name,
                steps=steps(vanished),
                left=power(mean[-1] / flow["h"]["mean"][0]),
                last=last,
            )
        sentences.append(text)
    return sentences


def of_windows(perplexities: Mapping[str, Mapping[str, float]], language: Language) -> list[str]:
    """Compare the best window of each cell with the shortest."""
    sentences = []
    for cell, values in perplexities.items():
        shortest, best = min(values, key=int), min(values, key=values.__getitem__)
        sentences.append(
            language.gettext(
                "%(cell)s has perplexity %(first)s with T = %(shortest)s, and %(lowest)s with "
                "T = %(best)s, its best.",
                cell=cell,
                first=language.number(values[shortest]),
                shortest=shortest,
                lowest=language.number(values[best]),
                best=best,
            )
        )
    return sentences


def of_context(context: Mapping[str, Any], language: Language) -> list[str]:
    """Say how much of a sentence each model must read to suggest its last word."""
    _ = language.gettext
    place, sentences = context["place"], []
    for name, model in context["models"].items():
        ranks = by_context(model["ranks"], place)
        p = by_context(model["probabilities"], place)
        missed = [k for k, rank in enumerate(ranks) if rank > 3]
        needed = missed[-1] + 2 if missed else 1
        if needed > len(ranks):
            verdict = _(
                "it does not have it among its three most probable tokens (rank %(rank)s)",
                rank=language.number(ranks[-1], 0),
            )
        else:
            verdict = _(
                "it has it among its three most probable tokens once it reads %(tokens)s",
                tokens=language.ngettext("%(num)s token", "%(num)s tokens", needed),
            )
        sentences.append(
            _(
                "%(name)s gives «%(word)s» %(first)s after one token and %(last)s after all "
                "%(count)s; %(verdict)s.",
                name=name,
                word=context["words"][place],
                first=language.chance(p[0]),
                last=language.chance(p[-1]),
                count=len(p),
                verdict=verdict,
            )
        )
    return sentences
