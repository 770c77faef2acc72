import itertools
import math
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from conftest import CELLS, TOKENS, VOCABULARY, config, vocabulary_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.keystrokes import Completions, pressed_keys, unaided_keys
from pipeline.model.language_model import build_model
from pipeline.model.meter import Meter, perplexity
from pipeline.text.suggestible import MISSING_ACCENT, WHOLE
from pipeline.text.tokenizer import is_word

SIX = np.array([0.3, 0.04, 0.25, 0.06, 0.15, 0.2])  # <unk>, <s>, ".", ",", "o", "a"


def meter_of(probabilities: np.ndarray, words: Completions | None = None) -> Meter:
    """A model that predicts the same whatever it has read."""
    logits = tf.constant(np.log(probabilities), tf.float32)
    return Meter(
        lambda ids: tf.broadcast_to(logits, [*tf.unstack(tf.shape(ids)), len(probabilities)]),
        find=words.find if words else None,
    )


def test_measurements_by_hand():
    meter = meter_of(SIX, Completions.of(vocabulary_of(*TOKENS[2:6])))
    got = meter.measure(np.array([1, 4, 0, 2, 5, 3], np.int32), batch_size=1, window=2)
    np.testing.assert_array_equal(got.targets, [4, 0, 2, 5, 3])
    np.testing.assert_allclose(got.nats, -np.log([0.15, 0.3, 0.25, 0.2, 0.06]), rtol=1e-6)
    np.testing.assert_array_equal(got.known, [True, False, True, True, True])
    np.testing.assert_array_equal(got.rank, [3, 0, 1, 2, 4])
    np.testing.assert_allclose(got.confidence, np.full(5, 0.3), rtol=1e-6)
    # "a" is the first of two words; both are suggested before a letter is typed.
    np.testing.assert_array_equal(got.word_rank, [1, 0, 0, 0, 2])
    np.testing.assert_array_equal(got.typed, [0, -1, -1, 0, -1])


@pytest.fixture(scope="module")
def six():
    return meter_of(SIX)


@settings(deadline=None, max_examples=25)
@given(
    stream=st.lists(st.integers(0, 5), min_size=2, max_size=60),
    batch_size=st.integers(1, 7),
    window=st.integers(1, 9),
)
def test_targets_keep_their_places_whatever_the_lanes(six, stream, batch_size, window):
    ids = np.array(stream, np.int32)
    got = six.measure(ids, batch_size=batch_size, window=window)
    np.testing.assert_allclose(got.nats, -np.log(SIX[ids[1:]]), rtol=1e-5)
    np.testing.assert_array_equal(got.rank, np.array([0, 5, 1, 4, 3, 2])[ids[1:]])


def test_ties_are_broken_as_top_k_breaks_them():
    equal = np.array([0.1, 0.2, 0.2, 0.2, 0.1, 0.2])
    got = meter_of(equal).measure(np.array([0, 0, 1, 2, 3, 4, 5], np.int32))
    order = tf.math.top_k(equal, 6).indices.numpy()
    np.testing.assert_array_equal(got.rank, [order.tolist().index(i) for i in range(6)])


def test_negative_log_likelihood_alone_equals_the_whole_measurement():
    model = build_model(config("lstm"), batch_size=3)
    meter = Meter(model)
    stream = np.random.default_rng(0).integers(0, 12, 50, np.int32)
    whole = meter.measure(stream, batch_size=3, window=7)
    np.testing.assert_allclose(
        meter.negative_log_likelihood(stream, batch_size=3, window=7), whole.nats, rtol=1e-6
    )
    assert whole.word_rank is None  # it was given no words
    assert whole.typed is None


def test_perplexity_at_the_edges():
    assert perplexity(0.0, 10) == 1
    assert math.isnan(perplexity(0.0, 0))
    assert perplexity(1e6, 1) == math.inf
    assert math.isnan(perplexity(math.nan, 1))


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_passes_from_one_stream_to_another(cell):
    """Measured alone, after training text, and after another stream: always the same."""
    model = build_model(config(cell), batch_size=2)
    meter = Meter(model)
    random = np.random.default_rng(0)
    stream, other = random.integers(0, 12, 40, np.int32), random.integers(0, 12, 40, np.int32)
    alone = meter.negative_log_likelihood(stream, batch_size=2, window=7)
    model(tf.constant(other.reshape(2, -1)), training=True)
    after_training = meter.negative_log_likelihood(stream, batch_size=2, window=7)
    meter.negative_log_likelihood(other, batch_size=2, window=7)
    after_another = meter.negative_log_likelihood(stream, batch_size=2, window=7)
    np.testing.assert_array_equal(alone, after_training)
    np.testing.assert_array_equal(alone, after_another)
    for state in tf.nest.flatten([layer.states for layer in model.recurrent]):
        assert not np.any(state.numpy())


