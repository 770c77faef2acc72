"""The model that `mlflow.pyfunc` and `mlflow models serve` call.

MLflow copies this file and export/verify.py beside the SavedModel and imports them by their names
alone, so they import nothing of pipeline. Errors of a client are MlflowExceptions, which the server
answers with status 400 and a sentence; for any other exception it shows the traceback.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from mlflow.exceptions import MlflowException

# Parameters of a request. Those that the requested signature does not take are ignored.
DEFAULTS: dict[str, Any] = {
    "signature": "serving_default",
    "k": None,  # as many words as the model was exported with
    "length": 20,
    "temperature": 0.8,
    "top_p": 0.9,
    "seed": 0,
}
# Characters of one text. Memory holds the activations of all its tokens at once.
MAX_CHARACTERS = 100_000
# Texts, and characters including padding, of one batch.
_BATCH_ROWS = 256
_BATCH_CHARACTERS = 2**16
_STATE = np.dtype("<f4")


class Served:
    """The SavedModel in a folder, with the interface of a `python_function` model."""

    def __init__(self, folder: str):
        # Several servers can share a GPU if none takes all of its memory.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        from verify import verify  # as MLflow finds it

        verify(folder)
        self._model = tf.saved_model.load(folder)

    def predict(self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Call one signature.

        Args:
            frame: a row for each text, or one row of lists, which MLflow makes of a dictionary of
                lists. A `state` is bytes, little-endian float32.
            params: see `DEFAULTS`.

        Returns:
            The outputs as columns, a row for each text; see docs/serving.md.

        Raises:
            MlflowException: the request is invalid.
        """
        choices = DEFAULTS | {k: v for k, v in (params or {}).items() if v is not None}
        name = choices["signature"]
        if name not in self._model.signatures:
            raise _error(
                f"This model has no signature {name!r}: ask {', '.join(self._model.signatures)}."
            )
        signature = self._model.signatures[name]
        specs = signature.structured_input_signature[1]
        of_rows = {key: spec for key, spec in specs.items() if spec.shape.rank}
        others = {key: spec for key, spec in specs.items() if not spec.shape.rank}
        scalars = {key: _scalar(key, choices[key], spec) for key, spec in others.items()}
        k = _check_k(choices["k"], signature.structured_outputs)
        frame = _explode(frame)
        columns = _columns(frame, name, of_rows)
        rows: list[dict[str, Any]] = []
        for batch in _batches(columns["text"]):
            inputs = {key: tf.constant(column[batch]) for key, column in columns.items()}
            rows += _rows(_call(signature, **inputs, **scalars), k)
        outputs = sorted(signature.structured_outputs, reverse=True)  # words, then probabilities
        return pd.DataFrame(rows, index=frame.index, columns=outputs)


_load_pyfunc = Served  # what MLflow calls


def _error(sentence: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(sentence)


def _scalar(name: str, value: Any, spec: tf.TensorSpec) -> tf.Tensor:
    if spec.dtype.is_integer and not spec.dtype.min <= value <= spec.dtype.max:
        raise _error(f"{name} is {value}: give one that fits into {spec.dtype.size * 8} bits.")
    return tf.constant(value, spec.dtype)


def _check_k(k: int | None, outputs: Mapping[str, tf.TensorSpec]) -> int | None:
    most = outputs["words"].shape[1] if "words" in outputs else None
    if most and k is not None and not 1 <= k <= most:
        raise _error(
            f"k is {k}, but this model suggests 1 to {most} words: ask for so many, or export it "
            "with more --suggestions."
        )
    return k


def _explode(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn a row of lists into a row for each text."""
    if len(frame) != 1 or not all(isinstance(value, list) for value in frame.iloc[0]):
        return frame
    try:
        return pd.DataFrame(frame.iloc[0].to_dict())
    except ValueError as error:
        raise _error("The columns differ in length: send each a value for every text.") from error


def _columns(
    frame: pd.DataFrame, signature: str, specs: Mapping[str, tf.TensorSpec]
) -> dict[str, np.ndarray]:
    """Return the columns that a signature reads: UTF-8 (B,) or numbers (B, S)."""
    for name in frame:
        if name not in specs:
            raise _error(
                f"Signature {signature!r} reads no column {name!r}: leave it out, or ask a "
                "signature that reads it."
            )
    columns = {}
    for name, spec in specs.items():
        if spec.dtype == tf.string:
            if name not in frame:
                raise _error(f"Signature {signature!r} reads a column {name!r}: add it.")
            columns[name] = _texts(name, frame[name])
        elif name in frame:
            columns[name] = _states(name, frame[name], spec.shape[1])
        else:
            columns[name] = np.zeros((len(frame), spec.shape[1]), _STATE)
    return columns


def _texts(name: str, values: pd.Series) -> np.ndarray:
    for row, value in enumerate(values):
        if not isinstance(value, str):
            # pandas reads NA, null, None and empty fields of CSV as NaN.
            lost = isinstance(value, float) and np.isnan(value)
            how = "JSON, for CSV loses an empty text, NA, null and None" if lost else "a string"
            raise _error(f"Row {row} of column {name!r} holds no text: send {how}.")
        if len(value) > MAX_CHARACTERS:
            raise _error(
                f"Row {row} of column {name!r} holds {len(value)} characters: send at most "
                f"{MAX_CHARACTERS}."
            )
    # JSON can spell lone surrogates, which are not valid UTF-8.
    return np.array([value.encode("utf-8", errors="replace") for value in values], object)


def _states(name: str, values: pd.Series, size: int) -> np.ndarray:
    states = np.zeros((len(values), size), _STATE)
    for row, value in enumerate(values):
        valid = isinstance(value, bytes) and len(value) == states[row].nbytes
        if valid:
            states[row] = np.frombuffer(value, _STATE)
        if not (valid and np.isfinite(states[row]).all()):
            raise _error(
                f"Row {row} of column {name!r} is no state of this model: send one that it "
                "answered, or leave the column out for texts that begin."
            )
    return states


def _batches(texts: np.ndarray) -> Iterator[slice]:
    """Cut the rows into batches that fit into memory."""
    start, longest = 0, 0
    for row, text in enumerate(texts):
        longest = max(longest, len(text))
        count = row + 1 - start
        if count > 1 and (count > _BATCH_ROWS or count * longest > _BATCH_CHARACTERS):
            yield slice(start, row)
            start, longest = row, len(text)
    if len(texts):
        yield slice(start, len(texts))


def _call(signature: Any, **inputs: tf.Tensor) -> dict[str, np.ndarray]:
    try:
        return {name: output.numpy() for name, output in signature(**inputs).items()}
    except tf.errors.InvalidArgumentError as error:
        # A range that the model checks, such as that of the temperature.
        assertion = re.search(r"assertion failed: \[(.*?)\]", error.message)
        if not assertion:
            raise
        raise _error(assertion[1]) from error


def _rows(outputs: Mapping[str, np.ndarray], k: int | None) -> Iterator[dict[str, Any]]:
    """Return the rows of an answer as values that JSON can hold."""
    for values in zip(*outputs.values(), strict=True):
        row = dict(zip(outputs, values, strict=True))
        if "words" in row:
            row["words"] = [word.decode() for word in row["words"][:k] if word]
            row["probabilities"] = row["probabilities"][: len(row["words"])].tolist()
        if "state" in row:
            row["state"] = row["state"].astype(_STATE).tobytes()
        if "text" in row:
            row["text"] = row["text"].decode()
        yield row
