"""How a model is trained."""

import dataclasses
from typing import Literal

from pipeline.config import option
from pipeline.model.config import Precision

Reset = Literal["never", "document"]
Schedule = Literal["linear", "cosine"]
Strategy = Literal["auto", "one", "mirrored", "multiworker"]


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained: windows, optimizer, and devices."""

    window: int | Literal["full"] = option(
        20,
        "Steps T that the gradient travels back, or full: whole paragraphs, or documents with --reset document.",
        min=1,
    )
    stride: int | None = option(
        None,
        "Steps k₁ ≤ T between two updates; 1 updates after every step.  [default: the window]",
        min=1,
    )
    reset: Reset = option(
        "never", "Forget the state only where an epoch begins, or where each document does."
    )
    batch_size: int = option(32, "Lanes of text read side by side.", min=1)
    epochs: int = option(2, "Maximum number of epochs.", min=1)
    # Of Adam (Kingma & Ba 2015).
    learning_rate: float = option(7.5e-3, "Peak learning rate of Adam.", min=0, min_open=True)
    # Goyal et al. 2017, §2.2.
    warmup: float = option(
        0.05,
        "Share of the training in which the learning rate rises from zero.",
        min=0,
        max=1,
        max_open=True,
    )
    # As half a cosine: Loshchilov & Hutter 2017.
    schedule: Schedule = option("linear", "How the learning rate decays to zero after the warm-up.")
    # AR and TAR (Merity et al. 2018, §4.6).
    activation_regularization: float = option(
        0.0, "α: weight of the mean square of the last layer's activations.", min=0
    )
    temporal_regularization: float = option(
        0.0, "β: weight of the mean square of their changes.", min=0
    )
    # Polyak & Juditsky 1992, with exponential weights.
    averaging: float = option(
        0.0,
        "Decay of the moving average of the weights, which is what is validated and saved; 0 for none.",
        min=0,
        max=1,
        max_open=True,
    )
    # Pascanu et al. 2013.
    clip_norm: float = option(1.0, "Maximum global norm of the gradient.", min=0, min_open=True)
    patience: int = option(2, "Epochs without improvement before training stops.", min=1)
    seed: int = option(1, "Makes a run repeatable.", min=0, max=2**32 - 1)
    # Micikevicius et al. 2018.
    precision: Precision = option(
        "float32", "What layers compute in; weights and the loss stay float32."
    )
    strategy: Strategy = option(
        "auto",
        "one device; mirrored: all GPUs, or CPUs, of this machine; multiworker: the machines of TF_CONFIG; auto: what there is.",
    )
