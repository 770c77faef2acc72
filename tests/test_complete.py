"""What fills the places that completions leave: next words, and words that begin nearly so."""

import math

import pytest
import tensorflow as tf
from conftest import completions, random_model, vocabulary_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.export.beginnings import NearBeginnings
from pipeline.export.meant_words import WEIGHTS
from pipeline.export.saved_model import NextWord
from pipeline.text.channel import COSTS, Channel, encode
from pipeline.text.lexicon import Lexicon
from pipeline.text.suggestible import strip_accent

WORDS = """
    ela eu vou vai não para ao mercado mercados cachorro escola almoçar telefone hoje homem tem o a
    muito também brasil
""".split()
LISTED = ["almoço", "Mercedes", "professor", "cachorra", "telegrama", "açúcar", "hora", "pressa"]
VOCABULARY = vocabulary_of(".", ",", *WORDS, displays={"brasil": "Brasil"})


@pytest.fixture(scope="module")
def module():
    lexicon = Lexicon.of(VOCABULARY, {w.lower(): (n, w) for n, w in enumerate(LISTED, start=1)})
    model = random_model(vocabulary=VOCABULARY, scale=0.4)
    return NextWord(model, VOCABULARY, suggestions=99, lexicon=lexicon)


def rows(answer):
    return [
        {w.decode(): float(p) for w, p in zip(*row, strict=True) if w}
        for row in zip(*(answer[n].numpy() for n in ("words", "probabilities")), strict=True)
    ]


def fill(module, text, typed):
    """What fills places after the completions."""
    (begun,) = rows(completions(module, [text], [typed]))
    (found,) = rows(module.complete(tf.constant([text]), tf.constant([typed])))
    assert [*found][: len(begun)] == [*begun]
    return dict([*found.items()][len(begun) :])


@pytest.mark.parametrize(
    ("text", "typed"),
    [("Eu", "vou"), ("Ela", "VAI"), ("", "Ela"), ("Ela. ", "eu"), ("ela vai", "ao"), ("o", "a")],
)
def test_the_next_words_follow_a_word_that_is_finished(module, text, typed):
    (before,) = rows(module.suggest(tf.constant([text])))
    (after,) = rows(module.suggest(tf.constant([f"{text} {typed}"])))
    own = next(p for word, p in before.items() if word.lower() == typed.lower())
    found = fill(module, text, typed)
    (completed,) = rows(completions(module, [text], [typed]))
    begun = {word.lower() for word in completed}
    assert not begun & {word.lower() for word in LISTED}  # they wait for another letter
    expected = {f" {word}": own * p for word, p in after.items() if word.lower() not in begun}
    assert [*found] == [*expected]
    assert found == pytest.approx(expected, rel=1e-3)
    assert " Brasil" in found  # as in mid-sentence


def bare(word):
    return "".join(map(strip_accent, word.lower()))


def folded(letters):
    return {*bare(letters).replace("k", "c").replace("q", "c")} - {*"-'h"}


def nearly(module, text, typed):
    """Words that begin nearly with what is typed, by score, found one by one."""
    corrector, channel = module.corrector, Channel.of(COSTS)
    state = module.reader.read(tf.constant([text]))
    p = module.reader.probabilities(state)[0].numpy()
    typed_letters = encode(tf.fill([len(corrector.words.lowered)], typed)).to_tensor()
    all_costs = channel.costs(typed_letters, encode(corrector.words.lowered).to_tensor()).numpy()
    scores = {}
    for i, word in enumerate(w.decode() for w in corrector.words.lowered.numpy()):
        begins = folded(word[: 2 if word[0] == "h" else 1]) & folded(typed[:2])
        n = len(typed)
        sets = (folded(w[: min(n, 12)]) for w in (typed, word))
        if n < 3 or not begins or len(next(sets) ^ next(sets)) > 2:
            continue
        ends = all_costs[i, n - 2 : min(n + 2, len(word)) + 1]
        cost = min(ends, default=math.inf)
        if cost <= 9:
            context = math.log(p[corrector.words._ids[i]]) + float(corrector.words._shares[i])
            prior = WEIGHTS.context * context + WEIGHTS.frequency * float(
                corrector.words.frequencies[i]
            )
            scores[word] = prior - cost, math.exp(context)
    return {word: scores[word][1] for word in sorted(scores, key=lambda w: -scores[w][0])}


