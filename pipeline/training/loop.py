"""The loop over windows and epochs: check the loss, save, stop, go back."""

import contextlib
import itertools
import logging
import math
import signal
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import psutil
import rich.progress
import tensorflow as tf

from pipeline import Interrupted
from pipeline.model.meter import perplexity
from pipeline.tokens.windows import distribute
from pipeline.training import strategies
from pipeline.training.checkpoints import Checkpoints, Position
from pipeline.training.config import TrainingConfig
from pipeline.training.dataset import Text
from pipeline.training.schedule import learning_rate
from pipeline.training.trainer import Trainer

log = logging.getLogger(__name__)

# Windows between two looks at the loss: often enough for a smooth bar, rare enough not to make
# a GPU wait.
_LOOK_EVERY = 10
# Windows between two checkpoints. Not seconds: after a divergence training goes on from the last
# one, and the same seed must give the same weights.
_SAVE_EVERY = 500
# Windows between two calls of `on_windows`.
_LOG_EVERY = 100
# The loss diverges when its recent mean exceeds the usual one by this many nats. The means decay
# over targets, not windows: the losses of single tokens differ by more.
_SPIKE = 2.0
_RECENT, _USUAL = 5_000, 50_000
_HALVINGS = 3


class Diverged(Exception):
    """The loss is no longer finite, or has risen far."""


class _Times(NamedTuple):
    """Seconds on the clock, and of all cores that this process has used."""

    clock: float
    cpu: float


def _times() -> _Times:
    return _Times(time.perf_counter(), time.process_time())


def watch(position: Position, windows: Iterable[tuple[Any, ...]]) -> None:
    """Accumulate losses and check for divergence.

    Args:
        position: where they are added up.
        windows: Σ nats, number of targets and gradient norm of each.

    Raises:
        Diverged: the loss diverged.
    """
    for nats, targets, norm in (map(float, window) for window in windows):
        position.nats += nats
        position.targets += targets
        # A float16 gradient that overflows is skipped, and scaled less the next time.
        position.norms += norm if math.isfinite(norm) else 0.0
        loss = nats / targets
        if not math.isfinite(loss):
            raise Diverged("The loss is no longer finite")
        position.recent = loss + (position.recent - loss) * math.exp(-targets / _RECENT)
        position.usual = loss + (position.usual - loss) * math.exp(-targets / _USUAL)
        if position.recent > position.usual + _SPIKE:
            raise Diverged(f"The loss rose by more than {_SPIKE:g} nats")


