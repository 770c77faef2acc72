"""Capitals, and words that are completed: what a person sees of a model's words."""

import dataclasses
import itertools
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from conftest import SAMPLE, SUBWORDS, completions, random_model, trained, vocabulary_of
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import MARKS, WORDS, write_documents

from pipeline.evaluation.keystrokes import Completions, mark_outside
from pipeline.export.saved_model import NextWord, step_function
from pipeline.model.language_model import load_model
from pipeline.model.meter import Meter
from pipeline.text.lexicon import Lexicon
from pipeline.text.suggestible import MISSING_ACCENT, WHOLE
from pipeline.text.tokenizer import BREAK, Tokenizer, is_word, tokenize
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.encoded import Encoded
from pipeline.tokens.tokenize import tokenize as write_tokens

VOCABULARY = vocabulary_of(*MARKS, *WORDS, displays={"brasil": "Brasil", "sr.": "Sr."})
SHOWN = {*WORDS, "Brasil", "Sr."} - {"brasil", "sr."}


@pytest.fixture(scope="module")
def module():
    return NextWord(random_model(vocabulary=VOCABULARY), VOCABULARY, suggestions=5)


@pytest.fixture(scope="module")
def all_words():
    """Completes with every word that fits."""
    return NextWord(random_model(vocabulary=VOCABULARY), VOCABULARY, suggestions=99)


def rows(answer):
    """Words and probabilities of each text, without what fills a row."""
    found = []
    for words, shares in zip(*(answer[k].numpy() for k in ("words", "probabilities")), strict=True):
        assert [bool(word) for word in words] == [p > 0 for p in shares]
        found.append({w.decode(): float(p) for w, p in zip(words, shares, strict=True) if w})
        assert len(found[-1]) == np.count_nonzero(shares)  # none twice
    return found


def complete(module, text, prefix):
    return [*rows(completions(module, [text], [prefix]))[0]]


SENTENCES = [
    ("", True),
    (" \n", True),
    ("Ela acaba.", True),
    ("Ela acaba?! ", True),
    ("E…", True),
    ("Ela...", True),
    ("Ela\n", True),
    ("Ela.\n— ", True),
    ('Ela acaba. "', True),
    ("Ela acaba. “", True),
    ("Ela acaba. (", True),
    ("(Ela acaba.) ", True),
    ("Ela (acaba) ", False),
    ("Ela acaba", False),
    ("Ela acaba,", False),
    ("— E", False),
    ("Ela — ", False),
    ('Ela acaba "', False),
    ("O Sr.", False),
    ("Ela. E", False),
    ("Ela. xyz", False),
]


def test_a_sentence_begins_with_a_capital(module):
    texts = tf.constant([text for text, _ in SENTENCES])
    begun = module.complete(texts, tf.fill([len(SENTENCES)], ""))
    suggested = module.suggest(texts)
    assert (begun["words"].numpy() == suggested["words"].numpy()).all()
    for (text, begins), row in zip(SENTENCES, rows(suggested), strict=True):
        forms = {word[0].upper() + word[1:] for word in SHOWN} if begins else SHOWN
        assert set(row) <= forms, text


def test_the_state_knows_where_a_sentence_begins(module):
    step = step_function(module.reader, module.words)
    texts = [text for text, _ in SENTENCES if text.strip() and " " in text.strip()]
    whole = module.suggest(tf.constant(texts))["words"].numpy()
    state = tf.zeros((len(texts), module.reader.state_size))
    for part in zip(*(text.partition(" ") for text in texts), strict=True):
        answer = step(tf.constant(part), state)
        state = answer["state"]
    assert (answer["words"].numpy() == whole).all()


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("voce", {"você", "vocês"}),
        ("você", {"você", "vocês"}),
        ("VOCE", {"VOCÊ", "VOCÊS"}),
        ("Voce", {"Você", "Vocês"}),
        (" voce ", {"você", "vocês"}),
        ("voce\u0302", {"você", "vocês"}),  # typed as two characters
        ("\xadvo\u200bce", {"você", "vocês"}),
        ("aca", {"acabou", "acaba", "acabam", "acabar", "ação"}),
        ("aç", {"ação", "aço", "açúcar"}),
        ("açu", {"açúcar"}),
        ("acã", {"ação"}),  # one of two accents
        ("acá", set()),  # another accent than any word has
        ("bras", {"Brasil"}),
        ("BR", {"BRASIL"}),
        ("d’a", {"d'água"}),
        ("sr", {"Sr."}),
        ("SR.", {"SR."}),
        ("A", {"A", "Ação", "Acabou", "Acaba", "Acabam", "Acabar", "Aço", "Açúcar", "Água", "Avó",
               "Avô", "Avança"}),
        ("zz", set()),
        ("vocês", {"vocês"}),
        ("vocêss", set()),
        ("voce" * 20, set()),
        ("<unk>", set()),
        (",", set()),
        ("", SHOWN),
    ],
)  # fmt: skip
def test_accents_and_capitals_may_be_missing(all_words, prefix, expected):
    assert set(complete(all_words, "ela", prefix)) == expected


