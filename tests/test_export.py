"""The SavedModel against the Keras model it was made from, and against any text."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import (
    CELLS,
    PIECES,
    SUBWORDS,
    TOKENS,
    VOCABULARY,
    ask,
    random_model,
    write_export,
    write_training,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.export import beam
from pipeline.export.config import ExportConfig
from pipeline.export.export import export
from pipeline.export.litert import export_litert
from pipeline.export.saved_model import NextWord
from pipeline.model.checkpoint import writing
from pipeline.model.language_model import load_model
from pipeline.predict import load, suggest
from pipeline.text.tokenizer import Tokenizer, is_word
from pipeline.text.vocabulary import MARK

TEXTS = ["", "o cachorro bebeu", "Ela bebeu água e o cachorro", "O xadrez, Brasil. E\nEla"]
K = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Models of all cells, each exported once and loaded."""

    @functools.cache
    def made(cell, unit="word"):
        vocabulary, suggestions = {"word": (VOCABULARY, K), "subword": (SUBWORDS, 3)}[unit]
        folder = tmp_path_factory.mktemp(cell)
        saved = load(write_export(folder, cell, vocabulary, suggestions=suggestions))
        return saved, load_model(folder / "training")

    return made


# The quick tests export a GRU too: of pieces.
SLOW = [pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS[1:3]]


@pytest.fixture(scope="module", params=["lstm", *SLOW, "feedforward"])
def exported(request, made):
    return made(request.param)


def probabilities(keras_model, text):
    """p of each token after each token of a text by the Keras model: (T, V)."""
    ids = Tokenizer(VOCABULARY)(tf.constant([text])).to_tensor()
    h, _ = keras_model.hidden(ids)
    return tf.nn.softmax(keras_model.logits(keras_model.features(h)))[0].numpy()


def test_suggestions_equal_the_keras_model(exported):
    saved, keras_model = exported
    answer = ask(saved, "serving_default", text=TEXTS)
    assert answer["words"].shape == answer["probabilities"].shape == (len(TEXTS), K)
    words = [i for i, token in enumerate(TOKENS) if token.isalpha()]
    for text, shown, p in zip(TEXTS, answer["words"], answer["probabilities"], strict=True):
        expected = probabilities(keras_model, text)[-1]
        best = sorted(words, key=lambda i: -expected[i])[:K]
        assert [w.decode().lower() for w in shown] == [TOKENS[i] for i in best]
        np.testing.assert_allclose(p, expected[best], rtol=1e-4)


def test_names_are_displayed_as_people_write_them(exported):
    saved, _ = exported
    texts = [*TEXTS[1:], "o", "a", "e", "ela", "água"]
    shown = {word for row in suggest(saved, texts) for word, _ in row}
    assert "brasil" not in shown
    assert shown <= {"o", "a", "água", "Brasil", "cachorro", "bebeu", "e", "ela"}


def test_word_by_word_equals_the_whole_text(exported):
    saved, _ = exported
    step = saved.signatures["step"]
    text = "Ela bebeu água e o cachorro, Brasil"
    whole = ask(saved, "serving_default", text=[text])
    size = step.structured_input_signature[1]["state"].shape[1]
    answer = {"state": tf.zeros((1, size))}
    for word in text.split():
        answer = step(text=tf.constant([word]), state=answer["state"])
    np.testing.assert_array_equal(answer["words"], whole["words"])
    np.testing.assert_allclose(answer["probabilities"], whole["probabilities"], rtol=1e-4)
    # Reading nothing changes nothing.
    again = step(text=tf.constant([""]), state=answer["state"])
    np.testing.assert_array_equal(again["state"], answer["state"])
    # Texts of a batch are independent: one continues, one begins.
    state = tf.concat([answer["state"], tf.zeros((1, size))], axis=0)
    both = step(text=tf.constant(["e ela", text]), state=state)
    np.testing.assert_allclose(both["probabilities"][1], whole["probabilities"][0], rtol=1e-4)
    expected = ask(saved, "serving_default", text=[text + " e ela"])
    np.testing.assert_allclose(both["probabilities"][0], expected["probabilities"][0], rtol=1e-4)


