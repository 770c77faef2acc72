import contextlib
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib

import mlflow
import optuna
import pytest
from conftest import ROOT, history, nextword, sentence_of, small, write_tokens
from optuna.trial import TrialState, create_trial

from pipeline import InputError, Interrupted
from pipeline.cli import PRESETS, main
from pipeline.cli.options import read_preset, values_of
from pipeline.model.config import ModelConfig
from pipeline.training.config import TrainingConfig
from pipeline.training.search import SPACE, Search
from pipeline.training.sweep import Budget, open_study, sweep
from pipeline.training.train import _Best
from pipeline.training.trials import Trial, in_toml, write_results

# All but the learning rate and the batch size.
PINNED = ("embedding", "units", "dropout", "window", "mogrifier")


def search(tokens, *pinned, **changes):
    return Search(tokens, **small(cell="simple_rnn", **changes), pinned=(*PINNED, *pinned))


@contextlib.contextmanager
def untracked(name, options, run):
    yield run or name


def searched(where, output, study, trials=1, seen=None):
    rows = [] if seen is None else seen
    budget = Budget(hours=1, trials=trials)
    sweep(where, output, study=study, budget=budget, track=untracked, on_epoch=rows.append)


def rows_of(folder):
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_what_is_pinned_or_out_of_range_is_not_searched(tmp_path):
    def space(*pinned, **changes):
        return {*Search(tmp_path, **small(**changes), pinned=pinned).space}

    assert space(embedding=64, units=64) == {*SPACE}
    assert space("units", "dropout", embedding=64) == {*SPACE} - {"units", "dropout"}
    assert space(embedding=8, units=64) == {*SPACE} - {"embedding"}
    assert space(embedding=64, units=64, window="full") == {*SPACE} - {"window"}
    assert space(embedding=64, units=64, cell="gru") == {*SPACE} - {"mogrifier"}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_begins_within_the_space(tmp_path, preset):
    shipped = PRESETS[preset]
    assert {*Search(tmp_path, shipped.model, shipped.training).space} == {*SPACE}


def test_all_options_of_train_are_searched_or_fixed(tmp_path):
    where = Search(tmp_path, ModelConfig(), TrainingConfig(), pinned=["units"])
    assert where.options == values_of(ModelConfig(), TrainingConfig())
    assert where.fixed == {n: v for n, v in where.options.items() if n == "units" or n not in SPACE}
    model, training = where.of_trial({"window": 7, "dropout": 0.4})
    assert (model.dropout, training.window) == (0.4, 7)
    assert (model.units, training.seed) == (ModelConfig().units, TrainingConfig().seed)


def test_help_names_what_is_searched():
    said = " ".join(main.commands["sweep"].help.split())
    for name in SPACE:
        assert f"--{name.replace('_', '-')}" in said


def test_a_trial_below_the_median_is_pruned(tokens, tmp_path):
    where, output = search(tokens, "batch_size"), tmp_path / "sweep"
    study = open_study(output)
    # Five trials that know the language; the next one needs its first epoch to learn anything.
    for number in range(5):
        study.add_trial(
            create_trial(
                value=1.1,
                params={"learning_rate": 0.01 + 0.001 * number},
                distributions={"learning_rate": SPACE["learning_rate"]},
                intermediate_values={1: 1.2 + 0.01 * number, 2: 1.1},
                user_attrs={"begun": number, "run": ""},
            )
        )
    seen = []
    searched(where, output, study, trials=6, seen=seen)
    assert [row["epoch"] for row in seen] == [1]
    assert study.trials[-1].state == TrialState.PRUNED
    last = rows_of(output)[-1]
    assert (last["trial"], last["state"], last["epochs"]) == ("5", "pruned", "1")
    assert float(last["valid_perplexity"]) == pytest.approx(seen[0]["valid_perplexity"])
    assert not [*(output / "trials").iterdir()]


