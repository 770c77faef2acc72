"""Run or skip each stage, and log it to MLflow."""

import contextlib
import dataclasses
import functools
import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline import InputError
from pipeline.cli.presets import AGREEMENT
from pipeline.cli.process import import_tensorflow
from pipeline.corpus.config import DEFAULT_READING, ReadingConfig
from pipeline.evaluation.config import EvaluationConfig
from pipeline.explain.config import ExplanationConfig, WindowSweepConfig
from pipeline.export.config import AospConfig, ExportConfig
from pipeline.model.config import ModelConfig
from pipeline.tokens.config import VocabularyConfig
from pipeline.training.config import TrainingConfig


def run_or_skip(function: Callable[..., None], *, output: Path, **arguments: Any) -> bool:
    """Run a stage as `run_stage` does, and print whether it ran."""
    from pipeline.manifest import run_stage

    ran = run_stage(function, output=output, **arguments)
    click.echo(f"Wrote {output}." if ran else f"Skipped {output}: nothing has changed.")
    return ran


# Options that have no effect beside another one.
OVERRULED = {
    "init": {"vocabulary_size", "unit", "case", "numbers"},
    "vocabulary": {"vocabulary_size", "min_count"},
}
# Rows of a table of new words.
_SHOWN = 20
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
# A file that each stage always writes, and the beginning of the error if it is missing.
_WRITTEN = {
    "ingest": ("documents.parquet", "No documents can be read from"),
    "tokenize": ("vocabulary.tsv", "No vocabulary can be read from"),
    "train": ("model.json", "No trained model is described by"),
    "export": ("saved_model.pb", "No SavedModel can be read from"),
}


def require(stage: str, *folders: Path | None) -> None:
    """Check that a stage has written some folders, before TensorFlow is imported.

    Raises:
        InputError: a folder lacks what the stage writes.
    """
    name, cannot = _WRITTEN[stage]
    for folder in folders:
        if folder and not (folder / name).exists():
            raise InputError(
                f"{cannot} {folder / name}: run `nextword {stage}` first, or name the folder "
                "that it wrote."
            )


def require_files(**options: Path | None) -> None:
    """Check that options name existing files.

    Raises:
        InputError: one does not exist.
    """
    for name, place in options.items():
        if place and not place.exists():
            option = name.replace("_", "-")
            raise InputError(f"There is no {place}, which --{option} names: name another.")


def with_pairs(config: ExplanationConfig) -> ExplanationConfig:
    """Take the minimal pairs that ship, where none are named.

    Raises:
        InputError: a file is named that does not exist.
    """
    require_files(pairs=config.pairs)
    if config.pairs is None and AGREEMENT.is_file():
        return dataclasses.replace(config, pairs=AGREEMENT)
    return config


def require_corpus(corpus: tuple[str, ...], reading: ReadingConfig = DEFAULT_READING) -> None:
    """Check that a corpus exists, that its first table has the column, and that a format is one.

    Raises:
        InputError: it does not.
    """
    from pipeline.corpus import catalog, hub
    from pipeline.corpus.detect import by_name
    from pipeline.corpus.files import find_files
    from pipeline.corpus.opening import suffixes

    if reading.format:
        by_name(reading.format)
    here = []
    for name in corpus:
        if name.startswith(hub.PREFIX):
            if (folder := hub.local_folder(name)) and not folder.is_dir():
                raise InputError(f"{name} names no folder: there is no {folder}.")
        elif Path(name).exists() or not catalog.find(name):
            here.append(name)
    tables = (file for file in find_files(here) if suffixes(file[0])[0] in _TABLES)
    for path, source in itertools.islice(tables, 1):
        from pipeline.corpus.reading import read_file

        try:
            next(read_file(path, source, reading), None)
        except InputError:
            raise
        except (ValueError, OSError):
            return  # ingest reports what it skips


def check_lexicon(names: Sequence[str]) -> tuple[str, ...]:
    """Read the word lists that --lexicon names, before anything slow; return those names.

    Raises:
        InputError: one is no list of words.
    """
    from pipeline.text.word_lists import read_list

    given = tuple(filter(None, names))  # `mlflow run -P lexicon=` passes an empty one
    for file in _files_of(given):
        require_files(lexicon=file)
    for name in given:
        read_list(name)
    return given


def _files_of(lexicon: Sequence[str]) -> list[Path]:
    from pipeline.text.word_lists import WORDFREQ

    return [Path(name) for name in lexicon if name != WORDFREQ]


def check_never_suggest(file: Path | None) -> None:
    """Read the words of --never-suggest, before anything slow.

    Raises:
        InputError: it is no list of words.
    """
    from pipeline.text.never import read_lines

    require_files(never_suggest=file)
    if file:
        read_lines(file)


