"""The commands."""

import contextlib
import dataclasses
import itertools
import json
import logging
import os
import signal
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click
from click.core import ParameterSource

from pipeline import InputError
from pipeline.cli import addresses
from pipeline.cli.options import (
    corpus_options,
    engine_options,
    export_options,
    folder,
    force_option,
    init_options,
    model_options,
    new_words_option,
    option,
    options_of,
    path,
    precision_option,
    refuse,
    refuse_of_other_cells,
    resume_option,
    take,
    take_spark,
    training_options,
    trust_option,
    values_of,
    vocabulary_option,
)
from pipeline.cli.presets import (
    AOSP,
    BASELINES,
    DOCUMENTS,
    EVALUATION,
    EXPLANATION,
    INSPECTION,
    LITERT,
    MODEL,
    PAGE,
    PERSONAL,
    TOKENS,
    TRAINING,
)
from pipeline.cli.process import Group, import_tensorflow
from pipeline.cli.stages import (
    OVERRULED,
    check_lexicon,
    check_never_suggest,
    evaluate_stage,
    explain_stage,
    export_stage,
    format_stage,
    ingest_stage,
    mlflow_run,
    print_new_words,
    require,
    require_corpus,
    require_files,
    run_or_skip,
    tokenize_stage,
    train_stage,
    with_pairs,
)
from pipeline.corpus.config import DEFAULT_READING, ReadingConfig
from pipeline.evaluation.config import EvaluationConfig
from pipeline.explain.config import ExplanationConfig, WindowSweepConfig
from pipeline.export.config import AospConfig, ExportConfig
from pipeline.model.config import ModelConfig
from pipeline.page.config import unfit
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.training.config import TrainingConfig
from pipeline.training.strategies import require_one_machine

# Texts that a model reads side by side.
_TEXTS_AT_ONCE = 256
# What `export` takes for each format, besides --training, --output and --force.
_TAKEN = {
    "saved_model": "tokens evaluation suggestions cache lexicon never_suggest register".split(),
    "page": "suggestions lexicon never_suggest".split(),
    "litert": ["lexicon"],
    "aosp": "lexicon never_suggest words bigrams".split(),
}
_OR_TRUST = "name another with --model, or add --trust if you know who made it"


