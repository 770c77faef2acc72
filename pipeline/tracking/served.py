"""What `mlflow.pyfunc` and `mlflow models serve` call.

MLflow keeps this file beside the SavedModel and imports it by its name alone, so it imports nothing
of pipeline. What a client does wrong is told in an MlflowException, which the server answers with
status 400 and its sentence; of any other exception it shows the traceback.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from mlflow.exceptions import MlflowException

# Parameters of a request; one that is no input of the signature that is asked means nothing to it.
DEFAULTS: dict[str, Any] = {
    "signature": "serving_default",
    "k": None,  # as many words as the model was exported with
    "length": 20,
    "temperature": 0.8,
    "top_p": 0.9,
    "seed": 0,
}
# Characters of one text: what is computed for every token of it is in memory at once.
LONGEST = 100_000
# Texts, and characters with their padding, that the model reads at once.
_ROWS = 256
_CHARACTERS = 2**16
# Of a state.
_NUMBERS = np.dtype("<f4")


class Served:
    """A SavedModel with the interface of a `python_function` model.

    Args:
        folder: of the SavedModel.
    """

    def __init__(self, folder: str):
        # Of a GPU only what is needed: several servers, and others, share it.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        self._model = tf.saved_model.load(folder)

    def predict(self, frame: Any, params: Mapping[str, Any] | None = None) -> Any:
        """What one signature answers.

        Args:
            frame: a DataFrame, or a row of lists, as which MLflow passes a dictionary of lists. All
                signatures read its column `text`, `complete` reads `prefix` besides, and `step`
                reads `state`, without which its texts begin: the S numbers of a row as bytes,
                little-endian float32, which MLflow writes as base64 in JSON.
            params: see `DEFAULTS`.

        Returns:
            A DataFrame with the outputs of the signature as columns, a row for each text. Where
            fewer than k words begin with a prefix, a row has fewer.

        Raises:
            MlflowException: the request cannot be answered, INVALID_PARAMETER_VALUE.
        """
        given = {key: value for key, value in (params or {}).items() if value is not None}
        choices = {**DEFAULTS, **given}
        name = choices["signature"]
        if name not in self._model.signatures:
            raise _refusal(
                f"This model has no signature {name!r}: ask {', '.join(self._model.signatures)}."
            )
        signature = self._model.signatures[name]
        specs = signature.structured_input_signature[1]
        texts = {key: spec for key, spec in specs.items() if spec.shape.rank}
        numbers = {
            key: _number(key, choices[key], spec) for key, spec in specs.items() if key not in texts
        }
        k = _shown(choices["k"], signature.structured_outputs)
        frame = _rows_of(frame)
        columns = _columns(frame, name, texts)
        answers = [
            _ask(signature, {**numbers, **{key: v[rows] for key, v in columns.items()}})
            for rows in _batches(columns["text"])
        ]
        rows = [row for answer in answers for row in _rows(answer, k)]
        # Words stand before their probabilities.
        outputs = sorted(signature.structured_outputs, reverse=True)
        return type(frame)(rows, index=frame.index, columns=outputs)


def _load_pyfunc(folder: str) -> Served:
    return Served(folder)


def _refusal(sentence: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(sentence)


def _number(name: str, value: Any, spec: tf.TensorSpec) -> tf.Tensor:
    if spec.dtype.is_integer and not spec.dtype.min <= value <= spec.dtype.max:
        raise _refusal(f"{name} is {value}: give one that fits into {spec.dtype.size * 8} bits.")
    return tf.constant(value, spec.dtype)


def _shown(k: int | None, outputs: Mapping[str, tf.TensorSpec]) -> int | None:
    """How many of the words are shown; None for all."""
    if k is None or "words" not in outputs:
        return None
    most = outputs["words"].shape[1]
    if not 1 <= k <= most:
        raise _refusal(
            f"k is {k}, but this model suggests 1 to {most} words: ask for so many, or export it "
            "with more --suggestions."
        )
    return k


def _rows_of(frame: Any) -> Any:
    """A DataFrame with a row for each text."""
    if len(frame) != 1 or not all(isinstance(value, list) for value in frame.iloc[0]):
        return frame
    try:
        return type(frame)({name: frame[name].iloc[0] for name in frame})
    except ValueError as error:
        raise _refusal("The columns differ in length: send each a value for every text.") from error


def _columns(frame: Any, signature: str, specs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    """The columns that a signature reads as arrays, (B,) of UTF-8 or (B, S) of numbers."""
    extra = [name for name in frame.columns if name not in specs]
    if extra:
        raise _refusal(
            f"Signature {signature!r} reads no column {extra[0]!r}: leave it out, or ask a "
            "signature that reads it."
        )
    columns = {}
    for name, spec in specs.items():
        if spec.dtype == tf.string:
            if name not in frame:
                raise _refusal(f"Signature {signature!r} reads a column {name!r}: add it.")
            columns[name] = _texts(name, frame[name])
        elif name in frame:
            columns[name] = _states(name, frame[name], spec.shape[1])
        else:
            columns[name] = np.zeros((len(frame), spec.shape[1]), spec.dtype.as_numpy_dtype)
    return columns


def _texts(name: str, values: Any) -> np.ndarray:
    encoded = []
    for row, value in enumerate(values):
        if not isinstance(value, str):
            # pandas reads NA, null, None and empty fields of CSV so, and MLflow lets it.
            lost = isinstance(value, float) and np.isnan(value)
            how = "JSON, for CSV loses an empty text, NA, null and None" if lost else "a string"
            raise _refusal(f"Row {row} of column {name!r} holds no text: send {how}.")
        if len(value) > LONGEST:
            raise _refusal(
                f"Row {row} of column {name!r} holds {len(value)} characters: send at most "
                f"{LONGEST}."
            )
        # Lone surrogates, which JSON can spell, are no UTF-8.
        encoded.append(value.encode("utf-8", errors="replace"))
    return np.array(encoded, object)


def _states(name: str, values: Any, size: int) -> np.ndarray:
    states = np.zeros((len(values), size), _NUMBERS)
    for row, value in enumerate(values):
        held = isinstance(value, bytes) and len(value) == states[row].nbytes
        if held:
            states[row] = np.frombuffer(value, _NUMBERS)
        if not (held and np.isfinite(states[row]).all()):
            raise _refusal(
                f"Row {row} of column {name!r} is no state of this model: send one that it "
                "answered, or leave the column out for texts that begin."
            )
    return states


def _batches(texts: np.ndarray) -> Iterator[slice]:
    """Stretches of the rows that are small enough to be read at once."""
    start, longest = 0, 0
    for row, text in enumerate(texts):
        longest = max(longest, len(text))
        count = row + 1 - start
        if count > 1 and (count > _ROWS or count * longest > _CHARACTERS):
            yield slice(start, row)
            start, longest = row, len(text)
    if len(texts):
        yield slice(start, len(texts))


def _ask(signature: Any, inputs: Mapping[str, Any]) -> Any:
    try:
        return signature(**{name: tf.constant(value) for name, value in inputs.items()})
    except tf.errors.InvalidArgumentError as error:
        # What the model itself refuses: a temperature below zero, a length beyond all reason.
        told = re.search(r"assertion failed: \[(.*?)\]", error.message)
        if not told:
            raise
        raise _refusal(told[1]) from error


def _rows(answer: Mapping[str, tf.Tensor], k: int | None) -> Iterator[dict[str, Any]]:
    """The rows of an answer, in what JSON has a form for."""
    arrays = {name: output.numpy() for name, output in answer.items()}
    for values in zip(*arrays.values(), strict=True):
        row = dict(zip(arrays, values, strict=True))
        if "words" in row:
            words = [word.decode() for word in row["words"][:k] if word]
            row["words"] = words
            row["probabilities"] = row["probabilities"][: len(words)].tolist()
        if "state" in row:
            row["state"] = row["state"].astype(_NUMBERS).tobytes()
        if "text" in row:
            row["text"] = row["text"].decode()
        yield row
