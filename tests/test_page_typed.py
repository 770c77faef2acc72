"""What the page completes and corrects: what the signatures of the SavedModel do."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from conftest import SAMPLE, random_model, vocabulary_of
from engine import Engine
from test_page import packed, round_weights

from pipeline.export.saved_model import NextWord
from pipeline.text.channel import COSTS, Channel, encode
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NeverSuggested
from pipeline.text.suggestible import strip_accent
from pipeline.text.tokenizer import BREAK, is_word, tokenize

BATCH = 100
TEXTS = [
    *["", "Ela", "O cachorro da padaria", "A menina foi ao mercado. ", "Ele disse: ", "— ", "12 h"],
    *["Eu gosto de beber", "muito obrigado!\n", "ela e", "😀", "O senhor zbrtz não"],
]
# What few people type.
ODD = [
    *[
        " ",
        "\u200b",
        "a\u0301",
        "c\u0327a",
        "ÁG",
        "ÃO",
        "İs",
        "ß",
        "ŭ",
        "ж",
        "жи",
        "中文",
        "😀",
        "👍🏽",
        "ª",
    ],
    *[
        "1",
        "12",
        "14h",
        "2ª",
        "R$",
        "50%",
        "h2o",
        "AT&T",
        "d'",
        "d’á",
        "D'Á",
        "-",
        "--",
        "...",
        "'",
    ],
    *[
        "guarda-",
        "guarda-c",
        "dar-lhe-ia",
        "dar-",
        "Sr",
        "Sr.",
        "etc.",
        "c/",
        "amig@",
        "@a",
        "#a",
        "a_b",
    ],
    *[
        "a b",
        "não é",
        "um\num",
        "<unk>",
        "<s>",
        "x" * 100,
        "ab" * 12,
        "ab" * 13,
        "AbC",
        "aBC",
        "éÉ",
        "\x02",
    ],
    *[
        "compra-la",
        "faze-los",
        "Ve-la",
        "po-lo",
        "construi-la",
        "comprá-la",
        "abri-la",
        "segui-lo",
        "compramo-nos",
        "compra-lhe",
        "Casou-se",
        "oje",
        "hoj",
    ],
]


def sample_words():
    """The tokens of the sample corpus as written, with their counts."""
    texts = [path.read_text("utf-8") for path in sorted(SAMPLE.rglob("*.txt"))]
    return collections.Counter(w.decode() for w in tokenize(tf.constant(texts)).values.numpy())


@pytest.fixture(scope="module")
def lists():
    """A vocabulary of the sample's frequent tokens, a lexicon of its other words, and words of all.

    No two words of the lexicon are equally frequent, so that none are equally probable.
    """
    forms = {}
    for token, count in sample_words().most_common():
        if token == BREAK:
            continue
        forms.setdefault(token.lower(), []).append((count, token))
    displays = {token: max(found)[1] for token, found in forms.items()}
    frequent = [*displays][:1500]
    vocabulary = vocabulary_of(*frequent, displays=displays)
    others = np.array([*displays][1500:])
    others = others[is_word(tf.constant(others)).numpy()].tolist()
    rare = {token: (3e4 - 1.1 * i, displays[token]) for i, token in enumerate(others)}
    return vocabulary, Lexicon.of(vocabulary, rare), [*displays.values()]


class Both:
    """A model in the graph and in the page.

    Its words are few, but enough for corrections that are sure.
    """

    def __init__(self, vocabulary, lexicon, **options):
        # The weights that int8 leaves, so that both have the same probabilities.
        model = round_weights(random_model(vocabulary=vocabulary, scale=0.7))
        self.graph = NextWord(model, vocabulary, lexicon=lexicon, suggestions=5, **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.page.meant.ENOUGH", 1000)
            self.page = Engine(packed(model, vocabulary, lexicon=lexicon, **options))

    def complete(self, cases):
        ask = "(model, text, prefix) => QUESTIONS.suggest(model, {text, prefix})"
        found = self.page(ask, cases)
        for one in found:  # the graph tells the next words by a space
            kinds = zip(one["words"], one["kinds"], strict=True)
            one["words"] = [" " * (kind == "next") + word for word, kind in kinds]
        return found, list(_answers(self.graph.complete, cases))

    def correct(self, cases):
        ask = "(model, text, word) => QUESTIONS.correct(model, {text, word})"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.export.correct.ENOUGH", 1000)
            return self.page(ask, cases), list(_answers(self.graph.correct_function(), cases))


def _answers(signature, cases):
    for start in range(0, len(cases), BATCH):
        inputs = map(tf.constant, zip(*cases[start : start + BATCH], strict=True))
        answer = {name: value.numpy() for name, value in signature(*inputs).items()}
        for row in range(len(answer["words"])):
            words = [word.decode() for word in answer["words"][row] if word]
            one = {"words": words, "probabilities": answer["probabilities"][row][: len(words)]}
            yield one | ({"sure": bool(answer["sure"][row])} if "sure" in answer else {})


@pytest.fixture(scope="module")
def both(lists):
    vocabulary, lexicon, _ = lists
    return Both(vocabulary, lexicon)


def mistyped(word, random):
    """The word with one error, or as it is if it is too short."""
    if len(word) < 3:
        return word
    at, letter = random.integers(len(word) - 1), "aeosrnhçá-"[random.integers(10)]
    return [
        word[:at] + letter + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    ][random.integers(4)]


def typed_by_people(words, *, seed, count):
    """Pairs of a text and a word as it may be typed after it."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        word = words[random.integers(len(words))]
        if random.random() < 0.5:
            word = mistyped(word, random)
        if random.random() < 0.3:
            word = "".join(map(strip_accent, word))
        form = random.random()
        word = word.upper() if form < 0.07 else word.capitalize() if form < 0.2 else word
        yield TEXTS[random.integers(len(TEXTS))], word


