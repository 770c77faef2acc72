"""Resuming trainings that were killed or stopped, in processes of their own."""

import random
import re
import shutil
import signal
import time

import numpy as np
import pytest
from conftest import digests, wait_for_windows

from pipeline.model.language_model import load_model

pytestmark = pytest.mark.slow


def weights(folder):
    return [variable.numpy() for variable in load_model(folder).trainable_variables]


@pytest.fixture(scope="module")
def whole(start, place):
    """The weights of a training that nothing disturbed."""
    digests(start("whole"))
    return weights(place / "whole")


@pytest.fixture
def train(start):
    """Trains to the end; returns the exit code and all that was printed."""

    def train(name, *options, **environment):
        (process,) = start(name, *options, **environment)
        out, _ = process.communicate(timeout=400)
        assert "Traceback" not in out
        return process.returncode, out

    return train


@pytest.fixture
def assert_it_resumes(train, whole, place):
    def assert_it_resumes(name):
        code, out = train(name, "--resume")
        assert code == 0, out
        assert out.count("window\n") < 90, "it started from scratch"
        for mine, theirs in zip(weights(place / name), whole, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        for path in (place / "whole" / "checkpoints").glob("ckpt-*"):
            assert (place / name / "checkpoints" / path.name).read_bytes() == path.read_bytes()
        assert not (place / name / "resume").exists()
        return out

    return assert_it_resumes


def stop(start, name, number=signal.SIGTERM, *, after):
    """Begins a training and stops it by a signal: it saves before it leaves."""
    (process,) = start(name)
    wait_for_windows(process, after)
    process.send_signal(number)
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 128 + number
    message = r"Error: Stopped in epoch \d after \d+ of 30 windows: .* --resume goes on from it"
    assert re.search(message, out), out
    assert "Traceback" not in out


def test_a_training_killed_at_any_moment_ends_with_the_same_weights(start, assert_it_resumes):
    chance = random.Random(time.time_ns())
    for least in (8, 1):  # the first after it has saved, so that there is something to go on from
        (process,) = start("killed", "--resume")
        wait_for_windows(process, chance.randint(least, 30))
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert_it_resumes("killed")


def test_an_interrupt_saves_before_it_stops(start, assert_it_resumes):
    stop(start, "interrupted", signal.SIGINT, after=33)
    assert_it_resumes("interrupted")


def test_training_resumes_only_on_request_and_with_the_same_options(start, train):
    stop(start, "asked", after=10)
    code, out = train("asked")
    assert code == 2
    assert "--resume, or start over with --force" in out
    code, out = train("asked", "--resume", "--dropout", "0.1")
    assert code == 2
    assert "--dropout changed since it began" in out


def test_a_truncated_checkpoint_is_skipped(start, train, assert_it_resumes, place):
    stop(start, "cut", after=40)
    partial = place / "cut.partial"
    resume = partial / "resume"
    newest = max(resume.glob("*.data-*"), key=lambda path: int(re.findall(r"\d+", path.name)[0]))
    newest.write_bytes(newest.read_bytes()[:100])
    backup = shutil.copytree(partial, place / "backup")
    assert "cannot be read" in assert_it_resumes("cut")

    for path in (backup / "resume").glob("*.data-*"):
        path.write_bytes(b"")
    shutil.rmtree(place / "cut")
    backup.rename(partial)
    code, out = train("cut", "--resume")
    assert code == 2
    assert re.search(r"No checkpoint in .* can be read: start over with --force", out), out


@pytest.mark.parametrize("windows", [10, 29], ids=["within an epoch", "at its end"])
def test_a_full_disk_destroys_no_checkpoint(train, assert_it_resumes, windows, place):
    """A limit on the size of files stands for the disk that is full."""
    name = f"full after {windows}"
    code, out = train(name, FULL_AFTER=str(windows))
    assert code == 2, out
    message = (
        r"Error: No checkpoint can be written into \S.*/\w+ \([^{}]*File too large\): make room"
    )
    assert re.search(message, out), out
    assert list((place / f"{name}.partial" / "resume").glob("*.index"))
    assert_it_resumes(name)
    assert not list((place / name).rglob("*_temp*"))
