"""The devices that TensorFlow sees, and whether cuDNN and tensor cores will be used."""

import dataclasses
import os

import keras
import psutil
import rich
import tensorflow as tf
from rich.table import Table

from pipeline.model.config import ModelConfig, Precision
from pipeline.model.language_model import build_model

# Compute capability from which GPUs have tensor cores for the type.
_TENSOR_CORES = {"mixed_float16": (7, 0), "mixed_bfloat16": (8, 0)}


@dataclasses.dataclass(frozen=True)
class Device:
    """A CPU or GPU that TensorFlow sees.

    Attributes:
        name: as TensorFlow calls it, `GPU:0`.
        model: name of the product; of CPUs, the number of cores.
        memory: bytes that TensorFlow can allocate; None if unknown.
        compute_capability: (major, minor) of an NVIDIA GPU.
    """

    name: str
    model: str
    memory: int | None
    compute_capability: tuple[int, int] | None


def print_devices(config: ModelConfig, *, precision: Precision) -> None:
    """Print a table of devices, and in sentences how a model would be trained on them."""
    devices = find_devices()
    table = Table("device", "model", "memory", "compute capability", box=None)
    for device in devices:
        memory = "" if device.memory is None else f"{device.memory / 2**30:.1f} GiB"
        capability = ".".join(map(str, device.compute_capability or ()))
        table.add_row(device.name, device.model, memory, capability)
    rich.print(table)
    rich.print()
    for sentence in (*describe_recurrence(config), describe_precision(precision, devices)):
        rich.print(sentence)


def describe_recurrence(config: ModelConfig) -> list[str]:
    """Return how the recurrent layers will run, and why without cuDNN, a sentence each."""
    layers = build_model(dataclasses.replace(config, vocabulary_size=2), batch_size=1).recurrent
    reasons = list(dict.fromkeys(why for layer in layers for why in cudnn_obstacles(layer)))
    if config.cell == "feedforward":
        recurrence = "There is no recurrence: all steps of a window are one product of matrices."
    elif not reasons:
        recurrence = "cuDNN computes all steps of a window in one kernel."
    elif not tf.config.list_logical_devices("GPU"):
        recurrence = "XLA compiles the loop over the steps of a window for the CPU."
    else:
        recurrence = "TensorFlow's own loop runs over the steps of a window."
    return [recurrence, *(f"No cuDNN: {why}" for why in reasons)]


def find_devices() -> tuple[Device, ...]:
    """Return the CPUs and GPUs that TensorFlow sees."""
    # The public functions only return the memory in use.
    from tensorflow.python.client import device_lib

    cpus, gpus = (tf.config.list_physical_devices(kind) for kind in ("CPU", "GPU"))
    memory = psutil.virtual_memory().total
    found = [Device(_name(cpu), f"{os.cpu_count()} cores", memory, None) for cpu in cpus]
    limits = {device.name: device.memory_limit for device in device_lib.list_local_devices()}
    for gpu in gpus:
        details = tf.config.experimental.get_device_details(gpu)
        model, capability = details.get("device_name", ""), details.get("compute_capability")
        limit = limits.get(f"/device:{_name(gpu)}")
        found.append(Device(_name(gpu), model, limit, capability))
    return tuple(found)


def _name(device: tf.config.PhysicalDevice) -> str:
    return device.name.removeprefix("/physical_device:")


def cudnn_obstacles(layer: keras.layers.Layer) -> list[str]:
    """Return why Keras will not run a layer by cuDNN, a sentence each; none if it will.

    The conditions are those of `inner_loop` of Keras's LSTM and GRU and of `cudnn_ok`
    (keras/src/layers/rnn, keras/src/backend/tensorflow/rnn.py). Keras also requires that a mask,
    if there is one, pads on the right; training has none.
    """
    if not isinstance(layer, keras.layers.LSTM | keras.layers.GRU):
        return ["cuDNN has kernels for LSTM and GRU only, as Keras calls it."]
    conditions = {
        "TensorFlow sees no GPU.": bool(tf.config.list_logical_devices("GPU")),
        "This TensorFlow was built without CUDA.": tf.test.is_built_with_cuda(),
        "The layer was told not to use cuDNN.": layer.use_cudnn in ("auto", True),
        "The activation is not tanh.": layer.activation is keras.activations.tanh,
        "The recurrent activation is not sigmoid.": (
            layer.recurrent_activation is keras.activations.sigmoid
        ),
        "There is recurrent dropout.": not layer.recurrent_dropout,
        "The loop over time is unrolled.": not layer.unroll,
        "The layer has no bias.": layer.use_bias,
        "The reset gate acts before the matrix product.": getattr(layer, "reset_after", True),
    }
    return [why for why, holds in conditions.items() if not holds]


def describe_precision(precision: Precision, devices: tuple[Device, ...]) -> str:
    """Return whether devices are fast in a precision, in a sentence."""
    gpus = [device for device in devices if device.name.startswith("GPU")]
    if precision == "float32":
        return "float32: all devices support it."
    if not gpus:
        return f"{precision} is made for GPUs, and there is none: float32 may be faster."
    needed = _TENSOR_CORES[precision]
    slow = [gpu.model for gpu in gpus if (gpu.compute_capability or (0, 0)) < needed]
    if slow:
        return f"{precision}: {', '.join(slow)} has no tensor cores for it: float32 may be faster."
    return f"{precision}: computed by tensor cores; weights and the loss stay float32."
