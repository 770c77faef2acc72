"""Initial weights for fine-tuning: a trained model's, grown by new words.

The trained model gives a word that it does not know the probability p(<unk> | h). New words share
it in proportion to their counts in the new text, and <unk> keeps the rest:

    p(new word i | h) = s_i · p(<unk> | h)        its row is <unk>'s, its bias larger by ln s_i

So before the first update every known word is as probable as before, whatever the context, and a
new word is read as <unk> was.
"""

from pathlib import Path

import numpy as np

from pipeline import InputError
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import load_model
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary

# The options that decide the shapes of the weights, besides the vocabulary's size.
SIZES = ("cell", "embedding", "units", "layers", "mogrifier", "tied", "softmax", "context")


def initial_weights(
    folder: Path, *, config: ModelConfig, vocabulary: Vocabulary
) -> list[np.ndarray]:
    """Return a trained model's weights, grown to a larger vocabulary.

    Args:
        folder: what `train` wrote.
        config: of the model to fine-tune.
        vocabulary: of that model; it extends the trained model's.

    Returns:
        A value for each of the model's trainable variables. In those with a row for each word,
        known words keep their values bit for bit, except for <unk>'s bias.

    Raises:
        InputError: there is no such model, or it has other sizes or another vocabulary.
    """
    trained = ModelConfig.load(folder / "model.json")
    base = Vocabulary.load(folder / "vocabulary.tsv")
    if trained.vocabulary_size != len(base):
        raise InputError(
            f"{folder / 'vocabulary.tsv'} has {len(base):,} words, and model.json beside it says "
            f"{trained.vocabulary_size:,}: they are of two trainings; name another folder."
        )
    for name in SIZES:
        if (value := getattr(trained, name)) != getattr(config, name):
            raise InputError(
                f"The model in {folder} has --{name} {str(value).lower()}, not "
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
    weights = [variable.numpy() for variable in model.trainable_variables]
    if not new:
        return weights
    log_shares = np.log(_unknown_shares(vocabulary, base)).astype(np.float32)
    for i, variable in enumerate(model.trainable_variables):
        rows = weights[i]
        if variable is model.embed.embeddings or variable is model.output_weights:
            weights[i] = np.concatenate([rows, np.repeat(rows[[UNKNOWN_ID]], new, axis=0)])
        elif variable is model.output_bias:
            grown = log_shares + rows[UNKNOWN_ID]
            weights[i] = np.concatenate([rows, grown[1:]])
            weights[i][UNKNOWN_ID] = grown[0]
    return weights


def _unknown_shares(vocabulary: Vocabulary, base: Vocabulary) -> np.ndarray:
    """Return the shares of <unk> and each new word in what `base` does not know, (1 + new,).

    <unk> is counted once more, since words will be new in text to come, too.
    """
    unknown = max(vocabulary.counts[UNKNOWN_ID] - base.counts[UNKNOWN_ID], 0) + 1
    counts = np.array([unknown, *vocabulary.counts[len(base) :]], np.float64)
    return counts / counts.sum()