def test_the_window_of_evaluation_does_not_matter():
    model = build_model(config("lstm"), batch_size=2)
    meter = Meter(model)
    stream = np.random.default_rng(0).integers(0, 12, 50, np.int32)
    short, long = (
        meter.negative_log_likelihood(stream, batch_size=2, window=window) for window in (3, 50)
    )
    np.testing.assert_allclose(short, long, rtol=1e-5)


# Words that begin alike, words within others, accents, a name, an abbreviation, marks, a number.
ALIKE = vocabulary_of(
    *". , bebeu beber bebe be bebê b é e ela elas eis água agua brasil br sr. ( 12 "
    "ação açaí aca acaba açúcar açude acúmulo época ele eles êxito".split(),
    displays={"brasil": "Brasil"},
)


def cost(typed: str, word: str) -> float:
    """−ln p(typed | word), infinite where the word does not begin so."""
    begins = word.lower()[: len(typed)]
    bare = ["".join(c for c in unicodedata.normalize("NFD", b) if c.isascii()) for b in begins]
    if len(begins) < len(typed) or any(
        letter not in pair for letter, *pair in zip(typed, begins, bare, strict=True)
    ):
        return math.inf
    if begins != typed:
        return -math.log(MISSING_ACCENT)
    return -math.log(WHOLE) if begins == word.lower() else 0.0


def type_word(target: int, logits: np.ndarray, words: np.ndarray) -> int:
    """A typist who looks at the three words suggested before each letter: letters typed, or −1."""
    if not words[target]:
        return -1
    shown = ALIKE.displays
    spelled = shown[target].lower()
    for typed in range(len(spelled)):
        scores = {
            i: logits[i] - cost(spelled[:typed], shown[i]) for i in np.flatnonzero(words).tolist()
        }
        best_first = sorted(scores, key=lambda i: (-scores[i], i))
        if target in best_first[:3]:
            return typed
    return -1


@pytest.fixture(scope="module")
def bigrams():
    """Scores of every token after every other, to be set, and the meter of that model."""
    scores = tf.Variable(tf.zeros((len(ALIKE), len(ALIKE))))
    words = Completions.of(ALIKE)
    return scores, Meter(lambda ids: tf.gather(scores, ids), find=words.find)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 30), length=st.integers(2, 60))
def test_suggestions_are_chosen_as_by_a_typist(bigrams, seed, levels, length):
    scores, meter = bigrams
    random = np.random.default_rng(seed)
    table = random.integers(0, levels, scores.shape)  # with few levels, ties happen
    scores.assign(table)
    stream = random.integers(0, len(ALIKE), length, np.int32)
    got = meter.measure(stream, batch_size=2, window=5)
    words = is_word(ALIKE.tokens).numpy()
    for i, (before, target) in enumerate(itertools.pairwise(stream)):
        logits = table[before]
        assert got.typed[i] == type_word(target, logits, words)
        better = [w for w in np.flatnonzero(words) if (-logits[w], w) < (-logits[target], target)]
        assert got.word_rank[i] == len(better)


def unaided_of(text: list[str]) -> list[int]:
    vocabulary = vocabulary_of(*sorted({*text} - {"<s>"}))
    stream = np.array([1, *(vocabulary.tokens.index(token) for token in text)], np.int32)
    letters = np.array([1, *(1 if token == "<s>" else len(token) for token in text)], np.int32)
    return unaided_keys(stream, letters, vocabulary).tolist()


def test_the_keys_of_a_text_are_its_characters():
    text = ["Ela", "(", "a", "tia", ")", "disse", ":", '"', "Sim", ",", "vou", '"', "e", "foi", "."]
    typed = 'Ela (a tia) disse: "Sim, vou" e foi.'
    assert sum(unaided_of(text)) == len(typed)
    # A quote that is never closed opens the next paragraph's no less.
    text = ['"', "Sim", "<s>", '"', "Vou", '"', "ela", "<s>", "—", "Eu", "vou", "…"]
    assert sum(unaided_of(text)) == len('"Sim\n"Vou" ela\n— Eu vou…')
    assert unaided_of(["12", "Sim", "!"]) == [3, 3, 1]


def test_a_choice_is_a_key_and_brings_its_space():
    """The example of the module: «bebeu» after its first letter, «água» before any."""
    unaided = np.array(unaided_of(["ela", "bebeu", "água", ".", "<s>"]))
    assert unaided.sum() == 16
    assert pressed_keys(np.array([-1, 1, 0, -1, -1]), unaided).tolist() == [4, 2, 1, 1, 1]
    # Nobody chooses where the last letter is as near.
    assert pressed_keys(np.array([1, 1]), np.array([1, 3])).tolist() == [1, 2]


def test_the_display_decides():
    words = Completions.of(VOCABULARY)
    spelled = ["".join(map(chr, row)).rstrip("\0") for row in words.letters]
    bare = ["".join(map(chr, row)).rstrip("\0") for row in words.bare]
    shown = zip(VOCABULARY.displays, words.is_word, strict=True)
    assert spelled == [display.lower() if word else "" for display, word in shown]
    assert {s: b for s, b in zip(spelled, bare, strict=True) if s != b} == {"água": "agua"}
