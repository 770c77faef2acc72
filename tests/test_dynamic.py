"""Dynamic evaluation against its formula, written out."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import CELLS, TOKENS, config, random_model, write_training

from pipeline.cli import main
from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.evaluated_model import load_models
from pipeline.model.cache import Cache, CachedModel, WithoutAndWithCache
from pipeline.model.dynamic import _STEPS, WINDOW, DynamicModel, Rates, mean_squares, tune
from pipeline.model.interpolation import Mixture
from pipeline.model.kneser_ney import KneserNey, NgramReader
from pipeline.model.language_model import build_model
from pipeline.model.meter import Meter

RATES = Rates(step=0.03, decay=0.5)


def text(tokens, *, seed=3):
    random = np.random.default_rng(seed)
    return random.integers(0, len(TOKENS), tokens).astype(np.int32)


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


def nats(model, stream):
    return Meter(model).negative_log_likelihood(stream, batch_size=1, window=WINDOW)


def gradients(model, ids, targets, states=None):
    """By each weight, from autodiff of the whole softmax, and the states after the last id."""
    with tf.GradientTape() as tape:
        h, after = model.hidden(tf.constant(ids[None]), states=states)
        logits = model.logits(model.features(h))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets[None], logits)
        loss = tf.reduce_mean(losses)
    found = tape.gradient(loss, [v.value for v in model.trainable_variables])
    return [tf.convert_to_tensor(g).numpy() for g in found], losses[0].numpy(), after


def some_squares(model):
    random = np.random.default_rng(7)
    return [random.gamma(1.0, 0.01, w.shape).astype(np.float32) for w in weights(model)]


@pytest.mark.parametrize("cell", CELLS)
def test_two_steps_by_hand(cell):
    options = {"scale": 0.5, "mogrifier": 2 if cell == "lstm" else 0}
    model, stateless = random_model(cell, batch_size=1, **options), random_model(cell, **options)
    squares, stream = some_squares(model), text(3 * WINDOW + 1)
    rms = [np.sqrt(square) for square in squares]
    mean = sum(r.sum() for r in rms) / sum(r.size for r in rms)
    # At λ = 0.5, r is cut where it is above 2, so that nothing is pulled beyond θ₀.
    assert any((RATES.decay * r / mean > 1).any() for r in rms)

    trained, states, expected = weights(stateless), None, []
    for first in range(0, 3 * WINDOW, WINDOW):
        ids, targets = (stream[first + i : first + i + WINDOW] for i in (0, 1))
        found, losses, states = gradients(stateless, ids, targets, states)
        expected.append(losses)
        parts = zip(stateless.trainable_variables, trained, rms, found, strict=True)
        for variable, start, r, gradient in parts:
            theta = variable.numpy()
            pull = np.minimum(RATES.decay * r / mean, 1) * (start - theta)
            variable.assign(theta - RATES.step * gradient / (r + 0.2 * mean) + pull)
    got = nats(DynamicModel(model, squares, RATES), stream)
    np.testing.assert_allclose(got, np.concatenate(expected), rtol=1e-3, atol=1e-5)
    alone = nats(model, stream)
    assert np.abs(got[WINDOW:] - alone[WINDOW:]).max() > 0.01  # a step is more than rounding
    assert all(map(np.array_equal, weights(model), trained))


def test_only_text_that_was_predicted_is_learned():
    model = random_model(batch_size=1, scale=0.5)
    dynamic = DynamicModel(model, some_squares(model), RATES)
    stream = text(5 * WINDOW + 1)
    alone, learned = nats(model, stream), nats(dynamic, stream)
    np.testing.assert_array_equal(learned[:WINDOW], alone[:WINDOW])
    for place in (WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 7):
        changed = stream.copy()
        changed[place] = 2 + changed[place] % 9
        assert changed[place] != stream[place]
        got = nats(dynamic, changed)
        # The token at a place is target number `place − 1`.
        np.testing.assert_array_equal(got[: place - 1], learned[: place - 1])
        assert (got[place - 1 :] != learned[place - 1 :]).mean() > 0.9


def test_learning_waits_for_the_end_of_a_window():
    """Within a window the weights are those before it, however near a repetition is."""
    model = random_model(batch_size=1, scale=0.5)
    dynamic = DynamicModel(model, some_squares(model), RATES)
    stream = text(2 * WINDOW + 1)
    got = []
    for first in (0, WINDOW):
        before = weights(model)
        dynamic(tf.constant(stream[None, first : first + WINDOW]))
        got.append([np.array_equal(*pair) for pair in zip(before, weights(model), strict=True)])
    assert all(got[0])
    assert not any(got[1])


def test_nothing_is_left_of_what_was_read():
    model = random_model("gru", batch_size=1, scale=0.5, dropout=0.5)
    before, stream = weights(model), text(4 * WINDOW + 5)
    seeds = [variable.numpy() for variable in model.non_trainable_variables]
    alone = nats(model, stream)
    dynamic = DynamicModel(model, some_squares(model), RATES)
    first, second = nats(dynamic, stream), nats(dynamic, stream)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, alone)
    for old, new in zip(before, weights(model), strict=True):
        assert old.tobytes() == new.tobytes()
    for old, new in zip(seeds, model.non_trainable_variables, strict=True):
        assert old.tobytes() == new.numpy().tobytes()
    assert not any(np.any(state) for state in model.states)
    assert nats(model, stream).tobytes() == alone.tobytes()


@pytest.mark.parametrize(("rates", "weight"), [(RATES, 0.0), (Rates(0.0, 0.0), 0.3)])
def test_a_cache_of_a_model_that_learns(rates, weight):
    """Without one of the two it is the other one; the cache forgets with the model."""
    model, stream = random_model(batch_size=1, scale=0.5), text(4 * WINDOW + 5)
    dynamic, cache = DynamicModel(model, some_squares(model), rates), Cache(30, 2.0, weight)
    both = CachedModel(dynamic, cache)
    first, second = nats(both, stream), nats(both, stream)
    np.testing.assert_array_equal(first, second)
    alone = nats(CachedModel(model, cache) if weight else dynamic, stream)
    np.testing.assert_allclose(first, alone, rtol=1e-4)
    assert not np.allclose(alone, nats(model, stream), rtol=1e-3)


def test_models_that_read_together_learn_once():
    """Each predicts what it predicts alone, with n-grams too."""
    model, stream = random_model(batch_size=1, scale=0.5), text(4 * WINDOW + 5)
    dynamic, cache = DynamicModel(model, some_squares(model), RATES), Cache(30, 2.0, 0.3)
    cached = CachedModel(dynamic, cache)
    together = WithoutAndWithCache(cached)
    ngrams = NgramReader(KneserNey.fit(stream, order=3, vocabulary_size=len(TOKENS)))
    shares = [0.6, 0.8]
    for each, alone in (
        (together, [dynamic, cached]),
        (
            Mixture(together, ngrams, shares),
            [Mixture(m, ngrams, [w]) for m, w in zip((dynamic, cached), shares, strict=True)],
        ),
    ):
        found = Meter(each).measure_each(stream, batch_size=1, window=WINDOW)
        for predictions, one in zip(found, alone, strict=True):
            expected = Meter(one).measure(stream, batch_size=1, window=WINDOW)
            np.testing.assert_allclose(predictions.nats, expected.nats, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(predictions.confidence, expected.confidence, rtol=1e-4)
            assert (predictions.rank == expected.rank).mean() > 0.95  # but for ties
    assert not np.allclose(found[0].nats, found[1].nats, rtol=1e-3)


def topics(*, seed=8):
    """A text that repeats four tokens for a while, then four others."""
    random = np.random.default_rng(seed)
    chosen = [random.choice(np.arange(2, len(TOKENS)), 4) for _ in range(2)]
    return np.concatenate([[1, *random.choice(topic, 1000)] for topic in chosen]).astype(np.int32)


@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_a_text_that_repeats_itself_is_less_surprising(softmax, monkeypatch):
    monkeypatch.setattr("pipeline.model.adaptive_softmax._HEAD", 5)  # of 12 words: one cluster
    model = build_model(config("simple_rnn", softmax=softmax), batch_size=1)
    assert softmax == "full" or model.adaptive.clusters == 1
    squares = mean_squares(model, topics(seed=1))
    stream = topics()
    rates = tune(model, squares, stream)
    assert rates.step in _STEPS
    dynamic = DynamicModel(model, squares, rates)
    mean, alone = nats(dynamic, stream).mean(), nats(model, stream).mean()
    assert mean < alone - 0.01
    # What was chosen is no worse than any other rates that were tried.
    for step in _STEPS:
        dynamic.set_rates(Rates(step, 0.0))
        assert mean <= nats(dynamic, stream).mean() + 1e-5


def test_squares_are_the_mean_over_training_text():
    model, stateless = random_model("gru", batch_size=1), random_model("gru")
    # Shorter than a block: each block is all of it.
    train = text(2 * WINDOW + 1)
    first, _, states = gradients(stateless, train[:WINDOW], train[1 : WINDOW + 1])
    second, *_ = gradients(stateless, train[WINDOW:-1], train[WINDOW + 1 :], states)
    for square, *parts in zip(mean_squares(model, train), first, second, strict=True):
        np.testing.assert_allclose(square, np.square(parts).mean(0), rtol=1e-3, atol=1e-9)


@pytest.mark.slow
def test_an_evaluation_has_a_model_that_learns(tokens, tmp_path):
    training, pairs = write_training(tmp_path / "rnn", "simple_rnn"), tmp_path / "pairs.tsv"
    pairs.write_text("context\tright\twrong\no cachorro\tbebeu\ta\n", encoding="utf-8")
    out = tmp_path / "evaluation"
    out.mkdir()
    chosen = EvaluationConfig(ngram_order=2, cache=20, dynamic=True, pairs=pairs)
    evaluate(training, tokens, out, config=chosen)
    models = load_models(out)
    kinds = {model.name: (model.kind, model.parts) for model in models}
    labels = [model.label for model in models]
    assert kinds["simple_rnn_dynamic"] == ("dynamic", ("simple_rnn",))
    mixture = "simple_rnn_dynamic_and_kneser_ney_2"
    assert kinds[mixture] == ("mixture", ("simple_rnn_dynamic", "kneser_ney_2"))
    both = ("dynamic", ("simple_rnn_dynamic", "simple_rnn_cache"))
    assert kinds["simple_rnn_dynamic_cache"] == both
    assert "simple_rnn_dynamic_cache_and_kneser_ney_2" in kinds
    for split, metrics in json.loads((out / "metrics.json").read_text()).items():
        assert [*metrics] == [*kinds]
        learned = metrics["simple_rnn_dynamic"]
        assert learned["perplexity"] != metrics["simple_rnn"]["perplexity"], split
        assert learned["dynamic_step"] in _STEPS
        assert learned["keystroke_savings"] <= 1
        assert metrics[mixture]["perplexity"] < learned["perplexity"]
    # All models are measured on the same tokens.
    documents = pd.read_csv(out / "documents.csv")
    assert (documents.groupby(["split", "number"])["digest"].nunique() == 1).all()
    assert "simple_rnn_dynamic" in (out / "report.html").read_text(encoding="utf-8")
    # Each of a pair begins with the trained weights.
    asked = [*pd.read_csv(out / "pairs.csv")["model"].unique()]
    assert asked == [name for name in labels if "dynamic" not in name]


@pytest.mark.parametrize("typed", [["--dynamic"], ["--dynamic", "true"], []])
def test_dynamic_is_typed_with_or_without_a_value(typed):
    options = main.commands["evaluate"].make_context("evaluate", [*typed, "--force"]).params
    assert options["dynamic"] is bool(typed)
    assert options["force"]
