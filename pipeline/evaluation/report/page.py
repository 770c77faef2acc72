"""report.html: how training went and how good the model is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from pipeline import InputError
from pipeline.evaluation.evaluated_model import EvaluatedModel
from pipeline.evaluation.held_out import HeldOutText
from pipeline.evaluation.intervals import FEW
from pipeline.evaluation.report import conclusions, figures, wording
from pipeline.evaluation.report.drawing import Looks, looks, save_png, to_svg
from pipeline.evaluation.report.examples import choose_sentences, choose_surprises, read_examples
from pipeline.evaluation.report.explanation import Explanation
from pipeline.evaluation.report.table import Metrics, columns_of, describe_text
from pipeline.model.language_model import load_model
from pipeline.model.meter import Predictions
from pipeline.text.vocabulary import UNKNOWN, UNKNOWN_ID, Vocabulary
from pipeline.tokens.windows import open_stream

_SENTENCES = 6
_SURPRISES = 6
_ABLATION = ("change", "options", "train", "valid", "test", "top_3", "cpu")


# A chart, and what it shows in words.
Chart = tuple[Figure, list[str]]


def write_report(
    output: Path,
    models: Sequence[EvaluatedModel],
    *,
    folders: Mapping[str, Path],
    tokens: Path,
    text: HeldOutText,
    predictions: Predictions,
    explanation: Explanation | None = None,
    ablation: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write report.html, a page that needs no other file, and its charts as figures/*.png.

    Args:
        output: folder with metrics.json and the tables of `evaluate`.
        models: the first is the one that the page is about.
        folders: name → folder of each network.
        tokens: folder that `tokenize` wrote.
        text: the split that charts and examples are about.
        predictions: the first model's.
        explanation, ablation: shown if given.
    """
    split, main = text.name, models[0]
    labels = {model.name: model.label for model in models}
    found = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    metrics = {
        name: {labels[model]: values for model, values in of_split.items()}
        for name, of_split in found.items()
    }
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    histories = {labels[name]: pd.read_csv(f / "history.csv") for name, f in folders.items()}

    look = looks([*labels.values()])
    tables = _tables(output, labels, split)
    charts = _charts(metrics[split], histories, tables, look, split=split)
    (output / "figures").mkdir()
    for name, (figure, _) in charts.items():
        save_png(figure, output / "figures" / f"{name}.png")
    if explanation:  # `explain` saved these charts itself
        charts |= _explained_charts(explanation, look)
    page = _template().render(
        metrics=metrics,
        columns={name: columns_of(values) for name, values in metrics.items()},
        units={name: _units(output, main, name) for name in metrics},
        split=split,
        main=main.label,
        summary=conclusions.summary(models, metrics[split], split),
        sentences={name: sentences for name, (_, sentences) in charts.items()},
        corpus=_describe_corpus(tokens, vocabulary),
        ablation=ablation,
        spelling=_spelling(output / "spelling.csv"),
        explanation=explanation,
        tables=tables,
        charts={name: to_svg(f, name=name, alt=" ".join(s)) for name, (f, s) in charts.items()},
        **_examples(folders[main.name], text, predictions, vocabulary),
        unknown=UNKNOWN,
        enough=figures.ENOUGH,
    )
    (output / "report.html").write_text(page, encoding="utf-8")


def _tables(output: Path, labels: Mapping[str, str], split: str) -> dict[str, pd.DataFrame]:
    """Read the rows of a split, with models by their labels."""
    tables = {}
    for name in ("frequency", "positions", "calibration"):
        table = pd.read_csv(output / f"{name}.csv")
        table["model"] = table["model"].map(labels)
        tables[name] = table[table["split"] == split].reset_index(drop=True)
    return tables


def _spelling(path: Path) -> list[dict[str, Any]]:
    """Read what was counted of typing errors, if anything."""
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    return [{str(key): value for key, value in row.items()} for row in rows]


