"""The same training on one device, on two, and on several machines (processes on loopback)."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import InputError
from pipeline.model import load_model
from pipeline.training import strategies

WORKER = Path(__file__).with_name("worker.py")
pytestmark = pytest.mark.slow


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def start(tokens, tmp_path):
    """Starts the workers of a training, one process each."""
    started = []

    def start(name, *options, workers=1, before=""):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
        processes = []
        for index in range(workers):
            environment = {
                **os.environ,
                "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
                "PYTHONPATH": str(WORKER.parents[1]),
            }
            if workers > 1:
                task = {"type": "worker", "index": index}
                config = {"cluster": {"worker": addresses}, "task": task}
                environment["TF_CONFIG"] = json.dumps(config)
            run = f"{before}\nimport runpy; runpy.run_path({str(WORKER)!r}, run_name='__main__')"
            process = subprocess.Popen(
                [sys.executable, "-c", run, str(tokens), str(tmp_path / name), *options],
                cwd=tmp_path, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            processes.append(process)
        started.extend(processes)
        return processes

    yield start
    for process in started:
        process.kill()
        process.wait()


def ended(processes):
    """The digests of the weights that processes ended with."""
    outputs = [process.communicate()[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return [output.split("weights ")[1].strip() for output in outputs]


def history(folder):
    with (folder / "history.csv").open() as file:
        return [
            (float(row["train_loss"]), float(row["valid_loss"])) for row in csv.DictReader(file)
        ]


def assert_same_training(folder, other):
    np.testing.assert_allclose(history(folder), history(other), rtol=1e-5)
    mine, theirs = (load_model(path).trainable_variables for path in (folder, other))
    for one, another in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, another, atol=1e-5)


TWO_CPUS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def test_two_devices_learn_what_one_learns(start, tmp_path):
    ended(start("one"))
    ended(start("two", "--strategy", "mirrored", before=TWO_CPUS))
    assert_same_training(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize("workers", [2, 3])
def test_several_machines_learn_what_one_learns(start, tmp_path, workers):
    ended(start("one"))
    digests = ended(start("several", workers=workers))
    assert len(set(digests)) == 1
    assert_same_training(tmp_path / "several", tmp_path / "one")


def test_a_worker_that_is_killed_costs_no_more_than_a_start(start, tmp_path):
    ended(start("whole", workers=2))
    processes = start("killed", "--resume", workers=2)
    count = 0
    for line in processes[1].stdout:
        count += line == "window\n"
        if count == 17:
            break
    assert count == 17
    processes[1].send_signal(signal.SIGKILL)
    out, _ = processes[0].communicate(timeout=200)
    assert processes[0].returncode != 0, out
    digests = ended(start("killed", "--resume", workers=2))
    assert len(set(digests)) == 1
    mine, theirs = (load_model(tmp_path / name).trainable_variables for name in ("killed", "whole"))
    for one, another in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one, another)


def test_a_run_of_all_stages_is_refused_on_several_machines(tmp_path):
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "run"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "TF_CONFIG": json.dumps(config), "PYTHONPATH": str(WORKER.parents[1])},
    )  # fmt: skip
    assert result.returncode == 2
    assert "`nextword train` on all" in result.stderr


def test_what_names_no_machines_is_refused(monkeypatch):
    with pytest.raises(InputError, match="names fewer than two"):
        strategies.make("multiworker")
    monkeypatch.setenv("TF_CONFIG", "worker 0")
    with pytest.raises(InputError, match="names no machines"):
        strategies.workers()
