"""What to know of a model before using it: a card that travels with it.

Mitchell et al. 2019, "Model Cards for Model Reporting"; the head is what Hugging Face reads.
"""

import datetime
import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.corpus import catalog
from pipeline.manifest import MANIFEST, digest
from pipeline.model.cache import Cache
from pipeline.model.config import ModelConfig
from pipeline.text.vocabulary import Vocabulary

_SPLITS = ("train", "valid", "test")
# The corpus that ships, and its licence as Hugging Face writes it.
_SAMPLE, _SAMPLE_LICENCE = ("data", "sample"), "cc0-1.0"
_LIBRARIES = ("nextword-pt", "tensorflow", "keras")
# Figures of metrics.json that a card shows.
_FIGURES = {
    "perplexity": "{:.1f}",
    "perplexity_per_word": "{:.1f}",
    "oov_rate": "{:.1%}",
    "top_1": "{:.1%}",
    "top_3": "{:.1%}",
    "top_3_words": "{:.1%}",
    "keystroke_savings": "{:.1%}",
    "tokens": "{:,}",
}
_NOT_MEASURED = "This form of the model has not been measured.\n"
_LIMITS = """\
- It knows the words of its vocabulary and the language of its corpus, and no facts: what it writes
  reads like its corpus and means nothing. Do not rely on it, and do not pass it off as a person's.
- It repeats its corpus: what stood in it, names, prejudices, secrets, can come out again. Do not
  give away a model of private text.
- Words that its vocabulary lacks are never suggested, and a text that is full of them tells it
  little.
"""


def write_model_card(
    *, folder: Path, training: Path, evaluation: Path | None, cache: Cache | None
) -> None:
    """Write assets/model_card.md into the folder of a SavedModel.

    What is not known is left out. The text that a model was trained on is what the manifests of the
    stages before it name.

    Args:
        folder: holds the SavedModel.
        training: folder that `train` wrote.
        evaluation: folder that `evaluate` wrote; figures of another model, of another training, or
            of another cache, are left out.
        cache: the model's, if any.
    """
    config = ModelConfig.load(training / "model.json")
    vocabulary = Vocabulary.load(training / "vocabulary.tsv")
    tokens = _read_by(training, "tokens")
    documents = _read_by(tokens, "documents") if tokens else None
    names = _parameters(documents).get("corpus", []) if documents else []
    figures = _figures(evaluation, training, cache) if evaluation else {}
    sections = [
        _head(config, names, measured=bool(figures)),
        f"# A next-word model of Portuguese ({config.cell})\n\n"
        "Given a text, it suggests the next word, completes the word that is being typed, scores "
        "texts, and goes on writing. Made by nextword-pt; its README documents the signatures.\n",
        "## Corpus\n\n" + _corpus(names, tokens),
        "## Model\n\n" + _model(config, vocabulary, cache),
        "## Measured\n\n" + (_measured(figures) if figures else _NOT_MEASURED),
        "## Limits\n\n" + _LIMITS,
        "## Origin\n\n" + _origin(folder),
    ]
    (folder / "assets" / "model_card.md").write_text("\n".join(sections), encoding="utf-8")


def _head(config: ModelConfig, names: list[str], *, measured: bool) -> str:
    lines = ["language: pt", *_licence(names), "library_name: tensorflow"]
    lines += ["pipeline_tag: text-generation", "tags:"]
    lines += [f"- {tag}" for tag in ("next-word-prediction", "savedmodel", config.cell)]
    if measured:
        lines += ["metrics:", "- perplexity", "- accuracy"]
    return "\n".join(["---", *lines, "---", ""])


def _licence(names: list[str]) -> list[str]:
    """Of the corpus, as far as it is known."""
    if names and all(_is_sample(name) for name in names):
        return [f"license: {_SAMPLE_LICENCE}"]
    found = [catalog.find(name) for name in names]
    if found and all(found):
        licences = dict.fromkeys(corpus.licence for corpus in found if corpus)
        return ["license: other", f"license_name: {json.dumps('; '.join(licences))}"]
    return ["license: unknown"]


def _is_sample(name: str) -> bool:
    return Path(name).parts[-2:] == _SAMPLE


