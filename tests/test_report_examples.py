"""The sentences and surprises that the report shows."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import TOKENS, predicted, random_model
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.report.examples import choose_sentences, choose_surprises, read_examples
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID, Vocabulary

WORDS = (*TOKENS, "<i>")
VOCABULARY = Vocabulary(WORDS, WORDS, [3, 9, 9, 7, *range(len(WORDS) - 4, 0, -1)])
SENTENCE = "<s> o cachorro bebeu água e ela , a <i> <unk> .".split()
IDS = np.array([WORDS.index(word) for word in SENTENCE], np.int32)


def both(vocabulary):
    """A stateful model of one lane, and the same without a state."""
    return [random_model(vocabulary=vocabulary, scale=0.7, batch_size=lanes) for lanes in (1, None)]


def test_examples_are_what_the_model_predicts():
    stateful, stateless = both(VOCABULARY)
    stream = np.tile(IDS, 30)
    size = len(IDS)
    places = [(1, size, 4), (20 * size + 1, 21 * size, 20 * size + 2)]
    for (first, end, hidden), example in zip(
        places, read_examples(stateful, stream, VOCABULARY, places), strict=True
    ):
        ids = stream[max(0, first - 200) : end]
        p = tf.nn.softmax(stateless(ids[None, :-1]))[0].numpy()[first - end :]
        shown = [token.text for token in example.tokens]
        assert shown == [WORDS[i] for i in stream[first:end]] == SENTENCE[1:]
        assert example.hidden == hidden - first
        assert not example.cut
        for token, target, row in zip(example.tokens, stream[first:end], p, strict=True):
            assert token.probability == pytest.approx(row[target], rel=1e-4)
            assert token.known == (target != UNKNOWN_ID)
            words = [i for i in np.argsort(-row) if WORDS[i].isalpha()][:3]
            assert [word for word, _ in token.suggestions] == [WORDS[i] for i in words]
            np.testing.assert_allclose([q for _, q in token.suggestions], row[words], rtol=1e-4)
        written = "".join(" " * token.space + token.text for token in example.tokens)
        assert written.strip() == "o cachorro bebeu água e ela, a <i> <unk>."
    assert read_examples(stateful, stream, VOCABULARY, [(3, 6, 5)])[0].cut


def test_pieces_are_written_as_words():
    pieces = ("<unk>", "<s>", ".▁", "cach", "orro▁", "bebe", "u▁", "a▁")
    vocabulary = Vocabulary(
        pieces, [""] * 8, [1] * 8, unit="subword", scores=(0.0,) * 8
    )  # fmt: skip
    stream = np.array([1, 7, 3, 4, 5, 6, 2], np.int32)
    stateful, _ = both(vocabulary)
    (example,) = read_examples(stateful, stream, vocabulary, [(1, 7, 3)])
    assert "".join(" " * t.space + t.text for t in example.tokens).strip() == "a cachorro bebeu."
    for token in example.tokens:
        assert {word for word, _ in token.suggestions} <= {"cach…", "orro", "bebe…", "u", "a"}


@settings(deadline=None)
@given(st.lists(st.integers(0, len(WORDS) - 1), max_size=80), st.integers(1, 5))
def test_sentences_are_whole_and_hide_a_word(ids, count):
    stream = np.array([BEGIN_ID, *ids], np.int32)
    places = choose_sentences(stream, VOCABULARY, count=count)
    assert places == choose_sentences(stream, VOCABULARY, count=count)
    assert len({first for first, _, _ in places}) == len(places) <= count
    stop = WORDS.index(".")
    for first, end, hidden in places:
        assert 6 <= end - first <= 24
        assert stream[first - 1] in (BEGIN_ID, stop)
        assert end == len(stream) or stream[end - 1] == stop or stream[end] == BEGIN_ID
        assert not {BEGIN_ID, stop} & {*stream[first : end - 1].tolist()}
        assert first + 1 < hidden < end
        assert WORDS[stream[hidden]].isalpha() or stream[hidden] == UNKNOWN_ID


def test_each_surprising_word_is_shown_once():
    stream = np.tile(IDS, 3)
    nats = np.random.default_rng(1).uniform(0, 9, len(stream) - 1).astype(np.float32)
    places = choose_surprises(predicted(stream[1:], nats), stream, VOCABULARY, count=4)
    words = {i for i, word in enumerate(WORDS) if word.isalpha()}
    order = [i for i in np.argsort(-nats) if stream[i + 1] in words]
    first_of: dict[int, int] = {}
    for i in order:
        first_of.setdefault(int(stream[i + 1]), i + 1)
    assert [hidden for *_, hidden in places] == [*first_of.values()][:4]
    for first, end, hidden in places:
        assert end == hidden + 1
        assert hidden - 12 <= first <= hidden
        assert BEGIN_ID not in stream[first:end]
