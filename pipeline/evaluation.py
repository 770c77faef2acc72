"""A trained model, and what it is compared with, on text it has never seen."""

import json
import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline import InputError
from pipeline.cache import CachedModel, tune
from pipeline.interpolation import find_weights, interpolate
from pipeline.keystrokes import SUGGESTIONS, Completions
from pipeline.kneser_ney import KneserNey
from pipeline.manifest import digest
from pipeline.metrics import LANES, Meter, Predictions
from pipeline.model import load_model, named_models
from pipeline.report import Explanation, read_ablation, write_report
from pipeline.scores import by_frequency, by_position, by_unit, calibration, score
from pipeline.unseen import Unseen, open_split, read_text
from pipeline.vocabulary import Vocabulary, check_same_ids
from pipeline.windows import open_stream

# Training tokens that n-grams are counted in, at most; each takes some 170 bytes.
_COUNTED = 20_000_000
# Tokens whose latency is measured, and how many before them are not: the first ones are compiled.
_TIMED, _UNTIMED = 200, 20

log = logging.getLogger(__name__)


def unigram_logits(vocabulary: Vocabulary) -> np.ndarray:
    """ln p of every token by its count in the training split, add-one; shape (V,)."""
    counts = np.array(vocabulary.counts, np.float64) + 1
    return np.log(counts / counts.sum()).astype(np.float32)


def unigram_meter(vocabulary: Vocabulary, words: Completions | None) -> Meter:
    """Measures the model that expects the same at every place."""
    logits = tf.constant(unigram_logits(vocabulary))
    return Meter(
        lambda ids: tf.broadcast_to(logits, [*tf.unstack(tf.shape(ids)), len(vocabulary)]),
        reset=lambda: None,
        words=words,
    )


def latency(folder: Path, stream: np.ndarray) -> float:
    """Median milliseconds from a token to suggestions, one text at a time.

    Args:
        folder: of a trained model.
        stream: int32 ids to read, (tokens,).
    """
    model = load_model(folder, batch_size=1)

    @tf.function(input_signature=[tf.TensorSpec((1, 1), tf.int32)])
    def suggest(ids: tf.Tensor) -> tf.Tensor:
        return tf.math.top_k(tf.nn.softmax(model(ids)), SUGGESTIONS)

    seconds = []
    for place in range(_UNTIMED + _TIMED):
        ids = tf.constant(stream[place % len(stream)], tf.int32, shape=(1, 1))
        start = time.perf_counter()
        suggest(ids)[1].numpy()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[_UNTIMED:])


