"""Initial weights for fine-tuning, a trained model's grown by new words, and how to forget those.

The trained model gives a word that it does not know the probability p(<unk> | h). New words share
it in proportion to their counts in the new text, and <unk> keeps the rest:

    p(new word i | h) = s_i · p(<unk> | h)        its row is <unk>'s, its bias larger by ln s_i

So before the first update every known word is as probable as before, whatever the context, and a
new word is read as <unk> was. A forgotten word leaves with its rows, and all others keep theirs.
"""

import dataclasses
import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import LanguageModel, build_model, load_model, weights
from pipeline.text.tokenizer import normalise
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary
from pipeline.training.checkpoints import save_checkpoint
from pipeline.training.new_words import first_new_id, save_new_words

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
    values = [variable.numpy() for variable in model.trainable_variables]
    if not new:
        return values
    log_shares = np.log(_unknown_shares(vocabulary, base)).astype(np.float32)
    for i, variable in enumerate(model.trainable_variables):
        rows = values[i]
        if variable is model.embed.embeddings or variable is model.output_weights:
            values[i] = np.concatenate([rows, np.repeat(rows[[UNKNOWN_ID]], new, axis=0)])
        elif variable is model.output_bias:
            grown = log_shares + rows[UNKNOWN_ID]
            values[i] = np.concatenate([rows, grown[1:]])
            values[i][UNKNOWN_ID] = grown[0]
    return values


def forget(words: Sequence[str], *, output: Path) -> None:
    """Take new words out of a fine-tuned model; all others keep their logits.

    Args:
        words: as they are written, in any case if the model folds it.
        output: folder that `train` wrote, to change.

    Raises:
        InputError: a word is not one that fine-tuning has added.
    """
    vocabulary = Vocabulary.load(output / "vocabulary.tsv")
    first = first_new_id(output)
    ids = sorted({_new_id(word, vocabulary, first=first) for word in words})
    model = load_model(output)
    by_word = (model.embed.embeddings, model.output_weights, model.output_bias)
    values = [
        np.delete(v.numpy(), ids, axis=0) if any(v is one for one in by_word) else v.numpy()
        for v in model.trainable_variables
    ]
    vocabulary = vocabulary.without(ids)
    config = dataclasses.replace(model.config, vocabulary_size=len(vocabulary))
    smaller = build_model(config)
    interpolate_weights(smaller, values, alpha=1.0)
    config.save(output / "model.json")
    vocabulary.save(output / "vocabulary.tsv")
    save_new_words(output, vocabulary, first=first)
    shutil.rmtree(output / "checkpoints")
    save_checkpoint(tf.train.CheckpointManager(weights(smaller), output / "checkpoints", 1))


def _new_id(word: str, vocabulary: Vocabulary, *, first: int) -> int:
    written = unicodedata.normalize("NFC", word).encode(errors="replace")
    read = normalise(tf.constant(written), case=vocabulary.case, numbers=vocabulary.numbers)
    token = read.numpy().decode()
    if token not in vocabulary.tokens:
        raise InputError(f"{word!r} is not in the vocabulary: `nextword personal` lists new words.")
    if (i := vocabulary.tokens.index(token)) < first:
        raise InputError(
            f"{word!r} is a word of the first model and stays in it: keep it out of suggestions "
            "with `nextword export --never-suggest`."
        )
    return i


def interpolate_weights(
    model: LanguageModel, weights: Sequence[np.ndarray], *, alpha: float
) -> None:
    """Assign (1 − α) θ + α θ' to a model with weights θ; θ' are the `weights`."""
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(alpha * value + (1 - alpha) * variable)


def _unknown_shares(vocabulary: Vocabulary, base: Vocabulary) -> np.ndarray:
    """Return the shares of <unk> and each new word in what `base` does not know, (1 + new,).

    <unk> is counted once more, since words will be new in text to come, too.
    """
    unknown = max(vocabulary.counts[UNKNOWN_ID] - base.counts[UNKNOWN_ID], 0) + 1
    counts = np.array([unknown, *vocabulary.counts[len(base) :]], np.float64)
    return counts / counts.sum()
