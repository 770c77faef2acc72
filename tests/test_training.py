import dataclasses
import math
import re
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
import tensorflow as tf
from conftest import CELLS, TOKENS, TRAINING, VOCABULARY, config, trained
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import InputError, Interrupted
from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.model.language_model import build_model, load_model
from pipeline.model.meter import Meter
from pipeline.model.unigram import log_frequencies
from pipeline.text.vocabulary import BEGIN_ID, Vocabulary
from pipeline.tokens.windows import open_stream
from pipeline.training.checkpoints import Position
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import Diverged, watch
from pipeline.training.schedule import learning_rate
from pipeline.training.train import _Best


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns(tokens, tmp_path, cell):
    history = trained(tokens, tmp_path / cell, cell=cell)
    assert history[0]["valid_perplexity"] < len(TOKENS)
    assert history[-1]["valid_perplexity"] < history[0]["valid_perplexity"]
    for row in history:
        assert row["valid_perplexity"] == pytest.approx(math.exp(row["valid_loss"]), rel=1e-6)
        assert row["train_perplexity"] == pytest.approx(math.exp(row["train_loss"]), rel=1e-6)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_learns_as_well(tokens, tmp_path, built, precision):
    whole = trained(tokens, tmp_path / "whole", dropout=0.0)
    history = trained(tokens, tmp_path / "half", dropout=0.0, precision=precision)
    assert history[-1]["valid_perplexity"] < 0.5 * len(TOKENS)
    for row, expected in zip(history, whole, strict=True):
        assert row["valid_loss"] == pytest.approx(expected["valid_loss"], rel=0.01)
        assert row["train_loss"] != expected["train_loss"]
        assert math.isfinite(row["gradient_norm"])
    of_whole, _, of_half, _ = built
    ids = tf.zeros((TRAINING.batch_size, 5), tf.int32)
    assert of_whole.hidden(ids, training=True)[0].dtype == tf.float32
    assert of_half.hidden(ids, training=True)[0].dtype.name == precision.removeprefix("mixed_")
    model = load_model(tmp_path / "half")
    assert {v.dtype for v in model.trainable_variables} == {"float32"}


@pytest.mark.parametrize(
    "changes",
    [
        {"window": "full"},
        {"window": "full", "reset": "document"},
        {"reset": "document"},
        {"window": 4, "stride": 2},
        {"softmax": "adaptive"},
    ],
    ids=str,
)
def test_windows_and_softmax_of_every_kind_learn(tokens, tmp_path, changes):
    history = trained(tokens, tmp_path / "out", epochs=3, patience=9, **changes)
    assert history[-1]["valid_perplexity"] < history[0]["valid_perplexity"] < len(TOKENS)


def test_a_stride_that_does_not_fit_is_refused(tokens, tmp_path):
    with pytest.raises(InputError, match="would leave out text between windows of 5"):
        trained(tokens, tmp_path / "a", stride=6)
    with pytest.raises(InputError, match="Whole paragraphs do not overlap"):
        trained(tokens, tmp_path / "b", window="full", stride=1)


def test_training_begins_with_the_frequencies_of_words(tokens, tmp_path):
    (row,) = trained(tokens, tmp_path, epochs=1, learning_rate=1e-9)
    expected = log_frequencies(Vocabulary.load(tokens / "vocabulary.tsv"))
    np.testing.assert_allclose(load_model(tmp_path).output_bias, expected, rtol=1e-5)
    targets = open_stream(tokens / "valid.npy")[1:]
    # The other weights are small.
    assert row["valid_loss"] == pytest.approx(-expected[targets].mean(), rel=0.02)


