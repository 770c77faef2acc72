"""Search for the options of `train` with the lowest perplexity.

Trials are proposed by TPE (Bergstra et al. 2011) and pruned after an epoch in which they are worse
than the median of the earlier ones, both by Optuna (Akiba et al. 2019), which keeps them in a
database.
"""

import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import keras
import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from pipeline import InputError, Interrupted, first_line
from pipeline.manifest import digest, only_writer
from pipeline.training.loop import Diverged, stop_late
from pipeline.training.search import Options, Search
from pipeline.training.train import train
from pipeline.training.trials import Trial, in_words, write_results

STORAGE = "sweep.db"
_FOLDER = "trials"
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

# Starts or continues the record of a trial, from its name, options and earlier id; yields its id.
Track = Callable[[str, Options, str | None], AbstractContextManager[str]]


class Budget(NamedTuple):
    """How long a sweep goes on.

    Attributes:
        hours: after which no trial begins.
        trials: finished or pruned ones, in all runs together, after which none begins; or None.
    """

    hours: float
    trials: int | None = None


def open_study(output: Path, storage: str | None = None) -> optuna.Study:
    """Open the database of a sweep, or make it.

    Args:
        output: folder of the sweep.
        storage: address of the database, as SQLAlchemy takes it; None for a file in `output`.

    Raises:
        InputError: the database cannot be opened, or the folder holds something else.
    """
    if output.exists() and any(output.iterdir()) and not (output / _FOLDER).is_dir():
        raise InputError(f"{output} holds no sweep and will not be used for one: name another.")
    (output / _FOLDER).mkdir(parents=True, exist_ok=True)
    storage = storage or f"sqlite:///{(output / STORAGE).resolve()}"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return optuna.create_study(
            study_name="nextword",
            storage=storage,
            sampler=optuna.samplers.TPESampler(),
            pruner=optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )
    except (SQLAlchemyError, ImportError, optuna.exceptions.OptunaError, RuntimeError) as error:
        raise InputError(
            f"The database of the sweep cannot be opened ({first_line(error)}): mend it, "
            "or name another with --storage, such as sqlite:///sweep.db."
        ) from error


def sweep(
    search: Search,
    output: Path,
    *,
    study: optuna.Study,
    budget: Budget,
    track: Track,
    on_epoch: Callable[[Mapping[str, float]], None],
) -> None:
    """Train models with different options; write preset.toml and trials.csv after each.

    The first trial has the options that it is called with, so the result is never worse. A trial
    that was interrupted in this folder goes on first, from its last checkpoint.

    Args:
        search: what is searched; the same as before for a study that goes on.
        output: folder to write into, of this process alone.
        study: that `open_study` returned; several processes may share its database.
        track: see `Track`.
        on_epoch: called with each row of a trial's history.csv, and its best perplexity so far.

    Raises:
        InputError: nothing is left to search, another process uses the folder, the study was begun
            with other options or tokens, the first trial cannot be trained, or none has been to
            its end.
        Interrupted: a signal came; all is saved.
    """
    if not search.space:
        raise InputError("Nothing is left to search: leave out an option that a sweep searches.")
    ends = time.monotonic() + 3600 * budget.hours
    _check_same(study, search, output)
    with only_writer(output):
        study.enqueue_trial({n: search.options[n] for n in search.space}, skip_if_exists=True)
        begun = _continue_interrupted(study, _place(output))
        for folder in (output / _FOLDER).iterdir():
            if folder.name not in begun:
                shutil.rmtree(folder)
        try:
            while time.monotonic() < ends and not _is_enough(study, budget):
                _run(study.ask(dict(search.space)), search, output, track=track, on_epoch=on_epoch)
                write_results(_trials(study), search.options, output)
        except (Interrupted, KeyboardInterrupt) as error:
            number = error.signal if isinstance(error, Interrupted) else signal.SIGINT
            raise Interrupted(
                "Stopped: the same command goes on with the interrupted trial, from where it was.",
                signal=number,
            ) from error
        trials = _trials(study)
        if not any(trial.complete for trial in trials):
            raise InputError(
                "No trial has been trained to its end: give a lower --learning-rate, or a preset "
                "that can be trained."
            )
        write_results(trials, search.options, output)


def _place(output: Path) -> str:
    return f"{socket.gethostname()}:{output.resolve()}"


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=_FINISHED)


