"""report.html: how training went and how good the model is."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from pipeline.evaluation.evaluated_model import EvaluatedModel, load_metrics
from pipeline.evaluation.held_out import HeldOutText
from pipeline.evaluation.intervals import FEW
from pipeline.evaluation.report import conclusions, figures, lecture
from pipeline.evaluation.report.ablation import of_ablation
from pipeline.evaluation.report.agreement import by_distance, has_distances, of_agreement
from pipeline.evaluation.report.drawing import Looks, looks, save_png, to_svg
from pipeline.evaluation.report.examples import choose_sentences, choose_surprises, read_examples
from pipeline.evaluation.report.explanation import (
    Explanation,
    of_context,
    of_gradient_flow,
    of_windows,
)
from pipeline.evaluation.report.language import ENGLISH, PORTUGUESE, Language
from pipeline.evaluation.report.table import Metrics, columns_of, describe_text
from pipeline.evaluation.report.wording import (
    model_label,
    rank_band,
    shade,
    split_name,
    training_size,
)
from pipeline.evaluation.spelling import load_spelling
from pipeline.model.language_model import load_model
from pipeline.model.meter import Predictions
from pipeline.text.vocabulary import UNKNOWN, UNKNOWN_ID, Vocabulary
from pipeline.tokens.windows import open_stream
from pipeline.training.history import load_history

_SENTENCES = 6
_SURPRISES = 6


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
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    examples = _examples(folders[models[0].name], text, predictions, vocabulary)
    (output / "figures").mkdir()
    contents = []
    for language in (ENGLISH, PORTUGUESE):
        found = _Findings.load(output, models, folders, split=text.name, language=language)
        charts = _charts(found)
        if language is ENGLISH:
            for name, (figure, _) in charts.items():
                save_png(figure, output / "figures" / f"{name}.png")
        if explanation:  # `explain` saved these charts itself
            charts |= _explained_charts(explanation, found.look, language)
        html = _template("page.html", language).render(
            **vars(found),
            **examples,
            main=found.models[0].label,
            summary=conclusions.summary(
                found.models, found.metrics[found.split], found.split, language
            ),
            corpus=_describe_corpus(tokens, vocabulary, language),
            units={name: _units(output, models[0], name, language) for name in found.metrics},
            sentences={name: sentences for name, (_, sentences) in charts.items()},
            charts={
                name: to_svg(figure, name=f"{language.tag}-{name}", alt=" ".join(sentences))
                for name, (figure, sentences) in charts.items()
            },
            ablation=ablation,
            spelling=_spelling(output / "spelling.csv"),
            explanation=explanation,
            unknown=UNKNOWN,
            enough=figures.ENOUGH,
        )
        title = language.gettext("Next-word model: report")
        contents.append({"language": language, "title": title, "html": html})
    report = _template("report.html", ENGLISH).render(contents=contents)
    (output / "report.html").write_text(report, encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class _Findings:
    """What `evaluate` found, with models by their labels in a language.

    Attributes:
        split: the one that charts and examples are about.
        models: the first is the one that the page is about.
        metrics: split → label → metric → value.
        tables: rows of the split.
        histories: label → rows of history.csv.
    """

    language: Language
    split: str
    models: Sequence[EvaluatedModel]
    metrics: Mapping[str, Metrics]
    tables: Mapping[str, pd.DataFrame]
    histories: Mapping[str, pd.DataFrame]

    @classmethod
    def load(
        cls,
        output: Path,
        models: Sequence[EvaluatedModel],
        folders: Mapping[str, Path],
        *,
        split: str,
        language: Language,
    ) -> Self:
        """Read what was written into a folder, and the history of each network's training."""
        labels = {model.name: model_label(model.label, language) for model in models}
        metrics = load_metrics(output)
        tables = {}
        for name in ("frequency", "positions", "calibration"):
            table = pd.read_csv(output / f"{name}.csv")
            table["model"] = table["model"].map(labels)
            tables[name] = table[table["split"] == split].reset_index(drop=True)
        return cls(
            language=language,
            split=split,
            models=[dataclasses.replace(model, label=labels[model.name]) for model in models],
            metrics={
                name: {labels[model]: values for model, values in of_split.items()}
                for name, of_split in metrics.items()
            },
            tables=tables,
            histories={labels[n]: pd.DataFrame(load_history(f)) for n, f in folders.items()},
        )

    @property
    def look(self) -> Looks:
        """Colour and marker of each model."""
        return looks([model.label for model in self.models])


def _spelling(path: Path) -> list[dict[str, Any]]:
    """Read what was counted of typing errors, if anything."""
    rows = load_spelling(path).to_dict("records") if path.exists() else []
    return [{str(key): value for key, value in row.items()} for row in rows]


