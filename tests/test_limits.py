"""Files of stages that take all memory, or never end, get a sentence, and at once."""

import os
import re
import struct
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import VOCABULARY, nextword, sentence_of, write_tokens

from pipeline import InputError
from pipeline.corpus import documents
from pipeline.corpus.documents import read_parquet
from pipeline.corpus.splits import Splits
from pipeline.evaluation.compare import compare
from pipeline.evaluation.report.explanation import Explanation
from pipeline.limits import MAX_TEXT, check_file
from pipeline.manifest import edit_output
from pipeline.model.config import ModelConfig
from pipeline.text.rare_words import load_rare
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.tokenize import batches, row_groups
from pipeline.tokens.windows import open_stream
from pipeline.training.new_words import load_new_words


@pytest.fixture(autouse=True)
def quickly():
    """Far less time than to fill memory with what is declared; whoever waits for a pipe, hangs."""
    began = time.process_time()
    yield
    assert time.process_time() - began < 20  # the command line imports MLflow


READERS = {
    "manifest.json": lambda folder: edit_output(print, output=folder, what="nothing"),
    "model.json": lambda folder: ModelConfig.load(folder / "model.json"),
    "tokenizer.json": lambda folder: Vocabulary.load(folder / "vocabulary.tsv"),
    "vocabulary.tsv": lambda folder: Vocabulary.load(folder / "vocabulary.tsv"),
    "rare.tsv": load_rare,
    "new_words.tsv": load_new_words,
    "splits.json": Splits().load,
    "explanation.json": Explanation.load,
    "documents.csv": lambda folder: compare(folder, folder),
    "train.npy": lambda folder: open_stream(folder / "train.npy"),
    "documents.parquet": lambda folder: [*read_parquet(folder / "documents.parquet")],
}


def refused(name, folder) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(InputError) as refusal:
        READERS[name](folder)
    sentence = str(refusal.value)
    assert str(folder / name) in sentence or name == "manifest.json"
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def folder(tmp_path):
    VOCABULARY.save(tmp_path / "vocabulary.tsv")
    return tmp_path


@pytest.mark.parametrize("name", [name for name in READERS if name.endswith(("n", "tsv", "csv"))])
def test_a_text_of_a_gigabyte_is_refused(name, folder):
    with (folder / name).open("w") as file:
        file.truncate(2**30)  # takes no place on the disk
    assert f"{name} has 1,073,741,824 bytes" in refused(name, folder)


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_refused(name, folder):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)  # whoever opens one waits for a writer
    assert "is no file" in refused(name, folder)


def test_the_largest_text_is_taken(tmp_path):
    with (tmp_path / "vocabulary.tsv").open("w") as file:
        file.truncate(MAX_TEXT)
    check_file(tmp_path / "vocabulary.tsv")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"stage":' * 100_000, "9" * 100_000, '["\\ud800'],
    ids=["lists", "objects", "number", "cut off"],
)  # fmt: skip
@pytest.mark.parametrize("name", [name for name in READERS if name.endswith(".json")])
def test_json_that_is_nested_without_end_is_refused(name, text, folder):
    (folder / name).write_text(text)
    refused(name, folder)


def npy(*, length="1", kind="<i4", version=1, body=b"") -> bytes:
    """A .npy file that declares a length."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({length},), }}\n".encode()
    size = struct.pack("<H", len(header)) if version == 1 else struct.pack("<I", 2**32 - 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + body


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (npy(length="1000000000000"), "1,000,000,000,000 ids, and holds fewer"),
        (npy(length="2", body=b"\0" * 4), "it says that it holds 2 ids"),
        (npy(length="-1", body=b"\0" * 4), "negative"),
        (npy(version=2), "no NPY file of version 1.0"),
        (npy(kind="|O", body=b"\x80\x04." + bytes(9)), "objects"),
        (b"PK\x03\x04" + bytes(100), "magic"),
        (npy(length="9" * 4_000), "holds fewer"),
        (npy(length="(" * 5_000), "train.npy"),
    ],
    ids=["declared", "short", "negative", "header", "objects", "zip", "number", "nested"],
)
def test_ids_that_are_declared_but_not_there_are_refused(data, why, tmp_path):
    (tmp_path / "train.npy").write_bytes(data)
    assert re.search(why, refused("train.npy", tmp_path), re.IGNORECASE)


def test_what_numpy_writes_is_read(tmp_path):
    for stream in (np.arange(5, dtype=np.int32), np.zeros(0, np.int32)):
        np.save(tmp_path / "train.npy", stream)
        np.testing.assert_array_equal(open_stream(tmp_path / "train.npy"), stream)


@pytest.mark.parametrize("name", ["train.npy", "train-00000.npy"])
@pytest.mark.parametrize("wrong", [-1, 7, 2**31 - 1])
def test_ids_are_those_of_the_vocabulary(tmp_path, name, wrong):
    """On a GPU others would be read as zeros."""
    np.save(tmp_path / name, np.array([6, 0, wrong], np.int32))
    with pytest.raises(InputError, match=r"ids that its vocabulary of 7 does not have: run"):
        open_stream(tmp_path / "train.npy", below=7)
    np.save(tmp_path / name, np.array([6, 0], np.int32))
    assert open_stream(tmp_path / "train.npy", below=7)[:].tolist() == [6, 0]
    np.save(tmp_path / name, np.array([], np.int32))
    assert len(open_stream(tmp_path / "train.npy", below=7)) == 0


def bomb(path, *, repeats=100_000, length=1_000_000):
    """A few kilobytes of Parquet that name one long text again and again."""
    same = pa.array(np.zeros(repeats, np.int32))
    texts = pa.DictionaryArray.from_arrays(same, pa.array(["a" * length]))
    names = pa.DictionaryArray.from_arrays(same, pa.array(["train"]))
    table = pa.table({"doc_id": names, "source": names, "split": names, "text": texts})
    pa.parquet.write_table(table, path, compression="zstd", row_group_size=repeats)
    assert path.stat().st_size < 2**16


def test_a_text_that_is_named_again_and_again_is_refused(tmp_path):
    path = tmp_path / "documents.parquet"
    bomb(path)
    assert "100,000,000,000 bytes" in refused("documents.parquet", tmp_path)
    with pytest.raises(InputError, match=r"takes [\d,]+ bytes"):
        [*batches(row_groups(path))]


def test_numbers_that_are_repeated_without_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "_MAX_GROUP", 2**20)
    column = pa.array(np.zeros(2**18, np.int64))  # a million bytes, and a few when packed
    pa.parquet.write_table(pa.table({"file": column}), tmp_path / "documents.parquet")
    assert "a row group takes" in refused("documents.parquet", tmp_path)


def test_a_text_that_is_repeated_a_little_is_read(tmp_path):
    bomb(tmp_path / "documents.parquet", repeats=3, length=5)
    (frame,) = read_parquet(tmp_path / "documents.parquet")
    assert frame["text"].tolist() == ["aaaaa"] * 3
    assert [*batches(row_groups(tmp_path / "documents.parquet"))] == [("train", [b"aaaaa"] * 3)]


def test_the_command_line_says_it(tmp_path):
    tokens = write_tokens(tmp_path / "tokens")
    (tokens / "train.npy").write_bytes(npy(length="1000000000000"))
    result = nextword("train", "--tokens", tokens, "--output", tmp_path / "training")
    assert "train.npy (it says that it holds 1,000,000,000,000 ids" in sentence_of(result)
