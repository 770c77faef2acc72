"""Fine-tuning: known words keep their ids and weights, and new ones follow them."""

import dataclasses
import itertools
import json
import random
import shutil
import signal
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import (
    CELLS,
    TOKENS,
    VOCABULARY,
    config,
    digests,
    nextword,
    random_model,
    sentence_of,
    trained,
    vocabulary_of,
    wait_for_windows,
    write_training,
)
from hypothesis import given
from hypothesis import strategies as st
from texts import write_documents

from pipeline import InputError
from pipeline.manifest import digest
from pipeline.model.language_model import build_model, load_model
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.tokenize import tokenize
from pipeline.training.finetune import initial_weights, interpolate_weights

# The vocabulary

OLD = Vocabulary(("<unk>", "<s>", "a", "rio"), ("<unk>", "<s>", "a", "rio"), (5, 9, 7, 2))
NEW = Vocabulary(
    ("<unk>", "<s>", "pipoca", "a", "edu", "rio", "oi"),
    ("<unk>", "<s>", "Pipoca", "A", "Edu", "Rio", "oi"),
    (0, 4, 6, 3, 2, 1, 1),
)


@pytest.mark.parametrize(
    ("most", "min_count", "tokens", "displays", "counts"),
    [
        (9, 1, ["pipoca", "edu", "oi"], ["Pipoca", "Edu", "oi"], [5, 13, 10, 3, 6, 2, 1]),
        (9, 2, ["pipoca", "edu"], ["Pipoca", "Edu"], [6, 13, 10, 3, 6, 2]),
        (1, 1, ["pipoca"], ["Pipoca"], [8, 13, 10, 3, 6]),
        (0, 1, [], [], [14, 13, 10, 3]),
    ],
)
def test_new_words_come_after_the_old_ones(most, min_count, tokens, displays, counts):
    grown = OLD.grown(NEW, new_words=most, min_count=min_count)
    assert grown.tokens == (*OLD.tokens, *tokens)
    assert grown.displays == (*OLD.displays, *displays)
    assert grown.counts == tuple(counts)


COUNTED = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9))


def counted(tokens):
    rows = {"<unk>": 3, "<s>": 4, **tokens}
    return Vocabulary(tuple(rows), tuple(rows), tuple(rows.values()))


@given(COUNTED, COUNTED, st.integers(0, 9), st.integers(1, 9))
def test_no_token_is_lost_or_counted_twice(old, new, most, min_count):
    old, new = counted(old), counted(new)
    grown = old.grown(new, new_words=most, min_count=min_count)
    assert grown.extends(old)
    assert sum(grown.counts) == sum(old.counts) + sum(new.counts)
    assert len(set(grown.tokens)) == len(grown) <= len(old) + most


def test_a_vocabulary_extends_what_it_begins_with():
    assert OLD.extends(OLD)
    assert OLD.grown(NEW, new_words=2, min_count=1).extends(OLD)
    assert not OLD.extends(OLD.grown(NEW, new_words=2, min_count=1))
    assert not NEW.extends(OLD)
    assert not dataclasses.replace(OLD, case="keep").extends(OLD)


def test_pieces_of_words_need_no_growth():
    pieces = dataclasses.replace(OLD, unit="subword", scores=(0.0, 0.0, -1.0, -2.0))
    assert pieces.grown(NEW, new_words=9, min_count=1) is pieces


TEXTS = {
    "train": ["A Pipoca viu o Edu.\nO Edu e a Pipoca riram.", "O Zé riu em 1999."],
    "valid": ["O Edu riu."],
    "test": ["A Pipoca riu."],
}


@pytest.fixture
def trained_vocabulary(tmp_path):
    """A folder whose model knows a few words, as they are written, and numbers as one."""
    folder = tmp_path / "model"
    folder.mkdir()
    vocabulary = vocabulary_of("o", "O", ".", "riu", "<num>", case="keep", numbers="class")
    vocabulary.save(folder / "vocabulary.tsv")
    (folder / "rare.tsv").write_text("Zé\tZé\t3\nEdu\tEdu\t2\nrio\trio\t1\n", encoding="utf-8")
    return folder


