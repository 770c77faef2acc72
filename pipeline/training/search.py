"""What a sweep searches."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution

from pipeline.model.config import ModelConfig
from pipeline.training.config import TrainingConfig

Options = dict[str, Any]
# What is searched. Epochs are not: the more, the better, until they cost too much.
SPACE: dict[str, IntDistribution | FloatDistribution] = {
    "learning_rate": FloatDistribution(1e-3, 2e-2, log=True),
    "dropout": FloatDistribution(0.0, 0.7),
    "embedding": IntDistribution(32, 512, log=True),
    "units": IntDistribution(64, 1200, log=True),
    "mogrifier": IntDistribution(0, 6),
    "window": IntDistribution(5, 100, log=True),
    "batch_size": IntDistribution(4, 128, log=True),
}


@dataclasses.dataclass(frozen=True)
class Search:
    """What a sweep searches.

    Attributes:
        tokens: folder that `tokenize` wrote.
        model, training: options of the first trial.
        pinned: names of options that all trials have from these.
    """

    tokens: Path
    model: ModelConfig
    training: TrainingConfig
    pinned: Collection[str] = ()

    @property
    def options(self) -> Options:
        """Those of the first trial, by name."""
        options = dataclasses.asdict(self.model) | dataclasses.asdict(self.training)
        del options["vocabulary_size"]
        return options

    @property
    def space(self) -> dict[str, IntDistribution | FloatDistribution]:
        """What is searched: options that are not pinned, and begin within their range."""
        first, without = self.options, {*self.pinned}
        if self.model.cell != "lstm":
            without.add("mogrifier")
        return {
            name: values
            for name, values in SPACE.items()
            if name not in without
            and not isinstance(first[name], str)  # --window full
            and values.low <= first[name] <= values.high
        }

    @property
    def fixed(self) -> Options:
        """The options that all trials have."""
        return {name: value for name, value in self.options.items() if name not in self.space}

    def of_trial(self, values: Options) -> tuple[ModelConfig, TrainingConfig]:
        """Return both configurations with the values of a trial."""

        def changed(config: Any) -> Any:
            return dataclasses.replace(
                config, **{name: value for name, value in values.items() if hasattr(config, name)}
            )

        return changed(self.model), changed(self.training)
