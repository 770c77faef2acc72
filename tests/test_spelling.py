"""`evaluate --spelling`: what is mended of a table of typed words, and what is altered."""

import math

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import SUBWORDS, nextword, sentence_of, write_tokens, write_training

from pipeline import InputError
from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.spelling import (
    correct_all,
    load_spelling,
    print_spelling,
    read_spelling,
    spelling_metrics,
)

HEADER = "sentence\tposition\ttyped\tright\terror\n"
TABLE = HEADER + (
    "1\t1\tO\t\t\n"
    "1\t2\tcachoro\tcachorro\ttypo\n"
    "1\t3\tbebeu\t\t\n"
    "1\t4\tagua\tágua\tdiac\n"
    "2\t1\tvc\t\tint_slang\n"
    "2\t2\tBebeu\t\t\n"
    "2\t3\tagua\tágua\tdiac\n"
)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "errors.tsv").write_text(TABLE, encoding="utf-8")
    return tmp_path / "errors.tsv"


def corrections(**known):
    """Corrects the words that it is given, and is sure of them."""

    def correct(texts, words):
        typed = [word.decode() for word in words.numpy().tolist()]
        first = [[known.get(word, word)] for word in typed]
        return {"words": tf.constant(first), "sure": tf.constant([w in known for w in typed])}

    return correct


def test_words_stand_after_what_was_typed(table):
    words = read_spelling(table)
    assert [word.text.split() for word in words] == [
        *([], ["O"], ["O", "cachoro"], ["O", "cachoro", "bebeu"]),
        *([], ["vc"], ["vc", "Bebeu"]),
    ]
    assert [word.right for word in words] == "O cachorro bebeu água  Bebeu água".split(" ")


def test_shares_counted_by_hand(table):
    correct = corrections(cachoro="Cachorro", agua="aguda", Bebeu="bebeu", vc="você")
    rows = spelling_metrics(correct_all(read_spelling(table), correct)).set_index("kind")
    assert [*rows.index] == ["diac", "typo", "all", "false alarms"]
    assert rows["words"].tolist() == [2, 1, 3, 3]
    # The case of a correction is the typist's. What "vc" means the table does not say.
    assert rows["counted"].tolist() == [0, 1, 1, 1]
    assert rows["share"].tolist() == pytest.approx([0, 1, 1 / 3, 1 / 3])
    assert (rows["low"] <= rows["share"]).all()
    assert rows["low"]["typo"] == pytest.approx(0.2065, abs=1e-4)  # Wilson's, of 1 of 1


def test_intervals_cover_the_truth():
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        # Sentences differ in how well their errors are mended: 60 % on average.
        chances = random.beta(3, 2, size=150).repeat(8)
        mended = random.random(len(chances)) < chances
        table = pd.DataFrame({
            "sentence": np.arange(150).repeat(8), "right": "a", "error": "typo",
            "first": np.where(mended, "a", "b"), "sure": True,
        })  # fmt: skip
        row = spelling_metrics(table).set_index("kind").loc["typo"]
        covered += row["low"] <= 0.6 <= row["high"]
    assert 52 <= covered <= 60


def test_what_never_happened_may_still_happen():
    """No false alarm among 150 right words is not the proof that there is none."""
    table = pd.DataFrame({"sentence": np.arange(150), "right": "a", "error": "", "sure": False})
    row = spelling_metrics(table.assign(first="a")).set_index("kind").loc["false alarms"]
    assert (row["share"], row["low"]) == (0, 0)
    assert row["high"] == pytest.approx(0.025, abs=1e-3)


def test_a_kind_of_error_may_have_any_name(tmp_path, capsys):
    kinds = ["NA", "null", "[acento]", "[/i]"]
    table = pd.DataFrame({"sentence": range(4), "right": "a", "error": kinds, "sure": True})
    path = tmp_path / "spelling.csv"
    rows = spelling_metrics(table.assign(first="a"))
    rows.to_csv(path, index=False)
    pd.testing.assert_frame_equal(load_spelling(path), rows, check_dtype=False)
    assert math.isnan(rows["high"].iloc[-1])  # of false alarms, without a right word
    print_spelling(tmp_path)
    printed = capsys.readouterr().out
    assert all(kind in printed for kind in kinds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("um\tdois\n1\t2\n", "does not have the columns sentence, typed, right, error"),
        ("", "does not have the columns"),
        (HEADER, "does not have the columns"),
        (HEADER + "1\t1\tO\n", "Line 2 of .* has too few columns"),
        (HEADER + "\n1\t1\tO\n", "Line 3 of .* has too few columns"),
        (HEADER + "1\t1\tO\t\t\t\n", "Line 2 of .* has too many columns"),
        (HEADER + "1\t1\tO\t\t\n", "marks no error"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    path = tmp_path / "errors.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        read_spelling(path)


@pytest.mark.slow
def test_evaluate_shows_what_is_mended(tmp_path, table, store):
    tokens, training = write_tokens(tmp_path / "tokens"), write_training(tmp_path / "training")
    evaluated = ("evaluate", "--tokens", tokens, "--training", training, "--ngram-order", 0)
    output = tmp_path / "evaluation"
    result = nextword(*evaluated, "--spelling", table, "--output", output)
    assert result.exit_code == 0, result.output
    rows = pd.read_csv(output / "spelling.csv").set_index("kind")
    assert rows["words"].to_dict() == {"diac": 2, "typo": 1, "all": 3, "false alarms": 3}
    assert rows["counted"].sum() == 0  # twelve words are too few to be sure of any
    assert "false alarms" in result.output
    report = (output / "report.html").read_text(encoding="utf-8")
    assert "Typing errors" in report
    assert "false alarms" in report
    missing = nextword(*evaluated, "--spelling", tmp_path / "none.tsv", "--output", output)
    assert "none.tsv" in sentence_of(missing)


def test_subwords_correct_nothing(tmp_path, table):
    training = write_training(tmp_path / "training", vocabulary=SUBWORDS)
    tokens = write_tokens(tmp_path / "tokens")
    SUBWORDS.save(tokens / "vocabulary.tsv")
    with pytest.raises(InputError, match="leave out --spelling"):
        evaluate(training, tokens, tmp_path / "out", config=EvaluationConfig(spelling=table))
