"""The model card that travels with a model (Mitchell et al. 2019).

Its head is the metadata that Hugging Face reads.
"""

import datetime
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.corpus import catalog
from pipeline.evaluation.evaluated_model import load_metrics, load_models
from pipeline.export.meant_words import WEIGHTS
from pipeline.limits import read_json
from pipeline.manifest import MANIFEST, digest
from pipeline.model.cache import Cache
from pipeline.model.config import ModelConfig
from pipeline.text.never import NO_WORDS, NeverSuggested
from pipeline.text.vocabulary import Vocabulary
from pipeline.text.word_lists import WORDFREQ
from pipeline.tokens.windows import open_stream

# The corpus that ships; its licence is CC0.
_SAMPLE = ("data", "sample")
_SAMPLE_LICENCE = "CC0 1.0"
_WORDFREQ = """\
- The lexicon has words and their frequencies from the Portuguese list of wordfreq {version}: Robyn
  Speer (2022), https://doi.org/10.5281/zenodo.7199437, CC BY-SA 4.0
  (https://creativecommons.org/licenses/by-sa/4.0/). Left out are words of the vocabulary and what
  is no word; the most frequent are kept."""
# What a model without and with a lexicon cannot suggest.
_LACKS = ("its vocabulary lacks", "neither its vocabulary nor its lexicon has")
_TRAINING = "- SHA-256 of its training, as in models.json of its evaluation: "
# Metrics that a card shows.
_METRICS = {
    "perplexity": "{:.1f}",
    "perplexity_per_word": "{:.1f}",
    "oov_rate": "{:.1%}",
    "top_1": "{:.1%}",
    "top_3": "{:.1%}",
    "top_3_words": "{:.1%}",
    "keystroke_savings": "{:.1%}",
    "lexicon_coverage": "{:.1%}",
    "tokens": "{:,}",
}
_CARD = """\
---
language: pt
{licence}
library_name: tensorflow
pipeline_tag: text-generation
tags:
- next-word-prediction
- savedmodel
- {cell}
{metrics}---

# A next-word model of Portuguese ({cell})

Given a text, it suggests the next word, completes the word that is being typed, scores texts, and \
goes on writing. Made by nextword-pt; its README documents the signatures.

## Corpus

{corpus}

## Model

{model}

## Measured

{measured}

## Limits

- It knows the words of its vocabulary and the language of its corpus, and no facts: what it writes
  reads like its corpus and means nothing. Do not rely on it, and do not pass it off as a person's.
- It repeats its corpus: names, prejudices and secrets in it can come out again. Do not give away a
  model of private text.
- It never suggests a word that {lacks}, and predicts poorly in a text
  full of words that its vocabulary lacks.

## Origin

{origin}
"""


def write_model_card(
    *,
    folder: Path,
    training: Path,
    evaluation: Path | None,
    cache: Cache | None,
    lexicon: Sequence[str] = (),
    never: NeverSuggested = NO_WORDS,
) -> None:
    """Write assets/model_card.md into the folder of a SavedModel.

    The corpus is found through the manifests of the earlier stages; what is not known is left out.

    Args:
        folder: of the SavedModel.
        training: folder that `train` wrote.
        evaluation: folder that `evaluate` wrote; figures of another model, another training,
            another cache or another lexicon are left out.
        cache: of the model, if any.
        lexicon: names of its word lists.
        never: the words that never come out; only their number is told.
    """
    config = ModelConfig.load(training / "model.json")
    vocabulary = Vocabulary.load(training / "vocabulary.tsv")
    tokens = _input_of(training, "tokens")
    corpora = _corpora_of(training)
    same = evaluation and _parameters(evaluation).get("lexicon", []) == [*lexicon]
    figures = _figures(evaluation, training, cache) if evaluation and same else {}
    words = folder / "assets" / "lexicon.tsv"
    described = [_model(config, vocabulary, cache), *_lexicon(words)]
    described += _never(never, [*vocabulary.displays, *_words_of(words)])
    card = _CARD.format(
        licence=_licence(corpora, lexicon),
        cell=config.cell,
        metrics="metrics:\n- perplexity\n- accuracy\n" if figures else "",
        corpus=_corpus(corpora, lexicon, tokens),
        model="\n".join(described),
        lacks=_LACKS[words.exists()],
        measured=_measured(figures),
        origin=_origin(folder, training),
    )
    (folder / "assets" / "model_card.md").write_text(card, encoding="utf-8")


