"""A trained model, and what it is compared with, on text it has never seen."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.metrics import LANES, Meter, Sums, perplexity
from pipeline.model import ModelConfig, load_model
from pipeline.report import write_report
from pipeline.tokenizer import is_word
from pipeline.vocabulary import Vocabulary
from pipeline.windows import open_stream

# Ids of a stream looked at at once.
_CHUNK = 2**20


def unigram_logits(vocabulary: Vocabulary) -> np.ndarray:
    """ln p of every token by its count in the training split, add-one; shape (V,)."""
    counts = np.array(vocabulary.counts, np.float64) + 1
    return np.log(counts / counts.sum()).astype(np.float32)


def of_pieces(sums: Sums, words: int) -> dict[str, float]:
    """The metrics of a stream of pieces.

    perplexity and top-k are of pieces. `perplexity_per_word` is exp(nats / words), which can be
    compared with the perplexity of a model of words. Suggested words are not measured.

    Args:
        sums: over its pieces.
        words: targets that close a word, or begin a paragraph.
    """
    metrics = {k: v for k, v in sums.metrics().items() if not k.endswith("_words")}
    return {**metrics, "perplexity_per_word": perplexity(sums.nats, words), "words": words}


def _words(stream: np.ndarray, closes: np.ndarray) -> int:
    """The ids of a stream, without the first, that close a word."""
    starts = range(1, len(stream), _CHUNK)
    return sum(int(np.count_nonzero(closes[stream[i : i + _CHUNK]])) for i in starts)


def evaluate(*, training: Path, tokens: Path, output: Path, baselines: Sequence[Path] = ()) -> None:
    """Measure models on the validation and test splits; write metrics.json and report.html.

    Args:
        training: folder of the model to evaluate, as `train` wrote it.
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        baselines: folders of other trained models; a unigram model is always beside them.

    Raises:
        InputError: a folder lacks its files, or a model knows another vocabulary.
    """
    for folder in (training, *baselines):
        ModelConfig.load(folder / "model.json")  # before anything slow, is there a model at all?
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    streams = {split: open_stream(tokens / f"{split}.npy") for split in ("valid", "test")}
    for split, stream in streams.items():
        if len(stream) < 2:
            raise InputError(f"The {split} split in {tokens} holds no text to predict.")
    suggestible = is_word(list(vocabulary.tokens)).numpy()
    closes = np.array(vocabulary.closes())

    metrics: dict[str, dict[str, dict[str, float]]] = {split: {} for split in streams}

    def add(name: str, meter: Meter) -> None:
        for split, stream in streams.items():
            sums = meter.measure(stream)
            metrics[split][name] = (
                sums.metrics()
                if vocabulary.unit == "word"
                else of_pieces(sums, _words(stream, closes))
            )

    models = {}
    for folder in (training, *baselines):
        if not vocabulary.same_ids(Vocabulary.load(folder / "vocabulary.tsv")):
            raise InputError(
                f"The model in {folder} was trained with another vocabulary than {tokens}: train "
                "it again on these tokens."
            )
        model = load_model(folder, batch_size=LANES)
        name: str = model.config.cell
        if name in models:
            name = f"{name} {folder}"
        models[name] = folder
        add(name, Meter(model, reset=model.reset_states, suggestible=suggestible))

    unigram = tf.constant(unigram_logits(vocabulary))
    add(
        "unigram",
        Meter(
            lambda ids: tf.broadcast_to(unigram, [*tf.unstack(tf.shape(ids)), len(vocabulary)]),
            reset=lambda: None,
            suggestible=suggestible,
        ),
    )
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    write_report(
        metrics, histories={n: f / "history.csv" for n, f in models.items()}, output=output
    )