def _in_words(taken: Mapping[str, Collection[str]]) -> str:
    """Say which options each format but the first takes; the first takes most."""
    options = (f"{format} takes --{', --'.join(taken[format])}" for format in [*taken][1:])
    return "; ".join(options).replace("_", "-")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nextword-pt")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Portuguese text in, a next-word model out.

    `run` runs the stages in order: ingest, tokenize, train, explain, evaluate, export. Each reads
    what earlier ones wrote and is skipped when nothing has changed.
    """
    logging.basicConfig(format="%(message)s")


@main.command()
@corpus_options
@engine_options
@folder("--output", DOCUMENTS, "Folder to write.")
@force_option
def ingest(output: Path, **options: Any) -> None:
    """Read text; write documents.parquet, files.csv and removed.csv.

    Reads text, tables, JSON, chats, subtitles, mail, PDF, Word, e-books, web pages, wikis and
    annotated corpora (docs/formats.md), compressed (.gz, .bz2, .xz, .zst) or not, in any encoding
    of Portuguese; undoes hard line breaks, drops duplicates, and assigns each document to the split
    train, valid or test.
    """
    reading, spark = take(ReadingConfig, options), take_spark(options)
    require_corpus(options["corpus"], reading)
    with mlflow_run():
        ingest_stage(output, reading=reading, spark=spark, **options)


@main.command()
def corpora() -> None:
    """List the corpora that --corpus knows by name."""
    import shutil
    import textwrap

    from pipeline.corpus import catalog

    columns = shutil.get_terminal_size().columns
    block = textwrap.TextWrapper(
        columns, initial_indent="    ", subsequent_indent="    ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    for corpus in catalog.corpora():
        files = f"{len(corpus.files)} file{'s' if len(corpus.files) > 1 else ''}"
        size = f"{corpus.words:,} words, {files}, {corpus.bytes / 1e6:.1f} MB"
        if corpus.dataset:
            size = f"Not pinned: the newest commit of {corpus.dataset} is read"
        click.echo(click.style(corpus.name, bold=True) + f": {corpus.title}")
        click.echo(block.fill(f"{corpus.note}. Spelling: {corpus.spelling}."))
        click.echo(block.fill(f"{size}. Licence: {corpus.licence}."))
        click.echo(block.fill(corpus.source))


@main.command()
@folder("--documents", DOCUMENTS, "Folder that ingest wrote.")
@folder("--output", INSPECTION, "Folder to write.")
@force_option
def inspect(documents: Path, output: Path, force: bool) -> None:
    """Read documents; write inspection.json and figures/oov.png.

    Reports sizes, OOV rates by vocabulary size, overlap of the splits, and documents that look
    suspicious: another language, boilerplate, damaged letters.
    """
    require("ingest", documents)
    import_tensorflow()
    from pipeline.corpus import inspect as corpus_inspect

    run_or_skip(
        corpus_inspect.inspect,
        reads=[documents],
        output=output,
        parameters={"documents": documents},
        force=force,
    )
    corpus_inspect.print_inspection(
        json.loads((output / "inspection.json").read_text(encoding="utf-8"))
    )


@main.command()
@folder("--documents", DOCUMENTS, "Folder that ingest wrote.")
@folder("--output", TOKENS, "Folder to write.")
@options_of(VocabularyConfig)
@vocabulary_option
@folder("--init", None, "Folder of a trained model whose vocabulary keeps its ids and grows; unit, case and numbers are as in that.")  # fmt: skip
@new_words_option
@engine_options
@force_option
def tokenize(documents: Path, output: Path, **options: Any) -> None:
    """Read documents; write the vocabulary, train.npy, valid.npy and test.npy."""
    require("ingest", documents)
    require("train", options["init"])
    if options["init"]:
        refuse(OVERRULED["init"], "{} is as in the model that --init names: leave it out.")
    else:
        refuse(["new_words"], "{} is for a model that --init names: name it, or leave {} out.")
    _check_vocabulary(options["vocabulary"])
    config, spark = take(VocabularyConfig, options), take_spark(options)
    with mlflow_run():
        tokenize_stage(documents, output, config=config, spark=spark, **options)


@main.command()
@folder("--tokens", TOKENS, "Folder that tokenize wrote.")
@folder(
    "--output", None, "Folder to write.  [default: models/training; with --init models/personal]"
)
@init_options
@training_options
@resume_option
@force_option
def train(
    tokens: Path,
    output: Path | None,
    init: Path | None,
    corpus: tuple[str, ...],
    new_words: int,
    retain: float,
    preset: str,
    **options: Any,
) -> None:
    """Read tokens; write a trained model: weights, vocabulary and history.

    Trains by truncated backpropagation through time: windows of T steps, the state carried
    from each to the next. Ctrl-C saves before it stops, and --resume continues from there.

    `nextword train --init models/training --corpus my-notes/` fine-tunes a trained model on
    other text: it runs ingest, tokenize and train, and leaves the first model as it is.
    """
    from pipeline.training import strategies

    corpus = tuple(filter(None, corpus))
    if corpus:
        strategies.require_one_machine("--corpus")
    typed = click.get_current_context().get_parameter_source("preset")
    if init and typed == ParameterSource.COMMANDLINE:
        raise InputError("--preset is for a model that begins: leave it out with --init.")
    if corpus and not init:
        raise InputError("--corpus goes on from a trained model: name its folder with --init.")
    if corpus and tokens != TOKENS:
        raise InputError("The text comes from --corpus or from --tokens: leave one out.")
    if not corpus:
        refuse(
            [*values_of(DEFAULT_READING), "new_words"],
            "{} is for the text that --corpus names: name it, or leave {} out.",
        )
    if not init:
        refuse(["retain"], "{} is for a model that --init names: name it, or leave {} out.")
    refuse_of_other_cells(options)
    output = output or (PERSONAL if init else TRAINING)
    reading = take(ReadingConfig, options)
    if corpus:
        require_corpus(corpus, reading)
        tokens = TOKENS.with_name(f"{TOKENS.name}-{output.name}")
    else:
        require("tokenize", tokens)
    import_tensorflow()
    used: dict[str, Any] = {"output": output, "tokens": tokens}
    tracked = mlflow_run(**used) if strategies.is_chief() else contextlib.nullcontext()
    with strategies.connected_workers(), tracked:
        if corpus:
            documents = DOCUMENTS.with_name(f"{DOCUMENTS.name}-{output.name}")
            ingest_stage(documents, corpus=corpus, reading=reading)
            tokenize_stage(
                documents, tokens, config=VocabularyConfig(), init=init, new_words=new_words
            )
        model, training = take(ModelConfig, options), take(TrainingConfig, options)
        fine_tuning: dict[str, Any] = {"init": init, "retain": retain} if init else {}
        train_stage(tokens, output, model=model, training=training, **fine_tuning, **options)
        if init and strategies.is_chief():
            print_new_words(output)


@main.command()
@folder("--training", PERSONAL, "Folder that `nextword train --init` wrote.")
@option(
    "--forget", (), "New or rare word to take out of the model; may be repeated.", multiple=True
)
def personal(training: Path, forget: tuple[str, ...]) -> None:
    """List the new words that fine-tuning has learned, most frequent first, or forget some.

    On a terminal, a table of the first ones; elsewhere, all as rows of token, display and count.
    The model that fine-tuning began with is never changed.
    """
    from pipeline.training.new_words import load_new_words

    require("train", training)
    load_new_words(training)  # or an InputError, before TensorFlow is imported
    if not forget:
        print_new_words(training, everything=not sys.stdout.isatty())
        return
    import_tensorflow()
    from pipeline.manifest import edit_output
    from pipeline.training.forget import forget as forget_words

    edit_output(forget_words, output=training, what=f"words forgotten: {len(forget)}", words=forget)
    click.echo(
        f"Forgot {', '.join(forget)} in {training}: export it again. A text that has a forgotten "
        "word teaches it again."
    )


@main.command()
@model_options
@precision_option
@click.option("--check", is_flag=True, help="Run a training step on each device in each precision; compare it with the CPU's, and time it.")  # fmt: skip
def devices(preset: str, precision: Any, check: bool, **sizes: Any) -> None:
    """Show what TensorFlow sees, and whether cuDNN will be used for a model."""
    import_tensorflow()
    from pipeline.training.devices import print_devices

    model = dataclasses.replace(take(ModelConfig, sizes), vocabulary_size=10_000)
    print_devices(model, precision=precision)
    if check:
        from pipeline.training.device_check import check_devices, print_check

        print_check(check_devices(model))


@main.command()
@folder("--training", TRAINING, "Folder of the model to evaluate.")
@folder("--tokens", TOKENS, "Folder that tokenize wrote.")
@click.option(
    "--baseline", multiple=True, type=path,
    help="Folder of another trained model to compare with; may be repeated.  [default: none]",
)  # fmt: skip
@options_of(EvaluationConfig)
@folder("--output", EVALUATION, "Folder to write.")
@force_option
def evaluate(
    training: Path,
    tokens: Path,
    output: Path,
    baseline: tuple[Path, ...],
    force: bool,
    **options: Any,
) -> None:
    """Read a trained model and tokens; write metrics.json, tables, figures/ and report.html.

    A Kneser-Ney n-gram model, the baseline to beat, and a unigram model are measured on the same
    tokens.
    """
    require("train", training, *baseline)
    require("tokenize", tokens)
    options["lexicon"] = check_lexicon(options["lexicon"])
    config = take(EvaluationConfig, options)
    if not config.text:
        refuse(["text_column"], "{} is for a table that --text names: name it, or leave {} out.")
    shown = ("text", "explanation", "ablation", "spelling", "pairs")
    require_files(**{name: getattr(config, name) for name in shown})
    with mlflow_run():
        evaluate_stage(training, tokens, output, baselines=baseline, config=config, force=force)


@main.command()
@folder("--tokens", TOKENS, "Folder that tokenize wrote.")
@click.option(
    "--model", multiple=True, type=path,
    default=lambda: [
        f for f in (TRAINING, *(b.folder for b in BASELINES.values())) if f.is_dir()
    ],
    help="Folder of a trained model; may be repeated.  "
    "[default: models/training, models/simple_rnn and models/feedforward, those that exist]",
)  # fmt: skip
@options_of(ExplanationConfig)
@options_of(WindowSweepConfig)
@folder("--output", EXPLANATION, "Folder to write.")
@force_option
def explain(
    tokens: Path, output: Path, model: tuple[Path, ...], force: bool, **options: Any
) -> None:
    """Read trained models and tokens; write explanation.json and figures/: what the models remember.

    Shows how far the gradient reaches back, which steps make up the gradient of a word, how often
    models prefer the right form of minimal pairs, how predictions change when the beginning of a
    sentence is cut off, and what a longer window is worth.
    """
    config, sweep = _take_explanation(options), take(WindowSweepConfig, options)
    if sweep.windows:
        require_one_machine("--windows")
    else:
        refuse(
            ["training_tokens", "training_epochs"],
            "{} is for trainings that --windows names: name it, or leave {} out.",
        )
    if not model:
        raise InputError(
            "There is no trained model to explain: run `nextword train` first, or name one with "
            "--model."
        )
    require("train", *model)
    require("tokenize", tokens)
    with mlflow_run(sentence=config.sentence):
        explain_stage(tokens, output, models=model, config=config, sweep=sweep, force=force)


@main.command()
@click.argument("first")
@click.argument("second")
def compare(first: str, second: str) -> None:
    """Tell whether the model of one evaluation is better than another's, or that is noise.

    FIRST and SECOND are folders that `evaluate` wrote, or ids of MLflow runs.
    """
    from pipeline.evaluation.compare import compare as compare_evaluations
    from pipeline.evaluation.compare import print_comparison

    with addresses.evaluation(first) as one, addresses.evaluation(second) as other:
        print_comparison(compare_evaluations(one, other), first=first, second=second)


@main.command()
@folder("--training", TRAINING, "Folder of the model to export.")
@folder("--tokens", TOKENS, "Folder that tokenize wrote; a cache is chosen on its validation split.")  # fmt: skip
@folder("--evaluation", EVALUATION, "Folder that evaluate wrote, for the model card.")
@folder(
    "--output",
    None,
    "Folder to write.  [default: models/nextword, models/page, models/litert or models/aosp]",
)
@option("--format", "saved_model", "saved_model: for TensorFlow and its servers; page: one HTML file to type on; litert: for phones, a step at a time; aosp: a dictionary for Android's keyboards. Of the options below " + _in_words(_TAKEN) + ".", type=click.Choice([*_TAKEN]))  # fmt: skip
@export_options
@options_of(AospConfig)
@force_option
def export(training: Path, output: Path | None, format: str, force: bool, **options: Any) -> None:
    """Read a trained model; write a SavedModel: text in, words out.

    The folder is a SavedModel, and in it a numbered one with the same files, which is what
    TensorFlow Serving looks for.
    """
    ignored = {name for names in _TAKEN.values() for name in names} - {*_TAKEN[format]}
    refuse(ignored, f"--format {format} takes no {{}}: leave it out, or give another --format.")
    require("train", training)
    config = take(ExportConfig, options)
    config = dataclasses.replace(config, lexicon=check_lexicon(config.lexicon))
    size = take(AospConfig, options)
    if format != "litert":
        check_never_suggest(config.never_suggest)
    if format == "saved_model" and config.cache:
        require("tokenize", options["tokens"])
    output = output or {"page": PAGE, "litert": LITERT, "aosp": AOSP}.get(format, MODEL)
    with mlflow_run(ignored=ignored, output=output):
        _check_register(options["register"])
        if format == "saved_model":
            export_stage(training, output=output, config=config, force=force, **options)
        else:
            format_stage(format, training, output, config=config, size=size, force=force)


def _check_vocabulary(file: Path | None) -> None:
    """Check that the file of a vocabulary exists, and that nothing else chooses one."""
    if file:
        require_files(vocabulary=file)
        refuse(OVERRULED["vocabulary"], "--vocabulary has all that is known: leave {} out.")


def _check_register(name: str | None) -> None:
    """Validate the registry name before any stage runs."""
    from pipeline.tracking.registry import check_model_name

    if name:
        check_model_name(name)


@main.command()
@click.argument("model", default=MODEL.as_posix())
def verify(model: str) -> None:
    """Examine a SavedModel, and its numbered versions, without running them.

    MODEL is a folder, or an address in MLflow, such as models:/nextword@champion.

    A SavedModel is a program, and may write files as soon as it is loaded. Refused is whatever
    `nextword export` does not write: docs/serving.md says what is looked at, and what is not.
    """
    with addresses.saved_model(model) as folder:
        import_tensorflow()
        versions = sorted(p for p in folder.glob("*") if p.name.isdecimal() and p.is_dir())
        for place in (folder, *versions):
            _examine(place, otherwise="do not run it")
            name = model if place == folder else place
            click.echo(f"{name} holds only what `nextword export` writes.")


def _examine(model: Path, *, otherwise: str) -> None:
    from pipeline.export.verify import verify as examine

    try:
        examine(model)
    except ValueError as error:
        raise InputError(f"{error}: {otherwise}.") from error


@main.command()
@click.argument("model", default=PAGE, type=path)
@option("--host", "127.0.0.1", "Address to listen on; 127.0.0.1 is for this machine only.")
@option("--port", 8000, "Port to listen on; 0 for any that is free.", type=click.IntRange(0, 65535))  # fmt: skip
@click.option("--open/--no-open", "open_browser", default=True, help="Show it in the browser.")
def demo(**options: Any) -> None:
    """Serve the page that `nextword export --format page` wrote.

    It suggests after every key, and shows how surprising each word is. The model is in the page,
    which also opens from the disk, without a server: no text leaves it.
    """
    from pipeline.page.demo import demo as serve

    # What stops a container ends the server as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    serve(say=click.echo, **options)


@main.command()
@click.argument("text")
@option("--model", MODEL.as_posix(), "Folder of the SavedModel, or its address in MLflow, such as models:/nextword@champion.")  # fmt: skip
@trust_option
def predict(text: str, model: str, trust: bool) -> None:
    """Suggest the next word of TEXT; "-" reads one text a line from standard input.

    A TEXT that begins with a dash is written after --.
    """
    texts = iter([_argument(text, "TEXT")]) if text != "-" else _lines(sys.stdin.buffer)
    with addresses.saved_model(model) as folder:
        import_tensorflow()
        from pipeline.predict import load, suggest

        if not trust:
            _examine(folder, otherwise=_OR_TRUST)
        try:
            loaded = load(folder)
        except ValueError as error:
            raise InputError(str(error)) from error
    between = ""
    while batch := list(itertools.islice(texts, _TEXTS_AT_ONCE)):
        for answer in suggest(loaded, batch):
            words = (f"{probability:6.1%}  {word}" for word, probability in answer)
            click.echo(between + "\n".join(words))
            between = "\n"


def _lines(file: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        yield _decode(line, f"Line {number} of standard input").rstrip("\r\n")


def _take_explanation(options: dict[str, Any]) -> ExplanationConfig:
    """Take the options of `explain`, the sentence decoded, with the pairs that ship by default."""
    config = with_pairs(take(ExplanationConfig, options))
    return dataclasses.replace(config, sentence=_argument(config.sentence, "--sentence"))


def _argument(text: str, name: str) -> str:
    """What Python could not decode of an argument it has left as half characters."""
    if text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text):
        return text
    with contextlib.suppress(UnicodeEncodeError):
        return _decode(os.fsencode(text), name)
    raise InputError(f"{name} holds halves of characters: write it in UTF-8.")


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        from pipeline.corpus.encoding import decode
    with contextlib.suppress(ValueError):
        text, encoding = decode(data)
        if encoding != "utf-16":  # cut into lines, it is none
            return text
    raise InputError(f"{name} is no text in a known encoding: write it in UTF-8.")


@main.command()
@corpus_options
@options_of(VocabularyConfig)
@vocabulary_option
@engine_options
@training_options
@options_of(ExplanationConfig)
@export_options
@resume_option
@force_option
def run(
    preset: str,
    vocabulary: Path | None,
    register: str | None,
    resume: bool,
    force: bool,
    **options: Any,
) -> None:
    """Run all stages: text in, a SavedModel in models/nextword and a page in models/page out.

    A simple recurrent and a feedforward network are trained as baselines: one layer of the same
    size, the same tokens as often, each with the learning rate that suits it.
    """
    require_one_machine("`nextword run`")
    reading = take(ReadingConfig, options)
    require_corpus(options["corpus"], reading)
    _check_vocabulary(vocabulary)
    words = take(VocabularyConfig, options)
    model, training = take(ModelConfig, options), take(TrainingConfig, options)
    explanation = _take_explanation(options)
    exported = take(ExportConfig, options)
    exported = dataclasses.replace(exported, lexicon=check_lexicon(exported.lexicon))
    if exported.lexicon and words.unit == "subword":
        raise InputError("To subwords no word is unknown: leave out --lexicon or --unit.")
    check_never_suggest(exported.never_suggest)
    if exported.never_suggest and words.unit == "subword":
        raise InputError("Subwords can spell any word: leave out --never-suggest or --unit.")
    spark = take_spark(options)

    with mlflow_run(sentence=explanation.sentence):
        _check_register(register)
        ingest_stage(DOCUMENTS, reading=reading, spark=spark, force=force, **options)
        tokenize_stage(
            DOCUMENTS, TOKENS, config=words, vocabulary=vocabulary, spark=spark, force=force
        )
        train_stage(TOKENS, TRAINING, model=model, training=training, resume=resume, force=force)
        baselines: tuple[Path, ...] = ()
        for cell, (folder, share) in BASELINES.items():
            if cell != model.cell:
                rate = share * training.learning_rate
                train_stage(
                    TOKENS,
                    folder,
                    model=dataclasses.replace(model, cell=cell, layers=1),
                    training=dataclasses.replace(training, learning_rate=rate),
                    prefix=f"{cell}_",
                    resume=resume,
                    force=force,
                )
                baselines = (*baselines, folder)
        models = (TRAINING, *baselines)
        explain_stage(TOKENS, EXPLANATION, models=models, config=explanation, force=force)
        shown = EvaluationConfig(
            ngram_order=explanation.ngram_order,
            cache=exported.cache,
            lexicon=exported.lexicon,
            explanation=EXPLANATION,
        )
        evaluate_stage(TRAINING, TOKENS, EVALUATION, baselines=baselines, config=shown, force=force)
        export_stage(
            TRAINING, TOKENS, EVALUATION, MODEL, config=exported, register=register, force=force
        )
        unit = Vocabulary.load(TRAINING / "vocabulary.tsv").unit
        if reason := unfit(model, unit=unit, cache=exported.cache):
            click.echo(f"No page is written: {reason}.")
        else:
            format_stage("page", TRAINING, PAGE, config=exported, force=force)