EXPECTED = {
    "eu": 0.05, "ele": 0.04, "e": 0.03, "é": 0.02, "ela": 0.015, "éramos": 0.0001,
    "você": 0.025, "vou": 0.006, "vai": 0.005, "vocês": 0.001, "vôlei": 0.0004, "vó": 0.0002,
    "vô": 0.0001, "ação": 0.02, "acabou": 0.004, "acaba": 0.001, "acabam": 0.0001, "a": 0.02,
}  # fmt: skip


@pytest.fixture(scope="module")
def by_hand():
    """Three completions after «ela» by a model of given probabilities."""
    vocabulary = vocabulary_of(".", *EXPECTED)
    model = random_model("simple_rnn", vocabulary, scale=0.0)
    module = NextWord(model, vocabulary, suggestions=3)

    def after(prefix, probabilities):
        rest = 1 - sum(probabilities)
        model.output_bias.assign(np.log([rest / 2, rest / 4, rest / 4, *probabilities]))
        return rows(completions(module, ["ela"], [prefix]))[0]

    return after


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("vo", ["você", "vou", "vocês"]),  # not vó, vô, vôlei
        ("e", ["eu", "ele", "ela"]),  # not e, é, éramos
        ("vó", ["vó"]),
        ("voce", ["você", "vocês"]),
        ("você", ["você", "vocês"]),  # 0.025 WHOLE
        ("aca", ["acabou", "ação", "acaba"]),  # 0.02 MISSING_ACCENT lies between
        ("", ["eu", "ele", "e"]),
    ],
)
def test_probable_words_that_fit_come_first(by_hand, prefix, expected):
    words = by_hand(prefix, EXPECTED.values())
    assert [*words] == expected
    assert words == {word: pytest.approx(EXPECTED[word], rel=1e-4) for word in expected}


def bare(word):
    letters = unicodedata.normalize("NFD", word.lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@settings(deadline=None, max_examples=60)
@given(
    levels=st.lists(st.integers(1, 6), min_size=len(EXPECTED), max_size=len(EXPECTED)),
    prefix=st.sampled_from(["", "e", "é", "v", "vo", "vó", "voc", "a", "ac", "aç", "aca"]),
)
def test_suggestions_are_ranked_by_the_noisy_channel(by_hand, levels, prefix):
    """p(word) · p(typed | word), and the lower id first where two are equal."""
    shares = np.array(levels) / 1000
    scores = {}
    for word, share in zip(EXPECTED, shares, strict=True):
        begins = word[: len(prefix)]
        if begins == prefix:
            scores[word] = share * (WHOLE if word == prefix else 1)
        elif bare(begins) == prefix:
            scores[word] = share * MISSING_ACCENT
    best_first = sorted(scores, key=lambda word: -scores[word])  # stable
    assert [*by_hand(prefix, shares)] == best_first[:3]


def test_probabilities_are_over_all_words(all_words):
    texts = ["ela", "você acaba. ", "O"]
    shares = [
        {word.lower(): p for word, p in row.items()}
        for row in rows(all_words.suggest(tf.constant(texts)))
    ]
    found = rows(completions(all_words, texts, ["voce", "a", "br"]))
    assert [len(row) for row in found] == [2, 12, 1]
    for row, of_all in zip(found, shares, strict=True):
        for word, p in row.items():
            assert p == pytest.approx(of_all[word.lower()], rel=1e-4)


@settings(deadline=None, max_examples=40)
@given(texts=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=6)), min_size=1, max_size=4))
def test_suggestions_begin_with_what_is_typed(texts, module):
    text, prefix = zip(*texts, strict=True)
    data = [[t.encode(errors="replace") for t in column] for column in (text, prefix)]
    for typed, row in zip(prefix, rows(completions(module, *data)), strict=True):
        assert all(is_word(word.lower()) for word in row)
        if typed.isalnum() and unicodedata.is_normalized("NFKD", typed.lower()):
            assert all(bare(word).startswith(bare(typed)) for word in row)


def test_capitals_do_not_duplicate_words():
    words = ("ela", "Ela", "ELA", "rio", "Rio", "a", "A")
    vocabulary = vocabulary_of(".", *words, case="keep")
    module = NextWord(random_model(vocabulary=vocabulary), vocabulary, suggestions=99)
    assert module.words.suggestions == 3
    (inside,) = rows(module.suggest(tf.constant(["ela a"])))
    assert set(inside) <= set(words)
    (begins,) = rows(module.suggest(tf.constant(["ela a."])))
    assert set(begins) <= {"Ela", "ELA", "Rio", "A"}
    assert set(complete(module, "ela", "EL")) == {"ELA"}
    assert set(complete(module, "ela", "r")) == {"rio", "Rio"}


