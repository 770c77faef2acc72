import os

# Before TensorFlow is imported: no greetings, and every test on the same devices.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import contextlib
import csv
import json
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from tensorflow.python.eager import context

from pipeline.cli import main
from pipeline.export.config import ExportConfig
from pipeline.export.export import export
from pipeline.export.prefixes import read_prefix
from pipeline.export.saved_model import NextWord
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import LanguageModel, build_model, weights
from pipeline.model.meter import Predictions
from pipeline.text.vocabulary import BYTES, MARK, Vocabulary
from pipeline.training.config import TrainingConfig
from pipeline.training.train import train

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
CELLS = ("lstm", "gru", "simple_rnn", "feedforward")


@pytest.fixture(autouse=True)
def seed():
    """A test's models begin with the same weights each time."""
    with pytest.MonkeyPatch.context() as patch:
        # TensorFlow would compile everything anew, and Keras does not draw weights with its seed.
        patch.setattr(tf.random, "set_seed", lambda _: None)
        keras.utils.set_random_seed(11)


# Vocabularies

CHOICES = [{"case": c, "numbers": n} for c in ("fold", "keep") for n in ("keep", "class")]


def vocabulary_of(*words: str, displays: dict[str, str] | None = None, **choices) -> Vocabulary:
    """`<unk>`, `<s>` and words, each counted once; displayed as they are unless `displays` says."""
    tokens = ("<unk>", "<s>", *words)
    shown = tuple((displays or {}).get(token, token) for token in tokens)
    return Vocabulary(tokens, shown, (1,) * len(tokens), **choices)


TOKENS = ("<unk>", "<s>", ".", ",", "o", "a", "água", "brasil", "cachorro", "bebeu", "e", "ela")
VOCABULARY = replace(
    vocabulary_of(*TOKENS[2:], displays={"brasil": "Brasil"}),
    counts=(3, 9, 9, 7, *range(len(TOKENS) - 4, 0, -1)),
)
# Pieces that close words and pieces that others follow: casa|s, brasil|eir|o.
PIECES = dict(
    zip(
        "casa▁ cas a▁ s▁ brasil▁ brasil eiro▁ casa o▁ .▁ ▁ 1▁ eir b a s 1".split(),
        [-3, -3.5, -2, -2.1, -5, -5.5, -4, -3.1, -2.2, -1.5, -2.5, -6, -4.5, -7, -7, -7, -7],
        strict=True,
    )
)
SUBWORDS = vocabulary_of(
    *PIECES, *BYTES,
    displays={
        **{piece: piece.removesuffix(MARK) for piece in PIECES},
        "brasil▁": "Brasil",
        **dict.fromkeys(["eiro▁", "eir", "b", *BYTES], ""),  # they begin no word
    },
    unit="subword",
    scores=(0.0, 0.0, *PIECES.values(), *[0.0] * len(BYTES)),
)  # fmt: skip

# Models


def config(cell: str = "lstm", **changes) -> ModelConfig:
    """A model small enough to think about, for the vocabulary `TOKENS`."""
    sizes = {"embedding": 6, "units": 5, "layers": 1 if cell == "feedforward" else 2}
    options = {"dropout": 0.0, "mogrifier": 0, "context": 3, "vocabulary_size": len(TOKENS)}
    return ModelConfig(**{"cell": cell, **sizes, **options, **changes})


def random_model(
    cell: str = "lstm",
    vocabulary: Vocabulary = VOCABULARY,
    *,
    scale: float = 1.0,
    batch_size: int | None = None,
    **changes,
) -> LanguageModel:
    """A model of normal weights: with a `scale` of 1 its states and predictions vary widely."""
    options = {"tied": False, "vocabulary_size": len(vocabulary), **changes}
    model = build_model(config(cell, **options), batch_size=batch_size)
    random = np.random.default_rng(2)
    for variable in model.trainable_variables:
        variable.assign(random.normal(scale=scale, size=variable.shape))
    return model


