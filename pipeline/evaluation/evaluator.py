"""Measure networks, caches, n-grams and mixtures on the same texts."""

import logging
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline.evaluation.evaluated_model import EvaluatedModel
from pipeline.evaluation.held_out import HeldOutText
from pipeline.evaluation.keystrokes import SUGGESTIONS, Completions, mark_outside
from pipeline.evaluation.metrics import by_frequency, by_position, by_unit, calibration, score
from pipeline.evaluation.minimal_pairs import MinimalPairs, prefers_right
from pipeline.export.reader import Reader
from pipeline.export.saved_model import step_function
from pipeline.export.suggest import Words
from pipeline.model import dynamic
from pipeline.model.cache import Cache, CachedModel, WithoutAndWithCache, tune
from pipeline.model.interpolation import Mixture, find_weights
from pipeline.model.kneser_ney import KneserNey, NgramReader
from pipeline.model.language_model import load_model
from pipeline.model.meter import LANES, Meter, Predictions
from pipeline.model.unigram import unigram
from pipeline.text.lexicon import Lexicon
from pipeline.text.tokenizer import is_word, normalise
from pipeline.text.vocabulary import BEGIN_ID, Vocabulary
from pipeline.training.history import load_history

# Training tokens that n-grams are counted in, each of which takes about 170 bytes, and the number
# of blocks that they are taken from if there are more.
_COUNTED, _BLOCKS = 20_000_000, 1000
# Calls whose latency is measured, after as many that are not.
_TIMED, _WARMUP = 200, 20
# How a text is read by a model that learns from it: in the order of its words.
_IN_ORDER = {"batch_size": 1, "window": dynamic.WINDOW}

log = logging.getLogger(__name__)


