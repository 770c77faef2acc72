"""Words that are never suggested: what a file means, and that none comes out of any signature."""

import functools
import random

import numpy as np
import pytest
import tensorflow as tf
from conftest import (
    SUBWORDS,
    ask,
    nextword,
    random_model,
    sentence_of,
    vocabulary_of,
    write_training,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.export.config import ExportConfig
from pipeline.export.export import export
from pipeline.export.saved_model import NextWord
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NeverSuggested
from pipeline.text.suggestible import strip_accent
from pipeline.text.tokenizer import tokenize


def read(folder, text):
    path = folder / "never.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return NeverSuggested.load(path)


def covered(never, *words):
    return {
        w for w, yes in zip(words, never.covers(tf.constant(words)).numpy(), strict=True) if yes
    }


def test_what_a_file_means(tmp_path):
    never = read(tmp_path, "\ufeffVocê\r\n\r\nburr*\nguarda-*\nd’água\nSr.\n")
    meant = {"você", "voce", "VOCÊ", "burro", "Burrinha", "guarda-chuva", "d'água", "d'agua", "sr."}
    others = {"vocês", "vôce", "bur", "emburro", "guarda", "guardar", "água", "sr", "", "<unk>"}
    assert covered(never, *meant, *others) == meant
    assert not covered(NeverSuggested(), "você")
    assert not NeverSuggested()
    # What is written without an accent is another word with one.
    assert covered(read(tmp_path, "pais\nav*"), "pais", "país", "avó", "ávida") == {"pais", "avó"}


# Words of few letters, so that many begin alike.
SPELLED = st.text("aáãbcç-", min_size=2, max_size=6).filter(
    lambda w: "-" not in w[0] + w[-1] and "--" not in w
)


@settings(deadline=None, max_examples=50)
@given(
    entries=st.lists(st.tuples(SPELLED, st.booleans()), min_size=1, max_size=5),
    words=st.lists(st.text("aáãbcçA-", max_size=8), min_size=1, max_size=30),
    together=st.integers(1, 3),
)
def test_words_are_covered_as_by_comparing_letters(tmp_path_factory, entries, words, together):
    def fits(word, entry, begins):
        letters = [*zip(word.lower(), entry, strict=False)]
        same = all(a in (b, strip_accent(b)) for a, b in letters)
        return same and (len(word) >= len(entry) if begins else len(word) == len(entry))

    entries = [(e, b and sum(map(str.isalpha, e)) > 1) for e, b in entries]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.text.never._TOGETHER", together)
        lines = [entry + "*" * begins for entry, begins in entries]
        never = read(tmp_path_factory.mktemp("never"), "\n".join(lines))
    words += [entry.upper() for entry, _ in entries]
    expected = [any(fits(word, *entry) for entry in entries) for word in words]
    assert never.covers(tf.constant(words)).numpy().tolist() == expected


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "holds no word"),
        ("\n \n", "holds no word"),
        ("o gato\n12\n...\n", "holds no word"),
        ("a" * 1000, "holds no word"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "No words can be read"),
        (b"gato\n\x00\x00\n", "is no text"),
        ("gato\n*\n", "Line 2 of .* at least 2 letters"),
        ("a*", "Line 1 of .* at least 2 letters"),
        ("-'*", "Line 1 of .* at least 2 letters"),
        ("gato\n" * 10_001, "has 10,001 lines: shorten it"),
    ],
)
def test_what_is_no_list_is_refused_in_one_sentence(tmp_path, text, wrong):
    with pytest.raises(InputError, match=wrong) as raised:
        read(tmp_path, text)
    assert str(tmp_path / "never.txt") in str(raised.value)
    with pytest.raises(InputError, match="No words can be read"):
        NeverSuggested.load(tmp_path)


def test_lines_that_are_no_word_are_skipped_and_said(tmp_path, caplog):
    never = read(tmp_path, f"gato\no gato\n{'a' * 51}\nvai!\nx*y\nga*to\n")
    assert covered(never, "gato", "o", "vai", "x", "ga", "gata") == {"gato"}
    assert "Skipped 5 of the 6 lines" in caplog.text


