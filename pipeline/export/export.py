"""The stage that writes a trained model as a SavedModel."""

import os
import shutil
from pathlib import Path

import tensorflow as tf

from pipeline import InputError
from pipeline.export.model_card import write_model_card
from pipeline.export.saved_model import NextWord
from pipeline.manifest import place_of
from pipeline.model.cache import Cache, tune
from pipeline.model.language_model import load_model
from pipeline.model.meter import LANES
from pipeline.text.vocabulary import Vocabulary, check_same_ids, choices_path
from pipeline.tokens.windows import open_stream


def export(
    *,
    training: Path,
    output: Path,
    suggestions: int,
    cache: int = 0,
    tokens: Path | None = None,
    evaluation: Path | None = None,
) -> None:
    """Write the model of a training folder as a SavedModel.

    A folder named by a number, one more than stood in the place of `output`, holds the same files
    again, which is where TensorFlow Serving looks for them.

    Args:
        training: folder that `train` wrote.
        output: folder to write into.
        suggestions: k, words suggested.
        cache: N, tokens that a continuous cache remembers; 0 for no cache.
        tokens: folder that `tokenize` wrote, on whose validation split a cache is tuned.
        evaluation: folder that `evaluate` wrote, for the model card.

    Raises:
        InputError: there is no trained model, no word in its vocabulary, or no text to tune on.
    """
    model = load_model(training)
    path = training / "vocabulary.tsv"
    vocabulary = Vocabulary.load(path)
    tuned = _tuned(training, tokens, size=cache) if cache else None
    module = NextWord(model, vocabulary, suggestions=suggestions, cache=tuned)
    if not module.suggestions:
        raise InputError(f"The vocabulary in {training} has no word to suggest.")
    module.assets = [tf.saved_model.Asset(str(p)) for p in (path, choices_path(path))]
    tf.saved_model.save(module, str(output), signatures=module.signatures())
    write_model_card(folder=output, training=training, evaluation=evaluation, cache=tuned)
    _copy(output, output / str(1 + max(_versions(place_of(output)), default=0)))


def _versions(folder: Path) -> list[int]:
    """The numbers of the models in a folder."""
    if not folder.is_dir():
        return []
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]


def _copy(folder: Path, version: Path) -> None:
    """Put the files of a SavedModel also into another folder; they take no room twice."""
    files = ["saved_model.pb", "fingerprint.pb", "variables", "assets"]
    for path in (folder / name for name in files):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            target = version / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, target)
            except OSError:  # a file system without hard links
                shutil.copy(file, target)


def _tuned(training: Path, tokens: Path | None, *, size: int) -> Cache:
    if tokens is None:
        raise InputError("A cache is tuned on validation text: name the folder of its tokens.")
    check_same_ids(Vocabulary.load(tokens / "vocabulary.tsv"), training, tokens)
    stream = open_stream(tokens / "valid.npy")
    if len(stream) < 2:
        raise InputError(f"The valid split in {tokens} holds no text to tune a cache on.")
    return tune(load_model(training, batch_size=LANES), stream, size=size)
