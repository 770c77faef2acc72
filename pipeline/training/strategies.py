"""Which devices and machines train together, as `tf.distribute` knows them."""

import contextlib
import functools
import json
import logging
import math
import os
import re
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline import InputError
from pipeline.training.config import Strategy

if TYPE_CHECKING:
    import tensorflow as tf

log = logging.getLogger(__name__)

# Seconds that a failed worker waits for the others, to tell them why it failed.
_PATIENCE = 60.0
# Seconds between two attempts to reach the chief, and the timeout of a connection.
_PAUSE, _TIMEOUT = 0.2, 5.0
_LONGEST_MESSAGE = 2**16  # characters


class WorkerFailed(InputError):
    """Another worker has failed; the message is its own."""


def _read_cluster() -> tuple[dict[tuple[str, int], tuple[str, int]], tuple[str | None, int]]:
    """Return host and port of each machine of TF_CONFIG, the chief first, and which one this is."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        addresses = {
            (kind, index): _host_and_port(address)
            for kind in ("chief", "worker")
            for index, address in enumerate(config.get("cluster", {}).get(kind, ()))
        }
        task = config.get("task", {})
        me = task.get("type"), int(task.get("index", 0))
        if addresses and me not in addresses:
            raise ValueError("the task is not in the cluster")
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"TF_CONFIG holds {text!r}, which names no machines, or not this one: set it to "
            '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}.'
        ) from error
    return addresses, me


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not 0 < int(port) < 2**16:
        raise ValueError(f"{address} is not an address")
    return host.strip("[]"), int(port)


def workers() -> int:
    """Return the number of machines in the environment variable TF_CONFIG; 1 without it.

    Raises:
        InputError: TF_CONFIG is not what TensorFlow's guide on distributed training describes.
    """
    return max(1, len(_read_cluster()[0]))


def is_chief() -> bool:
    """Return whether this process is the one that writes checkpoints and models."""
    addresses, me = _read_cluster()
    return me == next(iter(addresses), me)


def mean_of_workers(value: float) -> float:
    """Return the mean of a number over all machines.

    What each computes by itself may differ in its last bits, and all have to decide alike.
    """
    if workers() == 1:
        return value
    import tensorflow as tf

    strategy = _multi_worker_strategy()
    values = strategy.run(lambda: tf.constant(value, tf.float64))
    return float(strategy.reduce(tf.distribute.ReduceOp.MEAN, values, axis=None))


def require_one_machine(what: str) -> None:
    """Raise an InputError that names `what` if TF_CONFIG has several machines."""
    if workers() > 1:
        raise InputError(
            f"TF_CONFIG names several machines, and {what} is for one: run the other stages "
            "without TF_CONFIG, and then `nextword train` on all."
        )


@contextlib.contextmanager
def connected_workers() -> Iterator[None]:
    """Connect the workers of TF_CONFIG; any of them can end all by `abort_workers`.

    Raises:
        WorkerFailed: another worker has failed.
        InputError: another worker was lost.
    """
    if workers() == 1:
        yield
        return
    import tensorflow as tf

    try:
        if reason := _rendezvous():
            raise WorkerFailed(reason)
        _multi_worker_strategy()
        yield
    except tf.errors.OpError as error:
        if reported := re.search("<nextword>(.*?)</nextword>", error.message, re.DOTALL):
            raise WorkerFailed(reported[1]) from error
        raise InputError(
            f"Another worker was lost ({type(error).__name__}): start all of them again "
            "with --resume."
        ) from error


def abort_workers(reason: str) -> None:
    """End the other workers of TF_CONFIG, as far as they can be reached, with a message."""
    if not _multi_worker_strategy.cache_info().currsize:
        with contextlib.suppress(InputError):
            _rendezvous(reason)
        return
    import tensorflow as tf
    from tensorflow.python.eager import context

    with contextlib.suppress(tf.errors.OpError):  # they have ended already
        context.context().report_error_to_cluster(
            tf.errors.ABORTED, f"<nextword>{reason}</nextword>"
        )


def _rendezvous(failure: str = "") -> str:
    """Wait for all workers of TF_CONFIG, before TensorFlow connects them.

    TensorFlow waits for an hour for a worker that has failed and gone, deaf to signals. So each
    worker first reports to the chief, at the address that TensorFlow's server will take over.

    Args:
        failure: why this worker fails, if it does; then it waits for `_PATIENCE` at most.

    Returns:
        Why one of the workers fails; empty if none does.
    """
    addresses, me = _read_cluster()
    deadline = time.monotonic() + _PATIENCE if failure else math.inf
    host, port = next(iter(addresses.values()))
    if not is_chief():
        report = {"worker": me, "refuses": failure}
        return _report((host, port), report, deadline) or failure
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    arrived: dict[tuple[str, int], socket.socket] = {}
    with contextlib.ExitStack() as stack:
        try:
            dual = family == socket.AF_INET6
            server = socket.create_server(("", port), family=family, dualstack_ipv6=dual)
        except OSError as error:
            raise InputError(
                f"The first worker cannot listen on port {port} ({error.strerror}): name another "
                "in TF_CONFIG."
            ) from error
        with server:
            while len(arrived) < len(addresses) - 1 and time.monotonic() < deadline:
                server.settimeout(min(_TIMEOUT, max(deadline - time.monotonic(), 0.01)))
                # Ignore timeouts, and whoever connects but is not a worker of ours.
                with contextlib.suppress(
                    OSError, ValueError, LookupError, TypeError, RecursionError
                ):
                    connection = stack.enter_context(server.accept()[0])
                    connection.settimeout(_TIMEOUT)
                    report = _receive(connection)
                    arrived[report["worker"][0], report["worker"][1]] = connection
                    if report["refuses"] and not failure:
                        failure, deadline = report["refuses"], time.monotonic() + _PATIENCE
                arrived = {who: peer for who, peer in arrived.items() if not _is_closed(peer)}
        for connection in arrived.values():
            with contextlib.suppress(OSError):
                connection.settimeout(_TIMEOUT)
                _send(connection, failure)
    return failure


def _send(connection: socket.socket, message: Any) -> None:
    connection.sendall(f"{json.dumps(message)}\n".encode())


def _receive(connection: socket.socket) -> Any:
    return json.loads(connection.makefile(encoding="utf-8").readline(_LONGEST_MESSAGE))


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _report(chief: tuple[str, int], report: dict[str, Any], deadline: float) -> str:
    """Report to the chief, and return its answer; empty if it does not answer in time."""
    told = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if time.monotonic() > told:
            told = math.inf
            log.warning("Waiting for the first worker at %s, port %s.", *chief)
        with (
            contextlib.suppress(OSError, ValueError),  # not there yet, or gone again
            socket.create_connection(chief, timeout=_TIMEOUT) as connection,
        ):
            if connection.getsockname() == connection.getpeername():
                raise OSError("a free port of this machine is connected to itself")
            _send(connection, report)
            connection.settimeout(deadline - time.monotonic() if report["refuses"] else None)
            return str(_receive(connection))
        time.sleep(_PAUSE)
    return ""


@functools.cache
def _multi_worker_strategy() -> "tf.distribute.Strategy":
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def make(name: Strategy) -> "tf.distribute.Strategy":
    """Make a strategy; with several machines, before TensorFlow runs anything else.

    Args:
        name: `one` device; `mirrored`, all GPUs of this machine, or all of its logical CPUs;
            `multiworker`, the machines of TF_CONFIG; or `auto`, the last of these that fits.

    Raises:
        InputError: `multiworker` without TF_CONFIG, or another with several machines in it.
    """
    import tensorflow as tf

    if workers() > 1:
        if name not in ("auto", "multiworker"):
            require_one_machine(f"--strategy {name}")
        return _multi_worker_strategy()
    if name == "multiworker":
        raise InputError(
            "--strategy multiworker needs the machines in TF_CONFIG, which names fewer than two."
        )
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()
