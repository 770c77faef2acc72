"""A trained model from elsewhere is data: damaged or altered files get a sentence."""

import contextlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import SUBWORDS, config, nextword, save_training, sentence_of, write_tokens

from pipeline import InputError
from pipeline.evaluation.compare import compare
from pipeline.evaluation.evaluated_model import load_metrics, load_models
from pipeline.evaluation.intervals import SUMS
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import build_model, load_model
from pipeline.training.finetune import initial_weights
from pipeline.training.history import load_history


@pytest.fixture
def training(tmp_path):
    return save_training(tmp_path / "training", build_model(config()))


@pytest.mark.parametrize(
    "changes",
    [
        {"units": 10**12}, {"embedding": 10**12}, {"vocabulary_size": 10**12},
        {"layers": 10**9}, {"cell": "lstm", "mogrifier": 10**9},
        {"cell": "feedforward", "layers": 1, "context": 10**12},
        {"softmax": "adaptive", "vocabulary_size": 10**12},
    ],
    ids=lambda changes: "-".join(changes),
)  # fmt: skip
def test_a_model_that_takes_all_memory_is_refused(changes, training):
    values = json.loads((training / "model.json").read_text())
    (training / "model.json").write_text(json.dumps({**values, **changes}))
    with pytest.raises(InputError, match="describes a larger model"):
        load_model(training)


@pytest.mark.parametrize(
    "changes",
    [
        {"units": "5"}, {"units": 2.5}, {"units": -5}, {"units": None}, {"layers": True},
        {"cell": "transformer"}, {"cell": [[]]}, {"dropout": 1.5}, {"dropout": float("nan")},
        {"tied": "yes"}, {"vocabulary_size": 0}, {"softmax": "x" * 10**6},
    ],
    ids=str,
)  # fmt: skip
def test_a_value_that_no_model_has_is_refused(changes, training):
    values = json.loads((training / "model.json").read_text())
    (training / "model.json").write_text(json.dumps({**values, **changes}))
    (name,) = changes
    with pytest.raises(InputError, match=f"says that {name} is .*, which no model has") as refusal:
        load_model(training)
    assert len(str(refusal.value)) < 400


def test_what_any_training_writes_is_read(tmp_path):
    for changes in (
        {"cell": "simple_rnn", "tied": True},
        {"cell": "gru", "softmax": "adaptive", "vocabulary_size": 4_100},
        {"mogrifier": 3, "layers": 1, "dropout": 0},  # a whole number, as JSON may have it
    ):
        load_model(save_training(tmp_path / str(len(changes)), build_model(config(**changes))))


@pytest.mark.parametrize(
    "text",
    ["", "epoch\n", "epoch,train_perplexity\n1,90\n", "epoch,train_perplexity,valid_perplexity\n",
     "epoch,train_perplexity,valid_perplexity\n1,90,many\n", "\0", None],
)  # fmt: skip
def test_a_damaged_history_is_refused(text, training):
    path = training / "history.csv"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(InputError, match=r"history\.csv is no history of a training"):
        load_history(training)


@pytest.mark.parametrize(
    ("name", "read"), [("models.json", load_models), ("metrics.json", load_metrics)]
)
@pytest.mark.parametrize(
    "text", ["", "3", "[[]]", "[3]", '{"test": 3}', '[{"name": "lstm"}]', '{"a": {"b": {"c": ""}}}']
)
def test_a_damaged_evaluation_is_refused(text, name, read, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="No evaluation is in"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"made": 3, "parameters": {}}', '{"made": ""}'])
def test_a_damaged_manifest_is_refused(text, training, tmp_path):
    """The model card tells what a model was made of."""
    (training / "manifest.json").write_text(text)
    sentence = sentence_of(nextword("export", "--training", training, "--output", tmp_path / "out"))
    assert "manifest.json is damaged: run the stage that writes it again" in sentence
    assert not (tmp_path / "out").exists()


def checkpoint(training):
    return training / "checkpoints"


def replace_weights(training, *tensors):
    """Save other tensors under the names of the weights."""
    shutil.rmtree(checkpoint(training))
    saved = tf.train.Checkpoint(weights=[tf.Variable(tensor) for tensor in tensors])
    tf.train.CheckpointManager(saved, checkpoint(training), max_to_keep=1).save()


