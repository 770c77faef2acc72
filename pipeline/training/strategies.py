"""Which devices and machines train together, as `tf.distribute` knows them."""

import json
import os
from typing import Any, Literal

import tensorflow as tf

from pipeline import InputError

Strategy = Literal["auto", "one", "mirrored", "multiworker"]


def _tf_config() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        config["machines"] = [
            (kind, index)
            for kind in ("chief", "worker")
            for index in range(len(config.get("cluster", {}).get(kind, ())))
        ]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"TF_CONFIG holds {text!r}, which names no machines: set it to "
            '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}.'
        ) from error
    return config


def workers() -> int:
    """Machines that the environment variable TF_CONFIG names; 1 without it.

    Raises:
        InputError: TF_CONFIG is not what TensorFlow's guide on distributed training describes.
    """
    return max(1, len(_tf_config()["machines"]))


def is_chief() -> bool:
    """Whether this process writes what all workers have learned."""
    config = _tf_config()
    task = config.get("task", {})
    return config["machines"][:1] in ([], [(task.get("type"), task.get("index"))])


def make(name: Strategy) -> tf.distribute.Strategy:
    """A strategy; nothing else of TensorFlow may run before one for several machines is made.

    Args:
        name: `one` device; `mirrored`, all GPUs of this machine, or all of its logical CPUs;
            `multiworker`, the machines of TF_CONFIG; or `auto`, the last of these that fits.

    Raises:
        InputError: `multiworker` without TF_CONFIG.
    """
    if name == "multiworker" and workers() == 1:
        raise InputError(
            "--strategy multiworker needs the machines in TF_CONFIG, which names fewer than two."
        )
    if name == "multiworker" or (name == "auto" and workers() > 1):
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()
