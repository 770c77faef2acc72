"""A trained model, and what it is compared with, on text it has never seen."""

import json
import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline import InputError
from pipeline.corpus.overlap import NGRAM
from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.held_out import Unseen, open_split, read_text, share_in_training
from pipeline.evaluation.intervals import FEW
from pipeline.evaluation.keystrokes import SUGGESTIONS, Completions
from pipeline.evaluation.metrics import by_frequency, by_position, by_unit, calibration, score
from pipeline.evaluation.report.explanation import Explanation
from pipeline.evaluation.report.page import read_ablation, write_report
from pipeline.export.saved_model import NextWord
from pipeline.manifest import digest
from pipeline.model.cache import Cache, CachedModel, tune
from pipeline.model.interpolation import Mixture, find_weights
from pipeline.model.kneser_ney import KneserNey, NgramReader
from pipeline.model.language_model import load_model, named_models
from pipeline.model.meter import LANES, Find, Meter, Predictions
from pipeline.text.vocabulary import BEGIN_ID, Vocabulary, check_same_ids
from pipeline.tokens.windows import open_stream

# Training tokens that n-grams are counted in, at most, each of which takes some 170 bytes; and in
# how many blocks they are taken from more.
_COUNTED, _PLACES = 20_000_000, 1000
# Words whose latency is measured, and how many before them are not.
_TIMED, _UNTIMED = 200, 20

log = logging.getLogger(__name__)


def unigram_logits(vocabulary: Vocabulary) -> np.ndarray:
    """ln p of every token by its count in the training split, add-one; shape (V,)."""
    counts = np.array(vocabulary.counts, np.float64) + 1
    return np.log(counts / counts.sum()).astype(np.float32)


def unigram_meter(vocabulary: Vocabulary, find: Find | None) -> Meter:
    """Measure the model that expects the same at every place."""
    logits = tf.constant(unigram_logits(vocabulary))
    return Meter(
        lambda ids: tf.broadcast_to(logits, [*tf.unstack(tf.shape(ids)), len(vocabulary)]),
        reset=lambda: None,
        find=find,
    )


def latency(
    folder: Path, vocabulary: Vocabulary, stream: np.ndarray, *, cache: Cache | None = None
) -> float:
    """Median milliseconds of a call of `step`, as `export` writes it, on this machine.

    A call reads one word, from text, after a state, and returns the three words suggested next,
    and the state; one text at a time. It is called in this process: what a server adds is not in.

    Args:
        folder: of a trained model.
        vocabulary: of both.
        stream: int32 ids to read, (tokens,).
        cache: the model's, if any.
    """
    module = NextWord(load_model(folder), vocabulary, suggestions=SUGGESTIONS, cache=cache)
    step = module.step_function()
    spellings = vocabulary.spellings()
    words = [spellings[i] for i in stream[: _UNTIMED + _TIMED] if i > BEGIN_ID] or ["."]
    state = tf.zeros((1, module.reader.state_size))
    seconds = []
    for place in range(_UNTIMED + _TIMED):
        text = tf.constant([words[place % len(words)]])
        start = time.perf_counter()
        answer = step(text, state)
        answer["words"].numpy()
        seconds.append(time.perf_counter() - start)
        state = answer["state"]
    return 1000 * statistics.median(seconds[_UNTIMED:])