def test_variables_of_other_shapes_are_refused(training):
    weights = [v.numpy() for v in load_model(training).trainable_variables]
    for change in (lambda w: w[..., :1], lambda w: w.astype(np.float64), lambda w: w[None]):
        replace_weights(training, *weights[:-1], change(weights[-1]))
        with pytest.raises(InputError, match=r"The weights .* cannot be read: \S"):
            load_model(training)
    replace_weights(training, *weights[:-1])
    with pytest.raises(InputError, match=r"The weights .* cannot be read: \S"):
        load_model(training)


def test_an_index_of_other_weights_is_refused(training, tmp_path):
    """Its shapes are larger than the files of the data."""
    big = save_training(tmp_path / "big", build_model(config(embedding=600, units=500)))
    (index,) = checkpoint(big).glob("*.index")
    shutil.copy(index, checkpoint(training))
    shutil.copy(big / "model.json", training)
    with pytest.raises(InputError, match=r"they declare [\d,]+ bytes, and their files hold"):
        load_model(training)


@pytest.mark.parametrize("elsewhere", ["{other}/ckpt-1", "../../other/checkpoints/ckpt-1"])
def test_weights_in_another_folder_are_not_read(elsewhere, training, tmp_path):
    other = save_training(tmp_path / "other", build_model(config()))
    path = elsewhere.format(other=checkpoint(other))
    (checkpoint(training) / "checkpoint").write_text(f'model_checkpoint_path: "{path}"\n')
    with pytest.raises(InputError, match="names weights in another folder"):
        load_model(training)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"model_checkpoint_path: 5", b"{" * 10**5, b""])
def test_a_damaged_list_of_weights_is_refused(data, training):
    (checkpoint(training) / "checkpoint").write_bytes(data)
    with pytest.raises(InputError, match="No trained weights are in"):
        load_model(training)


@pytest.mark.parametrize("ending", ["data-00000-of-00001", "index"])
def test_a_byte_that_is_changed_anywhere_gets_a_sentence_or_no_effect(ending, training):
    (path,) = checkpoint(training).glob(f"*.{ending}")
    whole = path.read_bytes()
    before = [v.numpy() for v in load_model(training).trainable_variables]
    for place in np.random.default_rng(3).integers(0, len(whole), 8):
        altered = bytearray(whole)
        altered[place] ^= 0xFF
        path.write_bytes(bytes(altered))
        with contextlib.suppress(InputError):
            after = [v.numpy() for v in load_model(training).trainable_variables]
            # It stands in what is not read: the graph of objects, the counter.
            for one, other in zip(before, after, strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_vocabulary_of_another_size_than_the_model_is_refused(training):
    SUBWORDS.save(training / "vocabulary.tsv")
    trained = ModelConfig.load(training / "model.json")
    with pytest.raises(InputError, match="words, and model"):
        initial_weights(training, config=trained, vocabulary=SUBWORDS)


def test_the_command_line_says_it(training, tmp_path):
    tokens = write_tokens(tmp_path / "tokens")
    (path,) = checkpoint(training).glob("*.data*")
    path.write_bytes(path.read_bytes()[:100])
    sizes = ("--embedding", 6, "--units", 5, "--layers", 2, "--mogrifier", 0)
    result = nextword(
        "train", "--init", training, "--tokens", tokens, "--output", tmp_path / "new", *sizes
    )
    assert "their files hold" in sentence_of(result)


# compare


COLUMNS = {"split": "test", "model": "lstm", "unit": "document", "number": 1, "digest": "a"}


@pytest.mark.parametrize("change", [{"split": "x"}, {"nats": "many"}, {"tokens": "[]"}], ids=str)
def test_counts_that_are_no_numbers_are_refused(change, tmp_path):
    row = {**COLUMNS, "tokens": 5, **dict.fromkeys(SUMS, 5.0), **change}
    pd.DataFrame([row]).to_csv(tmp_path / "documents.csv", index=False)
    with pytest.raises(InputError, match="does not count what models"):
        compare(tmp_path, tmp_path)
    pd.DataFrame(columns=[*row]).to_csv(tmp_path / "documents.csv", index=False)
    with pytest.raises(InputError, match="does not count what models"):
        compare(tmp_path, tmp_path)
