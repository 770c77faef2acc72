"""Fine-tuning: known words keep their ids and weights, and new ones follow them."""

import dataclasses
import itertools
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import (
    CELLS,
    ROOT,
    TOKENS,
    VOCABULARY,
    config,
    digests,
    nextword,
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
from pipeline.cli.stages import print_new_words
from pipeline.manifest import digest
from pipeline.model.language_model import assign_weights, build_model, load_model
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.tokenize import tokenize
from pipeline.training.finetune import initial_weights
from pipeline.training.forget import forget
from pipeline.training.new_words import first_new_id, load_new_words, save_new_words

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


def test_a_word_that_leaves_counts_as_unknown():
    left = NEW.without([2, 5])
    assert left.tokens == ("<unk>", "<s>", "a", "edu", "oi")
    assert left.displays == ("<unk>", "<s>", "A", "Edu", "oi")
    assert left.counts == (7, 4, 3, 2, 1)


@given(COUNTED, COUNTED, st.integers(0, 9))
def test_without_its_new_words_a_vocabulary_is_the_old_one(old, new, most):
    old, new = counted(old), counted(new)
    grown = old.grown(new, new_words=most, min_count=1)
    again = grown.without(range(len(old), len(grown)))
    assert again == old.grown(new, new_words=0, min_count=1)


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
    assign_weights(new, values)

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


# What was learned, and how it is forgotten


def write_fine_tuned(folder: Path, cell: str = "lstm", vocabulary=GROWN, **changes) -> Path:
    """A random model of a vocabulary whose words after `TOKENS` are new."""
    write_training(folder, cell, vocabulary, **changes)
    save_new_words(folder, vocabulary, first=len(TOKENS))
    return folder


def words_of(*pairs: tuple[str, int]) -> Vocabulary:
    """`VOCABULARY` and new words with their counts."""
    tokens = tuple(word for word, _ in pairs)
    return Vocabulary(
        (*TOKENS, *(token.lower() for token in tokens)),
        (*VOCABULARY.displays, *tokens),
        (*VOCABULARY.counts, *(count for _, count in pairs)),
    )


def test_new_words_are_listed_most_frequent_first(tmp_path):
    vocabulary = words_of(("Pipoca", 10), ("edu", 2), ("Zé", 7), ("oi", 2))
    save_new_words(tmp_path, vocabulary, first=len(TOKENS))
    vocabulary.save(tmp_path / "vocabulary.tsv")
    text = "pipoca\tPipoca\t10\nzé\tZé\t7\nedu\tedu\t2\noi\toi\t2\n"
    assert (tmp_path / "new_words.tsv").read_text(encoding="utf-8") == text
    assert load_new_words(tmp_path)[0] == ("pipoca", "Pipoca", 10)
    assert first_new_id(tmp_path) == len(TOKENS)


def test_the_first_twenty_are_printed_and_how_many_more_there_are(tmp_path, capsys):
    vocabulary = words_of(*((f"[b]n{i}", 1_000 + i) for i in range(23)))
    vocabulary.save(tmp_path / "vocabulary.tsv")
    save_new_words(tmp_path, vocabulary, first=len(TOKENS))
    print_new_words(tmp_path)
    title, head, *rows, more = map(str.strip, capsys.readouterr().out.splitlines())
    assert (title, head.split()) == ("23 new words", ["word", "count"])
    assert [row.split() for row in rows] == [[f"[b]n{i}", f"1,0{i:02}"] for i in range(22, 2, -1)]
    assert more == f"… and 3 more in {tmp_path / 'new_words.tsv'}"
    save_new_words(tmp_path, vocabulary, first=len(vocabulary))
    print_new_words(tmp_path)
    assert capsys.readouterr().out == "No new words.\n"


@pytest.mark.parametrize(("cell", "tied"), [("lstm", True), ("lstm", False), ("feedforward", True)])
def test_other_words_keep_their_logits_when_one_is_forgotten(tmp_path, cell, tied):
    folder = write_fine_tuned(tmp_path / "new", cell, tied=tied)
    before, gone = load_model(folder), GROWN.tokens.index("pipoca")
    forget(["Pipoca"], output=folder)
    after = load_model(folder)
    for old, new in zip(before.trainable_variables, after.trainable_variables, strict=True):
        by_word = old.shape[0] == len(GROWN)
        np.testing.assert_array_equal(np.delete(old, gone, axis=0) if by_word else old, new)
    # "edu" had the id after: as an input and as an output it has moved up.
    edu, moved = gone + 1, gone
    old = before(tf.constant([[1, 4, edu, 0, 9, edu]])).numpy()
    new = after(tf.constant([[1, 4, moved, 0, 9, moved]])).numpy()
    np.testing.assert_allclose(new, np.delete(old, gone, axis=-1), rtol=1e-5, atol=1e-6)
    probabilities = np.delete(tf.nn.softmax(old), gone, axis=-1)
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(tf.nn.softmax(new), probabilities, rtol=1e-4, atol=1e-7)

    vocabulary = Vocabulary.load(folder / "vocabulary.tsv")
    assert vocabulary.same_ids(GROWN.without([gone]))
    assert vocabulary.counts[0] == GROWN.counts[0] + 10
    assert load_new_words(folder) == [("edu", "Edu", 2)]


@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_rare_words_are_forgotten_too(tmp_path, softmax):
    # An adaptive softmax takes in no new words.
    vocabulary = VOCABULARY if softmax == "adaptive" else GROWN
    folder = write_fine_tuned(tmp_path, vocabulary=vocabulary, softmax=softmax)
    if softmax == "full":
        forget(["Pipoca"], output=folder)  # there are no rare ones
    (folder / "rare.tsv").write_text("pé\tPé\t2\nsegredo\tsegredo\t1\n", encoding="utf-8")
    before = load_model(folder)
    forget(["Segredo"], output=folder)
    assert (folder / "rare.tsv").read_text(encoding="utf-8") == "pé\tPé\t2\n"
    for old, new in zip(
        before.trainable_variables, load_model(folder).trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(InputError, match="'Segredo' is not in the vocabulary"):
        forget(["Segredo"], output=folder)


def test_words_are_forgotten_as_they_are_written(tmp_path):
    vocabulary = words_of(("Pipoca", 10), ("edu", 2), ("ézio", 1), ("Zé", 1))
    folder = write_fine_tuned(tmp_path, vocabulary=vocabulary)
    forget(["PIPOCA", "Zé", "pipoca", "e\u0301zio"], output=folder)
    assert load_new_words(folder) == [("edu", "edu", 2)]
    assert Vocabulary.load(folder / "vocabulary.tsv").counts[0] == VOCABULARY.counts[0] + 12
    assert load_model(folder).config.vocabulary_size == len(TOKENS) + 1


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("Brasil", "'Brasil' is a word of the first model and stays in it"),
        ("<unk>", "first model"),
        ("pipocas", "'pipocas' is not in the vocabulary: `nextword personal` lists new words"),
        ("", "'' is not in the vocabulary"),
        ("pip\udce9", r"'pip\\udce9' is not in the vocabulary"),
    ],
)
def test_only_new_words_can_be_forgotten(tmp_path, word, sentence):
    folder = write_fine_tuned(tmp_path)
    before = digest([folder])
    with pytest.raises(InputError, match=sentence):
        forget(["pipoca", word], output=folder)
    assert digest([folder]) == before


