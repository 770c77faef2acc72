"""The models of an evaluation, how they are made of each other, and their metrics."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pipeline import InputError
from pipeline.limits import read_json

# Of metrics.json: split → name of a model → metric → value; what a model does not have is absent.
Metrics = Mapping[str, Mapping[str, Mapping[str, float]]]
_NONE = "No evaluation is in {}: run `nextword evaluate` first, or name the folder that it wrote."


@dataclasses.dataclass(frozen=True)
class EvaluatedModel:
    """A model of an evaluation, as models.json describes it.

    Attributes:
        name: key in metrics.json, part of MLflow's metric names.
        label: name in tables and charts.
        kind: of model.
        parts: names of the models that a cached, dynamic or mixed one is made of.
        digest: of a network's folder, see `manifest.digest`.
    """

    name: str
    label: str
    kind: Literal["network", "cache", "dynamic", "ngrams", "mixture", "unigram"]
    parts: Sequence[str] = ()
    digest: str | None = None

    def mixed_with(self, other: Self) -> "EvaluatedModel":
        """Describe the interpolation of two models."""
        name, label = f"{self.name}_and_{other.name}", f"{self.label} + {other.label}"
        return EvaluatedModel(name, label, "mixture", (self.name, other.name))


def save_models(models: Sequence[EvaluatedModel], folder: Path) -> None:
    """Write models.json, a list with the evaluated model first."""
    fields = [dataclasses.asdict(model) for model in models]
    (folder / "models.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def load_models(folder: Path) -> list[EvaluatedModel]:
    """Read what `save_models` wrote.

    Raises:
        InputError: there is no evaluation in the folder, or it is damaged.
    """
    fields = read_json(folder / "models.json", unreadable=_NONE.format(folder))
    try:
        models = [EvaluatedModel(**{**model, "parts": tuple(model["parts"])}) for model in fields]
    except (TypeError, KeyError) as error:
        raise InputError(_NONE.format(folder)) from error
    if not models:
        raise InputError(_NONE.format(folder))
    return models


def save_metrics(metrics: Metrics, folder: Path) -> None:
    """Write metrics.json."""
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def load_metrics(folder: Path) -> Metrics:
    """Read what `save_metrics` wrote.

    Raises:
        InputError: there is no evaluation in the folder, or it is damaged.
    """
    metrics = read_json(folder / "metrics.json", unreadable=_NONE.format(folder))
    try:
        values = [v for models in metrics.values() for row in models.values() for v in row.values()]
    except AttributeError as error:
        raise InputError(_NONE.format(folder)) from error
    if not all(isinstance(value, int | float) for value in values):
        raise InputError(_NONE.format(folder))
    return metrics
