"""Load an exported SavedModel and ask it for words, with TensorFlow alone."""

from pathlib import Path
from typing import Any

import tensorflow as tf


def load(folder: str | Path) -> Any:
    """Load the SavedModel in a folder.

    Raises:
        ValueError: the folder holds no SavedModel, or one that suggests no words.
    """
    try:
        model = tf.saved_model.load(str(folder))
        outputs = model.signatures["serving_default"].structured_outputs
    except (OSError, KeyError, AttributeError, tf.errors.OpError) as error:
        raise ValueError(
            f"{folder} holds no SavedModel with a serving_default signature: run `nextword export` "
            "first, or name its folder."
        ) from error
    if not {"words", "probabilities"} <= set(outputs):
        raise ValueError(
            f"The SavedModel in {folder} does not suggest words: name one that `nextword export` "
            "wrote."
        )
    return model


def suggest(model: Any, texts: list[str]) -> list[list[tuple[str, float]]]:
    """Return the next words of each text with their probabilities, most probable first."""
    # A terminal can pass on lone surrogates, which are not valid UTF-8.
    data = [text.encode("utf-8", errors="replace") for text in texts]
    answer = model.signatures["serving_default"](text=tf.constant(data, tf.string, (len(data),)))
    words, probabilities = answer["words"].numpy(), answer["probabilities"].numpy()
    return [
        [(word.decode(), float(p)) for word, p in zip(*row, strict=True)]
        for row in zip(words, probabilities, strict=True)
    ]
