"""The models in MLflow's registry: find one, download one, and make one the champion."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline import InputError, first_line
from pipeline.tracking import registry
from pipeline.tracking.runs import quiet

ALIAS = "champion"
# Tag of a version: the run that holds its evaluation.
_EVALUATION = "nextword_evaluation"
_ADDRESS = re.compile(r"models:/(?P<name>[^/]+?)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")
# Error codes for a version, and for an alias, that a model does not have.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class Version(NamedTuple):
    """A version of a registered model.

    Attributes:
        evaluation: id of the run that holds its evaluation, if `make_champion` was told.
    """

    name: str
    number: str
    evaluation: str | None

    @property
    def address(self) -> str:
        return f"models:/{self.name}/{self.number}"


def find_version(address: str) -> Version | None:
    """Return the version at models:/NAME/VERSION or models:/NAME@ALIAS; None if there is none."""
    place = _ADDRESS.fullmatch(address)
    if not place:
        return None
    name, number, alias = place.groups()
    with _registry() as client:
        try:
            found = (
                client.get_model_version(name, number)
                if number
                else client.get_model_version_by_alias(name, alias)
            )
        except MlflowException as error:
            if error.error_code in _ABSENT:
                return None
            raise
    return Version(name, str(found.version), found.tags.get(_EVALUATION))


def find_model(folder: Path, name: str) -> Version | None:
    """Return the version of a registered model that holds the SavedModel in a folder, if any."""
    with _registry():
        address = registry.find_registered(folder, name)
    return find_version(address) if address else None


def make_champion(version: Version, *, evaluation: str) -> None:
    """Move the alias `champion` to a version, and note the run that holds its evaluation."""
    with _registry() as client:
        client.set_model_version_tag(version.name, version.number, _EVALUATION, evaluation)
        client.set_registered_model_alias(version.name, ALIAS, version.number)


def download_model(address: str, folder: Path) -> Path:
    """Download a SavedModel that `export` has logged; nothing of it runs.

    Args:
        address: models:/NAME/VERSION, models:/NAME@ALIAS or models:/m-ID.
        folder: to download into.

    Returns:
        The folder of the SavedModel, in `folder`.

    Raises:
        InputError: there is no such model, or it is none of ours.
    """
    with _registry():
        try:
            mlflow.artifacts.download_artifacts(address, dst_path=str(folder))
        except (MlflowException, OSError) as error:
            raise InputError(
                f"{address} cannot be downloaded from {mlflow.get_registry_uri()} "
                f"({first_line(error)}): `mlflow ui` shows the models that are there."
            ) from error
    found = [path.parent for path in folder.rglob("saved_model.pb")]
    if len(found) != 1:
        raise InputError(
            f"{address} holds {len(found)} SavedModels: name a model that `nextword export` logged."
        )
    return found[0]


@contextlib.contextmanager
def _registry() -> Iterator[mlflow.MlflowClient]:
    quiet()
    try:
        yield mlflow.MlflowClient()
    except (MlflowException, SQLAlchemyError) as error:
        raise InputError(
            f"MLflow's registry at {mlflow.get_registry_uri()} cannot be used "
            f"({first_line(error)}): mend it, or name another MLFLOW_TRACKING_URI."
        ) from error
