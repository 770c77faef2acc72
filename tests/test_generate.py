"""The text that a model writes by itself."""

import re
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import SUBWORDS, random_model, vocabulary_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from texts import MARKS, WORDS

from pipeline.export.generate import Sampling, _draw, _without_repeats
from pipeline.export.saved_model import NextWord
from pipeline.model.cache import Cache
from pipeline.text.spacing import detokenize
from pipeline.text.tokenizer import BREAK, Tokenizer, begin_paragraph, tokenize
from pipeline.text.vocabulary import BEGIN_ID, NUMBER

# Without abbreviations: a full stop behind one would make it another token.
NAMES = [*MARKS, *(word for word in WORDS if word != "sr.")]
VOCABULARY = vocabulary_of(*NAMES, displays={"brasil": "Brasil"})
TEXTS = ["Ela", "", "Você disse: “Avô", "O Brasil (", "E é. ", "Ela\n"]


def writer(module):
    def write(texts, *, length=40, temperature=1.0, top_p=1.0, seed=0):
        answer = module.generate(
            tf.constant(texts), tf.constant(length), tf.constant(temperature), tf.constant(top_p),
            tf.constant(seed),
        )  # fmt: skip
        return [text.decode() for text in answer["text"].numpy()]

    return write


def tokens(text):
    return [token.decode() for token in tokenize(tf.constant([text])).values.numpy()]


@pytest.fixture(scope="module")
def module():
    # Flat enough that many things are written.
    model = random_model(vocabulary=VOCABULARY, scale=1 / 3)
    return NextWord(model, VOCABULARY, suggestions=5)


@pytest.fixture(scope="module")
def write(module):
    return writer(module)


def test_temperature_0_is_greedy(module, write):
    for text in TEXTS[:-1]:
        ids = Tokenizer(VOCABULARY)(tf.constant([text])).to_tensor()
        for _ in range(8):
            h, _ = module.reader.model.hidden(ids)
            logits = module.reader.model.logits(module.reader.model.features(h))[0, -1].numpy()
            logits[[0, 1] if ids[0, -1] == 1 else [0]] = -np.inf  # no empty paragraph
            ids = tf.concat([ids, [[np.argmax(logits)]]], axis=1)
        expected = [VOCABULARY.tokens[i].replace("<s>", "\x02") for i in ids.numpy()[0, -8:]]
        for options in ({"temperature": 0.0}, {"top_p": 1e-9}):
            (written,) = write([text], length=8, **options)
            assert tokens((text + written).lower())[-8:] == expected
        assert write([text], length=8, temperature=0.0, seed=1) == [written]


def test_no_space_follows_another(write):
    for before in ("O cachorro", "Ele (não)", b"\xff\xe3o"):
        ends = ["", " ", "\u00a0", "\u2009", "\t", " \u200b", "\x00"]
        texts = [
            (before if isinstance(before, bytes) else before.encode()) + e.encode() for e in ends
        ]
        bare, *spaced = write(texts, length=5, temperature=0.0)
        assert {*spaced} == {bare.removeprefix(" ")}


def test_no_empty_paragraph_follows_a_line_break():
    model = random_model(vocabulary=VOCABULARY, scale=0.0)
    (bias,) = (v for v in model.trainable_variables if v.shape == (len(VOCABULARY),))
    bias.assign(
        -0.1 * np.abs(np.arange(len(VOCABULARY)) - BEGIN_ID)
    )  # first <s>, then its neighbour
    ends = ["", "\n", "\r", "\r\n", "\x85", "\u2028", "\n\u00a0", "\x0b\u200b"]
    module = NextWord(model, VOCABULARY, suggestions=5)
    first, *others = writer(module)([f"Fim.{end}" for end in ends], length=2, temperature=0.0)
    assert first.startswith("\n")
    assert not any(text.startswith("\n") for text in others)


def test_the_same_seed_gives_the_same_text(write):
    together = write(TEXTS, seed=3)
    assert write(TEXTS, seed=3) == together
    assert all(a != b for a, b in zip(together, write(TEXTS, seed=4), strict=True))
    # A row does not depend on those beside it, but two rows are not written alike.
    assert write(TEXTS[:1], seed=3) == together[:1]
    assert write(["Ela", "E. é", "Ela"], seed=3)[0] == together[0]
    first, second = write(["Ela", "Ela"], seed=3)
    assert first == together[0] != second
    # What is longer begins with what is shorter.
    assert write(TEXTS[:1], length=60, seed=3)[0].startswith(together[0])
    assert write(TEXTS, length=0) == [""] * len(TEXTS)


