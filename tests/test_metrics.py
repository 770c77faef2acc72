import math

import numpy as np
import pytest
import tensorflow as tf
from conftest import CELLS, TOKENS, config
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation import of_pieces, unigram_logits
from pipeline.metrics import Meter, perplexity
from pipeline.model import build_model
from pipeline.tokenizer import is_word

SUGGESTIBLE = is_word(list(TOKENS)).numpy()


def meter_of(probabilities: np.ndarray) -> Meter:
    """A model that predicts the same whatever it has read."""
    logits = tf.constant(np.log(probabilities), tf.float32)
    return Meter(
        lambda ids: tf.broadcast_to(logits, [*tf.unstack(tf.shape(ids)), len(probabilities)]),
        reset=lambda: None,
        suggestible=SUGGESTIBLE[: len(probabilities)],
    )


def test_sums_and_shares_by_hand():
    # <unk>, <s>, ".", ",", "o", "a": the last two are words.
    meter = meter_of(np.array([0.3, 0.04, 0.25, 0.06, 0.15, 0.2]))
    stream = np.array([1, 4, 0, 2, 5, 3], np.int32)
    got = meter.measure(stream, batch_size=1, window=2).metrics()
    nats = [-math.log(p) for p in (0.15, 0.3, 0.25, 0.2, 0.06)]
    assert got["perplexity"] == pytest.approx(math.exp(sum(nats) / 5), rel=1e-6)
    known = nats[:1] + nats[2:]
    assert got["perplexity_known"] == pytest.approx(math.exp(sum(known) / 4), rel=1e-6)
    assert got["oov_rate"] == pytest.approx(1 / 5)
    # Ranks: <unk> 1, "." 2, "a" 3, "o" 4, "," 5; the unknown word is a miss though it ranks first.
    assert [got[f"top_{k}"] for k in (1, 3, 5)] == pytest.approx([0, 2 / 5, 4 / 5])
    # Words: "o", "a" and the unknown one; "a" is the first word suggested, "o" the second.
    assert [got[f"top_{k}_words"] for k in (1, 3, 5)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert got["tokens"] == 5


@settings(deadline=None, max_examples=25)
@given(
    stream=st.lists(st.integers(0, 5), min_size=2, max_size=60),
    batch_size=st.integers(1, 7),
    window=st.integers(1, 9),
)
def test_uneven_batches_change_nothing(stream, batch_size, window):
    ids = np.array(stream, np.int32)
    probabilities = np.array([0.3, 0.04, 0.25, 0.06, 0.15, 0.2])
    sums = meter_of(probabilities).measure(ids, batch_size=batch_size, window=window)
    assert sums.tokens == len(stream) - 1
    assert sums.nats == pytest.approx(-np.log(probabilities[ids[1:]]).sum(), rel=1e-5)


def test_sums_of_two_streams_add_up():
    meter = meter_of(np.full(6, 1 / 6))
    a = meter.measure(np.array([1, 4, 0, 2], np.int32), batch_size=1, window=2)
    b = meter.measure(np.array([1, 5], np.int32), batch_size=1, window=2)
    both = a + b
    assert both.tokens == 4
    assert both.metrics()["perplexity"] == pytest.approx(6, rel=1e-5)
    np.testing.assert_array_equal(both.hits, a.hits + b.hits)


def test_pieces_and_words_share_their_nats():
    meter = meter_of(np.array([0.3, 0.04, 0.25, 0.06, 0.15, 0.2]))
    sums = meter.measure(np.array([1, 4, 3, 2, 5, 3], np.int32), batch_size=1, window=2)
    got = of_pieces(sums, 3)
    nats = -sum(math.log(p) for p in (0.15, 0.06, 0.25, 0.2, 0.06))
    assert got["perplexity"] == pytest.approx(math.exp(nats / 5), rel=1e-6)
    assert got["perplexity_per_word"] == pytest.approx(math.exp(nats / 3), rel=1e-6)
    assert (got["tokens"], got["words"], got["oov_rate"]) == (5, 3, 0)
    assert got["top_3"] == sums.metrics()["top_3"]
    assert not any("_words" in name for name in got)  # which pieces are words is not measured


def test_perplexity_at_the_edges():
    assert perplexity(0.0, 10) == 1
    assert math.isnan(perplexity(0.0, 0))
    assert perplexity(1e6, 1) == math.inf


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_passes_from_one_stream_to_another(cell):
    """Measured alone, after training text, and after another stream: always the same."""
    model = build_model(config(cell), batch_size=2)
    meter = Meter(model, reset=model.reset_states, suggestible=SUGGESTIBLE)
    random = np.random.default_rng(0)
    stream, other = random.integers(0, 12, 40, np.int32), random.integers(0, 12, 40, np.int32)
    alone = meter.measure(stream, batch_size=2, window=7)
    model(tf.constant(other.reshape(2, -1)), training=True)
    after_training = meter.measure(stream, batch_size=2, window=7)
    meter.measure(other, batch_size=2, window=7)
    after_another = meter.measure(stream, batch_size=2, window=7)
    assert alone.nats == after_training.nats == after_another.nats
    for state in tf.nest.flatten([layer.states for layer in model.recurrent]):
        assert not np.any(state.numpy())


def test_the_window_of_evaluation_does_not_matter():
    model = build_model(config("lstm"), batch_size=2)
    meter = Meter(model, reset=model.reset_states, suggestible=SUGGESTIBLE)
    stream = np.random.default_rng(0).integers(0, 12, 50, np.int32)
    short, long = (meter.measure(stream, batch_size=2, window=w).nats for w in (3, 50))
    assert short == pytest.approx(long, rel=1e-5)


def test_unigram_probabilities_sum_to_one(vocabulary):
    shares = np.exp(unigram_logits(vocabulary))
    assert shares.sum() == pytest.approx(1, rel=1e-6)
    assert shares[1] == pytest.approx((9 + 1) / (sum(vocabulary.counts) + len(vocabulary)))