class Evaluator:
    """Measure models on several texts.

    Args:
        texts: the validation split first; caches and mixtures are tuned on it.
        vocabulary: of all texts and models.
        lexicon: of words that all models suggest besides.
        pairs: minimal pairs that all models are asked.

    Attributes:
        predictions: model → name of the text → its predictions.
        constants: model → metrics that are the same on all texts.
        preferred: label of a model → `prefers_right`; empty without pairs.
    """

    def __init__(
        self,
        texts: Sequence[HeldOutText],
        vocabulary: Vocabulary,
        lexicon: Lexicon | None = None,
        pairs: MinimalPairs | None = None,
    ):
        self.predictions: dict[EvaluatedModel, dict[str, Predictions]] = {}
        self.constants: dict[EvaluatedModel, dict[str, float]] = {}
        self.preferred: dict[str, np.ndarray] = {}
        self._texts, self._vocabulary, self._pairs = texts, vocabulary, pairs
        self._lexicon = Lexicon.of(vocabulary) if lexicon is None else lexicon
        places = [self._lexicon.numbers(text.unknown) for text in texts]
        targets = np.unique(np.concatenate(places))
        targets = targets[targets >= 0]
        self._coverage = {
            text.name: _coverage(text, found) if self._lexicon else {}
            for text, found in zip(texts, places, strict=True)
        }
        self._streams = {
            text.name: mark_outside(text.stream, found, targets)
            for text, found in zip(texts, places, strict=True)
        }
        self._find = None
        if vocabulary.unit == "word":
            self._find = Completions.of(vocabulary, self._lexicon, targets.tolist()).find
        # The evaluated network as it is, with a cache, and learning: n-grams are mixed with each.
        # Those that learn read together.
        self._networks: dict[tuple[EvaluatedModel, ...], Any] = {}
        self._cache: Cache | None = None

    def add_network(self, model: EvaluatedModel, folder: Path) -> None:
        """Measure a trained network."""
        network = load_model(folder, batch_size=LANES)
        self._networks = self._networks or {(model,): network}
        numbers = {
            "latency_ms": step_latency(folder, self._lexicon, self._texts[0].stream),
            "parameters": sum(math.prod(v.shape) for v in network.trainable_variables),
            **_training_time(load_history(folder)),
        }
        self._add({model: numbers}, network)

    def add_cache(self, folder: Path, *, size: int) -> None:
        """Measure the first network, of a folder, with a cache of a number of tokens."""
        (((model,), network),) = self._networks.items()
        stream = self._texts[0].stream
        cache = self._cache = tune(network, stream, size=size)
        name = f"{model.name}_cache"
        described = EvaluatedModel(name, name, "cache", (model.name,))
        cached = self._networks[(described,)] = CachedModel(network, cache)
        ms = step_latency(folder, self._lexicon, stream, cache=cache)
        numbers = {"cache_theta": cache.theta, "cache_weight": cache.weight, "latency_ms": ms}
        self._add({described: numbers}, cached)

    def add_dynamic(self, folder: Path, train: np.ndarray) -> None:
        """Measure the first network, of a folder, while it learns from the texts that it reads.

        Where its cache was measured, also with that one.
        """
        (model,) = next(iter(self._networks))
        network = load_model(folder, batch_size=1)
        squares = dynamic.mean_squares(network, train)
        rates = dynamic.tune(network, squares, self._texts[0].stream)
        learning: Any = dynamic.DynamicModel(network, squares, rates)
        name = f"{model.name}_dynamic"
        described = [EvaluatedModel(name, name, "dynamic", (model.name,))]
        if self._cache:
            learning = WithoutAndWithCache(CachedModel(learning, self._cache))
            parts = (name, f"{model.name}_cache")
            described.append(EvaluatedModel(f"{name}_cache", f"{name}_cache", "dynamic", parts))
        self._networks[tuple(described)] = learning
        numbers = {"dynamic_step": rates.step, "dynamic_decay": rates.decay}
        self._add(dict.fromkeys(described, numbers), learning, learns=True)

    def add_ngrams(self, train: np.ndarray, *, order: int) -> None:
        """Measure an n-gram model, and its mixtures with the networks."""
        ngrams = EvaluatedModel(f"kneser_ney_{order}", f"Kneser-Ney {order}-gram", "ngrams")
        reader, counted = count_ngrams(train, order=order, vocabulary_size=len(self._vocabulary))
        numbers = {"counted_tokens": counted, "training_tokens": len(train)}
        self._add({ngrams: numbers}, reader)
        valid = self._texts[0].name
        for models, network in self._networks.items():
            weights = {}
            for model in models:
                nats = np.stack([self.predictions[part][valid].nats for part in (model, ngrams)])
                weights[model.mixed_with(ngrams)] = float(find_weights(nats)[0])
            mixed = {model: {"interpolation_weight": weight} for model, weight in weights.items()}
            mixture = Mixture(network, reader, [*weights.values()])
            self._add(mixed, mixture, learns=models[0].kind == "dynamic")

    def add_unigram(self) -> None:
        """Measure the model that predicts the same everywhere."""
        self._add({EvaluatedModel("unigram", "unigram", "unigram"): {}}, unigram(self._vocabulary))

    def _add(
        self,
        models: Mapping[EvaluatedModel, Mapping[str, float]],
        logits: Any,
        *,
        learns: bool = False,
    ) -> None:
        """Measure a model, or several that read together.

        Args:
            models: with their `constants`.
            logits: maps ids (B, T) to their logits, with `reset_states` if needed; see `Meter`.
            learns: read texts in order, in one lane.
        """
        meter = Meter(logits, find=self._find)
        reading = _IN_ORDER if learns else {}
        measured = {
            name: meter.measure_each(stream, **reading) for name, stream in self._streams.items()
        }
        for place, (model, numbers) in enumerate(models.items()):
            self.predictions[model] = {name: each[place] for name, each in measured.items()}
            self.constants[model] = {**numbers}
        # A model that learns is the network itself at the beginning of a text, so in all of pairs.
        if self._pairs and not learns:
            (model,) = models
            self.preferred[model.label] = prefers_right(meter, self._pairs)

    def results(
        self, overlap: Mapping[str, float]
    ) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, pd.DataFrame]]:
        """Return text → model → metric → value, and name → table; `overlap` is of other text."""
        metrics: dict[str, dict[str, dict[str, float]]] = {}
        tables: dict[str, list[pd.DataFrame]] = {}
        for text in self._texts:
            metrics[text.name] = {}
            for model, by_text in self.predictions.items():
                predictions = by_text[text.name]
                metrics[text.name][model.name] = {
                    **score(predictions, text, vocabulary=self._vocabulary),
                    **self.constants[model],
                    **self._coverage[text.name],
                    **(overlap if text.name == "text" else {}),
                }
                for name, rows in {
                    "frequency": by_frequency(predictions, self._vocabulary),
                    "positions": by_position(predictions, text.documents),
                    "calibration": calibration(predictions),
                    "documents": by_unit(predictions, text, vocabulary=self._vocabulary),
                }.items():
                    rows.insert(0, "model", model.name)
                    rows.insert(0, "split", text.name)
                    tables.setdefault(name, []).append(rows)
        return metrics, {name: pd.concat(rows).convert_dtypes() for name, rows in tables.items()}


