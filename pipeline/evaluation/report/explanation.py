"""The section of the report that shows what `explain` has found: what models remember."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pipeline import InputError
from pipeline.evaluation.report import conclusions, figures
from pipeline.evaluation.report.drawing import Look
from pipeline.text.vocabulary import BEGIN

# Probabilities that have no colour in a heat map, and smaller ones neither; the most colour that
# numbers can be read on.
_FAINTEST, _DEEPEST = 1e-4, 0.55


@dataclasses.dataclass(frozen=True)
class Explanation:
    """explanation.json, as the page shows it.

    Attributes:
        models: name → digest of the folder of each model.
        said: sentences for each of the charts "reach", "windows" and "cuts".
        budget: what each training of `windows` could read; nothing where there was none.
        sentence, words: that were cut, and its tokens.
        heat: model → a row for each length of context → p of each word; None where there is not
            so much context.
    """

    models: dict[str, str]
    said: dict[str, list[str]]
    budget: str
    sentence: str
    words: list[str]
    heat: dict[str, list[list[float | None]]]
    _found: Mapping[str, Any] = dataclasses.field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> "Explanation":
        """Read the folder that `explain` wrote.

        Raises:
            InputError: it has not.
        """
        path = folder / "explanation.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            context, trained = found["context"], found["windows"]
            budget = ""
            if trained:
                budget = (
                    f"{trained['epochs']} epochs of {trained['training_tokens']:,} tokens each, "
                    f"{trained['tokens_of_an_update']:,} an update."
                )
            return cls(
                models=dict(found["models"]),
                said={
                    "reach": conclusions.of_reach(found["reach"]),
                    "windows": conclusions.of_windows(trained["perplexity"] if trained else {}),
                    "cuts": conclusions.of_cuts(context),
                },
                budget=budget,
                sentence=context["sentence"],
                words=context["words"],
                heat={
                    name: [[None] * k + row for k, row in enumerate(model["probabilities"])]
                    for name, model in context["models"].items()
                },
                _found=found,
            )
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"No explanation can be read from {path}: run `nextword explain` first."
            ) from error

    def charts(self, look: Mapping[str, Look]) -> dict[str, Figure]:
        """The charts by name."""
        context, trained = self._found["context"], self._found["windows"]
        place = context["place"]
        of_word = {
            name: [row[place] or 0.0 for row in rows[: place + 1]]
            for name, rows in self.heat.items()
        }
        farthest = [BEGIN, *context["words"]][place::-1]
        charts = {
            "reach": figures.reach(self._found["reach"], look),
            "cuts": figures.cuts(of_word, farthest, look, word=context["words"][place]),
        }
        if trained:
            charts["windows"] = figures.windows(trained["perplexity"], look)
        return charts


def shade(p: float) -> float:
    """How deep the colour of a probability is in a heat map."""
    if p <= _FAINTEST:
        return 0.0
    return _DEEPEST * (1 - math.log(p) / math.log(_FAINTEST))


def cell(p: float) -> str:
    """A probability in the little room of a heat map, in percent."""
    if p < _FAINTEST:
        return "<.01"
    return f"{100 * p:.0f}" if p >= 0.095 else f"{100 * p:.2g}"
