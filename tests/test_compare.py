import io
import math
from contextlib import redirect_stdout

import numpy as np
import pandas as pd
import pytest

from pipeline import InputError
from pipeline.evaluation.compare import compare, difference, in_words, print_comparison
from pipeline.evaluation.intervals import jackknife


def write_evaluation(folder, rates, *, split="test", unit="document", digest="d", top=0.3):
    """documents.csv of a model with so many nats per token in each document of 100 tokens."""
    folder.mkdir(exist_ok=True)
    count = len(rates)
    table = pd.DataFrame({"number": range(1, count + 1), "nats": np.multiply(rates, 100.0)})
    table = table.assign(split=split, model="lstm", unit=unit, tokens=100, top_3=100 * top)
    table = table.assign(keys=240, unaided_keys=400, digest=[f"{digest}{n}" for n in range(count)])
    # A second model in the folder, which is not compared.
    pd.concat([table, table.assign(model="unigram", nats=700.0, top_3=np.nan)]).to_csv(
        folder / "documents.csv", index=False
    )
    return folder


@pytest.fixture
def rates():
    """Documents of very different difficulty."""
    return np.random.default_rng(0).uniform(3, 6, 30)


def test_a_small_difference_in_every_document_is_not_noise(tmp_path, rates):
    first = write_evaluation(tmp_path / "a", rates - 0.02)
    second = write_evaluation(tmp_path / "b", rates)
    perplexity, top, keys = compare(first, second)
    assert (perplexity.metric, top.metric, keys.metric) == (
        "perplexity", "top_3", "keystroke_savings",
    )  # fmt: skip
    assert perplexity.difference == pytest.approx(math.exp(-0.02))
    # All documents agree, so it is the same whichever are drawn.
    assert perplexity.low == pytest.approx(perplexity.difference)
    assert perplexity.high == pytest.approx(perplexity.difference)
    assert perplexity.second == pytest.approx(math.exp(rates.mean()))
    assert perplexity.better == 1
    assert (top.difference, top.better, keys.better) == (0, 0, 0)
    assert keys.first == pytest.approx(0.4)
    (sentence,) = in_words([perplexity, top, keys], first="A", second="B")
    assert "A is better than B, and that is not noise" in sentence
    assert "0.980 ×" in sentence
    (sentence,) = in_words(compare(second, first), first="B", second="A")
    assert "A is better than B" in sentence


def test_a_difference_on_which_documents_disagree_may_be_noise(tmp_path, rates):
    wavering = np.random.default_rng(1).normal(-0.01, 0.5, 30)
    first = write_evaluation(tmp_path / "a", rates + wavering)
    perplexity = compare(first, write_evaluation(tmp_path / "b", rates))[0]
    assert perplexity.low < 1 < perplexity.high
    assert perplexity.better == 0
    (sentence,) = in_words([perplexity], first="A", second="B")
    assert "may be noise" in sentence
    assert "over 30 documents)" in sentence


@pytest.mark.parametrize("documents", [6, 8])
def test_equal_models_differ_significantly_no_more_often_than_allowed(documents):
    """Each is better on half of the documents, by chance: «not noise» in 5 of 100 at most."""
    random = np.random.default_rng(documents)
    sure = []
    for _ in range(2000):
        tokens = np.exp(random.normal(6, 0.8, documents))
        hard = random.normal(4.5, 0.4, documents)  # for both
        nats, top, keys = (random.normal(0, 0.05, (3, 2, documents)).T + 0.4).T
        sums = [[tokens, tokens * (hard + n), tokens * t, tokens * k, tokens]
                for n, t, k in zip(nats, top, keys, strict=True)]  # fmt: skip
        _, low, high = jackknife(np.concatenate(sums).T, difference)
        sure.append((low > 0) | (high < 0))
    rates = np.mean(sure, axis=0)
    print(f"{documents} documents: «not noise» in {rates}")
    assert (rates < 0.06).all()