@pytest.mark.parametrize("seed", range(4))
def test_spacing_and_capitals(write, seed):
    for text, written in zip(TEXTS, write(TEXTS, length=80, seed=seed), strict=True):
        whole = text + written
        assert "<" not in whole
        assert "\x02" not in whole
        for mark in ".,!?…):":
            # The two tokens ":" and ")" are no emoticon.
            assert f" {mark}" not in re.sub("[:;=] \\)", "", written)
        for wrong in ("( ", "  ", "\n\n", " \n", "\n "):
            assert wrong not in whole.replace("Ela\n\n", ""), whole
        if ".." not in whole:  # which is one mark
            assert len(tokens(whole)) == len(tokens(text)) + 80
        # Quotes open and close in turn.
        for paragraph in whole.split("\n"):
            for number, part in enumerate(paragraph.replace("“", '"').split('"')):
                inside = number % 2 == 1
                if inside and part:
                    assert not part.startswith(" ")
        # A word with a capital is a name, or begins a sentence.
        before = ["."]
        for place, token in enumerate(tokens(whole)):
            if token[0].isalpha() and place >= len(tokens(text)):
                opened = [t for t in before if t not in ('"', "(", ")", "—")]
                begins = opened[-1] in (".", "!", "?", "…", "\x02")
                assert token[0].isupper() == (begins or token == "Brasil"), whole
            before.append(token)


@pytest.fixture(scope="module")
def join(module):
    strings = tf.TensorSpec((None,), tf.string), tf.RaggedTensorSpec((None, None), tf.string)
    return tf.function(
        lambda text, tokens: module.writer._join(text, tokenize(begin_paragraph(text)), tokens),
        input_signature=strings,
        autograph=False,
    )


PIECES = st.sampled_from(["a", "é", "ele", "ou", *".,…)([\"'/—", "2", BREAK])


@settings(deadline=None, max_examples=25, database=None)
@given(st.lists(PIECES, min_size=1).filter(lambda tokens: tokens[0] != BREAK))
@example(["e", "/", "ou"])
@example(["a", "'", "é", "'", "e"])
def test_joining_equals_detokenize(join, tokens):
    """Behind nothing, and behind every beginning of a text that is spaced as usual."""
    ends = range(len(tokens))
    row = tf.ragged.constant([tokens])
    before, rest = (
        tf.ragged.constant([tokens[part(end)] for end in ends], tf.string, ragged_rank=1)
        for part in (lambda end: slice(end), lambda end: slice(end, None))
    )
    texts = detokenize(before)
    expected = detokenize(row).numpy()[0].decode()
    found = [text.decode().lower() for text in tf.strings.join([texts, join(texts, rest)]).numpy()]
    assert found[0] == expected
    for text, cut, uncut in zip(found, tokenize(texts).to_list(), before.to_list(), strict=True):
        if cut == uncut:  # not "..", which is one mark
            assert text == expected


def repeated(ids, *, row=5, recent=200):
    """How often `row` ids in a row are repeated within `recent` ids."""
    ids, last, count = [*ids], {}, 0
    for end in range(row, len(ids) + 1):
        ngram = tuple(ids[end - row : end])
        count += end - last.get(ngram, -recent) < recent - row + 2
        last[ngram] = end
    return count


def test_low_temperatures_do_not_repeat(module):
    @tf.function(input_signature=[tf.TensorSpec(())], autograph=False)
    def ids(temperature):
        state = module.reader.read(
            tf.constant(["Ela", ""]), tf.zeros((2, module.reader.state_size))
        )
        sampling = Sampling(tf.constant(250), temperature, tf.constant(1.0), tf.constant(3))
        return module.writer._sample(state, tf.constant([False, True]), sampling)

    for temperature in (0.05, 0.3, 0.99):
        assert [repeated(row) for row in ids(temperature).numpy()] == [0, 0]
    # The coldest is the most probable one, wherever that leads.
    assert max(repeated(row) for row in ids(0.0).numpy()) > 100