def _charts(found: _Findings) -> dict[str, Chart]:
    """Draw what `evaluate` found."""
    look, language = found.look, found.language
    metrics = found.metrics[found.split]
    main = found.models[0].label
    mine = {name: rows[rows["model"] == main] for name, rows in found.tables.items()}
    # The unigram model is so far off that the others could not be told apart.
    far = [model.label for model in found.models if model.kind == "unigram"]
    drawn = {name: rows[~rows["model"].isin(far)] for name, rows in found.tables.items()}
    charts = {
        "learning_curves": (
            figures.learning_curves(found.histories, look, language),
            conclusions.of_training(found.histories, language),
        ),
        "frequency": (
            figures.groups(drawn["frequency"], "rank", look, language),
            conclusions.of_frequency(mine["frequency"], language),
        ),
        "positions": (
            figures.groups(drawn["positions"], "part", look, language),
            [conclusions.of_positions(mine["positions"], language)],
        ),
        "calibration": (
            figures.calibration(drawn["calibration"], look, language),
            conclusions.of_calibration(mine["calibration"], metrics[main], language),
        ),
    }
    _, split = language.gettext, split_name(found.split, language)
    titles = {
        "perplexity": _("Perplexity on the %(split)s split", split=split),
        "keystroke_savings": _("Keys saved on the %(split)s split", split=split),
    }
    for metric, title in titles.items():
        show = language.number if metric == "perplexity" else language.percent
        models = {label: values for label, values in metrics.items() if metric in values}
        if models:
            charts[metric] = (
                figures.intervals(models, metric, look, language, title=title),
                [f"{label}: {show(values[metric])}." for label, values in models.items()],
            )
    return charts


def _explained_charts(
    explanation: Explanation, look: Looks, language: Language
) -> dict[str, Chart]:
    """Draw what `explain` found."""
    charts = {
        "reach": (
            figures.gradient_flow(explanation.reach, look, language),
            of_gradient_flow(explanation.reach, language),
        ),
        "context": (
            figures.word_by_context(explanation.context, look, language),
            of_context(explanation.context, language),
        ),
    }
    if explanation.unrolled:
        gradients, context = explanation.unrolled, explanation.context
        charts["unrolled"] = (
            lecture.unrolled(gradients, context, look, language),
            lecture.of_unrolled(gradients, context, language),
        )
        charts["left_out"] = (lecture.left_out(gradients, look, language), [])
    agreement = explanation.agreement
    if agreement and has_distances(agreement):
        charts["agreement"] = (
            by_distance(agreement, look, language),
            of_agreement(agreement, language),
        )
    if explanation.windows:
        charts["windows"] = (
            figures.windows(explanation.windows, look, language),
            of_windows(explanation.windows["perplexity"], language),
        )
    return charts


def _units(output: Path, model: EvaluatedModel, split: str, language: Language) -> str:
    """Describe what the intervals of a split are computed over; empty if it has none."""
    rows = pd.read_csv(output / "documents.csv")
    rows = rows[(rows["split"] == split) & (rows["model"] == model.name)]
    if len(rows) < 2:
        return ""
    _, count = language.gettext, language.number(len(rows), 0)
    text = {
        "document": _("%(count)s documents", count=count),
        "block": _("%(count)s blocks of the only document", count=count),
    }[rows["unit"].iloc[0]]
    if len(rows) < FEW:
        text += _(", which are few: with %(enough)s and more they are narrower", enough=FEW)
    return text


def _examples(
    training: Path, text: HeldOutText, predictions: Predictions, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Let the model in a folder read some sentences and its worst mistakes."""
    sentences = choose_sentences(text.stream, vocabulary, count=_SENTENCES)
    surprises = choose_surprises(predictions, text.stream, vocabulary, count=_SURPRISES)
    model = load_model(training, batch_size=1)
    examples = read_examples(model, text.stream, vocabulary, [*sentences, *surprises])
    return {"examples": examples[: len(sentences)], "surprises": examples[len(sentences) :]}


def _template(name: str, language: Language) -> jinja2.Template:
    page: Any = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    page.policies["ext.i18n.trimmed"] = True  # lines of a message are joined by a space
    page.install_gettext_translations(language.translations, newstyle=True)
    numbers = (language.number, language.plain_number, language.percent, language.short_percent)
    others = (language.chance, language.change, shade)
    worded = (rank_band, split_name, training_size, describe_text, columns_of)
    said = (of_ablation, of_agreement)
    functions = (*numbers, *others, *worded, *said)
    page.filters |= {function.__name__: function for function in functions}
    return page.get_template(name)


def _describe_corpus(tokens: Path, vocabulary: Vocabulary, language: Language) -> str:
    _, number = language.gettext, language.number
    sizes = {}
    for split in ("train", "valid", "test"):
        documents = len(open_stream(tokens / f"{split}.documents.npy"))
        sizes[split] = _(
            "%(tokens)s tokens of %(documents)s",
            tokens=number(len(open_stream(tokens / f"{split}.npy")), 0),
            documents=language.ngettext("%(num)s document", "%(num)s documents", documents),
        )
    size = number(len(vocabulary), 0)
    unit = {"word": _("%(size)s tokens", size=size), "subword": _("%(size)s pieces", size=size)}
    return _(
        "The training split has %(train)s; the validation split, which chooses the best epoch, "
        "%(valid)s; the test split %(test)s. The vocabulary has %(size)s, which cover %(covered)s "
        "of the training text; any other is %(unknown)s.",
        **sizes,
        size=unit[vocabulary.unit],
        covered=language.percent(1 - vocabulary.counts[UNKNOWN_ID] / sum(vocabulary.counts)),
        unknown=UNKNOWN,
    )