def test_streams_have_the_ids_of_the_model(trained_vocabulary, tmp_path):
    output = tmp_path / "tokens"
    output.mkdir()
    config = VocabularyConfig(vocabulary_size=3)
    documents = write_documents(tmp_path / "documents", TEXTS)
    tokenize(documents, output, config=config, init=trained_vocabulary, new_words=9)
    grown = Vocabulary.load(output / "vocabulary.tsv")
    assert grown.extends(Vocabulary.load(trained_vocabulary / "vocabulary.tsv"))
    assert grown.tokens[7:] == ("Edu", "Pipoca")
    assert (grown.case, grown.numbers) == ("keep", "class")
    assert np.load(output / "valid.npy").tolist() == [1, 3, 7, 5, 4]
    assert np.load(output / "valid.letters.npy").tolist() == [1, 1, 3, 3, 1]
    # The rare words are those of both texts, without what the vocabulary knows now.
    rows = (output / "rare.tsv").read_text(encoding="utf-8").splitlines()
    words = [("Zé", 4), *((word, 1) for word in "A a e em rio riram viu".split())]
    assert rows == [f"{word}\t{word}\t{count}" for word, count in words]


def test_words_are_listed_or_grown_but_not_both(trained_vocabulary, tmp_path):
    listed = tmp_path / "words.txt"
    listed.write_text("pipoca\n")
    with pytest.raises(InputError, match="leave out --vocabulary or --init"):
        tokenize(
            write_documents(tmp_path / "documents", TEXTS), tmp_path,
            config=VocabularyConfig(), vocabulary=listed, init=trained_vocabulary,
        )  # fmt: skip


# The weights

# Of what is unknown in the new text, 3 + 1 tokens stay so, 10 are pipoca, and 2 edu.
GROWN = Vocabulary(
    (*TOKENS, "pipoca", "edu"),
    (*VOCABULARY.displays, "Pipoca", "Edu"),
    (6, *VOCABULARY.counts[1:], 10, 2),
)
SHARES = np.array([4, 10, 2]) / 16


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("cell", CELLS)
def test_new_words_share_the_probability_of_the_unknown(tmp_path, cell, tied):
    old = load_model(write_training(tmp_path / "old", cell, tied=tied))
    bigger = dataclasses.replace(old.config, vocabulary_size=len(GROWN))
    values = initial_weights(tmp_path / "old", config=bigger, vocabulary=GROWN)
    new = build_model(bigger)
    interpolate_weights(new, values, alpha=1.0)

    for before, after in zip(old.trainable_variables, new.trainable_variables, strict=True):
        before, after = before.numpy(), after.numpy()
        kept = after[: len(before)]
        if before is old.output_bias or (len(before.shape) == 1 and len(before) == len(VOCABULARY)):
            kept, before = kept[1:], before[1:]
        np.testing.assert_array_equal(kept, before)

    unknown = len(VOCABULARY)  # a new word is read as <unk> is
    before = tf.nn.softmax(old(tf.constant([[1, 4, 8, 0, 9, 0]]))).numpy()
    after = tf.nn.softmax(new(tf.constant([[1, 4, 8, unknown, 9, unknown + 1]]))).numpy()
    np.testing.assert_allclose(after[..., 1:unknown], before[..., 1:], rtol=1e-4)
    shared = after[..., [0, unknown, unknown + 1]]
    np.testing.assert_allclose(shared, before[..., :1] * SHARES, rtol=1e-4)


def test_without_new_words_nothing_changes(tmp_path):
    for softmax in ("full", "adaptive"):
        old = load_model(write_training(tmp_path / softmax, softmax=softmax))
        values = initial_weights(tmp_path / softmax, config=old.config, vocabulary=VOCABULARY)
        for variable, value in zip(old.trainable_variables, values, strict=True):
            np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize(
    ("model", "changes", "vocabulary", "sentence"),
    [
        ({}, {"units": 7}, GROWN, r"has --units 5, not 7: leave the option out"),
        ({}, {"tied": False}, GROWN, r"has --tied true, not false"),
        ({"softmax": "adaptive"}, {"softmax": "adaptive"}, GROWN, "give --new-words 0"),
        ({}, {}, dataclasses.replace(GROWN, case="keep"), "nextword tokenize --init"),
    ],
)
def test_a_model_of_other_sizes_or_words_is_refused(tmp_path, model, changes, vocabulary, sentence):
    write_training(tmp_path / "old", tied=True, **model)
    wanted = config(**{"vocabulary_size": len(vocabulary), **changes})
    with pytest.raises(InputError, match=sentence):
        initial_weights(tmp_path / "old", config=wanted, vocabulary=vocabulary)