@pytest.mark.parametrize("text", ["pipoca\tPipoca\t10\n", "pipoca\n", "edu\tEdu\tmany\n"])
def test_a_list_of_other_words_is_refused(tmp_path, text):
    folder = write_fine_tuned(tmp_path)
    (folder / "new_words.tsv").write_text(text)
    with pytest.raises(InputError, match="does not list the last words"):
        first_new_id(folder)


# The training


@pytest.fixture
def old(tokens, tmp_path):
    """A model trained on the language of `tokens`."""
    trained(tokens, tmp_path / "old", epochs=8, dropout=0.0)
    return tmp_path / "old"


def fine_tune(tokens, old, output, **changes):
    trained(tokens, output, init=old, **changes)
    return [variable.numpy() for variable in load_model(output).trainable_variables]


def test_retaining_all_of_the_old_weights_changes_nothing(tokens, old, tmp_path):
    kept = fine_tune(tokens, old, tmp_path / "new", retain=1.0, epochs=1)
    for variable, value in zip(load_model(old).trainable_variables, kept, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_saved_weights_lie_between_the_old_and_the_fine_tuned(tokens, old, tmp_path):
    start = [variable.numpy() for variable in load_model(old).trainable_variables]
    for split in ("train", "valid"):  # another rule, so that an epoch makes the model better
        stream = np.load(tokens / f"{split}.npy")
        stream[stream == TOKENS.index("cachorro")] = TOKENS.index("água")
        np.save(tokens / f"{split}.npy", stream)
    learned, between = (
        fine_tune(tokens, old, tmp_path / f"{retain}", retain=retain, epochs=1, dropout=0.0)
        for retain in (0.0, 0.25)
    )
    assert any((new != old).any() for new, old in zip(learned, start, strict=True))
    for new, first, value in zip(learned, start, between, strict=True):
        np.testing.assert_allclose(value, 0.75 * new + 0.25 * first, rtol=1e-5, atol=1e-7)


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
    fine_tune(tokens, old, tmp_path / "new", retain=0.2, epochs=8, dropout=0.0)
    ids = tf.constant([[TOKENS.index(word) for word in ("<s>", "o")]])
    assert int(tf.argmax(load_model(tmp_path / "new")(ids)[0, -1])) == len(TOKENS)
    assert int(tf.argmax(load_model(old)(ids)[0, -1])) == TOKENS.index("cachorro")
    assert load_new_words(tmp_path / "new") == [("pipoca", "Pipoca", 60)]


def test_what_was_new_once_stays_new_when_fine_tuning_goes_on(tokens, tmp_path):
    sizes = {"embedding": 8, "units": 8, "layers": 1, "tied": True}
    first = write_fine_tuned(tmp_path / "first", vocabulary=words_of(("Pipoca", 3)), **sizes)
    words_of(("Pipoca", 4), ("Edu", 8)).save(tokens / "vocabulary.tsv")
    fine_tune(tokens, first, tmp_path / "second", retain=1.0, epochs=1)
    assert load_new_words(tmp_path / "second") == [("edu", "Edu", 8), ("pipoca", "Pipoca", 4)]
    assert load_new_words(first) == [("pipoca", "Pipoca", 3)]


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
    """A folder with a general model, and a personal one made by the command of the README.

    Also what the command printed, and the folders that hold a new word then.
    """
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
        files = [path for path in Path().rglob("*") if path.is_file()]
        found = {str(p.parent) for p in files if "guaraná".encode() in p.read_bytes().lower()}
    return folder, result.output, found


@pytest.fixture
def in_walked(walked, monkeypatch):
    monkeypatch.chdir(walked[0])


@pytest.mark.slow
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


def test_new_words_are_shown_after_training_and_listed_at_any_time(in_walked, walked):
    shown = [line.split() for line in walked[1].splitlines()[-3:]]
    assert shown == [["word", "count"], ["guaraná", "64"], ["Pipoca", "64"]]
    listed = nextword("personal")
    assert listed.exit_code == 0, listed.output
    assert listed.output == Path("models/personal/new_words.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in listed.output.splitlines()]
    text = Path("my-notes/texto.txt").read_text(encoding="utf-8")
    assert ["pipoca", "Pipoca"] in [row[:2] for row in rows]
    for token, _, count in rows:
        assert 0 < int(count) <= text.lower().count(token)
    assert [int(row[2]) for row in rows] == sorted((int(row[2]) for row in rows), reverse=True)


def test_deleting_the_folders_that_the_document_names_is_the_undo(walked):
    document = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    (line,) = re.findall("^    rm -r (.*)$", document, re.MULTILINE)
    named = {*line.split()}
    assert named == {"models/personal", "data/documents-personal", "data/tokens-personal"}
    # documents.parquet is compressed, and holds the text all the same.
    assert walked[2] | {"data/documents-personal"} == named | {"my-notes"}


def test_on_a_terminal_the_first_new_words_are_a_table(tmp_path):
    folder = write_fine_tuned(tmp_path, vocabulary=words_of(*((f"n{i}", 9) for i in range(25))))
    screen, terminal = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "personal", "--training", folder],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}, stdout=terminal, check=True,
    )  # fmt: skip
    shown = os.read(screen, 10_000).decode()
    assert "25 new words" in shown
    assert "… and 5 more" in shown
    assert "\t" not in shown


