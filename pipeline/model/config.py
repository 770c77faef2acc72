"""What a model is made of."""

import dataclasses
import json
import reprlib
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

from pipeline import InputError
from pipeline.config import option
from pipeline.limits import read_json

Cell = Literal["lstm", "gru", "simple_rnn", "feedforward"]
Softmax = Literal["full", "adaptive"]
# What layers compute in; their weights, the softmax and the loss are float32 in all of them.
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What a model is made of; saved beside its weights as model.json."""

    cell: Cell = option(
        "lstm", "The recurrence f₁; feedforward sees the last --context words only."
    )
    embedding: int = option(192, "Length of a word's vector.", min=1)
    units: int = option(384, "Units of a layer.", min=1)
    layers: int = option(1, "Recurrent layers.", min=1)
    # Melis et al. 2020. Only an LSTM has it.
    mogrifier: int = option(
        2, "Rounds in which an LSTM's input and state gate each other before each step.", min=0
    )
    # Before and after every layer (Zaremba et al. 2014).
    dropout: float = option(
        0.05, "Share of activations dropped in training.", min=0, max=1, max_open=True
    )
    # Gal & Ghahramani 2016; §4.2 for whole words.
    variational: bool = option(False, "Drop the same activations at all steps of a window.")
    word_dropout: float = option(
        0.0,
        "Share of the words whose vectors are dropped for a window.",
        min=0,
        max=1,
        max_open=True,
    )
    # DropConnect; Merity et al. 2018, §2.
    weight_dropout: float = option(
        0.0, "Share of the recurrent weights dropped for a window.", min=0, max=1, max_open=True
    )
    # Press & Wolf 2017; Inan et al. 2017.
    tied: bool = option(True, "Use the embedding as output weights too.")
    # Grave et al. 2017; if it is tied, its clusters are, too (Baevski & Auli 2019).
    softmax: Softmax = option(
        "full",
        "Over all words at once (full), or in clusters (adaptive): faster from 50,000 words on.",
    )
    # Bengio et al. 2003.
    context: int = option(5, "Words that a feedforward model sees.", min=1)
    vocabulary_size: int = 0  # V; `train` sets it from the vocabulary

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: there is no such model.
        """
        unreadable = f"No trained model is described by {path}: run `nextword train` first."
        values = read_json(path, unreadable=unreadable)
        try:
            # An earlier nextword left out what its models did not have.
            config = cls(**{"mogrifier": 0, **values, "vocabulary_size": values["vocabulary_size"]})
        except (TypeError, KeyError) as error:
            raise InputError(unreadable) from error
        for name, kind in get_type_hints(cls).items():
            if not _fits(value := getattr(config, name), kind, cls.__dataclass_fields__[name]):
                raise InputError(
                    f"{path} says that {name} is {reprlib.repr(value)}, which no model has: run "
                    "`nextword train` again."
                )
        return config


def _fits(value: Any, kind: Any, field: dataclasses.Field) -> bool:
    """Return whether the field of a configuration may have a value."""
    if words := get_args(kind):
        return value in words
    if type(value) is not kind and (kind, type(value)) != (float, int):
        return False
    limits = field.metadata.get("limits", {"min": 1})
    return limits.get("min", value) <= value <= limits.get("max", value)
