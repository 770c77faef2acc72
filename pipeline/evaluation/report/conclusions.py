"""What the numbers say, in sentences made from them and never by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.evaluation.report.wording import chance, change, label, number, percent, power

Models = Mapping[str, Mapping[str, float]]


def _between(values: Mapping[str, float], metric: str, show: Any) -> str:
    low, high = (values.get(f"{metric}_{end}") for end in ("low", "high"))
    return "" if low is None else f" (95% interval {show(low)} to {show(high)})"


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def in_short(models: Models, split: str) -> list[str]:
    """The first model of a split against the others: perplexity, suggestions, keys, time."""
    (main, mine), *others = models.items()
    perplexity = mine["perplexity"]
    mixed = {n: v for n, v in others if n.startswith(f"{main}_and_")}
    others = [(name, values) for name, values in others if name not in mixed]
    said = [
        f"On the {split} split the perplexity of {label(main)} is {number(perplexity)}"
        f"{_between(mine, 'perplexity', number)}: on average it hesitates as if between "
        f"{perplexity:,.0f} equally likely tokens."
    ]
    ratios = [
        f"{perplexity / values['perplexity']:.2f} of that of {label(name)}"
        for name, values in others
        if math.isfinite(values["perplexity"])
    ]
    if ratios:
        said.append(f"The perplexity of {label(main)} is {_and(ratios)}.")
    for name, values in mixed.items():
        weight = values.get("interpolation_weight")
        share = "" if weight is None else f", of which {label(main)} has {percent(weight)},"
        said.append(
            f"The mixture {label(name)}{share} has perplexity {number(values['perplexity'])}, "
            f"{values['perplexity'] / perplexity:.2f} of {label(main)} alone."
        )
    for name, values in others:
        counted, all_tokens = (values.get(f"{key}_tokens", 0) for key in ("counted", "training"))
        if counted < all_tokens:
            said.append(
                f"{label(name)} was counted in {counted:,} of {all_tokens:,} training tokens, in "
                "blocks spread evenly over them."
            )
    if "top_3_words" in mine:
        said.append(
            f"The next word is among its three suggestions in {percent(mine['top_3_words'])} of "
            "all cases, and is the first of them in "
            f"{percent(mine['top_1_words'])}."
        )
    if "keystroke_savings" in mine:
        said.append(
            f"Choosing among three suggestions after every key saves "
            f"{percent(mine['keystroke_savings'])} of the keys"
            f"{_between(mine, 'keystroke_savings', percent)}."
        )
    if "latency_ms" in mine:
        said.append(
            f"A step of the exported model, from a word to its suggestions, took "
            f"{mine['latency_ms']:.1f} ms on the machine that measured it."
        )
    return said


def of_training(histories: Mapping[str, pd.DataFrame]) -> list[str]:
    """Where each training ended, and its best epoch."""
    said = []
    for name, history in histories.items():
        best = history.to_dict("records")[int(history["valid_perplexity"].argmin())]
        said.append(
            f"{label(name)} was best after epoch {int(best['epoch'])} of {len(history)}: "
            f"validation perplexity {number(best['valid_perplexity'])}, training "
            f"{number(best['train_perplexity'])}."
        )
    if len(set(map(len, histories.values()))) > 1:
        said.append(
            "They were not trained for equally many epochs: their perplexities compare these "
            "trainings, not the kinds of network."
        )
    return said


def of_ablation(rows: Sequence[Mapping[str, Any]]) -> str:
    """Which change helps most and which least, beside the first row."""
    (first, *others) = rows
    if not others:
        return ""
    best, worst = (pick(others, key=lambda row: row["test"]) for pick in (min, max))
    return (
        f"Beside “{first['change']}”, whose test perplexity is {number(first['test'])}, "
        f"“{best['change']}” has the lowest ({change(best['test'] / first['test'])}) and "
        f"“{worst['change']}” the highest ({change(worst['test'] / first['test'])})."
    )


def of_reach(reaches: Mapping[str, Any]) -> list[str]:
    """From where on less than a hundredth of each model's gradient is left."""
    said = []
    for name, found in reaches.items():
        mean = found["state"]["mean"]
        zero = max((step + 1 for step, value in enumerate(mean) if value), default=0)
        if zero < len(mean):
            said.append(f"The gradient of {label(name)} is zero from {zero} steps back on.")
        elif found["vanished_after"] is None:
            said.append(
                f"After {len(mean) - 1} steps back more than 1% of the gradient of {label(name)} "
                "is left."
            )
        else:
            left = mean[-1] / found["h"]["mean"][0]
            said.append(
                f"Less than 1% of the gradient of {label(name)} is left from "
                f"{found['vanished_after']} steps back on, and {power(left)} after {len(mean) - 1}."
            )
    return said


