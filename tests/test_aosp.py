"""Dictionaries for Android's keyboards: the file, and what its numbers mean."""

import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import (
    SUBWORDS,
    VOCABULARY,
    nextword,
    random_model,
    save_training,
    sentence_of,
    vocabulary_of,
    write_training,
)

from pipeline import InputError
from pipeline.export.aosp import FILE, encode, export_aosp, first_step, make_dictionary
from pipeline.export.config import AospConfig
from pipeline.export.expected import Expected, Pairs, expect
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NeverSuggested
from pipeline.text.suggestible import suggestible

CONFIG = AospConfig()
# What follows what, each row p(next | token) after «<unk> <s> o cachorro bebeu água .».
LANGUAGE = vocabulary_of("o", "cachorro", "bebeu", "água", ".")
NEXT = np.array(
    [
        [0.10, 0.10, 0.50, 0.10, 0.10, 0.05, 0.05],
        [0.05, 0.05, 0.70, 0.05, 0.05, 0.05, 0.05],
        [0.04, 0.01, 0.01, 0.80, 0.01, 0.08, 0.05],
        [0.10, 0.02, 0.02, 0.02, 0.60, 0.04, 0.20],
        [0.10, 0.01, 0.19, 0.10, 0.10, 0.40, 0.10],
        [0.02, 0.08, 0.10, 0.05, 0.10, 0.05, 0.60],
        [0.05, 0.55, 0.20, 0.05, 0.05, 0.05, 0.05],
    ]
)
WORDS = suggestible(LANGUAGE)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A model writes little."""
    monkeypatch.setattr("pipeline.export.aosp._TEXTS", 4)
    monkeypatch.setattr("pipeline.export.aosp._LENGTH", 40)
    monkeypatch.setattr("pipeline.export.expected._CHUNK", 16)


def language_model():
    """A model that knows only the last token, and predicts the next as `NEXT` says."""
    size = len(LANGUAGE)
    model = random_model("feedforward", LANGUAGE, embedding=size, units=size, context=1, tied=False)
    (dense,) = (layer for layer in model.readout if hasattr(layer, "kernel"))
    model.embed.embeddings.assign(np.eye(size))
    dense.kernel.assign(20 * np.eye(size))  # tanh 20 = 1
    dense.bias.assign(np.zeros(size))
    model.output_weights.assign(np.log(NEXT).T)
    model.output_bias.assign(np.zeros(size))
    return model


def read(text):
    """Read a file as dicttool's CombinedInputOutput does; any other line is an error."""
    header, *lines, end = text.split("\n")
    assert end == ""
    assert re.fullmatch(r"dictionary=[^:]+(:[^=]+=[^:]+)*", header)
    assert all(len(field.split("=")) == 2 for field in header.split(","))
    words, bigrams = {}, {}
    for line in lines:
        indent, (kind, name), (letter, f) = (
            len(line) - len(line.lstrip()),
            *(field.split("=", 1) for field in line.strip().split(",")),
        )
        assert letter == "f"
        if kind == "word":
            assert indent == 1
            assert name not in words
            word, words[name] = name, int(f)
        else:
            assert (indent, kind) == (2, "bigram")
            assert (word, name) not in bigrams
            bigrams[word, name] = int(f)
    return words, bigrams


def text_of(dictionary):
    return "".join(f"{line}\n" for line in dictionary.lines(date=0))


def expected_of(vocabulary, counts, pairs=()):
    """Counts by hand; after each token, a word is expected as often as the token is."""
    ids = {token: i for i, token in enumerate(vocabulary.tokens)}
    first, second, times = zip(*pairs, strict=True) if pairs else ((), (), ())
    return Expected(
        np.array(counts, float),
        np.array(counts, float),
        Pairs(
            np.array([ids[w] for w in first], int),
            np.array([ids[w] for w in second], int),
            np.array(times, float),
        ),
    )


def test_f_is_a_probability_on_the_scale_of_latinime():
    # 255 + 8.589 log₂ p: a half is 246.4, a thousandth 169.4.
    assert encode(np.array([1, 0.5, 0.001, 1e-30, 0])).tolist() == [255, 246, 169, 1, 1]
    p = np.sort(np.random.default_rng(1).random(1000) ** 9)
    assert (np.diff(encode(p)) >= 0).all()