def test_many_words_are_one_look(tmp_path):
    words = [f"x{letter}{other}{n}" for letter in "abcde" for other in "fgh" for n in range(300)]
    never = read(tmp_path, "\n".join(words))
    assert len(never.patterns) == 9
    assert never.covers(tf.constant([*words, "xaf300"])).numpy().tolist() == [True] * 4500 + [False]


# In a model

WORDS = """
    ela ele você vocês voce burro burra burrice bebeu água casa casaco cada gato gata rato o a e que
    Rio bom boa dia Sr.
""".split()
LISTED = ["burrinho", "burraldo", "casebre", "gatinho", "gatuno", "vocezinho", "beber", "Ratão"]
FILE = "você\nburr*\ngat*\nRIO\n"
FORBIDDEN = {
    "você",
    "voce",
    "burro",
    "burra",
    "burrice",
    "gato",
    "gata",
    "rio",
    "gatinho",
    "gatuno",
}
FORBIDDEN |= {"burrinho", "burraldo"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model without and one with a list of words that never come out."""
    vocabulary = vocabulary_of(".", ",", "-", "'", "/", *(w.lower() for w in WORDS),
                               displays={"rio": "Rio", "sr.": "Sr."})  # fmt: skip
    lexicon = Lexicon.of(vocabulary, {w.lower(): (n, w) for n, w in enumerate(LISTED, start=1)})
    never = read(tmp_path_factory.mktemp("never"), FILE)
    model = random_model("feedforward", vocabulary)
    options = {"suggestions": 99, "lexicon": lexicon}
    return [NextWord(model, vocabulary, **options, never=n) for n in (NeverSuggested(), never)]


def rows(answer):
    words, p = (answer[name].numpy() for name in ("words", "probabilities"))
    return [
        {w.decode(): float(share) for w, share in zip(*row, strict=True) if w}
        for row in zip(words, p, strict=True)
    ]


def correct(module, text, word):
    return module.corrector.correct(module.reader.read(tf.constant([text])), tf.constant([word]))


correction = functools.cache(NextWord.correct_function)


def test_the_others_keep_their_probabilities(models):
    everything, kept = (rows(module.suggest(tf.constant(["ela bebeu", "o"]))) for module in models)
    for before, after in zip(everything, kept, strict=True):
        assert {word.lower() for word in {*before} - {*after}} == FORBIDDEN
        assert after == pytest.approx({w: p for w, p in before.items() if w in after}, rel=1e-4)
    assert models[1].words.suggestions == models[0].words.suggestions - len(FORBIDDEN)
    text = tf.constant(["Você, burro."])
    scores = [module.score(text)["log_probability"].numpy() for module in models]
    np.testing.assert_allclose(*scores, rtol=1e-5)


@pytest.mark.parametrize("typed", ["voce", "você", "VOCE", "Burro", "burrada", "gato", "Gatíssimo"])
def test_what_a_person_types_is_left_alone(models, typed, monkeypatch):
    monkeypatch.setattr("pipeline.export.correct.ENOUGH", 0)
    answer = correct(models[1], "ela", typed)
    assert rows(answer) == [{typed: pytest.approx(1)}]
    assert not answer["sure"].numpy().any()


def test_another_word_is_not_sure_where_one_of_them_is_meant(models):
    """It keeps its probability, so the next best does not get it."""
    before, after = (rows(correct(module, "ela", "buro"))[0] for module in models)
    assert "burro" in before
    assert not {w.lower() for w in after} & FORBIDDEN
    assert after == pytest.approx({w: p for w, p in before.items() if w in after}, rel=1e-3)


def strings(rng, size):
    """Texts of known words and of odd ones, and what is typed after them."""
    odd = ["", "\n", "—", "“", "ç̃", "\x00", "🙂", "R$", "12", "você-", "d'", "XYZ", "ﬁ", "\ufeff"]
    known = [*WORDS, *LISTED, *FORBIDDEN, *odd]
    for _ in range(size):
        text = " ".join(rng.choice(known) for _ in range(rng.randint(0, 6)))
        word = rng.choice(known)
        start = word[: rng.randint(0, len(word))]
        change = rng.choice([str, str.upper, str.title, strip_accents])
        start = change(start) + rng.choice(["", "", "", "r", "-", " "])
        yield change(text).encode(), start.encode()


def strip_accents(word):
    return "".join(map(strip_accent, word))


def came_out(module, texts, typed, seed):
    """All words that come out of any signature, but for what is typed."""
    texts, typed = tf.constant(texts), tf.constant(typed)
    state = module.reader.read(texts)
    answers = [module.suggest(texts), module.complete(texts, typed)]
    answers.append(module.words.suggest(state))  # as `step` does
    for answer in answers:
        yield from (word.strip() for word in answer["words"].numpy().ravel().tolist())
    corrected = correction(module)(texts, typed)["words"].numpy()
    whole = tf.strings.unicode_transcode(typed, "UTF-8", "UTF-8").numpy()
    yield from corrected[corrected != whole[:, None]].tolist()
    sampling = (tf.constant(8), tf.constant(rng_temperature(seed)), tf.constant(1.0))
    written = module.generate(texts, *sampling, tf.constant(seed))["text"]
    # What the model writes is separated from the text before, however that ends.
    yield from tokenize(written).values.numpy().tolist()


def rng_temperature(seed):
    return (0.0, 0.5, 1.0, 3.0)[seed % 4]


def check(module, *, batches, size):
    rng = random.Random(1)
    seen = 0
    for seed in range(batches):
        texts, typed = zip(*strings(rng, size), strict=True)
        words = {word.decode().lower() for word in came_out(module, texts, typed, seed)}
        assert not words & FORBIDDEN
        assert not any(word.startswith(("burr", "gat")) for word in words)
        seen += len(words)
    assert seen > 10 * batches


def test_none_comes_out(models):
    check(models[1], batches=2, size=150)
    with pytest.raises(AssertionError):
        check(models[0], batches=1, size=150)


@pytest.mark.slow
def test_none_comes_out_of_20_000_texts(models):
    check(models[1], batches=20, size=1000)


# From the command line


@pytest.mark.slow
def test_the_exported_model_keeps_the_list(tmp_path):
    training = write_training(tmp_path / "training", "feedforward")
    path, output = tmp_path / "feias.txt", tmp_path / "nextword"
    path.write_text("cachorr*\nágua\n", encoding="utf-8")
    options = ("--training", training, "--output", output, "--never-suggest")
    assert nextword("export", *options, path).exit_code == 0
    saved = tf.saved_model.load(str(output))
    completed = ask(saved, "complete", text=["ela"], prefix=["cach"])["words"][0].tolist()
    assert b"cachorro" not in completed
    assert "água" in (output / "assets" / "vocabulary.tsv").read_text(encoding="utf-8")
    card = (output / "assets" / "model_card.md").read_text(encoding="utf-8")
    assert "- 2 of all these words never come out" in card
    assert "cachorr" not in card
    assert not (output / "assets" / "feias.txt").exists()
    assert "nothing has changed" in nextword("export", *options, path).output
    # A list that is refused leaves the model as it is.
    path.write_text("*\n", encoding="utf-8")
    assert "at least 2 letters" in sentence_of(nextword("export", *options, path))
    assert "--never-suggest" in sentence_of(nextword("export", *options, tmp_path / "nowhere"))
    assert (output / "saved_model.pb").exists()


def test_subwords_spell_any_word(tmp_path):
    training, path = write_training(tmp_path, "gru", SUBWORDS), tmp_path / "never.txt"
    path.write_text("casa\n", encoding="utf-8")
    with pytest.raises(InputError, match="leave out --never-suggest"):
        export(training, tmp_path / "x", config=ExportConfig(3, never_suggest=path))