def _charts(
    metrics: Metrics,
    histories: Mapping[str, pd.DataFrame],
    tables: Mapping[str, pd.DataFrame],
    look: Looks,
    *,
    split: str,
) -> dict[str, Chart]:
    """Draw what `evaluate` found on a split."""
    main = next(iter(metrics))
    mine = {name: rows[rows["model"] == main] for name, rows in tables.items()}
    # The unigram model is so far off that the others could not be told apart.
    drawn = {name: rows[rows["model"] != "unigram"] for name, rows in tables.items()}
    charts = {
        "learning_curves": (
            figures.learning_curves(histories, look),
            conclusions.of_training(histories),
        ),
        "frequency": (
            figures.groups(drawn["frequency"], "rank", look),
            conclusions.of_frequency(mine["frequency"]),
        ),
        "positions": (
            figures.groups(drawn["positions"], "part", look),
            [conclusions.of_positions(mine["positions"])],
        ),
        "calibration": (
            figures.calibration(drawn["calibration"], look),
            [conclusions.of_calibration(mine["calibration"], metrics[main])],
        ),
    }
    for metric, title, show in (
        ("perplexity", "Perplexity", wording.number),
        ("keystroke_savings", "Keys saved", wording.percent),
    ):
        models = {label: values for label, values in metrics.items() if metric in values}
        if models:
            title = f"{title} on the {split} split"
            charts[metric] = (
                figures.intervals(models, metric, look, title=title),
                [f"{label}: {show(values[metric])}." for label, values in models.items()],
            )
    return charts


def _explained_charts(explanation: Explanation, look: Looks) -> dict[str, Chart]:
    """Draw what `explain` found."""
    charts = {
        "reach": (
            figures.gradient_flow(explanation.reach, look),
            conclusions.of_gradient_flow(explanation.reach),
        ),
        "context": (
            figures.word_by_context(explanation.context, look),
            conclusions.of_context(explanation.context),
        ),
    }
    if explanation.agreement:
        charts["agreement"] = (
            figures.agreement(explanation.agreement, look),
            conclusions.of_agreement(explanation.agreement),
        )
    if explanation.windows:
        charts["windows"] = (
            figures.windows(explanation.windows, look),
            conclusions.of_windows(explanation.windows["perplexity"]),
        )
    return charts


def _units(output: Path, model: EvaluatedModel, split: str) -> str:
    """Describe what the intervals of a split are computed over; empty if it has none."""
    rows = pd.read_csv(output / "documents.csv")
    rows = rows[(rows["split"] == split) & (rows["model"] == model.name)]
    if len(rows) < 2:
        return ""
    unit = {"document": "documents", "block": "blocks of the only document"}[rows["unit"].iloc[0]]
    few = f", which are few: with {FEW} and more they are narrower" if len(rows) < FEW else ""
    return f"{len(rows):,} {unit}{few}"


def _examples(
    training: Path, text: HeldOutText, predictions: Predictions, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Let the model in a folder read some sentences and its worst mistakes."""
    sentences = choose_sentences(text.stream, vocabulary, count=_SENTENCES)
    surprises = choose_surprises(predictions, text.stream, vocabulary, count=_SURPRISES)
    model = load_model(training, batch_size=1)
    examples = read_examples(model, text.stream, vocabulary, [*sentences, *surprises])
    return {"examples": examples[: len(sentences)], "surprises": examples[len(sentences) :]}


def _template() -> jinja2.Template:
    page = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    shown = (wording.number, wording.percent, wording.short_percent, wording.chance, wording.change)
    others = (wording.shade, wording.training_size, describe_text, conclusions.of_ablation)
    page.filters |= {function.__name__: function for function in (*shown, *others)}
    return page.get_template("page.html")


def _describe_corpus(tokens: Path, vocabulary: Vocabulary) -> str:
    sizes = [
        f"{len(open_stream(tokens / f'{split}.npy')):,} tokens of "
        f"{len(open_stream(tokens / f'{split}.documents.npy')):,} documents"
        for split in ("train", "valid", "test")
    ]
    covered = wording.percent(1 - vocabulary.counts[UNKNOWN_ID] / sum(vocabulary.counts))
    kind = "tokens" if vocabulary.unit == "word" else "pieces of tokens"
    return (
        f"The training split has {sizes[0]}; the validation split, which chooses the best epoch, "
        f"{sizes[1]}; the test split {sizes[2]}. The vocabulary has {len(vocabulary):,} {kind}, "
        f"which cover {covered} of the training text; any other is {UNKNOWN}."
    )


def read_ablation(path: Path) -> list[dict[str, Any]]:
    """Read a CSV of trainings with one change each; the first row is the one without.

    Columns are `change`, `options`; `train`, `valid` and `test`, perplexities; `top_3`, a share;
    `cpu`, CPU time relative to the first row.

    Raises:
        InputError: it is not such a table.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False)
        numbers = [*_ABLATION[2:]]
        table[numbers] = table[numbers].astype(float)
        table["change"], table["options"]
    except (OSError, ValueError, LookupError) as error:
        raise InputError(
            f"No ablation can be read from {path}: it must be a CSV with the columns "
            f"{', '.join(_ABLATION)}, the last five plain numbers."
        ) from error
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