def mlflow_run(
    *, ignored: Collection[str] = (), **used: Any
) -> contextlib.AbstractContextManager[str]:
    """Start an MLflow run named after the command; log the options that it uses.

    Args:
        ignored: names of options that have no effect.
        used: values of options that were not given.
    """
    from pipeline.tracking.runs import start_run

    context = click.get_current_context()
    options = {**context.params, **used}
    left_out = {"force", *ignored}  # and options that others overrule
    if options.get("init"):
        left_out |= {"preset"} | OVERRULED["init"]
    else:
        left_out |= {"new_words", "retain"}
    if options.get("corpus") == ():  # of `train`: no vocabulary grows
        left_out |= {"new_words"}
    if options.get("engine") == "local":
        left_out |= {"spark_master"}
    if options.get("vocabulary"):
        left_out |= OVERRULED["vocabulary"]
    if "stride" in options:
        options["stride"] = options["stride"] or options["window"]
    if options.get("cell", "lstm") != "lstm":
        options["mogrifier"] = 0
    shown = {name: value for name, value in options.items() if name not in left_out}
    return start_run(
        str(context.info_name), {n: "" if value is None else value for n, value in shown.items()}
    )


def ingest_stage(
    output: Path,
    *,
    corpus: tuple[str, ...],
    valid: tuple[str, ...] = (),
    test: tuple[str, ...] = (),
    spark: str | None = None,
    force: bool = False,
    **options: Any,
) -> None:
    import_tensorflow()
    from pipeline.corpus import hub
    from pipeline.corpus.ingest import find_corpus, ingest
    from pipeline.tracking.runs import log_documents

    # `mlflow run -P valid=` passes an empty glob.
    globs = {"valid": tuple(filter(None, valid)), "test": tuple(filter(None, test))}
    stage = ingest
    if spark is not None:
        from pipeline.spark.ingest import ingest as ingest_on_spark

        stage, options["master"] = ingest_on_spark, spark
    run_or_skip(
        stage,
        reads=[hub.corpus_path(place.path) for place in find_corpus(corpus)],
        output=output,
        parameters={"corpus": corpus, **globs, **options},
        force=force,
    )
    click.echo(_documents_in_words(output))
    log_documents(output)


def _documents_in_words(folder: Path) -> str:
    import pandas as pd

    from pipeline.corpus.documents import read_parquet

    counts, train = Counter[str](), 0
    for frame in read_parquet(folder / "documents.parquet"):  # never the whole text
        counts.update(frame["split"])
        train += int(frame.loc[frame["split"] == "train", "text"].str.len().sum())
    passages = pd.read_csv(folder / "removed.csv", usecols=["paragraph"])["paragraph"]
    removed = pd.read_csv(folder / "files.csv", usecols=["removed"])["removed"].sum()
    splits = ", ".join(f"{split} {n:,}" for split, n in counts.most_common())
    return (
        f"{counts.total():,} documents ({splits}); left out: {passages.isna().sum():,} repeated "
        f"documents, {removed / (train + removed):.1%} of the training text ({passages.notna().sum():,} "
        "passages that stand again in valid or test)."
    )


def tokenize_stage(
    documents: Path,
    output: Path,
    *,
    config: VocabularyConfig,
    vocabulary: Path | None = None,
    init: Path | None = None,
    new_words: int = 0,
    spark: str | None = None,
    force: bool = False,
) -> None:
    import_tensorflow()
    from pipeline.tokens import tokenize
    from pipeline.tracking.runs import log_files

    stage: Callable[..., None] = tokenize.tokenize
    grown: dict[str, Any] = {"init": init, "new_words": new_words} if init else {}
    if spark is not None:
        from pipeline.spark import tokenize as on_spark

        if init:
            raise InputError("Spark grows no vocabulary: leave out --init, or --engine spark.")
        stage, grown = on_spark.tokenize, {"master": spark}
    known = [vocabulary] if vocabulary else []
    if init:
        known += [init / name for name in ("vocabulary.tsv", "tokenizer.json", "rare.tsv")]
    run_or_skip(
        stage,
        reads=[documents, *known],
        output=output,
        parameters={
            "documents": documents,
            "config": config,
            "vocabulary": vocabulary,
            **grown,
        },
        force=force,
    )
    if not init:  # words of a person's text stay in folders that the person can delete
        log_files(output, "vocabulary.tsv", "tokenizer.json")


def train_stage(
    tokens: Path,
    output: Path,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    force: bool,
    resume: bool,
    prefix: str = "",
    **fine_tuning: Any,
) -> None:
    """Train, and log to MLflow.

    Args:
        prefix: of the names of metrics in MLflow.
        fine_tuning: `init` and `retain` of `train`, or nothing.
    """
    from pipeline.manifest import is_current, partial_of
    from pipeline.tracking.runs import log_epoch, log_history, log_windows
    from pipeline.training import strategies
    from pipeline.training.train import train

    parameters = {"tokens": tokens, "model": model, "training": training, **fine_tuning}
    reads = [tokens, *filter(None, [fine_tuning.get("init")])]
    if not strategies.is_chief():
        if force or not is_current(train, reads=reads, output=output, parameters=parameters):
            train(output=partial_of(output.resolve()), **parameters)
        return
    ran = run_or_skip(
        train,
        reads=reads,
        output=output,
        parameters=parameters,
        force=force,
        resume=resume,
        on_epoch=functools.partial(log_epoch, prefix=prefix),
        on_windows=functools.partial(log_windows, prefix=prefix),
    )
    if not ran:
        log_history(output, prefix)