def training_digest(folder: Path) -> str | None:
    """Read from the card of a SavedModel the digest of its training; None if it has none."""
    try:
        lines = (folder / "assets" / "model_card.md").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return next((ln.removeprefix(_TRAINING) for ln in lines if ln.startswith(_TRAINING)), None)


def _corpora_of(training: Path) -> list[str]:
    """Return the corpora that a model learned from, last its own; "" is one that is not known."""
    tokens = _input_of(training, "tokens")
    documents = _input_of(tokens, "documents") if tokens else None
    corpora = _parameters(documents).get("corpus", [""]) if documents else [""]
    if _parameters(training).get("init"):
        init = _input_of(training, "init")
        corpora = [*(_corpora_of(init) if init else [""]), *corpora]
    return list(dict.fromkeys(corpora))


def _licence(corpora: list[str], lexicon: Sequence[str]) -> str:
    licences = dict.fromkeys(map(_licence_of, corpora))
    if None in licences or not {*lexicon} <= {WORDFREQ}:
        return "license: unknown"
    if [*licences] == [_SAMPLE_LICENCE]:
        return "license: cc-by-sa-4.0" if lexicon else "license: cc0-1.0"
    licences |= {f"CC BY-SA 4.0 ({WORDFREQ})": None} if lexicon else {}
    return f"license: other\nlicense_name: {json.dumps('; '.join(map(str, licences)))}"


def _licence_of(name: str) -> str | None:
    corpus = _find(name)
    return corpus.licence if corpus else _SAMPLE_LICENCE if _is_sample(name) else None


def _find(name: str) -> catalog.Corpus | None:
    """Return the corpus of the catalogue that has a name, or that a data set is."""
    dataset = re.split("[@#]", name)[0]
    if not name or Path(name).exists():  # a folder of that name was read instead
        return None
    known = (c for c in catalog.corpora() if name == c.name or dataset == c.dataset)
    return next(known, None)


def _is_sample(name: str) -> bool:
    return Path(name).parts[-2:] == _SAMPLE


def _corpus(corpora: list[str], lexicon: Sequence[str], tokens: Path | None) -> str:
    lines = [_describe(name) for name in corpora]
    lines += [
        _WORDFREQ.format(version=_version(WORDFREQ))
        if name == WORDFREQ
        else f"- {Path(name).name}, a list of words for the lexicon: licence not known."
        for name in lexicon
    ]
    if tokens and (tokens / "train.documents.npy").exists():
        lines += ["", "| split | documents | tokens |", "|---|---|---|"]
        for split in ("train", "valid", "test"):
            documents = open_stream(tokens / f"{split}.documents.npy")
            stream = open_stream(tokens / f"{split}.npy")
            lines.append(f"| {split} | {len(documents):,} | {len(stream):,} |")
    return "\n".join(lines)


def _describe(name: str) -> str:
    if not name:
        return "- Not known."
    if corpus := _find(name):
        return f"- {corpus.title} ({corpus.source}): {corpus.licence}."
    if _is_sample(name):
        return "- The sample corpus of nextword-pt: public domain (CC0 1.0)."
    if name.startswith("hf:"):
        return f"- {name}: see its page for the licence."
    return f"- {Path(name).name}: licence not known."  # its folder is private


