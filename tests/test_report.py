"""The report stands alone and shows the values of metrics.json."""

import dataclasses
import itertools
import json
import re
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import rich
from conftest import TOKENS, predicted, write_training
from pages import Page

from pipeline import InputError
from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.evaluated_model import EvaluatedModel, load_models, save_models
from pipeline.evaluation.held_out import open_split
from pipeline.evaluation.report import conclusions, figures
from pipeline.evaluation.report.ablation import of_ablation, read_ablation
from pipeline.evaluation.report.agreement import of_agreement
from pipeline.evaluation.report.drawing import looks
from pipeline.evaluation.report.explanation import Explanation, of_context, of_gradient_flow
from pipeline.evaluation.report.language import ENGLISH, PORTUGUESE
from pipeline.evaluation.report.page import write_report
from pipeline.evaluation.report.table import columns_of, describe_text, print_table
from pipeline.explain.config import ExplanationConfig
from pipeline.explain.explain import explain
from pipeline.text.vocabulary import Vocabulary

# A word that would be a tag, if it were not escaped.
WORDS = (*TOKENS, "<i>")
VOCABULARY = Vocabulary(WORDS, WORDS, [3, 9, 9, 7, *range(len(WORDS) - 4, 0, -1)])
SENTENCE = "<s> o cachorro bebeu água e ela , a <i> <unk> .".split()
IDS = np.array([WORDS.index(word) for word in SENTENCE], np.int32)
ABLATION = "change,options,train,valid,test,top_3,cpu\nquick,,9.5,10,11,0.25,1\n"
PAIRS = """item\tdistance\tattractor\tcontext\tright\twrong
1\t0\tnone\tEla bebeu\tágua\to
2\t5\tother\tO cachorro\tbebeu\te
"""
LABELS = {
    ENGLISH: {
        "kneser_ney_3": "Kneser-Ney 3-gram",
        "lstm_and_kneser_ney_3": "lstm + Kneser-Ney 3-gram",
    },
    PORTUGUESE: {
        "kneser_ney_3": "Kneser-Ney de 3-gramas",
        "lstm_and_kneser_ney_3": "lstm + Kneser-Ney de 3-gramas",
        "unigram": "unigrama",
    },
}
GRU = EvaluatedModel("gru", "gru", "network")
NGRAMS = EvaluatedModel("kneser_ney_5", "Kneser-Ney 5-gram", "ngrams")
UNIGRAM = EvaluatedModel("unigram", "unigram", "unigram")
OTHER = "gru models/[old]"  # of two with the same cell


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same evaluation twice: in full/ with all that can be shown, in bare/ without."""
    root = tmp_path_factory.mktemp("report")
    tokens = root / "tokens"
    tokens.mkdir()
    VOCABULARY.save(tokens / "vocabulary.tsv")
    for split, repeats in (("train", 60), ("valid", 6), ("test", 6)):
        np.save(tokens / f"{split}.npy", np.tile(IDS, repeats))
        np.save(tokens / f"{split}.letters.npy", np.tile(np.int32([1] * len(IDS)), repeats))
        np.save(tokens / f"{split}.documents.npy", np.array([1, 2, 3] * (repeats // 6), np.int32))
        unknown = "xadrez\n" * (repeats * np.count_nonzero(IDS == 0))
        (tokens / f"{split}.unknown.txt").write_text(unknown)
    for cell in ("lstm", "feedforward"):
        write_training(root / cell, cell, VOCABULARY, scale=0.5)
    (root / "ablation.csv").write_text(
        ABLATION + '"<no dropout>",--dropout 0,5,12,12.1,0.2,0.9\n', encoding="utf-8"
    )
    for name in ("explanation", "full"):
        (root / name).mkdir()
    (root / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    looked_at = ExplanationConfig(
        "O cachorro & ela bebeu água.", steps=8, samples=4, pairs=root / "pairs.tsv"
    )
    explain(tokens, root / "explanation", models=[root / "lstm"], config=looked_at)
    shown = EvaluationConfig(
        ngram_order=3, explanation=root / "explanation", ablation=root / "ablation.csv"
    )
    evaluate(root / "lstm", tokens, root / "full", baselines=[root / "feedforward"], config=shown)
    write_page(root, "bare")
    return root


def write_page(root, name, **shown):
    """Write the page of the evaluation in full/ into another folder."""
    (root / name).mkdir()
    for path in [root / "full" / "metrics.json", *(root / "full").glob("*.csv")]:
        shutil.copy(path, root / name)
    test = open_split(root / "tokens", "test", VOCABULARY)
    write_report(
        root / name,
        load_models(root / "full"),
        folders={"lstm": root / "lstm"},
        tokens=root / "tokens",
        text=test,
        predictions=predicted(test.stream[1:], np.ones(len(test.stream) - 1)),
        **shown,
    )


def text_of(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def part_of(folder, language):
    """The part of the page in one language."""
    return re.search(f'<main lang="{language.tag}">.*?</main>', text_of(folder), re.DOTALL)[0]


in_both_languages = pytest.mark.parametrize("language", [ENGLISH, PORTUGUESE])


@pytest.mark.parametrize("name", ["full", "bare"])
def test_a_page_stands_alone_and_can_be_read_by_all(folder, name):
    text = text_of(folder / name)
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text
    page = Page(text)
    assert all("src" not in attributes for tag, attributes in page.elements if tag == "script")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len({*ids})
    for _, attributes in page.elements:
        for key in ("src", "href", "xlink:href"):
            target = attributes.get(key, "data:")
            assert target == "data:," or target == "data:" or target.removeprefix("#") in ids
    assert {*re.findall(r"url\(#?([^)]*)\)", text)} <= {*ids}
    levels = [int(heading[1]) for heading in page.headings]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(len(drawing["aria-label"]) > 20 for drawing in drawings)
    assert all(len(table[0]) == 1 and len(table[0][0]) > 10 for table in page.tables)
    figures = {path.stem for path in (folder / name / "figures").iterdir()}
    own = {"learning_curves", "perplexity", "keystroke_savings", "frequency", "positions"}
    assert figures == own | {"calibration"}
    assert len(drawings) == 2 * (len(figures) + (5 if name == "full" else 0))


@in_both_languages
def test_the_tables_are_those_of_metrics_json(folder, language):
    metrics = json.loads((folder / "full" / "metrics.json").read_text())
    tables = Page(part_of(folder / "full", language)).tables
    labels = LABELS[language]
    for (_, models), (caption, headings, *rows) in zip(metrics.items(), tables, strict=False):
        assert f"{language.number(models['lstm']['tokens'], 0)} tokens" in caption[0]
        assert language.percent(models["lstm"]["oov_rate"]) in caption[0]
        few = {ENGLISH: "over 3 documents, which are few", PORTUGUESE: "sobre 3 documentos"}
        assert few[language] in caption[0]
        columns = columns_of(models, language)
        assert headings[1:] == [column.heading for column in columns]
        assert [row[0] for row in rows] == [labels.get(model, model) for model in models]
        for row, values in zip(rows, models.values(), strict=True):
            for cell, column in zip(row[1:], columns, strict=True):
                shown = cell.split()
                if column.key not in values:
                    assert not shown
                    continue
                assert shown[0] == column.show(values[column.key])
                if f"{column.key}_low" in values:
                    low, high = (column.show(values[f"{column.key}_{e}"]) for e in ("low", "high"))
                    assert shown[1] == f"{low.replace('%', '')}–{high}"
    assert 0 <= metrics["test"]["lstm"]["keystroke_savings_low"] < 1


def test_sections_without_data_are_left_out(folder):
    full, bare = (Page(part_of(folder / name, ENGLISH)) for name in ("full", "bare"))
    optional = {
        "h2 What each idea is worth",
        "h2 What it remembers",
        "h3 The reach of the gradient",
        "h3 The sum of backpropagation through time",
        "h3 Agreement over a distance",
        "h3 Shorter contexts",
    }
    assert {*full.headings} - {*bare.headings} == optional
    parts = (part_of(folder / name, PORTUGUESE) for name in ("full", "bare"))
    for page in (full, bare, *map(Page, parts)):
        links = [a["href"][1:] for tag, a in page.elements if tag == "a"]
        assert links == [a["id"] for tag, a in page.elements if tag == "section"]


def test_pairs_without_distances_have_sentences_and_no_chart(folder):
    explanation = Explanation.load(folder / "explanation")
    counts = [row for row in explanation.agreement["counts"] if row["by"] != "distance"]
    agreement = {**explanation.agreement, "counts": counts}
    shown = dataclasses.replace(explanation, agreement=agreement)
    write_page(folder, "without distances", explanation=shown)
    for name, charts in (("full", 1), ("without distances", 0)):
        text = part_of(folder / name, ENGLISH)
        assert "lstm prefers the right form in" in text
        assert text.count("The dashed line is where the window") == charts


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.6, 0.8, "better than chance"), (0.4, 0.6, "as by chance"), (0.1, 0.3, "worse than chance")],
)
def test_chance_is_what_an_interval_does_not_exclude(low, high, verdict):
    row = {"model": "lstm", "pairs": 9, "share": 0.5, "low": low, "high": high}
    groups = (("all", "all"), ("window", "outside"))
    counts = [{**row, "by": by, "group": group} for by, group in groups]
    (sentence,) = of_agreement({"counts": counts, "window": 5}, ENGLISH)
    assert sentence.endswith(f"{verdict}.")
    assert "acaso" in of_agreement({"counts": counts, "window": 5}, PORTUGUESE)[0]


def test_ablation_and_explanation_are_shown_as_they_are(folder):
    text = part_of(folder / "full", ENGLISH)
    rows = [row for table in Page(text).tables for row in table]
    assert ["quick", "", "9.5", "10.0", "11.0", "", "25.0%", "1.00 ×"] in rows
    no_dropout = ["<no dropout>", "--dropout 0", "5.0", "12.0", "12.1", "+10.0%", "20.0%", "0.90 ×"]
    assert no_dropout in rows
    explanation = json.loads((folder / "explanation" / "explanation.json").read_text())
    p = explanation["context"]["models"]["lstm"]["probabilities"][0]
    heat = next(table for table in Page(text).tables if table[0][0].startswith("lstm: prob"))
    assert heat[1] == ["tokens", *explanation["context"]["words"]]
    assert [float(cell) for cell in heat[2][1:]] == pytest.approx([100 * x for x in p], rel=0.06)
    assert "O cachorro &amp; ela bebeu água." in text


def test_words_of_the_corpus_are_escaped(folder):
    text = text_of(folder / "full")
    assert "&lt;i&gt;" in text
    assert "&lt;unk&gt;" in text
    assert not re.search("<i>|<unk>|<no dropout>", text)


def test_unreadable_inputs_are_refused_before_anything_slow(tmp_path):
    bad = tmp_path / "ablation.csv"
    for content in ("change,test\na,1\n", ABLATION.replace("0.25", "25%"), ""):
        bad.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=r"ablation\.csv: it must be a CSV with the columns"):
            read_ablation(bad)
    (tmp_path / "explanation.json").write_text('{"models": {}}', encoding="utf-8")
    with pytest.raises(InputError, match="ablation"):
        evaluate(tmp_path, tmp_path, tmp_path, config=EvaluationConfig(ablation=bad))
    with pytest.raises(InputError, match="nextword explain"):
        evaluate(tmp_path, tmp_path, tmp_path, config=EvaluationConfig(explanation=tmp_path))


# Two languages


@in_both_languages
def test_a_part_is_written_in_its_language(folder, language):
    said = Page(part_of(folder / "full", language)).said
    mine = [text for tag, text in said if tag == language.tag]
    assert len(" ".join(mine)) > 5000
    others = {
        ENGLISH: r"\b(de|do|da|que|não|com|para|uma|são|modelo)\b",
        PORTUGUESE: r"\b(the|of|is|are|and|with|by|from|words|token that|model)\b",
    }
    assert [text for text in mine if re.search(others[language], text)] == []
    assert {tag for tag, _ in said} == {language.tag, "pt"} | (
        {"en"} if language is PORTUGUESE else set()  # a term
    )


def test_both_parts_say_the_same_numbers(folder):
    def numbers(language):
        # How many ticks an axis has depends on the width of labels.
        part = part_of(folder / "full", language)
        without_charts = re.sub("<svg.*?</svg>", "", part, flags=re.DOTALL)
        text = " ".join(text for _, text in Page(without_charts).said)
        found = re.findall(r"\d+(?:[.,]\d+)*", text)
        thousands, point = (",", ".") if language is ENGLISH else (".", ",")
        return Counter(number.replace(thousands, "").replace(point, ".") for number in found)

    assert numbers(ENGLISH).total() > 500
    assert numbers(ENGLISH) == numbers(PORTUGUESE)


@pytest.fixture
def visit(browser, folder):
    """Opens the full report; what it throws fails the test."""
    contexts, errors = [], []

    def visit(anchor="", *, width=1100, script="", **options):
        size = {"width": width, "height": 800}
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((folder / "full" / "report.html").as_uri() + anchor)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not errors


def assert_shown(page, language):
    assert page.locator("main:visible").evaluate_all("all => all.map(x => x.lang)") == [
        language.tag
    ]


@pytest.mark.parametrize(
    ("locale", "language"),
    [("pt-BR", PORTUGUESE), ("pt-PT", PORTUGUESE), ("en-GB", ENGLISH), ("fr-FR", ENGLISH)],
)
def test_the_browser_decides_what_is_shown_first(visit, locale, language):
    page = visit(locale=locale)
    assert_shown(page, language)
    assert page.evaluate("document.documentElement.lang") == language.tag
    assert page.title() == language.gettext("Next-word model: report")
    pressed = page.locator("button[aria-pressed=true]")
    assert pressed.all_text_contents() == [language.name]


def test_what_a_reader_chooses_is_remembered(visit):
    page = visit(locale="en-US")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert_shown(page, PORTUGUESE)
    assert page.evaluate("document.activeElement.textContent") == "Português"
    page.reload()
    assert_shown(page, PORTUGUESE)
    page.emulate_media(media="print")
    assert_shown(page, PORTUGUESE)
    assert page.locator("button:visible").count() == 0


def test_links_to_a_section_show_it_in_their_language(visit):
    page = visit("#pt-memory", locale="en-US")
    assert_shown(page, PORTUGUESE)
    distance = "document.querySelector(':target').getBoundingClientRect().top"
    assert abs(page.evaluate(distance)) < 5
    page.get_by_role("button", name="English").click()
    assert_shown(page, ENGLISH)
    assert page.evaluate("location.hash") == "#en-memory"
    page.evaluate("location.hash = 'pt-failures'")
    page.locator("html[lang='pt-BR']").wait_for(state="attached")
    assert abs(page.evaluate(distance)) < 5


@in_both_languages
def test_a_phone_does_not_scroll_sideways(visit, language):
    page = visit(width=390, locale=language.tag)
    assert_shown(page, language)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_browser_that_allows_little(visit):
    refuse = "() => { throw new DOMException('no', 'SecurityError') }"
    page = visit(
        script=f"Object.defineProperty(window, 'localStorage', {{ get: {refuse} }})", locale="en-US"
    )
    page.get_by_role("button", name="Português").click()
    assert_shown(page, PORTUGUESE)
    page = visit(java_script_enabled=False, locale="pt-BR")
    assert_shown(page, ENGLISH)
    assert page.locator("button:visible").count() == 0


# Words and numbers


def test_the_first_model_is_compared_with_the_others():
    metrics = {
        "gru": {"perplexity": 80.0, "perplexity_low": 70.0, "perplexity_high": 91.04},
        "Kneser-Ney 5-gram": {"perplexity": 125.0},
        "gru + Kneser-Ney 5-gram": {"perplexity": 60.0, "interpolation_weight": 0.75},
        "unigram": {"perplexity": 400.0},
    }
    models = [GRU, NGRAMS, GRU.mixed_with(NGRAMS), UNIGRAM]
    first, ratios, mixture = conclusions.summary(models, metrics, "test", ENGLISH)
    assert "gru is 80.0 (95% interval 70.0 to 91.0)" in first
    assert ratios == (
        "The perplexity of gru is 0.64 of that of Kneser-Ney 5-gram and 0.20 of that of unigram."
    )
    assert "75.0%" in mixture
    assert "60.0, 0.75 of gru alone" in mixture


def test_n_grams_of_a_part_of_the_text_are_mentioned():
    counted = {"perplexity": 125.0, "counted_tokens": 20_000_000, "training_tokens": 20_000_000}
    metrics = {"gru": {"perplexity": 80.0}, "Kneser-Ney 5-gram": counted}
    assert len(conclusions.summary([GRU, NGRAMS], metrics, "test", ENGLISH)) == 2
    counted["training_tokens"] = 123_456_789
    *_, last = conclusions.summary([GRU, NGRAMS], metrics, "test", ENGLISH)
    assert "Kneser-Ney 5-gram was counted in 20,000,000 of 123,456,789 training tokens" in last


def test_overlap_with_training_is_mentioned():
    values = {"tokens": 1234, "oov_rate": 0.05}
    assert describe_text({"gru": values}, ENGLISH) == "1,234 tokens, 5.0% of them out of vocabulary"
    values["training_overlap"] = 0.63
    assert "63.0% in runs that are in training too" in describe_text({"gru": values}, ENGLISH)


def test_trainings_of_different_length_are_mentioned():
    def history(*perplexities):
        epochs = range(1, len(perplexities) + 1)
        columns = {"epoch": epochs, "train_perplexity": 90.0, "valid_perplexity": perplexities}
        return pd.DataFrame(columns)

    first, *_ = alike = conclusions.of_training(
        {"lstm": history(99, 81, 84), "gru": history(9, 8, 7)}, ENGLISH
    )
    assert first == ("lstm was best after epoch 2 of 3: validation perplexity 81.0, training 90.0.")
    assert len(alike) == 2
    *_, last = conclusions.of_training({"lstm": history(99, 81), "gru": history(90)}, ENGLISH)
    assert "not trained for equally many epochs" in last


def test_the_best_and_the_worst_change_of_an_ablation():
    worse, better = {"change": "a", "test": 110.0}, {"change": "b", "test": 95.0}
    text = of_ablation([{"change": "none", "test": 100.0}, worse, better], ENGLISH)
    assert "“b” has the lowest (−5.0%)" in text
    assert "“a” the highest (+10.0%)" in text
    assert of_ablation([worse], ENGLISH) == ""


def test_an_overconfident_model():
    rows = pd.DataFrame({"tokens": [10, 30], "confidence": [0.9, 0.5], "right": [0.5, 0.5]})
    sure = conclusions.of_calibration(rows, {"calibration_error": 0.1}, ENGLISH)[0]
    assert "60.0% on average and is right in 50.0%" in sure
    assert "overconfident by 10.0 points" in sure


def test_frequent_and_rare_tokens():
    table = pd.DataFrame({"rank": ["1-10", "10001-", "unknown"], "tokens": [60, 30, 10]})
    known = table.assign(perplexity=[5.0, 900.0, 30.0], top_3=[0.8, 0.01, 0.0])
    perplexities, _, unknown = conclusions.of_frequency(known, ENGLISH)
    assert "rank 1 to 10 in training have perplexity 5.0" in perplexities
    assert "10,001 and beyond, 30.0% of the text, 900.0" in perplexities
    assert "10.0% of the text is out of vocabulary" in unknown


def test_names_at_the_ends_of_lines_are_not_cut_off():
    name = "lstm + Kneser-Ney de 5-gramas"  # its line ends far from the right
    bands = ["1-10", "11-100", "101-1000", "unknown"]
    rows = {"model": name, "rank": bands, "perplexity": [1.0, 9.0, 99.0, 5.0], "tokens": 5}
    figure = figures.groups(pd.DataFrame(rows), "rank", looks([name]), PORTUGUESE)
    figure.draw_without_rendering()  # as saving does
    ends = [text.get_window_extent().x1 for text in figure.axes[0].texts]
    assert len(ends) == 1
    assert ends[0] <= figure.bbox.x1
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == [
        *("1–10\n25%", "11–100\n25%", "101–1k\n25%", "fora\n25%")
    ]


def test_where_the_gradient_vanishes():
    mean = {"h": {"mean": [2.0, 1.0, 0.1]}, "vanished_after": None}
    sentences = of_gradient_flow(
        {
            "lstm": {**mean, "state": {"mean": [2.0, 1.0, 0.1]}},
            "gru": {**mean, "state": {"mean": [0.0, 0.01, 4e-6]}, "vanished_after": 1},
            "feedforward": {**mean, "state": {"mean": [2.0, 0.0, 0.0]}, "vanished_after": 1},
        },
        ENGLISH,
    )
    assert "After 2 steps back more than 1%" in sentences[0]
    assert "from 1 step back on, and 2·10⁻⁶ after 2 steps" in sentences[1]
    assert "is zero from 1 step back on" in sentences[2]


def test_the_context_that_a_word_needs():
    context = {"words": ["ela", "bebeu", "água"], "place": 2}
    model = {"probabilities": [[0, 0, 0.01], [0, 0.2], [0.4]], "ranks": [[1, 1, 9], [1, 2], [1]]}
    text = of_context({**context, "models": {"lstm": model}}, ENGLISH)[0]
    assert "«água» 1.0% after one token and 40.0% after all 3" in text
    assert "once it reads 2 tokens" in text
    never = {**model, "ranks": [[1, 1, 2], [1, 2], [7]]}
    assert "(rank 7)" in of_context({**context, "models": {"lstm": never}}, ENGLISH)[0]


def test_the_table_fits_the_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rich.get_console(), "width", 100)
    keys = {
        column.key: 0.98765
        for column in columns_of({"": dict.fromkeys(columns_keys(), 1.0)}, ENGLISH)
    }
    values = {**keys, "perplexity": 123456.7, "perplexity_known": 123456.7, "tokens": 1_500_000}
    values = {**values, "oov_rate": 0.05, "latency_ms": 123.45}
    models = [GRU.mixed_with(NGRAMS), EvaluatedModel(OTHER, OTHER, "network")]
    save_models(models, tmp_path)
    metrics = {"test": {model.name: values for model in models}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    assert load_models(tmp_path) == models
    print_table(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    shown = "\n".join(lines)
    assert "1,500,000 tokens, 5.0% of them out of vocabulary" in shown
    assert "123,456.7" in shown
    assert "98.8%" in shown
    assert "[old]" in shown
    assert "…" not in shown


def columns_keys():
    names = "perplexity perplexity_per_word perplexity_known top_1 top_3 top_5 top_3_words"
    rest = "mean_reciprocal_rank keystroke_savings calibration_error latency_ms"
    return [*names.split(), *rest.split()]


def test_an_explanation_of_another_model_is_refused(folder, tmp_path):
    config = EvaluationConfig(explanation=folder / "explanation")
    with pytest.raises(InputError, match="explanation explains another lstm than is evaluated"):
        evaluate(folder / "feedforward", folder / "tokens", tmp_path, config=config)
