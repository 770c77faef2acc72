"""The files of a model's weights, which may come from elsewhere: read, and nothing of them runs.

A checkpoint of TensorFlow is a table of named tensors. What could be wrong with it is where it
points to, and how much memory it asks for.
"""

import contextlib
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from pipeline import InputError
from pipeline.limits import check_file
from pipeline.model.adaptive_softmax import cutoffs
from pipeline.model.config import ModelConfig

# What TensorFlow raises for a checkpoint of another model, or one that is damaged or truncated.
UNREADABLE = (
    *(OSError, ValueError, AssertionError, tf.errors.OpError),
    *(LookupError, RuntimeError),
)


def reason_of(error: Exception) -> str:
    """Return the first line of an error, without the names of operations that TensorFlow adds."""
    # {{function_node …}} reason [Op:SaveV2].
    text = re.sub(r"\{\{.*?\}\}| \[Op:\w+\]", "", str(getattr(error, "message", error)))
    return text.strip().split("\n")[0].strip().rstrip(".")


@contextlib.contextmanager
def writing(folder: Path, what: str, then: str) -> Iterator[None]:
    """Tell in one sentence why TensorFlow cannot write weights.

    Args:
        folder: where they are written. The parts that finished ones were joined from are deleted:
            TensorFlow does so itself, but does not report a failure.
        what: is written.
        then: what to do once there is room.

    Raises:
        InputError: they cannot be written, as on a full disk.
    """
    try:
        yield
        for parts in folder.glob("*_temp"):
            shutil.rmtree(parts)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"No {what} can be written into {folder} ({reason_of(error)}): make room or see to its "
            f"permissions, then {then}."
        ) from error


def latest_checkpoint(folder: Path) -> str:
    """Return the path of the weights that were saved last, without what ends its files' names."""
    for path in folder.glob("*"):
        check_file(path, most=math.inf)
    try:
        latest = tf.train.latest_checkpoint(folder)
    except ValueError:  # the list of checkpoints is damaged
        latest = None
    if latest is None:
        raise InputError(f"No trained weights are in {folder}: run `nextword train`.")
    if Path(latest).parent != folder:  # a path of the machine where it was written, or "../"
        raise InputError(
            f"{folder / 'checkpoint'} names weights in another folder, {latest}: put their files "
            "beside it, and their names into it."
        )
    return latest


def check_sizes(config: ModelConfig, checkpoint: str) -> None:
    """Check that a model takes no more memory than the files of its weights; a ValueError if so."""
    reader = tf.train.load_checkpoint(checkpoint)
    shapes, kinds = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    stored = sum(p.stat().st_size for p in Path(checkpoint).parent.glob("*.data-*"))
    declared = sum(math.prod(shape) * kinds[name].size for name, shape in shapes.items())
    if declared > stored:
        raise ValueError(f"they declare {declared:,} bytes, and their files hold {stored:,}")
    rounds = config.mogrifier if config.cell == "lstm" else 0
    inputs = config.context * config.embedding if config.cell == "feedforward" else config.units
    rows = config.vocabulary_size
    if config.softmax == "adaptive":
        rows = cutoffs(rows)[0]
    # Fewer than there are, from what is known before it is built.
    least = rows * config.embedding + config.layers * config.units * inputs
    least += config.layers * rounds * config.units * min(config.units, config.embedding)
    if 4 * least > stored or config.layers * (1 + rounds) > len(shapes):
        raise ValueError("model.json beside them describes a larger model")
