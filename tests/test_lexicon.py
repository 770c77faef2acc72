"""Words outside the vocabulary: which there are, how probable each is, and how it is completed."""

import itertools
import logging
import math
import sys
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import (
    SUBWORDS,
    VOCABULARY,
    ask,
    completions,
    random_model,
    vocabulary_of,
    write_training,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.evaluation.evaluator import Evaluator
from pipeline.evaluation.held_out import HeldOutText, read_text
from pipeline.export.config import ExportConfig
from pipeline.export.export import export
from pipeline.export.outside import OutsideWords
from pipeline.export.prefixes import read_prefix
from pipeline.export.saved_model import NextWord
from pipeline.text.lexicon import Lexicon
from pipeline.text.rare_words import load_rare
from pipeline.text.suggestible import MISSING_ACCENT, WHOLE
from pipeline.text.word_lists import read_list

RARE = "gato\tgato\t3\nlisboa\tLisboa\t1\n"


@pytest.fixture
def training(tmp_path):
    """A folder of a model that knows VOCABULARY, with two rare words."""
    (tmp_path / "rare.tsv").write_text(RARE, encoding="utf-8")
    return tmp_path


def write_list(folder, text, name="words.txt"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def shares(lexicon):
    return dict(zip(lexicon.words, lexicon.probabilities.tolist(), strict=True))


# What a lexicon is


def test_each_source_has_the_same_share(training):
    rare = Lexicon.load(training, VOCABULARY)
    assert shares(rare) == {"gato": 0.75, "Lisboa": 0.25}
    # água, which the vocabulary knows, takes no part; nor what is no word, or two.
    path = write_list(training, "água\t90\nLISBOA\t1\nlisboa\t5\nguaraná\t4\n12\t7\nvai!\t7\n")
    both = Lexicon.load(training, VOCABULARY, [path])
    expected = {"gato": 0.75 / 2, "Lisboa": (0.25 + 0.6) / 2, "guaraná": 0.4 / 2}
    assert shares(both) == pytest.approx(expected)
    assert [*both.words] == ["Lisboa", "gato", "guaraná"]  # the most frequent first
    assert both.numbers(["GATO", "lisboa", "água", "<unk>", "Guaraná"]).tolist() == [
        1,
        0,
        -1,
        -1,
        2,
    ]


def test_frequencies_are_of_all_words(training):
    counts = dict(zip(VOCABULARY.tokens, VOCABULARY.counts, strict=True))
    total = sum(counts.values())
    asked = ["Água", "gato", "guaraná", "o", "nada"]
    rare = Lexicon.load(training, VOCABULARY).frequencies_of(asked)
    np.testing.assert_allclose(rare, [counts["água"] / total, 3 / total, 0, counts["o"] / total, 0])
    path = write_list(training, "água\t6\nguaraná\t2\n")
    both = Lexicon.load(training, VOCABULARY, [path]).frequencies_of(asked)
    np.testing.assert_allclose(both, [6e-6, 3 / total, 2e-6, counts["o"] / total, 0])
    path = write_list(training, "água\t6000000\nguaraná\t2000000\n")
    large = Lexicon.load(training, VOCABULARY, [path]).frequencies_of(asked)
    np.testing.assert_allclose(large, [0.75, 3 / total, 0.25, counts["o"] / total, 0])


def test_without_rare_words_and_lists_it_is_empty(tmp_path):
    assert len(load_rare(tmp_path)) == 0
    lexicon = Lexicon.load(tmp_path, VOCABULARY)
    assert not lexicon
    assert lexicon.frequencies_of(["o"]) > 0
    assert not Lexicon.load(tmp_path, VOCABULARY, [write_list(tmp_path, "água\n")])


def test_the_case_is_that_of_the_vocabulary(training):
    kept = vocabulary_of("o", "gato", "Lisboa", case="keep")
    path = write_list(training, "Gato\nlisboa\nLisboa\ngato\n")
    assert {*Lexicon.load(training, kept, [path]).words} == {"Gato", "lisboa"}


def test_a_damaged_list_of_rare_words_is_refused(tmp_path):
    for text in ("gato\t1\n", "gato\tgato\tmuitos\n"):
        (tmp_path / "rare.tsv").write_text(text)
        with pytest.raises(InputError, match=r"rare\.tsv is not a list .* writes it again"):
            load_rare(tmp_path)


@pytest.mark.slow
def test_wordfreq_has_the_language(training):
    listed = read_list("wordfreq")
    frequencies = dict(zip(listed.words, listed.counts, strict=True))
    assert len(listed) > 100_000
    assert not {"xbox000", "s00", "00"} & {*listed.words}  # its numbers without digits
    assert frequencies["de"] > frequencies["casa"] > frequencies["inconstitucional"] > 0
    lexicon = Lexicon.load(training, VOCABULARY, ["wordfreq"])
    assert len(lexicon) == 100_000
    assert lexicon.probabilities.sum() == pytest.approx(1, rel=1e-4)
    assert (np.diff(lexicon.probabilities) <= 0).all()
    assert not {*VOCABULARY.tokens} & {*lexicon.words}
    assert {"gato", "Lisboa", "que", "açúcar"} <= {*lexicon.words}
    order = lexicon.frequencies_of(["o", "água", "guaraná"])
    assert (np.diff(order) < 0).all()
    assert order[0] == pytest.approx(frequencies["o"] / 1e9, rel=0.2)  # of words, without numbers


def test_without_wordfreq_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    with pytest.raises(InputError, match=r"pip install 'nextword-pt\[lexicon\]'"):
        read_list("wordfreq")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff", "No words can be read from"),
        (b"\x00\x00\n", "Line 1 of"),
        ("gato\nO gato bebeu leite.\n", "Line 2 of"),
        ("gato\tmuitos\n", "Line 1 of"),
        ("gato\t3\t4\n", "Line 1 of"),
        ("gato\t-3\n", "Line 1 of"),
        ("gato\tnan\n", "Line 1 of"),
        ("gato\tinf\n", "Line 1 of"),
        ("", "holds no word"),
        ("\n \n", "holds no word"),
        ("gato\t0\n", "holds no word"),
        ("12\n...\n", "holds no word"),
        ("a" * 1000, "holds no word"),
    ],
)
def test_what_is_no_list_is_refused_in_one_sentence(training, text, wrong):
    path = write_list(training, text)
    with pytest.raises(InputError, match=wrong) as raised:
        Lexicon.load(training, VOCABULARY, [path])
    assert path in str(raised.value)
    assert "name a" in str(raised.value)
    with pytest.raises(InputError, match="No words can be read"):
        Lexicon.load(training, VOCABULARY, [str(training)])


