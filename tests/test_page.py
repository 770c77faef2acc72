"""The page's engine in JavaScript against the graph of the SavedModel: it is the same model."""

import base64
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import wasmtime
from conftest import (
    CELLS,
    CHOICES,
    SAMPLE,
    SUBWORDS,
    VOCABULARY,
    nextword,
    random_model,
    sentence_of,
    vocabulary_of,
    write_training,
)
from engine import Engine, round_weights
from odd_texts import odd_texts
from tokenizer_cases import CASES

from pipeline import InputError
from pipeline.export.config import ExportConfig
from pipeline.export.saved_model import NextWord
from pipeline.page import build
from pipeline.page.patterns import javascript
from pipeline.page.weights import pack, round_rows, weights_of
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NO_WORDS, NeverSuggested
from pipeline.text.spacing import spaces, spacing_kinds
from pipeline.text.suggestible import suggestible
from pipeline.text.tokenizer import tokenize
from pipeline.text.vocabulary import BEGIN_ID

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


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 16, 21, 384])
def test_matrices_are_multiplied_with_webassembly_and_without(columns):
    rng = np.random.default_rng(columns)
    matrix = rng.integers(-127, 128, size=(5, columns), dtype=np.int8)
    scales, x = (rng.normal(size=size).astype(np.float32) for size in (5, columns))
    header = {"vocabulary": {"tokens": []}, "patterns": build.tokenizer_patterns()}
    content = pack(header, {"odd": np.zeros(3, np.uint8), "m": matrix, "scales": scales})
    run = """({arrays, multiply}, x) => [
      multiply === multiplyPlainly,
      [...multiply(arrays.m, arrays.scales, x)],
    ]"""
    for without in ("", "WebAssembly.Module = undefined;"):
        ((plainly, product),) = Engine(content, before=without)(run, [[x.tolist()]])
        assert plainly == bool(without)
        np.testing.assert_allclose(product, (matrix @ x) * scales, rtol=1e-4, atol=1e-3)


def test_what_multiplies_is_assembled_from_its_text():
    room = Path(build.__file__).parent
    assembled = bytes(wasmtime.wat2wasm((room / "multiply.wat").read_text("utf-8")))
    script = (room / "multiply.js").read_text("utf-8")
    code = "".join(re.findall('"([^"]*)"', re.search(r"const CODE =(.+?);", script, re.S)[1]))
    assert base64.b64encode(assembled).decode() == code


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


# Answers

LEXICON = Lexicon.of(
    VOCABULARY,
    {"gato": (6.0, "gato"), "bebeu-o": (1.0, "bebeu-o"), "lisboa": (3.0, "Lisboa")},
    [{"açaí": (2.0, "açaí"), "e-mail": (1.0, "e-mail"), "ção": (1.0, "ção")}],
)
# Of a vocabulary that keeps case, two forms of one word are the same where a sentence begins.
KEPT = vocabulary_of(
    *"o O a A água Água . , ? ( ) \" ' / : Brasil casa Casa CASA c/".split(), case="keep"
)
PROMPTS = [
    *["", "O cachorro", "O cachorro bebeu água. ", "Ela bebeu", "e\n", "ela (", '"', "(\u200b"],
    *["o\u00a0", "Fim.\r", "Fim.\n\u00a0", "e\u2028", "o \u200b", "o\u200b", "Ela \x1f"],
    *["a , o", "um cachorro — água!", "Brasil… ", "\n\n", "x" * 300, "o a e " * 20],
]


def never_suggested(folder):
    (folder / "never.txt").write_text("água\nlis*\n", encoding="utf-8")
    return NeverSuggested.load(folder / "never.txt")


@pytest.mark.parametrize("vocabulary", [VOCABULARY, KEPT], ids=["folded", "kept"])
@pytest.mark.parametrize("suggestions", [3, 40])
def test_next_words_are_those_of_the_graph(tmp_path, vocabulary, suggestions):
    model = random_model(vocabulary=vocabulary)
    options = {"never": never_suggested(tmp_path), "suggestions": suggestions}
    options["lexicon"] = LEXICON if vocabulary is VOCABULARY else None
    content = packed(model, vocabulary, **options)
    module = NextWord(round_weights(model), vocabulary, **options)
    found = Engine(content)("(model, text) => suggest(model, text)", [[text] for text in PROMPTS])
    expected = module.suggest(tf.constant(PROMPTS))
    for answer, words, p in zip(found, *(expected[k].numpy() for k in expected), strict=True):
        shown = [word.decode() for word in words if word]
        assert answer["words"] == shown
        np.testing.assert_allclose(answer["probabilities"], p[: len(shown)], rtol=1e-3, atol=1e-6)


