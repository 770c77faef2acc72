"""Tokens a second of training: ours beside PyTorch's nn.LSTM and stock Keras's fit.

    python benchmarks/training.py [--cells lstm gru simple_rnn] [--sizes 2x200 1x512]
                                  [--dropouts 0 0.5] [--against torch keras] [--rounds 9]

All learn the same windows of data/sample (repeated as one endless text) from the same weights:
embedding tied to the output, state carried from window to window and cut from the gradient,
gradient clipped by its global norm, Adam. Ours is pipeline.training.trainer.Trainer.step. PyTorch
sees its windows time-major, takes the fused Adam, and has its second bias frozen where Keras has
none.

Each is a process of its own that may use every core. In every round each learns the same number
of windows, one process after the other, so that a busy machine slows all alike; the first round,
which compiles, is not timed. "ours is" is the median of the rounds' ratios by the clock; "µs CPU"
is processor time a token, which other work on the machine disturbs less (a PyTorch that waits for
a core counts its waiting, too: OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 leaves one thread to
each). "loss" is the last round's, in nats; without dropout all must show the same ones: "apart" is
the largest difference between a round's mean loss and ours.
"""

import argparse
import contextlib
import dataclasses
import io
import itertools
import multiprocessing
import multiprocessing.connection
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

# The frameworks are imported inside the contestants: no process needs two of them.
SAMPLE = Path(__file__).parents[1] / "data" / "sample"
LEARNING_RATE, CLIP_NORM = 2e-3, 1.0
# Small enough not to matter: Keras adds it before the bias of Adam's means is corrected, PyTorch
# after that.
EPSILON = 1e-12
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
SIZES = {
    "2x200": {"layers": 2, "units": 200, "embedding": 200, "batch": 20},
    "1x512": {"layers": 1, "units": 512, "embedding": 256, "batch": 64},
}
ROUND = 14_000  # tokens, about


@dataclasses.dataclass(frozen=True)
class Setup:
    """One race: a model and its batches."""

    cell: str
    layers: int
    units: int
    embedding: int
    batch: int
    dropout: float = 0.0
    vocabulary: int = 10_000
    window: int = 35

    def __str__(self) -> str:
        return (
            f"{self.cell} {self.layers} × {self.units}, embedding {self.embedding}, "
            f"batch {self.batch}, dropout {self.dropout:g}"
        )

    def windows(self, ids: np.ndarray, *, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """x and y of some windows, (count, batch, window), lanes read on without end."""
        length = len(ids) // self.batch
        lane = np.arange(self.batch)[:, None] * length
        steps = (np.arange(count) + first)[:, None, None] * self.window + np.arange(self.window)
        at = lane + steps
        return ids[at % len(ids)], ids[(at + 1) % len(ids)]

    def weights(self) -> dict[str, list[np.ndarray]]:
        """The same weights for all, as Keras lays them out."""
        random = np.random.default_rng(1)

        def uniform(limit: float, *shape: int) -> np.ndarray:
            return random.uniform(-limit, limit, shape).astype(np.float32)

        gates, widths = GATES[self.cell], [self.embedding] + [self.units] * (self.layers - 1)
        bias = (2, gates * self.units) if self.cell == "gru" else (gates * self.units,)
        limit = self.units**-0.5
        recurrent = []
        for width in widths:
            recurrent += [uniform(limit, width, gates * self.units)]
            recurrent += [uniform(limit, self.units, gates * self.units), uniform(0, *bias)]
        projection = [uniform(limit, self.units, self.embedding), uniform(0, self.embedding)]
        return {
            "embedding": [uniform(0.1, self.vocabulary, self.embedding)],
            "recurrent": recurrent,
            "projection": projection if self.units != self.embedding else [],
            "output_bias": [uniform(0, self.vocabulary)],
        }


class Contestant(Protocol):
    """What a race knows of whoever runs in it."""

    name: str
    threads: str

    def __init__(self, setup: Setup) -> None: ...

    def learn(self, x: np.ndarray, y: np.ndarray) -> float:
        """Learn windows x and y, (count, batch, window); the mean loss in nats."""


class Ours:
    def __init__(self, setup: Setup):
        from pipeline.cli.process import import_tensorflow

        import_tensorflow()  # with its settings
        import keras
        import tensorflow as tf

        from pipeline.model.config import ModelConfig
        from pipeline.model.language_model import build_model
        from pipeline.training.config import TrainingConfig
        from pipeline.training.trainer import Trainer

        self.name, self.threads, self.tensor = "ours", tensorflow_threads(), tf.constant
        self.begins = tf.zeros((setup.batch,), tf.bool)
        config = ModelConfig(
            cell=setup.cell,  # type: ignore[arg-type]
            vocabulary_size=setup.vocabulary,
            embedding=setup.embedding,
            units=setup.units,
            layers=setup.layers,
            dropout=setup.dropout,
            mogrifier=0,
        )
        model = build_model(config, batch_size=setup.batch)
        values = setup.weights()
        model.embed.set_weights(values["embedding"])
        for i, layer in enumerate(model.recurrent):
            layer.cell.set_weights(values["recurrent"][3 * i : 3 * i + 3])
        for layer in model.readout:
            layer.set_weights(values["projection"])
        model.output_bias.assign(values["output_bias"][0])
        optimizer = keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON)
        self.trainer = Trainer(model, optimizer, TrainingConfig(clip_norm=CLIP_NORM))

    def learn(self, x: np.ndarray, y: np.ndarray) -> float:
        seen = [
            self.trainer.step(self.tensor(ids), self.tensor(targets), self.begins)[:2]
            for ids, targets in zip(x, y, strict=True)
        ]
        return sum(float(nats) for nats, _ in seen) / sum(float(count) for _, count in seen)