def test_score_is_the_log_probability_of_the_text(exported):
    saved, keras_model = exported
    answer = ask(saved, "score", text=TEXTS)
    for text, log_p, count in zip(TEXTS, answer["log_probability"], answer["tokens"], strict=True):
        ids = Tokenizer(VOCABULARY)(tf.constant([text]))[0].numpy()
        p = probabilities(keras_model, text)
        expected = sum(np.log(p[t, ids[t + 1]]) for t in range(len(ids) - 1))
        assert int(count) == len(ids) - 1
        assert float(log_p) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_long_text_is_scored_in_pieces(exported):
    saved, _ = exported
    sentence = "o cachorro bebeu água . "
    text = sentence * 300  # 1500 tokens: three pieces
    answer = ask(saved, "score", text=[text, ""])
    assert answer["tokens"].tolist() == [1500, 0]
    assert float(answer["log_probability"][1]) == 0
    assert np.isfinite(answer["log_probability"][0])


@pytest.mark.parametrize(
    "text",
    [
        "zzz qqq",
        "😀👍🏽",
        "á" * 100_000,
        "o cachorro " * 1_000,
        "o\x00a",
        "\x02",
        "\n\n",
        "<unk> <s>",
    ],
    ids=["unknown", "emoji", "long-word", "long-text", "nul", "control", "lines", "special"],
)
def test_any_prompt_gets_words_and_finite_probabilities(exported, text):
    saved, _ = exported
    (row,) = suggest(saved, [text])
    assert len(row) == K
    assert all(word and np.isfinite(p) and 0 <= p <= 1 for word, p in row)


@settings(deadline=None, max_examples=30)
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_any_texts_get_words(texts, some_model):
    for row in suggest(some_model, texts):
        assert len({word for word, _ in row}) == K
        assert all(np.isfinite(p) for _, p in row)


@pytest.fixture(scope="module")
def some_model(made):
    return made("lstm")[0]


def test_invalid_utf8_gets_words(some_model):
    answer = ask(some_model, "serving_default", text=[b"\xff\xfe o \x80", b"o"])
    assert np.isfinite(answer["probabilities"]).all()


@pytest.fixture(scope="module")
def of_pieces(made):
    return made("gru", "subword")


@functools.cache
def words_of_pieces(most: int) -> list[tuple[str, list[int]]]:
    """Every word of at most `most` pieces, with its pieces."""
    letters = [i for i, p in enumerate(SUBWORDS.tokens) if p in PIECES]
    closes = SUBWORDS.closes()
    paths = [[i] for i in letters if SUBWORDS.displays[i]]
    ended = []
    for _ in range(most):
        ended += [path for path in paths if closes[path[-1]]]
        paths = [[*path, i] for path in paths if not closes[path[-1]] for i in letters]
    spelled = ["".join(SUBWORDS.tokens[i] for i in path)[:-1] for path in ended]
    cut = Tokenizer(SUBWORDS).segment(tf.constant(spelled)).to_list()
    sound = is_word(tf.constant(spelled)).numpy()
    return [(w, p) for w, p, c, s in zip(spelled, ended, cut, sound, strict=True) if p == c and s]


def spelled_words(keras_model, text: str) -> dict[str, float]:
    """Every word of at most `_MAX_PIECES` pieces with its probability after a text."""
    before = Tokenizer(SUBWORDS)(tf.constant([text]))[0].numpy().tolist()
    spelled = words_of_pieces(beam._MAX_PIECES)
    ids = tf.ragged.constant([before + path for _, path in spelled]).to_tensor()
    h, _ = keras_model.hidden(ids[:, :-1])
    log_p = tf.nn.log_softmax(keras_model.logits(keras_model.features(h))).numpy()
    words = {}
    for row, (word, path) in enumerate(spelled):
        places = range(len(before) - 1, len(before) - 1 + len(path))
        log_share = sum(log_p[row, t, i] for t, i in zip(places, path, strict=True))
        words[word] = float(np.exp(log_share))
    return words


@pytest.mark.slow
def test_words_of_several_pieces_have_their_probability(of_pieces):
    saved, keras_model = of_pieces
    texts = ["", "casa", "A casa. Brasileiro", "o bar 😀"]
    several = False
    for text, row in zip(texts, suggest(saved, texts), strict=True):
        words = spelled_words(keras_model, text)
        assert len({word for word, _ in row}) == 3
        assert [p for _, p in row] == sorted((p for _, p in row), reverse=True)
        for word, p in row:
            assert p == pytest.approx(words[word.lower()], rel=1e-3)
        several |= any(word + MARK not in PIECES for word, _ in row)
    assert several


