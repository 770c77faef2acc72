"""Documents become a vocabulary and streams: the same ids that the tokenizer gives."""

import collections
import logging
import threading

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf
from conftest import CHOICES, ask, write_export
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS, stream_texts, write_documents
from tokenizer_cases import CASES

from pipeline import InputError
from pipeline.model.language_model import load_model
from pipeline.parallel import side_by_side
from pipeline.predict import load
from pipeline.text.tokenizer import BREAK, Tokenizer, is_word, tokenize
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens import counting
from pipeline.tokens import tokenize as stage
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.tokenize import StreamWriter
from pipeline.tokens.tokenize import tokenize as write_tokens
from pipeline.tokens.windows import open_stream


@pytest.fixture
def run(tmp_path):
    def run(documents=None, **options):
        documents = documents or write_documents(tmp_path / "documents")
        output = tmp_path / f"tokens{len(list(tmp_path.iterdir()))}"
        output.mkdir()
        listed = options.pop("vocabulary", None)
        config = VocabularyConfig(**{"vocabulary_size": 100, "min_count": 1, **options})
        write_tokens(documents, output, config=config, vocabulary=listed)
        vocabulary = Vocabulary.load(output / "vocabulary.tsv")
        return vocabulary, {split: np.load(output / f"{split}.npy") for split in TEXTS}

    return run


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: "-".join(choices.values()))
def test_streams_hold_the_ids_of_the_tokenizer(run, choices):
    vocabulary, written = run(**choices, min_count=2)
    assert (vocabulary.case, vocabulary.numbers) == (choices["case"], choices["numbers"])
    tokenizer = Tokenizer(vocabulary)
    for split, ids in written.items():
        assert ids.dtype == np.int32
        expected = tokenizer(tf.constant(stream_texts(split))).values.numpy()
        np.testing.assert_array_equal(ids, expected)
    counted = np.bincount(written["train"], minlength=len(vocabulary))
    assert counted.tolist() == list(vocabulary.counts)


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: "-".join(choices.values()))
def test_what_the_vocabulary_lacks_is_kept_as_it_is_written(run, tmp_path, choices):
    vocabulary, written = run(**choices, min_count=2)
    output = next(path for path in tmp_path.iterdir() if (path / "rare.tsv").exists())
    known, folded = {*vocabulary.tokens}, choices["case"] == "fold"
    for split in ("valid", "test"):
        tokens = tokenize(tf.constant(stream_texts(split))).values.numpy()
        shown = (output / f"{split}.unknown.txt").read_text(encoding="utf-8").splitlines()
        assert len(shown) == np.count_nonzero(written[split] == 0)
        places = np.flatnonzero(written[split][written[split] != 1] == 0)
        assert shown == [tokens[tokens != BREAK.encode()][i].decode() for i in places]
    counts = collections.Counter(
        token.decode().lower() if folded else token.decode()
        for token in tokenize(tf.constant(stream_texts("train"))).values.numpy()
    )
    rows = [line.split("\t") for line in (output / "rare.tsv").read_text("utf-8").splitlines()]
    words = {word: int(count) for word, _, count in rows}
    assert words == {
        token: count
        for token, count in counts.items()
        if token not in known and is_word(token.lower())
    }
    assert [word for word, _, _ in rows] == sorted(words, key=lambda word: (-words[word], word))
    assert all(display.lower() == word.lower() for word, display, _ in rows)
    # A name inside a sentence, but once.
    assert ["josé" if folded else "José", "José", "1"] in rows
    assert vocabulary.counts[0] >= sum(words.values())


def test_the_size_of_batches_and_row_groups_changes_nothing(run, tmp_path, monkeypatch):
    many = {
        split: [f"{text} {n}" for n in range(40) for text in found]
        for split, found in TEXTS.items()
    }
    expected = None
    for batch, group in ((2**20, 1000), (1, 1000), (100, 7), (1, 1)):
        monkeypatch.setattr(stage, "_BATCH", batch)
        monkeypatch.setattr(stage, "_CHUNK", 13)
        monkeypatch.setattr(counting, "_BATCH", 13)
        documents = write_documents(tmp_path / "many", many, row_group_size=group)
        vocabulary, written = run(documents)
        found = (vocabulary, {split: ids.tolist() for split, ids in written.items()})
        expected = expected or found
        assert found == expected


