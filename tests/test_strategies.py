"""The roll of the workers, called before TensorFlow connects them: processes on loopback."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import free_ports

ROOT = Path(__file__).parents[1]
# A worker that says what it refuses, and prints what it is told.
WORKER = """
import sys
from pipeline.training import strategies
strategies._PATIENCE = 1.0
print("told", strategies._call_roll(sys.argv[1]), flush=True)
assert "tensorflow" not in sys.modules
"""


@pytest.fixture
def worker():
    (port,) = free_ports(1)
    addresses = [f"127.0.0.1:{port}", "127.0.0.1:1", "127.0.0.1:2"]
    started = []

    def worker(index, refusal=""):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, refusal],
                text=True,
                stdout=subprocess.PIPE,
                env={**os.environ, "TF_CONFIG": json.dumps(config), "PYTHONPATH": str(ROOT)},
            )
        )
        return started[-1]

    worker.port = port
    yield worker
    for process in started:
        process.kill()
        process.wait()


def told(*processes):
    return [process.communicate(timeout=60)[0].strip() for process in processes]


@pytest.mark.parametrize("refusing", [None, 0, 1])
def test_all_come_or_all_are_told_why_not(worker, refusing):
    sentence = "A tradução falhou." if refusing is not None else ""
    processes = [worker(i, sentence if i == refusing else "") for i in (1, 2, 0)]
    assert told(*processes) == [f"told {sentence}".strip()] * 3


def test_one_that_dies_while_it_waits_is_waited_for_again(worker):
    first, dying = worker(0), worker(1)
    connect(worker.port).sendall(b"GET / HTTP/1.1\r\n\r\n")  # somebody else's
    connect(worker.port).sendall(b"[1]\n")
    time.sleep(1)
    dying.kill()
    last = worker(2)
    with pytest.raises(subprocess.TimeoutExpired):
        last.communicate(timeout=2)
    assert told(first, worker(1)) == ["told"] * 2
    assert last.communicate()[0].strip() == "told"


def test_who_refuses_does_not_wait_for_ever(worker):
    began = time.monotonic()
    assert told(worker(0, "No."), worker(1, "No.")) == ["told No."] * 2
    assert told(worker(1, "No.")) == ["told No."]  # where nobody listens
    assert time.monotonic() - began < 30


def connect(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.05)