def _coverage(text: HeldOutText, places: np.ndarray) -> dict[str, float]:
    """Compute the share of a text's unknown words that a lexicon has; empty if there are none.

    Args:
        text: with its unknown tokens.
        places: `Lexicon.numbers` of these tokens.
    """
    lowered = normalise(tf.constant([*text.unknown], tf.string), case="fold", numbers="keep")
    words = is_word(lowered).numpy()
    return {"lexicon_coverage": float((places[words] >= 0).mean())} if words.any() else {}


def _training_time(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return how long a training took on all cores; empty where it was not measured."""
    if "cpu_seconds" not in history[0]:
        return {}
    return {"training_cpu_seconds": sum(row["cpu_seconds"] for row in history)}


def count_ngrams(train: np.ndarray, *, order: int, vocabulary_size: int) -> tuple[NgramReader, int]:
    """Fit a Kneser-Ney model; return it and the number of training tokens that it has counted."""
    counted = subsample(train, _COUNTED)
    if len(counted) < len(train):
        log.warning(
            "Kneser-Ney counts %s of %s training tokens, in %s blocks spread over them: more "
            "take too much memory.",
            *(f"{number:,}" for number in (len(counted), len(train), _BLOCKS)),
        )
    fitted = KneserNey.fit(counted, order=order, vocabulary_size=vocabulary_size)
    return NgramReader(fitted), len(counted)


def step_latency(
    folder: Path, lexicon: Lexicon, stream: np.ndarray, *, cache: Cache | None = None
) -> float:
    """Measure the median milliseconds of a call of the exported `step` on this machine.

    A call reads one word of one text after a state, and returns three suggestions and the new
    state. It is called in this process, so the time of a server is not included.
    """
    vocabulary = lexicon.vocabulary
    reader = Reader(load_model(folder), vocabulary, cache=cache)
    step = step_function(reader, Words(reader, lexicon, suggestions=SUGGESTIONS))
    spellings = vocabulary.spellings()
    words = [spellings[i] for i in stream[: _WARMUP + _TIMED] if i > BEGIN_ID] or ["."]
    state = tf.zeros((1, reader.state_size))
    seconds = []
    for place in range(_WARMUP + _TIMED):
        text = tf.constant([words[place % len(words)]])
        start = time.perf_counter()
        answer = step(text, state)
        answer["words"].numpy()
        seconds.append(time.perf_counter() - start)
        state = answer["state"]
    return 1000 * statistics.median(seconds[_WARMUP:])


def subsample(stream: np.ndarray, count: int) -> np.ndarray:
    """Select about `count` tokens from all over a stream, or all of a shorter one.

    They are the whole paragraphs of evenly spaced blocks; of a block without a whole paragraph,
    all tokens.
    """
    if len(stream) <= count:
        return stream
    size, blocks = count // _BLOCKS, []
    for first in np.linspace(0, len(stream) - size, _BLOCKS).astype(int):
        block = np.asarray(stream[first : first + size])
        begins = np.flatnonzero(block == BEGIN_ID)
        blocks.append(block[begins[0] : begins[-1]] if len(begins) > 1 else block)
    return np.concatenate(blocks)