def test_documents_in_parts_are_read_as_one(run, tmp_path):
    whole = write_documents(tmp_path / "whole", row_group_size=2)
    table = pyarrow.parquet.read_table(whole / "documents.parquet")
    parts = tmp_path / "parts" / "documents.parquet"
    parts.mkdir(parents=True)
    for number, (start, end) in enumerate([(0, 3), (3, 3), (3, len(table))]):
        part = table.slice(start, end - start)
        pyarrow.parquet.write_table(part, parts / f"part-{number:05}.parquet", row_group_size=2)
    vocabulary, written = run(whole)
    again, rewritten = run(parts.parent)
    assert again == vocabulary
    for split, ids in written.items():
        np.testing.assert_array_equal(rewritten[split], ids)


def test_the_most_frequent_tokens_are_known(run):
    surface = [t.decode() for t in tokenize(tf.constant(TEXTS["train"])).values.numpy()]
    counts = collections.Counter(token.lower() for token in surface if token != "\x02")
    expected = sorted(counts, key=lambda token: (-counts[token], token.encode()))
    vocabulary, _ = run()
    assert list(vocabulary.tokens[2:]) == expected
    assert "chile" not in vocabulary.tokens  # it stands in the validation split only
    assert run(vocabulary_size=7)[0].tokens == vocabulary.tokens[:7]
    often = run(min_count=3)[0]
    assert list(often.tokens[2:]) == [token for token in expected if counts[token] >= 3]
    assert often.counts[0] == sum(count for count in counts.values() if count < 3)
    assert often.counts[1] == 7


def test_tokens_are_displayed_as_people_write_them_inside_sentences(run):
    vocabulary, _ = run()
    displays = dict(zip(vocabulary.tokens, vocabulary.displays, strict=True))
    assert displays["brasil"] == "Brasil"
    assert displays["água"] == "água"
    assert displays["ela"] == "ela"  # it only ever opens sentences
    kept, _ = run(case="keep")
    assert kept.displays == kept.tokens
    assert {"Água", "água", "Brasil", "O", "o"} <= set(kept.tokens)


def test_numbers_are_one_token(run):
    vocabulary, written = run(numbers="class")
    row = vocabulary.tokens.index("<num>")
    assert vocabulary.counts[row] == 5
    assert vocabulary.displays[row] == "<num>"
    assert not any(token[0].isdecimal() for token in vocabulary.tokens)
    assert (written["test"] == row).sum() == 1


def test_the_tokens_to_know_can_be_listed(run, tmp_path, caplog):
    listed = tmp_path / "listed.txt"
    listed.write_text("xícara\r\nBrasil\n\nágua\nR$\ncasa grande\nbrasil\nSr\na.\n", "utf-8")
    with caplog.at_level(logging.WARNING):
        vocabulary, _ = run(vocabulary=listed, vocabulary_size=3, min_count=99)
    assert vocabulary.tokens == ("<unk>", "<s>", "água", "brasil", "r$", "sr", "xícara")
    assert vocabulary.counts[2:] == (5, 3, 0, 0, 0)
    assert vocabulary.displays[3] == "Brasil"
    [message] = caplog.messages
    assert message.startswith("Skipped 2 of the 8 tokens")
    assert "'casa grande'" in message
    kept, _ = run(vocabulary=listed, case="keep", numbers="class")
    assert set(kept.tokens[2:]) == {"<num>", "xícara", "Brasil", "brasil", "água", "R$", "Sr"}


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: "-".join(choices.values()))
def test_a_vocabulary_that_was_written_can_be_read_again(run, tmp_path, caplog, choices):
    written, streamed = run(**choices)
    written.save(tmp_path / "vocabulary.tsv")
    again, restreamed = run(vocabulary=tmp_path / "vocabulary.tsv", **choices)
    assert again == written
    assert not caplog.messages
    np.testing.assert_array_equal(streamed["valid"], restreamed["valid"])


def test_folded_tokens_of_every_kind_can_be_listed(run, tmp_path, caplog):
    tokens = tokenize(tf.constant([text for text, _ in CASES])).values.numpy()
    folded = {token.decode().lower() for token in tokens} - {"\x02"}
    (tmp_path / "listed.tsv").write_text("".join(f"{token}\tx\t1\n" for token in folded), "utf-8")
    vocabulary, _ = run(vocabulary=tmp_path / "listed.tsv")
    assert set(vocabulary.tokens[2:]) == folded
    assert not caplog.messages


@pytest.mark.parametrize(
    "content", [None, b"", b"casa grande\n", b"\xe1gua\n", b"<unk>\n<s>\n<num>\n"]
)
def test_a_list_that_holds_no_tokens_is_refused(run, tmp_path, content):
    path = tmp_path / "listed.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"one a line\.|one token a line\.") as raised:
        run(vocabulary=path, numbers="class")
    assert str(path) in str(raised.value)


