"""The model for a phone: one step of it, in the format of LiteRT (TensorFlow Lite until 2024).

An application cuts the text into tokens, looks their ids up in vocabulary.tsv, and gives the model
one after the other, with the state that it answered before; zeros stand for a text that has not
begun, and `<s>` is read before the first word. There is no loop in it, and no operation that is not
LiteRT's own.

    from ai_edge_litert.interpreter import Interpreter

    step = Interpreter("model_int8.tflite").get_signature_runner("step")
    state = {name: zeros of the shape in tensors.json}
    for token in ids:  # int32, shape (1,)
        state = step(token=token, **state)
        probabilities = state.pop("probabilities")  # (1, V), of every id, float32
"""

import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from pipeline.model.language_model import LanguageModel, load_model
from pipeline.text.vocabulary import Vocabulary

# What the weights are stored in. With int8 each row of a matrix has its own scale, and what it is
# multiplied with is rounded to int8 as well, when the model runs ("dynamic range").
Weights = Literal["float32", "float16", "int8"]

_SIGNATURE = "step"


def convert(model: LanguageModel, *, weights: Weights) -> bytes:
    """One step of a model for LiteRT.

    Args:
        model: stateless; with int8 its embedding is rounded to what is stored.
        weights: what they are stored in.

    Returns:
        The contents of a .tflite file with one signature, `step`: `token`, int32 (1,), and
        `state_0`, `state_1`, …, float32 (1, units), to `probabilities`, float32 (1, V), and the
        same states after it. An LSTM has two states in each layer, h before c.
    """
    embed: Callable[[tf.Tensor], tf.Tensor] = model.embed
    if weights == "int8" and model.embed is not model.adaptive:
        embed = _rounded(model.embed)
    shapes = _state_shapes(model)

    @tf.function
    def step(token: tf.Tensor, **state: tf.Tensor) -> dict[str, tf.Tensor]:
        x = embed(token)  # (1, E)
        after: dict[str, tf.Tensor] = {}
        for layer, names in zip(model.recurrent, shapes, strict=True):
            x, parts = layer.cell(x, [state[name] for name in names])
            after |= zip(names, parts, strict=True)
        logits = model.logits(model.features(x))
        return {"probabilities": tf.nn.softmax(logits), **after}

    module = tf.Module()
    # Not the model: the converter leaves out the variables that are tracked by way of Keras.
    module.weights = [variable.value for variable in model.variables]
    specs = {
        name: tf.TensorSpec(shape, name=name) for layer in shapes for name, shape in layer.items()
    }
    module.step = step.get_concrete_function(tf.TensorSpec((1,), tf.int32, name="token"), **specs)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={_SIGNATURE: module.step})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
        if weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _state_shapes(model: LanguageModel) -> list[dict[str, list[int]]]:
    """The states of each layer, by name."""
    _, states = model.hidden(tf.zeros((1, 1), tf.int32))
    numbers = itertools.count()
    return [{f"state_{next(numbers)}": part.shape.as_list() for part in layer} for layer in states]


def _rounded(embed: Any) -> Callable[[tf.Tensor], tf.Tensor]:
    """Look vectors up in int8, one scale for each, as the converter stores an output matrix.

    A matrix that is tied to the output is the same bytes then, and is stored once. The converter
    itself would give the embedding one scale for all, and store both.
    """
    table = embed.embeddings.numpy()
    scales = np.abs(table).max(axis=1, keepdims=True) / np.float32(127)
    rounded = np.round(table / np.maximum(scales, np.finfo(np.float32).tiny)).astype(np.int8)
    embed.embeddings.assign(rounded * scales)
    return lambda ids: tf.cast(tf.gather(rounded, ids), tf.float32) * tf.gather(scales, ids)


def export_litert(*, training: Path, output: Path) -> None:
    """Write the model of a training folder for LiteRT.

    Writes model_float16.tflite and model_int8.tflite; the vocabulary.tsv and tokenizer.json that
    tell an application how text becomes ids; and tensors.json, the names, shapes and types of what
    goes into the signature `step` and comes out.

    Args:
        training: folder that `train` wrote.
        output: folder to write into.

    Raises:
        InputError: there is no trained model.
    """
    model = load_model(training)
    vocabulary = Vocabulary.load(training / "vocabulary.tsv")
    shapes = {name: shape for layer in _state_shapes(model) for name, shape in layer.items()}
    states = {name: {"shape": shape, "type": "float32"} for name, shape in shapes.items()}
    tensors = {
        "signature": _SIGNATURE,
        "inputs": {"token": {"shape": [1], "type": "int32"}, **states},
        "outputs": {
            "probabilities": {"shape": [1, len(vocabulary)], "type": "float32"},
            **states,
        },
    }
    # int8 last, since it rounds the model.
    for weights in get_args(Weights)[1:]:
        path = output / f"model_{weights}.tflite"
        path.write_bytes(convert(model, weights=weights))
    vocabulary.save(output / "vocabulary.tsv")
    text = json.dumps(tensors, indent=2) + "\n"
    (output / "tensors.json").write_text(text, encoding="utf-8")
