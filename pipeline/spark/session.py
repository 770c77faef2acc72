"""A Spark session, and what both stages do with it."""

import contextlib
import itertools
import os
import re
import shutil
import sys
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import rich.progress
from pyspark.sql import DataFrame, SparkSession

from pipeline import InputError

# Rows of a table that the driver looks at, one after the other, at once.
_ROWS = 10_000

_CONFIG = {
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A frame holds as much text as one of `read` at most, not so many documents of any length.
    "spark.sql.execution.arrow.maxBytesPerBatch": str(2**23),
    # Held-out 13-grams and different tokens are gathered, as on one machine.
    "spark.driver.maxResultSize": "0",
}


@contextlib.contextmanager
def session(master: str, stage: str) -> Iterator[SparkSession]:
    """A Spark session; what a worker raises as InputError is raised here as such.

    Args:
        master: where it runs; "" for the session, or the configuration, that is there already.
        stage: what it is for.

    Raises:
        InputError: it cannot be had.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # pandas 3 is what the tests run with; and what ends a stage is raised.
    for said in ("PySpark does not yet fully support pandas", "toPandas attempted Arrow"):
        warnings.filterwarnings("ignore", said)
    builder = SparkSession.builder.appName(f"nextword {stage}")
    for name, value in _CONFIG.items():
        builder = builder.config(name, value)
    with tempfile.TemporaryFile() as log:
        try:
            with _silence(log.fileno()):
                spark = (builder.master(master) if master else builder).getOrCreate()
        except Exception as error:  # whatever Java throws
            log.seek(0)
            raise _not_started(f"{error}\n{log.read().decode(errors='replace')}") from error
    try:
        yield spark
    except Exception as error:
        if told := re.search(r"^pipeline\.InputError: (.+)$", str(error), re.MULTILINE):
            raise InputError(told[1]) from error
        raise
    finally:
        if master:
            spark.stop()


def _not_started(told: str) -> InputError:
    home = os.environ.get("JAVA_HOME")
    if not shutil.which("java", path=home and f"{home}/bin"):
        return InputError("Spark needs Java 17: install it, or set JAVA_HOME to it.")
    reason = re.search(r'^(?:: |Exception in thread "main" )(.+)$', told, re.MULTILINE)
    return InputError(
        f"Spark does not start ({reason[1] if reason else told.splitlines()[0]}): name a "
        "--spark-master that runs, such as local[*] or spark://host:7077."
    )


@contextlib.contextmanager
def _silence(elsewhere: int) -> Iterator[None]:
    """Send what is written to the terminal's standard error elsewhere, that of programs too.

    Java greets, and Spark warns before its log level can be set; what goes wrong is raised.
    """
    terminal = os.dup(2)
    os.dup2(elsewhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@contextlib.contextmanager
def watch(spark: SparkSession) -> Iterator[Callable[[str], None]]:
    """Show how many tasks are done of those at work; yields a function that names the step."""
    tracker, done = spark.sparkContext.statusTracker(), threading.Event()
    columns = ("{task.description}", "{task.completed} of {task.total} tasks")
    text = map(rich.progress.TextColumn, columns)
    with rich.progress.Progress(
        rich.progress.SpinnerColumn(), *text, rich.progress.TimeElapsedColumn()
    ) as progress:
        bar = progress.add_task("", total=0)

        def follow() -> None:
            while not done.wait(0.5):
                stages = filter(None, map(tracker.getStageInfo, tracker.getActiveStageIds()))
                tasks = [(stage.numCompletedTasks, stage.numTasks) for stage in stages]
                if tasks:
                    completed, total = map(sum, zip(*tasks, strict=True))
                    progress.update(bar, completed=completed, total=total)

        follower = threading.Thread(target=follow)
        follower.start()
        try:
            yield lambda step: progress.update(bar, description=step)
        finally:
            done.set()
            follower.join()
        progress.update(bar, completed=progress.tasks[bar].total)


def _schema(columns: Mapping[str, str]) -> str:
    kinds = {"int64": "long", "str": "string", "bytes": "binary"}
    return ", ".join(f"{name} {kinds[kind]}" for name, kind in columns.items())


def map_frames(
    table: DataFrame, function: Callable[..., Any], columns: Mapping[str, str]
) -> DataFrame:
    return table.mapInPandas(function, _schema(columns))


def in_order(table: DataFrame) -> Iterator[pd.DataFrame]:
    """The rows of a table in its order, a few at a time."""
    rows = table.toLocalIterator()
    while some := list(itertools.islice(rows, _ROWS)):
        yield pd.DataFrame(some, columns=table.columns)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A file on this machine, which goes to `path` when all has gone well.

    It is copied beside its place under a hidden name, then renamed: a task that dies leaves
    nothing that could be read, one that runs twice does no harm, and the mount of an object store,
    which takes no writing back and forth, gets a file from its beginning to its end.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, path.name)
        try:
            shutil.copyfile(Path(folder, path.name), partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what workers that were killed have left."""
    for left in folder.glob(".*.partial"):
        left.unlink()


def one_thread() -> None:
    """Let TensorFlow, which is imported next, have one core: Spark runs a worker on each."""
    for name in ("INTRAOP", "INTEROP"):
        os.environ.setdefault(f"TF_NUM_{name}_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # strings are cut on the CPU
