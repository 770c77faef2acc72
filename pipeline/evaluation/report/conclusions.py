"""What the numbers of `evaluate` mean, in sentences generated from them."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

import pandas as pd

from pipeline.evaluation.evaluated_model import EvaluatedModel
from pipeline.evaluation.report.language import Language
from pipeline.evaluation.report.wording import rank_band, split_name


def _interval(
    values: Mapping[str, float], metric: str, show: Callable[[float], str], language: Language
) -> str:
    low, high = (values.get(f"{metric}_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return ""
    _ = language.gettext
    return " " + _("(95%% interval %(low)s to %(high)s)", low=show(low), high=show(high))


def summary(
    models: Sequence[EvaluatedModel],
    metrics: Mapping[str, Mapping[str, float]],
    split: str,
    language: Language,
) -> list[str]:
    """Compare the first model with the others, from label → metric → value on a split."""
    _, number = language.gettext, language.number
    main, *others = models
    name, mine = main.label, metrics[main.label]
    perplexity = mine["perplexity"]
    mixtures = [model for model in others if model.kind == "mixture" and main.name in model.parts]
    others = [model for model in others if model not in mixtures]
    sentences = [
        _(
            "On the %(split)s split the perplexity of %(name)s is %(perplexity)s%(interval)s: on "
            "average it hesitates as if between %(choices)s equally likely tokens.",
            split=split_name(split, language),
            name=name,
            perplexity=number(perplexity),
            interval=_interval(mine, "perplexity", number, language),
            choices=number(perplexity, 0),
        )
    ]
    ratios = [
        _(
            "%(ratio)s of that of %(other)s",
            ratio=number(perplexity / metrics[model.label]["perplexity"], 2),
            other=model.label,
        )
        for model in others
        if isfinite(metrics[model.label]["perplexity"])
    ]
    if ratios:
        listed = language.join(ratios)
        sentences.append(_("The perplexity of %(name)s is %(ratios)s.", name=name, ratios=listed))
    for model in mixtures:
        values = metrics[model.label]
        sentences.append(
            _(
                "The mixture %(mixture)s, of which %(name)s has %(weight)s, has perplexity "
                "%(perplexity)s, %(ratio)s of %(name)s alone.",
                mixture=model.label,
                name=name,
                weight=language.percent(values["interpolation_weight"]),
                perplexity=number(values["perplexity"]),
                ratio=number(values["perplexity"] / perplexity, 2),
            )
        )
    for model in others:
        counted, tokens = (
            int(metrics[model.label].get(f"{k}_tokens", 0)) for k in ("counted", "training")
        )
        if counted < tokens:
            sentences.append(
                _(
                    "%(name)s was counted in %(counted)s of %(tokens)s training tokens, in blocks "
                    "spread evenly over them.",
                    name=model.label,
                    counted=number(counted, 0),
                    tokens=number(tokens, 0),
                )
            )
    return sentences + _suggestions(mine, language)


def _suggestions(values: Mapping[str, float], language: Language) -> list[str]:
    """What a typist gains, and how long the suggestions take."""
    _, percent = language.gettext, language.percent
    sentences = []
    if "top_3_words" in values:
        sentences.append(
            _(
                "The next word is among its three suggestions in %(top_3)s of all cases, and is "
                "the first of them in %(top_1)s.",
                top_3=percent(values["top_3_words"]),
                top_1=percent(values["top_1_words"]),
            )
        )
    if "keystroke_savings" in values:
        sentences.append(
            _(
                "Choosing among three suggestions after every key saves %(saved)s of the "
                "keys%(interval)s.",
                saved=percent(values["keystroke_savings"]),
                interval=_interval(values, "keystroke_savings", percent, language),
            )
        )
    if "latency_ms" in values:
        sentences.append(
            _(
                "A step of the exported model, from a word to its suggestions, took %(ms)s ms on "
                "the machine that measured it.",
                ms=language.number(values["latency_ms"]),
            )
        )
    return sentences


def of_training(histories: Mapping[str, pd.DataFrame], language: Language) -> list[str]:
    """Name the best epoch of each training."""
    _, number = language.gettext, language.number
    sentences = []
    for name, history in histories.items():
        best = history.to_dict("records")[int(history["valid_perplexity"].argmin())]
        sentences.append(
            _(
                "%(name)s was best after epoch %(epoch)s of %(epochs)s: validation perplexity "
                "%(valid)s, training %(train)s.",
                name=name,
                epoch=int(best["epoch"]),
                epochs=len(history),
                valid=number(best["valid_perplexity"]),
                train=number(best["train_perplexity"]),
            )
        )
    if len(set(map(len, histories.values()))) > 1:
        sentences.append(
            _(
                "They were not trained for equally many epochs: their perplexities compare these "
                "trainings, not the kinds of network."
            )
        )
    return sentences


def of_frequency(table: pd.DataFrame, language: Language) -> list[str]:
    """Compare frequent with rare tokens, from rows of frequency.csv of one model and split."""
    _, percent = language.gettext, language.percent
    known = table[table["rank"] != "unknown"]
    share = table["tokens"] / table["tokens"].sum()
    best, worst = (known["perplexity"].agg(pick) for pick in ("idxmin", "idxmax"))
    sentences = [
        _(
            "Tokens of rank %(frequent)s in training have perplexity %(low)s; those of rank "
            "%(rare)s, %(share)s of the text, %(high)s.",
            frequent=rank_band(known["rank"][best], language),
            low=language.number(known["perplexity"][best]),
            rare=rank_band(known["rank"][worst], language),
            share=percent(share[worst]),
            high=language.number(known["perplexity"][worst]),
        ),
        _(
            "Of the former %(best)s are among the three most probable tokens, of the latter "
            "%(worst)s.",
            best=percent(known["top_3"][best]),
            worst=percent(known["top_3"][worst]),
        ),
    ]
    if len(unknown := table[table["rank"] == "unknown"]):
        sentences.append(
            _(
                "%(share)s of the text is out of vocabulary and can never be suggested.",
                share=percent(share[unknown.index[0]]),
            )
        )
    return sentences


def of_positions(table: pd.DataFrame, language: Language) -> str:
    """Compare the first fifth of documents with the last, from rows of positions.csv."""
    first, last = table["perplexity"].iloc[0], table["perplexity"].iloc[-1]
    return language.gettext(
        "In the first fifth of a document the perplexity is %(first)s, in the last %(last)s "
        "(%(change)s).",
        first=language.number(first),
        last=language.number(last),
        change=language.change(last / first),
    )


def of_calibration(
    table: pd.DataFrame, values: Mapping[str, float], language: Language
) -> list[str]:
    """Say whether a model is over- or underconfident, from its rows of calibration.csv."""
    _, number = language.gettext, language.number
    weight = table["tokens"] / table["tokens"].sum()
    sure, right = ((table[column] * weight).sum() for column in ("confidence", "right"))
    points = number(abs(sure - right) * 100)
    if sure > right:
        verdict = _("the model is overconfident by %(points)s points", points=points)
    else:
        verdict = _("the model is underconfident by %(points)s points", points=points)
    return [
        _(
            "The likeliest token has a probability of %(sure)s on average and is right in "
            "%(right)s of all cases: %(verdict)s.",
            sure=language.percent(sure),
            right=language.percent(right),
            verdict=verdict,
        ),
        _(
            "Over tenths of the probability the mean distance is %(points)s points.",
            points=number(100 * values["calibration_error"]),
        ),
    ]
