"""Take words that fine-tuning has added out of a model; all others keep their logits.

Rare words, which the model knows only as `<unk>`, are taken out of its list of them.
"""

import dataclasses
import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.model.checkpoint import writing
from pipeline.model.language_model import assign_weights, build_model, load_model, weights
from pipeline.text.rare_words import drop_rare
from pipeline.text.tokenizer import normalise
from pipeline.text.vocabulary import Vocabulary
from pipeline.training.new_words import first_new_id, save_new_words


def forget(words: Sequence[str], *, output: Path) -> None:
    """Take new and rare words out of a fine-tuned model, with their weights; later ids move up.

    Args:
        words: as they are written, in any case if the model folds it.
        output: folder that `train` wrote, to change.

    Raises:
        InputError: a word is neither rare nor one that fine-tuning has added.
    """
    vocabulary = Vocabulary.load(output / "vocabulary.tsv")
    first = first_new_id(output)
    tokens = {_token(word, vocabulary): word for word in words}
    rare = drop_rare(output, tokens)
    ids = sorted(
        _new_id(token, word, vocabulary, first=first)
        for token, word in tokens.items()
        if token not in rare
    )
    if not ids:
        return
    model = load_model(output)
    by_word = (model.embed.embeddings, model.output_weights, model.output_bias)
    values = [
        np.delete(v.numpy(), ids, axis=0) if any(v is one for one in by_word) else v.numpy()
        for v in model.trainable_variables
    ]
    vocabulary = vocabulary.without(ids)
    config = dataclasses.replace(model.config, vocabulary_size=len(vocabulary))
    smaller = build_model(config)
    assign_weights(smaller, values)
    config.save(output / "model.json")
    vocabulary.save(output / "vocabulary.tsv")
    save_new_words(output, vocabulary, first=first)
    shutil.rmtree(output / "checkpoints")
    with writing(folder := output / "checkpoints", "checkpoint", "run the same command again"):
        tf.train.CheckpointManager(weights(smaller), folder, max_to_keep=1).save()


def _token(word: str, vocabulary: Vocabulary) -> str:
    written = unicodedata.normalize("NFC", word).encode(errors="replace")
    read = normalise(tf.constant(written), case=vocabulary.case, numbers=vocabulary.numbers)
    return read.numpy().decode()


def _new_id(token: str, word: str, vocabulary: Vocabulary, *, first: int) -> int:
    if token not in vocabulary.tokens:
        raise InputError(f"{word!r} is not in the vocabulary: `nextword personal` lists new words.")
    if (i := vocabulary.tokens.index(token)) < first:
        raise InputError(
            f"{word!r} is a word of the first model and stays in it: keep it out of suggestions "
            "with `nextword export --never-suggest`."
        )
    return i
