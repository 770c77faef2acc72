"""The model for phones: one step of it, in the format of LiteRT (TensorFlow Lite until 2024).

An application tokenizes text and looks the ids up in vocabulary.tsv. It gives the model one token
at a time, with the state that the model returned before. A text begins with a state of zeros and
the token `<s>`. The model has no loop, and only operations that LiteRT has built in.

    from ai_edge_litert.interpreter import Interpreter

    step = Interpreter("model_int8.tflite").get_signature_runner("step")
    state = {name: zeros of the shape in tensors.json}
    for token in ids:  # int32, shape (1,)
        state = step(token=token, **state)
        probabilities = state.pop("probabilities")  # of each id, float32 (1, V)
"""

import gzip
import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from pipeline.model.checkpoint import writing
from pipeline.model.language_model import LanguageModel, load_model
from pipeline.text.lexicon import Lexicon
from pipeline.text.vocabulary import Vocabulary

# How weights are stored. With int8 each row of a matrix has its own scale, and at run time what the
# matrix is multiplied by is rounded to int8 as well ("dynamic range").
Weights = Literal["float32", "float16", "int8"]

_SIGNATURE = "step"


def convert(model: LanguageModel, *, weights: Weights, folder: Path | None = None) -> bytes:
    """Convert one step of a model to LiteRT.

    Args:
        model: stateless; int8 rounds its embedding in place.
        weights: how to store them.
        folder: in which a SavedModel is written, for a while; None for the system's.

    Returns:
        The contents of a .tflite file with one signature, `step`. It takes `token`, int32 (1,), and
        `state_0`, `state_1`, …, float32 (1, units); it returns `probabilities`, float32 (1, V), and
        the new states. An LSTM layer has two states, h before c.
    """
    embed: Callable[[tf.Tensor], tf.Tensor] = model.embed
    if weights == "int8" and model.embed is not model.adaptive:
        embed = _round_embedding(model.embed)
    shapes = _state_shapes(model)

    @tf.function(autograph=False)
    def step(token: tf.Tensor, **state: tf.Tensor) -> dict[str, tf.Tensor]:
        x = embed(token)  # (1, E)
        after: dict[str, tf.Tensor] = {}
        for layer, names in zip(model.recurrent, shapes, strict=True):
            x, parts = layer.cell(x, [state[name] for name in names])
            after |= zip(names, parts, strict=True)
        logits = model.logits(model.features(x))
        return {"probabilities": tf.nn.softmax(logits), **after}

    module = tf.Module()
    # Not the model: the converter leaves out variables that are tracked through Keras.
    module.weights = [variable.value for variable in model.variables]
    specs = {
        name: tf.TensorSpec(shape, name=name) for layer in shapes for name, shape in layer.items()
    }
    module.step = step.get_concrete_function(tf.TensorSpec((1,), tf.int32, name="token"), **specs)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        with writing(Path(place, "variables"), "SavedModel", "run the same command again"):
            tf.saved_model.save(module, place, signatures={_SIGNATURE: module.step})
        converter = tf.lite.TFLiteConverter.from_saved_model(place, signature_keys=[_SIGNATURE])
        if weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _state_shapes(model: LanguageModel) -> list[dict[str, list[int]]]:
    """Return the names and shapes of the states of each layer."""
    _, states = model.hidden(tf.zeros((1, 1), tf.int32))
    numbers = itertools.count()
    return [{f"state_{next(numbers)}": part.shape.as_list() for part in layer} for layer in states]


def _round_embedding(embed: Any) -> Callable[[tf.Tensor], tf.Tensor]:
    """Round an embedding to int8 with a scale for each row, and return its lookup.

    The converter stores an output matrix like this, so a matrix tied to the embedding is stored
    once. By itself it would give the embedding a single scale, and store both.
    """
    table = embed.embeddings.numpy()
    scales = np.abs(table).max(axis=1, keepdims=True) / np.float32(127)
    rounded = np.round(table / np.maximum(scales, np.finfo(np.float32).tiny)).astype(np.int8)
    embed.embeddings.assign(rounded * scales)
    return lambda ids: tf.cast(tf.gather(rounded, ids), tf.float32) * tf.gather(scales, ids)


def export_litert(*, training: Path, output: Path, lexicon: Sequence[str] = ()) -> None:
    """Write the model of a training folder for LiteRT.

    Writes model_float16.tflite and model_int8.tflite; vocabulary.tsv and tokenizer.json, from which
    an application makes ids of text; and tensors.json, the names, shapes and types of the inputs
    and outputs of the signature `step`. With words outside the vocabulary also lexicon.tsv.gz, a
    word, a tab and its f a line, most frequent first: p(word) = p(<unk>) · f, see `Lexicon`.

    Args:
        training: folder that `train` wrote.
        output: folder to write into.
        lexicon: names of word lists, as `Lexicon.load` takes them.

    Raises:
        InputError: there is no trained model, or no list in a file of the lexicon.
    """
    model = load_model(training)
    vocabulary = Vocabulary.load(training / "vocabulary.tsv")
    words = Lexicon.load(training, vocabulary, lexicon)
    states = {
        name: {"shape": shape, "type": "float32"}
        for layer in _state_shapes(model)
        for name, shape in layer.items()
    }
    probabilities = {"shape": [1, len(vocabulary)], "type": "float32"}
    tensors = {
        "signature": _SIGNATURE,
        "inputs": {"token": {"shape": [1], "type": "int32"}, **states},
        "outputs": {"probabilities": probabilities, **states},
    }
    # int8 comes last because it rounds the model.
    for weights in get_args(Weights)[1:]:
        content = convert(model, weights=weights, folder=output)
        (output / f"model_{weights}.tflite").write_bytes(content)
    vocabulary.save(output / "vocabulary.tsv")
    if words:
        words.save(output / "lexicon.tsv")
        text = (output / "lexicon.tsv").read_bytes()
        (output / "lexicon.tsv").unlink()
        # Without the time, the same words are the same file.
        (output / "lexicon.tsv.gz").write_bytes(gzip.compress(text, mtime=0))
    described = json.dumps(tensors, indent=2) + "\n"
    (output / "tensors.json").write_text(described, encoding="utf-8")
