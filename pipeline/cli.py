"""The command line: one thin command per stage, and `run`, which walks them all.

TensorFlow and MLflow are imported inside the commands, so that --help answers at once.
"""

import contextlib
import ctypes
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from pipeline import InputError, Interrupted

DOCUMENTS = Path("data/documents")
INSPECTION = Path("data/inspection")
TOKENS = Path("data/tokens")
TRAINING = Path("models/training")
SIMPLE_RNN = Path("models/simple_rnn")
FEEDFORWARD = Path("models/feedforward")
EXPLANATION = Path("models/explanation")
EVALUATION = Path("models/evaluation")
MODEL = Path("models/nextword")
PERSONAL = Path("models/personal")

# What a training costs, and what it is worth: benchmarks/README.md has the figures.
# fmt: off
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "embedding": 256, "units": 256, "layers": 1, "mogrifier": 4,
        "dropout": 0.5, "variational": False, "word_dropout": 0.0, "weight_dropout": 0.0,
        "window": 35, "batch_size": 20, "epochs": 7,
        "learning_rate": 5e-3, "warmup": 0.05, "schedule": "linear", "clip_norm": 1.0,
        "activation_regularization": 0.0, "temporal_regularization": 0.0, "averaging": 0.0,
    },
    "cpu-hour": {
        "embedding": 256, "units": 512, "layers": 1, "mogrifier": 4,
        "dropout": 0.3, "variational": False, "word_dropout": 0.0, "weight_dropout": 0.0,
        "window": 35, "batch_size": 32, "epochs": 5,
        "learning_rate": 3e-3, "warmup": 0.02, "schedule": "cosine", "clip_norm": 1.0,
        "activation_regularization": 0.0, "temporal_regularization": 0.0, "averaging": 0.999,
    },
    "gpu": {
        "embedding": 512, "units": 1150, "layers": 2, "mogrifier": 0,
        "dropout": 0.5, "variational": True, "word_dropout": 0.1, "weight_dropout": 0.5,
        "window": 70, "batch_size": 64, "epochs": 40,
        "learning_rate": 2e-3, "warmup": 0.02, "schedule": "cosine", "clip_norm": 0.25,
        "activation_regularization": 2.0, "temporal_regularization": 1.0, "averaging": 0.999,
    },
}
# In the place of a preset where a trained model goes on: small steps, for a small text.
GOING_ON: dict[str, Any] = {
    "window": 35, "batch_size": 4, "epochs": 5,
    "learning_rate": 1e-3, "warmup": 0.05, "schedule": "linear", "clip_norm": 1.0,
    "activation_regularization": 0.0, "temporal_regularization": 0.0, "averaging": 0.0,
}
# fmt: on

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class _Stop(click.ClickException):
    def __init__(self, message: str, *, exit_code: int = 2):
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