def save_training(folder: Path, model: LanguageModel, vocabulary: Vocabulary = VOCABULARY) -> Path:
    """Write a model as `train` does."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save(folder / "model.json")
    vocabulary.save(folder / "vocabulary.tsv")
    (folder / "history.csv").write_text("epoch,train_perplexity,valid_perplexity\n1,90,90\n")
    tf.train.CheckpointManager(weights(model), folder / "checkpoints", max_to_keep=1).save()
    return folder


def write_training(
    folder: Path, cell: str = "lstm", vocabulary: Vocabulary = VOCABULARY, **changes
) -> Path:
    """Write a `random_model` as `train` does."""
    return save_training(folder, random_model(cell, vocabulary, **changes), vocabulary)


def write_export(
    folder: Path,
    cell: str = "lstm",
    vocabulary: Vocabulary = VOCABULARY,
    *,
    tokens: Path | None = None,
    **options,
) -> Path:
    """Write a `random_model` to `folder`/training, and its export to `folder`/nextword.

    `options` are fields of `ExportConfig`.
    """
    training = write_training(folder / "training", cell, vocabulary)
    export(training, folder / "nextword", config=ExportConfig(**options), tokens=tokens)
    return folder / "nextword"


def predicted(targets, nats) -> Predictions:
    """The predictions of a model that is always right and never sure."""
    zeros = np.zeros(len(targets))
    return Predictions(targets, np.array(nats, np.float32), zeros.astype(np.int32), zeros)


def ask(saved, signature: str, **inputs) -> dict[str, np.ndarray]:
    """Call a signature of a SavedModel."""
    answer = saved.signatures[signature](**{k: tf.constant(v) for k, v in inputs.items()})
    return {name: value.numpy() for name, value in answer.items()}


def completions(module: NextWord, texts: list, prefixes: list) -> dict[str, tf.Tensor]:
    """What begins with what is typed, of `complete`, which fills free places with other words."""
    state = module.reader.read(tf.constant(texts))
    typed, capital, every = read_prefix(tf.constant(prefixes))
    first = module.reader.starts(state) | capital
    p = module.reader.probabilities(state)
    found = module.words.rank(state, p, typed, first=first, every=every)
    filled = module.complete(tf.constant(texts), tf.constant(prefixes))
    words, places = found["words"].numpy(), found["words"].numpy() != b""
    assert (filled["words"].numpy()[places] == words[places]).all()
    p = [answer["probabilities"].numpy()[places] for answer in (filled, found)]
    np.testing.assert_allclose(*p, rtol=1e-4)
    return found


# Memory


def with_peak(work: Callable[[], Any]) -> tuple[Any, int]:
    """Return what `work` returns, and the peak of Python's memory in bytes while it runs.

    It runs twice: what the first time imports and caches stays, and is not counted.
    """
    found = work()
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, peak


# Trainings of seconds

MODEL = ModelConfig(embedding=8, units=8, mogrifier=0, dropout=0.2, context=3)
TRAINING = TrainingConfig(
    window=5, batch_size=4, epochs=4, learning_rate=0.02, warmup=0.0, strategy="one"
)


def small(**changes) -> dict[str, ModelConfig | TrainingConfig]:
    """`MODEL` and `TRAINING` with some fields changed, as `train` takes them."""
    of_model = {f.name: changes.pop(f.name) for f in fields(MODEL) if f.name in changes}
    return {"model": replace(MODEL, **of_model), "training": replace(TRAINING, **changes)}


def history(folder: Path) -> list[dict[str, float]]:
    """The rows of history.csv."""
    with (folder / "history.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def trained(tokens: Path, folder: Path, **options) -> list[dict[str, float]]:
    """Train a small model; options are fields of its configurations, or others of `train`.

    Returns the rows of history.csv.
    """
    folder.mkdir(exist_ok=True)
    others = ("init", "retain", "on_windows", "on_epoch")
    given = {name: options.pop(name) for name in others if name in options}
    train(tokens, folder, **small(**options), **given)
    return history(folder)


@contextlib.contextmanager
def physical_gpu():
    """A GPU among the physical devices of TensorFlow's context; operations still run on the CPU."""
    gpu, known = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU"), context.context()
    known._initialize_physical_devices()
    known._physical_devices.append(gpu)
    known._physical_device_to_index[gpu] = 1
    known._memory_growth_map[gpu] = None
    yield gpu
    known._physical_devices.remove(gpu)
    del known._physical_device_to_index[gpu], known._memory_growth_map[gpu]


