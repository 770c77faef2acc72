"""What is looked at to explain a model."""

import dataclasses
from pathlib import Path

from pipeline.config import option
from pipeline.evaluation.config import NGRAMS
from pipeline.model.config import ModelConfig
from pipeline.training.config import TrainingConfig


@dataclasses.dataclass(frozen=True)
class ExplanationConfig:
    """What is looked at in trained models."""

    sentence: str = option(
        "Matias tinha um cachorro e ele gostava de beber água",
        "Sentence whose words are predicted from ever shorter contexts; the report looks most closely at the last one.",
    )
    steps: int = option(100, "How far back gradients are followed.", min=1, max=200)
    pairs: Path | None = option(
        None,
        "Minimal pairs of agreement, as data/README.md describes them.  [default: data/agreement.tsv, if it is there]",
    )
    ngram_order: int = option(5, NGRAMS, min=0)
    samples: int = option(256, "Tokens of the text whose gradients are followed.", min=1)


@dataclasses.dataclass(frozen=True)
class WindowSweepConfig:
    """Small trainings that show what a longer window T is worth."""

    windows: tuple[int, ...] = option(
        (), 'T of small trainings that are compared, such as "1 5 10 20".', min=1
    )
    training_tokens: int = option(100_000, "Training tokens of --windows.", min=1)
    training_epochs: int = option(3, "Epochs of --windows.", min=1)
    model: ModelConfig = ModelConfig(mogrifier=0)
    training: TrainingConfig = TrainingConfig()  # an update learns from batch_size · window tokens
