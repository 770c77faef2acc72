"""The comparison of models, as columns of a table."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import rich
import rich.box
import rich.table
from rich.markup import escape

from pipeline.evaluation.report.wording import label, number, percent

Models = Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Column:
    """A metric of a table.

    Attributes:
        key: in metrics.json.
        heading: of the column.
        show: a value as text.
        best: of several values.
        narrow: whether the terminal has room for it.
    """

    key: str
    heading: str
    show: Callable[[float], str]
    best: Callable[[Iterable[float]], float]
    narrow: bool = True

    def is_best(self, value: float, models: Models) -> bool:
        """Whether no model of several has a better value."""
        return value == self.best(v[self.key] for v in models.values() if self.key in v)


_COLUMNS = (
    Column("perplexity", "perplexity", number, min),
    Column("perplexity_per_word", "per word", number, min),
    Column("perplexity_known", "known", number, min),
    Column("top_1", "top-1", percent, max),
    Column("top_3", "top-3", percent, max),
    Column("top_5", "top-5", percent, max, narrow=False),
    Column("mean_reciprocal_rank", "MRR", "{:.3f}".format, max),
    Column("top_3_words", "words", percent, max),
    Column("keystroke_savings", "keys saved", percent, max),
    Column("calibration_error", "calibration", lambda e: f"{100 * e:.1f}", min, narrow=False),
    Column("latency_ms", "ms", "{:.1f}".format, min),
)


def columns_of(models: Models) -> list[Column]:
    """The columns that any of these models has a value for."""
    return [c for c in _COLUMNS if any(c.key in values for values in models.values())]


def of_text(values: Mapping[str, float]) -> str:
    """What there is to know of a text, from the numbers of any model."""
    said = f"{values['tokens']:,} tokens, {percent(values['oov_rate'])} of them out of vocabulary"
    if "training_overlap" in values:
        said += f", {percent(values['training_overlap'])} in runs that stand in training"
    return said


def print_table(metrics: Mapping[str, Models]) -> None:
    """Print the comparison of the report to the terminal, in at most 100 columns.

    Args:
        metrics: split → model → metric → value.
    """
    for split, models in metrics.items():
        columns = [column for column in columns_of(models) if column.narrow]
        any_model = next(iter(models.values()))
        table = rich.table.Table(
            title=f"{split}: {of_text(any_model)}",
            title_justify="left",
            box=rich.box.SIMPLE_HEAD,
            padding=0,
        )
        table.add_column("model", overflow="fold")
        for column in columns:
            table.add_column(f" {column.heading}", justify="right", no_wrap=True)
        for name, values in models.items():
            cells = [c.show(values[c.key]) if c.key in values else "" for c in columns]
            table.add_row(escape(label(name)), *cells)
        rich.print(table)
