"""Workers meet before TensorFlow connects them: processes on loopback."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from conftest import ROOT, free_ports

# A worker that reports why it fails, if it does, and prints the failure of any of them.
WORKER = """
import sys
from pipeline.training import strategies
strategies._PATIENCE = 1.0
print("received", strategies._rendezvous(sys.argv[1]), flush=True)
assert "tensorflow" not in sys.modules
"""


@pytest.fixture
def worker():
    (port,) = free_ports(1)
    addresses = [f"127.0.0.1:{port}", "127.0.0.1:1", "127.0.0.1:2"]
    started = []

    def worker(index, failure=""):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, failure],
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


def outputs(*processes):
    return [process.communicate(timeout=60)[0].strip() for process in processes]


@pytest.mark.parametrize("failing", [None, 0, 1])
def test_all_workers_meet_or_learn_why_one_failed(worker, failing):
    sentence = "A tradução falhou." if failing is not None else ""
    processes = [worker(i, sentence if i == failing else "") for i in (1, 2, 0)]
    assert outputs(*processes) == [f"received {sentence}".strip()] * 3


def test_a_worker_that_dies_while_waiting_can_come_again(worker):
    first, dying = worker(0), worker(1)
    connect(worker.port).sendall(b"GET / HTTP/1.1\r\n\r\n")  # from another program
    connect(worker.port).sendall(b"[1]\n")
    connect(worker.port).sendall(b"[" * 60_000 + b"\n")
    time.sleep(1)
    dying.kill()
    last = worker(2)
    with pytest.raises(subprocess.TimeoutExpired):
        last.communicate(timeout=2)
    assert outputs(first, worker(1)) == ["received"] * 2
    assert last.communicate()[0].strip() == "received"


def test_a_failed_worker_does_not_wait_forever(worker):
    began = time.monotonic()
    assert outputs(worker(0, "No."), worker(1, "No.")) == ["received No."] * 2
    assert outputs(worker(1, "No.")) == ["received No."]  # where nobody listens
    assert time.monotonic() - began < 30


def connect(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.05)