def test_repeated_ids_get_probability_0():
    recent = tf.constant([[-1, -1, 1, 2, 3, 1, 2, 3, 1], [-1, 0, 1, 2, 3, 4, 0, 1, 2]], tf.int32)
    recent = tf.concat([recent, tf.constant([[2, 3], [3, 4]])], 1)
    # 1 2 3 1 2 | 3 1 2 3 → 1 and 0 1 2 3 4 | 0 1 2 3 4 → 0, after 1 2 3 4.
    p = tf.constant([[0.1, 0.2, 0.3, 0.4, 0.0], [0.5, 0.1, 0.1, 0.1, 0.2]])
    assert _without_repeats(p, recent).numpy().tolist() == [
        pytest.approx([0.1, 0.0, 0.3, 0.4, 0.0]), pytest.approx([0.0, 0.1, 0.1, 0.1, 0.2]),
    ]  # fmt: skip
    alone = tf.constant([[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
    assert _without_repeats(alone, recent).numpy().tolist() == alone.numpy().tolist()


def test_invalid_options_are_errors(write):
    for options, message in (
        ({"temperature": -0.1}, "temperature must be a finite number, and not negative"),
        ({"temperature": float("nan")}, "temperature must be a finite number"),
        ({"temperature": float("inf")}, "temperature must be a finite number"),
        ({"top_p": 0.0}, "top_p must lie above 0"),
        ({"top_p": 1.5}, "top_p must lie above 0"),
        ({"length": -1}, "length must not be negative"),
        ({"length": 10_001}, "length must be at most 10000 tokens"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            write(["Ela"], **options)


def test_the_nucleus_is_the_smallest_with_top_p():
    p = np.array([0.05, 0.4, 0.0, 0.3, 0.25])
    uniform = tf.constant((np.arange(1000) + 0.5) / 1000, tf.float32)

    def frequencies(temperature, top_p):
        rows = tf.constant(np.tile(p, (1000, 1)), tf.float32)
        ids = _draw(rows, tf.constant(temperature), tf.constant(top_p), uniform)
        return np.bincount(ids, minlength=len(p)) / 1000

    np.testing.assert_allclose(frequencies(1.0, 1.0), p, atol=2e-3)
    np.testing.assert_allclose(frequencies(1.0, 0.69), np.array([0, 4, 0, 3, 0]) / 7, atol=2e-3)
    np.testing.assert_allclose(frequencies(1.0, 0.71), np.array([0, 8, 0, 6, 5]) / 19, atol=2e-3)
    np.testing.assert_allclose(frequencies(1.0, 0.1), [0, 1, 0, 0, 0])
    np.testing.assert_allclose(frequencies(0.5, 1.0), p**2 / (p**2).sum(), atol=2e-3)
    np.testing.assert_allclose(frequencies(0.0, 1.0), [0, 1, 0, 0, 0])


def with_numbers(names):
    return tuple(name.replace("1", NUMBER) if name in ("1", "1▁") else name for name in names)


OF_PIECES = {"tokens": with_numbers(SUBWORDS.tokens), "displays": with_numbers(SUBWORDS.displays)}


@pytest.mark.parametrize(
    "vocabulary",
    [
        vocabulary_of(*NAMES[:-1], NUMBER, numbers="class"),
        replace(SUBWORDS, numbers="class", **OF_PIECES),
    ],
    ids=["words", "subwords"],
)
def test_the_number_class_is_not_generated(vocabulary):
    write = writer(NextWord(random_model(vocabulary=vocabulary), vocabulary, suggestions=3))
    assert "<" not in "".join(write(TEXTS, length=60))


@pytest.mark.parametrize("cached", [False, True])
def test_subwords_are_joined(cached):
    cache = Cache(size=6, theta=0.1, weight=0.5) if cached else None
    model = random_model("gru", SUBWORDS, scale=1 / 3)
    module = NextWord(model, SUBWORDS, suggestions=3, cache=cache)
    write = writer(module)
    texts = ["Casas", "", "O brasileiro."]
    written = write(texts, length=50)
    assert write(texts[:1], length=50) == written[:1]
    for text in written:
        assert not set(text) & {"▁", "<", "\x02"}
        assert " ." not in text
    assert len(set(written)) == 3
    # The last piece closes its word: the next text begins with a blank or a mark.
    assert all(len(write([t + w])[0]) > 0 for t, w in zip(texts, written, strict=True))


def test_displays_are_generated(write):
    known = {d.lower() for d in VOCABULARY.displays} | {"\x02"}
    assert {token.lower() for text in write(TEXTS) for token in tokens(text)} <= known
