"""Compare one training step on every device, in every precision, with float32 on the CPU.

Results differ by rounding even where all is well. The tolerances are multiples of the unit
roundoff u of the factors of matrix products: 4 u for the loss, 64 u for a variable's gradient.

    float32         u = 2⁻¹¹    GPUs may round the factors to TF32, with float16's mantissa
    mixed_float16   u = 2⁻¹¹
    mixed_bfloat16  u = 2⁻⁸

The gradient is the sensitive test: swapped gates, a missing bias or wrong weights change it by
about its own norm, while the loss of random weights is close to ln V in any case.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import rich
import tensorflow as tf
from rich.table import Table
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from pipeline import InputError
from pipeline.model.config import ModelConfig, Precision
from pipeline.model.language_model import assign_weights, build_model
from pipeline.tokens.windows import Window, distribute
from pipeline.training.config import TrainingConfig
from pipeline.training.devices import cudnn_obstacles
from pipeline.training.trainer import Trainer, scale_losses

_LANES, _STEPS, _SEED = 32, 35, 1
_TIMED_WINDOWS = 5
# LossScaleOptimizer halves its scale, at first 2¹⁵, after each overflow.
_MOST_OVERFLOWS = 15
_ROUNDOFF: dict[Precision, float] = {
    "float32": 2**-11,
    "mixed_float16": 2**-11,
    "mixed_bfloat16": 2**-8,
}
_LOSS_TOLERANCE, _GRADIENT_TOLERANCE = 4, 64  # unit roundoffs


@dataclasses.dataclass(frozen=True)
class Step:
    """One training step on one device.

    Attributes:
        loss: nats per target.
        gradients: names of variables, and their gradients before clipping.
        cudnn_expected: whether Keras's conditions for cuDNN hold.
        cudnn: whether its RNN kernels ran.
        tokens_per_second: median over several windows.
    """

    loss: float
    gradients: tuple[tuple[str, np.ndarray], ...]
    cudnn_expected: bool
    cudnn: bool
    tokens_per_second: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A step beside the reference, float32 on the CPU.

    Attributes:
        device: such as `GPU:0`.
        precision: of the layers.
        step: what was computed; None if the device failed.
        error: why it failed.
        loss: relative difference of the loss.
        gradient: greatest relative difference of a variable's gradient, by norm.
        variable: whose gradient that is.
    """

    device: str
    precision: Precision
    step: Step | None
    error: str = ""
    loss: float = 0.0
    gradient: float = 0.0
    variable: str = ""

    @property
    def problem(self) -> str:
        """What is wrong with the result; empty if nothing is."""
        if self.error:
            return f"fails in {self.precision} ({self.error})"
        differences = (
            ("loss", self.loss, _LOSS_TOLERANCE),
            (f"gradient of {self.variable}", self.gradient, _GRADIENT_TOLERANCE),
        )
        for name, difference, roundoffs in differences:
            tolerance = roundoffs * _ROUNDOFF[self.precision]
            if not difference <= tolerance:  # NaN is wrong, too
                return (
                    f"computes wrong results in {self.precision} (its {name} differs by "
                    f"{difference:.2g} from the CPU's, and rounding explains {tolerance:.2g})"
                )
        return ""


def check_devices(config: ModelConfig) -> list[Comparison]:
    """Compute the same training step on every logical device in every precision.

    Args:
        config: of the model; its dropout is turned off.

    Returns:
        A comparison for each device and precision, the CPU in float32 first.
    """
    config = dataclasses.replace(config, dropout=0.0, word_dropout=0.0, weight_dropout=0.0)
    keras.utils.set_random_seed(_SEED)
    weights = [v.numpy() for v in build_model(config, batch_size=1).trainable_variables]
    devices = [d.name for kind in ("CPU", "GPU") for d in tf.config.list_logical_devices(kind)]
    comparisons = []
    reference = None
    for device in devices:
        name = device.removeprefix("/device:")
        for precision in get_args(Precision):
            try:
                step = measure_step(config, weights, device=device, precision=precision)
            except tf.errors.OpError as error:
                reason = error.message.splitlines()[0]
                comparisons.append(Comparison(name, precision, step=None, error=reason))
                continue
            reference = reference or step
            comparisons.append(_compare(step, reference, device=name, precision=precision))
    return comparisons