def test_a_wide_beam_misses_no_word(of_pieces, monkeypatch):
    monkeypatch.setattr(beam, "_WIDTH", 100)
    monkeypatch.setattr(beam, "_MAX_PIECES", 3)
    _, keras_model = of_pieces
    wide = NextWord(keras_model, SUBWORDS, suggestions=3)
    for text in ("", "casa do Brasil"):
        words = spelled_words(keras_model, text)
        answer = wide.suggest(tf.constant([text]))
        best = sorted(words, key=lambda word: -words[word])[:3]  # all in lower case
        assert [word.decode().lower() for word in answer["words"][0].numpy()] == best
        np.testing.assert_allclose(
            answer["probabilities"][0], [words[word] for word in best], rtol=1e-3
        )


def test_subwords_keep_the_contract_of_the_signatures(of_pieces):
    saved, keras_model = of_pieces
    text = "Brasileiro: 😀 casa.\nCasas"
    answer = ask(saved, "score", text=[text, ""])
    assert answer["tokens"].tolist() == [7, 0]  # Brasileiro : 😀 casa . ¶ Casas
    ids = Tokenizer(SUBWORDS)(tf.constant([text])).numpy()
    assert 0 not in ids
    h, _ = keras_model.hidden(ids)
    log_p = tf.nn.log_softmax(keras_model.logits(keras_model.features(h)))[0].numpy()
    expected = sum(log_p[t, i] for t, i in enumerate(ids[0, 1:]))
    assert float(answer["log_probability"][0]) == pytest.approx(float(expected), rel=1e-4)

    step = saved.signatures["step"]
    state = tf.zeros((1, step.structured_input_signature[1]["state"].shape[1]))
    for word in text.replace("\n", " \n").split(" "):
        after = step(text=tf.constant([word]), state=state)
        state = after["state"]
    whole = ask(saved, "serving_default", text=[text])
    assert after["words"].numpy().tolist() == whole["words"].tolist()
    np.testing.assert_allclose(after["probabilities"], whole["probabilities"], rtol=1e-4)


@settings(deadline=None, max_examples=20)
@given(texts=st.lists(st.text(max_size=20), min_size=1, max_size=3))
def test_any_texts_get_words_of_pieces(texts, of_pieces):
    for row in suggest(of_pieces[0], texts):
        assert len({word for word, _ in row}) == 3
        assert all(np.isfinite(p) and 0 <= p <= 1 for _, p in row)


def test_k_is_at_most_the_number_of_words():
    module = NextWord(random_model("gru"), VOCABULARY, suggestions=99)
    assert module.words.suggestions == 8


def test_loading_something_else_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nextword export"):
        load(tmp_path)
    with pytest.raises(InputError, match="No trained model"):
        export(tmp_path, tmp_path, config=ExportConfig(3))

    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((), tf.float32)])
        def double(self, x):
            return {"twice": 2 * x}

    other = Other()
    tf.saved_model.save(other, str(tmp_path / "other"), signatures=other.double)
    with pytest.raises(ValueError, match="does not suggest words"):
        load(tmp_path / "other")


@pytest.mark.slow
def test_what_is_written_for_a_while_lies_in_the_output(tmp_path, monkeypatch):
    """The next run deletes what a killed one leaves there; elsewhere nobody would."""
    places = []

    class Noted(tempfile.TemporaryDirectory):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            places.append(Path(self.name).parent)

    training = write_training(tmp_path / "training", "feedforward")
    monkeypatch.setattr(tempfile, "TemporaryDirectory", Noted)
    for name in ("nextword", "litert"):
        (tmp_path / name).mkdir()
    export(training, tmp_path / "nextword", config=ExportConfig())
    export_litert(training=training, output=tmp_path / "litert")
    assert places == [tmp_path / name for name in ("nextword", "litert", "litert")]
    assert not list(tmp_path.glob("*/tmp*"))


def test_a_full_disk_is_told_in_one_sentence(tmp_path):
    """A limit on the size of files stands for it, as in test_resume.py."""
    resource = pytest.importorskip("resource")
    module = tf.Module()
    module.weights = tf.Variable(tf.zeros(1_000))
    module.all = tf.function(lambda: module.weights)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with (
            pytest.raises(InputError, match=r"into .*out \(.*too large.*\): make room"),
            writing(tmp_path / "out", "SavedModel", "try again"),
        ):
            tf.saved_model.save(module, str(tmp_path / "out"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
