"""The page that shows how training went and how good the model is, and the terminal's table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from pipeline import InputError
from pipeline.evaluation.held_out import Unseen
from pipeline.evaluation.intervals import FEW
from pipeline.evaluation.report import conclusions, explanation, figures, wording
from pipeline.evaluation.report.drawing import Look, looks, save_png, to_svg
from pipeline.evaluation.report.examples import choose_sentences, choose_surprises, read
from pipeline.evaluation.report.explanation import Explanation
from pipeline.evaluation.report.table import columns_of, of_text
from pipeline.model.language_model import load_model
from pipeline.model.meter import Predictions
from pipeline.text.vocabulary import UNKNOWN, UNKNOWN_ID, Vocabulary
from pipeline.tokens.windows import open_stream

_SENTENCES = 6
_SURPRISES = 6
_ABLATION = ("change", "options", "train", "valid", "test", "top_3", "cpu")


def write_report(
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]],
    *,
    histories: Mapping[str, Path],
    training: Path,
    tokens: Path,
    unseen: Unseen,
    predictions: Predictions,
    output: Path,
    explained: Explanation | None = None,
    ablation: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write report.html, a page that needs nothing else, and its charts as figures/*.png.

    Args:
        metrics: split → model → metric → value; the first model is the one the page is about.
        histories: model → its history.csv.
        training: folder of the first model.
        tokens: folder that `tokenize` wrote.
        unseen: the text that examples are taken from, and that charts are about.
        predictions: what the first model said of it.
        output: folder that `evaluate` writes; frequency.csv and the other tables are there.
        explained: what `explain` has found.
        ablation: of `read_ablation`.
    """
    split = unseen.name
    models = metrics[split]
    main = next(iter(models))
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    trained = {name: pd.read_csv(path) for name, path in histories.items()}
    tables = {
        name: _of_split(output / f"{name}.csv", split)
        for name in ("frequency", "positions", "calibration")
    }
    mine = {name: rows[rows["model"] == main] for name, rows in tables.items()}
    look = looks([*models, *trained, *(explained.models if explained else ())])

    said = {
        "learning_curves": conclusions.of_training(trained),
        "frequency": conclusions.of_frequency(mine["frequency"]),
        "positions": [conclusions.of_positions(mine["positions"])],
        "calibration": [conclusions.of_calibration(mine["calibration"], models[main])],
    }
    for metric, show in (("perplexity", wording.number), ("keystroke_savings", wording.percent)):
        known = [(wording.label(name), v[metric]) for name, v in models.items() if metric in v]
        said[metric] = [f"{name}: {show(value)}." for name, value in known]
    charts = _draw(models, trained, tables, look, split=split)
    folder = output / "figures"
    folder.mkdir()
    for name, figure in charts.items():
        save_png(figure, folder / f"{name}.png")
    if explained:  # `explain` has kept its own charts
        charts |= explained.charts(look)
        said |= explained.said
    alts = {
        name: f"{figure.get_suptitle()}. {' '.join(said.get(name, []))}"
        for name, figure in charts.items()
    }
    stream = unseen.stream
    sentences = choose_sentences(stream, vocabulary, count=_SENTENCES)
    surprises = choose_surprises(predictions, stream, vocabulary, count=_SURPRISES)
    model = load_model(training, batch_size=1)
    examples = read(model, stream, vocabulary, [*sentences, *surprises])
    page = _template().render(
        metrics=metrics,
        columns={name: columns_of(of_split) for name, of_split in metrics.items()},
        over={name: _units(output / "documents.csv", name) for name in metrics},
        split=split,
        main=main,
        in_short=conclusions.in_short(models, split),
        said=said,
        corpus=_corpus(tokens, vocabulary),
        ablation=ablation,
        explained=explained,
        tables=tables,
        charts={name: to_svg(f, name=name, alt=alts[name]) for name, f in charts.items()},
        sentences=examples[: len(sentences)],
        surprises=examples[len(sentences) :],
        unknown=UNKNOWN,
        enough=figures.ENOUGH,
    )
    (output / "report.html").write_text(page, encoding="utf-8")


def _draw(
    models: Mapping[str, Mapping[str, float]],
    trained: Mapping[str, pd.DataFrame],
    tables: Mapping[str, pd.DataFrame],
    look: Mapping[str, Look],
    *,
    split: str,
) -> dict[str, Figure]:
    """The charts that are kept, by name."""
    # The unigram model, far off, would leave no room to tell the others apart.
    drawn = {name: rows[rows["model"] != "unigram"] for name, rows in tables.items()}
    charts = {
        "learning_curves": figures.learning_curves(trained, look),
        "frequency": figures.groups(
            drawn["frequency"],
            "rank",
            look,
            title="By how frequent the target is",
            xlabel="its rank in training",
        ),
        "positions": figures.groups(
            drawn["positions"],
            "part",
            look,
            title="By the part of a document",
            xlabel="fifth of a document",
        ),
        "perplexity": figures.intervals(
            models, "perplexity", look, title=f"Perplexity on the {split} split"
        ),
        "calibration": figures.calibration(drawn["calibration"], look),
    }
    typed = {name: v for name, v in models.items() if "keystroke_savings" in v}
    if typed:
        charts["keystroke_savings"] = figures.intervals(
            typed, "keystroke_savings", look, title=f"Keys saved on the {split} split", percent=True
        )
    return charts


def _template() -> jinja2.Template:
    page = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page.filters |= {
        "label": wording.label,
        "number": wording.number,
        "percent": wording.percent,
        "chance": wording.chance,
        "change": wording.change,
        "of_text": of_text,
        "conclusion": conclusions.of_ablation,
        "shade": explanation.shade,
        "cell": explanation.cell,
    }
    return page.get_template("page.html")


def _of_split(path: Path, split: str) -> pd.DataFrame:
    table = pd.read_csv(path)
    return table[table["split"] == split].reset_index(drop=True)


def _units(documents: Path, split: str) -> str:
    """What the intervals of a split are over; nothing where it has none."""
    rows = _of_split(documents, split)
    rows = rows[rows["model"] == rows["model"].iloc[0]]
    unit = {"document": "documents", "block": "blocks of the only document"}[rows["unit"].iloc[0]]
    few = f", which are few: with {FEW} and more they are narrower" if len(rows) < FEW else ""
    return f"{len(rows):,} {unit}{few}" if len(rows) > 1 else ""


def _corpus(tokens: Path, vocabulary: Vocabulary) -> str:
    """The corpus in a paragraph."""
    sizes = [
        f"{len(open_stream(tokens / f'{split}.npy')):,} tokens of "
        f"{len(open_stream(tokens / f'{split}.documents.npy')):,} documents"
        for split in ("train", "valid", "test")
    ]
    covered = wording.percent(1 - vocabulary.counts[UNKNOWN_ID] / sum(vocabulary.counts))
    kind = "tokens" if vocabulary.unit == "word" else "pieces of tokens"
    return (
        f"There were {sizes[0]} to learn from, {sizes[1]} to choose the best epoch by (validation),"
        f" and {sizes[2]} kept aside for the test. The vocabulary has {len(vocabulary):,} {kind}, "
        f"which are {covered} of the text to learn from; any other is {UNKNOWN}."
    )


def read_ablation(path: Path) -> list[dict[str, Any]]:
    """What trainings with one change each came to, from a CSV.

    Returns:
        A row for each, the first the one without a change: `change`, `options`; `train`, `valid`
        and `test`, perplexities; `top_3`, a share; `cpu`, what training took beside the first.

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