class Keras:
    def __init__(self, setup: Setup):
        import keras

        self.name, self.threads = f"Keras {keras.__version__}", tensorflow_threads()
        cells = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
        cell = cells.get(setup.cell, keras.layers.SimpleRNN)
        values = setup.weights()

        class Bias(keras.layers.Layer):  # the tied matrix has none in Keras
            def build(self, shape: Any) -> None:
                self.bias = self.add_weight((shape[-1],), "zeros")

            def call(self, x: Any) -> Any:
                return x + self.bias

        embedding = keras.layers.ReversibleEmbedding(setup.vocabulary, setup.embedding)
        ids = keras.Input(batch_shape=(setup.batch, setup.window), dtype="int32")
        x = keras.layers.Dropout(setup.dropout)(embedding(ids))
        for _ in range(setup.layers):
            x = cell(setup.units, return_sequences=True, stateful=True)(x)
            x = keras.layers.Dropout(setup.dropout)(x)
        if values["projection"]:
            x = keras.layers.Dense(setup.embedding)(x)
        self.model = keras.Model(ids, Bias()(embedding(x, reverse=True)))
        embedding.set_weights(values["embedding"])
        for to, value in zip(
            self.model.trainable_weights[1:],
            [*values["recurrent"], *values["projection"], *values["output_bias"]],
            strict=True,
        ):
            to.assign(value)
        self.model.compile(
            keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON, global_clipnorm=CLIP_NORM),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def learn(self, x: np.ndarray, y: np.ndarray) -> float:
        flat = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
        past = self.model.fit(*flat, batch_size=x.shape[1], shuffle=False, verbose=0)
        return past.history["loss"][0]


class Torch:
    def __init__(self, setup: Setup):
        import torch
        from torch import nn

        self.name, self.torch = f"PyTorch {torch.__version__}", torch
        self.threads = f"{torch.get_num_threads()} in an operation"
        cell = {"lstm": nn.LSTM, "gru": nn.GRU}.get(setup.cell, nn.RNN)
        self.vocabulary, self.state = setup.vocabulary, None
        self.embed = nn.Embedding(setup.vocabulary, setup.embedding)
        self.drop = nn.Dropout(setup.dropout)
        between = setup.dropout if setup.layers > 1 else 0.0
        self.cell = cell(setup.embedding, setup.units, setup.layers, dropout=between)
        self.output = nn.Linear(setup.embedding, setup.vocabulary)
        self.output.weight = self.embed.weight
        values = setup.weights()
        self.project = (
            nn.Linear(setup.units, setup.embedding) if values["projection"] else nn.Identity()
        )
        self.parameters = [*self.embed.parameters(), *self.project.parameters(), self.output.bias]
        with torch.no_grad():
            pairs = [(self.embed.weight, values["embedding"][0])]
            pairs += [(self.output.bias, values["output_bias"][0])]
            for to, value in zip(self.project.parameters(), values["projection"], strict=True):
                pairs.append((to, value.T))
            for i in range(setup.layers):
                kernel, recurrent, bias = values["recurrent"][3 * i : 3 * i + 3]
                pairs += [(getattr(self.cell, f"weight_ih_l{i}"), self.gates(kernel, setup).T)]
                pairs += [(getattr(self.cell, f"weight_hh_l{i}"), self.gates(recurrent, setup).T)]
                pairs += [
                    (getattr(self.cell, f"bias_ih_l{i}"), bias if bias.ndim == 1 else bias[0])
                ]
                second = getattr(self.cell, f"bias_hh_l{i}")
                second.zero_()
                second.requires_grad_(setup.cell == "gru")
            for to, value in pairs:
                to.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        self.parameters += [p for p in self.cell.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, LEARNING_RATE, eps=EPSILON, fused=True)

    @staticmethod
    def gates(matrix: np.ndarray, setup: Setup) -> np.ndarray:
        """Keras's GRU has z before r, PyTorch's r before z; the others agree."""
        if setup.cell != "gru":
            return matrix
        z, r, h = np.split(matrix, 3, axis=1)
        return np.concatenate([r, z, h], axis=1)

    def learn(self, x: np.ndarray, y: np.ndarray) -> float:
        torch, losses = self.torch, []
        for ids, targets in zip(x.swapaxes(1, 2), y.swapaxes(1, 2), strict=True):  # time first
            ids, targets = torch.tensor(ids), torch.tensor(targets, dtype=torch.long)
            self.optimizer.zero_grad()
            h, state = self.cell(self.drop(self.embed(ids)), self.state)
            logits = self.output(self.project(self.drop(h)))
            loss = torch.nn.functional.cross_entropy(
                logits.view(-1, self.vocabulary), targets.reshape(-1)
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
            self.optimizer.step()
            self.state = (
                tuple(part.detach() for part in state)
                if isinstance(state, tuple)
                else state.detach()
            )
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())