def test_dicttool_can_store_a_pair_from_its_first_step_on():
    f = np.arange(1, 255)
    for pair in (np.ceil(first_step(f)), np.ceil(first_step(f)) - 1):
        # BinaryDictEncoderUtils.makeBigramFlags, before it raises what is negative to 0.
        step = (255 - f) / 16.5
        steps = (pair - (1 + f + step / 2)) / step
        assert ((steps >= 0) == (pair >= first_step(f))).all()
        assert (steps < 1 + 1 / step).all()


def test_what_a_model_expects_after_each_word_is_what_it_predicts():
    expected = expect(language_model(), WORDS, texts=20, length=200)
    assert expected.counts.sum() == pytest.approx(20 * 200, rel=1e-5)
    mass = NEXT[:, WORDS].sum(axis=1) + NEXT[:, 0]
    times = expected.after / mass  # how often each token was written
    assert times.sum() == pytest.approx(20 * 200, rel=1e-5)
    np.testing.assert_allclose(times, np.round(times), atol=0.01)
    np.testing.assert_allclose(times @ NEXT, expected.counts, rtol=1e-4)
    pairs = {(v, w): n for v, w, n in zip(*expected.pairs, strict=True)}
    assert set(pairs) == {(v, w) for v in np.flatnonzero(WORDS) for w in np.flatnonzero(WORDS)}
    for (v, w), count in pairs.items():
        assert count == pytest.approx(times[v] * NEXT[v, w], rel=1e-4)
    # The text is the model's own: the chain comes to rest where NEXT leaves it.
    rest = np.linalg.matrix_power(NEXT, 100)[0]
    np.testing.assert_allclose(times / times.sum(), rest, atol=0.02)


def test_pairs_have_the_probability_of_the_second_word_if_a_word_follows():
    dictionary = make_dictionary(
        expect(language_model(), WORDS, texts=20, length=50), Lexicon.of(LANGUAGE), CONFIG
    )
    words, bigrams = read(text_of(dictionary))
    assert [*words.values()] == sorted(words.values(), reverse=True)
    assert set(words) == {"o", "cachorro", "bebeu", "água"}
    # p(cachorro | o) = 0.8 / (1 − 0.01 of <s> − 0.05 of the full stop)
    assert bigrams["o", "cachorro"] == encode(np.array(0.8 / 0.94))
    assert bigrams["cachorro", "bebeu"] == encode(np.array(0.6 / 0.78))
    assert ("o", "bebeu") not in bigrams  # less probable than anywhere
    for (_, second), f in bigrams.items():
        assert first_step(words[second]) <= f <= 255


def test_only_plain_words_are_listed_and_as_people_write_them():
    words = ("brasil", "d'água", "guarda-chuva", "1.º", "b,c", "b=c", "at&t", "sr.", "p/", "a" * 48)
    vocabulary = vocabulary_of(*words, displays={"brasil": "Brasil", "sr.": "Sr."})
    counts = [0, 0, *range(20, 20 - len(words), -1)]
    pairs = [("brasil", word, 9) for word in words] + [(word, "d'água", 9) for word in words]
    expected = expected_of(vocabulary, counts, pairs)
    found, bigrams = read(text_of(make_dictionary(expected, Lexicon.of(vocabulary), CONFIG)))
    assert [*found] == ["Brasil", "d'água", "guarda-chuva"]
    assert set(bigrams) <= {(v, w) for v in found for w in found}


def test_words_outside_the_vocabulary_share_the_probability_of_unknown_words():
    vocabulary = replace(vocabulary_of("casa"), counts=(4, 0, 6))
    lexicon = Lexicon.of(vocabulary, {"açaí": (3.0, "açaí"), "tupã": (1.0, "Tupã")})
    expected = expected_of(vocabulary, [40, 0, 60])
    words, _ = read(text_of(make_dictionary(expected, lexicon, CONFIG)))
    shares = {"casa": 0.6, "açaí": 0.3, "Tupã": 0.1}
    assert words == {word: encode(np.array(p)) for word, p in shares.items()}