def _compare(step: Step, reference: Step, *, device: str, precision: Precision) -> Comparison:
    differences = {
        variable: float(np.linalg.norm(mine - exact) / np.linalg.norm(exact))
        for (variable, exact), (_, mine) in zip(reference.gradients, step.gradients, strict=True)
    }
    worst = max(differences, key=differences.__getitem__)
    return Comparison(
        device,
        precision,
        step,
        loss=abs(step.loss / reference.loss - 1),
        gradient=differences[worst],
        variable=worst,
    )


def measure_step(
    config: ModelConfig, weights: Sequence[np.ndarray], *, device: str, precision: Precision
) -> Step:
    """Compute a training step on random ids, and time more of them.

    Args:
        config: of a model without dropout.
        weights: values of its trainable variables.
        device: such as `/device:GPU:0`.
        precision: of the layers.

    Raises:
        tf.errors.OpError: the device fails.
    """
    strategy = tf.distribute.OneDeviceStrategy(device)
    with strategy.scope():
        model = build_model(config, batch_size=_LANES, precision=precision)
        assign_weights(model, weights)
        if "GPU" not in device:
            for layer in model.recurrent:
                layer.use_cudnn = False  # TensorFlow would move the kernel to a GPU
        adam = keras.optimizers.Adam()
        trainer = Trainer(model, scale_losses(adam, precision), TrainingConfig(clip_norm=1e9))
    ids = np.random.default_rng(_SEED).integers(
        config.vocabulary_size, size=(_LANES, _STEPS + 1), dtype=np.int32
    )
    window = Window(ids[:, :-1], ids[:, 1:], np.ones(_LANES, bool))
    (batch,) = distribute([window], strategy)

    for _ in range(_MOST_OVERFLOWS):
        nll, targets, norm = map(float, trainer.step(*batch))
        if np.isfinite(norm):
            break
    # Adam's first moment is zero at first, and after one update (1 − β₁) times the gradient.
    moments = [v.numpy() for v in adam.variables if v.name.endswith("_momentum")]
    names = [variable.path for variable in model.trainable_variables]
    gradients = [moment / (1 - adam.beta_1) for moment in moments]
    ops = _executed_ops(trainer, batch)
    seconds = []
    for _ in range(_TIMED_WINDOWS):
        start = time.perf_counter()
        float(trainer.step(*batch)[0])
        seconds.append(time.perf_counter() - start)
    return Step(
        loss=nll / targets,
        gradients=tuple(zip(names, gradients, strict=True)),
        cudnn_expected=not any(cudnn_obstacles(layer) for layer in model.recurrent),
        cudnn=any(op.startswith("CudnnRNN") for op in ops),
        tokens_per_second=_LANES * _STEPS / statistics.median(seconds),
    )


def _executed_ops(trainer: Trainer, batch: tuple[tf.Tensor, ...]) -> set[str]:
    """Trace a step and return the types of the operations that ran in it."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            float(trainer.step(*batch)[0])
        spaces = [
            xplane_pb2.XSpace.FromString(path.read_bytes())
            for path in Path(folder).rglob("*.xplane.pb")
        ]
    return {
        event.name.rpartition(":")[2]  # "name of the operation:its type"
        for space in spaces
        for plane in space.planes
        for event in plane.event_metadata.values()
    }


def print_check(comparisons: Sequence[Comparison]) -> None:
    """Print a table and a verdict.

    Raises:
        InputError: a device fails, or its result is wrong.
    """
    table = Table("device", "precision", "loss", "gradient", "cuDNN", "tokens/s", box=None)
    for row in comparisons:
        figures = ("", "", "", "")
        if row.step:
            ran = "ran" if row.step.cudnn else "no"
            speed = f"{row.step.tokens_per_second:,.0f}"
            figures = (f"{row.loss:.1e}", f"{row.gradient:.1e}", ran, speed)
        table.add_row(row.device, row.precision, *figures)
    rich.print(table)
    rich.print()
    if wrong := [row for row in comparisons if row.problem]:
        raise InputError(
            f"{wrong[0].device} {wrong[0].problem}: train on another device or in another "
            "precision, and update its driver, CUDA and cuDNN."
        )
    idle = [row for row in comparisons if row.step and row.step.cudnn_expected > row.step.cudnn]
    if idle:
        places = ", ".join(f"{row.device} in {row.precision}" for row in idle)
        rich.print(f"All results are right, but cuDNN did not run where it should: {places}.")
    else:
        rich.print("All is well: every device agrees with float32 on the CPU, up to rounding.")