class _Group(click.Group):
    """Turns what the user can mend into one sentence and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise _Stop(str(error)) from error
        except Interrupted as error:
            raise _Stop(str(error), exit_code=128 + error.signal) from error
        except OSError as error:
            raise _Stop(
                f"{error.filename or 'A file'} cannot be used: {error.strerror}."
            ) from error


def _all(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _option(name: str, default: Any, text: str, **kwargs: Any) -> Decorator:
    shown = default not in ("", ())
    return click.option(name, default=default, show_default=shown, help=text, **kwargs)


def _folder(name: str, default: Path, text: str) -> Decorator:
    return _option(name, default, text, type=click.Path(path_type=Path))


_force = click.option("--force", is_flag=True, help="Do it again even if nothing has changed.")

_corpus_options = _all(
    _option("--corpus", ("data/sample",), "File, folder, glob, name that `nextword corpora` lists, or hf:owner/dataset; may be repeated.", multiple=True),
    _option("--valid", (), "Glob of the files that validate; may be repeated.  [default: 5 % of the documents]", multiple=True),
    _option("--test", (), "Glob of the files that test; may be repeated.  [default: 5 % of the documents]", multiple=True),
    _option("--text-column", "text", "Column of .csv, .tsv, .jsonl, .parquet and data sets that holds text."),
    _option("--strict", False, "Stop at a file that cannot be read, instead of skipping it.", type=bool),
    _option("--deduplicate", True, "Drop repeated documents, and training paragraphs that stand again in valid or test.", type=bool),
)  # fmt: skip

_engine_options = _all(
    _option("--engine", "local", "Where it runs: on this machine, or on Spark (docs/cluster.md).", type=click.Choice(["local", "spark"])),
    _option("--spark-master", "local[*]", "Address of the Spark master; empty for the session that is there already."),
)  # fmt: skip

_vocabulary_options = _all(
    _option("--vocabulary-size", 10_000, "Most tokens the model may know.", type=click.IntRange(3)),
    _option("--min-count", 2, "Tokens rarer than this in training are unknown.", type=click.IntRange(1)),
    _option("--vocabulary", "", "File of the tokens to know instead, one a line or a vocabulary.tsv; then the two options above do not apply.  [default: none]"),
    _option("--unit", "word", "word: each token is known or <unk>; subword: words are cut into pieces, and none is unknown.", type=click.Choice(["word", "subword"])),
    _option("--case", "fold", "fold: the model sees tokens in lower case; keep: as they are written.", type=click.Choice(["fold", "keep"])),
    _option("--numbers", "keep", "keep: as they are written; class: each is <num>, which is never suggested.", type=click.Choice(["keep", "class"])),
)  # fmt: skip

_positive = click.IntRange(1)


class _Steps(click.ParamType):
    """A number of steps, or one of some words."""

    name = "steps"

    def __init__(self, *words: str):
        self.words = words

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        return value if value in self.words else _positive.convert(value, param, ctx)


class _Counts(click.ParamType):
    """Numbers above zero, parted by spaces."""

    name = "counts"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(_positive.convert(word, param, ctx) for word in value.split())


def _described(init: str) -> dict[str, Any]:
    """model.json of a trained model."""
    path = Path(init, "model.json")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(
            f"No trained model is described by {path}: run `nextword train` first."
        ) from error


class _OfPreset(click.ParamType):
    """A value of another type, or none for the one of the preset or of the model of --init."""

    def __init__(self, kind: Any):
        self.kind = click.types.convert_type(kind)
        self.name = self.kind.name

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "":
            init = ctx.params.get("init")
            ready = GOING_ON | _described(init) if init else PRESETS[ctx.params["preset"]]
            value = ready[param.name]
        return self.kind.convert(value, param, ctx)


def _preset_option(name: str, text: str, kind: Any) -> Decorator:
    key = name.removeprefix("--").replace("-", "_")
    values = ", ".join(f"{preset}: {options[key]}" for preset, options in PRESETS.items())
    return click.option(name, default="", help=f"{text}  [{values}]", type=_OfPreset(kind))


_above_zero = click.FloatRange(0, min_open=True)
_share = click.FloatRange(0, 1, max_open=True)
_preset = _option("--preset", "quick", "Sizes and training by what they cost: quick, minutes on the sample; cpu-hour, about an hour on two cores for two million tokens; gpu.", type=click.Choice(list(PRESETS)), is_eager=True)  # fmt: skip
_model_options = _all(
    _preset,
    _option("--cell", "lstm", "The recurrence.", type=click.Choice(["lstm", "gru", "simple_rnn", "feedforward"])),
    _preset_option("--embedding", "Length of a word's vector.", _positive),
    _preset_option("--units", "Units of a layer.", _positive),
    _preset_option("--layers", "Recurrent layers.", _positive),
    _preset_option("--mogrifier", "Rounds in which an LSTM's input and state change one another before each step.", click.IntRange(0)),
    _preset_option("--dropout", "Share of activations dropped in training.", _share),
    _preset_option("--variational", "Drop the same activations at all steps of a window.", bool),
    _preset_option("--word-dropout", "Share of the words whose vectors are dropped for a window.", _share),
    _preset_option("--weight-dropout", "Share of the recurrent weights dropped for a window.", _share),
    _option("--tied", True, "Use the embedding as output weights too.", type=bool),
    _option("--softmax", "full", "Over all words at once, or adaptive: in clusters, faster to train with 50,000 words and more.", type=click.Choice(["full", "adaptive"])),
    _option("--context", 5, "Words a feedforward model sees.", type=_positive),
)  # fmt: skip

_precision = _option(
    "--precision",
    "float32",
    "What layers compute in; weights and the loss stay float32.",
    type=click.Choice(["float32", "mixed_float16", "mixed_bfloat16"]),
)

_training_options = _all(
    _model_options,
    _preset_option("--window", "Steps that the gradient travels back (T), or full: whole paragraphs, or documents with --reset document.", _Steps("full")),
    _option("--stride", "", "Steps between two updates (k₁ ≤ T); 1 is the lecture's sum at every step.  [default: the window]", type=_Steps("")),
    _option("--reset", "never", "Forget the state only where an epoch begins, or where each document does.", type=click.Choice(["never", "document"])),
    _preset_option("--batch-size", "Lanes of text read side by side.", _positive),
    _preset_option("--epochs", "Passes over the training text, at most.", _positive),
    _preset_option("--learning-rate", "Adam's greatest.", _above_zero),
    _preset_option("--warmup", "Share of the training in which the learning rate rises from zero.", _share),
    _preset_option("--schedule", "How it falls to zero then.", click.Choice(["linear", "cosine"])),
    _preset_option("--activation-regularization", "α: weight of the mean square of the last layer's activations.", click.FloatRange(0)),
    _preset_option("--temporal-regularization", "β: weight of the mean square of their changes.", click.FloatRange(0)),
    _preset_option("--averaging", "Validate and keep averages of the weights; so much of an average each update leaves, 0 for none.", _share),
    _preset_option("--clip-norm", "Greatest global norm of a gradient.", _above_zero),
    _option("--patience", 2, "Epochs without improvement before stopping.", type=_positive),
    _option("--seed", 1, "Makes a run repeatable.", type=int),
    _precision,
    _option("--strategy", "auto", "one device; mirrored: all GPUs, or CPUs, of this machine; multiworker: the machines of TF_CONFIG; auto: what there is.", type=click.Choice(["auto", "one", "mirrored", "multiworker"])),
)  # fmt: skip

_resume = click.option("--resume", is_flag=True, help="Go on with a training that broke off.")

_new_words = _option("--new-words", 1_000, "New words that the vocabulary of --init grows by, at most: the most frequent ones of the training split.", type=click.IntRange(0))  # fmt: skip
_going_on = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in GOING_ON.items())
_init_options = _all(
    _option("--init", "", f"Folder of a trained model to go on from: sizes and dropout are its own, and in the place of a preset stand {_going_on}.  [default: none]", is_eager=True),
    _option("--corpus", (), "Text to go on with, as ingest takes it; may be repeated. Its documents and tokens go into data/documents-NAME and data/tokens-NAME, where NAME is the folder to write, and new words into the vocabulary.  [default: --tokens]", multiple=True),
    _new_words,
    _option("--retain", 0.5, "Share of the weights of --init in those that are kept: the more, the less is forgotten, and learned.", type=click.FloatRange(0, 1)),
)  # fmt: skip

_shown_options = _all(
    _option("--text", "", "File to measure on as well, of any kind that ingest reads.  [default: none]"),
    _option("--explanation", "", "Folder that explain wrote, to be shown in the report.  [default: none]"),
    _option("--ablation", "", "Table that benchmarks/ablation.py wrote, to be shown too.  [default: none]"),
)  # fmt: skip

_evaluation_options = _all(
    _option("--ngram-order", 5, "n of the Kneser-Ney n-gram model that stands beside; 0 for none.", type=click.IntRange(0)),
)  # fmt: skip

_cache = _option("--cache", 0, "Tokens that a continuous cache over the text remembers; 0 for none.", type=click.IntRange(0))  # fmt: skip
_export_options = _all(_option("--suggestions", 5, "Words suggested.", type=_positive), _cache)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nextword-pt")
def main() -> None:
    """Portuguese text in, a next-word model out.

    The stages, in order: ingest, tokenize, train, evaluate, export, predict. `run` walks them
    all. Each reads the folders before it and is skipped when nothing has changed.
    """
    logging.basicConfig(format="%(message)s")


# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def _keep_freed_memory() -> None:
    """Let glibc keep what TensorFlow frees: the next window asks for as much again.

    What goes back to the kernel comes back page by page, each zeroed anew.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, 2**25)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def _import_tensorflow() -> None:
    """Import TensorFlow without its greetings, which no setting of its own silences."""
    _keep_freed_memory()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow turns oneDNN's products of matrices on by itself only where there is AVX-512; with
    # AVX2 they are faster as well (benchmarks/README.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as greetings:
        os.dup2(greetings.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            # Models of many shapes in one process are compiled anew for each, as they must be.
            tf.get_logger().setLevel(logging.ERROR)
        except BaseException:
            greetings.seek(0)
            os.write(terminal, greetings.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _stage(
    function: Callable[..., None],
    *,
    reads: list[Path],
    output: Path,
    parameters: dict[str, Any],
    force: bool,
    resume: bool | None = None,
    **callbacks: Callable[..., None],
) -> bool:
    from pipeline.manifest import run_stage

    ran = run_stage(
        function,
        reads=reads,
        output=output,
        parameters=parameters,
        force=force,
        resume=resume,
        **callbacks,
    )
    click.echo(f"Wrote {output}." if ran else f"Skipped {output}: nothing has changed.")
    return ran


def _mlflow_run() -> contextlib.AbstractContextManager[None]:
    """An MLflow run named after the command, with its options as parameters."""
    from pipeline import tracking

    context = click.get_current_context()
    options = {name: value for name, value in context.params.items() if name != "force"}
    return tracking.run(str(context.info_name), options)


def _ingest(
    output: Path,
    *,
    corpus: tuple[str, ...],
    valid: tuple[str, ...],
    test: tuple[str, ...],
    engine: str,
    spark_master: str,
    force: bool,
    **options: Any,
) -> None:
    _import_tensorflow()
    from pipeline.corpus.ingest import find_corpus, ingest
    from pipeline.tracking import log_documents

    # `mlflow run` passes a glob that was not given as "".
    globs = {"valid": tuple(filter(None, valid)), "test": tuple(filter(None, test))}
    stage = ingest
    if engine == "spark":
        from pipeline import spark

        stage, options["master"] = spark.ingest, spark_master
    _stage(
        stage,
        reads=[Path(path) for path, _ in find_corpus(corpus)],
        output=output,
        parameters={"corpus": corpus, **globs, **options},
        force=force,
    )
    click.echo(_documents_in_words(output))
    log_documents(output)


def _documents_in_words(folder: Path) -> str:
    import pandas as pd

    documents = pd.read_parquet(folder / "documents.parquet", columns=["split"])["split"]
    removed = pd.read_csv(folder / "removed.csv", usecols=["paragraph"])["paragraph"]
    counts = ", ".join(f"{split} {n:,}" for split, n in documents.value_counts().items())
    return (
        f"{len(documents):,} documents ({counts}); left out: {removed.isna().sum():,} repeated "
        f"documents, {removed.notna().sum():,} training paragraphs that stand again in valid or "
        "test."
    )


def _tokenize(
    documents: Path,
    output: Path,
    *,
    vocabulary: str,
    engine: str,
    spark_master: str,
    force: bool,
    init: str = "",
    new_words: int = 0,
    **options: Any,
) -> None:
    _import_tensorflow()
    from pipeline.streams import tokenize_documents
    from pipeline.tracking import log_vocabulary

    stage: Callable[..., None] = tokenize_documents
    if engine == "spark":
        from pipeline import spark

        if init:
            raise InputError("Spark grows no vocabulary: leave out --init, or --engine spark.")
        stage, options["master"] = spark.tokenize_documents, spark_master
    known = []  # the files that say what the model knows
    if vocabulary:
        known = [Path(vocabulary)]
    if init:
        known += [Path(init, "vocabulary.tsv"), Path(init, "tokenizer.json")]
        options |= {"init": Path(init), "new_words": new_words}
    _stage(
        stage,
        reads=[documents, *known],
        output=output,
        parameters={
            "documents": documents,
            "vocabulary": Path(vocabulary) if vocabulary else None,
            **options,
        },
        force=force,
    )
    log_vocabulary(output)


def _train(
    tokens: Path,
    output: Path,
    *,
    force: bool,
    resume: bool,
    stride: int | str,
    preset: str,
    prefix: str = "",
    init: str = "",
    **options: Any,
) -> None:
    from pipeline.manifest import is_current, partial_of
    from pipeline.tracking import epoch_logger, log_history, windows_logger
    from pipeline.training import strategies
    from pipeline.training.train import train

    # `mlflow run` passes a stride that was not given as "".
    parameters = {"tokens": tokens, "stride": stride or None, **options}
    reads = [tokens]
    if init:
        parameters["init"] = Path(init)
        reads.append(Path(init))
    if not strategies.is_chief():
        if not is_current(train, reads=reads, output=output, parameters=parameters):
            train(output=partial_of(output), **parameters)
        return
    ran = _stage(
        train,
        reads=reads,
        output=output,
        parameters=parameters,
        force=force,
        resume=resume,
        on_epoch=epoch_logger(prefix),
        on_windows=windows_logger(prefix),
    )
    if not ran:
        log_history(output, prefix)


def _take_sizes(options: dict[str, Any], described: dict[str, Any]) -> None:
    """Put the sizes of the model of --init where a preset has none and none were given."""
    context = click.get_current_context()
    if context.params["preset"] != next(iter(PRESETS)):
        raise InputError("--preset is for a model that begins: leave it out with --init.")
    for name in ("cell", "tied", "softmax", "context"):
        if context.get_parameter_source(name) == click.core.ParameterSource.DEFAULT:
            options[name] = context.params[name] = described[name]


def _evaluate(
    training: Path,
    tokens: Path,
    output: Path,
    *,
    baselines: tuple[Path, ...],
    text: str = "",
    explanation: str | Path = "",
    ablation: str = "",
    force: bool,
    **options: Any,
) -> None:
    _import_tensorflow()
    from pipeline.evaluation import evaluate
    from pipeline.report import print_table
    from pipeline.tracking import log_evaluation

    files = {"text": text, "explanation": explanation, "ablation": ablation}
    given = {name: Path(path) if path else None for name, path in files.items()}
    _stage(
        evaluate,
        reads=[training, tokens, *baselines, *filter(None, given.values())],
        output=output,
        parameters={
            "training": training,
            "tokens": tokens,
            "baselines": baselines,
            **given,
            **options,
        },
        force=force,
    )
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    print_table(metrics)
    log_evaluation(output, metrics)


def _export(
    training: Path, tokens: Path, output: Path, *, suggestions: int, cache: int, force: bool
) -> None:
    _import_tensorflow()
    from pipeline.export import export
    from pipeline.tracking import log_model

    _stage(
        export,
        reads=[training, *([tokens] if cache else [])],
        output=output,
        parameters={
            "training": training,
            "suggestions": suggestions,
            "cache": cache,
            "tokens": tokens if cache else None,
        },
        force=force,
    )
    click.echo(f"Logged as {log_model(output)}.")


@main.command()
@_corpus_options
@_engine_options
@_folder("--output", DOCUMENTS, "Folder to write.")
@_force
def ingest(output: Path, **options: Any) -> None:
    """Read text; write documents.parquet, files.csv and removed.csv.

    Reads .txt, .md, .csv, .tsv, .jsonl, .parquet and .conllu, compressed (.gz, .bz2, .xz, .zst)
    or not, in any encoding; undoes hard line breaks, drops what stands twice, and gives each
    document to one of the splits train, valid and test.
    """
    with _mlflow_run():
        _ingest(output, **options)


@main.command()
def corpora() -> None:
    """List the corpora that --corpus knows by name."""
    import rich
    from rich.table import Table

    from pipeline import catalog

    table = Table("name", "title", "files", "MB", "licence", "source", box=None)
    for corpus in catalog.corpora():
        size = f"{corpus.bytes / 1e6:.1f}"
        table.add_row(
            *(corpus.name, corpus.title, str(len(corpus.files)), size),
            *(corpus.licence, corpus.source),
        )
    rich.print(table)


@main.command()
@_folder("--documents", DOCUMENTS, "Folder that ingest wrote.")
@_folder("--output", INSPECTION, "Folder to write.")
@_force
def inspect(documents: Path, output: Path, force: bool) -> None:
    """Read documents; write inspection.json and figures/oov.png.

    Tells of sizes, OOV rates by vocabulary size, overlap of the splits, and documents that look
    suspicious: another language, boilerplate, damaged letters.
    """
    _import_tensorflow()
    from pipeline.inspection import inspect_documents, print_inspection

    _stage(
        inspect_documents,
        reads=[documents],
        output=output,
        parameters={"documents": documents},
        force=force,
    )
    print_inspection(json.loads((output / "inspection.json").read_text(encoding="utf-8")))


@main.command()
@_folder("--documents", DOCUMENTS, "Folder that ingest wrote.")
@_folder("--output", TOKENS, "Folder to write.")
@_vocabulary_options
@_option("--init", "", "Folder of a trained model whose vocabulary keeps its ids and grows; units, case and numbers are as in that.  [default: none]")  # fmt: skip
@_new_words
@_engine_options
@_force
def tokenize(documents: Path, output: Path, **options: Any) -> None:
    """Read documents; write the vocabulary, train.npy, valid.npy and test.npy."""
    with _mlflow_run():
        _tokenize(documents, output, **options)


@main.command()
@_folder("--tokens", TOKENS, "Folder that tokenize wrote.")
@_option(
    "--output", "", "Folder to write.  [default: models/training; with --init models/personal]"
)
@_init_options
@_training_options
@_resume
@_force
def train(
    tokens: Path,
    output: str,
    init: str,
    corpus: tuple[str, ...],
    new_words: int,
    **options: Any,
) -> None:
    """Read tokens; write a trained model: weights, vocabulary and history.

    Trains by truncated backpropagation through time: windows of T steps, the state carried
    from each to the next. Ctrl-C saves before it stops, and --resume goes on from there.

    `nextword train --init models/training --corpus my-notes/` goes on from a trained model on
    other text: it walks ingest, tokenize and train, and the model that was there stays.
    """
    _import_tensorflow()
    from pipeline.training.strategies import is_chief

    corpus = tuple(filter(None, corpus))
    if init:
        _take_sizes(options, _described(init))
    if corpus and not init:
        raise InputError("--corpus goes on from a trained model: name its folder with --init.")
    if corpus and tokens != TOKENS:
        raise InputError("The text comes from --corpus or from --tokens: leave one out.")
    folder = Path(output) if output else PERSONAL if init else TRAINING
    with _mlflow_run() if is_chief() else contextlib.nullcontext():
        if corpus:
            documents = DOCUMENTS.with_name(f"{DOCUMENTS.name}-{folder.name}")
            tokens = TOKENS.with_name(f"{TOKENS.name}-{folder.name}")
            if is_chief():
                names = [part for name in corpus for part in ("--corpus", name)]
                _ingest(**ingest.make_context("ingest", names).params | {"output": documents})
                given = {"documents": documents, "output": tokens, "init": init}
                given |= {"new_words": new_words}
                _tokenize(**tokenize.make_context("tokenize", []).params | given)
        _train(tokens, folder, init=init, **options)


@main.command()
@_model_options
@_precision
def devices(preset: str, precision: Any, **sizes: Any) -> None:
    """Show what TensorFlow sees, and whether cuDNN will be used for a model."""
    _import_tensorflow()
    from pipeline.devices import allow_growth, describe, print_description
    from pipeline.model import ModelConfig

    allow_growth()
    print_description(describe(ModelConfig(vocabulary_size=2, **sizes), precision=precision))


@main.command()
@_folder("--training", TRAINING, "Folder of the model to evaluate.")
@_folder("--tokens", TOKENS, "Folder that tokenize wrote.")
@click.option(
    "--baseline", "baselines", multiple=True, type=click.Path(path_type=Path),
    help="Folder of another trained model to stand beside it; may be repeated.",
)  # fmt: skip
@_shown_options
@_evaluation_options
@_cache
@_folder("--output", EVALUATION, "Folder to write.")
@_force
def evaluate(training: Path, tokens: Path, output: Path, **options: Any) -> None:
    """Read a trained model and tokens; write metrics.json, tables, figures/ and report.html.

    A Kneser-Ney n-gram model, the line to beat, and a unigram model are measured beside it on
    the same tokens.
    """
    with _mlflow_run():
        _evaluate(training, tokens, output, **options)


def _explain(
    tokens: Path,
    output: Path,
    *,
    models: tuple[Path, ...],
    windows: tuple[int, ...] = (),
    training_tokens: int = 0,
    training_epochs: int = 0,
    force: bool,
    **options: Any,
) -> None:
    _import_tensorflow()
    from pipeline.explain.explain import explain, print_explanation
    from pipeline.tracking import log_explanation

    trained = train.make_context("train", []).params
    of_command = ("tokens", "output", "resume", "force", "preset")
    left_out = (*of_command, "init", "corpus", "new_words", "retain")
    train_options = {
        **{name: value for name, value in trained.items() if name not in left_out},
        "stride": None,
        "mogrifier": 0,
        "epochs": training_epochs,
    }
    models = models or tuple(f for f in (TRAINING, SIMPLE_RNN, FEEDFORWARD) if f.is_dir())
    _stage(
        explain,
        reads=[tokens, *models],
        output=output,
        parameters={
            "tokens": tokens,
            "models": models,
            "windows": windows,
            "training_tokens": training_tokens,
            "train_options": train_options,
            **options,
        },
        force=force,
    )
    print_explanation(json.loads((output / "explanation.json").read_text(encoding="utf-8")))
    log_explanation(output)


_explanation_options = _all(
    _option("--sentence", "Matias tinha um cachorro e ele gostava de beber água", "Its words are predicted with the context cut shorter and shorter; the last one is looked at closest."),
    _option("--steps", 100, "How far back gradients are followed.", type=click.IntRange(1, 200)),
    _option("--samples", 256, "Targets they are followed from.", type=_positive),
)  # fmt: skip


@main.command()
@_folder("--tokens", TOKENS, "Folder that tokenize wrote.")
@click.option(
    "--model", "models", multiple=True, type=click.Path(path_type=Path),
    help="Folder of a trained model; may be repeated.  "
    "[default: models/training, models/simple_rnn and models/feedforward, those that exist]",
)  # fmt: skip
@_explanation_options
@_option("--windows", "", "T of small trainings that are compared, such as \"1 5 7 35\".  [default: none]", type=_Counts())  # fmt: skip
@_option("--training-tokens", 100_000, "Text that those are trained on.", type=_positive)
@_option("--training-epochs", 3, "Passes of those over it.", type=_positive)
@_folder("--output", EXPLANATION, "Folder to write.")
@_force
def explain(tokens: Path, output: Path, **options: Any) -> None:
    """Read trained models and tokens; write explanation.json and figures/: the lecture, visible.

    How far the gradient reaches back, what becomes of a sentence when its beginning is cut off,
    and what a longer window is worth.
    """
    with _mlflow_run():
        _explain(tokens, output, **options)


@main.command()
@click.argument("first")
@click.argument("second")
def compare(first: str, second: str) -> None:
    """Tell whether the model of one evaluation is better than another's, or that is noise.

    FIRST and SECOND are folders that `evaluate` wrote, or ids of MLflow runs.
    """
    from pipeline.compare import compare as compare_evaluations
    from pipeline.compare import print_comparison

    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(_evaluation_of(name)) for name in (first, second)]
        differences = compare_evaluations(*folders)
        print_comparison(differences, first=first, second=second)


@contextlib.contextmanager
def _evaluation_of(name: str) -> Iterator[Path]:
    """The folder of an evaluation: that folder, or what an MLflow run has kept of it."""
    if Path(name).is_dir():
        yield Path(name)
        return
    from pipeline.tracking import download_evaluation

    with tempfile.TemporaryDirectory() as folder:
        yield download_evaluation(name, Path(folder))


@main.command()
@_folder("--training", TRAINING, "Folder of the model to export.")
@_folder("--tokens", TOKENS, "Folder that tokenize wrote; a cache is chosen on its validation split.")  # fmt: skip
@_folder("--output", MODEL, "Folder to write.")
@_export_options
@_force
def export(training: Path, tokens: Path, output: Path, **options: Any) -> None:
    """Read a trained model; write a SavedModel: text in, words out."""
    with _mlflow_run():
        _export(training, tokens, output, **options)


@main.command()
@_folder("--model", MODEL, "Folder of the SavedModel.")
@_option("--host", "127.0.0.1", "Address to listen on; 127.0.0.1 is for this machine only.")
@_option("--port", 8000, "Port to listen on; 0 for any that is free.", type=click.IntRange(0, 65535))  # fmt: skip
@click.option("--open/--no-open", "open_browser", default=True, help="Show it in the browser.")
def demo(**options: Any) -> None:
    """Serve a page to type on: suggestions after every key, and how surprising each word is."""
    _import_tensorflow()
    from pipeline.demo import serve

    serve(say=click.echo, **options)


@main.command()
@click.argument("text")
@_folder("--model", MODEL, "Folder of the SavedModel.")
def predict(text: str, model: Path) -> None:
    """Suggest the next word of TEXT; "-" reads one text a line from standard input."""
    _import_tensorflow()
    from pipeline.predict import load, suggest

    texts = [text]
    if text == "-":
        texts = sys.stdin.buffer.read().decode("utf-8", errors="replace").splitlines() or [""]
    try:
        answers = suggest(load(model), texts)
    except ValueError as error:
        raise InputError(str(error)) from error
    for number, answer in enumerate(answers):
        if number:
            click.echo()
        for word, probability in answer:
            click.echo(f"{probability:6.1%}  {word}")


@main.command()
@_corpus_options
@_vocabulary_options
@_engine_options
@_training_options
@_explanation_options
@_evaluation_options
@_option(
    "--baseline-epochs", 2, "Passes of the models it is compared with, at most.", type=_positive
)
@_export_options
@_resume
@_force
def run(force: bool, baseline_epochs: int, **options: Any) -> None:
    """Walk all stages: text in, a SavedModel in models/nextword out.

    Beside the model a simple recurrent and a feedforward one of the same sizes are trained, the
    foils it is compared with.
    """
    _import_tensorflow()
    from pipeline.training.strategies import workers

    if workers() > 1:
        raise InputError(
            "TF_CONFIG names several machines: run the other stages on one of them, and "
            "`nextword train` on all."
        )

    def of(command: click.Command) -> dict[str, Any]:
        return {p.name: options[p.name] for p in command.params if p.name in options}

    training = {name: value for name, value in of(train).items() if name != "corpus"}

    with _mlflow_run():
        _ingest(DOCUMENTS, force=force, **of(ingest))
        _tokenize(DOCUMENTS, TOKENS, force=force, **of(tokenize))
        _train(TOKENS, TRAINING, force=force, **training)
        baselines: tuple[Path, ...] = ()
        for cell, folder in (("simple_rnn", SIMPLE_RNN), ("feedforward", FEEDFORWARD)):
            if cell != options["cell"]:
                foil = {**training, "cell": cell, "layers": 1}
                foil["epochs"] = baseline_epochs
                _train(TOKENS, folder, force=force, prefix=f"{cell}_", **foil)
                baselines = (*baselines, folder)
        models = (TRAINING, *baselines)
        _explain(TOKENS, EXPLANATION, models=models, force=force, **of(explain))
        options["explanation"] = EXPLANATION
        _evaluate(TRAINING, TOKENS, EVALUATION, baselines=baselines, force=force, **of(evaluate))
        _export(TRAINING, TOKENS, MODEL, force=force, **of(export))


if __name__ == "__main__":
    main()
