"""The stage that shows what models remember, and what they forget."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rich
import rich.box
import rich.table
import tensorflow as tf
from rich.markup import escape

from pipeline import InputError
from pipeline.evaluation.evaluator import count_ngrams
from pipeline.evaluation.minimal_pairs import (
    MinimalPairs,
    count_right,
    group_by_window,
    prefers_right,
    print_counts,
    read_pairs,
)
from pipeline.evaluation.report import figures, lecture
from pipeline.evaluation.report.agreement import by_distance, has_distances
from pipeline.evaluation.report.drawing import looks, save_png
from pipeline.evaluation.report.explanation import by_context
from pipeline.evaluation.report.language import ENGLISH
from pipeline.evaluation.report.wording import training_size
from pipeline.explain.config import ExplanationConfig, WindowSweepConfig
from pipeline.explain.gradient_flow import GradientFlow, gradient_flow
from pipeline.explain.truncated_context import TruncatedPredictions, truncate_context
from pipeline.explain.unrolled_gradient import unrolled_gradient
from pipeline.explain.window_sweep import perplexity_by_window, tokens_of_update
from pipeline.manifest import digest
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import load_model, named_models
from pipeline.model.meter import LANES, Meter
from pipeline.model.unigram import unigram
from pipeline.text.tokenizer import BREAK, Tokenizer, is_word, open_paragraph, tokenize
from pipeline.text.vocabulary import BEGIN, UNKNOWN, UNKNOWN_ID, Vocabulary, check_same_ids
from pipeline.tokens.windows import open_stream

# Tokens of a sentence whose figures are legible.
_LONGEST = 40
# Distances t − j of the printed table.
_SHOWN = (1, 2, 3, 5, 10, 20, 50, 100, 200)
# Share of the gradient at t − j = 0 below which it counts as vanished.
_VANISHED = 0.01


def explain(
    tokens: Path,
    output: Path,
    *,
    models: Sequence[Path],
    config: ExplanationConfig,
    sweep: WindowSweepConfig = WindowSweepConfig(),
) -> None:
    """Write explanation.json and figures/*.png: what trained models remember of real text.

    They show the gradient flow on the validation split, what each step of a sentence adds to the
    gradient of its last word, the predictions of its words from truncated contexts, how often
    models prefer the right form of minimal pairs, and, if asked for, perplexity by the window T.

    Args:
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        models: folders that `train` wrote.
        config: what is looked at in them.
        sweep: trainings with several windows, of each recurrence of `models`.

    Raises:
        InputError: a folder lacks its files, a model knows another vocabulary, the sentence is
            empty or too long for a figure, or there are no minimal pairs in their file.
        Interrupted: SIGINT or SIGTERM came while a model was trained.
    """
    names = named_models(*models)
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    for folder in models:
        check_same_ids(vocabulary, folder, tokens)
    stream = open_stream(tokens / "valid.npy", below=len(vocabulary))
    ids, words, place = _read(config.sentence, vocabulary)
    tokens_of_update(sweep)

    reach: dict[str, dict[str, Any]] = {}
    unrolled: dict[str, dict[str, list[float]]] = {}
    predictions: dict[str, dict[str, Any]] = {}
    for name, folder in names.items():
        model = load_model(folder)
        flow = gradient_flow(model, stream, steps=config.steps, samples=config.samples)
        reach[name] = _flow_in_numbers(flow)
        if model.config.cell != "feedforward":  # which has no recurrent weights
            gradient = unrolled_gradient(model, ids[: place + 2])
            unrolled[name] = {key: values.tolist() for key, values in vars(gradient).items()}
        truncated = truncate_context(model, ids)
        predictions[name] = _predictions_in_numbers(truncated, place, vocabulary)
    trained = None
    known = [ModelConfig.load(folder / "model.json").cell for folder in models]
    cells = [cell for cell in dict.fromkeys(known) if cell != "feedforward"]
    if sweep.windows and cells:
        trained = perplexity_by_window(tokens, output, cells=cells, sweep=sweep)

    agreement = None
    if config.pairs:
        pairs = read_pairs(config.pairs, vocabulary)
        others = _counted_models(tokens, vocabulary, order=config.ngram_order)
        agreement = _agreement(pairs, models=names, others=others)

    explanation = {
        # Digests: the report must not show the memory of one model as another's.
        "models": {name: digest([folder]) for name, folder in names.items()},
        "reach": reach,
        "unrolled": unrolled,
        "windows": trained,
        "context": {
            "sentence": config.sentence,
            "words": words,
            "place": place,
            "models": predictions,
        },
        "agreement": agreement,
    }
    with (output / "explanation.json").open("w", encoding="utf-8") as file:
        json.dump(explanation, file, ensure_ascii=False, indent=1, allow_nan=False)
    _save_figures(explanation, output / "figures")


def _read(sentence: str, vocabulary: Vocabulary) -> tuple[np.ndarray, list[str], int]:
    """Encode a sentence.

    Returns:
        Its ids, `<s>` first; its tokens as figures show them, without `<s>`; and the index of its
        last word among them.
    """
    text = tf.constant([sentence])
    ids = Tokenizer(vocabulary)(text).values.numpy()
    if not 2 <= len(ids) <= _LONGEST + 1:
        raise InputError(
            f"The sentence {sentence[:60]!r} has {len(ids) - 1} tokens: give a --sentence with 1 "
            f"to {_LONGEST}, so that the figures are legible."
        )
    if vocabulary.unit == "subword":
        written = [vocabulary.spellings()[i] for i in ids]
    else:
        written = [token.decode() for token in tokenize(open_paragraph(text)).values.numpy()]
    words = [BEGIN if token == BREAK else token for token in written][1:]
    # A full stop may follow the last word.
    place = max(np.flatnonzero(is_word(words).numpy()), default=len(words) - 1)
    unknown = ids[1:] == UNKNOWN_ID
    words = [f"{w} {UNKNOWN}" if u else w for w, u in zip(words, unknown, strict=True)]
    return ids, words, int(place)


def _flow_in_numbers(flow: GradientFlow) -> dict[str, Any]:
    mean = flow.state.mean(axis=0) / flow.h[:, 0].mean()
    vanished = int(np.flatnonzero(mean >= _VANISHED)[-1]) + 1
    return {
        "vanished_after": vanished if vanished < len(mean) else None,
        **{
            by: {"mean": norms.mean(axis=0).tolist(), "median": np.median(norms, axis=0).tolist()}
            for by, norms in (("h", flow.h), ("state", flow.state))
        },
    }


def _predictions_in_numbers(
    predictions: TruncatedPredictions, place: int, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Convert to rows without NaN, so that row k begins with token k."""
    display = [d or t for d, t in zip(vocabulary.displays, vocabulary.tokens, strict=True)]
    return {
        "probabilities": [row[k:].tolist() for k, row in enumerate(predictions.probabilities)],
        "ranks": [row[k:].tolist() for k, row in enumerate(predictions.ranks)],
        "likeliest": [display[i] for i in predictions.likeliest[: place + 1, place]],
    }


def _counted_models(tokens: Path, vocabulary: Vocabulary, *, order: int) -> dict[str, Any]:
    """Return an n-gram model, unless `order` is 0, and a unigram model by their labels."""
    models: dict[str, Any] = {}
    if order:
        size = len(vocabulary)
        train = open_stream(tokens / "train.npy", below=size)
        models[f"Kneser-Ney {order}-gram"], _ = count_ngrams(
            train, order=order, vocabulary_size=size
        )
    return {**models, "unigram": unigram(vocabulary)}


def _agreement(
    pairs: MinimalPairs, *, models: Mapping[str, Path], others: Mapping[str, Any]
) -> dict[str, Any]:
    """Ask networks, and other models that read ids, which form of each pair they prefer."""
    networks = {name: load_model(folder, batch_size=LANES) for name, folder in models.items()}
    preferred = {
        name: prefers_right(Meter(logits), pairs) for name, logits in {**networks, **others}.items()
    }
    # How far back a feedforward model sees.
    configs = (network.config for network in networks.values())
    window = min((c.context for c in configs if c.cell == "feedforward"), default=None)
    if window:
        pairs = group_by_window(pairs, window)
    return {"window": window, "counts": count_right(pairs, preferred).to_dict("records")}


def _save_figures(explanation: Mapping[str, Any], folder: Path) -> None:
    folder.mkdir()
    context = explanation["context"]
    look = looks([*explanation["models"]])
    charts = {
        "gradient_reach": figures.gradient_flow(explanation["reach"], look, ENGLISH, detailed=True),
        "context_last_word": figures.word_by_context(context, look, ENGLISH, detailed=True),
    }
    if explanation["unrolled"]:
        charts["unrolled"] = lecture.unrolled(explanation["unrolled"], context, look, ENGLISH)
        charts["left_out"] = lecture.left_out(explanation["unrolled"], look, ENGLISH)
    for name, model in context["models"].items():
        chart = figures.heat_map(name, model["probabilities"], context["words"], ENGLISH)
        charts[f"context_{re.sub(r'[^a-z0-9_-]+', '_', name)}"] = chart
    agreement = explanation["agreement"]
    if agreement and has_distances(agreement):
        charts["agreement"] = by_distance(agreement, look, ENGLISH, detailed=True)
    if explanation["windows"]:
        charts["windows"] = figures.windows(explanation["windows"], look, ENGLISH, detailed=True)
    for name, chart in charts.items():
        save_png(chart, folder / f"{name}.png")


def print_explanation(explanation: Mapping[str, Any]) -> None:
    """Print the tables of explanation.json to the terminal."""
    reaches = explanation["reach"]
    farthest = len(next(iter(reaches.values()))["h"]["mean"]) - 1
    rows = []
    for distance in (d for d in _SHOWN if d <= farthest):
        left = (r["state"]["mean"][distance] / r["h"]["mean"][0] for r in reaches.values())
        rows.append([f"{distance}", *(f"{share:.1e}" if share else "0" for share in left)])
    after = (r["vanished_after"] or f"more than {farthest}" for r in reaches.values())
    rows.append([f"below {_VANISHED:.0%} from", *map(str, after)])
    title = "Steps back, and what is left of the gradient: mean ‖∂E_t/∂s_j‖ / mean ‖∂E_t/∂h_t‖"
    _print(title, ["t − j", *reaches], rows)

    if explanation["windows"]:
        perplexities = explanation["windows"]["perplexity"]
        windows = list(next(iter(perplexities.values())))
        _print(
            f"Validation perplexity by window T; {training_size(explanation['windows'], ENGLISH)}",
            ["cell", *windows],
            [[c, *(f"{v:.1f}" for v in values.values())] for c, values in perplexities.items()],
        )

    if explanation["agreement"]:
        print_counts(pd.DataFrame(explanation["agreement"]["counts"]))

    context = explanation["context"]
    place, words, models = context["place"], context["words"], context["models"]
    rows = [[str(k), word] for k, word in enumerate([BEGIN, *words][place::-1], start=1)]
    for model in models.values():
        columns = (by_context(model[key], place) for key in ("probabilities", "ranks"))
        for row, p, rank, best in zip(rows, *columns, model["likeliest"], strict=True):
            row.append(f"{p:6.1%} {rank:>4}. {best}")
    title = f"«{words[place]}» by the tokens that are read: probability, rank, and what is first"
    _print(title, ["", "from", *models], rows)
    if explanation["unrolled"]:
        _print_unrolled(explanation["unrolled"], context)


def _print_unrolled(unrolled: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    place, words = context["place"], context["words"]
    rows = [[str(back), word] for back, word in enumerate([BEGIN, *words][place::-1], start=1)]
    for terms in unrolled.values():
        for row, share, left_out in zip(
            rows, terms["shares"][::-1], terms["left_out"], strict=True
        ):
            row.append(f"{share:7.1%} {left_out:7.1%}")
    title = (
        f"The gradient of «{words[place]}»: the share of the T-th step back, and what truncation "
        "after T steps leaves out"
    )
    _print(title, ["T", "reads", *unrolled], rows)


def _print(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    rich.print(f"[bold]{escape(title)}[/]")
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=0)
    for heading in headings:
        table.add_column(f"{escape(heading)} ")
    for row in rows:
        table.add_row(*map(escape, row))
    rich.print(table)
