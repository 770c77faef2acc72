"""What the numbers mean, in sentences generated from them."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import pandas as pd

from pipeline.evaluation.evaluated_model import EvaluatedModel
from pipeline.evaluation.report.explanation import by_context
from pipeline.evaluation.report.wording import chance, change, number, percent, power


def _interval(values: Mapping[str, float], metric: str, show: Any) -> str:
    low, high = (values.get(f"{metric}_{end}") for end in ("low", "high"))
    return "" if low is None else f" (95% interval {show(low)} to {show(high)})"


def _interval_of(row: Mapping[str, float]) -> str:
    return f" (95% interval {percent(row['low'])} to {percent(row['high'])})"


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def summary(
    models: Sequence[EvaluatedModel], metrics: Mapping[str, Mapping[str, float]], split: str
) -> list[str]:
    """Compare the first model with the others, from label → metric → value on a split."""
    main, *others = models
    name, mine = main.label, metrics[main.label]
    perplexity = mine["perplexity"]
    mixtures = [model for model in others if model.kind == "mixture" and main.name in model.parts]
    others = [model for model in others if model not in mixtures]
    sentences = [
        f"On the {split} split the perplexity of {name} is {number(perplexity)}"
        f"{_interval(mine, 'perplexity', number)}: on average it hesitates as if between "
        f"{perplexity:,.0f} equally likely tokens."
    ]
    ratios = [
        f"{perplexity / metrics[model.label]['perplexity']:.2f} of that of {model.label}"
        for model in others
        if isfinite(metrics[model.label]["perplexity"])
    ]
    if ratios:
        sentences.append(f"The perplexity of {name} is {_and(ratios)}.")
    for model in mixtures:
        values = metrics[model.label]
        sentences.append(
            f"The mixture {model.label}, of which {name} has "
            f"{percent(values['interpolation_weight'])}, has perplexity "
            f"{number(values['perplexity'])}, {values['perplexity'] / perplexity:.2f} of {name} "
            "alone."
        )
    for model in others:
        counted, tokens = (
            metrics[model.label].get(f"{k}_tokens", 0) for k in ("counted", "training")
        )
        if counted < tokens:
            sentences.append(
                f"{model.label} was counted in {counted:,} of {tokens:,} training tokens, in "
                "blocks spread evenly over them."
            )
    return sentences + _suggestions(mine)


def _suggestions(values: Mapping[str, float]) -> list[str]:
    """What a typist gains, and how long the suggestions take."""
    sentences = []
    if "top_3_words" in values:
        sentences.append(
            f"The next word is among its three suggestions in {percent(values['top_3_words'])} of "
            f"all cases, and is the first of them in {percent(values['top_1_words'])}."
        )
    if "keystroke_savings" in values:
        sentences.append(
            f"Choosing among three suggestions after every key saves "
            f"{percent(values['keystroke_savings'])} of the keys"
            f"{_interval(values, 'keystroke_savings', percent)}."
        )
    if "latency_ms" in values:
        sentences.append(
            f"A step of the exported model, from a word to its suggestions, took "
            f"{values['latency_ms']:.1f} ms on the machine that measured it."
        )
    return sentences


def of_training(histories: Mapping[str, pd.DataFrame]) -> list[str]:
    """Name the best epoch of each training."""
    sentences = []
    for name, history in histories.items():
        best = history.to_dict("records")[int(history["valid_perplexity"].argmin())]
        sentences.append(
            f"{name} was best after epoch {int(best['epoch'])} of {len(history)}: "
            f"validation perplexity {number(best['valid_perplexity'])}, training "
            f"{number(best['train_perplexity'])}."
        )
    if len(set(map(len, histories.values()))) > 1:
        sentences.append(
            "They were not trained for equally many epochs: their perplexities compare these "
            "trainings, not the kinds of network."
        )
    return sentences


def of_ablation(rows: Sequence[Mapping[str, Any]]) -> str:
    """Name the changes that help most and least, compared with the first row."""
    (first, *others) = rows
    if not others:
        return ""
    best, worst = (pick(others, key=lambda row: row["test"]) for pick in (min, max))
    return (
        f"Compared with “{first['change']}”, whose test perplexity is {number(first['test'])}, "
        f"“{best['change']}” has the lowest ({change(best['test'] / first['test'])}) and "
        f"“{worst['change']}” the highest ({change(worst['test'] / first['test'])})."
    )


def of_gradient_flow(flows: Mapping[str, Any]) -> list[str]:
    """Say after how many steps back less than 1 % of each model's gradient is left."""
    sentences = []
    for name, flow in flows.items():
        mean = flow["state"]["mean"]
        zero = max((step + 1 for step, value in enumerate(mean) if value), default=0)
        if zero < len(mean):
            sentences.append(f"The gradient of {name} is zero from {zero} steps back on.")
        elif flow["vanished_after"] is None:
            sentences.append(
                f"After {len(mean) - 1} steps back more than 1% of the gradient of {name} is left."
            )
        else:
            left = mean[-1] / flow["h"]["mean"][0]
            sentences.append(
                f"Less than 1% of the gradient of {name} is left from "
                f"{flow['vanished_after']} steps back on, and {power(left)} after {len(mean) - 1}."
            )
    return sentences


