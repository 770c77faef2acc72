"""Log the SavedModel as an MLflow model, which `mlflow models serve` can run."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema

from pipeline import InputError
from pipeline.manifest import digest

_EXAMPLE = "O menino abriu a porta e"
_REQUIRED = ("tensorflow", "pandas")
_TAG = "nextword_sha256"


def check_model_name(name: str) -> None:
    """Raise an InputError if MLflow's registry cannot take a name."""
    if not name.strip() or set("/:") & set(name) or name == "." or name.startswith(".."):
        raise InputError(
            f"MLflow cannot register a model as {name!r}: choose a name without / and : "
            "that does not begin with dots."
        )


def log_model(folder: Path, *, register: str | None = None) -> tuple[str, bool]:
    """Make a SavedModel an output of the active run, and register it if it is given a name.

    The same bytes are kept once: if the experiment has logged them before, the run's output is that
    model, and no second version is registered.

    Args:
        folder: that `export` wrote.
        register: name in the registry, which `check_model_name` accepts.

    Returns:
        The URI of the model, models:/NAME/VERSION if it is registered; and whether it is new.
    """
    from pipeline.tracking import served  # import TensorFlow

    saved_model, code, content = _model_in(folder)
    uri = _reuse_logged(content)
    new = uri is None
    if uri is None:
        uri = mlflow.pyfunc.log_model(
            name="nextword",
            loader_module=code[0].stem,
            data_path=str(saved_model),
            code_paths=[str(file) for file in code],
            signature=_signature(served.DEFAULTS),
            input_example=pd.DataFrame({"text": [_EXAMPLE]}),
            pip_requirements=[f"{n}=={importlib.metadata.version(n)}" for n in _REQUIRED],
            tags={_TAG: content},
        ).model_uri
    if register is None:
        return uri, new
    if registered := _registered(register, content):
        return registered, False
    version = mlflow.register_model(uri, register, tags={_TAG: content})
    return f"models:/{register}/{version.version}", True


def find_registered(folder: Path, name: str) -> str | None:
    """Return the models:/NAME/VERSION that holds the SavedModel in a folder, if one does."""
    return _registered(name, _model_in(folder)[-1])


def _model_in(folder: Path) -> tuple[Path, list[Path], str]:
    """Return the SavedModel in a folder, the code that serves it, and the digest of both.

    Raises:
        InputError: `export` has not written the folder.
    """
    from pipeline.export import verify
    from pipeline.tracking import served

    # The folder holds the same files twice; the version alone is the model.
    found = [path.parent for path in folder.glob("*/saved_model.pb")]
    if len(found) != 1:
        raise InputError(
            f"{folder} holds {len(found)} numbered models instead of one: name the folder that "
            "`nextword export` wrote."
        )
    # A model is its bytes and the code that serves them.
    code = [Path(served.__file__), Path(verify.__file__)]
    return found[0], code, digest(found) + digest([*code, Path(__file__)])


def _registered(name: str, content: str) -> str | None:
    for version in mlflow.MlflowClient().search_model_versions(f"tags.{_TAG} = '{content}'"):
        address = f"models:/{name}/{version.version}"
        if version.name == name and _has_files(address):
            return address
    return None


def _reuse_logged(content: str) -> str | None:
    """Make a model with this content an output of the active run, and return its URI, if any."""
    run = mlflow.active_run()
    assert run is not None
    for model in mlflow.search_logged_models(
        [run.info.experiment_id], f"tags.{_TAG} = '{content}'", output_format="list"
    ):
        # One that is not ready was being logged when its process died, or the disk was full.
        if model.status == LoggedModelStatus.READY and _has_files(model.model_uri):
            output = LoggedModelOutput(model.model_id, step=0)
            mlflow.MlflowClient().log_outputs(run.info.run_id, [output])
            return str(model.model_uri)
    return None


def _has_files(uri: str) -> bool:
    """Return whether nobody has deleted the files of a model."""
    try:
        mlflow.models.get_model_info(uri)
    except (MlflowException, OSError):
        return False
    return True


def _signature(defaults: Mapping[str, Any]) -> ModelSignature:
    """Return the columns and parameters of all signatures; each uses some of them."""
    inputs = dict.fromkeys(("text", "prefix", "word"), DataType.string)
    inputs["state"] = DataType.binary
    outputs: dict[str, DataType | Array] = {
        "words": Array(DataType.string),
        "probabilities": Array(DataType.double),
        "sure": DataType.boolean,
        "state": DataType.binary,
        "log_probability": DataType.double,
        "tokens": DataType.long,
        "text": DataType.string,
    }
    parameters = {
        "signature": DataType.string,
        "k": DataType.long,
        "length": DataType.long,
        "temperature": DataType.double,
        "top_p": DataType.double,
        "seed": DataType.long,
    }
    return ModelSignature(
        inputs=Schema([ColSpec(kind, n, required=n == "text") for n, kind in inputs.items()]),
        outputs=Schema([ColSpec(kind, n, required=False) for n, kind in outputs.items()]),
        params=ParamSchema([ParamSpec(n, kind, defaults[n]) for n, kind in parameters.items()]),
    )
