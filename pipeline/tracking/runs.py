"""What a run leaves in MLflow: its options, its data, its figures."""

import contextlib
import hashlib
import json
import logging
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.data.meta_dataset import MetaDataset
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline import InputError

# What `mlflow run` logs of an empty parameter: values are quoted as for the shell.
_NOTHING = shlex.quote("")
_CONTEXTS = {"train": "training", "valid": "validation", "test": "testing"}


@contextlib.contextmanager
def run(name: str, parameters: Mapping[str, Any]) -> Iterator[None]:
    """One MLflow run; the one that `mlflow run` has opened, if it has.

    A parameter that `mlflow run` has logged already keeps its value as typed there: MLflow
    refuses another spelling of the same number. What all of them came to stands in options.json.

    Args:
        name: of the run.
        parameters: name → the value that is used.

    Raises:
        InputError: what is logged cannot be kept, or `mlflow run` has logged nothing in the place
            of a value that is used.
    """
    # Creating the SQLite store logs some fifty lines of schema migrations.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
    # What the store cannot keep it logs with its traceback, and raises as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    name_of_new = None if "MLFLOW_RUN_ID" in os.environ else name
    stopped: Exception | None = None
    try:
        with mlflow.start_run(run_name=name_of_new, log_system_metrics=True) as active:
            logged = mlflow.get_run(active.info.run_id).data.params
            values = {key: _plain(value) for key, value in parameters.items()}
            for key, value in values.items():
                if logged.get(key) == _NOTHING and value != "":
                    raise InputError(
                        f"`mlflow run` has logged {key} as empty, but {value} is used: leave out "
                        f"-P {key}."
                    )
            mlflow.log_params({k: v for k, v in values.items() if k not in logged})
            mlflow.log_dict(json.loads(json.dumps(parameters, default=str)), "options.json")
            try:
                yield
            except Exception as error:
                stopped = error
                raise
    except (MlflowException, SQLAlchemyError) as error:
        # A disk that is full takes no end of the run either: what stopped the stage is told.
        if stopped not in (None, error):
            raise stopped from None
        raise InputError(
            f"MLflow cannot keep the run at {mlflow.get_tracking_uri()} "
            f"({str(error).splitlines()[0]}): see to it, or name another MLFLOW_TRACKING_URI."
        ) from error


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else value


def log_documents(folder: Path) -> None:
    """The three splits of documents.parquet as datasets, with source and digest."""
    path = folder / "documents.parquet"
    documents = pd.read_parquet(path, columns=["doc_id", "split"])
    for split, context in _CONTEXTS.items():
        ids = documents.loc[documents["split"] == split, "doc_id"]
        dataset = MetaDataset(  # type: ignore[abstract]
            LocalArtifactDatasetSource(str(path.resolve())),
            name=f"documents-{split}",
            digest=hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32],
        )
        mlflow.log_input(dataset, context=context)
        mlflow.log_metric(f"{split}_documents", len(ids))


def log_vocabulary(folder: Path) -> None:
    """vocabulary.tsv, and beside it how its tokens are made."""
    for name in ("vocabulary.tsv", "tokenizer.json"):
        mlflow.log_artifact(str(folder / name))


def epoch_logger(prefix: str = "") -> Callable[[Mapping[str, float]], None]:
    """A function that logs one row of history.csv while training goes on."""

    def log(row: Mapping[str, float]) -> None:
        values = {prefix + key: value for key, value in row.items() if key != "epoch"}
        mlflow.log_metrics(values, step=int(row["epoch"]))

    return log


def windows_logger(prefix: str = "") -> Callable[[int, Mapping[str, float]], None]:
    """A function that logs how an epoch goes; the step is the number of windows learned from."""

    def log(number: int, figures: Mapping[str, float]) -> None:
        mlflow.log_metrics(
            {f"{prefix}windows_{key}": value for key, value in figures.items()}, step=number
        )

    return log


def log_history(folder: Path, prefix: str = "") -> None:
    """The rows of a training that was not run again."""
    log = epoch_logger(prefix)
    for row in pd.read_csv(folder / "history.csv").to_dict("records"):
        log({str(key): value for key, value in row.items()})


def log_evaluation(folder: Path, metrics: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """metrics.json as metrics `split_model_metric`; tables, figures and report as files."""
    mlflow.log_metrics(
        {
            f"{split}_{model}_{metric}".replace("/", "_"): value
            for split, models in metrics.items()
            for model, values in models.items()
            for metric, value in values.items()
        }
    )
    for path in sorted(folder.glob("*.*")):
        if path.suffix in (".json", ".csv", ".html"):
            mlflow.log_artifact(str(path))
    mlflow.log_artifacts(str(folder / "figures"), "figures")


def log_explanation(folder: Path) -> None:
    """explanation.json and its figures."""
    mlflow.log_artifact(str(folder / "explanation.json"))
    mlflow.log_artifacts(str(folder / "figures"), "figures")


def download_evaluation(run_id: str, folder: Path) -> Path:
    """What `log_evaluation` left in a run, in a folder.

    Raises:
        InputError: there is no such run, or it has evaluated nothing.
    """
    try:
        mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path="documents.csv", dst_path=str(folder)
        )
    except (MlflowException, OSError) as error:
        raise InputError(
            f"{run_id} is neither a folder nor an MLflow run that has evaluated a model: name a "
            "folder that `nextword evaluate` wrote, or a run id that `mlflow ui` shows."
        ) from error
    return folder