def slopes(loss, variables):
    """The derivative of a loss along one direction: by autodiff, and by finite differences."""
    with tf.GradientTape() as tape:
        value = loss()
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(value, variables)]
    random = np.random.default_rng(5)
    direction = [random.normal(size=v.shape) for v in variables]
    start = [v.numpy() for v in variables]
    step = 1e-5

    def moved(by):
        for v, s, d in zip(variables, start, direction, strict=True):
            v.assign(s + by * d)
        return float(loss())

    difference = (moved(step) - moved(-step)) / (2 * step)
    moved(0)
    slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))
    return slope, difference


def write_tokens(folder: Path) -> Path:
    """A folder as `tokenize` writes it: a short language with a rule (o cachorro bebeu …)."""
    folder.mkdir()
    VOCABULARY.save(folder / "vocabulary.tsv")
    sentence = [
        TOKENS.index(word)
        for word in ["<s>", "o", "cachorro", "bebeu", "água", "e", "ela", ",", "a", "."]
    ]
    for split, repeats in (("train", 60), ("valid", 6), ("test", 6)):
        np.save(folder / f"{split}.npy", np.array(sentence * repeats, np.int32))
        letters = [1, *(len(TOKENS[i]) for i in sentence[1:])]
        np.save(folder / f"{split}.letters.npy", np.array(letters * repeats, np.int32))
        # Documents of one, two and three paragraphs.
        np.save(folder / f"{split}.documents.npy", np.array([1, 2, 3] * (repeats // 6), np.int32))
    return folder


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return write_tokens(tmp_path / "tokens")


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """One MLflow store for all tests: creating it takes seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        yield uri


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; a test without it is skipped."""
    from pages import chromium  # which imports this file

    with chromium() as browser:
        yield browser


# The command line


def nextword(*arguments, stdin: str | bytes | None = None):
    """Run a command of nextword in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def sentence_of(result) -> str:
    """The one sentence that a refused input gets."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    return lines[0]


# Trainings in processes of their own

WORKER = ROOT / "tests" / "worker.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder in which they read tokens/ and write."""
    folder = tmp_path_factory.mktemp("trainings")
    write_tokens(folder / "tokens")
    return folder


@pytest.fixture(scope="module")
def start(place, store):
    """Starts the workers of a training, one process each: see worker.py."""
    started = []

    def start(name, *options, workers=1, before="", **environment):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
        processes = []
        for index in range(workers):
            variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
            if workers > 1:
                task = {"type": "worker", "index": index}
                variables["TF_CONFIG"] = json.dumps(
                    {"cluster": {"worker": addresses}, "task": task}
                )
            run = f"{before}\nimport runpy; runpy.run_path({str(WORKER)!r}, run_name='__main__')"
            process = subprocess.Popen(
                [sys.executable, "-c", run, "--tokens", "tokens", "--output", name, *options],
                cwd=place, env=variables, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            processes.append(process)
        started.extend(processes)
        return processes

    yield start
    for process in started:
        process.kill()
        process.wait()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for_windows(process, count):
    for line in process.stdout:
        count -= line == "window\n"
        if not count:
            return
    pytest.fail(f"the process ended early: {process.wait()}")


def digests(processes):
    """Digests of the weights with which processes ended."""
    outputs = [process.communicate(timeout=400)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return [output.split("weights ")[1].strip() for output in outputs]