def test_more_is_better_but_of_perplexity(tmp_path, rates):
    first = write_evaluation(tmp_path / "a", rates, top=0.4)
    top = compare(first, write_evaluation(tmp_path / "b", rates, top=0.3))[1]
    assert top.difference == pytest.approx(0.1)
    assert top.better == 1
    assert compare(tmp_path / "b", first)[1].better == -1


def test_few_documents_are_mentioned(tmp_path, rates):
    first = write_evaluation(tmp_path / "a", rates[:8])
    (sentence,) = in_words(
        compare(first, write_evaluation(tmp_path / "b", rates[:8] + 0.1)), first="A", second="B"
    )
    assert "over 8 documents; with fewer than 20" in sentence


def test_one_paragraph_has_no_interval(tmp_path):
    first = write_evaluation(tmp_path / "a", [3.0], unit="block")
    found = compare(first, write_evaluation(tmp_path / "b", [4.0], unit="block"))
    assert math.isnan(found[0].low)
    assert found[0].better == 0
    assert "nothing can be said" in in_words(found, first="A", second="B")[0]


def test_metrics_that_one_model_lacks_are_not_compared(tmp_path, rates):
    first = write_evaluation(tmp_path / "a", rates, top=math.nan)
    found = compare(first, write_evaluation(tmp_path / "b", rates))
    assert [d.metric for d in found] == ["perplexity", "keystroke_savings"]


def test_other_texts_are_left_out(tmp_path, rates):
    """Of two evaluations with a --text of their own, the splits are compared all the same."""
    folders = []
    for name, digest in (("a", "x"), ("b", "y")):
        folder = write_evaluation(tmp_path / name, rates)
        test = pd.read_csv(folder / "documents.csv")
        text = pd.read_csv(
            write_evaluation(folder, rates, split="text", digest=digest) / "documents.csv"
        )
        pd.concat([test, text]).to_csv(folder / "documents.csv", index=False)
        folders.append(folder)
    assert {found.split for found in compare(*folders)} == {"test"}
    assert {found.split for found in compare(folders[0], folders[0])} == {"test", "text"}


def test_what_cannot_be_compared_is_refused(tmp_path, rates):
    first = write_evaluation(tmp_path / "a", rates)
    other = write_evaluation(tmp_path / "b", rates, digest="e")
    with pytest.raises(InputError, match=r"not measured on the same test text .* vocabulary"):
        compare(first, other)
    with pytest.raises(InputError, match="not measured on the same test text"):
        compare(first, write_evaluation(tmp_path / "c", rates[:-1]))
    with pytest.raises(InputError, match="no split in common"):
        compare(first, write_evaluation(tmp_path / "d", rates, split="text"))
    with pytest.raises(InputError, match=r"No evaluation is in .*nowhere"):
        compare(first, tmp_path / "nowhere")
    (other / "documents.csv").write_text("split,model\ntest,lstm\n")
    with pytest.raises(InputError, match=r"documents\.csv has no column"):
        compare(first, other)


def test_the_table_and_the_sentence_agree(tmp_path, rates):
    first = write_evaluation(tmp_path / "a", rates - 0.1, top=0.35)
    found = compare(first, write_evaluation(tmp_path / "b", rates))
    with redirect_stdout(io.StringIO()) as printed:
        print_comparison(found, first="um", second="outro")
    text = printed.getvalue()
    assert "× 0.905" in text
    assert "5.0%" in text
    assert "top-3" in text
    assert in_words(found, first="um", second="outro")[0] in text


def test_a_folder_may_be_named_with_brackets(tmp_path, rates):
    first = write_evaluation(tmp_path / "a", rates)
    found = compare(first, write_evaluation(tmp_path / "b", rates))
    with redirect_stdout(io.StringIO()) as printed:
        print_comparison(found, first="x[velho]", second="x[/y]")
    assert "x[velho]" in printed.getvalue().splitlines()[1]
    assert "x[/y]" in printed.getvalue().splitlines()[1]