def test_a_trial_that_diverges_is_pruned(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.training.loop._SPIKE", -9.0)  # every loss has risen too far
    study = open_study(tmp_path / "sweep")
    with pytest.raises(InputError, match="No trial has been trained to its end"):
        searched(search(tokens), tmp_path / "sweep", study)
    (trial,) = study.trials
    assert trial.state == TrialState.PRUNED
    # The first trial has the options that the sweep was called with.
    assert trial.params == {"learning_rate": 0.02, "batch_size": 4}


def test_a_proposal_that_does_not_fit_is_pruned(tokens, tmp_path):
    def of_size(size):
        return search(tokens, "learning_rate", epochs=1, batch_size=size)

    with pytest.raises(InputError, match="less than one window"):  # what it was called with
        searched(of_size(128), tmp_path / "unfit", open_study(tmp_path / "unfit"))
    study = open_study(tmp_path / "sweep")
    for size in (4, 128, 5):
        study.enqueue_trial({"batch_size": size})
    searched(of_size(4), tmp_path / "sweep", study, trials=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]


def test_a_signal_at_the_end_of_a_trial_stops_the_sweep(tokens, tmp_path, monkeypatch):
    measure = _Best.measure

    def interrupted(best):
        signal.raise_signal(signal.SIGTERM)
        return measure(best)

    study = open_study(tmp_path / "sweep")
    with monkeypatch.context() as patch:
        patch.setattr(_Best, "measure", interrupted)
        with pytest.raises(Interrupted, match="Stopped: the same command goes on"):
            searched(search(tokens, epochs=1), tmp_path / "sweep", study, trials=2)
    searched(search(tokens, epochs=1), tmp_path / "sweep", study, trials=1)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_another_search_does_not_go_on_with_a_study(tokens, tmp_path):
    study = open_study(tmp_path / "sweep")
    searched(search(tokens), tmp_path / "sweep", study, trials=1)
    for other, name in (
        (search(tokens, epochs=9), "--epochs"),
        (search(tokens, "batch_size"), "--batch-size"),
    ):
        with pytest.raises(InputError, match=f"was begun with other {name}: change it back"):
            searched(other, tmp_path / "sweep", study)
    shutil.copy(tokens / "valid.npy", tokens / "train.npy")
    with pytest.raises(InputError, match="with other --tokens"):
        searched(search(tokens), tmp_path / "sweep", study)


def test_a_sweep_of_nothing(tokens, tmp_path):
    pinned = search(tokens, "learning_rate", "batch_size")
    with pytest.raises(InputError, match="Nothing is left to search"):
        searched(pinned, tmp_path / "sweep", open_study(tmp_path / "sweep"))


def test_folders_and_databases_that_cannot_be_used(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds no sweep"):
        open_study(tmp_path)
    for storage in ("nothing", "sqlite:////nowhere/sweep.db", "postgresql+none://x/y"):
        with pytest.raises(InputError, match="cannot be opened"):
            open_study(tmp_path / "sweep", storage)


def test_a_trial_of_another_machine_is_left_alone(tokens, tmp_path):
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    theirs = open_study(tmp_path / "theirs", storage).ask({})
    theirs.set_user_attr("place", "elsewhere:/sweep")
    study = open_study(tmp_path / "mine", storage)
    searched(search(tokens), tmp_path / "mine", study)
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "COMPLETE"]


# Results


def test_the_best_complete_trial_is_the_preset(tmp_path):
    trials = [
        Trial(0, True, [90.0, 80.0, 85.0], 20.0, {"dropout": 0.1}, "a"),
        Trial(1, False, [70.0], 10.0, {"dropout": 0.2}, "b"),
        Trial(2, True, [90.0, 78.0], 21.0, {"dropout": 0.3}, "c"),
        Trial(3, False, [], 0.0, {"dropout": 0.4}, "d"),
    ]
    write_results(trials, {"dropout": 0.0, "stride": None, "window": "full"}, tmp_path)
    assert [(row["trial"], row["state"]) for row in rows_of(tmp_path)] == [
        ("2", "complete"), ("0", "complete"), ("1", "pruned"), ("3", "pruned"),
    ]  # fmt: skip
    assert [row["valid_perplexity"] for row in rows_of(tmp_path)] == ["78.0", "80.0", "70.0", "inf"]
    text = (tmp_path / "preset.toml").read_text()
    assert text.startswith("# `nextword sweep`: trial 2, the best of 4, with validation perplexity")
    assert tomllib.loads(text) == {"dropout": 0.3, "window": "full"}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_comes_back_from_its_file(tmp_path, preset):
    values = values_of(PRESETS[preset].model, PRESETS[preset].training)
    (tmp_path / "mine.toml").write_text(in_toml(values))
    file = str(tmp_path / "mine.toml")
    given = main.commands["train"].make_context("train", ["--preset", file, "--seed", "7"]).params
    assert {name: given[name] for name in values} == values | {"seed": 7}


def test_a_file_of_a_few_options(tmp_path):
    (tmp_path / "mine.toml").write_text('# mine\nbatch-size = 8\nwindow = "full"\ndropout = 0\n')
    assert read_preset(tmp_path / "mine.toml") == {
        "batch_size": 8, "window": "full", "dropout": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("units", "is no preset"),
        ("units = 0", "sets units to 0: "),
        ("units = 3.5", "sets units to 3.5: "),
        ('units = "many"', "sets units to 'many': "),
        ("layers = true", "sets layers to True: "),
        ("learning-rate = inf", "inf is not a finite number."),
        ('cell = "transformer"', "sets cell to 'transformer': "),
        ("corpus = 1", "sets corpus, which is no option of a model or its training"),
    ],
)
def test_a_bad_file_gets_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    for command in ("train", "run", "devices", "sweep"):
        said = sentence_of(nextword(command, "--preset", file))
        assert str(file) in said
        assert sentence in said