def _corpus(names: list[str], tokens: Path | None) -> str:
    lines = []
    for name in names:
        corpus = catalog.find(name)
        if corpus:
            lines.append(f"- {corpus.title} ({corpus.source}): {corpus.licence}.")
        elif _is_sample(name):
            lines.append("- The sample corpus of nextword-pt: public domain (CC0 1.0).")
        elif name.startswith("hf:"):
            lines.append(f"- {name}: see its page for the licence.")
        else:  # where it stood is nobody's business
            lines.append(f"- {Path(name).name}: licence not known.")
    if not names:
        lines.append("- Not known.")
    if tokens and (tokens / "train.documents.npy").exists():
        lines += ["", "| split | documents | tokens |", "|---|---|---|"]
        for split in _SPLITS:
            counts = [
                len(np.load(tokens / name, mmap_mode="r"))
                for name in (f"{split}.documents.npy", f"{split}.npy")
            ]
            lines.append(f"| {split} | {counts[0]:,} | {counts[1]:,} |")
    return "\n".join(lines) + "\n"


def _model(config: ModelConfig, vocabulary: Vocabulary, cache: Cache | None) -> str:
    of_cell = f"{config.layers} × {config.units} units, embedding {config.embedding}"
    if config.mogrifier:
        of_cell += f", Mogrifier of {config.mogrifier} rounds"
    if config.cell == "feedforward":
        of_cell += f", sees the last {config.context} words"
    lines = [
        f"- {config.cell}, {of_cell}, {'tied' if config.tied else 'untied'}, {config.softmax} "
        "softmax",
        f"- {len(vocabulary):,} {vocabulary.unit}s; case: {vocabulary.case}, numbers: "
        f"{vocabulary.numbers}",
    ]
    if cache:
        weights = f"θ = {cache.theta:g}, λ = {cache.weight:g}"
        lines.append(f"- a continuous cache of {cache.size} tokens, {weights}")
    return "\n".join(lines) + "\n"


def _figures(evaluation: Path, training: Path, cache: Cache | None) -> dict[str, dict[str, float]]:
    """What metrics.json says of the model of a folder, with such a cache: split → figure."""
    try:
        models = json.loads((evaluation / "models.json").read_text(encoding="utf-8"))
        metrics = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
    if models[0]["digest"] != digest([training]):  # the first is the one that was evaluated
        return {}
    if cache is None:
        return {split: of[models[0]["name"]] for split, of in metrics.items()}
    if _parameters(evaluation).get("cache") != cache.size:
        return {}
    name = next(model["name"] for model in models if model["kind"] == "cache")
    cached = {split: of[name] for split, of in metrics.items()}
    tuned = (cache.theta, cache.weight)
    alike = all((of["cache_theta"], of["cache_weight"]) == tuned for of in cached.values())
    return cached if alike else {}


def _measured(figures: dict[str, dict[str, float]]) -> str:
    rows = {name: [of.get(name) for of in figures.values()] for name in _FIGURES}
    lines = ["| | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for name, values in rows.items():
        if any(value is not None for value in values):
            shown = ["" if v is None else _FIGURES[name].format(v) for v in values]
            lines.append(f"| {name} | " + " | ".join(shown) + " |")
    lines += ["", "Of other text these figures tell little."]
    return "\n".join(lines) + "\n"


def _origin(folder: Path) -> str:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)
    lines = [f"- {today}, with {versions}"]
    for path in [
        *sorted((folder / "variables").glob("*.data-*")),
        folder / "assets/vocabulary.tsv",
    ]:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"- SHA-256 of {path.relative_to(folder)}: {content}")
    return "\n".join(lines) + "\n"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # run from its folder, not installed
        return "(not installed)"


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except OSError:
        return {}


def _read_by(folder: Path, name: str) -> Path | None:
    """The folder that a stage read, as it was then; None if it is gone, or made anew since."""
    read = Path(_parameters(folder).get(name) or "")
    made = _manifest(read).get("made") if read.name else None
    return read if made and made <= _manifest(folder)["made"] else None


def _parameters(folder: Path) -> dict[str, Any]:
    return _manifest(folder).get("parameters", {})