@pytest.mark.parametrize("case", ["fold", "keep"])
def test_subwords_are_completed(case):
    vocabulary = dataclasses.replace(SUBWORDS, case=case)
    module = NextWord(random_model("gru", vocabulary), vocabulary, suggestions=3)
    shares = {}
    for prefix in ("casas", "brasile", "ca", "Bras", "BRASILEIRO", "cá", "x", ""):
        (found,) = rows(completions(module, ["casa do"], [prefix]))
        assert all(word.lower().startswith(prefix.lower()) for word in found)
        shares |= {word.lower(): p for word, p in found.items()}
    assert complete(module, "casa", "brasileiro")[0] == "brasileiro"
    assert "BRASILEIRO" in complete(module, "casa", "BRASILEIR")
    assert "Brasileiro" in complete(module, "casa.", "brasileir")
    assert complete(module, "casa", "brasi")[0] in ("Brasil", "brasileiro")
    assert "brasileiro" in shares
    assert complete(module, "casa", "á") == []


CHATS = sorted((SAMPLE / "conversas").glob("*.txt"))
# Words that begin as others do, some in the text, with ties.
LISTED = """
    acaso acabado açude agora-agora amanhecer bolsa bolsão bola combinado combinada combinar
    demorar demorado difícil dificilmente entendi entender entendido esperança espera falou
    falaram fazendo fazenda feira festa gente-boa horário horas importante imprimir jeitinho
    joia levando levantar mandei mandando mensagem mercado mercadoria nervosa nenhuma ótimas
    pagamento pagar papelada perdão perder perto picanha prometo quase receita reunião sábado
    sabão segunda-feira sério sorte tarde tardinha terça trabalhando trânsito última vizinha
    vizinho zelador
""".split()


@pytest.fixture(scope="module")
def chats(tmp_path_factory):
    """A small model of some chats of the sample, in the folder that `train` wrote."""
    folder = tmp_path_factory.mktemp("chats")
    texts = [path.read_text(encoding="utf-8") for path in CHATS[:6]]
    documents = write_documents(folder, {"train": texts, "valid": texts[:1], "test": texts[:1]})
    write_tokens(documents, folder, config=VocabularyConfig(vocabulary_size=500, min_count=1))
    # The cell that compiles fastest.
    options = {"cell": "feedforward", "embedding": 32, "units": 32, "window": 20, "epochs": 2}
    trained(folder, folder / "training", **options)
    return folder / "training"


@pytest.mark.parametrize("lists", [None, [], [LISTED]], ids=["vocabulary", "rare", "listed"])
def test_typing_with_the_exported_model_takes_the_keystrokes_measured(chats, tmp_path, lists):
    text = CHATS[6].read_text(encoding="utf-8")[:2000].strip()
    vocabulary = Vocabulary.load(chats / "vocabulary.tsv")
    lexicon = Lexicon.of(vocabulary)
    if lists is not None:
        for words in lists:
            lines = [f"{word}\t{n % 7 + 1}\n" for n, word in enumerate(words)]
            (tmp_path / "words.txt").write_text("".join(lines), encoding="utf-8")
        lexicon = Lexicon.load(chats, vocabulary, [str(tmp_path / "words.txt")] * len(lists))
    encoded = Encoded.of(Tokenizer(vocabulary), [text.encode()])
    places = lexicon.numbers([token.decode() for token in encoded.unknown])
    targets = np.unique(places[places >= 0])
    model = load_model(chats, batch_size=1)
    words = Completions.of(vocabulary, lexicon, targets.tolist())
    meter = Meter(model, find=words.find)
    got = meter.measure(mark_outside(encoded.ids, places, targets), batch_size=1)
    typed = got.typed

    module = NextWord(load_model(chats), vocabulary, suggestions=3, lexicon=lexicon)
    written = [token.decode() for token in tokenize(tf.constant([text])).values.numpy()]
    before = [" ".join(written[:i]).replace(BREAK, "\n") for i in range(len(written))]
    pressed = np.full(len(written), -1)
    left = [i for i, token in enumerate(written) if is_word(token.lower())]
    assert len(left) > 300
    for count in itertools.count():  # letters typed
        left = [i for i in left if pressed[i] < 0 and count < len(written[i])]
        if not left:
            break
        columns = [before[i] for i in left], [written[i][:count] for i in left]
        for i, row in zip(left, rows(module.complete(*map(tf.constant, columns))), strict=True):
            if written[i].lower() in map(str.lower, row):
                pressed[i] = count
    assert np.count_nonzero(pressed == 0) > 20
    assert np.count_nonzero(pressed > 0) > 100
    np.testing.assert_array_equal(pressed, typed)
    # More than a few of the words that the vocabulary lacks are among them.
    assert np.count_nonzero(got.outside & (pressed >= 0)) >= (20 if lexicon else 0)
    assert got.outside.any() == bool(lexicon)
    np.testing.assert_array_equal(pressed == 0, (got.word_rank < 3) & (typed >= 0))