LETTERS = st.text("aeochlmrstvç", min_size=1, max_size=4)


@settings(deadline=None, max_examples=25)
@given(
    word=st.sampled_from([*WORDS, *LISTED]).filter(lambda w: len(w) > 3),
    cut=st.integers(3, 12),
    at=st.integers(0, 11),
    letters=LETTERS,
    kind=st.sampled_from(["replace", "insert", "delete", "swap"]),
)
def test_words_that_begin_nearly_so_are_found_by_the_channel(module, word, cut, at, letters, kind):
    word, at = word.lower(), at % (len(word) - 1)
    typed = {
        "replace": word[:at] + letters[0] + word[at + 1 :],
        "insert": word[:at] + letters[0] + word[at:],
        "delete": word[:at] + word[at + 1 :],
        "swap": word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    }[kind][:cut]
    expected = nearly(module, "ela vai", typed)
    (begun,) = rows(completions(module, ["ela vai"], [typed]))
    found = fill(module, "ela vai", typed)
    if typed in VOCABULARY.tokens:  # next words follow instead
        return
    assert [w.lower() for w in found] == [w for w in expected if w not in map(str.lower, begun)]
    for w, p in found.items():
        assert p == pytest.approx(expected[w.lower()], rel=1e-3)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("cachoro", "cachorro"),
        ("mercdo", "mercado"),
        ("escla", "escola"),
        ("almossar", "almoçar"),
        ("telefne", "telefone"),
        ("Telefne", "Telefone"),
        ("TELEFNE", "TELEFONE"),
        ("oje", "hoje"),
        ("rpofes", "professor"),
        ("tanb", "também"),
        ("brazil", "Brasil"),
    ],
)
def test_errors_are_completed(module, typed, meant):
    assert next(iter(fill(module, "ela vai", typed))) == meant


@pytest.mark.parametrize(
    "typed",
    ["", "m", "xm", "mr", ",", "12", "1987", "14h", "merc4", "eu vou", "<s>", "xyzq", "m" * 99],
)
def test_places_stay_free(module, typed):
    assert fill(module, "ela vai", typed) == {}


def test_a_row_does_not_depend_on_the_others(module):
    typed = ["mercdo", "vou", "", "x", "escla", "merca", "voce vai"]
    texts = ["ela", "eu", "o", "a", "ela vai", "ao", "ela"]
    together = rows(module.complete(tf.constant(texts), tf.constant(typed)))
    for text, prefix, row in zip(texts, typed, together, strict=True):
        (alone,) = rows(module.complete(tf.constant([text]), tf.constant([prefix])))
        assert [*row] == [*alone]
        assert row == pytest.approx(alone, rel=1e-3)


def test_what_is_compared_is_bounded(module, monkeypatch):
    monkeypatch.setattr("pipeline.export.beginnings._CONSIDERED", 2)
    near = NearBeginnings(module.corrector.words, count=99)
    p = module.reader.probabilities(module.reader.read(tf.constant(["ela", "ela"])))
    words, _ = near.find(p, tf.constant(["merc", "mer"]))
    assert words.shape == (2, 2)
    # What is most probable before anything is typed; both begin so.
    everything = next(iter(rows(module.suggest(tf.constant(["ela"])))))
    begun = [word for word in everything if word.startswith("mercado")]
    assert {*begun} == {"mercado", "mercados"}
    assert {w.decode() for w in words[0].numpy()} == {*begun}
