"""The comparison of models, as columns of a table."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import rich
import rich.box
import rich.table
from rich.markup import escape

from pipeline.evaluation.evaluated_model import load_metrics, load_models
from pipeline.evaluation.report.language import ENGLISH, Language

# Name or label → metric → value, on one split.
Metrics = Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Column:
    """A metric of a table; `narrow` says whether the terminal has room for it."""

    key: str
    heading: str
    show: Callable[[float], str]
    best: Callable[[Iterable[float]], float]
    narrow: bool = True

    def is_best(self, value: float, models: Metrics) -> bool:
        """Return whether no model has a better value."""
        return value == self.best(v[self.key] for v in models.values() if self.key in v)


def columns_of(models: Metrics, language: Language) -> list[Column]:
    """Return the columns for which any of the models has a value."""
    _, number, percent = language.gettext, language.number, language.percent
    columns = (
        Column("perplexity", _("perplexity"), number, min),
        Column("perplexity_per_word", _("per word"), number, min),
        Column("perplexity_known", _("known"), number, min, narrow=False),
        Column("parameters", _("params"), lambda n: f"{number(n / 1e6, 2)}M", min),
        Column("training_cpu_seconds", _("CPU s"), lambda s: number(s, 0), min),
        Column("top_3", "top-3", percent, max),
        Column("mean_reciprocal_rank", "MRR", lambda mean: number(mean, 3), max, narrow=False),
        Column("top_3_words", _("words"), percent, max),
        Column("keystroke_savings", _("keys saved"), percent, max),
        Column("calibration_error", _("calibration"), lambda e: number(100 * e), min, narrow=False),
        Column("latency_ms", "ms", number, min),
    )
    return [c for c in columns if any(c.key in values for values in models.values())]


def describe_text(models: Metrics, language: Language) -> str:
    """Describe the text that the models were measured on, from their metrics."""
    _, values = language.gettext, next(iter(models.values()))
    text = _(
        "%(tokens)s tokens, %(share)s of them out of vocabulary",
        tokens=language.number(values["tokens"], 0),
        share=language.percent(values["oov_rate"]),
    )
    if "training_overlap" in values:
        overlap = language.percent(values["training_overlap"])
        text += _(", %(share)s in runs that are in training too", share=overlap)
    return text


def print_table(evaluation: Path) -> None:
    """Print the metrics in a folder that `evaluate` wrote, in at most 100 columns."""
    metrics = load_metrics(evaluation)
    models = load_models(evaluation)
    for split, values in metrics.items():
        columns = [column for column in columns_of(values, ENGLISH) if column.narrow]
        table = rich.table.Table(
            title=f"{split}: {describe_text(values, ENGLISH)}",
            title_justify="left",
            box=rich.box.SIMPLE_HEAD,
            padding=0,
        )
        table.add_column("model", overflow="fold")
        for column in columns:
            table.add_column(f" {column.heading}", justify="right", no_wrap=True)
        for model in models:
            mine = values[model.name]
            cells = [c.show(mine[c.key]) if c.key in mine else "" for c in columns]
            table.add_row(escape(model.label), *cells)
        rich.print(table)