class Loop:
    """Iterate over the epochs of a training from any position; yield a row of history.csv each.

    Stop after the configured number of epochs, or when `patience` of them in a row were no better.
    Measure the weights after each epoch and add the results to its row, then call `end_epoch`.

    Attributes:
        position: where the training is.
    """

    def __init__(
        self,
        trainer: Trainer,
        text: Text,
        checkpoints: Checkpoints,
        position: Position,
        *,
        config: TrainingConfig,
        progress: rich.progress.Progress,
        signals: list[int],
        on_windows: Callable[[int, dict[str, float]], None],
    ):
        self._trainer, self._text, self._checkpoints = trainer, text, checkpoints
        self.position, self._config, self._signals = position, config, signals
        self._progress, self._on_windows = progress, on_windows
        self._total = config.epochs * text.windows
        self._peak = psutil.Process().memory_info().rss  # bytes
        self._bar = progress.add_task("", total=self._total, completed=self._done, report="")

    @property
    def _done(self) -> int:
        return (self.position.epoch - 1) * self._text.windows + self.position.window

    def _learning_rate(self) -> float:
        return learning_rate(self._config, self._done / self._total) / 2**self.position.halvings

    def __iter__(self) -> Iterator[dict[str, float]]:
        """Train, going back to the last checkpoint where the loss diverges.

        Raises:
            Diverged: the loss diverged with an eighth of the learning rate, too.
            Interrupted: a signal came.
        """
        while not self._is_over():
            try:
                row = self._epoch()
            except Diverged as error:
                self._go_back(error)
                continue
            yield row

    def _is_over(self) -> bool:
        if self.position.epoch > self._config.epochs:
            return True
        losses = [row["valid_loss"] for row in self.position.history]
        return bool(losses) and losses.index(min(losses)) + self._config.patience < len(losses)

    def _epoch(self) -> dict[str, float]:
        """Train on the rest of an epoch; return its row of history.csv."""
        position, waiting = self.position, []
        self._progress.update(
            self._bar, description=f"epoch {position.epoch}/{self._config.epochs}"
        )
        left = itertools.islice(self._text.epoch(position.epoch), position.window, None)
        self._looked = _times()
        for x, y, begins in distribute(left, self._trainer.strategy):
            self._trainer.optimizer.learning_rate = self._learning_rate()
            waiting.append(self._trainer.step(x, y, begins))
            position.window += 1
            saves = position.window % _SAVE_EVERY == 0
            if self._signals or saves or position.window % _LOOK_EVERY == 0:
                self._look(waiting)
                waiting = []
            if saves:
                self._save()
            if self._signals:
                self._stop()
        if waiting:
            self._look(waiting)
        self._check_weights()
        return {"epoch": position.epoch, **self._figures()}

    def _look(self, waiting: list[tuple[tf.Tensor, ...]]) -> None:
        """Check the losses and report them."""
        watch(self.position, waiting)
        before, self._looked = self._looked, _times()
        self.position.seconds += self._looked.clock - before.clock
        self.position.cpu_seconds += self._looked.cpu - before.cpu
        self._peak = max(self._peak, psutil.Process().memory_info().rss)
        self._report()

    def _figures(self) -> dict[str, float]:
        position = self.position
        return {
            "train_loss": position.nats / position.targets,
            "train_perplexity": perplexity(position.nats, position.targets),
            "learning_rate": self._learning_rate(),
            "gradient_norm": position.norms / position.window,
            "tokens_per_second": position.targets / position.seconds,
            "cpu_seconds": position.cpu_seconds,
            "peak_memory_mb": self._peak / 2**20,
        }

    def _report(self) -> None:
        figures = self._figures()
        self._progress.update(
            self._bar,
            completed=self._done,
            report=f"{figures['tokens_per_second']:,.0f} tokens/s  "
            f"loss {figures['train_loss']:.3f}  perplexity {figures['train_perplexity']:.1f}",
        )
        if self.position.window % _LOG_EVERY == 0:
            self._on_windows(self._done, figures)

    def _check_weights(self) -> None:
        # A loss is that of the weights before an update, not after it.
        if not math.isfinite(tf.linalg.global_norm(self._trainer.model.trainable_variables)):
            raise Diverged("The weights are no longer finite")

    def _save(self) -> None:
        self._check_weights()
        self._checkpoints.save(self.position)

    def end_epoch(self, row: dict[str, float]) -> None:
        """Save that an epoch is over, with all that was measured.

        Raises:
            Interrupted: a signal came, and another epoch would follow.
        """
        before = self.position
        self.position = Position(
            epoch=before.epoch + 1,
            recent=before.recent,
            usual=before.usual,
            halvings=before.halvings,
            history=[*before.history, row],
        )
        self._save()
        if self._signals and not self._is_over():
            self._stop()

    def _stop(self) -> None:
        """Save and stop.

        Raises:
            Interrupted: always.
        """
        kept = "the last checkpoint"
        if strategies.workers() == 1:  # several may have got the signal at different windows
            self._save()
            kept = "it"
        raise Interrupted(
            f"Stopped in epoch {self.position.epoch} after {self.position.window} of "
            f"{self._text.windows} windows: the same command with --resume goes on from {kept}.",
            signal=self._signals[0],
        )

    def _go_back(self, error: Diverged) -> None:
        """Go back to the last checkpoint, with half the learning rate.

        Raises:
            Diverged: it was halved often enough.
        """
        failed = self.position
        restored = self._checkpoints.restore() if failed.halvings < _HALVINGS else None
        if restored is None:
            raise Diverged(
                f"{error} after {self._done} windows, with an eighth of the learning rate too"
            ) from error
        log.warning(
            "%s after %d windows: back to epoch %d, window %d, with half the learning rate.",
            *(error, self._done, restored.epoch, restored.window),
        )
        restored.halvings = failed.halvings + 1
        self.position = restored
        self._checkpoints.save(restored)


def stop_late(number: int) -> None:
    """Stop work that goes on after a training, when a signal came at the end of it.

    Raises:
        Interrupted: always.
    """
    raise Interrupted("Stopped after a training.", signal=number)


@contextlib.contextmanager
def signals_to_stop() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM; a second one stops at once."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: types.FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGINT, signal.SIGTERM):
            before[name] = signal.signal(name, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