@pytest.fixture
def own(in_walked):
    """models/personal, as fine-tuning left it, again when a test is over."""
    shutil.copytree("models/personal", "kept")
    yield Path("models/personal")
    shutil.rmtree("models/personal")
    Path("kept").rename("models/personal")


def test_a_forgotten_word_does_not_come_back_by_itself(own):
    first, before = digest([Path("models/training")]), digest([own])
    result = nextword("personal", "--forget", "Pipoca", "--forget", "guaraná")
    assert result.output.startswith(f"Forgot Pipoca, guaraná in {own}: export it again.")
    assert digest([own]) != before  # so a stage that reads it runs again
    vocabulary = Vocabulary.load(own / "vocabulary.tsv")
    assert not {"pipoca", "guaraná"} & {*vocabulary.tokens}
    assert "pipoca" not in nextword("personal").output
    for options in ([], ["--resume"]):
        again = nextword("train", *FINE_TUNE.split(), *options)
        assert again.output.count("nothing has changed") == 3
    assert Vocabulary.load(own / "vocabulary.tsv") == vocabulary
    assert digest([Path("models/training")]) == first
    assert list(Path("models").glob("personal*")) == [own]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--forget leite", "'leite' is a word of the first model"),
        ("--forget Pipoca --forget nada", "'nada' is not in the vocabulary"),
        ("--training models/training", "The model in models/training was not fine-tuned"),
        ("--training models/training --forget leite", "was not fine-tuned"),
        ("--training nowhere", "No trained model is described by nowhere"),
    ],
)
def test_what_cannot_be_forgotten_is_said_in_one_sentence(in_walked, arguments, sentence):
    before = digest([Path("models")])
    assert sentence in sentence_of(nextword("personal", *arguments.split()))
    assert digest([Path("models")]) == before