def test_surprise_is_that_of_the_graph():
    pieces = [" bebeu", " água", ".", " Sr", ".", "\nO", "  cachorro ", "…", "..", "."]
    model = random_model()
    content = packed(model)
    module = NextWord(round_weights(model), VOCABULARY, suggestions=3)
    calls = [[text, pieces] for text in PROMPTS]
    found = Engine(content)("(model, text, pieces) => score(model, text, pieces)", calls)
    for text, answer in zip(PROMPTS, found, strict=True):
        texts = [text + "".join(pieces[:count]) for count in range(len(pieces) + 1)]
        expected = {k: v.numpy() for k, v in module.score(tf.constant(texts)).items()}
        nats = np.diff(-expected["log_probability"])
        np.testing.assert_allclose(answer["nats"], nats, rtol=1e-3, atol=2e-4)
        assert answer["tokens"] == np.diff(expected["tokens"]).tolist()


def test_nothing_is_no_surprise_whatever_was_read_before():
    score = "(model, text, pieces) => score(model, text, pieces)"
    found = Engine(packed(random_model()))(score, [["", [""]]])
    assert found == [{"nats": [0], "tokens": [0]}]


def test_states_are_kept_as_the_text_grows_and_shrinks():
    texts = ["O cachorro bebeu", "O cachorro", "O cachorro da", "", "O cachorro bebeu água. Ela"]
    engine = Engine(packed(random_model()))
    run = "(model, texts) => texts.map((text) => [...read(model, text).p])"
    (one_by_one,) = engine(run, [[texts]])
    fresh = [p for text in texts for (p,) in engine(run, [[[text]]])]
    assert one_by_one == fresh


def test_a_long_text_is_read_from_its_end(tmp_path):
    engine = Engine(packed(random_model()))
    long = "o cachorro bebeu água . " * 100
    run = "(model, text) => leftOut(split(model.rules, opened(model.rules, text)))"
    left = engine(run, [[" ".join(["a"] * count)] for count in (0, 198, 199, 299, 501)])
    assert left == [0, 0, 100, 200, 400]
    score = engine("(model, text, pieces) => score(model, text, pieces)", [[long, [" a", " o"]]])
    again = engine(
        "(model, text, pieces) => score(model, text, pieces)", [[long[-24 * 24 :], [" a", " o"]]]
    )
    np.testing.assert_allclose(score[0]["nats"], again[0]["nats"], rtol=1e-2)


def test_what_is_read_ahead_is_not_read_when_the_context_moves_on():
    """While one types 350 words, no key but the first costs more than a step."""
    run = """(model, ahead) => {
      const answers = [], added = [];
      for (let count = 150; count < 500; count++) {
        const text = "o cachorro bebeu ".repeat(count).split(" ", count).join(" ") + " ";
        const before = model.places ?? 0;
        answers.push([...read(model, text).p]);
        added.push((model.places ?? 0) - before);
        while (ahead && !readAhead(model, read(model, text).tokens));
      }
      return [answers, Math.max(...added.slice(1))];
    }"""
    engine = Engine(packed(random_model()))
    ((ahead, most),), ((late, more),) = (engine(run, [[choice]]) for choice in (True, False))
    assert ahead == late
    assert most <= 1
    assert more > 90


def test_likely_keys_are_those_of_the_words_that_may_come():
    model = random_model()
    (p,) = tf.nn.softmax(model(np.array([[BEGIN_ID]])))[0].numpy()
    words = {VOCABULARY.displays[i]: p[i] for i in np.flatnonzero(suggestible(VOCABULARY))}
    first = max(words, key=words.get)[0]
    engine = Engine(packed(model))
    calls = [{"text": "", "prefix": ""}, *({"text": "", "prefix": x} for x in ("cach", "o", "xyz"))]
    calls += [{"text": t, "prefix": ""} for t in ("o.", "o ")]
    keys = engine("(model, question) => likelyKeys(model, question)", [[q] for q in calls])
    assert keys[0][0] == first.upper()
    assert keys[1] == ["o", " "]
    assert set(" ,.") <= set(keys[2])
    assert keys[3] == [" "]
    assert keys[4][:2] == [" ", "\n"]
    assert first in keys[5]
    assert not {*keys[5]} & {*" ,.\n"}


# Writing on

SPACED = [*TEXTS, 'Disse: "vou". "E" \'eu\' (sim) [não]: c / a , s / a a/a :) = ) ; ) p / p\n"a" "']


