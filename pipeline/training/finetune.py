"""The weights that a training goes on from: those of a trained model, grown by new words.

Of a word that it does not know the model has said p(<unk> | h). The words that are new share that
out by how frequent they are in the new text, and what is left stays <unk>'s:

    p(new word i | h) = s_i · p(<unk> | h)        every row is <unk>'s, its bias larger by ln s_i

So before the first update every known word is as probable as it was, after any text, and a new
word is read as <unk> was.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline import InputError
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import LanguageModel, load_model
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary

# What decides which weights there are; all but the vocabulary's size.
SIZES = ("cell", "embedding", "units", "layers", "mogrifier", "tied", "softmax", "context")


def initial_weights(
    folder: Path, *, config: ModelConfig, vocabulary: Vocabulary
) -> list[np.ndarray]:
    """A trained model's weights for a model that may know more words.

    Args:
        folder: what `train` wrote.
        config: of the model that goes on.
        vocabulary: of the same; it extends the trained model's.

    Returns:
        A value for each of the model's trainable variables. A matrix of V rows, or a bias (V,),
        has the trained model's rows first, the same bit for bit but for <unk>'s bias.

    Raises:
        InputError: there is no such model, or it has other sizes or another vocabulary.
    """
    trained = ModelConfig.load(folder / "model.json")
    base = Vocabulary.load(folder / "vocabulary.tsv")
    for name in SIZES:
        if (mine := getattr(trained, name)) != getattr(config, name):
            raise InputError(
                f"The model in {folder} has --{name} {str(mine).lower()}, not "
                f"{str(getattr(config, name)).lower()}: leave the option out, or train without "
                "--init."
            )
    if not vocabulary.extends(base):
        raise InputError(
            f"The tokens were not made with the vocabulary of {folder}: run `nextword tokenize "
            f"--init {folder}`."
        )
    new = len(vocabulary) - len(base)
    if new and config.softmax == "adaptive":
        raise InputError(
            f"The model in {folder} has an adaptive softmax, which sorts words by frequency and "
            "takes in no new ones: give --new-words 0."
        )
    model = load_model(folder)
    shares = _shares(vocabulary, base)
    rows = [model.embed.embeddings, model.output_weights] if not model.adaptive else []
    values = []
    for variable in model.trainable_variables:
        value = variable.numpy()
        if any(variable is matrix for matrix in rows):
            value = np.concatenate([value, np.repeat(value[[UNKNOWN_ID]], new, axis=0)])
        elif new and variable is model.output_bias:
            logs = np.log(shares).astype(np.float32) + value[UNKNOWN_ID]
            value = np.concatenate([value, logs[1:]])
            value[UNKNOWN_ID] = logs[0]
        values.append(value)
    return values


def move(model: LanguageModel, weights: Sequence[np.ndarray], *, share: float) -> None:
    """Move a model's weights θ by a share of the way to others, to (1 − share) θ + share θ'."""
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(share * value + (1 - share) * variable)


def _shares(vocabulary: Vocabulary, base: Vocabulary) -> np.ndarray:
    """Of what the trained model did not know, the share of <unk> and of each new word, (1 + new,).

    One is added to <unk>'s count: text to come has words that are new again.
    """
    unknown = max(vocabulary.counts[UNKNOWN_ID] - base.counts[UNKNOWN_ID], 0) + 1
    counts = np.array([unknown, *vocabulary.counts[len(base) :]], np.float64)
    return counts / counts.sum()