def print_new_words(training: Path, *, everything: bool = False) -> None:
    """Print the first new words as a table and how many more there are, or all rows as they are."""
    import rich
    from rich.markup import escape
    from rich.table import Table

    from pipeline.training.new_words import NEW_WORDS, load_new_words

    rows = load_new_words(training)
    if everything:
        for row in rows:
            click.echo("\t".join(map(str, row)))
        return
    title = f"{len(rows):,} new words" if len(rows) != 1 else "1 new word"
    table = Table("word", title=title, title_justify="left", box=None)
    table.columns[0].overflow = "fold"
    table.add_column("count", justify="right", no_wrap=True)
    for _, display, count in rows[:_SHOWN]:
        table.add_row(escape(display), f"{count:,}")
    rich.print(table if rows else "No new words.")
    if len(rows) > _SHOWN:
        click.echo(f"… and {len(rows) - _SHOWN:,} more in {training / NEW_WORDS}")


def evaluate_stage(
    training: Path,
    tokens: Path,
    output: Path,
    *,
    baselines: tuple[Path, ...],
    config: EvaluationConfig,
    force: bool,
) -> None:
    import_tensorflow()
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.evaluation.minimal_pairs import load_counts, print_counts
    from pipeline.evaluation.report.table import print_table
    from pipeline.evaluation.spelling import print_spelling
    from pipeline.tracking.runs import log_evaluation

    shown = (config.text, config.explanation, config.ablation, config.spelling, config.pairs)
    lists = _files_of(config.lexicon)
    run_or_skip(
        evaluate,
        reads=[training, tokens, *baselines, *filter(None, shown), *lists],
        output=output,
        parameters={
            "training": training,
            "tokens": tokens,
            "baselines": baselines,
            "config": config,
        },
        force=force,
    )
    print_table(output)
    if config.spelling:
        print_spelling(output)
    if config.pairs:
        print_counts(load_counts(output / "pairs.csv"))
    log_evaluation(output)


def export_stage(
    training: Path,
    tokens: Path,
    evaluation: Path,
    output: Path,
    *,
    config: ExportConfig,
    register: str | None,
    force: bool,
) -> None:
    import_tensorflow()
    from pipeline.export.export import export
    from pipeline.tracking.registry import log_model

    # What there is of an evaluation stands in the model card.
    measured = evaluation if (evaluation / "metrics.json").is_file() else None
    others = [*([tokens] if config.cache else []), *([measured] if measured else [])]
    run_or_skip(
        export,
        reads=[
            training,
            *others,
            *_files_of(config.lexicon),
            *filter(None, [config.never_suggest]),
        ],
        output=output,
        parameters={
            "training": training,
            "config": config,
            "tokens": tokens if config.cache else None,
            "evaluation": measured,
        },
        force=force,
    )
    uri, new = log_model(output, register=register)
    if new:
        click.echo(f"Logged as {uri}.")
    elif register:
        click.echo(f"Already version {uri.split('/')[-1]} of {register}.")
    else:
        click.echo(f"Already logged as {uri}.")


def format_stage(
    format: str,
    training: Path,
    output: Path,
    *,
    config: ExportConfig,
    size: AospConfig = AospConfig(),
    force: bool,
) -> None:
    """Export something else than a SavedModel: page, litert or aosp, which alone has a size."""
    import_tensorflow()
    function: Callable[..., None]
    parameters: dict[str, Any]
    if format == "page":
        from pipeline.page.build import export_page as function

        parameters = {"config": config}
    elif format == "litert":
        from pipeline.export.litert import export_litert as function

        parameters = {"lexicon": config.lexicon}
    else:
        from pipeline.export.aosp import export_aosp as function

        lists = {"lexicon": config.lexicon, "never_suggest": config.never_suggest}
        parameters = {"config": size, **lists}
    run_or_skip(
        function,
        reads=[training, *_files_of(config.lexicon), *filter(None, [config.never_suggest])],
        output=output,
        parameters={"training": training, **parameters},
        force=force,
    )


def explain_stage(
    tokens: Path,
    output: Path,
    *,
    models: tuple[Path, ...],
    config: ExplanationConfig,
    sweep: WindowSweepConfig = WindowSweepConfig(),
    force: bool,
) -> None:
    import_tensorflow()
    from pipeline.explain.explain import explain, print_explanation
    from pipeline.tracking.runs import log_files

    run_or_skip(
        explain,
        reads=[tokens, *models, *filter(None, [config.pairs])],
        output=output,
        parameters={"tokens": tokens, "models": models, "config": config, "sweep": sweep},
        force=force,
    )
    print_explanation(json.loads((output / "explanation.json").read_text(encoding="utf-8")))
    log_files(output, "explanation.json", "figures")
