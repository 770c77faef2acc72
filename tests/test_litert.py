"""Models for LiteRT, run by its interpreter, against the Keras model."""

import functools
import gzip
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import random_model, save_training, vocabulary_of, write_training

from pipeline import InputError
from pipeline.export.litert import export_litert
from pipeline.model.language_model import load_model
from pipeline.text.vocabulary import Vocabulary

Interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter

SIZE, EMBEDDING = 2_000, 64
VOCABULARY = vocabulary_of(*(f"palavra{number}" for number in range(2, SIZE)))
IDS = np.random.default_rng(3).integers(SIZE, size=40)
MODELS = {
    "lstm": {"mogrifier": 2},
    "plain lstm": {},
    "gru": {},
    "simple_rnn": {},
    "feedforward": {},
    "not tied": {"tied": False},
    "adaptive": {"softmax": "adaptive"},
    "adaptive, not tied": {"softmax": "adaptive", "tied": False},
}
# A conversion takes seconds.
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in [*MODELS][1:]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Models, each exported once, and p after each of `IDS` by Keras: (T, V)."""

    @functools.cache
    def made(name):
        folder = tmp_path_factory.mktemp("litert")
        cell = name if name in ("gru", "simple_rnn", "feedforward") else "lstm"
        options = {"embedding": EMBEDDING, "units": 32, "tied": True, **MODELS[name]}
        with pytest.MonkeyPatch.context() as patch:
            # Clusters in a vocabulary this small.
            patch.setattr("pipeline.model.adaptive_softmax._HEAD", 200)
            model = random_model(cell, VOCABULARY, scale=0.3, **options)
            for variable in model.trainable_variables:
                # What float16 can hold, so that it has nothing to lose.
                variable.assign(variable.numpy().astype(np.float16))
            save_training(folder / "training", model, VOCABULARY)
            (folder / "litert").mkdir()
            export_litert(training=folder / "training", output=folder / "litert")
            h, _ = load_model(folder / "training").hidden(tf.constant(IDS[None], tf.int32))
        return folder / "litert", tf.nn.softmax(model.logits(model.features(h)))[0].numpy()

    return made


def open_step(path):
    return Interpreter(str(path)).get_signature_runner("step")


def read(path):
    """p after each of `IDS`, one step after the other; every tensor is as tensors.json says."""
    step = open_step(path)
    tensors = json.loads((path.parent / "tensors.json").read_text())
    states = {name: np.zeros(of["shape"], of["type"]) for name, of in tensors["inputs"].items()}
    token, rows = states.pop("token"), []
    for number in IDS:
        answer = step(token=np.full_like(token, number), **states)
        for name, of in tensors["outputs"].items():
            assert [*answer[name].shape] == of["shape"]
            assert answer[name].dtype == of["type"]
        rows.append(answer.pop("probabilities")[0])
        states = answer
    return np.array(rows)


@pytest.mark.parametrize("name", ["lstm", *SLOW])
def test_float16_equals_keras_at_each_step(name, made):
    folder, wanted = made(name)
    np.testing.assert_allclose(read(folder / "model_float16.tflite"), wanted, rtol=5e-3)


@pytest.mark.parametrize("name", ["lstm", *SLOW])
def test_int8_suggests_what_keras_suggests(name, made):
    folder, wanted = made(name)
    found = read(folder / "model_int8.tflite")
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-3)
    tops = [[{*row} for row in np.argsort(-p)[:, :3]] for p in (found, wanted)]
    shared = [len(ours & keras) for ours, keras in zip(*tops, strict=True)]
    assert np.mean(shared) > 2.5
    # Not because both have forgotten the text.
    assert len(set(map(frozenset, tops[1]))) > 5


def test_the_embedding_is_stored_once(made):
    folder, _ = made("lstm")
    for weights_, bytes_ in (("float16", 2), ("int8", 1)):
        size = (folder / f"model_{weights_}.tflite").stat().st_size
        assert SIZE * EMBEDDING * bytes_ < size < 2 * SIZE * EMBEDDING * bytes_


def test_the_vocabulary_is_exported_with_the_model(made):
    folder, _ = made("lstm")
    assert Vocabulary.load(folder / "vocabulary.tsv").same_ids(VOCABULARY)
    assert {path.name for path in folder.iterdir()} == {
        *("model_float16.tflite", "model_int8.tflite", "tensors.json"),
        *("vocabulary.tsv", "tokenizer.json"),
    }


def test_the_lexicon_lies_beside_it(tmp_path):
    training = write_training(tmp_path / "training", "feedforward")
    (tmp_path / "words.txt").write_text("guaraná\t3\nÁgua\t9\naçaí\t1\n", "utf-8")
    folder = tmp_path / "litert"
    folder.mkdir()
    export_litert(training=training, output=folder, lexicon=[str(tmp_path / "words.txt")])
    text = gzip.decompress((folder / "lexicon.tsv.gz").read_bytes()).decode()
    assert text == "guaraná\t0.75\naçaí\t0.25\n"
    assert not (folder / "lexicon.tsv").exists()


def test_export_needs_a_trained_model(tmp_path):
    with pytest.raises(InputError, match="run `nextword train`"):
        export_litert(training=tmp_path, output=tmp_path)
