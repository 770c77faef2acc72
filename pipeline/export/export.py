"""Export a trained model as a SavedModel."""

import os
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from pipeline import InputError
from pipeline.export.config import ExportConfig
from pipeline.export.model_card import write_model_card
from pipeline.export.saved_model import NextWord
from pipeline.manifest import place_of
from pipeline.model.cache import Cache, tune
from pipeline.model.checkpoint import writing
from pipeline.model.language_model import load_model
from pipeline.model.meter import LANES
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NeverSuggested
from pipeline.text.vocabulary import Vocabulary, check_same_ids, choices_path
from pipeline.tokens.windows import open_stream


def export(
    training: Path,
    output: Path,
    *,
    config: ExportConfig,
    tokens: Path | None = None,
    evaluation: Path | None = None,
) -> None:
    """Write the model of a training folder as a SavedModel.

    The same files go into a subfolder, where TensorFlow Serving looks for them. Its name is a
    version number, one more than that of the last export to `output`.

    Args:
        training: folder that `train` wrote.
        output: folder to write into.
        config: what is suggested. The words of the training text that are too rare for the
            vocabulary are suggested, too, whatever the lexicon is.
        tokens: folder that `tokenize` wrote; the cache is tuned on its validation split.
        evaluation: folder that `evaluate` wrote, for the model card.

    Raises:
        InputError: there is no trained model, no word to suggest, no text to tune on, a
            file has no list of words, or the model is of subwords, which take none.
    """
    model = load_model(training)
    path = training / "vocabulary.tsv"
    vocabulary = Vocabulary.load(path)
    words = Lexicon.load(training, vocabulary, config.lexicon)
    never = NeverSuggested.load(config.never_suggest)
    if never and vocabulary.unit == "subword":
        raise InputError(
            f"The model in {training} is of subwords, which can spell any word: leave out "
            "--never-suggest."
        )
    tuned = _tune_cache(training, tokens, size=config.cache) if config.cache else None
    module = NextWord(
        model, vocabulary, suggestions=config.suggestions, cache=tuned, lexicon=words, never=never
    )
    if not module.words.suggestions:
        raise InputError(f"The vocabulary in {training} has no word to suggest.")
    versions = [int(p.name) for p in place_of(output).glob("*") if p.name.isdecimal()]
    version = output / str(1 + max(versions, default=0))
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as folder:  # what a killed run leaves is deleted
        files = [path, choices_path(path)]
        if words:
            files.append(Path(folder, "lexicon.tsv"))
            words.save(files[-1])
        module.assets = [tf.saved_model.Asset(str(file)) for file in files]
        with writing(version / "variables", "SavedModel", "run the same command again"):
            tf.saved_model.save(module, str(version), signatures=module.signatures())
    write_model_card(
        folder=version, training=training, evaluation=evaluation, cache=tuned,
        lexicon=config.lexicon, never=never,
    )  # fmt: skip
    shutil.copytree(version, output, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    """Link a file, so that it takes no space twice, or copy it where links are not supported."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def _tune_cache(training: Path, tokens: Path | None, *, size: int) -> Cache:
    if tokens is None:
        raise InputError("A cache is tuned on validation text: name the folder of its tokens.")
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    check_same_ids(vocabulary, training, tokens)
    stream = open_stream(tokens / "valid.npy", below=len(vocabulary))
    if len(stream) < 2:
        raise InputError(f"The valid split in {tokens} has no text to tune a cache on.")
    return tune(load_model(training, batch_size=LANES), stream, size=size)
