"""Which devices and machines train together, as `tf.distribute` knows them."""

import contextlib
import functools
import json
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


# Seconds that a worker which refuses waits for the others, to tell them.
_PATIENCE = 60.0
# Seconds between two tries to reach the chief, and that a connection may be silent.
_PAUSE, _SILENCE = 0.2, 5.0
# Characters that a worker says.
_LONGEST = 2**16


class Told(InputError):
    """Another worker has refused; the message is its sentence."""


def _tf_config() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        machines = config["machines"] = {
            (kind, index): _host_and_port(address)
            for kind in ("chief", "worker")
            for index, address in enumerate(config.get("cluster", {}).get(kind, ()))
        }
        task = config.get("task", {})
        config["me"] = task.get("type"), int(task.get("index", 0))
        if machines and config["me"] not in machines:
            raise ValueError("it is none of them")
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"TF_CONFIG holds {text!r}, which names no machines, or not this one: set it to "
            '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}.'
        ) from error
    return config


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not 0 < int(port) < 2**16:
        raise ValueError(f"{address} is no address")
    return host.strip("[]"), int(port)


def workers() -> int:
    """Machines that the environment variable TF_CONFIG names; 1 without it.

    Raises:
        InputError: TF_CONFIG is not what TensorFlow's guide on distributed training describes.
    """
    return max(1, len(_tf_config()["machines"]))


def is_chief() -> bool:
    """Whether this process writes what all workers have learned."""
    config = _tf_config()
    return next(iter(config["machines"]), config["me"]) == config["me"]


def refuse_several(what: str) -> None:
    """Refuse what one machine does, not all that TF_CONFIG names.

    Raises:
        InputError: TF_CONFIG names several.
    """
    if workers() > 1:
        raise InputError(
            f"TF_CONFIG names several machines, and {what} is for one: run the other stages "
            "without TF_CONFIG, and then `nextword train` on all."
        )


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Train with all workers of TF_CONFIG, or with none: what one refuses, `tell` tells the others.

    Raises:
        Told: another worker has refused.
        InputError: another worker was lost.
    """
    if workers() == 1:
        yield
        return
    import tensorflow as tf

    try:
        if refusal := _call_roll():
            raise Told(refusal)
        _all_machines()
        yield
    except tf.errors.OpError as error:
        if told := re.search("<nextword>(.*?)</nextword>", error.message, re.DOTALL):
            raise Told(told[1]) from error
        raise InputError(
            f"Another worker was lost ({error.message.splitlines()[0]}): start all of them again "
            "with --resume."
        ) from error


def tell(sentence: str) -> None:
    """End the other workers of TF_CONFIG with a sentence; those that do not come miss it."""
    if not _all_machines.cache_info().currsize:
        with contextlib.suppress(InputError):
            _call_roll(refusal=sentence)
        return
    import tensorflow as tf
    from tensorflow.python.eager import context

    with contextlib.suppress(tf.errors.OpError):  # they have ended already
        context.context().report_error_to_cluster(
            tf.errors.ABORTED, f"<nextword>{sentence}</nextword>"
        )


def _call_roll(refusal: str = "") -> str:
    """Wait until all workers of TF_CONFIG are here; returns what one of them refuses, or "".

    TensorFlow waits for an hour for a worker that has refused and gone, deaf to signals. So each
    tells the chief, at the chief's address and before TensorFlow's server has it, whether it
    comes. Whoever refuses waits no longer than `_PATIENCE`.
    """
    config = _tf_config()
    until = time.monotonic() + _PATIENCE if refusal else float("inf")
    host, port = next(iter(config["machines"].values()))
    if not is_chief():
        return _answer_roll((host, port), config["me"], refusal, until)
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    here: dict[tuple[str, int], socket.socket] = {}
    with contextlib.ExitStack() as stack:
        try:
            roll = socket.create_server(
                ("", port), family=family, dualstack_ipv6=family == socket.AF_INET6
            )
        except OSError as error:
            raise InputError(
                f"The first worker cannot listen on port {port} ({error.strerror}): name another "
                "in TF_CONFIG."
            ) from error
        with roll:
            while time.monotonic() < until:
                here = {who: other for who, other in here.items() if not _is_gone(other)}
                if len(here) == len(config["machines"]) - 1:
                    break
                roll.settimeout(min(_SILENCE, max(until - time.monotonic(), 0.01)))
                # Nobody has come, or no worker of ours.
                with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                    other = stack.enter_context(roll.accept()[0])
                    other.settimeout(_SILENCE)
                    told = json.loads(other.makefile(encoding="utf-8").readline(_LONGEST))
                    here[told["worker"][0], told["worker"][1]] = other
                    if told["refuses"] and not refusal:
                        refusal, until = told["refuses"], time.monotonic() + _PATIENCE
        for other in here.values():
            with contextlib.suppress(OSError):
                other.settimeout(_SILENCE)
                other.sendall(f"{json.dumps(refusal)}\n".encode())
    return refusal


def _is_gone(other: socket.socket) -> bool:
    other.setblocking(False)
    try:
        return not other.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _answer_roll(chief: tuple[str, int], me: tuple[str, int], refusal: str, until: float) -> str:
    said = f"{json.dumps({'worker': me, 'refuses': refusal})}\n".encode()
    while time.monotonic() < until:
        with (
            contextlib.suppress(OSError, ValueError),  # not here yet, or gone again
            socket.create_connection(chief, timeout=_SILENCE) as connection,
        ):
            if connection.getsockname() == connection.getpeername():
                raise OSError("a free port of this machine is connected to itself")
            connection.sendall(said)
            connection.settimeout(until - time.monotonic() if refusal else None)
            return str(json.loads(connection.makefile(encoding="utf-8").readline()))
        time.sleep(_PAUSE)
    return refusal


@functools.cache
def _all_machines() -> "tf.distribute.Strategy":
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def make(name: Strategy) -> "tf.distribute.Strategy":
    """A strategy; nothing else of TensorFlow may run before one for several machines is made.

    Args:
        name: `one` device; `mirrored`, all GPUs of this machine, or all of its logical CPUs;
            `multiworker`, the machines of TF_CONFIG; or `auto`, the last of these that fits.

    Raises:
        InputError: `multiworker` without TF_CONFIG, or another with several machines in it.
    """
    import tensorflow as tf

    if workers() > 1:
        if name not in ("auto", "multiworker"):
            refuse_several(f"--strategy {name}")
        return _all_machines()
    if name == "multiworker":
        raise InputError(
            "--strategy multiworker needs the machines in TF_CONFIG, which names fewer than two."
        )
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()