def evaluate(
    training: Path,
    tokens: Path,
    output: Path,
    *,
    baselines: Sequence[Path] = (),
    config: EvaluationConfig,
) -> None:
    """Measure models on the validation and test splits, and on any other text.

    Writes metrics.json (split → model → metric; what a model does not have is absent), report.html,
    and, a row for each model and split,

    - frequency.csv: perplexity and top-3 by how frequent the target is in training;
    - positions.csv: the same by fifths of a document;
    - calibration.csv: how often the most probable token is right, by tenths of its p;
    - documents.csv: sums over each document, or over blocks of paragraphs where there is but one;
      intervals are made from them, and `nextword compare` reads them.

    Args:
        training: folder of the model to evaluate, as `train` wrote it.
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        baselines: folders of other trained models. A unigram model is always beside them, and an
            n-gram model alone and interpolated with the model.
        config: what else is measured and shown.

    Raises:
        InputError: a folder lacks its files, a model knows another vocabulary, or there is no text
            to predict.
    """
    explained = None if config.explanation is None else Explanation.load(config.explanation)
    changes = read_ablation(config.ablation) if config.ablation else ()
    models = named_models(training, *baselines)  # before anything slow, are there models at all?
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    texts = [open_split(tokens, split, vocabulary) for split in ("valid", "test")]
    if config.text:
        texts.append(read_text(config.text, vocabulary, text_column=config.text_column))
    evaluated = {name: digest([folder]) for name, folder in models.items()}  # as explain's
    if explained:
        _check_explained(explained, evaluated, config.explanation)
    for folder in models.values():
        check_same_ids(vocabulary, folder, tokens)
    (output / "models.json").write_text(json.dumps(evaluated, indent=2) + "\n", encoding="utf-8")

    words = Completions.of(vocabulary) if vocabulary.unit == "word" else None
    measured = _Measured(texts, words)
    for name, folder in models.items():
        ms = latency(folder, vocabulary, texts[0].stream)
        measured.add(name, load_model(folder, batch_size=LANES), latency_ms=ms)
    if config.cache:
        measured.add_cached(training, vocabulary, size=config.cache)
    train = open_stream(tokens / "train.npy")
    if config.ngram_order:
        measured.add_ngrams(train, order=config.ngram_order, vocabulary_size=len(vocabulary))
    measured.told["unigram"] = measured.read(unigram_meter(vocabulary, measured.find))
    _tell_of_few(texts)
    if config.text:
        measured.overlap = _tell_of_overlap(texts[2], train, config.text)

    metrics, tables = measured.results(vocabulary, words)
    for table, parts in tables.items():
        pd.concat(parts).convert_dtypes().to_csv(output / f"{table}.csv", index=False)
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    write_report(
        metrics,
        histories={name: folder / "history.csv" for name, folder in models.items()},
        training=training,
        tokens=tokens,
        unseen=texts[1],
        predictions=next(iter(measured.told.values()))["test"],
        output=output,
        explained=explained,
        ablation=changes,
    )


def _check_explained(
    explained: Explanation, evaluated: Mapping[str, str], explanation: Path | None
) -> None:
    for name, trained in explained.models.items():
        if evaluated.get(name) != trained:
            raise InputError(
                f"{explanation} explains another {name} than is evaluated: name its folder with "
                "--baseline, or run `nextword explain` again with --model for those that are."
            )