def of_windows(perplexities: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The best window of each cell, and what it gains over the shortest."""
    said = []
    for cell, values in perplexities.items():
        shortest, best = min(values, key=int), min(values, key=values.__getitem__)
        said.append(
            f"With T = {shortest} {label(cell)} has {number(values[shortest])}, with T = {best}, "
            f"its best, {number(values[best])}."
        )
    return said


def of_cuts(context: Mapping[str, Any]) -> list[str]:
    """How much of a sentence each model must read to suggest its last word."""
    word, place, said = context["words"][context["place"]], context["place"], []
    for name, found in context["models"].items():
        ranks = [found["ranks"][k][place - k] for k in range(place + 1)]
        p = [found["probabilities"][k][place - k] for k in range(place + 1)]
        missed = [k for k, rank in enumerate(ranks) if rank > 3]
        needed = missed[-1] + 2 if missed else 1
        if needed > len(ranks):
            verdict = f"does not have it among its three most probable tokens (rank {ranks[-1]})"
        else:
            tokens = "1 token" if needed == 1 else f"{needed} tokens"
            verdict = f"has it among its three most probable tokens once it reads {tokens}"
        said.append(
            f"{label(name)} gives «{word}» {chance(p[0])} after one token and {chance(p[-1])} "
            f"after all {len(p)}; it {verdict}."
        )
    return said


def of_frequency(table: pd.DataFrame) -> list[str]:
    """Where a model is weak: rows of frequency.csv, of one model and split."""
    known = table[table["rank"] != "unknown"]
    share = table["tokens"] / table["tokens"].sum()
    best, worst = (known["perplexity"].agg(pick) for pick in ("idxmin", "idxmax"))
    said = [
        f"Tokens of rank {_ranks(known['rank'][best])} in training have perplexity "
        f"{number(known['perplexity'][best])}; those of rank {_ranks(known['rank'][worst])}, "
        f"{percent(share[worst])} of the text, {number(known['perplexity'][worst])}.",
        f"Of the former {percent(known['top_3'][best])} are among the three most probable "
        f"tokens, of the latter {percent(known['top_3'][worst])}.",
    ]
    if len(unknown := table[table["rank"] == "unknown"]):
        said.append(
            f"{percent(share[unknown.index[0]])} of the text is out of vocabulary and can never "
            "be suggested."
        )
    return said


def _ranks(band: str) -> str:
    first, _, last = band.partition("-")
    return f"{int(first):,} to {int(last):,}" if last else f"{int(first):,} and beyond"


def of_positions(table: pd.DataFrame) -> str:
    """The first fifth of documents beside the last: rows of positions.csv, of one model."""
    first, last = table["perplexity"].iloc[0], table["perplexity"].iloc[-1]
    return (
        f"In the first fifth of a document the perplexity is {number(first)}, in the last "
        f"{number(last)} ({change(last / first)})."
    )


def of_calibration(table: pd.DataFrame, values: Mapping[str, float]) -> str:
    """Whether a model believes too much or too little: rows of calibration.csv, of one model."""
    weight = table["tokens"] / table["tokens"].sum()
    sure, right = ((table[column] * weight).sum() for column in ("confidence", "right"))
    return (
        f"The likeliest token has a probability of {percent(sure)} on average and is right in "
        f"{percent(right)} of all cases, so the model is sure of itself by "
        f"{abs(sure - right) * 100:.1f} points too {'much' if sure > right else 'little'}. Over "
        f"tenths of the probability the mean distance is "
        f"{100 * values['calibration_error']:.1f} points."
    )