def test_the_same_seed_gives_the_same_weights(tokens, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trained(tokens, tmp_path / name, seed=seed, epochs=2)
    a, b, c = (load_model(tmp_path / name).get_weights() for name in "abc")
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(a[0], c[0])


def test_whole_paragraphs_go_on_amid_an_epoch_with_the_same_weights(tokens, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    lengths = random.integers(2, 30, 60)
    paragraphs = [[BEGIN_ID, *random.integers(2, len(TOKENS), length)] for length in lengths]
    np.save(tokens / "train.npy", np.concatenate(paragraphs).astype(np.int32))
    options = {"window": "full", "epochs": 3, "patience": 9, "cell": "feedforward"}
    trained(tokens, tmp_path / "whole", **options)
    monkeypatch.setattr("pipeline.training.loop._SAVE_EVERY", 4)
    monkeypatch.setattr("pipeline.training.loop._LOG_EVERY", 10)

    def stop(number, row):
        if number == 15 + 10:  # amid the second epoch of 15 windows
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tokens, tmp_path / "stopped", on_windows=stop, **options)
    told = []
    trained(
        tokens, tmp_path / "stopped", on_windows=lambda number, row: told.append(number), **options
    )
    assert told == [15 + 10, 30 + 10]  # and not 10: it went on
    for one, other in zip(
        *(load_model(tmp_path / name).get_weights() for name in ("whole", "stopped")), strict=True
    ):
        np.testing.assert_array_equal(one, other)


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
    model = load_model(tmp_path / "out", batch_size=8)
    nats = Meter(model).negative_log_likelihood(open_stream(tokens / "valid.npy"))
    assert nats.mean() == pytest.approx(min(losses), rel=1e-5)


def test_training_stops_when_validation_gets_no_better(misleading, tmp_path):
    history = trained(misleading, tmp_path / "out", epochs=30, patience=2)
    best = int(np.argmin([row["valid_loss"] for row in history]))
    assert len(history) == best + 1 + 2 < 30


def test_a_training_that_was_killed_when_it_had_stalled_is_over(misleading, tmp_path):
    """The checkpoint says that an epoch is over before `on_epoch` is called."""
    expected = trained(misleading, tmp_path / "whole", epochs=30, patience=2)
    told = []

    def killed(row):
        told.append(row)
        if len(told) == len(expected):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(misleading, tmp_path / "out", epochs=30, patience=2, on_epoch=killed)
    resumed = trained(misleading, tmp_path / "out", epochs=30, patience=2)
    assert [row["valid_loss"] for row in resumed] == [row["valid_loss"] for row in expected]


@pytest.mark.parametrize("epochs", [2, 30], ids=["last epoch", "stalled"])
def test_a_signal_in_the_last_validation_comes_too_late(misleading, tmp_path, monkeypatch, epochs):
    whole = trained(misleading, tmp_path / "whole", epochs=epochs, patience=2)
    measure, losses = _Best.measure, []

    def interrupted(best):
        losses.append(measure(best))
        if len(losses) == stop_at:
            signal.raise_signal(signal.SIGINT)
        return losses[-1]

    monkeypatch.setattr(_Best, "measure", interrupted)
    stop_at = len(whole)
    trained(misleading, tmp_path / "out", epochs=epochs, patience=2)
    assert losses == [row["valid_loss"] for row in whole]
    losses, stop_at = [], 1
    with pytest.raises(Interrupted, match="Stopped in epoch 2 after 0 of"):
        trained(misleading, tmp_path / "early", epochs=epochs, patience=2)


def test_the_rate_falls_to_zero(tokens, tmp_path):
    rates = [row["learning_rate"] for row in trained(tokens, tmp_path / "out", patience=9)]
    np.testing.assert_allclose(rates, [0.015, 0.01, 0.005, 0], atol=1e-8)


def test_the_rate_rises_then_falls():
    line = TrainingConfig(learning_rate=0.8, warmup=0.2)
    np.testing.assert_allclose(
        [learning_rate(line, done) for done in (0.05, 0.1, 0.2, 0.6, 1)],
        [0.2, 0.4, 0.8, 0.4, 0],
        atol=1e-12,
    )
    assert 0 < learning_rate(line, 0) < 0.01
    wave = TrainingConfig(learning_rate=0.8, warmup=0, schedule="cosine")
    expected = [0.8, 0.4 * (1 + math.sqrt(0.5)), 0.4, 0.4 * (1 - math.sqrt(0.5)), 0]
    np.testing.assert_allclose([learning_rate(wave, i / 4) for i in range(5)], expected, atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"variational": True, "word_dropout": 0.1, "weight_dropout": 0.3},
        {"activation_regularization": 2.0, "temporal_regularization": 1.0},
        {"mogrifier": 3, "weight_dropout": 0.2},
        {"averaging": 0.9, "warmup": 0.1, "schedule": "cosine"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_regularizes_learns_as_well(tokens, tmp_path, changes):
    history = trained(tokens, tmp_path / "out", patience=9, **changes)
    assert history[-1]["valid_perplexity"] < history[0]["valid_perplexity"] < 1.5 * len(TOKENS)
    load_model(tmp_path / "out")


@pytest.mark.parametrize("size", [1, 35, 1000])
def test_a_loss_that_rose_is_found_after_as_many_targets_in_windows_of_any_size(size):
    """After x targets that cost 8 nats more, the means differ by 8 (e^(−x/50,000) − e^(−x/5,000)).

    With u = e^(−x/50,000), that is 2 where u − u¹⁰ = 1/4: at x = 1,662.
    """
    position = Position(recent=4.0, usual=4.0)
    watch(position, [(4.0 * size, size, 1.0)] * (20_000 // size))
    before = position.targets
    with pytest.raises(Diverged, match="rose by more than 2 nats"):
        watch(position, [(12.0 * size, size, 1.0)] * 10_000)
    x = position.targets - before
    assert x - size < 1662 <= x


@given(st.integers(0, 2**32), st.sampled_from([1, 4, 20, 700]))
@settings(max_examples=10, deadline=None)
def test_noise_is_no_divergence(seed, size):
    """60,000 targets as real ones: 5.6 nats on average, their standard deviation 2.9."""
    nats = np.random.default_rng(seed).gamma((5.6 / 2.9) ** 2, 2.9**2 / 5.6, 60_000)
    told = [(part.sum(), len(part), 1.0) for part in np.split(nats, range(size, 60_000, size))]
    watch(Position(recent=9.0, usual=9.0), told)


def test_tokens_that_differ_are_no_divergence(tokens, tmp_path, caplog, monkeypatch):
    """One target an update; most cost next to nothing, and some ten nats."""

    def build(*arguments, **options):
        model = build_model(*arguments, **options)
        model.output_bias.assign([10.0, *[0.0] * (len(TOKENS) - 1)])
        return model

    monkeypatch.setattr("pipeline.training.train.build_model", build)
    dear = np.random.default_rng(2).random(150) < 0.2
    np.save(tokens / "train.npy", np.where(dear, 2, 0).astype(np.int32))
    options = {"cell": "feedforward", "stride": 1, "batch_size": 1, "epochs": 1}
    trained(tokens, tmp_path / "out", learning_rate=1e-9, **options)
    assert "back to epoch" not in caplog.text


def test_a_rate_far_too_large_is_found_at_once(tokens, tmp_path, caplog):
    with pytest.raises(InputError, match=r"rose by more than 2 nats .* an eighth"):
        trained(tokens, tmp_path / "out", learning_rate=1e3)
    windows = [int(n) for n in re.findall(r"nats after (\d+) windows", caplog.text)]
    assert len(windows) == 3
    assert max(windows) <= 10


def test_a_loss_that_runs_away_stops_with_a_sentence(tokens, tmp_path):
    with pytest.raises(InputError, match=r"no longer finite .* an eighth .* lower --learning-rate"):
        trained(tokens, tmp_path / "out", learning_rate=1e38)


@pytest.fixture
def built(monkeypatch):
    """The models that training builds: the one it trains, then the one it validates with."""
    models = []

    def remember(*args, **kwargs):
        models.append(build_model(*args, **kwargs))
        return models[-1]

    monkeypatch.setattr("pipeline.training.train.build_model", remember)
    return models


@pytest.mark.parametrize(
    ("spoilt", "sentence"), [(math.nan, "no longer finite"), (30.0, "rose by more than 2 nats")]
)
def test_after_a_divergence_half_the_rate(tokens, tmp_path, caplog, built, spoilt, sentence):
    """Weights spoilt after the second epoch: back to that epoch's end, and on."""

    def spoil(row):
        if row["epoch"] == 2 and "back to epoch" not in caplog.text:
            bias = np.zeros(len(TOKENS))
            bias[0] = spoilt  # of <unk>, which never comes
            built[0].output_bias.assign(bias)

    history = trained(tokens, tmp_path / "out", patience=9, on_epoch=spoil)
    assert sentence in caplog.text
    assert "back to epoch 3, window 0" in caplog.text
    np.testing.assert_allclose(
        [row["learning_rate"] for row in history], [0.015, 0.01, 0.0025, 0], atol=1e-8
    )
    assert all(math.isfinite(row["train_loss"]) for row in history)
    assert history[-1]["valid_loss"] < history[1]["valid_loss"]


def test_weights_spoilt_by_the_last_update_of_an_epoch(
    tokens, tmp_path, caplog, built, monkeypatch
):
    windows = 30  # of an epoch
    monkeypatch.setattr("pipeline.training.loop._LOG_EVERY", windows)

    def spoil(number, row):
        if number == 2 * windows and "back to epoch" not in caplog.text:
            built[0].output_bias.assign(tf.fill((len(TOKENS),), math.nan))

    history = trained(tokens, tmp_path / "out", patience=9, on_windows=spoil)
    assert "The weights are no longer finite" in caplog.text
    assert "back to epoch 2, window 0" in caplog.text
    assert all(math.isfinite(row["valid_loss"]) for row in history)


def test_windows_are_told_of_once_each(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.training.loop._LOG_EVERY", 10)  # an epoch has 30 windows
    numbers = []
    trained(tokens, tmp_path / "out", epochs=2, on_windows=lambda number, _: numbers.append(number))
    assert numbers == [10, 20, 30, 40, 50, 60]


def test_the_peak_of_memory_is_in_megabytes_and_falls_no_more(tokens, tmp_path):
    held, rows = np.ones(200_000_000, np.uint8), []
    resident = psutil.Process().memory_info().rss

    def after_epoch(row):
        held.resize(0, refcheck=False)
        rows.append(row)

    trained(tokens, tmp_path / "out", epochs=2, on_epoch=after_epoch)
    peaks = [row["peak_memory_mb"] for row in rows]
    assert 0.95 * resident / 2**20 < peaks[0] <= peaks[1] < psutil.virtual_memory().total / 2**20


def test_nothing_needs_what_windows_lacks():
    for folder in ("pipeline", "benchmarks"):
        for path in (Path(__file__).parents[1] / folder).rglob("*.py"):
            missing = r"^ *import (resource|fcntl)|^ *from (resource|fcntl) |os\.(getuid|sysconf)"
            assert not re.search(missing, path.read_text("utf-8"), re.MULTILINE), path


def test_the_best_weights_survive_a_loss_that_diverges_again_and_again(
    tokens, tmp_path, built, monkeypatch
):
    windows = 30  # of an epoch
    monkeypatch.setattr("pipeline.training.loop._LOG_EVERY", 10)

    def spoil(number, row):
        if number > 2 * windows:
            built[0].output_bias.assign(tf.fill((len(TOKENS),), math.nan))

    with pytest.raises(InputError, match=r"best weights so far are kept in .*checkpoints"):
        trained(tokens, tmp_path / "out", on_windows=spoil)
    assert all(np.isfinite(w).all() for w in load_model(tmp_path / "out").get_weights())


def test_weights_with_a_loss_of_nan_are_never_the_best(tokens, tmp_path):
    best = _Best(config(), open_stream(tokens / "valid.npy"), tmp_path / "best", writes=True)
    losses = [math.nan, 3.0, math.nan, 3.5, 3.0, 2.0]
    assert [best.keep(loss, epoch) for epoch, loss in enumerate(losses)] == [0, 1, 0, 0, 1, 1]
    assert best.loss == 2.0
    assert best.in_words().endswith("ckpt-5")


def test_too_little_text_is_refused(tokens, tmp_path):
    with pytest.raises(InputError, match="less than one window of 500 in each of 4 lanes"):
        trained(tokens, tmp_path / "out", window=500)
    np.save(tokens / "valid.npy", np.array([1], np.int32))
    with pytest.raises(InputError, match="validation split"):
        trained(tokens, tmp_path / "other")
    np.save(tokens / "train.npy", np.array([1], np.int32))
    with pytest.raises(InputError, match=r"training split .* holds no text to predict"):
        trained(tokens, tmp_path / "third", window="full")


def test_evaluation_refuses_a_model_of_another_vocabulary(tokens, tmp_path):
    trained(tokens, tmp_path / "lstm", epochs=1)
    other = dataclasses.replace(VOCABULARY, tokens=(*TOKENS[:-1], "ele"))
    other.save(tokens / "vocabulary.tsv")
    with pytest.raises(InputError, match="another vocabulary"):
        evaluate(tmp_path / "lstm", tokens, tmp_path, config=EvaluationConfig())