def test_tokens_that_are_shown_alike_are_one_word():
    vocabulary = vocabulary_of("Ela", "ela", "bebe", displays={"Ela": "ela"}, case="keep")
    pairs = [("Ela", "bebe", 6), ("ela", "bebe", 3), ("bebe", "ela", 1)]
    vocabulary = replace(vocabulary, counts=(0, 0, 10, 10, 180))
    expected = expected_of(vocabulary, [0, 0, 10, 10, 180], pairs)
    words, bigrams = read(text_of(make_dictionary(expected, Lexicon.of(vocabulary), CONFIG)))
    # A quarter of what the model expects of both tokens, and three of a token's frequency.
    p = {"bebe": 0.9, "ela": 0.25 * 0.1 + 0.75 * 0.05}
    assert words == {word: encode(np.array(value)) for word, value in p.items()}
    assert bigrams == {}  # 9 of 20 is less than 0.9
    vocabulary = replace(vocabulary, counts=(150, 0, 10, 10, 30))
    expected = expected_of(vocabulary, [150, 0, 10, 10, 30], pairs)
    words, bigrams = read(text_of(make_dictionary(expected, Lexicon.of(vocabulary), CONFIG)))
    assert bigrams == {("ela", "bebe"): encode(np.array(9 / 20))}


def test_the_most_probable_words_and_pairs_are_kept():
    expected = expect(language_model(), WORDS, texts=20, length=50)
    whole = make_dictionary(expected, Lexicon.of(LANGUAGE), CONFIG)
    words, bigrams = read(text_of(whole))
    strongest = {("o", "cachorro"), ("cachorro", "bebeu")}
    config = replace(CONFIG, bigrams=2)
    few = read(text_of(make_dictionary(expected, Lexicon.of(LANGUAGE), config)))
    assert few == (words, {pair: bigrams[pair] for pair in strongest})
    config = replace(CONFIG, words=2)
    small, _ = read(text_of(make_dictionary(expected, Lexicon.of(LANGUAGE), config)))
    assert [*small.items()] == [*words.items()][:2]


def test_words_that_must_not_be_suggested_are_left_out(tmp_path):
    (tmp_path / "never.txt").write_text("água\ncach*\n", "utf-8")
    never = NeverSuggested.load(tmp_path / "never.txt")
    expected = expect(language_model(), WORDS, texts=20, length=50)
    words, bigrams = read(text_of(make_dictionary(expected, Lexicon.of(LANGUAGE), CONFIG, never)))
    assert set(words) == {"o", "bebeu"}
    assert set(bigrams) <= {("o", "bebeu"), ("bebeu", "o")}


def test_the_same_model_gives_the_same_bytes(tmp_path):
    training = write_training(tmp_path / "training", "lstm")
    (tmp_path / "words.txt").write_text("guaraná\t3\nÁgua\t9\naçaí\t1\n", "utf-8")
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        export_aosp(training, tmp_path / name, config=CONFIG, lexicon=[str(tmp_path / "words.txt")])
        files.append((tmp_path / name / FILE).read_bytes())
    assert files[0] == files[1]
    words, bigrams = read(files[0].decode())
    assert {*words} == {*"o a água Brasil cachorro bebeu e ela guaraná açaí".split()}
    assert bigrams
    assert all(1 <= f <= 255 for f in [*words.values(), *bigrams.values()])
    assert {word for pair in bigrams for word in pair} <= {*words}


def test_a_model_of_subwords_is_refused(tmp_path):
    training = save_training(tmp_path / "training", random_model(vocabulary=SUBWORDS), SUBWORDS)
    with pytest.raises(InputError, match="subwords"):
        export_aosp(training, tmp_path, config=CONFIG)


def test_a_vocabulary_without_words_is_refused(tmp_path):
    marks = vocabulary_of(".", ",")
    training = save_training(tmp_path / "training", random_model(vocabulary=marks), marks)
    with pytest.raises(InputError, match="no word"):
        export_aosp(training, tmp_path, config=CONFIG)


def test_the_command_writes_a_dictionary(tmp_path, store):
    training = write_training(tmp_path / "training", vocabulary=VOCABULARY)
    (tmp_path / "never.txt").write_text("ela\n", "utf-8")
    command = ["export", "--format", "aosp", "--training", training, "--output", tmp_path / "aosp"]
    done = nextword(*command, "--never-suggest", tmp_path / "never.txt", "--words", 5)
    assert done.exit_code == 0, done.output
    words, _ = read((tmp_path / "aosp" / FILE).read_text("utf-8"))
    assert len(words) == 5
    assert "ela" not in words
    nowhere = tmp_path / "no"
    assert str(nowhere) in sentence_of(nextword(*command, "--never-suggest", nowhere))
