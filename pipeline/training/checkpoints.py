"""Checkpoints that hold all of a training, so that it can go on as if it had never stopped."""

import dataclasses
import json
import logging
import re
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipeline import InputError
from pipeline.model.language_model import UNREADABLE
from pipeline.tokens.windows import per_replica
from pipeline.training import strategies
from pipeline.training.trainer import Trainer

log = logging.getLogger(__name__)


@dataclasses.dataclass
class Position:
    """How far a training has come.

    Attributes:
        recent, usual: nats per target, moving averages over few targets and over many.
        epoch: the one that goes on, from 1.
        window: windows of it that were learned from.
        nats, targets, norms, seconds: their sums.
        halvings: how often the learning rate was halved after a loss that ran away.
        history: rows of history.csv.
    """

    recent: float
    usual: float
    epoch: int = 1
    window: int = 0
    nats: float = 0.0
    targets: float = 0.0
    norms: float = 0.0
    seconds: float = 0.0
    halvings: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)


class Checkpoints:
    """Weights, optimizer, RNN states, random state and position, in the last two checkpoints.

    States are saved as one batch of all replicas, so another number of devices may go on.

    Args:
        folder: where they lie; made by the first `save`.
        trainer: what is saved and restored.
        writes: whether this process writes; of several workers one does.
    """

    def __init__(self, folder: Path, trainer: Trainer, *, writes: bool = True):
        self._trainer, self._writes, self._folder = trainer, writes, folder
        model = trainer.model
        replicas = trainer.strategy.num_replicas_in_sync
        self._states = [
            tf.Variable(tf.zeros((replicas * state.shape[0], state.shape[1]), state.dtype))
            for state in model.states
        ]
        self._position = tf.Variable("", dtype=tf.string)
        self._checkpoint = tf.train.Checkpoint(
            weights=[variable.value for variable in model.trainable_variables],
            optimizer=[variable.value for variable in trainer.optimizer.variables],
            random=[variable.value for variable in model.non_trainable_variables],
            states=self._states,
            position=self._position,
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=2)

    def save(self, position: Position) -> None:
        """Write all that there is; every worker calls this, for states are gathered from all.

        Raises:
            InputError: it cannot be written; what was written before is whole.
        """
        strategy, states = self._trainer.strategy, self._trainer.model.states
        local = strategy.run(lambda: [tf.convert_to_tensor(state) for state in states])
        for whole, value in zip(self._states, local, strict=True):
            whole.assign(self._gather(value))
        if not self._writes:
            return
        self._position.assign(json.dumps(dataclasses.asdict(position)))
        write(self._manager)

    def _gather(self, value: Any) -> tf.Tensor:
        """The lanes of all replicas, (batch, …)."""
        strategy = self._trainer.strategy
        if strategies.workers() > 1:
            return strategy.gather(value, axis=0)
        # Without a collective operation: those of one training can wait for those of another.
        return tf.concat(strategy.experimental_local_results(value), axis=0)

    def restore(self) -> Position | None:
        """Read the latest checkpoint that is whole; None if there is none at all.

        Raises:
            InputError: there are some, and none of them can be read.
        """
        found = [*reversed(self._manager.checkpoints)]
        for path in found:
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched()
            except UNREADABLE as error:
                log.warning("The checkpoint %s cannot be read: %s.", path, _reason(error))
                continue
            self._spread_states()
            return Position(**json.loads(self._position.numpy()))
        if found:
            raise InputError(
                f"No checkpoint in {self._folder} can be read: start over with --force."
            )
        return None

    def _spread_states(self) -> None:
        strategy, states = self._trainer.strategy, self._trainer.model.states

        def assign(values: list[tf.Tensor]) -> None:
            for state, value in zip(states, values, strict=True):
                state.assign(value)

        strategy.run(assign, ([per_replica(whole.numpy(), strategy) for whole in self._states],))


def write(manager: tf.train.CheckpointManager, **options: int) -> None:
    """Write a checkpoint.

    Args:
        manager: of the folder.
        options: of `CheckpointManager.save`.

    Raises:
        InputError: it cannot be written; what was written before is whole.
    """
    try:
        manager.save(**options)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"No checkpoint can be written into {manager.directory} ({_reason(error)}): make room "
            "or see to its permissions, then go on with --resume; what was saved is whole."
        ) from error


def _reason(error: Exception) -> str:
    # TensorFlow's name the operation too: {{function_node …}} what happened [Op:SaveV2].
    told = re.sub(r"\{\{.*?\}\}| \[Op:\w+\]", "", str(getattr(error, "message", error)))
    return told.split("\n")[0].strip().rstrip(".")
