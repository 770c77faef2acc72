"""Figures and the page that shows how training went and how good the model is."""

import base64
from collections.abc import Mapping
from pathlib import Path

import jinja2
import matplotlib
import pandas as pd
import rich
import rich.box
import rich.table

matplotlib.use("agg")
from matplotlib import pyplot as plt

# Columns of the comparison table: key in metrics.json, heading, format.
_COLUMNS = (
    ("perplexity", "perplexity", "{:.1f}"),
    ("perplexity_per_word", "per word", "{:.1f}"),
    ("perplexity_known", "known", "{:.1f}"),
    ("oov_rate", "OOV", "{:.1%}"),
    ("top_1", "top-1", "{:.1%}"),
    ("top_3", "top-3", "{:.1%}"),
    ("top_5", "top-5", "{:.1%}"),
    ("top_3_words", "words", "{:.1%}"),
    ("tokens", "tokens", "{:,.0f}"),
)

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>nextword report</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto;
    padding: 0 1rem }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums }
  th, td { text-align: right; padding: .3rem .7rem; border-bottom: 1px solid #8884 }
  th:first-child, td:first-child { text-align: left }
  .wide { overflow-x: auto }
  img { max-width: 100%; background: #fff; border-radius: .5rem }
</style>
<h1>Next-word model</h1>
{% for split, models in metrics.items() %}
<h2>{{ {"valid": "Validation split", "test": "Test split"}.get(split, "Text") }}</h2>
<div class="wide"><table>
<tr><th>Model</th>{% for _, heading, _ in columns %}<th>{{ heading }}</th>{% endfor %}</tr>
{% for name, values in models.items() %}
<tr><td>{{ name }}</td>
{% for key, _, form in columns %}
<td>{{ form.format(values[key]) if key in values }}</td>
{% endfor %}</tr>
{% endfor %}
</table></div>
{% endfor %}
<p>Perplexity is exp(nats / tokens), with unknown words predicted as one token; “known” is
the same over tokens in the vocabulary. Top-k is the share of all tokens that are among the k most
probable; “words” is the share of words that are among the three words suggested. What is out of
vocabulary (OOV) counts as a miss. Where words are cut into pieces, tokens are pieces, and “per
word” is exp(nats / words), which can be compared with the perplexity of a model of words.</p>
<h2>Learning curves</h2>
<img alt="Perplexity after each epoch" src="data:image/png;base64,{{ curves }}">
</html>
""",
    autoescape=True,
)


def _columns(
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> list[tuple[str, str, str]]:
    """The columns that these metrics have."""
    keys = {key for models in metrics.values() for values in models.values() for key in values}
    return [column for column in _COLUMNS if column[0] in keys]


def learning_curves(histories: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw training and validation perplexity against epochs as a PNG."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for number, (name, history) in enumerate(histories.items()):
        color = f"C{number}"
        axes.plot(history["epoch"], history["train_perplexity"], "--", color=color)
        axes.plot(history["epoch"], history["valid_perplexity"], "o-", color=color, label=name)
        best = history.iloc[int(history["valid_perplexity"].argmin())]
        axes.annotate(
            f"{best['valid_perplexity']:.1f}",
            (best["epoch"], best["valid_perplexity"]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color=color,
        )
    axes.plot([], [], "k--", label="training (with dropout)")
    axes.plot([], [], "ko-", label="validation")
    axes.set(xlabel="epoch", ylabel="perplexity", yscale="log")
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def write_report(
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]],
    *,
    histories: Mapping[str, Path],
    output: Path,
) -> None:
    """Write figures/learning_curves.png and report.html.

    Args:
        metrics: split → model → metric → value.
        histories: model → its history.csv.
        output: folder to write into.
    """
    figures = output / "figures"
    figures.mkdir()
    curves = figures / "learning_curves.png"
    learning_curves({name: pd.read_csv(path) for name, path in histories.items()}, curves)
    page = _PAGE.render(
        metrics=metrics,
        columns=_columns(metrics),
        curves=base64.b64encode(curves.read_bytes()).decode(),
    )
    (output / "report.html").write_text(page, encoding="utf-8")


def print_table(metrics: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Print the comparison of `write_report` to the terminal."""
    columns = _columns(metrics)
    for split, models in metrics.items():
        table = rich.table.Table(
            title=f"{split} split", title_justify="left", box=rich.box.SIMPLE_HEAD, padding=0
        )
        table.add_column("model")
        for _, heading, _ in columns:
            table.add_column(f" {heading}", justify="right", no_wrap=True)
        for name, values in models.items():
            cells = (form.format(values[key]) if key in values else "" for key, _, form in columns)
            table.add_row(name, *cells)
        rich.print(table)
