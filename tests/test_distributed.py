"""The same training on one device, on two, and on several machines (processes on loopback)."""

import concurrent.futures
import functools
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, config, digests, history, wait_for_windows

from pipeline import InputError
from pipeline.model.language_model import load_model
from pipeline.training import strategies

pytestmark = pytest.mark.slow
# Lanes that two and three divide; what is dropped depends on how many devices there are.
SAME = ("--batch-size", "12", "--dropout", "0")


@pytest.fixture(scope="module")
def one(start, place):
    """A training on one device."""
    digests(start("one", *SAME))
    return place / "one"


@pytest.fixture(scope="module")
def several(start, place):
    """Trainings on some machines, each made once."""

    @functools.cache
    def several(workers):
        name = f"on {workers}"
        assert len({*digests(start(name, *SAME, workers=workers))}) == 1
        return place / name

    return several


def losses(folder):
    return [(row["train_loss"], row["valid_loss"]) for row in history(folder)]


def assert_same_training(folder, other):
    np.testing.assert_allclose(losses(folder), losses(other), rtol=1e-5)
    mine, theirs = (load_model(path).trainable_variables for path in (folder, other))
    for one, another in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, another, atol=1e-5)


TWO_CPUS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def test_two_devices_learn_what_one_learns(start, one, place):
    digests(start("mirrored", *SAME, "--strategy", "mirrored", before=TWO_CPUS))
    assert_same_training(place / "mirrored", one)


@pytest.mark.parametrize("workers", [2, 3])
def test_several_machines_learn_what_one_learns(several, one, workers):
    assert_same_training(several(workers), one)


def test_two_machines_drop_what_two_devices_drop(start, place):
    dropped = ("--batch-size", "12", "--dropout", "0.3", "--weight-dropout", "0.3")
    assert len({*digests(start("dropped", *dropped, workers=2))}) == 1
    digests(start("both", *dropped, "--strategy", "mirrored", before=TWO_CPUS))
    assert_same_training(place / "dropped", place / "both")


def test_a_worker_that_is_killed_costs_no_more_than_a_start(start, several, place):
    processes = start("killed", *SAME, "--resume", workers=2)
    wait_for_windows(processes[1], 17)
    processes[1].send_signal(signal.SIGKILL)
    out, _ = processes[0].communicate(timeout=400)
    assert processes[0].returncode != 0, out
    assert len({*digests(start("killed", *SAME, "--resume", workers=2))}) == 1
    mine, theirs = (
        load_model(folder).trainable_variables for folder in (place / "killed", several(2))
    )
    for one, another in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one, another)


def ended_together(processes, *, within=60):
    """What processes print until they end, all of them some seconds after the first at most."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reading = [pool.submit(process.communicate, timeout=400) for process in processes]
        concurrent.futures.wait(reading, return_when="FIRST_COMPLETED")
        _, left = concurrent.futures.wait(reading, timeout=within)
    assert not left
    return [future.result()[0] for future in reading]


def test_a_first_worker_that_is_killed_leaves_none_waiting(start):
    processes = start("lost", *SAME, workers=2)
    wait_for_windows(processes[1], 17)
    processes[0].send_signal(signal.SIGKILL)
    _, output = ended_together(processes, within=300)  # until TensorFlow notices it
    assert processes[1].returncode == 2, output
    assert "Another worker was lost" in output


# An option out of range that only one worker is given.
NO_EPOCHS = """
import json, os, sys
if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == {}:
    sys.argv += ["--epochs", "0"]
"""


@pytest.mark.parametrize(
    ("options", "sentence", "how"),
    [
        # The first worker alone looks at where it writes, and writes.
        (("mine",), "will not be replaced: name another", {}),
        (("full", "--cell", "feedforward", "--layers", "1"), "make room", {"FULL_AFTER": "9"}),
        # Before TensorFlow knows of the other.
        (("first",), "'--epochs'", {"before": NO_EPOCHS.format(0)}),
        (("second",), "'--epochs'", {"before": NO_EPOCHS.format(1)}),
        (("both", "--epochs", "0"), "'--epochs'", {}),
        (("grown", "--init", "old", "--corpus", "x.txt"), "--corpus is for one", {}),
    ],
    ids=["mine", "full", "first", "second", "both", "corpus"],
)  # fmt: skip
def test_what_one_worker_refuses_all_refuse(start, place, options, sentence, how):
    for folder in (place / "mine", place / "old"):
        folder.mkdir(exist_ok=True)
        config().save(folder / "model.json")
    processes = start(*options, workers=2, **how)
    outputs = ended_together(processes)
    assert [process.returncode for process in processes] == [2, 2], outputs
    errors = [[line for line in out.splitlines() if "Error: " in line] for out in outputs]
    assert sentence in errors[0][0]
    assert errors[0] == errors[1]
    assert len(errors[0]) == 1


@pytest.mark.parametrize("command", ["run", "explain --windows 5"])
def test_a_run_of_all_stages_is_refused_on_several_machines(tmp_path, command):
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *command.split()],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "TF_CONFIG": json.dumps(config), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert result.returncode == 2
    assert "`nextword train` on all" in result.stderr


def test_what_names_no_machines_is_refused(monkeypatch):
    with pytest.raises(InputError, match="names fewer than two"):
        strategies.make("multiworker")
    two = '"cluster": {"worker": ["a:2222", "b:2222"]}'
    for text in (
        "worker 0",
        f"{{{two}}}",
        f'{{{two}, "task": {{"type": "worker", "index": 2}}}}',
        '{"cluster": {"worker": ["a", "b"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:99999"]}, "task": {"type": "worker", "index": 0}}',
    ):
        monkeypatch.setenv("TF_CONFIG", text)
        with pytest.raises(InputError, match="names no machines, or not this one"):
            strategies.workers()
    monkeypatch.setenv("TF_CONFIG", f'{{{two}, "task": {{"type": "worker", "index": "0"}}}}')
    assert strategies.workers() == 2
    assert strategies.is_chief()