def test_what_is_left_out_of_a_list_is_said(training, caplog, monkeypatch):
    caplog.set_level(logging.WARNING)
    text = f"\ufeffgato\r\n{'a' * 1000}\r\nR$\r\n d’água \t2 \r\n"
    lexicon = Lexicon.load(training, VOCABULARY, [write_list(training, text)])
    assert {*lexicon.words} == {"gato", "Lisboa", "d'água"}
    assert "Skipped 1 of the 4 words" in caplog.text
    assert "more than 50 letters" in caplog.text
    assert "Skipped 1 of the 3 words" in caplog.text
    for module in ("lexicon", "word_lists"):
        monkeypatch.setattr(f"pipeline.text.{module}.MOST", 20)
    letters = ["".join(pair) for pair in itertools.product("bcdfg", repeat=2)]
    text = "".join(f"x{word}\t{n}\n" for n, word in enumerate(letters, start=1))
    lexicon = Lexicon.load(training, VOCABULARY, [write_list(training, text)])
    assert "has 25 words: the 20 most frequent are kept" in caplog.text
    assert len(lexicon) == 20
    assert lexicon.probabilities.sum() == pytest.approx(1)
    assert "xbb" not in lexicon.words
    assert "xgg" in lexicon.words


def test_subwords_take_no_lexicon(tmp_path):
    training = write_training(tmp_path, "gru", SUBWORDS)
    with pytest.raises(InputError, match="leave out --lexicon"):
        export(training, tmp_path, config=ExportConfig(3, lexicon=("wordfreq",)))
    assert not Lexicon.load(training, SUBWORDS)


# How its words are completed


def bare(word):
    letters = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def likelihood(typed, word):
    begins = word.lower()[: len(typed)]
    letters = zip(typed, begins, bare(begins), strict=False)
    if len(begins) < len(typed) or any(letter not in pair for letter, *pair in letters):
        return -1.0
    if begins != typed:
        return MISSING_ACCENT
    return WHOLE if begins == word.lower() else 1.0


def lexicon_of(counts):
    entries = {word.lower(): (count, word) for word, count in counts.items()}
    return Lexicon.of(VOCABULARY, entries)


# Words of few letters, so that many begin alike; and letters of other alphabets.
SPELLED = st.text("aáãbcç", min_size=1, max_size=14) | st.text("aañжЖ学", min_size=2, max_size=5)


