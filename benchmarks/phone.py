"""What a model for LiteRT weighs, how long a step takes, and what it loses in top-3.

    python benchmarks/phone.py [--training models/training] [--tokens data/tokens] [--threads 1]

The test split is read from its beginning to its end, one token after the other, as a phone would:
by Keras, and by LiteRT with its weights in float32, float16 and int8 (`nextword export --format
litert` writes the last two). Top-3 is the share of all tokens that were among the three most
probable, an unknown one being a miss; "lost" is the difference from Keras, in points, and "p50" and
"p99" are of single steps, in which the three take turns.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import time
from typing import get_args

import numpy as np
import rich
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from rich.table import Table

from pipeline.export.litert import Weights, convert
from pipeline.model.language_model import LanguageModel, load_model
from pipeline.text.vocabulary import UNKNOWN_ID
from pipeline.tokens.windows import open_stream

TURN = 200  # tokens


def rank(p: np.ndarray, target: int) -> int:
    """Tokens more probable than the target; of equals the one with the lower id is."""
    return int((p > p[target]).sum() + (p[:target] == p[target]).sum())


class Keras:
    """The model in float32, read on and on."""

    def __init__(self, model: LanguageModel):
        self.model, self.hidden = model, tf.function(model.hidden)
        self.states = None
        self.ranks: list[int] = []

    def read(self, ids: np.ndarray, targets: np.ndarray) -> None:
        """Predict targets (N,), each the token after that of ids (N,)."""
        h, self.states = self.hidden(tf.constant(ids[None]), states=self.states)
        logits = self.model.logits(self.model.features(h))[0].numpy()
        self.ranks += map(rank, logits, targets)


class LiteRT:
    """The same, one token a step."""

    def __init__(self, content: bytes, *, threads: int):
        self.megabytes = len(content) / 1e6
        interpreter = Interpreter(model_content=content, num_threads=threads)
        self.step = interpreter.get_signature_runner("step")
        shapes = {name: detail["shape"] for name, detail in self.step.get_input_details().items()}
        self.token = np.zeros(shapes.pop("token"), np.int32)
        self.state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self.seconds: list[float] = []
        self.ranks: list[int] = []

    def read(self, ids: np.ndarray, targets: np.ndarray) -> None:
        """As `Keras.read`."""
        for token, target in zip(ids, targets, strict=True):
            self.token[:] = token
            start = time.perf_counter()
            self.state = self.step(token=self.token, **self.state)
            self.seconds.append(time.perf_counter() - start)
            self.ranks.append(rank(self.state.pop("probabilities")[0], target))


def measure(training: Path, tokens: Path, *, threads: int) -> Table:
    stream = np.array(open_stream(tokens / "test.npy")[:])
    ids, targets = stream[:-1], stream[1:]
    keras = Keras(load_model(training))
    phones = {
        weights: LiteRT(convert(load_model(training), weights=weights), threads=threads)
        for weights in get_args(Weights)
    }
    for first in range(0, len(ids), TURN):
        for reader in (keras, *phones.values()):
            reader.read(ids[first : first + TURN], targets[first : first + TURN])

    def top_3(ranks: list[int]) -> float:
        return 100 * np.mean((np.array(ranks) < 3) & (targets != UNKNOWN_ID))

    best = top_3(keras.ranks)
    table = Table("weights", "MB", "p50 ms", "p99 ms", "top-3", "lost", box=None)
    table.add_row("Keras", "", "", "", f"{best:.2f}%", "")
    for weights, phone in phones.items():
        times = np.percentile(phone.seconds[TURN:], (50, 99)) * 1e3
        found = top_3(phone.ranks)
        table.add_row(
            *(weights, f"{phone.megabytes:.2f}", *(f"{ms:.3f}" for ms in times)),
            *(f"{found:.2f}%", f"{best - found:.2f}"),
        )
    config = keras.model.config
    table.title = (
        f"{config.cell} {config.layers} × {config.units}, embedding {config.embedding}, "
        f"vocabulary {config.vocabulary_size:,}; {len(targets):,} tokens"
    )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--training", type=Path, default=Path("models/training"))
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"))
    parser.add_argument("--threads", type=int, default=1, help="that LiteRT may use")
    options = parser.parse_args()
    rich.print(measure(options.training, options.tokens, threads=options.threads))


if __name__ == "__main__":
    main()
