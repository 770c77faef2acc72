"""The learning rate in the course of a training."""

import math

from pipeline.training.config import TrainingConfig


def learning_rate(config: TrainingConfig, done: float) -> float:
    """Return the learning rate when a share of the training is done."""
    if done < config.warmup:
        # Never zero: the first update must teach something.
        return config.learning_rate * max(done / config.warmup, 1e-3)
    left = (1 - done) / (1 - config.warmup)
    if config.schedule == "cosine":
        left = (1 - math.cos(math.pi * left)) / 2
    return config.learning_rate * left
