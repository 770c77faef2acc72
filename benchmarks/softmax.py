"""The adaptive softmax beside the full one: tokens a second, and what the model learns.

    python benchmarks/softmax.py [--rounds 9]
    python benchmarks/softmax.py --tokens FOLDER [--windows 3000]

An LSTM of 1 × 256 units, 20 lanes, T = 35, by pipeline.training.Trainer.step. The first command
knows 50,000 words and reads ids drawn by Zipf's law; every round each model learns the same
windows, one model after the other, so that a busy machine slows all alike. The first round, which
compiles, is not timed.

The second reads a folder that `nextword tokenize --vocabulary-size 50000 --min-count 1` wrote,
trains both for as many windows, the learning rate falling linearly to zero, and measures them on
all of the validation split.
"""

import argparse
import itertools
import math
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import rich
import tensorflow as tf
from rich.table import Table

from pipeline.model.config import ModelConfig, Softmax
from pipeline.model.language_model import build_model
from pipeline.model.meter import Meter
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.windows import Window, even_lanes, open_stream, windows
from pipeline.training.config import TrainingConfig
from pipeline.training.trainer import Trainer

VOCABULARY, UNITS, BATCH, WINDOW, DROPOUT = 50_000, 256, 20, 35, 0.2
LEARNING_RATE, CLIP_NORM = 2e-3, 1.0
WINDOWS_PER_ROUND = 3
SOFTMAXES: tuple[Softmax, ...] = ("full", "adaptive")


def trainer(softmax: Softmax, *, size: int, tied: bool) -> Trainer:
    config = ModelConfig(
        vocabulary_size=size,
        embedding=UNITS,
        units=UNITS,
        dropout=DROPOUT,
        tied=tied,
        mogrifier=0,
        softmax=softmax,
    )
    keras.utils.set_random_seed(1)
    model = build_model(config, batch_size=BATCH)
    return Trainer(model, keras.optimizers.Adam(LEARNING_RATE), TrainingConfig(clip_norm=CLIP_NORM))


def endless(stream: np.ndarray) -> Iterator[Window]:
    lanes = even_lanes(len(stream), batch_size=BATCH)
    while True:
        yield from windows(stream, lanes, window=WINDOW, stride=WINDOW)


def learn(trainer: Trainer, window: Window) -> float:
    """One update; returns its Σ nats, so that it is over when this returns."""
    nats, _, _ = trainer.step(*map(tf.constant, (window.x, window.y, window.begins)))
    return float(nats)


def speed(*, rounds: int) -> Table:
    """Medians of all rounds; how many times faster each is than the full softmax beside it."""
    chance = 1 / np.arange(1, VOCABULARY + 1)
    random = np.random.default_rng(1)
    stream = random.choice(VOCABULARY, BATCH * WINDOW * 100, p=chance / chance.sum())
    runs = [(tied, softmax) for tied in (True, False) for softmax in SOFTMAXES]
    trainers = {run: trainer(run[1], size=VOCABULARY, tied=run[0]) for run in runs}
    seconds: dict[tuple[bool, Softmax], list[float]] = {run: [] for run in runs}
    feed = endless(stream.astype(np.int32))
    for _ in range(rounds + 1):
        batches = list(itertools.islice(feed, WINDOWS_PER_ROUND))
        for run in runs:
            start = time.perf_counter()
            for batch in batches:
                learn(trainers[run], batch)
            seconds[run].append(time.perf_counter() - start)
    table = Table("weights", "softmax", "parameters", "tokens/s", "× full", box=None)
    for tied, softmax in runs:
        took = statistics.median(seconds[tied, softmax][1:])
        ratio = statistics.median(seconds[tied, "full"][1:]) / took
        table.add_row(
            *("tied" if tied else "not tied", softmax),
            f"{trainers[tied, softmax].model.count_params():,}",
            *(f"{WINDOWS_PER_ROUND * BATCH * WINDOW / took:,.0f}", f"{ratio:.2f}"),
        )
    return table


def quality(tokens: Path, *, count: int, tied: bool) -> None:
    """Train both for `count` windows; print what each has learned as soon as it has."""
    size = len(Vocabulary.load(tokens / "vocabulary.tsv"))
    stream, valid = open_stream(tokens / "train.npy"), open_stream(tokens / "valid.npy")
    print(f"{size:,} words, {count:,} windows of {BATCH} × {WINDOW} of {len(stream):,} tokens")
    for softmax in SOFTMAXES:
        learner = trainer(softmax, size=size, tied=tied)
        start, nats = time.perf_counter(), []
        for done, window in enumerate(itertools.islice(endless(stream), count)):
            learner.optimizer.learning_rate = LEARNING_RATE * (1 - done / count)
            nats.append(learn(learner, window) / window.y.size)
        seconds = time.perf_counter() - start
        model = learner.model
        meter = Meter(model)
        valid_nats = meter.negative_log_likelihood(valid, batch_size=BATCH, window=WINDOW)
        print(
            f"{softmax}: perplexity {math.exp(statistics.mean(nats[-count // 10 :])):.1f} on the "
            f"last tenth of training, {math.exp(valid_nats.mean()):.1f} on validation, after "
            f"{seconds / 60:.1f} minutes",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and quality of the adaptive softmax.")
    parser.add_argument("--tokens", type=Path, help="folder of tokens: measure quality on it")
    parser.add_argument("--windows", type=int, default=3000, help="updates of each model")
    parser.add_argument("--untied", action="store_true", help="output weights of their own")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of the measure of speed")
    options = parser.parse_args()
    if options.tokens:
        quality(options.tokens, count=options.windows, tied=not options.untied)
    else:
        rich.print(speed(rounds=options.rounds))


if __name__ == "__main__":
    main()
