"""Where stages read and write, and the presets."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from pipeline.model.config import Cell, ModelConfig
from pipeline.training.config import TrainingConfig

AGREEMENT = Path("data/agreement.tsv")
DOCUMENTS = Path("data/documents")
INSPECTION = Path("data/inspection")
TOKENS = Path("data/tokens")
TRAINING = Path("models/training")
EXPLANATION = Path("models/explanation")
EVALUATION = Path("models/evaluation")
MODEL = Path("models/nextword")
LITERT = Path("models/litert")
AOSP = Path("models/aosp")
PERSONAL = Path("models/personal")
SWEEP = Path("models/sweep")


class Baseline(NamedTuple):
    """A network that an LSTM is compared with.

    Attributes:
        folder: of its training.
        learning_rate: its peak learning rate relative to the LSTM's, with which it learns best
            (benchmarks/README.md, "Three networks, trained equally").
    """

    folder: Path
    learning_rate: float


BASELINES: dict[Cell, Baseline] = {
    "simple_rnn": Baseline(Path("models/simple_rnn"), 0.5),
    "feedforward": Baseline(Path("models/feedforward"), 0.5),
}


@dataclasses.dataclass(frozen=True)
class Preset:
    """A model and its training."""

    model: ModelConfig
    training: TrainingConfig


# What a training costs, and what it is worth: benchmarks/README.md has the figures. `quick` is the
# defaults; the others name all that those were tuned in.
PRESETS = {
    "quick": Preset(ModelConfig(), TrainingConfig()),
    "cpu-hour": Preset(
        ModelConfig(embedding=256, units=512, dropout=0.3, mogrifier=4),
        TrainingConfig(
            window=35,
            batch_size=32,
            epochs=5,
            learning_rate=3e-3,
            warmup=0.02,
            averaging=0.999,
        ),
    ),
    "gpu": Preset(
        ModelConfig(
            embedding=512,
            units=1150,
            layers=2,
            mogrifier=0,
            dropout=0.5,
            variational=True,
            word_dropout=0.1,
            weight_dropout=0.5,
        ),
        TrainingConfig(
            window=70,
            batch_size=64,
            epochs=40,
            learning_rate=2e-3,
            warmup=0.02,
            schedule="cosine",
            activation_regularization=2.0,
            temporal_regularization=1.0,
            averaging=0.999,
            clip_norm=0.25,
        ),
    ),
}
# Where a trained model goes on: small steps, for a small text.
FINE_TUNING = TrainingConfig(batch_size=4, epochs=5, learning_rate=1e-3)
