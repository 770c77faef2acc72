"""Kneser-Ney against arithmetic by hand, and against KenLM's lmplz."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.model.kneser_ney import KneserNey, NgramReader
from pipeline.model.meter import Meter
from pipeline.tokens.windows import Shards

V = 6
UNKNOWN, BEGIN, A, B, C, D = range(V)
streams = st.lists(st.integers(0, V - 1), min_size=2, max_size=80).map(np.array)

TEXT = """
o gato bebeu leite .
o gato bebeu água .
o cachorro bebeu água .
o cachorro comeu pão .
a menina comeu pão .
a menina bebeu leite .
a menina viu o gato .
o menino viu o cachorro .
o menino viu a menina .
o gato viu o cachorro e o cachorro viu o gato .
ela bebeu água e ele bebeu leite .
ele comeu pão e ela comeu bolo .
o menino comeu bolo .
a avó fez bolo .
a avó fez café .
a avó fez pão e a menina comeu pão .
o avô bebeu café .
o avô bebeu café e comeu bolo .
ele viu a avó .
ela viu o avô na rua .
o gato dormiu na rua .
o cachorro dormiu na cama .
o menino dormiu na cama da avó .
a menina dormiu na cama .
ela fez café .
"""
TINY = """
o gato bebeu água .
a menina bebeu água .
o gato dormiu .
"""
# `lmplz -o 3 --discount_fallback < TEXT` of KenLM 0.3.0 found discounts of its own for every order
# of TEXT, and fell back on 0.5, 1, 1.5 for TINY. These are log10 p of each token and of </s>, from
# `kenlm.Model(…).full_scores(sentence)`.
REFERENCE = {
    (TEXT, "a avó comeu bolo e bebeu leite ."): [
        *(-0.72454, -0.52029, -1.61475, -1.08859, -1.92364, -1.25862, -1.12367, -0.20469, -0.07104)
    ],
    (TEXT, "o menino dormiu na rua ."): [
        *(-0.36798, -0.73150, -0.77698, -0.23585, -0.42495, -0.14208, -0.05160)
    ],
    (TEXT, "xadrez viu ela ."): [-2.29675, -1.09187, -2.04280, -0.98387, -0.11454],
    (TEXT, "café"): [-2.18448, -1.97036],
    (TINY, "o gato bebeu água ."): [-0.41901, -0.11134, -0.38698, -0.11134, -0.10500, -0.11134],
    (TINY, "a menina dormiu gato"): [-0.66879, -0.11134, -1.62226, -1.32123, -1.32123],
    (TINY, "xadrez ."): [-1.60206, -0.85106, -0.26144],
}


def read(text, vocabulary):
    """Lines as paragraphs of a stream, with the <s> that ends the last."""
    lines = text.strip().split("\n")
    ids = [
        i for line in lines for i in (BEGIN, *(vocabulary.get(w, UNKNOWN) for w in line.split()))
    ]
    return np.array([*ids, BEGIN], np.int32)


def after(model, contexts):
    """p of all tokens after contexts of equal length, (N, M) to (N, V)."""
    return model.probabilities(model.advance(model.begin(len(contexts)), contexts)[:, -1])


def losses_of(model, stream):
    """−ln p of every token of a stream but the first."""
    log_p = NgramReader(model)(tf.constant(stream[None, :-1], tf.int32))[0].numpy()
    return -log_p[np.arange(len(stream) - 1), stream[1:]]


@pytest.mark.parametrize(("text", "sentence"), REFERENCE, ids=[s for _, s in REFERENCE])
def test_probabilities_are_those_of_lmplz(text, sentence):
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(text.split()), start=2)}
    model = KneserNey.fit(read(text, vocabulary), order=3, vocabulary_size=len(vocabulary) + 2)
    losses = losses_of(model, read(sentence, vocabulary))
    np.testing.assert_allclose(-losses / np.log(10), REFERENCE[text, sentence], atol=2e-5)


def test_a_case_by_hand():
    # Bigrams: <s> a, 2 × a b, 2 × b a, a c, c <s>. Before a stand two tokens, before b, c and <s>
    # one, so of 5 the discounts leave 1 + 3 × 0.5 = 2.5 for all V = 6.
    model = KneserNey.fit(np.array([BEGIN, A, B, A, B, A, C, BEGIN]), order=2, vocabulary_size=V)
    any_token = 2.5 / 5 / 6
    unigram = np.array([0, 0.5, 1, 0.5, 0.5, 0]) / 5 + any_token
    np.testing.assert_allclose(after(model, np.zeros((1, 0), int))[0], unigram)
    # After a: 2 × b and c of 3, discounted by 1 and 0.5.
    after_a = np.array([0, 0, 0, 1, 0.5, 0]) / 3 + 1.5 / 3 * unigram
    np.testing.assert_allclose(after(model, np.array([[A]]))[0], after_a)
    np.testing.assert_allclose(after(model, np.array([[D]]))[0], unigram)


def test_alone_a_unigram_is_counted_and_with_bigrams_what_stands_before_it():
    # b three times, always after a; c twice, after a and after b.
    stream = np.array([BEGIN, A, B, A, B, C, A, B, A, C, BEGIN])
    nothing = np.zeros((1, 0), int)
    (counted,) = after(KneserNey.fit(stream, order=1, vocabulary_size=V), nothing)
    (continued,) = after(KneserNey.fit(stream, order=2, vocabulary_size=V), nothing)
    assert counted[B] > counted[C]
    assert continued[B] < continued[C]


@settings(deadline=None, max_examples=100)
@given(stream=streams, order=st.integers(1, 5), data=st.data())
def test_probabilities_sum_to_one_after_any_context(stream, order, data):
    model = KneserNey.fit(stream, order=order, vocabulary_size=V)
    length = data.draw(st.integers(0, 6))
    context = st.lists(st.integers(0, V - 1), min_size=length, max_size=length)
    contexts = np.array(data.draw(st.lists(context, min_size=1, max_size=4)), int)
    p = after(model, contexts)
    assert p.shape == (len(contexts), V)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(1), 1)


@settings(deadline=None, max_examples=50)
@given(stream=streams, order=st.integers(1, 5), data=st.data())
def test_a_text_is_read_in_windows_as_it_is_at_once(stream, order, data):
    """Lane by lane, whatever the windows: after each token p given all that was read before."""
    model = KneserNey.fit(stream, order=order, vocabulary_size=V)
    lanes, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 12))
    ids = np.random.default_rng(len(stream)).integers(0, V, (lanes, steps), np.int32)
    bounds = np.unique([0, *data.draw(st.lists(st.integers(1, steps), max_size=3)), steps])
    reader = NgramReader(model)
    for _ in range(2):  # what was read is forgotten
        log_p = [reader(tf.constant(ids[:, a:b])) for a, b in itertools.pairwise(bounds)]
        expected = [after(model, ids[:, : t + 1]) for t in range(steps)]
        np.testing.assert_allclose(
            np.exp(np.concatenate(log_p, axis=1)), np.stack(expected, axis=1), rtol=1e-5
        )
        reader.reset_states()


def test_a_meter_reads_it_as_it_reads_a_network():
    """In lanes that begin where paragraphs do nothing is lost; a rank is that of the p."""
    random = np.random.default_rng(2)
    stream = random.integers(0, V, 300).astype(np.int32)
    stream[::7] = BEGIN
    reader = NgramReader(model := KneserNey.fit(stream, order=4, vocabulary_size=V))
    predictions = Meter(reader).measure(stream, batch_size=5, window=9)
    np.testing.assert_allclose(predictions.nats, losses_of(model, stream), rtol=1e-5, atol=1e-6)
    for place in random.integers(0, 299, 20):
        p = after(model, stream[None, : place + 1])[0]
        better = (p > p[stream[place + 1]] * (1 + 1e-6)).sum()
        equal = np.isclose(p, p[stream[place + 1]]).sum()
        assert better <= predictions.rank[place] < better + equal
        assert predictions.confidence[place] == pytest.approx(p.max(), rel=1e-5)


def test_contexts_end_where_a_paragraph_begins():
    stream = np.random.default_rng(1).integers(0, V, 400)
    model = KneserNey.fit(stream, order=4, vocabulary_size=V)
    one, other, longer = after(model, np.array([[A, BEGIN, B], [C, BEGIN, B], [A, C, B]]))
    np.testing.assert_array_equal(one, other)
    assert not np.allclose(one, longer)


def test_a_longer_context_predicts_better():
    # What follows "a b" depends on the token before it.
    stream = np.array([BEGIN, C, A, B, C, BEGIN, D, A, B, D] * 20)
    losses = losses_of(KneserNey.fit(stream, order=4, vocabulary_size=V), stream)
    shorter = losses_of(KneserNey.fit(stream, order=3, vocabulary_size=V), stream)
    assert losses[3::5].mean() < 0.3
    assert shorter[3::5].mean() > 0.6


def test_a_stream_in_shards_is_one_stream():
    stream = np.random.default_rng(3).integers(0, V, 300).astype(np.int32)
    shards = Shards([stream[:100], stream[100:]])
    whole, parts = (KneserNey.fit(s, vocabulary_size=V) for s in (stream, shards))
    np.testing.assert_array_equal(losses_of(whole, stream), losses_of(parts, stream))


@pytest.mark.parametrize(
    ("stream", "order", "problem"),
    [
        ([], 5, "no n-grams to count"),
        ([BEGIN], 5, "no n-grams to count"),
        ([BEGIN, V], 5, "ids from 1 to 6, but the vocabulary has 6 tokens"),
        ([BEGIN, -1], 5, "ids from -1 to 1"),
        ([BEGIN, A], 0, "cannot have order 0"),
    ],
)
def test_what_cannot_be_counted_is_refused(stream, order, problem):
    with pytest.raises(InputError, match=problem):
        KneserNey.fit(np.array(stream, np.int32), order=order, vocabulary_size=V)