def of_windows(perplexities: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Compare the best window of each cell with the shortest."""
    sentences = []
    for cell, values in perplexities.items():
        shortest, best = min(values, key=int), min(values, key=values.__getitem__)
        sentences.append(
            f"{cell} has perplexity {number(values[shortest])} with T = {shortest}, and "
            f"{number(values[best])} with T = {best}, its best."
        )
    return sentences


def of_context(context: Mapping[str, Any]) -> list[str]:
    """Say how much of a sentence each model must read to suggest its last word."""
    place, sentences = context["place"], []
    for name, model in context["models"].items():
        ranks = by_context(model["ranks"], place)
        p = by_context(model["probabilities"], place)
        missed = [k for k, rank in enumerate(ranks) if rank > 3]
        needed = missed[-1] + 2 if missed else 1
        if needed > len(ranks):
            verdict = f"does not have it among its three most probable tokens (rank {ranks[-1]})"
        else:
            tokens = "1 token" if needed == 1 else f"{needed} tokens"
            verdict = f"has it among its three most probable tokens once it reads {tokens}"
        sentences.append(
            f"{name} gives «{context['words'][place]}» {chance(p[0])} after one token and "
            f"{chance(p[-1])} after all {len(p)}; it {verdict}."
        )
    return sentences


def of_agreement(agreement: Mapping[str, Any]) -> list[str]:
    """Say how often each model but the unigram prefers the right form of minimal pairs."""
    counts = {(row["model"], row["by"], row["group"]): row for row in agreement["counts"]}
    sentences = []
    for name in dict.fromkeys(row["model"] for row in agreement["counts"]):
        if name == "unigram":
            continue
        every = counts[name, "all", "all"]
        sentence = (
            f"{name} prefers the right form in {percent(every['share'])} of {every['pairs']:,} "
            f"pairs{_interval_of(every)}"
        )
        if other := counts.get((name, "attractor", "other")):
            sentence += (
                f", and in {percent(other['share'])} of those where a word of the other number or "
                f"gender stands between{_interval_of(other)}"
            )
        sentences.append(f"{sentence}.")
    return sentences


def of_frequency(table: pd.DataFrame) -> list[str]:
    """Compare frequent with rare tokens, from rows of frequency.csv of one model and split."""
    known = table[table["rank"] != "unknown"]
    share = table["tokens"] / table["tokens"].sum()
    best, worst = (known["perplexity"].agg(pick) for pick in ("idxmin", "idxmax"))
    sentences = [
        f"Tokens of rank {_ranks(known['rank'][best])} in training have perplexity "
        f"{number(known['perplexity'][best])}; those of rank {_ranks(known['rank'][worst])}, "
        f"{percent(share[worst])} of the text, {number(known['perplexity'][worst])}.",
        f"Of the former {percent(known['top_3'][best])} are among the three most probable "
        f"tokens, of the latter {percent(known['top_3'][worst])}.",
    ]
    if len(unknown := table[table["rank"] == "unknown"]):
        sentences.append(
            f"{percent(share[unknown.index[0]])} of the text is out of vocabulary and can never "
            "be suggested."
        )
    return sentences


def _ranks(band: str) -> str:
    first, _, last = band.partition("-")
    return f"{int(first):,} to {int(last):,}" if last else f"{int(first):,} and beyond"


def of_positions(table: pd.DataFrame) -> str:
    """Compare the first fifth of documents with the last, from rows of positions.csv."""
    first, last = table["perplexity"].iloc[0], table["perplexity"].iloc[-1]
    return (
        f"In the first fifth of a document the perplexity is {number(first)}, in the last "
        f"{number(last)} ({change(last / first)})."
    )


def of_calibration(table: pd.DataFrame, values: Mapping[str, float]) -> str:
    """Say whether a model is over- or underconfident, from its rows of calibration.csv."""
    weight = table["tokens"] / table["tokens"].sum()
    sure, right = ((table[column] * weight).sum() for column in ("confidence", "right"))
    return (
        f"The likeliest token has a probability of {percent(sure)} on average and is right in "
        f"{percent(right)} of all cases: the model is {'over' if sure > right else 'under'}"
        f"confident by {abs(sure - right) * 100:.1f} points. Over tenths of the probability the "
        f"mean distance is {100 * values['calibration_error']:.1f} points."
    )
