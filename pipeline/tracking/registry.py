"""The SavedModel as a model of MLflow, that `mlflow models serve` can run."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from pipeline import InputError

_EXAMPLE = "O menino abriu a porta e"


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


def log_model(folder: Path, *, register: str | None = None) -> str:
    """Log a SavedModel, and register it if it is given a name.

    Args:
        folder: that `export` wrote.
        register: name in the registry, where the model becomes the next version.

    Returns:
        The URI of the model: models:/NAME/VERSION if it was registered.

    Raises:
        InputError: the registry cannot take the name.
    """
    from pipeline.tracking import served  # with TensorFlow

    if register is not None:
        check_name(register)
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in ("tensorflow", "pandas")]
    info = mlflow.pyfunc.log_model(
        name="nextword",
        loader_module=Path(served.__file__).stem,
        data_path=str(_newest(folder)),
        code_paths=[served.__file__],
        signature=_signature(served.DEFAULTS),
        input_example=pd.DataFrame({"text": [_EXAMPLE]}),
        pip_requirements=versions,
        registered_model_name=register,
    )
    if register is None:
        return str(info.model_uri)
    return f"models:/{register}/{info.registered_model_version}"


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