def test_spaces_and_capitals_are_those_of_the_graph():
    rows = graph_tokens(SPACED)
    model = random_model()
    engine = Engine(packed(model))
    found = engine("(model, tokens) => spaces(model.rules, tokens)", [[["\x02", *r]] for r in rows])
    kinds = [spacing_kinds(tf.constant(["\x02", *row])) for row in rows]
    assert found == [spaces(kind).numpy().tolist() for kind in kinds]
    writer = NextWord(model, VOCABULARY, suggestions=3).writer
    texts = ["", *SPACED[:-1]]
    before = [["\x02", *row] for row in graph_tokens(texts)]
    calls = [list(call) for call in zip(texts, before, rows, strict=True)]
    joined = engine("(model, ...rest) => join(model.rules, ...rest)", calls)
    ragged = [tf.ragged.constant(tokens, dtype=tf.string) for tokens in (before, rows)]
    expected = writer._join(tf.constant(texts), *ragged).numpy()
    assert joined == [text.decode() for text in expected]


def test_a_cold_model_writes_what_the_graph_writes():
    model = random_model(scale=2.0)
    content = packed(model)
    module = NextWord(round_weights(model), VOCABULARY, suggestions=3)
    expected = {}
    for temperature in (0.0, 1e-6):
        written = module.generate(tf.constant(PROMPTS), 60, temperature, 0.95, 1)["text"]
        expected[temperature] = [text.decode() for text in written.numpy()]
    assert expected[0.0] != expected[1e-6]  # which repeats no five tokens
    for temperature, texts in expected.items():
        sampling = {"length": 60, "temperature": temperature, "seed": 1}
        found = Engine(content)(
            "(model, text, sampling) => generate(model, text, sampling)",
            [[text, sampling] for text in PROMPTS],
        )
        assert found == texts


def test_tokens_are_drawn_from_the_nucleus_with_their_probabilities():
    count = 4000
    p = [0.4, 0.3, 0.2, 0.06, 0.02, 0.02]
    run = """(model, p, temperature, count) => {
      const random = generator(7);
      const drawn = p.map(() => 0);
      for (let i = 0; i < count; i++) drawn[draw(Float32Array.from(p), temperature, random())]++;
      return drawn;
    }"""
    warm, cold = Engine(packed(random_model()))(run, [[p, 1, count], [p, 0.5, count]])
    for drawn, temperature in ((warm, 1.0), (cold, 0.5)):
        powers = np.array(p) ** (1 / temperature)
        powers /= powers.sum()
        powers *= np.cumsum(powers) - powers < 0.95
        powers /= powers.sum()
        spread = np.sqrt(count * powers * (1 - powers))
        assert (np.abs(drawn - count * powers) <= 4 * spread).all()
        assert 0 < (powers == 0).sum() < len(p) - 1


# The page as one script


def test_modules_are_joined_after_those_that_they_import():
    script = build.bundle("worker.js")
    assert not re.search(r"^(import|export)\b", script, re.M)
    assert script.index("function multiply") < script.index("function follow")
    assert script.count("function follow") == 1


# The stage


def test_the_command_writes_a_page_that_names_its_choices(tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    write_training(Path("models/training"), "gru")
    (tmp_path / "words.txt").write_text("gato\nxilofone\n", encoding="utf-8")
    export = ["export", "--format", "page", "--lexicon", "words.txt", "--suggestions", "3"]
    result = nextword(*export)
    assert result.output.endswith("Wrote models/page.\n")
    html = Path("models/page/index.html").read_text("utf-8")
    assert not re.search(r"/\* \w+ \*/", html)
    content = base64.b64decode(re.search(r'id="model">([\w+/=]+)<', html)[1])
    run = "(model) => [model.suggestions, model.lexicon, model.config.cell]"
    assert Engine(content)(run, [[]]) == [[3, ["gato", "xilofone"], "gru"]]
    assert "nothing has changed" in nextword(*export).output
    (tmp_path / "words.txt").write_text("gato\n", encoding="utf-8")
    assert "Wrote" in nextword(*export).output
    # The same model is the same file.
    assert "Wrote" in nextword(*export, "--output", "models/again").output
    assert Path("models/again/index.html").read_text("utf-8") == Path(
        "models/page/index.html"
    ).read_text("utf-8")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"softmax": "adaptive"}, "train it with --softmax full"),
        ({"vocabulary": SUBWORDS}, "tokenize with --unit word"),
    ],
)
def test_what_a_page_cannot_hold_is_refused(tmp_path, store, changes, expected):
    training = write_training(tmp_path / "training", **changes)
    result = nextword("export", "--format", "page", "--training", training)
    assert expected in sentence_of(result)
    assert "A page cannot hold the model in" in sentence_of(result)


def test_a_page_without_words_is_refused(tmp_path):
    vocabulary = vocabulary_of(*".,!?")
    training = write_training(tmp_path / "training", vocabulary=vocabulary)
    with pytest.raises(InputError, match="has no word to suggest"):
        build.export_page(training, tmp_path, config=ExportConfig())
