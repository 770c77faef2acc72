import csv
import dataclasses
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import CELLS, TOKENS, config

from pipeline import InputError
from pipeline.evaluation import evaluate
from pipeline.metrics import Meter
from pipeline.model import build_model, load_model
from pipeline.tokenizer import is_word
from pipeline.training import Trainer, train
from pipeline.windows import open_stream

OPTIONS = {
    "cell": "lstm",
    "embedding": 8,
    "units": 8,
    "layers": 1,
    "dropout": 0.2,
    "tied": True,
    "context": 3,
    "window": 5,
    "batch_size": 4,
    "epochs": 4,
    "learning_rate": 0.02,
    "clip_norm": 1.0,
    "patience": 2,
    "seed": 1,
}


def trained(tokens, folder, **changes):
    folder.mkdir()
    train(tokens=tokens, output=folder, **{**OPTIONS, **changes})
    with (folder / "history.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns(tokens, tmp_path, cell):
    history = trained(tokens, tmp_path / cell, cell=cell)
    assert history[0]["valid_perplexity"] < len(TOKENS)
    assert history[-1]["valid_perplexity"] < history[0]["valid_perplexity"]
    for row in history:
        assert row["valid_perplexity"] == pytest.approx(math.exp(row["valid_loss"]), rel=1e-6)
        assert row["train_perplexity"] == pytest.approx(math.exp(row["train_loss"]), rel=1e-6)


def test_the_same_seed_gives_the_same_weights(tokens, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trained(tokens, tmp_path / name, seed=seed, epochs=2)
    a, b, c = (load_model(tmp_path / name).get_weights() for name in "abc")
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(a[0], c[0])


@pytest.fixture
def misleading(tokens):
    """Tokens whose validation split has no rule to learn: more training makes it worse."""
    noise = np.random.default_rng(0).integers(0, len(TOKENS), 60, np.int32)
    np.save(tokens / "valid.npy", noise)
    return tokens


def test_the_best_weights_are_kept(misleading, tmp_path):
    tokens = misleading
    history = trained(tokens, tmp_path / "out")
    losses = [row["valid_loss"] for row in history]
    assert losses[-1] > min(losses)
    model = load_model(tmp_path / "out", batch_size=4)
    meter = Meter(model, reset=model.reset_states, suggestible=is_word(list(TOKENS)).numpy())
    sums = meter.measure(open_stream(tokens / "valid.npy"), batch_size=4, window=5)
    assert sums.nats / sums.tokens == pytest.approx(min(losses), rel=1e-5)


def test_training_stops_when_validation_gets_no_better(misleading, tmp_path):
    history = trained(misleading, tmp_path / "out", epochs=30, patience=2)
    best = int(np.argmin([row["valid_loss"] for row in history]))
    assert len(history) == best + 1 + 2 < 30


def test_the_rate_falls_to_zero(tokens, tmp_path):
    rates = [row["learning_rate"] for row in trained(tokens, tmp_path / "out", patience=9)]
    np.testing.assert_allclose(rates, [0.015, 0.01, 0.005, 0], atol=1e-8)


def test_a_loss_that_is_not_finite_stops_with_a_sentence(tokens, tmp_path):
    with pytest.raises(InputError, match=r"no longer finite .* lower --learning-rate"):
        trained(tokens, tmp_path / "out", learning_rate=1e38)


def test_the_best_weights_survive_a_loss_that_is_not_finite(tokens, tmp_path, monkeypatch):
    models = []

    def remember(*args, **kwargs):
        models.append(build_model(*args, **kwargs))
        return models[-1]

    def spoil_after_the_second(row):
        if row["epoch"] == 2:
            models[0].output_bias.assign(tf.fill((len(TOKENS),), math.nan))

    monkeypatch.setattr("pipeline.training.build_model", remember)
    with pytest.raises(InputError, match=r"best weights so far are kept in .*checkpoints"):
        trained(tokens, tmp_path / "out", on_epoch=spoil_after_the_second)
    assert all(np.isfinite(w).all() for w in load_model(tmp_path / "out").get_weights())


def test_too_little_text_is_refused(tokens, tmp_path):
    with pytest.raises(InputError, match="less than one window of 500 in each of 4 lanes"):
        trained(tokens, tmp_path / "out", window=500)
    np.save(tokens / "valid.npy", np.array([1], np.int32))
    with pytest.raises(InputError, match="validation split"):
        trained(tokens, tmp_path / "other")


def test_a_step_clips_the_global_norm_and_reports_it_unclipped():
    keras.utils.set_random_seed(1)
    model = build_model(config(layers=1), batch_size=2)
    x = tf.constant([[4, 5, 6], [7, 8, 9]], tf.int32)
    y = tf.constant([[5, 6, 7], [8, 9, -1]], tf.int32)
    before = [v.numpy() for v in model.trainable_variables]
    rate, clip = 0.5, 1e-3
    trainer = Trainer(model, keras.optimizers.SGD(rate), clip_norm=clip)
    nats, targets, norm = trainer.step(x, y)
    assert float(targets) == 5
    moved = [b - v.numpy() for b, v in zip(before, model.trainable_variables, strict=True)]
    length = math.sqrt(sum(float((m**2).sum()) for m in moved))
    assert float(norm) > clip
    assert length == pytest.approx(rate * clip, rel=1e-3)
    assert float(nats) / 5 == pytest.approx(math.log(12), rel=0.05)


def test_the_state_is_carried_and_the_gradient_cut(tokens):
    """A step's gradient is that of its own window, from the state the last one left."""
    model = build_model(config("simple_rnn", layers=1), batch_size=1)
    trainer = Trainer(model, keras.optimizers.SGD(0.0), clip_norm=1e9)
    x1, x2 = tf.constant([[4, 5, 6]], tf.int32), tf.constant([[7, 8, 9]], tf.int32)
    trainer.step(x1, x1)
    carried = model.recurrent[0].states[0].numpy()
    assert np.any(carried)
    _, _, norm = trainer.step(x2, x2)

    model.recurrent[0].states[0].assign(carried)
    with tf.GradientTape() as tape:
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(x2, model(x2))
        loss = tf.reduce_mean(nats)
    gradients = tape.gradient(loss, model.trainable_variables)
    expected = tf.linalg.global_norm([tf.convert_to_tensor(g) for g in gradients])
    assert float(norm) == pytest.approx(float(expected), rel=1e-5)


def test_evaluation_compares_models_on_the_same_tokens(tokens, tmp_path):
    trained(tokens, tmp_path / "lstm")
    trained(tokens, tmp_path / "foil", cell="feedforward")
    out = tmp_path / "evaluation"
    out.mkdir()
    evaluate(training=tmp_path / "lstm", tokens=tokens, output=out, baselines=[tmp_path / "foil"])
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics) == {"valid", "test"}
    for models in metrics.values():
        assert list(models) == ["lstm", "feedforward", "unigram"]
        assert len({values["tokens"] for values in models.values()}) == 1
        assert models["lstm"]["perplexity"] < models["unigram"]["perplexity"]
    page = (out / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("data:", "")
    assert (out / "figures" / "learning_curves.png").stat().st_size > 10_000


def test_evaluation_refuses_a_model_of_another_vocabulary(tokens, tmp_path, vocabulary):
    trained(tokens, tmp_path / "lstm", epochs=1)
    other = dataclasses.replace(vocabulary, tokens=(*vocabulary.tokens[:-1], "ele"))
    other.save(tokens / "vocabulary.tsv")
    with pytest.raises(InputError, match="another vocabulary"):
        evaluate(training=tmp_path / "lstm", tokens=tokens, output=tmp_path)
