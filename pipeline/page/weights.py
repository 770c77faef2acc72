"""A model's weights for the page: matrices in int8, with a scale for each row."""

import gzip
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pipeline.model.language_model import LanguageModel

Arrays = dict[str, np.ndarray]


class Rounded(NamedTuple):
    """A matrix as values · scale: int8 (R, C) and float32 (R,)."""

    values: np.ndarray
    scales: np.ndarray


def round_rows(matrix: np.ndarray) -> Rounded:
    """Round each row of a float32 matrix (R, C) to 255 levels."""
    scales = np.abs(matrix).max(axis=1) / np.float32(127)
    values = np.round(matrix / np.maximum(scales, np.finfo(np.float32).tiny)[:, None])
    return Rounded(values.astype(np.int8), scales.astype(np.float32))


def weights_of(model: LanguageModel) -> Arrays:
    """Return the weights by the names that network.js knows them by, float32.

    Matrices are (outputs, inputs), so a row makes one output: the transpose of Keras's. Layer i has
    layer.i.kernel, .recurrent and .bias, and a Mogrifier .gate.1, .gate.2, … besides; the dense
    layers after the last are readout.i.kernel and .bias.
    """
    arrays: Arrays = {"embedding": model.embed.embeddings.numpy()}
    for i, layer in enumerate(model.recurrent):
        names = ["kernel", "recurrent", "bias"]
        names += [f"gate.{number}" for number in range(1, len(layer.cell.weights) - 2)]
        # A feedforward layer has no weights.
        for name, weight in zip(names, layer.cell.weights, strict=bool(layer.cell.weights)):
            arrays[f"layer.{i}.{name}"] = _transposed(name, weight.numpy())
    dense = [layer for layer in model.readout if layer.weights]
    for i, layer in enumerate(dense):
        for name, weight in zip(("kernel", "bias"), layer.weights, strict=True):
            arrays[f"readout.{i}.{name}"] = _transposed(name, weight.numpy())
    if model.output_weights is not None:
        arrays["output"] = model.output_weights.numpy()
    arrays["output_bias"] = model.output_bias.numpy()
    return arrays


def _transposed(name: str, weight: np.ndarray) -> np.ndarray:
    return weight if name == "bias" else weight.T


def rounded(weights: Mapping[str, np.ndarray]) -> Arrays:
    """Round every matrix of weights; `name`.scale are the scales of `name`. Biases stay float32."""
    arrays: Arrays = {}
    for name, weight in weights.items():
        arrays[name] = weight
        if not name.endswith("bias"):
            arrays[name], arrays[f"{name}.scale"] = round_rows(weight)
    return arrays


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Pack a header and arrays into gzip; model.js reads them.

    Before compression there are the length of the header, uint32; the header, JSON in UTF-8, padded
    with spaces; and the arrays one after the other, each at a multiple of 4 from the end of the
    header. Numbers are little-endian. `header["arrays"]` will hold their types, shapes and offsets.
    """
    places, parts, offset = {}, [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        places[name] = {"dtype": array.dtype.name, "shape": array.shape, "offset": offset}
        parts.append(data + b"\0" * (-len(data) % 4))
        offset += len(parts[-1])
    described = json.dumps({**header, "arrays": places}, ensure_ascii=False, separators=(",", ":"))
    text = described.encode()
    text += b" " * (-len(text) % 4)
    # Without the time, the same model is the same file.
    return gzip.compress(b"".join([len(text).to_bytes(4, "little"), text, *parts]), mtime=0)