class _Measured:
    """What models predict of texts.

    Attributes:
        told: model → text → its predictions.
        numbers: model → what else there is to tell of it.
        find: see `Meter`.
        overlap: what there is to tell of the other text.
    """

    def __init__(self, texts: Sequence[Unseen], words: Completions | None):
        self.told: dict[str, dict[str, Predictions]] = {}
        self.numbers: dict[str, dict[str, float]] = {}
        self._texts, self.find = texts, words.find if words else None
        self.overlap: dict[str, float] = {}
        self._own: dict[str, Any] = {}  # the model that is evaluated, without and with a cache

    def read(self, meter: Meter) -> dict[str, Predictions]:
        return {unseen.name: meter.measure(unseen.stream) for unseen in self._texts}

    def add(self, name: str, model: Any, **numbers: float) -> None:
        """Measure what maps ids (B, T) to logits (B, T, V) and has `reset_states`."""
        self._own = self._own or {name: model}
        self.told[name] = self.read(Meter(model, reset=model.reset_states, find=self.find))
        self.numbers[name] = numbers

    def add_cached(self, training: Path, vocabulary: Vocabulary, *, size: int) -> None:
        """The first model with a cache that is tuned on the validation split."""
        ((name, model),) = self._own.items()
        stream = self._texts[0].stream
        chosen = tune(model, stream, size=size)
        cached = self._own[f"{name}_cache"] = CachedModel(model, chosen)
        numbers = {"cache_theta": chosen.theta, "cache_weight": chosen.weight}
        ms = latency(training, vocabulary, stream, cache=chosen)
        self.add(f"{name}_cache", cached, **numbers, latency_ms=ms)

    def add_ngrams(self, train: np.ndarray, *, order: int, vocabulary_size: int) -> None:
        """An n-gram model, and its mixtures, weighted on the validation split."""
        counted = spread(train, _COUNTED)
        if len(counted) < len(train):
            log.warning(
                "Kneser-Ney counts %s of %s training tokens, in %s blocks spread over them: more "
                "take too much memory.",
                *(f"{number:,}" for number in (len(counted), len(train), _PLACES)),
            )
        fitted = KneserNey.fit(counted, order=order, vocabulary_size=vocabulary_size)
        ngrams, name = NgramReader(fitted), f"kneser_ney_{order}"
        self.add(name, ngrams, counted_tokens=len(counted), training_tokens=len(train))
        for own, model in self._own.items():
            nats = np.stack([self.told[one]["valid"].nats for one in (own, name)])
            weights = find_weights(nats).tolist()
            mixture = Mixture((model, ngrams), weights)
            self.add(f"{own}_and_{name}", mixture, interpolation_weight=weights[0])

    def results(
        self, vocabulary: Vocabulary, words: Completions | None
    ) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, list[pd.DataFrame]]]:
        """Return text → model → metric, and the parts of each table by its name."""
        metrics: dict[str, dict[str, dict[str, float]]] = {}
        tables: dict[str, list[pd.DataFrame]] = {}
        for unseen in self._texts:
            metrics[unseen.name] = {}
            for name, predictions in self.told.items():
                of_model = predictions[unseen.name]
                metrics[unseen.name][name] = {
                    **score(of_model, unseen, vocabulary=vocabulary, words=words),
                    **self.numbers.get(name, {}),
                    **(self.overlap if unseen.name == "text" else {}),
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
        return metrics, tables


def spread(stream: np.ndarray, count: int) -> np.ndarray:
    """A stream, or where it has more than `count` tokens, some that stand all over it.

    They are the whole paragraphs of blocks that begin at even distances; of a block that holds no
    whole one, all of it.
    """
    if len(stream) <= count:
        return stream
    size, blocks = count // _PLACES, []
    for first in np.linspace(0, len(stream) - size, _PLACES).astype(int):
        block = np.asarray(stream[first : first + size])
        begins = np.flatnonzero(block == BEGIN_ID)
        blocks.append(block[begins[0] : begins[-1]] if len(begins) > 1 else block)
    return np.concatenate(blocks)


def _tell_of_few(texts: Sequence[Unseen]) -> None:
    """Warn where there are too few documents for narrow intervals."""
    units = {unseen.name: unseen.units() for unseen in texts}
    few = [f"{name} ({len(b) - 1} {unit}s)" for name, (unit, b) in units.items() if len(b) <= FEW]
    if few:
        log.warning(
            "Few documents make wide intervals: %s. With %d or more, they are narrower.",
            *(", ".join(few), FEW),
        )


def _tell_of_overlap(unseen: Unseen, train: np.ndarray, path: Path) -> dict[str, float]:
    """The share of a text that stands in training, with a warning where it is any."""
    share = share_in_training(unseen, train)
    if share:
        log.warning(
            "%.1f%% of the tokens of %s stand in training, in runs of %d and more: a perplexity "
            "over text that was trained on is no result.",
            *(100 * share, path, NGRAM),
        )
    return {"training_overlap": share}