def _model(config: ModelConfig, vocabulary: Vocabulary, cache: Cache | None) -> str:
    sizes = f"{config.layers} × {config.units} units, embedding {config.embedding}"
    if config.mogrifier:
        sizes += f", Mogrifier of {config.mogrifier} rounds"
    if config.cell == "feedforward":
        sizes += f", sees the last {config.context} words"
    lines = [
        f"- {config.cell}, {sizes}, {'tied' if config.tied else 'untied'}, {config.softmax} "
        "softmax",
        f"- {len(vocabulary):,} {vocabulary.unit}s; case: {vocabulary.case}, numbers: "
        f"{vocabulary.numbers}",
    ]
    if cache:
        weights = f"θ = {cache.theta:g}, λ = {cache.weight:g}"
        lines.append(f"- a continuous cache of {cache.size} tokens, {weights}")
    return "\n".join(lines)


def _lexicon(path: Path) -> list[str]:
    if not path.exists():
        return []
    return [
        f"- {len(_words_of(path)):,} other words, each of which has its share of p(`<unk>`): the "
        "lexicon",
        f"- `correct` is sure of a word from a probability of {WEIGHTS.sure} on",
    ]


def _words_of(lexicon: Path) -> list[str]:
    if not lexicon.exists():
        return []
    return [line.split("\t")[0] for line in lexicon.read_text(encoding="utf-8").splitlines()]


def _never(never: NeverSuggested, words: Sequence[str]) -> list[str]:
    if not never:
        return []
    count = np.count_nonzero(never.covers(tf.constant(words)))
    return [
        f"- {count:,} of all these words never come out: they are not suggested, completed to, "
        "corrected to or generated; the figures below count them"
    ]


def _figures(
    evaluation: Path, training: Path, cache: Cache | None
) -> Mapping[str, Mapping[str, float]]:
    """Return the figures of this model with this cache, split → name → value, if measured."""
    files = [evaluation / name for name in ("models.json", "metrics.json")]
    if not all(file.exists() for file in files):
        return {}
    models, metrics = load_models(evaluation), load_metrics(evaluation)
    size = _parameters(evaluation).get("cache")
    # The first model is the one that was evaluated.
    if models[0].digest != digest([training]) or (cache and cache.size != size):
        return {}
    kind = "cache" if cache else "network"
    name = next((model.name for model in models if model.kind == kind), "")
    figures = {split: rows[name] for split, rows in metrics.items() if name in rows}
    for row in figures.values():
        chosen = (row.get("cache_theta"), row.get("cache_weight"))
        if cache and chosen != (cache.theta, cache.weight):
            return {}
    return figures


def _measured(figures: Mapping[str, Mapping[str, float]]) -> str:
    if not figures:
        return "This form of the model has not been measured."
    lines = ["| | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for name, form in _METRICS.items():
        cells = [form.format(row[name]) if name in row else "" for row in figures.values()]
        if any(cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", "These figures say little about other text."])


def _origin(folder: Path, training: Path) -> str:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    libraries = ("nextword-pt", "tensorflow", "keras")
    versions = ", ".join(f"{name} {_version(name)}" for name in libraries)
    lines = [f"- {today}, with {versions}", _TRAINING + digest([training])]
    weights = sorted((folder / "variables").glob("*.data-*"))
    for path in [*weights, folder / "assets" / "vocabulary.tsv"]:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"- SHA-256 of {path.relative_to(folder)}: {content}")
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    unreadable = f"{file} is damaged: run the stage that writes it again."
    if not file.exists():
        return {}
    manifest = read_json(file, unreadable=unreadable)
    if not (
        isinstance(manifest, dict)
        and isinstance(manifest.get("parameters"), dict)
        and isinstance(manifest.get("made"), str)
    ):
        raise InputError(unreadable)
    return manifest


def _parameters(folder: Path) -> dict[str, Any]:
    return _manifest(folder).get("parameters", {})


def _input_of(folder: Path, name: str) -> Path | None:
    """Return the folder that a stage read, or None if it is gone or was made again since."""
    read = Path(_parameters(folder).get(name) or "")
    made = _manifest(read).get("made") if read.name else None
    return read if made and made <= _manifest(folder)["made"] else None