def test_weights_are_interpolated():
    model = random_model()
    start = [variable.numpy() for variable in model.trainable_variables]
    interpolate_weights(model, [np.ones_like(value) for value in start], alpha=0.25)
    for variable, value in zip(model.trainable_variables, start, strict=True):
        np.testing.assert_allclose(variable, 0.75 * value + 0.25, rtol=1e-5, atol=1e-6)


# The training


@pytest.fixture
def old(tokens, tmp_path):
    """A model trained on the language of `tokens`."""
    trained(tokens, tmp_path / "old")
    return tmp_path / "old"


def fine_tune(tokens, old, output, **changes):
    trained(tokens, output, init=old, **changes)
    return [variable.numpy() for variable in load_model(output).trainable_variables]


def test_retaining_all_of_the_old_weights_changes_nothing(tokens, old, tmp_path):
    kept = fine_tune(tokens, old, tmp_path / "new", retain=1.0, epochs=1)
    for variable, value in zip(load_model(old).trainable_variables, kept, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_fine_tuning_never_saves_a_worse_model(tokens, old, tmp_path, capsys):
    # Noise to learn from, and the rule to be validated on.
    noise = np.random.default_rng(0).integers(0, len(TOKENS), 600, np.int32)
    np.save(tokens / "train.npy", noise)
    kept = fine_tune(tokens, old, tmp_path / "new", learning_rate=0.1, epochs=1)
    row = pd.read_csv(tmp_path / "new" / "history.csv").iloc[0]
    before = float(capsys.readouterr().out.split("before training  validation ")[1].split()[0])
    assert row["valid_perplexity"] > before
    for variable, value in zip(load_model(old).trainable_variables, kept, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_fine_tuning_learns_new_words(old, tokens, tmp_path):
    """The new text has pipoca where the old one has cachorro."""
    grown = Vocabulary(
        (*TOKENS, "pipoca"), (*VOCABULARY.displays, "Pipoca"), (*VOCABULARY.counts, 60)
    )
    grown.save(tokens / "vocabulary.tsv")
    for split in ("train", "valid", "test"):
        stream = np.load(tokens / f"{split}.npy")
        stream[stream == TOKENS.index("cachorro")] = len(TOKENS)
        np.save(tokens / f"{split}.npy", stream)
    fine_tune(tokens, old, tmp_path / "new", retain=0.2)
    ids = tf.constant([[TOKENS.index(word) for word in ("<s>", "o")]])
    assert int(tf.argmax(load_model(tmp_path / "new")(ids)[0, -1])) == len(TOKENS)
    assert int(tf.argmax(load_model(old)(ids)[0, -1])) == TOKENS.index("cachorro")


# The command


def write_texts(folder: Path, *, who: str, what: str) -> None:
    folder.mkdir()
    # No two lines are the same: what stands twice is dropped.
    parts = (
        ["De manhã", "À tarde", "Ontem", "Hoje"],
        [who],
        ["bebeu", "pediu", "trouxe", "derramou", "vendeu"],
        [what],
        ["na praça.", "na rua.", "em casa.", "sem pressa."],
    )
    lines = [" ".join(words) for words in itertools.product(*parts)]
    random.Random(1).shuffle(lines)
    (folder / "texto.txt").write_text("\n\n".join(lines), encoding="utf-8")


# So small a model needs larger steps than one of use.
FINE_TUNE = "--init models/training --corpus my-notes/ --learning-rate 0.02 --retain 0.2"


@pytest.fixture(scope="module")
def walked(tmp_path_factory, store):
    """A folder with a general model, and a personal one made by the command of the README."""
    mlflow.set_tracking_uri(store)
    folder = tmp_path_factory.mktemp("walked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_texts(Path("general"), who="a gata", what="leite")
        write_texts(Path("my-notes"), who="a Pipoca", what="guaraná")
        for stage in ("ingest --corpus general", "tokenize"):
            result = nextword(*stage.split())
            assert result.exit_code == 0, result.output
        sizes = "--cell gru --embedding 16 --units 24 --window 10 --batch-size 4 --epochs 6"
        trained = nextword("train", *sizes.split(), "--learning-rate", "0.02")
        assert trained.exit_code == 0, trained.output
        before = digest([Path("models/training")])
        result = nextword("train", *FINE_TUNE.split())
        assert result.exit_code == 0, result.output
        assert digest([Path("models/training")]) == before
    return folder, result.output


@pytest.fixture
def in_walked(walked, monkeypatch):
    monkeypatch.chdir(walked[0])


def test_the_command_as_typed_leaves_a_model_beside_the_old_one(in_walked, walked):
    assert [line for line in walked[1].splitlines() if line.startswith("Wrote ")] == [
        f"Wrote {folder}."
        for folder in ("data/documents-personal", "data/tokens-personal", "models/personal")
    ]
    old, new = (
        Vocabulary.load(Path("models", name, "vocabulary.tsv")) for name in ("training", "personal")
    )
    assert new.extends(old)
    assert {"Pipoca", "guaraná"} <= set(new.displays) - set(old.displays)
    described = json.loads(Path("models/personal/model.json").read_text())
    assert (described["cell"], described["units"]) == ("gru", 24)


def test_mlflow_shows_the_parameters_of_fine_tuning(in_walked):
    (run,) = mlflow.search_runs(
        filter_string="run_name = 'train' and params.output = 'models/personal'",
        output_format="list",
        order_by=["start_time ASC"],
        max_results=1,
    )
    expected = {
        "tokens": "data/tokens-personal",
        "corpus": "my-notes/",
        "units": "24",
        "mogrifier": "0",
        "window": "35",
        "stride": "35",
        "batch_size": "4",
        "retain": "0.2",
        "new_words": "1000",
    }
    assert run.data.params.items() >= expected.items()
    assert "preset" not in run.data.params


@pytest.mark.slow
def test_a_fine_tuned_model_suggests_new_words_and_can_be_evaluated(in_walked):
    result = nextword("export", "--training", "models/personal")
    assert result.exit_code == 0, result.output
    suggested = nextword("predict", "De manhã a")
    assert suggested.output.split()[1] == "Pipoca"
    # On the person's own text, and on the general one as the grown vocabulary sees it.
    general = ["--init", "models/personal", "--new-words", 0, "--output", "data/tokens-general"]
    assert nextword("tokenize", *general).exit_code == 0
    for tokens in ("data/tokens-personal", "data/tokens-general"):
        result = nextword(
            "evaluate", "--training", "models/personal", "--tokens", tokens, "--ngram-order", 0
        )
        assert result.exit_code == 0, result.output
    result = nextword("evaluate", "--training", "models/personal")
    assert "another vocabulary" in sentence_of(result)


def test_a_second_time_nothing_is_done(in_walked):
    again = nextword("train", *FINE_TUNE.split())
    assert again.output.count("nothing has changed") == 3
    assert "Wrote" not in again.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--corpus my-notes", "name its folder with --init"),
        ("--init nowhere --corpus my-notes", "No trained model is described by nowhere"),
        ("--init models/training --corpus my-notes --tokens my-tokens", "leave one out"),
        ("--init models/training --corpus my-notes --preset gpu", "leave it out with --init"),
        ("--init models/training --corpus my-notes --preset quick", "leave it out with --init"),
        ("--init models/training --units 99", "has --units 24, not 99"),
        ("--init models/training --cell lstm", "has --cell gru, not lstm"),
        ("--init models/training --output models/training", "is read from: name another"),
        ("--init odd", "No trained model is described by odd"),
    ],
)
def test_contradictory_options_are_refused_in_one_sentence(in_walked, arguments, sentence):
    Path("odd").mkdir(exist_ok=True)
    Path("odd", "model.json").write_text("[1]")
    assert sentence in sentence_of(nextword("train", *arguments.split()))


def test_a_description_may_lack_what_has_a_default(in_walked):
    Path("older").mkdir()
    older = json.loads(Path("models/training/model.json").read_text())
    del older["mogrifier"], older["variational"]
    Path("older", "model.json").write_text(json.dumps(older))
    sentence = sentence_of(nextword("train", "--init", "older"))
    assert "No vocabulary can be read from older" in sentence


@pytest.mark.slow
def test_a_killed_fine_tuning_resumes_and_ends_with_the_same_weights(start, place):
    digests(start("base"))
    digests(start("whole", "--init", "base"))
    (process,) = start("killed", "--init", "base")
    wait_for_windows(process, 40)
    time.sleep(random.uniform(0, 0.05))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (process,) = start("killed", "--init", "base", "--resume")
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    assert output.count("window\n") < 90, "it started from scratch"
    for mine, theirs in zip(
        *(load_model(place / name).trainable_variables for name in ("killed", "whole")), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    shutil.rmtree(place / "killed")
