"""The devices that TensorFlow sees, and whether cuDNN and tensor cores will be used."""

import dataclasses
import os

import keras
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


@dataclasses.dataclass(frozen=True)
class Description:
    """What `nextword devices` shows.

    Attributes:
        devices: all that TensorFlow sees.
        recurrence: how the recurrent layers will run, in a sentence.
        without_cudnn: why cuDNN will not be used; empty if it will.
        precision: whether the devices are fast in the precision, in a sentence.
    """

    devices: tuple[Device, ...]
    recurrence: str
    without_cudnn: tuple[str, ...]
    precision: str


def describe(config: ModelConfig, *, precision: Precision) -> Description:
    """Describe how a model would be trained on this machine."""
    devices = find_devices()
    layers = build_model(dataclasses.replace(config, vocabulary_size=2), batch_size=1).recurrent
    reasons = tuple(dict.fromkeys(why for layer in layers for why in cudnn_obstacles(layer)))
    if config.cell == "feedforward":
        recurrence = "There is no recurrence: all steps of a window are one product of matrices."
    elif not reasons:
        recurrence = "cuDNN computes all steps of a window in one kernel."
    elif not tf.config.list_logical_devices("GPU"):
        recurrence = "XLA compiles the loop over the steps of a window for the CPU."
    else:
        recurrence = "TensorFlow's own loop runs over the steps of a window."
    return Description(devices, recurrence, reasons, _precision(precision, devices))


def print_description(description: Description) -> None:
    """Print a table of devices, then the sentences."""
    table = Table("device", "model", "memory", "compute capability", box=None)
    for device in description.devices:
        memory = "" if device.memory is None else f"{device.memory / 2**30:.1f} GiB"
        capability = ".".join(map(str, device.compute_capability or ()))
        table.add_row(device.name, device.model, memory, capability)
    rich.print(table)
    rich.print()
    rich.print(description.recurrence)
    for reason in description.without_cudnn:
        rich.print(f"No cuDNN: {reason}")
    rich.print(description.precision)


def find_devices() -> tuple[Device, ...]:
    """Return the CPUs and GPUs that TensorFlow sees."""
    cpus, gpus = (tf.config.list_physical_devices(kind) for kind in ("CPU", "GPU"))
    cores = f"{os.cpu_count()} cores"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = [Device(_name(cpu), cores, memory, None) for cpu in cpus]
    for gpu in gpus:
        details = tf.config.experimental.get_device_details(gpu)
        model, capability = details.get("device_name", ""), details.get("compute_capability")
        found.append(Device(_name(gpu), model, _gpu_memory(_name(gpu)), capability))
    return tuple(found)


def _name(device: tf.config.PhysicalDevice) -> str:
    return device.name.removeprefix("/physical_device:")


def _gpu_memory(name: str) -> int | None:
    # The public functions only return the memory in use.
    from tensorflow.python.client import device_lib

    limits = {device.name: device.memory_limit for device in device_lib.list_local_devices()}
    return limits.get(f"/device:{name}")


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


def _precision(precision: Precision, devices: tuple[Device, ...]) -> str:
    gpus = [device for device in devices if device.name.startswith("GPU")]
    if precision == "float32":
        return "float32: all devices know it."
    if not gpus:
        return f"{precision} is made for GPUs, and there is none: float32 may be faster."
    slow = [
        gpu.model for gpu in gpus if (gpu.compute_capability or (0, 0)) < _TENSOR_CORES[precision]
    ]
    if slow:
        return f"{precision}: {', '.join(slow)} has no tensor cores for it: float32 may be faster."
    return f"{precision}: computed by tensor cores; weights and the loss stay float32."
