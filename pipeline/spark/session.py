"""A Spark session, and what both stages share."""

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

# Rows that the driver fetches at once.
_ROWS = 10_000

_CONFIG = {
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Bound a frame by the size of its text, like `read`, and not by its number of documents.
    "spark.sql.execution.arrow.maxBytesPerBatch": str(2**23),
    # The driver collects held-out 13-grams and unique tokens, as one machine does.
    "spark.driver.maxResultSize": "0",
}


@contextlib.contextmanager
def session(master: str, stage: str) -> Iterator[SparkSession]:
    """Open a Spark session; an InputError of a worker is raised as one here.

    Args:
        master: address of the Spark master; "" for the active session, or the configured one.
        stage: name of the stage, for the application's name.

    Raises:
        InputError: Spark does not start.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # The tests run with pandas 3; and errors are raised anyway.
    for message in ("PySpark does not yet fully support pandas", "toPandas attempted Arrow"):
        warnings.filterwarnings("ignore", message)
    builder = SparkSession.builder.appName(f"nextword {stage}")
    for name, value in _CONFIG.items():
        builder = builder.config(name, value)
    with tempfile.TemporaryFile() as log:
        try:
            with _silence(log.fileno()):
                spark = (builder.master(master) if master else builder).getOrCreate()
        except Exception as error:  # Java's
            log.seek(0)
            raise _not_started(f"{error}\n{log.read().decode(errors='replace')}") from error
    try:
        yield spark
    except Exception as error:
        if match := re.search(r"^pipeline\.InputError: (.+)$", str(error), re.MULTILINE):
            raise InputError(match[1]) from error
        raise
    finally:
        if master:
            spark.stop()


def _not_started(output: str) -> InputError:
    home = os.environ.get("JAVA_HOME")
    if not shutil.which("java", path=home and f"{home}/bin"):
        return InputError("Spark needs Java 17: install it, or set JAVA_HOME to it.")
    reason = re.search(r'^(?:: |Exception in thread "main" )(.+)$', output, re.MULTILINE)
    return InputError(
        f"Spark does not start ({reason[1] if reason else output.splitlines()[0]}): name a "
        "--spark-master that runs, such as local[*] or spark://host:7077."
    )


@contextlib.contextmanager
def _silence(target: int) -> Iterator[None]:
    """Redirect standard error, that of subprocesses included.

    Java greets, and Spark warns before its log level can be set; errors are raised anyway.
    """
    terminal = os.dup(2)
    os.dup2(target, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@contextlib.contextmanager
def watch(spark: SparkSession) -> Iterator[Callable[[str], None]]:
    """Show the progress of active tasks; yield a function that names the current step."""
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


def map_frames(
    table: DataFrame, function: Callable[..., Any], columns: Mapping[str, str]
) -> DataFrame:
    """Map the frames of a table to frames with the given columns and types."""
    types = {"int64": "long", "str": "string", "bytes": "binary"}
    schema = ", ".join(f"{name} {types[kind]}" for name, kind in columns.items())
    return table.mapInPandas(function, schema)


def in_order(table: DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table in order, a few at a time."""
    rows = table.toLocalIterator()
    while some := list(itertools.islice(rows, _ROWS)):
        yield pd.DataFrame(some, columns=table.columns)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a local path, and move the file to `path` when it is complete.

    It is copied to a hidden name beside `path` and renamed, so a task that dies leaves nothing
    readable and one that runs twice does no harm. The mount of an object store, which cannot seek,
    is written from beginning to end.
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
    """Remove incomplete files of killed workers."""
    for partial in folder.glob(".*.partial"):
        partial.unlink()


def one_thread() -> None:
    """Limit TensorFlow, imported next, to one core, since Spark runs a worker on each."""
    for name in ("INTRAOP", "INTEROP"):
        os.environ.setdefault(f"TF_NUM_{name}_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # strings are processed on the CPU
