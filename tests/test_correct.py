"""What was meant by a typed word: `correct` of an exported model."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import SUBWORDS, VOCABULARY, ask, random_model, write_export
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.export import correct as module_of_correct
from pipeline.export.meant_words import WEIGHTS
from pipeline.export.pronouns import VerbsWithPronouns
from pipeline.export.saved_model import NextWord
from pipeline.text.channel import COSTS, Channel, encode
from pipeline.text.lexicon import Lexicon

LISTED = {"cachorra": 4, "cachorros": 3, "José": 2, "beber": 2, "bebê": 1}
MODEL = random_model("lstm", scale=0.5)


def entries(counts):
    return {word.lower(): (count, word) for word, count in counts.items()}


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon.of(VOCABULARY, {}, [entries(LISTED)])


@pytest.fixture(scope="module")
def correct(lexicon):
    return NextWord(MODEL, VOCABULARY, suggestions=4, lexicon=lexicon).correct_function()


@pytest.fixture(scope="module")
def sure():
    """Corrections by a model with a list long enough to be sure."""
    many = {"".join(letters): 1 for letters in itertools.islice(
        itertools.product("bdfgjklmnpqrtvxz", repeat=5), module_of_correct.ENOUGH)}  # fmt: skip
    everything = Lexicon.of(
        VOCABULARY, {}, [entries({**many, "cachorra": 40_000, "José": 9000, "beber": 9000})]
    )
    return NextWord(MODEL, VOCABULARY, suggestions=4, lexicon=everything).correct_function()


def answer(correct, text, word):
    got = {k: v.numpy()[0] for k, v in correct(tf.constant([text]), tf.constant([word])).items()}
    words = [w.decode() for w in got["words"]]
    p = dict(zip(words, got["probabilities"].tolist(), strict=True))
    return words, p, bool(got["sure"])


def test_probabilities_by_the_formula(correct, lexicon):
    h, _ = MODEL.hidden(tf.constant([[1, 11, 9]]))  # <s> ela bebeu
    logits = tf.nn.log_softmax(MODEL.logits(MODEL.features(h)))[0, -1].numpy()
    known = [word for word in VOCABULARY.displays if word.isalpha()]
    scores = {}
    channel = Channel.of(COSTS)
    for word in [*known, *lexicon.words]:
        lowered = word.lower()
        if word in known:
            context = logits[VOCABULARY.displays.index(word)]
        else:
            share = lexicon.probabilities[lexicon.words.index(word)]
            context = logits[0] + math.log(share)
        typed, meant = (encode(tf.constant([w])).to_tensor() for w in ("cachoro", lowered))
        cost = float(channel.costs(typed, meant)[0, -1])
        frequency = max(lexicon.frequencies_of([word])[0], 1e-9)
        scores[word] = WEIGHTS.context * context + WEIGHTS.frequency * math.log(frequency) - cost
    near = {w: s for w, s in scores.items() if w in ("cachorro", "cachorra", "cachorros")}
    near["cachoro"] = WEIGHTS.context * logits[0] + WEIGHTS.unlisted + WEIGHTS.right
    total = sum(map(math.exp, near.values()))
    words, p, _ = answer(correct, "ela bebeu", "cachoro")
    assert words == sorted(near, key=lambda word: -near[word])
    for word, score in near.items():
        assert p[word] == pytest.approx(math.exp(score) / total, rel=1e-3)


def test_a_list_of_known_words_alone_tells_how_frequent_they_are():
    known = Lexicon.of(VOCABULARY, {}, [entries({"cachorro": 9_000_000, "água": 1000})])
    assert len(known) == 0  # no other word
    words = NextWord(MODEL, VOCABULARY, suggestions=4, lexicon=known).corrector.words
    displays = [word.decode() for word in words.displays.numpy()]
    ln = dict(zip(displays, words.frequencies.numpy(), strict=True))
    assert ln["cachorro"] - ln["água"] == pytest.approx(math.log(9000), rel=1e-4)


def test_what_is_typed_is_always_among_the_words(sure):
    for word in ("cachoro", "cachorro", "José", "jose", "água", "agua", "ela"):
        words, p, _ = answer(sure, "o", word)
        assert word in words
        assert [*p.values()] == sorted(p.values(), reverse=True)
        assert sum(p.values()) < 1.0001


def test_a_verb_with_its_accent_drives_out_another_word_and_not_what_is_typed():
    lexicon = Lexicon.of(VOCABULARY, {}, [entries({"beber": 900, "bebela": 90_000})])
    correct = NextWord(MODEL, VOCABULARY, suggestions=2, lexicon=lexicon).correct_function()
    assert {*answer(correct, "ela", "bebe-la")[0]} > {"bebe-la"}


def test_a_correction_has_the_capital_of_what_is_typed(sure):
    assert answer(sure, "o", "cachoro")[0][0] in ("cachorro", "cachorra")
    assert answer(sure, "", "Cachoro")[0][0] in ("Cachorro", "Cachorra")
    assert answer(sure, "o", "jose")[0][:2] == ["José", "jose"]


def test_verbs_get_their_accent_before_a_pronoun(sure):
    # Of «beber», which the list has; of «comer» it knows nothing.
    words, _, is_sure = answer(sure, "ela", "bebe-la")
    assert (words[0], is_sure) == ("bebê-la", True)
    assert answer(sure, "ela", "Bebe-lo")[0][0] == "Bebê-lo"
    assert "comê-la" not in answer(sure, "ela", "come-la")[0]
    for right in ("bebê-la", "bebe-me", "bebi-la"):
        assert answer(sure, "ela", right)[0][0] == right


@pytest.mark.parametrize(
    ("typed", "meant", "verb"),
    [
        ("compra-la", "comprá-la", "comprar"),
        ("comprá-las", "comprá-las", "comprar"),
        ("faze-lo", "fazê-lo", "fazer"),
        ("repô-los", "repô-los", "repor"),
        ("abri-la", "abri-la", "abrir"),
        ("segui-lo", "segui-lo", "seguir"),
        ("distribui-lo", "distribuí-lo", "distribuir"),
        ("atraí-la", "atraí-la", "atrair"),
        ("casou-se", "casou-se", "casou"),
        ("entregou-lhes", "entregou-lhes", "entregou"),
        ("fizeram-no", "fizeram-no", "fizeram"),
        ("vamo-nos", "vamo-nos", "vamos"),
        ("casou", "casou", None),
        ("guarda-chuva", "guarda-chuva", None),
        ("dise-me", "dise-me", None),
        ("-se", "-se", None),
    ],
)
def test_a_verb_is_found_before_its_pronoun(typed, meant, verb):
    known = ("casou comprar fazer repor abrir seguir distribuir atrair entregou fizeram vamos"
             " guarda").split()  # fmt: skip
    got = VerbsWithPronouns(tf.constant(known))(tf.constant([typed]))
    assert got.meant.numpy()[0].decode() == meant
    assert got.place.numpy()[0] == (known.index(verb) if verb else -1)


def test_a_right_verb_with_a_pronoun_is_left_alone():
    listed = {"casou": 900, "calçou-se": 900, "comprar": 900, "comprá-las": 900}
    without = {word: count for word, count in listed.items() if "-" in word}
    for words, is_first in ((listed, True), (without, False)):
        lexicon = Lexicon.of(VOCABULARY, {}, [entries(words)])
        correct = NextWord(MODEL, VOCABULARY, suggestions=4, lexicon=lexicon).correct_function()
        for right in ("casou-se", "comprá-la"):
            assert (answer(correct, "ela", right)[0][0] == right) == is_first


def test_sure_needs_enough_words(sure, correct):
    assert answer(sure, "o", "cachoro")[2]
    assert not answer(correct, "o", "cachoro")[2]
    assert not answer(sure, "o", "cachorro")[2]  # right words are not altered


def test_a_capital_inside_a_sentence_speaks_for_a_name(sure):
    first, inside = (answer(sure, text, "Cachoro")[1]["Cachoro"] for text in ("", "o"))
    assert inside > 5 * first


@pytest.mark.parametrize(
    "word",
    [" ", "NASA", "CACHORO", "cachoro2", "h2o", "😀", "a\0b", "x" * 1000, "é o", "<unk>", "12,5",
     "a@b.com", "www.cachoro.com.br", "#cachoro", "...", "\u0301"],
)  # fmt: skip
def test_what_is_no_plain_word_is_left_alone(sure, word):
    words, p, is_sure = answer(sure, "o cachorro", word)
    assert words == [word, "", "", ""]
    assert p[word] == pytest.approx(1)
    assert not is_sure


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), min_size=1, max_size=4))
def test_any_bytes_have_an_answer(correct, rows):
    texts, words = zip(*rows, strict=True)
    got = correct(tf.constant(texts), tf.constant(words))
    for row, word in enumerate(words):
        returned = [w.decode() for w in got["words"].numpy()[row]]
        assert word.decode(errors="replace") in returned or b"\0" in word or not word.isascii()
    assert np.isfinite(got["probabilities"]).all()


def test_rows_do_not_depend_on_each_other(sure):
    texts, words = ["o", "", "ela bebeu", "o"], ["cachoro", "😀", "aguaa", "Cachorrs"]
    together = sure(tf.constant(texts), tf.constant(words))
    for row, (text, word) in enumerate(zip(texts, words, strict=True)):
        alone = sure(tf.constant([text]), tf.constant([word]))
        for name, value in alone.items():
            if name == "probabilities":
                np.testing.assert_allclose(together[name][row], value[0], rtol=1e-4, atol=1e-6)
            else:
                assert together[name].numpy()[row].tolist() == value.numpy()[0].tolist()


def test_no_text_has_no_answer(correct):
    got = correct(tf.constant([], tf.string), tf.constant([], tf.string))
    assert [tuple(value.shape) for value in got.values()] == [(0, 4), (0, 4), (0,)]


def test_the_exported_signature(tmp_path):
    saved = tf.saved_model.load(str(write_export(tmp_path, suggestions=3)))
    got = ask(saved, "correct", text=["o"], word=["cachoro"])
    assert {w.decode() for w in got["words"][0]} >= {"cachorro", "cachoro"}
    assert got["sure"].tolist() == [False]
    subwords = NextWord(random_model(vocabulary=SUBWORDS), SUBWORDS, suggestions=3)
    assert "correct" not in subwords.signatures()


def test_case_is_kept_where_the_vocabulary_keeps_it():
    kept = replace(VOCABULARY, case="keep", tokens=(*VOCABULARY.tokens[:-1], "O"),
                   displays=(*VOCABULARY.displays[:-1], "O"))  # fmt: skip
    module = NextWord(random_model(vocabulary=kept), kept, suggestions=9)
    words, p, _ = answer(module.correct_function(), "", "O")
    assert words.count("O") == 1
    assert p["O"] > 0
