"""Which models an evaluation has, and how they are made of each other."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self


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
    """Read what `save_models` wrote."""
    fields = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    return [EvaluatedModel(**{**model, "parts": tuple(model["parts"])}) for model in fields]
