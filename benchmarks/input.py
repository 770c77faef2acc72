"""How long training waits for its windows, from a trace by TensorFlow's profiler.

    python benchmarks/input.py [--tokens data/tokens] [--windows 100] [--trace FOLDER]

Trains as `nextword train` does (pipeline.training: the same windows, spread and learned from the
same way) under tf.profiler, which writes down when cutting a window out of the memory-mapped
stream begins and ends, and when learning from it does. The trace can be looked at in TensorBoard
(`pip install xprof`, then `tensorboard --logdir FOLDER`).
"""

import argparse
import itertools
import os
import tempfile
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import rich
import tensorflow as tf
from rich.table import Table
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from pipeline.model.config import ModelConfig
from pipeline.model.language_model import build_model
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.windows import distribute
from pipeline.training.config import TrainingConfig
from pipeline.training.dataset import Text
from pipeline.training.trainer import Trainer

BATCH, WINDOW, UNITS = 20, 35, 256
PARTS = ("cut the window", "learn from it")


def train(tokens: Path, *, count: int, trace: Path) -> None:
    """Learn from some windows, all but the first, which compile, under the profiler."""
    training = TrainingConfig(window=WINDOW, batch_size=BATCH, seed=0)
    size = len(Vocabulary.load(tokens / "vocabulary.tsv"))
    text = Text(tokens, training, below=size)
    config = ModelConfig(
        vocabulary_size=size,
        embedding=UNITS,
        units=UNITS,
        mogrifier=0,
    )
    adam = keras.optimizers.Adam(5e-3)
    trainer = Trainer(build_model(config, batch_size=BATCH), adam, training)
    epochs = itertools.chain.from_iterable(text.epoch(n) for n in itertools.count())
    feed = distribute(epochs, trainer.strategy)
    for _ in range(3):
        trainer.step(*next(feed))
    with tf.profiler.experimental.Profile(str(trace)):
        for _ in range(count):
            with tf.profiler.experimental.Trace(PARTS[0]):
                window = next(feed)
            with tf.profiler.experimental.Trace(PARTS[1]):
                float(trainer.step(*window)[0])  # so that the update is over


def read(trace: Path) -> dict[str, float]:
    """Seconds of each part, from the newest trace in a folder."""
    path = max(trace.rglob("*.xplane.pb"), key=os.path.getmtime)
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    seconds: dict[str, float] = defaultdict(float)
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                seconds[plane.event_metadata[event.metadata_id].name] += event.duration_ps / 1e12
    return {part: seconds[part] for part in PARTS}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"))
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--trace", type=Path, help="folder that keeps the trace")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        trace = arguments.trace or Path(temporary)
        train(arguments.tokens, count=arguments.windows, trace=trace)
        seconds = read(trace)
    windows = f"{arguments.windows} windows of {BATCH} × {WINDOW}"
    table = Table(windows, "ms each", "share", box=None)
    for part in PARTS:
        each = seconds[part] / arguments.windows * 1000
        table.add_row(part, f"{each:.2f}", f"{seconds[part] / sum(seconds.values()):.2%}")
    rich.print(table)


if __name__ == "__main__":
    main()
