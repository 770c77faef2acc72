"""Log options, data and metrics to an MLflow run."""

import contextlib
import hashlib
import json
import logging
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.data.meta_dataset import MetaDataset
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline import InputError, first_line
from pipeline.corpus.documents import read_parquet
from pipeline.evaluation.evaluated_model import load_metrics
from pipeline.training.history import load_history

# How `mlflow run` logs an empty parameter: values are quoted as for the shell.
_EMPTY = shlex.quote("")
# Replaced in the names of metrics. MLflow refuses most of these, ":" only on Windows.
_NOT_IN_NAMES = r"[^\w.\- ]"
_CONTEXTS = {"train": "training", "valid": "validation", "test": "testing"}
_LOG_LEVELS = {
    "alembic": logging.WARNING,  # some fifty lines of schema migrations for a new SQLite store
    "mlflow.system_metrics": logging.WARNING,
    "mlflow.store.db.utils": logging.CRITICAL,  # the traceback of errors that it raises as well
}


def quiet() -> None:
    """Keep what MLflow and its store tell of themselves off the terminal."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for logger, level in _LOG_LEVELS.items():
        logging.getLogger(logger).setLevel(level)


@contextlib.contextmanager
def start_run(
    name: str, parameters: Mapping[str, Any], *, run_id: str | None = None
) -> Iterator[str]:
    """Start an MLflow run, or continue the one that `mlflow run` has started, and yield its id.

    MLflow refuses to log another spelling of the same number, so a parameter that `mlflow run` has
    logged keeps its spelling. options.json holds the values that are used.

    Args:
        name: of a new run.
        parameters: name → value that is used.
        run_id: of a run to continue instead, if it still exists.

    Raises:
        InputError: MLflow cannot store the run, or `mlflow run` has logged as empty a parameter
            that is used.
    """
    quiet()
    given = "MLFLOW_RUN_ID" in os.environ
    new_name, run_id = (None, None) if given else (name, run_id)
    stage_error: Exception | None = None
    try:
        run_id = run_id and _existing(run_id)
        with mlflow.start_run(run_id, run_name=new_name, log_system_metrics=True) as active:
            logged = mlflow.get_run(active.info.run_id).data.params
            values = {
                key: " ".join(map(str, value)) if isinstance(value, (tuple, list)) else value
                for key, value in parameters.items()
            }
            for key, value in values.items():
                if logged.get(key) == _EMPTY and value != "":
                    raise InputError(
                        f"`mlflow run` has logged {key} as empty, but {value} is used: leave out "
                        f"-P {key}."
                    )
            mlflow.log_params({k: v for k, v in values.items() if k not in logged})
            mlflow.log_dict(json.loads(json.dumps(parameters, default=str)), "options.json")
            try:
                yield active.info.run_id
            except Exception as error:
                stage_error = error
                raise
    except (MlflowException, SQLAlchemyError) as error:
        # On a full disk MLflow cannot end the run either. Report what stopped the stage.
        if stage_error not in (None, error):
            raise stage_error from None
        raise InputError(
            f"MLflow cannot store the run at {mlflow.get_tracking_uri()} "
            f"({first_line(error)}): mend it, or name another MLFLOW_TRACKING_URI."
        ) from error


@contextlib.contextmanager
def start_trial(name: str, parameters: Mapping[str, Any], run_id: str | None) -> Iterator[str]:
    """Start a run nested under the active one, or continue one, and yield its id.

    Args:
        name: of a new run.
        parameters: name → value.
        run_id: of a run to continue, if it still exists.
    """
    existing = run_id and _existing(run_id)
    with mlflow.start_run(existing, run_name=name, nested=True) as active:
        mlflow.log_params({n: "" if value is None else value for n, value in parameters.items()})
        yield active.info.run_id


def _existing(run_id: str) -> str | None:
    """Return the id of a run unless it is of another store, or deleted."""
    try:
        stage = mlflow.get_run(run_id).info.lifecycle_stage
    except MlflowException:
        return None
    return run_id if stage == "active" else None


def log_documents(folder: Path) -> None:
    """Log each split of documents.parquet as a dataset, with source and digest."""
    path = folder / "documents.parquet"
    counts = dict.fromkeys(_CONTEXTS, 0)
    digests = {split: hashlib.sha256() for split in _CONTEXTS}
    for frame in read_parquet(path, ["doc_id", "split"]):  # never all ids of a large corpus
        for split in _CONTEXTS:
            ids = frame.loc[frame["split"] == split, "doc_id"]
            counts[split] += len(ids)
            digests[split].update("".join(f"{digest}\n" for digest in ids).encode())
    for split, context in _CONTEXTS.items():
        dataset = MetaDataset(  # type: ignore[abstract]
            LocalArtifactDatasetSource(str(path.resolve())),
            name=f"documents-{split}",
            digest=digests[split].hexdigest()[:32],
        )
        mlflow.log_input(dataset, context=context)
        mlflow.log_metric(f"{split}_documents", counts[split])


def log_files(folder: Path, *names: str) -> None:
    """Log files and subfolders of a folder as artifacts."""
    for name in names:
        mlflow.log_artifact(str(folder / name))


def log_epoch(row: Mapping[str, float], *, prefix: str = "") -> None:
    """Log a row of history.csv."""
    values = {prefix + key: value for key, value in row.items() if key != "epoch"}
    mlflow.log_metrics(values, step=int(row["epoch"]))


def log_windows(windows: int, metrics: Mapping[str, float], *, prefix: str = "") -> None:
    """Log metrics during an epoch, after a number of training windows."""
    values = {f"{prefix}windows_{key}": value for key, value in metrics.items()}
    mlflow.log_metrics(values, step=windows)


def log_history(folder: Path, prefix: str = "") -> None:
    """Log the epochs of a training that was skipped."""
    for row in load_history(folder):
        log_epoch(row, prefix=prefix)


def log_evaluation(folder: Path) -> None:
    """Log metrics.json as metrics `split_model_metric`, and all files of an evaluation.

    Raises:
        InputError: there is no evaluation in the folder, or it is damaged.
    """
    metrics = load_metrics(folder)
    mlflow.log_metrics(
        {
            re.sub(_NOT_IN_NAMES, "_", f"{split}_{model}_{metric}"): value
            for split, models in metrics.items()
            for model, values in models.items()
            for metric, value in values.items()
        }
    )
    tables = sorted(p.name for p in folder.iterdir() if p.suffix in (".json", ".csv", ".html"))
    log_files(folder, *tables, *(p.name for p in folder.glob("figures")))


def download_evaluation(run_id: str, folder: Path) -> Path:
    """Download which models the evaluation of a run has, and what `nextword compare` reads of it.

    Raises:
        InputError: there is no such run, or it has not evaluated a model.
    """
    quiet()
    try:
        for name in ("models.json", "documents.csv"):
            mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=name, dst_path=str(folder)
            )
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise InputError(
            f"{run_id} is neither a folder nor a run at {mlflow.get_tracking_uri()} that has "
            f"evaluated a model ({first_line(error)}): name a folder that `nextword evaluate` "
            "wrote, or a run id that `mlflow ui` shows."
        ) from error
    return folder
