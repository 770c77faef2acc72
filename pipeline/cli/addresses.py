"""What a command is given by address: a folder, or what MLflow keeps."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline import InputError
from pipeline.cli.stages import require

_OF_MLFLOW = "models:/"


def in_mlflow(model: str) -> bool:
    """Return whether a model is named by its address in MLflow."""
    return model.startswith(_OF_MLFLOW)


@contextlib.contextmanager
def saved_model(model: str) -> Iterator[Path]:
    """Yield the folder of a SavedModel: the one named, or a copy of what MLflow has at models:/….

    Nothing of it runs. A copy is deleted in the end; errors name the address instead.
    """
    if not in_mlflow(model):
        require("export", Path(model))
        yield Path(model)
        return
    from pipeline.tracking.champion import download_model

    with tempfile.TemporaryDirectory() as temporary:
        folder = download_model(model, Path(temporary))
        with _named(folder, model):
            yield folder


@contextlib.contextmanager
def evaluation(name: str, *, shown: str = "") -> Iterator[Path]:
    """Yield the folder of an evaluation: that folder, or what an MLflow run has kept of it.

    Args:
        name: folder, or id of a run.
        shown: what errors name instead of the run.
    """
    if Path(name).is_dir():
        yield Path(name)
        return
    from pipeline.tracking.runs import download_evaluation

    with tempfile.TemporaryDirectory() as temporary:
        folder = download_evaluation(name, Path(temporary))
        with _named(folder, shown or name):
            yield folder


@contextlib.contextmanager
def _named(folder: Path, name: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(folder), name)) from error