def test_an_interrupted_training_is_not_forgotten_into(own):
    partial = own.with_name("personal.partial")
    partial.mkdir()
    shutil.copy(own / "manifest.json", partial / "started.json")
    assert "interrupted run" in sentence_of(nextword("personal", "--forget", "Pipoca"))
    assert "pipoca" in nextword("personal").output
    shutil.rmtree(partial)


@pytest.mark.slow
def test_an_export_knows_no_forgotten_word_and_the_first_model_none_at_all(own):
    first = digest([Path("models/training")])
    export = ["export", "--training", own, "--output", "models/mine"]
    assert nextword(*export).exit_code == 0
    assert "nothing has changed" in nextword(*export).output
    assert "Pipoca" in nextword("predict", "De manhã a", "--model", "models/mine").output
    assert nextword("personal", "--forget", "Pipoca").exit_code == 0
    assert "Wrote models/mine" in nextword(*export).output
    suggested = nextword("predict", "De manhã a", "--model", "models/mine")
    assert suggested.exit_code == 0
    assert "Pipoca" not in suggested.output
    for path in Path("models/mine").rglob("*"):
        assert path.is_dir() or b"pipoca" not in path.read_bytes().lower(), path
    assert digest([Path("models/training")]) == first


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
        "window": "20",
        "stride": "20",
        "batch_size": "4",
        "retain": "0.2",
        "new_words": "1000",
    }
    assert run.data.params.items() >= expected.items()
    assert "preset" not in run.data.params
    # No words of a person's text: deleting the folders is enough.
    artifacts = mlflow.MlflowClient().list_artifacts(run.info.run_id)
    assert [item.path for item in artifacts] == ["options.json"]


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
