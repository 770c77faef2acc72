"""Trainings that are killed, stopped and cut short, in processes of their own."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pipeline.model import load_model

# The loop of a training that saves every few windows, slowed down so that a signal meets it.
TRAIN = """
import sys, time
from pipeline import cli
from pipeline.training import loop

loop._SAVE_EVERY, distribute = 7, loop.distribute

def slowly(*arguments):
    for window in distribute(*arguments):
        time.sleep(0.02)
        print("window", flush=True)
        yield window

loop.distribute = slowly
cli.main(sys.argv[1:])
"""


def command(tokens, output, *options):
    sizes = "--embedding 8 --units 8 --layers 2 --dropout 0.3 --batch-size 4 --window 5"
    schedule = "--epochs 3 --learning-rate 0.02 --patience 9"
    return [
        *(sys.executable, "-c", TRAIN, "train", "--tokens", tokens, "--output", output),
        *f"{sizes} {schedule}".split(),
        *options,
    ]


@pytest.fixture
def start(tokens, tmp_path):
    """Starts a training in a process; its windows are lines of its output."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    started = []

    def start(name, *options):
        process = subprocess.Popen(
            list(map(str, command(tokens, tmp_path / name, *options))),
            cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for_windows(process, count):
    for line in process.stdout:
        count -= line == "window\n"
        if not count:
            return
    pytest.fail(f"it ended before: {process.wait()}")


def weights(folder):
    return [variable.numpy() for variable in load_model(folder).trainable_variables]


UNDISTURBED = []  # made by the first test that wants it


@pytest.fixture
def whole(start, tmp_path):
    """The weights of a training that nothing disturbed."""
    if not UNDISTURBED:
        process = start("whole")
        out, _ = process.communicate()
        assert process.returncode == 0, out
        UNDISTURBED.extend(weights(tmp_path / "whole"))
    return UNDISTURBED


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_weights(start, whole, tmp_path):
    chance = random.Random(time.time_ns())
    for _ in range(3):
        process = start("killed", "--resume")
        wait_for_windows(process, chance.randint(1, 30))
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start("killed", "--resume")
    out, _ = process.communicate()
    assert process.returncode == 0, out
    assert out.count("window\n") < 90, "it began anew"
    for mine, theirs in zip(weights(tmp_path / "killed"), whole, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert not (tmp_path / "killed" / "resume").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_after_it_has_saved(start, whole, tmp_path, number):
    process = start("stopped")
    wait_for_windows(process, 33)
    process.send_signal(number)
    out, _ = process.communicate()
    assert process.returncode == 128 + number
    assert re.search(r"Stopped in epoch 2 after \d of 30 windows: .* --resume goes on", out), out
    assert "Traceback" not in out

    process = start("stopped")
    out, _ = process.communicate()
    assert process.returncode == 2
    assert "--resume, or begin anew with --force" in out

    process = start("stopped", "--resume", "--dropout", "0.1")
    out, _ = process.communicate()
    assert process.returncode == 2
    assert "--dropout changed since it began" in out

    process = start("stopped", "--resume")
    out, _ = process.communicate()
    assert process.returncode == 0, out
    for mine, theirs in zip(weights(tmp_path / "stopped"), whole, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.slow
def test_a_checkpoint_cut_short_is_passed_over(start, whole, tmp_path):
    process = start("cut")
    wait_for_windows(process, 40)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    resume = tmp_path / "cut.partial" / "resume"
    newest = max(resume.glob("*.data-*"), key=lambda path: int(re.findall(r"\d+", path.name)[0]))
    newest.write_bytes(newest.read_bytes()[:100])
    backup = shutil.copytree(tmp_path / "cut.partial", tmp_path / "backup")

    process = start("cut", "--resume")
    out, _ = process.communicate()
    assert process.returncode == 0, out
    assert "cannot be read" in out
    for mine, theirs in zip(weights(tmp_path / "cut"), whole, strict=True):
        np.testing.assert_array_equal(mine, theirs)

    for path in (backup / "resume").glob("*.data-*"):
        path.write_bytes(b"")
    shutil.rmtree(tmp_path / "cut")
    backup.rename(tmp_path / "cut.partial")
    process = start("cut", "--resume")
    out, _ = process.communicate()
    assert process.returncode == 2
    assert re.search(r"No checkpoint in .* can be read: begin anew with --force", out), out