# Whole sweeps


EPOCHS = 40


def start(where):
    command = [sys.executable, "-u", "-m", "pipeline.cli", "sweep", "--tokens", "tokens"]
    sizes = "--cell simple_rnn --embedding 8 --units 8 --dropout 0.1 --window 5"
    options = f"--output sweep --trials 2 --epochs {EPOCHS} --patience 99 --strategy one"
    return subprocess.Popen(
        [*command, *sizes.split(), *options.split()],
        cwd=where, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(process, *beginnings):
    """Wait for lines that begin so, one after the other; return the epochs seen."""
    waiting, epochs = [*beginnings], []
    for line in process.stdout:
        epochs += [int(number) for number in re.findall(r"^epoch (\d+)/\d+  loss", line)]
        if line.startswith(waiting[0]):
            waiting.pop(0)
            if not waiting:
                return epochs
    pytest.fail(f"the process ended early: {process.wait()}")


def states(folder):
    study = optuna.load_study(study_name="nextword", storage=f"sqlite:///{folder / 'sweep.db'}")
    return study, [trial.state.name for trial in study.trials]


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_was_killed_or_stopped(tmp_path, store):
    write_tokens(tmp_path / "tokens")
    folder = tmp_path / "sweep"
    killed = start(tmp_path)
    wait_for(killed, "trial 1:", f"epoch 2/{EPOCHS}")
    killed.kill()
    killed.wait()
    study, seen = states(folder)
    assert seen == ["COMPLETE", "RUNNING"]
    first = study.trials[0]

    stopped = start(tmp_path)
    first_epoch, *_ = wait_for(stopped, "trial 1:", "epoch", "epoch")
    assert first_epoch > 2, "the trial began again"
    stopped.send_signal(signal.SIGINT)
    said, _ = stopped.communicate(timeout=400)
    assert stopped.returncode == 128 + signal.SIGINT, said
    assert "Stopped: the same command goes on with the interrupted trial" in " ".join(said.split())

    said, _ = start(tmp_path).communicate(timeout=400)
    assert "trial 0:" not in said
    assert "Trials to the end: 2, pruned: 0" in said
    study, seen = states(folder)
    assert seen == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert study.trials[0] == first
    assert study.trials[1].params == study.trials[3].params != first.params
    assert {row["trial"] for row in rows_of(folder)} == {"0", "1"}
    check_runs(study)
    check_preset(folder, tmp_path)


def check_runs(study):
    """One MLflow run, and in it one for each trial, with its options and its epochs."""
    client = mlflow.MlflowClient()
    parent = client.get_run(study.user_attrs["run"])
    experiment = [parent.info.experiment_id]
    nested = client.search_runs(experiment, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert [run.info.run_name for run in nested] == ["trial 1", "trial 0"]
    assert {run.info.status for run in (parent, *nested)} == {"FINISHED"}
    assert parent.data.params["units"] == "8"
    assert "learning_rate" not in parent.data.params
    for run, trial in zip(nested, (study.trials[3], study.trials[0]), strict=True):
        assert float(run.data.params["learning_rate"]) == trial.params["learning_rate"]
        assert run.data.params["epochs"] == str(EPOCHS)
        assert run.data.metrics["best_valid_perplexity"] == pytest.approx(trial.value)
        epochs = client.get_metric_history(run.info.run_id, "valid_perplexity")
        assert {metric.step for metric in epochs} == {*range(1, EPOCHS + 1)}


def check_preset(folder, place):
    """A training with the preset is the best trial's, bit for bit."""
    tokens, output, preset = place / "tokens", place / "model", folder / "preset.toml"
    done = nextword("train", "--tokens", tokens, "--output", output, "--preset", preset)
    assert done.exit_code == 0, done.output
    best = min(row["valid_perplexity"] for row in history(output))
    assert best == float(rows_of(folder)[0]["valid_perplexity"])
