"""What a model is made of."""

import dataclasses
import json
from pathlib import Path
from typing import Literal, Self

from pipeline import InputError

Cell = Literal["lstm", "gru", "simple_rnn", "feedforward"]
Softmax = Literal["full", "adaptive"]
# What layers compute in; their weights, the softmax and the loss are float32 in all of them.
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What a model is made of; saved beside its weights as model.json.

    Attributes:
        cell: f₁, the recurrence; `feedforward` sees only the last `context` words.
        vocabulary_size: V.
        embedding: E, length of a word's vector.
        units: H, length of a layer's hidden state (for `feedforward`, its hidden layer).
        layers: recurrent layers, one upon the other.
        dropout: share of activations dropped before and after every layer.
        variational: the same activations are dropped at all steps of a window (Gal & Ghahramani
            2016), not others at each (Zaremba et al. 2014).
        word_dropout: share of the vocabulary whose vectors are dropped for a window (Gal &
            Ghahramani 2016, §4.2).
        weight_dropout: share of the recurrent weights dropped for a window (DropConnect; Merity et
            al. 2018, §2); no layer but a recurrent one has any.
        mogrifier: rounds in which an LSTM's input and state change one another before a step
            (Melis et al. 2020); 0 for a plain LSTM. Other cells have none.
        tied: the output weights are the embedding's (Press & Wolf 2017; Inan et al. 2017).
        context: words a `feedforward` model sees (Bengio et al. 2003).
        softmax: over all V scores at once, or in two steps, cheaper to train where V is large
            (Grave et al. 2017). An adaptive softmax that is `tied` shares its clusters, too
            (Baevski & Auli 2019).
    """

    cell: Cell
    vocabulary_size: int
    embedding: int
    units: int
    layers: int
    dropout: float
    tied: bool
    context: int
    softmax: Softmax = "full"
    variational: bool = False
    word_dropout: float = 0.0
    weight_dropout: float = 0.0
    mogrifier: int = 0

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: there is no such model.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"No trained model is described by {path}: run `nextword train` first."
            ) from error