def _trials(study: optuna.Study) -> list[Trial]:
    return [
        Trial(
            number=trial.user_attrs["begun"],
            complete=trial.state == TrialState.COMPLETE,
            perplexities=[*trial.intermediate_values.values()],
            cpu_seconds=trial.user_attrs.get("cpu_seconds", 0.0),
            values=trial.params,
            run=trial.user_attrs["run"],
        )
        for trial in _finished(study)
    ]


def _is_enough(study: optuna.Study, budget: Budget) -> bool:
    return budget.trials is not None and len(_finished(study)) >= budget.trials


def _check_same(study: optuna.Study, search: Search, output: Path) -> None:
    """Check that all trials of a study have the same tokens and the same fixed options."""
    fixed = {"tokens": digest([search.tokens]), **search.fixed}
    before = study.user_attrs.get("fixed", fixed)
    if changed := [name for name in {**before, **fixed} if before.get(name) != fixed.get(name)]:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
        raise InputError(
            f"The sweep in {output} was begun with other {names}: change it back, or name another "
            "--output."
        )
    study.set_user_attr("fixed", fixed)


def _continue_interrupted(study: optuna.Study, place: str) -> set[str]:
    """Queue the trials that were interrupted here; return the names of their folders.

    This process has the folder alone, so nobody else can be training them.
    """
    begun = set()
    for trial in study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING)):
        attributes = trial.user_attrs
        if attributes.get("place") != place:
            continue
        begun.add(str(attributes["begun"]))
        if trial.state == TrialState.RUNNING:
            study.enqueue_trial(trial.params, user_attrs=attributes)
            study.tell(trial.number, state=TrialState.FAIL)
    return begun


def _run(
    trial: optuna.Trial,
    search: Search,
    output: Path,
    *,
    track: Track,
    on_epoch: Callable[[Mapping[str, float]], None],
) -> None:
    """Train with the values of a trial, and tell the study how it ended."""
    number = trial.user_attrs.get("begun", trial.number)
    trial.set_user_attr("begun", number)
    trial.set_user_attr("place", _place(output))  # where it goes on
    model, training = search.of_trial(trial.params)
    print(f"trial {number}: {in_words(trial.params)}")
    report = _Report(trial, epochs=training.epochs, on_epoch=on_epoch)
    folder = output / _FOLDER / str(number)
    folder.mkdir(exist_ok=True)
    options = {**search.options, **trial.params}
    with track(f"trial {number}", options, trial.user_attrs.get("run")) as run:
        trial.set_user_attr("run", run)
        try:
            train(
                search.tokens, folder, model=model, training=training,
                on_epoch=report, on_late_signal=stop_late,
            )  # fmt: skip
            trial.study.tell(trial, report.best)
        except InputError as error:
            # One without a cause says that the text or the devices are too few for these values,
            # which in the first trial are the user's own.
            unfit = error.__cause__ is None and number > 0
            if not unfit and not isinstance(error.__cause__, Diverged):
                raise
            print(error)
            trial.study.tell(trial, state=TrialState.PRUNED)
        except optuna.TrialPruned:
            print("pruned: worse than the median of the other trials")
            trial.study.tell(trial, state=TrialState.PRUNED)
    keras.backend.clear_session()
    shutil.rmtree(folder, ignore_errors=True)  # its options train the same weights again


class _Report:
    """Tells a study of each epoch of a trial.

    Attributes:
        best: the lowest validation perplexity so far.

    Raises:
        optuna.TrialPruned: the study has better ones, and epochs are left.
    """

    def __init__(
        self,
        trial: optuna.Trial,
        *,
        epochs: int,
        on_epoch: Callable[[Mapping[str, float]], None],
    ):
        self._trial, self._epochs, self._on_epoch = trial, epochs, on_epoch
        self._cpu_seconds, self.best = 0.0, float("inf")

    def __call__(self, row: Mapping[str, float]) -> None:
        epoch = int(row["epoch"])
        self.best = min(self.best, row["valid_perplexity"])
        self._cpu_seconds += row["cpu_seconds"]
        self._on_epoch({**row, "best_valid_perplexity": self.best})
        self._trial.set_user_attr("cpu_seconds", self._cpu_seconds)
        self._trial.report(row["valid_perplexity"], epoch)
        if epoch < self._epochs and self._trial.should_prune():
            raise optuna.TrialPruned