def test_unusable_documents_are_refused_in_one_sentence(run, tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    with pytest.raises(InputError, match="nextword ingest"):
        run(folder)
    (folder / "documents.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="nextword ingest"):
        run(folder)
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), folder / "documents.parquet")
    with pytest.raises(InputError, match="nextword ingest"):
        run(folder)
    (tmp_path / "none" / "documents.parquet").mkdir(parents=True)  # a folder without parts
    with pytest.raises(InputError, match="nextword ingest"):
        run(tmp_path / "none")
    with pytest.raises(InputError, match="holds no text"):
        run(write_documents(folder, {**TEXTS, "train": ["", "\u200b"]}))
    with pytest.raises(InputError, match="--min-count"):
        run(write_documents(folder), min_count=99)


def test_an_empty_split_is_an_empty_stream(run, tmp_path):
    documents = write_documents(tmp_path / "documents", {**TEXTS, "test": []})
    assert len(run(documents)[1]["test"]) == 0


def test_an_exported_model_reads_the_ids_of_the_streams(run, tmp_path):
    vocabulary, written = run(vocabulary_size=12, case="keep", numbers="class")
    saved = load(write_export(tmp_path, "feedforward", vocabulary, suggestions=2))
    text = "\u2028 \n".join(stream_texts("train"))
    answer = ask(saved, "score", text=[text])
    model, ids = load_model(tmp_path / "training"), written["train"]
    h, _ = model.hidden(tf.constant(ids[None, :-1]))
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
        ids[1:], model.logits(model.features(h))[0]
    )
    assert int(answer["tokens"][0]) == len(ids) - 1
    assert float(answer["log_probability"][0]) == pytest.approx(-float(sum(nats)), rel=1e-4)

    # Invisible characters before a text begin no paragraph.
    texts = ["Ela", "\u2028Ela", "\u200b\n\u00a0Ela", "\x02\x85 Ela"]
    shares = ask(saved, "serving_default", text=texts)["probabilities"]
    assert (shares == shares[0]).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_items_side_by_side_as_tensorflow_has_threads(monkeypatch, threads):
    """Items wait for each other until all threads are there: more or fewer would not do."""
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", str(threads))
    here, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(threads, timeout=10)

    def function(item):
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        together.wait()
        with lock:
            here -= 1
        return item * item

    items = range(3 * threads)
    assert list(side_by_side(function, items)) == [(item, item * item) for item in items]
    assert most == threads


# Streams in shards


def write_shards(folder, shards):
    for number, ids in enumerate(shards):
        with StreamWriter(folder / f"train-{number:05}.npy") as writer:
            writer.append(np.array(ids, np.int32))


@given(
    shards=st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=9), min_size=1, max_size=12),
    data=st.data(),
)
def test_shards_are_read_as_one_stream(tmp_path_factory, shards, data):
    folder = tmp_path_factory.mktemp("shards")
    write_shards(folder, shards)
    stream = open_stream(folder / "train.npy")
    whole = np.array([token for ids in shards for token in ids], np.int32)
    assert len(stream) == len(whole)
    places = data.draw(st.slices(len(whole)))
    np.testing.assert_array_equal(stream[places], whole[places])
    if len(whole):
        size = len(whole)
        shape = data.draw(st.lists(st.integers(0, 4), max_size=3))
        places = np.random.default_rng(data.draw(st.integers(0, 99))).integers(-size, size, shape)
        found = stream[places]
        assert found.dtype == np.int32
        assert np.shape(found) == tuple(shape)
        np.testing.assert_array_equal(found, whole[places])
    for beyond in (len(whole), -len(whole) - 1):
        with pytest.raises(IndexError):
            stream[np.array([beyond])]


def test_a_whole_stream_comes_before_its_shards(tmp_path):
    write_shards(tmp_path, [[1], [2, 3]])
    np.save(tmp_path / "train.npy", np.array([4], np.int32))
    assert open_stream(tmp_path / "train.npy").tolist() == [4]


def test_a_shard_that_is_no_stream_is_refused(tmp_path):
    write_shards(tmp_path, [[1], [2, 3]])
    (tmp_path / "train-00001.npy").write_text("água")
    with pytest.raises(InputError, match=r"train-00001\.npy \(.*\): run `nextword tokenize`"):
        open_stream(tmp_path / "train.npy")