def check(found, expected, cases):
    """Answers are the same, apart from the order of words with the same probability."""
    for one, other, case in zip(found, expected, cases, strict=True):
        p, other_p = one["probabilities"], other["probabilities"]
        assert len(p) == len(other_p), (case, one, other)
        np.testing.assert_allclose(
            p, other_p, rtol=2e-3, atol=1e-5, err_msg=str((case, one, other))
        )
        ties = np.isclose(p, np.roll(p, 1), rtol=1e-4) | np.isclose(p, np.roll(p, -1), rtol=1e-4)
        for word, own, tie in zip(one["words"], other["words"], ties, strict=True):
            assert word == own or tie, (case, one, other)
        assert one.get("sure") == other.get("sure"), (case, one, other)
    exactly = [one["words"] == other["words"] for one, other in zip(found, expected, strict=True)]
    assert np.mean(exactly) > 0.995


def kind(word, typed):
    """What `QUESTIONS.suggest` says of a word that `complete` returned."""
    if word.startswith(" "):
        return "next"
    pairs = zip(typed.lower(), word.lower().ljust(len(typed)), strict=False)
    fits = all(letter in {own, strip_accent(own)} for letter, own in pairs)
    return "completion" if fits else "similar"


def test_completions_are_those_of_the_graph(both, lists):
    words = list(typed_by_people(lists[2], seed=1, count=400))
    random = np.random.default_rng(2)
    cases = [(text, word[: 1 + random.integers(len(word))]) for text, word in words]
    cases += [("O", word) for word in ODD]
    found, expected = both.complete(cases)
    kinds = collections.Counter(kind for one in found for kind in one["kinds"])
    assert min(kinds[name] for name in ("completion", "next", "similar")) > 20
    check(found, expected, cases)
    for one, (_, prefix) in zip(found, cases, strict=True):
        if prefix.isalpha():
            assert one["kinds"] == [kind(word, prefix) for word in one["words"]]


def test_corrections_are_those_of_the_graph(both, lists):
    cases = list(typed_by_people(lists[2], seed=3, count=300))
    cases += [(text, word) for word in ODD for text in ("O", "Fim. ")]
    found, expected = both.correct(cases)
    check(found, expected, cases)
    assert 0.1 < np.mean([one["sure"] for one in found]) < 0.9


def test_words_that_are_never_suggested(lists, tmp_path):
    vocabulary, lexicon, words = lists
    (tmp_path / "never.txt").write_text("cachorro\nmer*\nvocê\ncompra-la\nguarda-*\n", "utf-8")
    never = NeverSuggested.load(tmp_path / "never.txt")
    both = Both(vocabulary, lexicon, never=never)
    covered = [w for w in words if never.covers(tf.constant(w)).numpy()]
    cases = list(typed_by_people(covered, seed=4, count=40))
    cases += [
        ("O", word) for word in (*covered, "CACHORRO", "Merx", "guarda-xyz", "voce", "compra-la")
    ]
    prefixes = [(text, word[:length]) for text, word in cases for length in (2, 4)]
    for question, asked in ((both.complete, prefixes), (both.correct, cases)):
        found, expected = question(asked)
        check(found, expected, asked)


@pytest.mark.parametrize("case", ["fold", "keep"])
def test_few_words_and_words_in_several_forms(case):
    words = "o O a A água Água Brasil brasil ele Ele mal mau , .".split()
    words = [w for w in words if case == "keep" or w == w.lower()]
    vocabulary = vocabulary_of(*words, case=case)
    lexicon = Lexicon.of(vocabulary, {"maus": (2.0, "maus"), "b" * 30: (1.0, "b" * 30)})
    both = Both(vocabulary, lexicon)
    typed = [
        "o",
        "a",
        "ag",
        "Ag",
        "agu",
        "AGUA",
        "br",
        "brazil",
        "ele",
        "Ele",
        "el",
        "mau",
        "mas",
        "b",
    ]
    cases = [(text, word) for text in ("", "o", "Ele mau") for word in typed]
    for question in (both.complete, both.correct):
        found, expected = question(cases)
        check(found, expected, cases)


def test_costs_are_those_of_the_channel(both):
    random = np.random.default_rng(5)
    letters = [*"aeiouãéçcshxrlnm-'zqk", "ж"]
    pairs = [
        ["".join(random.choice(letters, size=random.integers(1, 9))) for _ in range(2)]
        for _ in range(1500)
    ]
    pairs += [
        (word, mistyped(word, random)) for word in "excelente almoçar telefone está".split() * 20
    ]
    run = """(model, typed, meant) => {
      const {channel} = wordsOf(model);
      const symbols = [typed, meant].map((word) => encode(channel, word));
      const all = [...channelCosts(channel, ...symbols, Infinity)].slice(0, meant.length + 1);
      return [all, channelCosts(channel, ...symbols, all.at(-1) + 1e-9) === null];
    }"""
    typed, meant = (encode(tf.constant(words)).to_tensor() for words in zip(*pairs, strict=True))
    expected = Channel.of(COSTS).costs(typed, meant).numpy()
    for (costs, given_up), row in zip(both.page(run, pairs), expected, strict=True):
        np.testing.assert_allclose(costs, row[: len(costs)], atol=1e-3)
        assert not given_up
