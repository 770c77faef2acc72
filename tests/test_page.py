"""The page's engine in JavaScript against the graph of the SavedModel: it is the same model."""

import re
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from conftest import (
    CHOICES,
    CELLS,
    SAMPLE,
    VOCABULARY,
    ask,
    nextword,
    random_model,
    sentence_of,
    vocabulary_of,
    write_training,
)
from engine import Engine
from odd_texts import odd_texts
from tokenizer_cases import CASES

from pipeline.export.saved_model import NextWord
from pipeline.export.generate import Writer
from pipeline.page import build
from pipeline.page.patterns import javascript
from pipeline.page.weights import pack, round_rows, rounded, weights_of
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NO_WORDS
from pipeline.text.spacing import spaces, spacing_kinds
from pipeline.text.tokenizer import tokenize

SENTENCES = (SAMPLE / "animais" / "01-o-cachorro-da-padaria.txt").read_text("utf-8").splitlines()
MODELS = {
    "lstm": {"mogrifier": 3},
    "plain lstm": {"layers": 3},
    "gru": {},
    "simple_rnn": {},
    "feedforward": {},
    "tied": {"tied": True, "units": 6},
    "tied, other sizes": {"tied": True},
}


def packed(model, vocabulary=VOCABULARY, *, lexicon=None, never=NO_WORDS, suggestions=5):
    """Pack a model as `export_page` does."""
    words = build.describe(
        vocabulary, lexicon or Lexicon.of(vocabulary), never=never, suggestions=suggestions
    )
    return build.pack_model(model, words)


def round_weights(model):
    """Give a model the weights that int8 leaves of its own."""
    names = weights_of(model)
    for variable in model.trainable_variables:
        value = variable.numpy()
        if "bias" in variable.name:
            continue
        by_word = variable.shape[0] == model.config.vocabulary_size
        values, scales = round_rows(value if by_word else value.T)
        value = values * scales[:, None]
        variable.assign(value if by_word else value.T)
    assert names.keys() == weights_of(model).keys()
    return model


# Packing


def test_rows_are_rounded_by_their_own_scale():
    matrix = np.array([[1, -0.5, 0.25], [0, 0, 0], [-254, 1.4, 2.6]], np.float32)
    values, scales = round_rows(matrix)
    np.testing.assert_array_equal(values, [[127, -64, 32], [0, 0, 0], [-127, 1, 1]])
    np.testing.assert_allclose(scales, [1 / 127, 0, 2])
    assert values.dtype == np.int8
    random = np.random.default_rng(1).normal(size=(20, 30)).astype(np.float32)
    values, scales = round_rows(random)
    assert (np.abs(values * scales[:, None] - random) <= scales[:, None] * 0.5001).all()


def test_javascript_reads_what_is_packed():
    arrays = {
        "a": np.array([[1, -2, 3]], np.int8),
        "b": np.array([0.5, -7], np.float32),
        "c": np.array([200, 1, 0, 0, 9], np.uint8),
    }
    vocabulary = {"tokens": ["<unk>", "<s>", "rio"], "displays": {"2": "Rio"}}
    header = {"vocabulary": vocabulary, "lexicon": ["açaí"], "patterns": build.tokenizer_patterns()}
    read = """(model) => ({
      arrays: Object.entries(model.arrays).map(([name, a]) => [name, [...a], a.shape]),
      displays: model.vocabulary.displays, lexicon: model.lexicon,
    })"""
    (answer,) = Engine(pack(header, arrays))(read, [[]])
    assert answer["arrays"] == [[k, v.ravel().tolist(), [*v.shape]] for k, v in arrays.items()]
    assert (answer["displays"], answer["lexicon"]) == (["<unk>", "<s>", "Rio"], ["açaí"])


# Network