@settings(deadline=None, max_examples=60)
@given(
    words=st.lists(
        SPELLED.filter(lambda w: w[0] != "-" and "--" not in w),
        min_size=1,
        max_size=40,
        unique=True,
    ),
    typed=st.lists(st.text("aáãbcçжñx", max_size=13), min_size=1, max_size=5),
    data=st.data(),
)
def test_the_best_that_fit_are_found(words, typed, data):
    words = [*{word.lower(): word for word in words}.values()]
    # A letter with and without its accent may make two words of one; few counts make ties.
    counts = data.draw(st.lists(st.integers(1, 4), min_size=len(words), max_size=len(words)))
    lexicon = lexicon_of(
        {w: c for w, c in zip(words, counts, strict=True) if w not in VOCABULARY.tokens}
    )
    if not lexicon:
        return
    typed += [word.lower()[: len(word) // 2 + 1] for word in words[:3]]
    count = min(4, len(lexicon))
    prefixes, _, _ = read_prefix(tf.constant(typed))
    places, scores = OutsideWords(lexicon).best(prefixes, tf.size(typed), count=count)
    for prefix, found, got in zip(typed, places.numpy(), scores.numpy(), strict=True):
        weights = [1.0 if not prefix else likelihood(prefix, word) for word in lexicon.words]
        fit = np.array(weights, np.float32)
        expected = np.where(fit < 0, -1, lexicon.probabilities * fit)
        best = np.sort(expected)[::-1][:count]
        np.testing.assert_allclose(got, best, rtol=1e-6)
        np.testing.assert_allclose(expected[found[got >= 0]], got[got >= 0], rtol=1e-6)
        assert len({*found[got >= 0].tolist()}) == np.count_nonzero(got >= 0)


@pytest.fixture(scope="module")
def outside():
    lexicon = lexicon_of({"Brasília": 8, "açaí": 6, "açafrão": 3, "acaso": 2, "brasas": 1})
    model = random_model("feedforward")
    return model, NextWord(model, VOCABULARY, suggestions=99, lexicon=lexicon), lexicon


def found(answer):
    words, p = (answer[name].numpy()[0] for name in ("words", "probabilities"))
    return {w.decode(): float(share) for w, share in zip(words, p, strict=True) if w}


def test_each_word_has_its_share_of_the_unknown(outside):
    model, module, lexicon = outside
    everything = found(module.suggest(tf.constant(["ela bebeu"])))
    assert [*everything.values()] == sorted(everything.values(), reverse=True)
    words = [word for word in VOCABULARY.displays if word.isalpha()]
    assert {*everything} == {*words, *lexicon.words}
    ids = tf.constant([[1, 11, 9]])  # <s> ela bebeu
    h, _ = model.hidden(ids)
    p = tf.nn.softmax(model.logits(model.features(h)))[0, -1].numpy()
    for word, f in shares(lexicon).items():
        assert everything[word] == pytest.approx(p[0] * f, rel=1e-4)
    for word in words:
        assert everything[word] == pytest.approx(p[VOCABULARY.displays.index(word)], rel=1e-4)
    # They and all tokens but <unk>, which they share, are all there is.
    assert sum(everything[word] for word in lexicon.words) + p[1:].sum() == pytest.approx(1)


def test_outside_words_are_completed_with_the_others(outside):
    _, module, lexicon = outside

    def complete(text, prefix):
        return found(completions(module, [text], [prefix]))

    assert [*complete("ela", "aca")] == ["acaso", "açaí", "açafrão"]  # 2 > 6 MISSING_ACCENT
    assert [*complete("ela", "aça")] == ["açaí", "açafrão"]
    assert {*complete("ela", "bras")} == {"brasas", "Brasília", "Brasil"}
    assert {*complete("ela.", "bras")} == {"Brasas", "Brasília", "Brasil"}
    assert {*complete("ela", "BRAS")} == {"BRASAS", "BRASÍLIA", "BRASIL"}
    assert [*complete("ela", "aças")] == []
    assert {*complete("ela", "")} == {*complete("ela", " ")} >= {*lexicon.words}
    # A row does not depend on the others.
    both = completions(module, ["ela", "ela", "o"], ["aca", "", "ж"])
    alone = [*complete("ela", "aca")]
    assert [w.decode() for w in both["words"].numpy()[0] if w] == alone
    assert not any(both["words"].numpy()[2])


def test_k_counts_the_words_of_both():
    small = lexicon_of({"gato": 1, "Gato-bravo": 1})
    module = NextWord(random_model("feedforward"), VOCABULARY, suggestions=99, lexicon=small)
    assert module.words.suggestions == 8 + 2
    # "rio" and "Rio" are one suggestion where a sentence begins, whoever knows which.
    kept = vocabulary_of(".", "ela", "Rio", case="keep")
    lexicon = Lexicon.of(kept, {"rio": (2, "rio"), "mar": (1, "mar")})
    model = random_model("feedforward", kept)
    module = NextWord(model, kept, suggestions=99, lexicon=lexicon)
    assert module.words.suggestions == 3
    assert {*found(module.suggest(tf.constant(["ela."])))} == {"Ela", "Rio", "Mar"}
    assert {*found(completions(module, ["ela"], ["r"]))} == {"rio", "Rio"}


def test_the_exported_model_has_the_lexicon(tmp_path):
    training = write_training(tmp_path / "training", "feedforward")
    (training / "rare.tsv").write_text(RARE, encoding="utf-8")
    mine = write_list(tmp_path, "guaraná\nGuarapari\n", "minhas.txt")
    export(training, tmp_path / "nextword", config=ExportConfig(9, lexicon=(mine,)))
    saved = tf.saved_model.load(str(tmp_path / "nextword"))
    answer = ask(saved, "complete", text=["ela"], prefix=["guar"])
    assert {w.decode() for w in answer["words"][0] if w} == {"guaraná", "Guarapari"}
    state = np.zeros((1, saved.signatures["step"].structured_input_signature[1]["state"].shape[1]))
    step = ask(saved, "step", text=["ela"], state=state.astype(np.float32))
    default = ask(saved, "serving_default", text=["ela"])
    assert step["words"].tolist() == default["words"].tolist()
    assets = tmp_path / "nextword" / "assets"
    lines = (assets / "lexicon.tsv").read_text(encoding="utf-8").splitlines()
    expected = ["gato\t0.375", "guaraná\t0.25", "Guarapari\t0.25", "Lisboa\t0.125"]
    assert sorted(lines) == sorted(expected)
    card = (assets / "model_card.md").read_text(encoding="utf-8")
    assert "- minhas.txt, a list of words for the lexicon: licence not known." in card
    assert "- 4 other words, each of which has its share of p(`<unk>`)" in card
    assert "neither its vocabulary nor its lexicon has" in card
    assert str(tmp_path) not in card


# How it is measured


def test_a_lexicon_is_measured(tmp_path):
    """A unigram model suggests «gato» before any key, «Gaio» after two, and «gaita» after three."""
    path = tmp_path / "texto.txt"
    path.write_text("Gato, Gaio, gaita 12 zebra", encoding="utf-8")
    # p(<unk>) = 0.3, and 0.01, 0.2, …
    counts = (299, 9, 199, 149, 139, 99, 99)
    vocabulary = replace(vocabulary_of(",", "e", "o", "a", "gás"), counts=counts)
    text = read_text(path, vocabulary, text_column="text")
    assert text.unknown == ["Gato", "Gaio", "gaita", "12", "zebra"]
    words = {"gato": 60, "gala": 20, "gaio": 9, "gaita": 2, "gaiola": 8}
    lexicon = Lexicon.of(vocabulary, {word: (count, word) for word, count in words.items()})
    evaluator = Evaluator([text], vocabulary, lexicon)
    evaluator.add_unigram()
    (got,) = (by_text["text"] for by_text in evaluator.predictions.values())
    assert got.targets.tolist() == [0, 2, 0, 2, 0, 0, 0]
    assert got.outside.tolist() == [True, False, True, False, True, False, False]
    # gato has 0.18, gás 0.1, gala 0.06. After "ga" they are gato, gala and gaio, 0.027, since gás,
    # of another accent, is 0.01; after "gai" gaio, gaiola and gaita.
    assert got.typed.tolist() == [0, -1, 2, -1, 3, -1, -1]
    assert got.word_rank[got.outside].tolist() == [0, 6, 8]
    metrics = evaluator.results({})[0]["text"]["unigram"]
    assert metrics["lexicon_coverage"] == pytest.approx(3 / 4)  # of four words, and a number
    assert metrics["top_1_words"] == pytest.approx(1 / 5)
    unaided = [4, 2, 4, 2, 6, 3, 5]
    assert sum(unaided) == len("Gato, Gaio, gaita 12 zebra")
    assert metrics["keystroke_savings"] == pytest.approx(1 - (1 + 2 + 3 + 2 + 4 + 3 + 5) / 26)
    # Of tokens nothing changes.
    nats = -5 * math.log(0.3) - 2 * math.log(0.2)
    assert metrics["perplexity"] == pytest.approx(math.exp(nats / 7), rel=1e-5)
    assert (metrics["oov_rate"], metrics["top_3"]) == pytest.approx((5 / 7, 2 / 7))


def test_without_a_lexicon_nothing_changes():
    stream = np.array([1, 4, 0, 5, 0], np.int32)
    text = HeldOutText.of("text", stream, np.ones_like(stream), np.array([1]), ["gato", "cão"])
    evaluator = Evaluator([text], VOCABULARY)
    evaluator.add_unigram()
    ((model, predictions),) = evaluator.predictions.items()
    assert not predictions["text"].outside.any()
    metrics, _ = evaluator.results({})
    assert "lexicon_coverage" not in metrics["text"][model.name]
