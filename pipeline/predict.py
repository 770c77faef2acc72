"""Load an exported SavedModel and ask it for words, with TensorFlow alone."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from pipeline import InputError


def load(folder: str | Path) -> Any:
    """Load the SavedModel in a folder.

    Raises:
        InputError: the folder holds no SavedModel, or one that suggests no words.
    """
    try:
        model = tf.saved_model.load(str(folder))
        outputs = model.signatures["serving_default"].structured_outputs
    except (OSError, KeyError, AttributeError, tf.errors.OpError) as error:
        raise InputError(
            f"{folder} holds no SavedModel with a serving_default signature: run `nextword export` "
            "first, or name its folder."
        ) from error
    if not {"words", "probabilities"} <= set(outputs):
        raise InputError(
            f"The SavedModel in {folder} does not suggest words: name one that `nextword export` "
            "wrote."
        )
    return model


def encode_texts(texts: list[str]) -> tf.Tensor:
    """Return texts as a string tensor (B,); lone surrogates, which are not UTF-8, become "?"."""
    encoded = [text.encode("utf-8", errors="replace") for text in texts]
    return tf.constant(encoded, tf.string, (len(texts),))


def suggest(model: Any, texts: list[str]) -> list[list[tuple[str, float]]]:
    """Return the next words of each text with their probabilities, most probable first."""
    answer = model.signatures["serving_default"](text=encode_texts(texts))
    words, probabilities = answer["words"].numpy(), answer["probabilities"].numpy()
    return [
        [(word.decode(), float(p)) for word, p in zip(*row, strict=True)]
        for row in zip(words, probabilities, strict=True)
    ]
