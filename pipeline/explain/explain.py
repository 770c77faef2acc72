"""The stage that shows what models remember, and what they cannot."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich
import rich.box
import rich.table
import tensorflow as tf
from rich.markup import escape

from pipeline import InputError
from pipeline.explain.config import ExplanationConfig, SweepConfig
from pipeline.explain.figures import draw_cuts, draw_reach, draw_windows, draw_word
from pipeline.explain.gradient_flow import Reach, gradient_reach
from pipeline.explain.truncated_context import Cuts, cut_context
from pipeline.explain.window_sweep import perplexity_by_window, tokens_of_update
from pipeline.manifest import digest
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import load_model, named_models
from pipeline.text.tokenizer import BREAK, Tokenizer, is_word, open_paragraph, tokenize
from pipeline.text.vocabulary import BEGIN, UNKNOWN, UNKNOWN_ID, Vocabulary, check_same_ids
from pipeline.tokens.windows import open_stream

# Tokens of a sentence whose figures can still be read.
_LONGEST = 40
# Distances t − j of the printed table.
_SHOWN = (1, 2, 3, 5, 10, 20, 50, 100, 200)
# A gradient that has vanished, beside the one at t − j = 0.
_VANISHED = 0.01


def explain(
    tokens: Path,
    output: Path,
    *,
    models: Sequence[Path],
    config: ExplanationConfig,
    sweep: SweepConfig,
) -> None:
    """Write explanation.json and figures/*.png: what trained models remember of real text.

    They show the gradient flow on the validation split, what becomes of the words of a sentence
    when the context is cut, and, if asked for, perplexity by the window T.

    Args:
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        models: folders that `train` wrote.
        config: what is looked at in them.
        sweep: trainings with several windows, of each recurrence of `models`.

    Raises:
        InputError: a folder lacks its files, a model knows another vocabulary, or the sentence
            is empty or too long for a figure.
        Interrupted: SIGINT or SIGTERM came while a model was trained.
    """
    names = named_models(*models)
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    stream = open_stream(tokens / "valid.npy")
    for folder in models:
        check_same_ids(vocabulary, folder, tokens)
    ids, words, place = _read(config.sentence, vocabulary)
    tokens_of_update(sweep)

    reaches: dict[str, Reach] = {}
    cuts: dict[str, Cuts] = {}
    for name, folder in names.items():
        model = load_model(folder)
        reaches[name] = gradient_reach(model, stream, steps=config.steps, samples=config.samples)
        cuts[name] = cut_context(model, ids)

    figures = output / "figures"
    figures.mkdir()
    draw_reach(reaches, figures / "gradient_reach.png")
    draw_word(cuts, words, place, figures / "context_last_word.png")
    for name, found in cuts.items():
        path = figures / f"context_{re.sub(r'[^a-z0-9_-]+', '_', name)}.png"
        draw_cuts(name, found, words[1:], path)
    trained = None
    known = [ModelConfig.load(folder / "model.json").cell for folder in models]
    cells = [cell for cell in dict.fromkeys(known) if cell != "feedforward"]
    if sweep.windows and cells:
        trained = perplexity_by_window(tokens, output, cells=cells, sweep=sweep)
        draw_windows(trained["perplexity"], _budget_in_words(trained), figures / "windows.png")

    explanation = {
        # Digests: the report must not show the memory of one model as another's.
        "models": {name: digest([folder]) for name, folder in names.items()},
        "reach": {name: _reach_in_numbers(reach) for name, reach in reaches.items()},
        "windows": trained,
        "context": {
            "sentence": config.sentence,
            "words": words[1:],
            "place": place,
            "models": {
                name: _cuts_in_numbers(found, place, vocabulary) for name, found in cuts.items()
            },
        },
    }
    with (output / "explanation.json").open("w", encoding="utf-8") as file:
        json.dump(explanation, file, ensure_ascii=False, indent=1, allow_nan=False)


def _read(sentence: str, vocabulary: Vocabulary) -> tuple[np.ndarray, list[str], int]:
    """The ids of a sentence, `<s>` first, and what to call them in figures.

    Third comes the place of its last word, counted from the token after `<s>`.
    """
    text = tf.constant([sentence])
    ids = Tokenizer(vocabulary)(text).values.numpy()
    if not 2 <= len(ids) <= _LONGEST + 1:
        raise InputError(
            f"The sentence {sentence[:60]!r} has {len(ids) - 1} tokens: give a --sentence with 1 "
            f"to {_LONGEST}, so that the figures can be read."
        )
    if vocabulary.unit == "subword":
        written = [vocabulary.spellings()[i] for i in ids]
    else:
        written = [token.decode() for token in tokenize(open_paragraph(text)).values.numpy()]
    words = [BEGIN if token == BREAK else token for token in written]
    unknown = ids == UNKNOWN_ID
    # A full stop may follow the last word.
    place = max(np.flatnonzero(is_word(words[1:]).numpy()), default=len(words) - 2)
    words = [f"{w} {UNKNOWN}" if u else w for w, u in zip(words, unknown, strict=True)]
    return ids, words, int(place)


def _budget_in_words(budget: Mapping[str, int]) -> str:
    return (
        f"{budget['epochs']} epochs of {budget['training_tokens']:,} tokens, "
        f"{budget['tokens_of_an_update']:,} an update"
    )


def _reach_in_numbers(reach: Reach) -> dict[str, Any]:
    mean = reach.state.mean(axis=0) / reach.h[:, 0].mean()
    left = np.flatnonzero(mean >= _VANISHED)
    vanished = int(left[-1]) + 1 if len(left) else 0
    return {
        "samples": len(reach.h),
        "vanished_after": vanished if vanished < len(mean) else None,
        **{
            by: {"mean": norms.mean(axis=0).tolist(), "median": np.median(norms, axis=0).tolist()}
            for by, norms in (("h", reach.h), ("state", reach.state))
        },
    }


def _cuts_in_numbers(cuts: Cuts, place: int, vocabulary: Vocabulary) -> dict[str, Any]:
    """The predictions as rows without NaN: of the k-th the first token is the k-th."""
    display = [d or t for d, t in zip(vocabulary.displays, vocabulary.tokens, strict=True)]
    return {
        "probabilities": [row[k:].tolist() for k, row in enumerate(cuts.probabilities)],
        "ranks": [row[k:].tolist() for k, row in enumerate(cuts.ranks)],
        "likeliest": [[display[i] for i in row] for row in cuts.likeliest[: place + 1, place]],
    }


def print_explanation(explanation: Mapping[str, Any]) -> None:
    """Print what `explain` wrote to the terminal."""
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
            f"Validation perplexity by window T; {_budget_in_words(explanation['windows'])}",
            ["cell", *windows],
            [[c, *(f"{v:.1f}" for v in values.values())] for c, values in perplexities.items()],
        )

    context = explanation["context"]
    place, words, models = context["place"], context["words"], context["models"]
    before = [BEGIN, *words]
    rows = []
    for k in range(1, place + 2):
        rows.append([str(k), before[place + 1 - k]])
        for found in models.values():
            p, rank = (found[key][k - 1][place + 1 - k] for key in ("probabilities", "ranks"))
            rows[-1].append(f"{p:6.1%} {rank:>4}. {found['likeliest'][k - 1][0]}")
    title = f"«{words[place]}» by the tokens that are read: probability, rank, and what is first"
    _print(title, ["", "from", *models], rows)


def _print(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    rich.print(f"[bold]{escape(title)}[/]")
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=0)
    for heading in headings:
        table.add_column(f"{heading} ")
    for row in rows:
        table.add_row(*map(escape, row))
    rich.print(table)
