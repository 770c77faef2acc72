"""Which models an evaluation has, and how they are made of each other."""

import dataclasses
import json
from pathlib import Path
from typing import Literal, Self


@dataclasses.dataclass(frozen=True)
class EvaluatedModel:
    """A model of an evaluation, as models.json describes it.

    Attributes:
        name: key in metrics.json, part of MLflow's metric names.
        label: name in tables and charts.
        kind: of model.
        parts: names of the models that a cache or a mixture is made of.
        digest: of the folder of a network, see `manifest.digest`.
    """

    name: str
    label: str
    kind: Literal["network", "cache", "ngrams", "mixture", "unigram"]
    parts: tuple[str, ...] = ()
    digest: str | None = None

    @classmethod
    def network(cls, name: str, *, digest: str) -> Self:
        """Describe a trained network."""
        return cls(name, name, "network", digest=digest)

    @classmethod
    def ngrams(cls, order: int) -> Self:
        """Describe a Kneser-Ney model."""
        return cls(f"kneser_ney_{order}", f"Kneser-Ney {order}-gram", "ngrams")

    def with_cache(self) -> Self:
        """Describe this model with a continuous cache."""
        name = f"{self.name}_cache"
        return dataclasses.replace(
            self, name=name, label=name, kind="cache", parts=(self.name,), digest=None
        )

    def mixed_with(self, other: Self) -> Self:
        """Describe the interpolation of two models."""
        return type(self)(
            name=f"{self.name}_and_{other.name}",
            label=f"{self.label} + {other.label}",
            kind="mixture",
            parts=(self.name, other.name),
        )


UNIGRAM = EvaluatedModel("unigram", "unigram", "unigram")


def save_models(models: list[EvaluatedModel], folder: Path) -> None:
    """Write models.json: name → label, kind, parts and digest."""
    described = {model.name: dataclasses.asdict(model) for model in models}
    for fields in described.values():
        del fields["name"]
    (folder / "models.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def load_models(folder: Path) -> list[EvaluatedModel]:
    """Read the models.json that `save_models` wrote, the evaluated model first."""
    described = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    return [
        EvaluatedModel(name, **{**fields, "parts": tuple(fields["parts"])})
        for name, fields in described.items()
    ]