def evaluate(
    *,
    training: Path,
    tokens: Path,
    output: Path,
    baselines: Sequence[Path] = (),
    text: Path | None = None,
    text_column: str = "text",
    ngram_order: int = 5,
    cache: int = 0,
    explanation: Path | None = None,
    ablation: Path | None = None,
) -> None:
    """Measure models on the validation and test splits, and on any other text.

    Writes metrics.json (split → model → metric; what a model cannot tell is absent), report.html,
    and, a row for each model and split,

    - frequency.csv: perplexity and top-3 by how frequent the target is in training;
    - positions.csv: the same by fifths of a document;
    - calibration.csv: how often the most probable token is right, by tenths of its p;
    - documents.csv: sums over each document, or over blocks of paragraphs where there is but one;
      intervals are drawn from them, and `nextword compare` reads them.

    Args:
        training: folder of the model to evaluate, as `train` wrote it.
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        baselines: folders of other trained models; a unigram model is always beside them.
        text: file to measure on as well, of any kind that `ingest` reads.
        text_column: which column of it holds text, if it is a table.
        ngram_order: n of an interpolated Kneser-Ney n-gram model of the training split, beside
            which its interpolation with the model is told; 0 for none.
        cache: tokens that a continuous cache remembers, chosen on the validation split, beside
            the model without one; 0 for none.
        explanation: folder that `explain` wrote of some of these models, to be shown in the
            report.
        ablation: CSV of trainings with one change each, to be shown too; see `read_ablation`.

    Raises:
        InputError: a folder lacks its files, a model knows another vocabulary, or there is no text
            to predict.
    """
    explained = None if explanation is None else Explanation.load(explanation)
    changes = read_ablation(ablation) if ablation else ()
    models = named_models(training, *baselines)  # before anything slow, are there models at all?
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    texts = [open_split(tokens, split, vocabulary) for split in ("valid", "test")]
    if text:
        texts.append(read_text(text, vocabulary, text_column=text_column))
    if explained:
        _check_explained(explained, models, explanation)
    for folder in models.values():
        check_same_ids(vocabulary, folder, tokens)
    evaluated = {name: digest([folder]) for name, folder in models.items()}  # as explain's
    (output / "models.json").write_text(json.dumps(evaluated, indent=2) + "\n", encoding="utf-8")

    words = Completions.of(vocabulary) if vocabulary.unit == "word" else None
    told = {}  # model → text → what it predicts
    for name, folder in models.items():
        model = load_model(folder, batch_size=LANES)
        told[name] = _measure(Meter(model, reset=model.reset_states, words=words), texts)
    extra = {name: {"latency_ms": latency(f, texts[0].stream)} for name, f in models.items()}
    own = [next(iter(told))]
    if cache:
        own.append(f"{own[0]}_cache")
        model = load_model(training, batch_size=LANES)
        chosen = tune(model, texts[0].stream, size=cache)
        cached = CachedModel(model, chosen)
        told[own[1]] = _measure(Meter(cached, reset=cached.reset_states, words=words), texts)
        extra[own[1]] = {"cache_theta": chosen.theta, "cache_weight": chosen.weight}
    if ngram_order:
        ngrams, counted = _count_ngrams(tokens, order=ngram_order, size=len(vocabulary))
        name = f"kneser_ney_{ngram_order}"
        extra[name] = {"counted_tokens": counted}
        told[name] = {
            unseen.name: Predictions(unseen.stream[1:], ngrams.nats(unseen.stream))
            for unseen in texts
        }
        for one in own:
            mixed = f"{one}_and_{name}"
            told[mixed], weight = _interpolated(told[one], told[name])
            extra[mixed] = {"interpolation_weight": weight}
    told["unigram"] = _measure(unigram_meter(vocabulary, words), texts)

    metrics: dict[str, dict[str, dict[str, float]]] = {}
    tables: dict[str, list[pd.DataFrame]] = {}
    for unseen in texts:
        metrics[unseen.name] = {}
        for name, predictions in told.items():
            of_model = predictions[unseen.name]
            metrics[unseen.name][name] = {
                **score(of_model, unseen, vocabulary=vocabulary, words=words),
                **extra.get(name, {}),
            }
            for table, rows in {
                "frequency": by_frequency(of_model, vocabulary),
                "positions": by_position(of_model, unseen.documents),
                "calibration": calibration(of_model),
                "documents": by_unit(of_model, unseen, vocabulary=vocabulary),
            }.items():
                rows.insert(0, "model", name)
                rows.insert(0, "split", unseen.name)
                tables.setdefault(table, []).append(rows)
    for table, parts in tables.items():
        filled = [rows for rows in parts if len(rows)]
        pd.concat(filled).convert_dtypes().to_csv(output / f"{table}.csv", index=False)
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    write_report(
        metrics,
        histories={name: folder / "history.csv" for name, folder in models.items()},
        training=training,
        tokens=tokens,
        unseen=texts[1],
        predictions=next(iter(told.values()))[texts[1].name],
        output=output,
        explained=explained,
        ablation=changes,
    )


def _check_explained(
    explained: Explanation, models: Mapping[str, Path], explanation: Path | None
) -> None:
    evaluated = {name: digest([folder]) for name, folder in models.items()}
    for name, trained in explained.models.items():
        if evaluated.get(name) != trained:
            raise InputError(
                f"{explanation} explains another {name} than is evaluated: name its folder with "
                "--baseline, or run `nextword explain` again with --model for those that are."
            )


def _count_ngrams(tokens: Path, *, order: int, size: int) -> tuple[KneserNey, int]:
    """An n-gram model, and how many training tokens it has seen."""
    stream = open_stream(tokens / "train.npy")
    counted = min(len(stream), _COUNTED)
    if counted < len(stream):
        log.warning(
            "Kneser-Ney counts the first %s of %s training tokens: more take too much memory.",
            *(f"{number:,}" for number in (counted, len(stream))),
        )
    return KneserNey.fit(stream[:counted], order=order, vocabulary_size=size), counted


def _measure(meter: Meter, texts: Sequence[Unseen]) -> dict[str, Predictions]:
    return {unseen.name: meter.measure(unseen.stream) for unseen in texts}


def _interpolated(
    model: Mapping[str, Predictions], other: Mapping[str, Predictions]
) -> tuple[dict[str, Predictions], float]:
    """Two models as one, weighted on the validation split; and the weight of the first."""

    def nats(text: str) -> np.ndarray:
        return np.stack([model[text].nats, other[text].nats])

    weights = find_weights(nats("valid"))
    mixed = {
        text: Predictions(predictions.targets, interpolate(nats(text), weights))
        for text, predictions in model.items()
    }
    return mixed, float(weights[0])
