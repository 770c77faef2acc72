"""Checkpoints from which training continues as if it had never stopped."""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipeline import InputError
from pipeline.model.checkpoint import UNREADABLE, reason_of, writing
from pipeline.tokens.windows import per_replica
from pipeline.training import strategies
from pipeline.training.trainer import Trainer

log = logging.getLogger(__name__)

# What to do once there is room for a checkpoint.
GO_ON = "go on with --resume; what was saved is whole"


@dataclasses.dataclass
class Position:
    """The progress of a training.

    Attributes:
        recent, usual: moving averages of the loss over few targets and over many, nats per target.
        epoch: the current one, from 1.
        window: number of windows of this epoch that are done.
        nats, targets, norms, seconds, cpu_seconds: sums over these windows.
        halvings: how often the learning rate was halved after the loss diverged.
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
    cpu_seconds: float = 0.0
    halvings: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)


class Checkpoints:
    """Saves weights, optimizer, RNN states, random state and position; keeps two checkpoints.

    RNN states are saved as one batch of all replicas, so training can continue on another number
    of devices.

    Args:
        folder: of the checkpoints; created by the first `save`.
        trainer: what is saved and restored.
        writes: whether this process writes; of several workers only one does.
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
        self._manager = self._new_manager()

    def _new_manager(self) -> tf.train.CheckpointManager:
        return tf.train.CheckpointManager(self._checkpoint, self._folder, max_to_keep=2)

    def save(self, position: Position) -> None:
        """Write a checkpoint; every worker must call this, since states are gathered from all.

        Raises:
            InputError: it cannot be written.
        """
        states = self._trainer.model.states
        local = self._trainer.strategy.run(lambda: [tf.convert_to_tensor(s) for s in states])
        for gathered, value in zip(self._states, local, strict=True):
            gathered.assign(self._gather(value))
        if not self._writes:
            return
        self._position.assign(json.dumps(dataclasses.asdict(position)))
        with writing(self._folder, "checkpoint", GO_ON):
            self._manager.save()

    def _gather(self, value: Any) -> tf.Tensor:
        """Concatenate the lanes of all replicas, (batch, …)."""
        strategy = self._trainer.strategy
        if strategies.workers() > 1:
            return strategy.gather(value, axis=0)
        # Without a collective operation: two trainings in one process could deadlock in those.
        return tf.concat(strategy.experimental_local_results(value), axis=0)

    def restore(self) -> Position | None:
        """Restore the latest readable checkpoint; return its position, or None without checkpoints.

        Raises:
            InputError: none of the checkpoints can be read.
        """
        if not self._writes:  # a manager does not see what another process has saved since
            self._manager = self._new_manager()
        for path in reversed(self._manager.checkpoints):
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched()
            except UNREADABLE as error:
                log.warning("The checkpoint %s cannot be read: %s.", path, reason_of(error))
                continue
            self._restore_states()
            return Position(**json.loads(self._position.numpy()))
        if self._manager.checkpoints:
            raise InputError(
                f"No checkpoint in {self._folder} can be read: start over with --force."
            )
        return None

    def _restore_states(self) -> None:
        strategy, states = self._trainer.strategy, self._trainer.model.states

        def assign(values: list[tf.Tensor]) -> None:
            for state, value in zip(states, values, strict=True):
                state.assign(value)

        strategy.run(assign, ([per_replica(state.numpy(), strategy) for state in self._states],))
