"""Where stages read and write, and the presets."""

from pathlib import Path
from typing import Any

DOCUMENTS = Path("data/documents")
INSPECTION = Path("data/inspection")
TOKENS = Path("data/tokens")
TRAINING = Path("models/training")
SIMPLE_RNN = Path("models/simple_rnn")
FEEDFORWARD = Path("models/feedforward")
EXPLANATION = Path("models/explanation")
EVALUATION = Path("models/evaluation")
MODEL = Path("models/nextword")
LITERT = Path("models/litert")
PERSONAL = Path("models/personal")

# What kind of model it is, whatever the preset.
ARCHITECTURE: dict[str, Any] = {"cell": "lstm", "tied": True, "softmax": "full", "context": 5}
# What a training costs, and what it is worth: benchmarks/README.md has the figures.
# fmt: off
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "embedding": 256, "units": 256, "layers": 1, "mogrifier": 4,
        "dropout": 0.5, "variational": False, "word_dropout": 0.0, "weight_dropout": 0.0,
        "window": 35, "batch_size": 20, "epochs": 3,
        "learning_rate": 5e-3, "warmup": 0.05, "schedule": "linear", "clip_norm": 1.0,
        "activation_regularization": 0.0, "temporal_regularization": 0.0, "averaging": 0.0,
    },
    "cpu-hour": {
        "embedding": 256, "units": 512, "layers": 1, "mogrifier": 4,
        "dropout": 0.3, "variational": False, "word_dropout": 0.0, "weight_dropout": 0.0,
        "window": 35, "batch_size": 32, "epochs": 5,
        "learning_rate": 3e-3, "warmup": 0.02, "schedule": "linear", "clip_norm": 1.0,
        "activation_regularization": 0.0, "temporal_regularization": 0.0, "averaging": 0.999,
    },
    "gpu": {
        "embedding": 512, "units": 1150, "layers": 2, "mogrifier": 0,
        "dropout": 0.5, "variational": True, "word_dropout": 0.1, "weight_dropout": 0.5,
        "window": 70, "batch_size": 64, "epochs": 40,
        "learning_rate": 2e-3, "warmup": 0.02, "schedule": "cosine", "clip_norm": 0.25,
        "activation_regularization": 2.0, "temporal_regularization": 1.0, "averaging": 0.999,
    },
}
# In the place of a preset where a trained model goes on: small steps, for a small text.
FINE_TUNING: dict[str, Any] = {
    "window": 35, "batch_size": 4, "epochs": 5,
    "learning_rate": 1e-3, "warmup": 0.05, "schedule": "linear", "clip_norm": 1.0,
    "activation_regularization": 0.0, "temporal_regularization": 0.0, "averaging": 0.0,
}
# fmt: on
