"""The adaptive softmax against its formula, written out in NumPy."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import config, save_training, slopes, vocabulary_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.export.config import ExportConfig
from pipeline.export.export import export
from pipeline.model.adaptive_softmax import AdaptiveSoftmax, cutoffs
from pipeline.model.language_model import build_model
from pipeline.predict import load
from pipeline.tokens.windows import NO_TARGET

ENDS, WIDTH = (4, 9, 15), 40
ROWS = 6


@pytest.fixture(scope="module")
def softmax() -> AdaptiveSoftmax:
    """Three parts with weights that no training has tamed, in float64."""
    layer = AdaptiveSoftmax(ENDS, width=WIDTH, dtype="float64")
    random = np.random.default_rng(1)
    for weight in layer.trainable_variables:
        weight.assign(random.normal(size=weight.shape) / math.sqrt(weight.shape[-1]))
    return layer


def features(rows: int = ROWS) -> tf.Tensor:
    return tf.constant(np.random.default_rng(2).normal(size=(rows, WIDTH)))


def by_hand(layer: AdaptiveSoftmax, x: np.ndarray) -> np.ndarray:
    """p of all ids after one vector of features: p(cluster) · p(id | cluster)."""

    def share(scores):
        return np.exp(scores) / np.exp(scores).sum()

    tables, biases = ([w.numpy() for w in part] for part in (layer.tables, layer.biases))
    head = share(tables[0] @ x + biases[0])
    first, second = (
        share(tables[i] @ (layer.projections[i - 1].numpy() @ x) + biases[i]) for i in (1, 2)
    )
    return np.concatenate([head[:4], head[4] * first, head[5] * second])


def test_cutoffs_grow_fourfold_and_end_at_the_vocabulary():
    assert cutoffs(50_000) == (4_000, 16_000, 50_000)
    assert cutoffs(4_001) == (4_000, 4_001)
    assert cutoffs(4_000) == (4_000,)
    assert cutoffs(12) == (12,)


def test_rarer_words_have_shorter_vectors(softmax):
    assert [table.shape for table in softmax.tables] == [(6, 40), (5, 10), (6, 8)]


def test_log_probabilities_are_the_formula(softmax):
    logs = softmax.log_probabilities(features()).numpy()
    assert logs.shape == (ROWS, 15)
    expected = [by_hand(softmax, x) for x in features().numpy()]
    np.testing.assert_allclose(np.exp(logs), expected, rtol=1e-10)
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-12)


def test_vectors_are_the_tables_rows_brought_to_one_width(softmax):
    vectors = softmax(tf.reshape(tf.range(15), (3, 5)))
    assert vectors.shape == (3, 5, WIDTH)
    tables = [table.numpy() for table in softmax.tables]
    projected = [tables[i] @ softmax.projections[i - 1].numpy() for i in (1, 2)]
    expected = np.concatenate([tables[0][:4], *projected])
    np.testing.assert_allclose(tf.reshape(vectors, (15, WIDTH)), expected, rtol=1e-10)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, ENDS[-1] - 1), max_size=8))
def test_negative_log_likelihood_equals_the_log_probabilities(softmax, targets):
    x, y = features(len(targets)), tf.constant(targets, tf.int32)
    logs = softmax.log_probabilities(x).numpy()
    np.testing.assert_allclose(
        softmax.negative_log_likelihood(x, y), -logs[np.arange(len(targets)), targets], rtol=1e-10
    )


@pytest.mark.parametrize(
    "targets",
    [[0, 3, 4, 8, 9, 14], [0, 1, 2, 3, 0, 1], [4, 5, 6, 7, 8, 4], [9] * 6],
    ids=["edges", "head only", "one cluster only", "one word"],
)
def test_the_gradient_is_that_of_the_log_probabilities(softmax, targets):
    x, y = features(), tf.constant(targets, tf.int32)

    @tf.function
    def gradients(cheap: bool):
        with tf.GradientTape() as tape:
            tape.watch(x)
            if cheap:
                nats = softmax.negative_log_likelihood(x, y)
            else:
                nats = -tf.gather(softmax.log_probabilities(x), y, batch_dims=1)
        variables = [x, *(v.value for v in softmax.trainable_variables)]
        return tape.gradient(nats, variables, unconnected_gradients="zero")

    for cheap, whole in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_allclose(cheap, whole, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_shared_weights_equals_finite_differences(softmax):
    ids, targets = tf.constant([0, 3, 5, 9, 14, 2]), tf.constant([9, 4, 0, 14, 8, 3])

    def loss() -> tf.Tensor:
        return tf.reduce_sum(softmax.negative_log_likelihood(tf.tanh(softmax(ids)), targets))

    slope, difference = slopes(loss, softmax.trainable_variables)
    assert difference == pytest.approx(slope, rel=1e-7)


def test_without_clusters_it_is_the_full_softmax():
    layer = AdaptiveSoftmax((7,), width=5)
    x, y = tf.random.stateless_normal((3, 5), (1, 2)), tf.constant([0, 6, 3])
    scores = x @ tf.transpose(layer.tables[0].value) + layer.biases[0].value
    np.testing.assert_allclose(layer.log_probabilities(x), tf.nn.log_softmax(scores), rtol=1e-5)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores)
    np.testing.assert_allclose(layer.negative_log_likelihood(x, y), expected, rtol=1e-5)


# Whole models: one cluster of a hundred words.
LARGE = {"vocabulary_size": 4_100, "layers": 1, "softmax": "adaptive"}


@pytest.mark.parametrize("tied", [True, False])
def test_negative_log_likelihood_of_a_model_equals_its_logits(tied):
    model = build_model(config("gru", tied=tied, **LARGE), batch_size=2)
    x = tf.constant([[0, 3999, 4000], [4099, 7, 4050]])
    y = tf.constant([[4000, NO_TARGET, 0], [3999, 4099, NO_TARGET]])
    h, _ = model.hidden(x)
    logits = model.logits(model.features(h)).numpy()
    assert logits.shape == (2, 3, 4_100)
    np.testing.assert_allclose(np.exp(logits).sum(axis=-1), 1, rtol=1e-4)
    expected = -np.take_along_axis(logits, np.maximum(y, 0)[..., None], -1)[..., 0]
    expected[y == NO_TARGET] = 0
    nats = model.negative_log_likelihood(h, y)
    assert nats.dtype == tf.float32
    np.testing.assert_allclose(nats, expected, rtol=1e-5)


def test_negative_log_likelihood_of_a_full_softmax_ignores_padding():
    model = build_model(config("gru"), batch_size=2)
    y = tf.constant([[3, NO_TARGET], [NO_TARGET, 11]])
    h, _ = model.hidden(tf.constant([[1, 2], [3, 4]]))
    logs = tf.nn.log_softmax(model.logits(model.features(h))).numpy()
    expected = [[-logs[0, 0, 3], 0], [0, -logs[1, 1, 11]]]
    np.testing.assert_allclose(model.negative_log_likelihood(h, y), expected, rtol=1e-5)


def test_input_and_output_share_what_is_tied():
    tied, untied = (
        build_model(config("gru", tied=tied, embedding=16, units=16, **LARGE)).count_params()
        for tied in (True, False)
    )
    assert untied - tied == 4_100 * 16


def test_an_adaptive_model_travels_and_is_exported(tmp_path):
    keras.utils.set_random_seed(4)
    model = build_model(config("gru", **LARGE))
    for variable in model.trainable_variables:
        variable.assign(tf.random.stateless_normal(variable.shape, (3, variable.shape[0])))
    vocabulary = vocabulary_of(*(f"p{i}" for i in range(4_098)))
    training = save_training(tmp_path / "training", model, vocabulary)
    export(training, tmp_path / "nextword", config=ExportConfig(3))
    score = load(tmp_path / "nextword").signatures["score"]
    scored = score(text=tf.constant(["p0 p4058 p0"]))
    assert int(scored["tokens"][0]) == 3
    ids = tf.constant([[1, 2, 4_060, 2]])
    h, _ = model.hidden(ids[:, :-1])
    expected = -float(tf.reduce_sum(model.negative_log_likelihood(h, ids[:, 1:])))
    assert float(scored["log_probability"][0]) == pytest.approx(expected, rel=1e-5)