CONTESTANTS: dict[str, type[Contestant]] = {"ours": Ours, "torch": Torch, "keras": Keras}


def tensorflow_threads() -> str:
    import tensorflow as tf

    # 0: as many as the environment says, or else one for each core
    set_to = tf.config.threading.get_intra_op_parallelism_threads()
    return f"{set_to or os.environ.get('TF_NUM_INTRAOP_THREADS') or os.cpu_count()} in an operation"


def compete(
    name: str, setup: Setup, ids: np.ndarray, pipe: multiprocessing.connection.Connection
) -> None:
    """The process of one contestant: learns windows when told to.

    It answers seconds by the clock, seconds of processor time, and the mean loss.
    """
    contestant = CONTESTANTS[name](setup)
    pipe.send((contestant.name, contestant.threads))
    for first, count in iter(pipe.recv, None):
        x, y = setup.windows(ids, first=first, count=count)
        start, busy = time.perf_counter(), time.process_time()
        loss = contestant.learn(x, y)
        pipe.send((time.perf_counter() - start, time.process_time() - busy, loss))


def race(setup: Setup, ids: np.ndarray, *, names: Sequence[str], rounds: int) -> None:
    """Run one race and print its rows; the first named is compared with the others."""
    count = ROUND // (setup.batch * setup.window)
    spawn, pipes = multiprocessing.get_context("spawn"), {}
    for name in names:
        pipes[name], end = spawn.Pipe()
        # The processes end with this one, or when they read None.
        spawn.Process(target=compete, args=(name, setup, ids, end), daemon=True).start()
        end.close()
    titles = {name: pipe.recv() for name, pipe in pipes.items()}
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    for turn, (name, pipe) in itertools.product(range(rounds + 1), pipes.items()):
        pipe.send((turn * count, count))
        results[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(None)

    tokens = count * setup.batch * setup.window
    clocks, busy, losses = (
        {name: np.array(found)[:, column] for name, found in results.items()} for column in range(3)
    )
    print(f"\n{setup}; {rounds} rounds of {count} windows")
    columns = ("tokens/s", "slowest", "fastest", "ours is", "µs CPU", "loss", "apart")
    print(f"{'':<20}" + "".join(f"{column:>10}" for column in columns) + "  threads")
    for name in names:
        speeds = tokens / clocks[name][1:]
        ratio = np.median(clocks[name][1:] / clocks[names[0]][1:])
        apart = np.abs(losses[name] - losses[names[0]]).max()
        title, threads = titles[name]
        print(
            f"{title:<20}{np.median(speeds):>10,.0f}{speeds.min():>10,.0f}{speeds.max():>10,.0f}"
            f"{ratio:>8.2f} ×{np.median(busy[name][1:]) / tokens * 1e6:>10.0f}"
            f"{losses[name][-1]:>10.3f}{apart:>10.1e}  {threads}",
            flush=True,
        )


def read_sample(*, vocabulary: int) -> np.ndarray:
    """The ids of the sample corpus, (tokens,), by the pipeline's own stage."""
    import pyarrow
    import pyarrow.parquet

    from pipeline.tokens.config import VocabularyConfig
    from pipeline.tokens.tokenize import tokenize

    texts = [path.read_text(encoding="utf-8") for path in sorted(SAMPLE.rglob("*.txt"))]
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        table = pyarrow.table({"split": ["train"] * len(texts), "text": texts})
        pyarrow.parquet.write_table(table, folder / "documents.parquet")
        config = VocabularyConfig(vocabulary_size=vocabulary, min_count=1)
        tokenize(folder, folder, config=config)
        return np.load(folder / "train.npy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", nargs="+", default=list(GATES), choices=list(GATES))
    parser.add_argument("--dropouts", nargs="+", type=float, default=[0.0, 0.5])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--against", nargs="*", default=list(CONTESTANTS)[1:], choices=CONTESTANTS)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    ids = read_sample(vocabulary=Setup.vocabulary)
    print(f"{os.cpu_count()} cores; vocabulary {Setup.vocabulary:,}; windows of {Setup.window}")
    for cell, size, dropout in itertools.product(options.cells, options.sizes, options.dropouts):
        setup = Setup(cell, **SIZES[size], dropout=dropout)
        race(setup, ids, names=["ours", *options.against], rounds=options.rounds)


if __name__ == "__main__":
    main()
