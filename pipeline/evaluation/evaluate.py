"""Measure a trained model, and what it is compared with, on held-out text."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import InputError
from pipeline.corpus.documents import NGRAM
from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.evaluated_model import EvaluatedModel, save_metrics, save_models
from pipeline.evaluation.evaluator import Evaluator
from pipeline.evaluation.held_out import HeldOutText, open_split, read_text, training_overlap
from pipeline.evaluation.intervals import FEW
from pipeline.evaluation.keystrokes import SUGGESTIONS
from pipeline.evaluation.minimal_pairs import count_right, read_pairs
from pipeline.evaluation.report.ablation import read_ablation
from pipeline.evaluation.report.explanation import Explanation
from pipeline.evaluation.report.page import write_report
from pipeline.evaluation.spelling import correct_all, read_spelling, spelling_metrics
from pipeline.export.saved_model import NextWord
from pipeline.manifest import digest
from pipeline.model.language_model import load_model, named_models
from pipeline.text.lexicon import Lexicon
from pipeline.text.vocabulary import Vocabulary, check_same_ids
from pipeline.tokens.windows import open_stream

log = logging.getLogger(__name__)


def evaluate(
    training: Path,
    tokens: Path,
    output: Path,
    *,
    baselines: Sequence[Path] = (),
    config: EvaluationConfig,
) -> None:
    """Measure models on the validation and test splits, and on any other text.

    Writes metrics.json (split → model → metric; what a model does not have is absent), report.html,
    tables with a row for each model and split,

    - frequency.csv: perplexity and top-3 by how frequent the target is in training;
    - positions.csv: the same by fifths of a document;
    - calibration.csv: how often the most probable token is right, by tenths of its p;
    - documents.csv: sums over each document, or over blocks of paragraphs where there is but one;
      intervals are made from them, and `nextword compare` reads them;

    models.json with the names of the models, and figures/. If asked for, also spelling.csv, which
    typing errors are corrected (`spelling_metrics`), and pairs.csv, how often models prefer the
    right form of minimal pairs (`count_right`).

    Args:
        training: folder of the model to evaluate, as `train` wrote it.
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        baselines: folders of other trained models. A unigram model is always beside them, and an
            n-gram model alone and interpolated with the model.
        config: what else is measured and shown.

    Raises:
        InputError: a folder lacks its files, a model knows another vocabulary, there is no text
            to predict, or a list of the lexicon or a table is none.
    """
    explained = None if config.explanation is None else Explanation.load(config.explanation)
    changes = read_ablation(config.ablation) if config.ablation else ()
    models = named_models(training, *baselines)  # before anything slow, are there models at all?
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    texts = [open_split(tokens, split, vocabulary) for split in ("valid", "test")]
    if config.text:
        texts.append(read_text(config.text, vocabulary, text_column=config.text_column))
    evaluated = {name: digest([folder]) for name, folder in models.items()}  # as explain's
    if explained:
        _check_explained(explained, evaluated, config.explanation)
    for folder in models.values():
        check_same_ids(vocabulary, folder, tokens)
    lexicon = Lexicon.load(training, vocabulary, config.lexicon)
    pairs = read_pairs(config.pairs, vocabulary) if config.pairs else None
    spelling = _measure_spelling(training, lexicon, config.spelling) if config.spelling else None

    evaluator = Evaluator(texts, vocabulary, lexicon, pairs)
    for name, folder in models.items():
        model = EvaluatedModel(name, name, "network", digest=evaluated[name])
        evaluator.add_network(model, folder)
    if config.cache:
        evaluator.add_cache(training, size=config.cache)
    train = open_stream(tokens / "train.npy", below=len(vocabulary))
    if config.dynamic:
        evaluator.add_dynamic(training, train)
    if config.ngram_order:
        evaluator.add_ngrams(train, order=config.ngram_order)
    evaluator.add_unigram()
    _warn_of_few_documents(texts)
    overlap = _measure_overlap(texts[2], train, config.text) if config.text else {}

    save_models([*evaluator.predictions], output)
    metrics, tables = evaluator.results(overlap)
    for name, table in tables.items():
        table.to_csv(output / f"{name}.csv", index=False)
    save_metrics(metrics, output)
    if spelling is not None:
        spelling.to_csv(output / "spelling.csv", index=False)
    if pairs:
        count_right(pairs, evaluator.preferred).to_csv(output / "pairs.csv", index=False)
    write_report(
        output,
        [*evaluator.predictions],
        folders=models,
        tokens=tokens,
        text=texts[1],
        predictions=next(iter(evaluator.predictions.values()))["test"],
        explanation=explained,
        ablation=changes,
    )


def _check_explained(
    explained: Explanation, evaluated: Mapping[str, str], explanation: Path | None
) -> None:
    """Refuse an explanation of other models than those evaluated, given as name → digest."""
    for name, trained in explained.models.items():
        if evaluated.get(name) != trained:
            raise InputError(
                f"{explanation} explains another {name} than is evaluated: name its folder with "
                "--baseline, or run `nextword explain` again with --model for those that are."
            )


def _warn_of_few_documents(texts: Sequence[HeldOutText]) -> None:
    units = {text.name: text.units() for text in texts}
    few = [f"{name} ({len(b) - 1} {unit}s)" for name, (unit, b) in units.items() if len(b) <= FEW]
    if few:
        log.warning(
            "Few documents make wide intervals: %s. With %d or more, they are narrower.",
            *(", ".join(few), FEW),
        )


def _measure_spelling(training: Path, lexicon: Lexicon, path: Path) -> pd.DataFrame:
    words = read_spelling(path)
    if lexicon.vocabulary.unit == "subword":
        raise InputError(
            f"The model in {training} is of subwords, and corrects none: leave out --spelling."
        )
    module = NextWord(
        load_model(training), lexicon.vocabulary, suggestions=SUGGESTIONS, lexicon=lexicon
    )
    return spelling_metrics(correct_all(words, module.correct_function()))


def _measure_overlap(text: HeldOutText, train: np.ndarray, path: Path) -> dict[str, float]:
    """Measure how much of a text is in training, and warn where it is any."""
    share = training_overlap(text, train)
    if share:
        log.warning(
            "%.1f%% of the tokens of %s are in the training text, in runs of %d and more: a "
            "perplexity over text that was trained on means nothing.",
            *(100 * share, path, NGRAM),
        )
    return {"training_overlap": share}