@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_that_of_keras(name):
    cell = name if name in CELLS else "lstm"
    model = random_model(cell, scale=0.5, **MODELS[name])
    ids = np.random.default_rng(3).integers(len(VOCABULARY), size=12)
    exact = tf.nn.softmax(model(ids[None]))[0].numpy()
    run = """(model, ids) => {
      let state = begin(model);
      return ids.map((id) => [...probabilities(model, state = step(model, state, id))]);
    }"""
    engine = Engine(packed(model))
    (p,) = engine(run, [[ids.tolist()]])
    expected = tf.nn.softmax(round_weights(model)(ids[None]))[0].numpy()
    np.testing.assert_allclose(p, expected, atol=1e-5, rtol=1e-4)
    # int8 changes p, and not by much.
    assert 1e-5 < np.abs(p - exact).max() < 0.03


def test_no_weight_is_forgotten():
    for name, options in MODELS.items():
        model = random_model(name if name in CELLS else "lstm", **options)
        sizes = [weight.size for weight in weights_of(model).values()]
        assert sum(sizes) == sum(np.prod(v.shape) for v in model.trainable_variables)


# Tokenizer


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"[\x{AD}\x00]", r"[\u{AD}\x00]"),
        (r"\S[^\s\"a]", r"[^\t\n\f\r ][^\t\n\f\r \"a]".replace(r"\"", '"')),
        (r"a(?i:s|[bk]\.)b", "a(?:[sSſ]|[bBkK\u212a]\\.)b"),
        (r"(?i:(?:é)c)(?s:.*)", "(?:(?:[éÉ])[cC])[^]*"),
    ],
)
def test_patterns_are_translated(pattern, expected):
    assert javascript(pattern) == expected


TEXTS = [text for text, _ in CASES] + SENTENCES


def graph_tokens(texts):
    rows = tokenize(tf.constant(texts))
    return [[token.decode() for token in row] for row in rows.to_list()]


def test_tokens_are_those_of_the_graph():
    engine = Engine(packed(random_model()))
    found = engine("(model, text) => split(model.rules, text)", [[text] for text in TEXTS])
    assert found == graph_tokens(TEXTS)


@pytest.mark.parametrize("choices", CHOICES)
def test_ids_are_those_of_the_graph(choices):
    words = "o cachorro Ele 14h30 <num> . etc. a água ÁGUA Água sr. Sr. , <s> 1".split()
    words = [w for w in words if choices["case"] == "keep" or w == w.lower()]
    vocabulary = vocabulary_of(*words, **choices)
    texts = [*TEXTS[::7], "O cachorro\nÁGUA <num> <s> 12 14h30 Sr.\n", "  \n a", ""]
    model = random_model(vocabulary=vocabulary)
    module = NextWord(model, vocabulary, suggestions=3)
    found = Engine(packed(model, vocabulary))(
        "(model, text) => [tokenize(model, text),"
        " lookup(model, split(model.rules, openParagraph(model.rules, text)))]",
        [[text] for text in texts],
    )
    tokenizer = module.reader.tokenizer
    assert [closed for _, closed in found] == tokenizer(tf.constant(texts)).to_list()
    opened = ["\n" + text.lstrip() for text in texts]
    assert [ids for ids, _ in found] == tokenizer.ids(tf.constant(opened)).to_list()


def test_all_letters_are_read_alike():
    # A character by itself, and after and before a letter. Those that a later version of Unicode
    # has, and not RE2's, may differ.
    characters = map(chr, [*range(0x250), *range(0x250, 0x3000, 7)])
    known = [c for c in characters if unicodedata.category(c) != "Cn"]
    texts = [f"{c} a{c} {c}b" for c in known]
    engine = Engine(packed(random_model()))
    found = engine("(model, text) => split(model.rules, text)", [[text] for text in texts])
    assert found == graph_tokens(texts)


def test_odd_texts_have_the_tokens_of_the_graph():
    texts = [*odd_texts(1500, seed=1)]
    found = Engine(packed(random_model()))(
        "(model, text) => split(model.rules, text)", [[text] for text in texts]
    )
    assert found == graph_tokens(texts)
