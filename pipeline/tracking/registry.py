"""The SavedModel as a model of MLflow, that `mlflow models serve` can run."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from pipeline import InputError
from pipeline.manifest import digest

_EXAMPLE = "O menino abriu a porta e"
_REQUIRED = ("tensorflow", "pandas")
_DIGEST = "nextword_sha256"  # name of a tag


def check_name(name: str) -> None:
    """Whether the registry of MLflow can take a name.

    Raises:
        InputError: it cannot.
    """
    if not name.strip() or set("/:") & set(name) or name == "." or name.startswith(".."):
        raise InputError(
            f"MLflow cannot register a model as {name!r}: give --register a name without / and : "
            "that does not begin with dots."
        )


def log_model(folder: Path, *, register: str | None = None) -> tuple[str, bool]:
    """Make a SavedModel an output of the run, and a version in the registry if it is given a name.

    The same bytes are kept once: a run whose `export` was skipped has for its output the model that
    an earlier run of the experiment has logged, and what is a version of a name already becomes no
    other one.

    Args:
        folder: that `export` wrote.
        register: name in the registry.

    Returns:
        The URI of the model, models:/NAME/VERSION if it is registered; and whether that is new.

    Raises:
        InputError: the registry cannot take the name.
    """
    from pipeline.tracking import served  # with TensorFlow

    if register is not None:
        check_name(register)
    saved, served_by = _newest(folder), Path(served.__file__)
    # A version is these bytes, with the code that serves them.
    tags = {_DIGEST: digest([saved]) + digest([served_by, Path(__file__)])}
    uri = _logged_before(tags[_DIGEST])
    new = uri is None
    if uri is None:
        uri = mlflow.pyfunc.log_model(
            name="nextword",
            loader_module=served_by.stem,
            data_path=str(saved),
            code_paths=[str(served_by)],
            signature=_signature(served.DEFAULTS),
            input_example=pd.DataFrame({"text": [_EXAMPLE]}),
            pip_requirements=[f"{n}=={importlib.metadata.version(n)}" for n in _REQUIRED],
            tags=tags,
        ).model_uri
    if register is None:
        return uri, new
    found = mlflow.MlflowClient().search_model_versions(f"tags.{_DIGEST} = '{tags[_DIGEST]}'")
    for version in found:
        registered = f"models:/{register}/{version.version}"
        if version.name == register and _is_kept(registered):
            return registered, False
    version = mlflow.register_model(uri, register, tags=tags)
    return f"models:/{register}/{version.version}", True


def _logged_before(content: str) -> str | None:
    """The URI of a model that the experiment has of some content; it becomes the run's output."""
    run = mlflow.active_run()
    assert run is not None
    for model in mlflow.search_logged_models(
        [run.info.experiment_id], f"tags.{_DIGEST} = '{content}'", output_format="list"
    ):
        if _is_kept(model.model_uri):
            output = LoggedModelOutput(model.model_id, step=0)
            mlflow.MlflowClient().log_outputs(run.info.run_id, [output])
            return str(model.model_uri)
    return None


def _is_kept(uri: str) -> bool:
    """Whether the files of a model are still there."""
    try:
        mlflow.models.get_model_info(uri)
    except (MlflowException, OSError):
        return False
    return True


def _newest(folder: Path) -> Path:
    """The SavedModel of a folder: of the versions that lie in it the last, or the folder itself."""
    versions = [path.parent for path in folder.glob("*/saved_model.pb")]
    numbered = [path for path in versions if path.name.isdecimal()]
    return max(numbered, key=lambda path: int(path.name), default=folder)


def _signature(defaults: Mapping[str, Any]) -> ModelSignature:
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "text"),
        ColSpec(DataType.string, "prefix", required=False),
        ColSpec(DataType.binary, "state", required=False),
    ]
    # Each signature of the SavedModel answers with some of these.
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(Array(DataType.string), "words", required=False),
        ColSpec(Array(DataType.double), "probabilities", required=False),
        ColSpec(DataType.binary, "state", required=False),
        ColSpec(DataType.double, "log_probability", required=False),
        ColSpec(DataType.long, "tokens", required=False),
        ColSpec(DataType.string, "text", required=False),
    ]
    types = {
        "signature": DataType.string,
        "k": DataType.long,
        "length": DataType.long,
        "temperature": DataType.double,
        "top_p": DataType.double,
        "seed": DataType.long,
    }
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema(outputs),
        params=ParamSchema([ParamSpec(name, types[name], defaults[name]) for name in defaults]),
    )
