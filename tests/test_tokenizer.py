"""The tokenizer: what it cuts, that it loses nothing, and the vocabulary beside it."""

import dataclasses
import doctest
import functools
import itertools
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from conftest import CHOICES, SAMPLE, vocabulary_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizer_cases import CASES

from pipeline import InputError
from pipeline.evaluation.keystrokes import unaided_keys
from pipeline.text import tokenizer
from pipeline.text.spacing import detokenize
from pipeline.text.tokenizer import (
    BREAK,
    Tokenizer,
    begin_paragraph,
    is_word,
    masks_case,
    normalise,
    open_paragraph,
    tokenize,
)
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID, Vocabulary

TEXT = tf.TensorSpec((None,), tf.string)
TOKENS = tf.RaggedTensorSpec((None, None), tf.string)
tokenize_in_graph = tf.function(tokenize, input_signature=[TEXT], autograph=False)
detokenize_in_graph = tf.function(detokenize, input_signature=[TOKENS])


def decoded(tokens: tf.RaggedTensor) -> list[list[str]]:
    return [[token.decode() for token in row] for row in tokens.to_list()]


def cut(*texts: str | bytes) -> list[list[str]]:
    return decoded(tokenize_in_graph(tf.constant(list(texts))))


@functools.cache
def cases_cut() -> list[list[str]]:
    return cut(*(text for text, _ in CASES))


@pytest.mark.parametrize(
    ("number", "text", "tokens"),
    [(number, *case) for number, case in enumerate(CASES)],
    ids=[f"{number}:{text[:30]!r}" for number, (text, _) in enumerate(CASES)],
)
def test_tokens(number, text, tokens):
    assert cases_cut()[number] == tokens.replace("¶", BREAK).split()


def test_the_table_is_long_and_says_nothing_twice():
    assert len({text for text, _ in CASES}) == len(CASES) >= 200


def test_example_in_the_docstring():
    failed, tried = doctest.testmod(tokenizer)
    assert tried > 0
    assert failed == 0


def test_invalid_utf8_becomes_replacement_characters():
    tokens = cut(b"p\xe3o \xff \xed\xa0\x80", "pão")
    assert tokens == [["p", "\ufffd", "o", "\ufffd", *["\ufffd"] * 3], ["pão"]]


def test_a_row_does_not_depend_on_the_others():
    texts = ["Pão d’água.", "pa\u0303o", b"p\xe3o", "한국 \u0915\u093c \u09c7\u09be", ""]
    assert cut(*texts) == [cut(text)[0] for text in texts]


def test_no_rows():
    tokens = tokenize(tf.constant([], tf.string))
    assert tokens.shape.as_list() == [0, None]
    assert detokenize(tokens).shape == (0,)
    assert masks_case(tokens.values).shape == (0,)


def as_seen(tokens: str, **choices) -> str:
    choices = {"case": "fold", "numbers": "keep", **choices}
    return b" ".join(normalise(tf.constant(tokens.split(" ")), **choices).numpy()).decode()


def test_a_model_sees_tokens_in_lower_case_or_as_they_are_written():
    tokens = "ÁGUA D'Água Sr. E.U.A. R$ 14H30 ÇÃO"
    assert as_seen(tokens) == "água d'água sr. e.u.a. r$ 14h30 ção"
    assert as_seen(tokens, case="keep") == tokens


def test_a_model_sees_numbers_as_one_class():
    numbers = "7 1888 1.234,56 14h30 50% 1.º 2ª 12/03/2020 2020-03-12 600$000 30°C 5km² 2x1 5‰"
    others = "covid-19 ½ R$ ana_2@uni.pt www.1.com # n.º nº º ° % - + XIX Dois a1 3m.com.br < num >"
    assert set(as_seen(numbers, numbers="class").split()) == {"<num>"}
    assert as_seen(others, numbers="class", case="keep") == others
    assert as_seen(f"{numbers} {others}", case="keep") == f"{numbers} {others}"


# Pieces that are tempted to join into other tokens when they meet.
PIECES = st.sampled_from(
    [
        *("Sr", "etc", "D", "p", "n", "a", "E", "R", "$", "US$", "1", "50", "%", "º", "ª", "°"),
        *("s", "@s", ":", "=", ")", "<3"),
        *(".", ".", "..", "…", ",", ":", ";", "!", "?", "-", "--", "—", "–", "/", "//", "'", "’"),
        *('"', "“", "”", "«", "(", ")", "[", "]", "{", "}", "<", ">", "_", "@", "#", "&", "+"),
        *("http", "https://", "www.", ".com", ".br", "casa", "água", "h", "30", "km", "²"),
        *(" ", " ", " ", " ", "\n", "\t", "\r\n", "\u00a0", "\u2028", "\x00", "\x02", "\u00ad"),
        *("\u200b", "\u0301", "\u0303", "\u0338", "ã", "🇧", "🇷", "👍", "🏽", "한", "\u1100\u1161"),
    ]
)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(PIECES).map("".join)
LATIN = [
    chr(code)
    for code in range(0x2000)
    if unicodedata.category(chr(code))[0] == "L" and "LATIN" in unicodedata.name(chr(code))
]
quick = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def letters(text: str) -> str:
    """Letters apart from their marks, so that no order of marks matters."""
    plain = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in plain if unicodedata.category(letter)[0] == "L")


@quick
@given(st.binary() | ANY_TEXT)
def test_tokens_have_no_white_space(text):
    [tokens] = cut(text)
    assert all(token and not any(map(str.isspace, token)) for token in tokens)


@quick
@given(ANY_TEXT)
def test_no_letter_is_lost(text):
    [tokens] = cut(text)
    # U+02BC is a letter to Unicode and an apostrophe to us.
    assert letters(" ".join(tokens)) == letters(text.replace("\u02bc", "'"))


@pytest.mark.slow
@quick
@given(ANY_TEXT)
@example("p . ex . Sr . . D .")
@example("14 : 30 50 % R $ 1 . º 2 ª n . º")
@example("a\n\u00a0\n.\n")
@example("“a ‘b” c’ d”")
@example("https://a ( b / c ? d , www.a.com / e")
@example("👍 🏽 🇧 🇷 ( 🏽 . / .")
@example("c / c , : ) ; ) = ) ! : ) ' : ' ) : / / km/s /m :( , :D . <3 , p /")
def test_tokenizing_again_changes_nothing(text):
    tokens = tokenize_in_graph(tf.constant([text]))
    again = tokenize_in_graph(detokenize_in_graph(tokens))
    assert decoded(again) == decoded(tokens)


@pytest.mark.slow
@quick
@given(ANY_TEXT)
def test_tokens_between_spaces_are_stable(text):
    [tokens] = cut(text)
    assert cut(" ".join(tokens).replace(BREAK, "\n")) == [tokens]


@quick
@given(PIECES, st.sampled_from([" ", "\t", "\u00a0", "\u200b ", "\x01"]), ANY_TEXT)
@example("arquivo", " ", "pt")
@example("a. .", " ", "b")
@example("<3", " ", "<3.<3")
@example(":)", " ", ";-)")
def test_a_space_before_a_stop_is_read_as_one_behind_it(before, blank, after):
    """But for the ordinals' and the ellipsis's."""
    if after.lstrip("\u00ad\u200b")[:1] not in {*".…ºª°"}:
        assert cut(f"{before}{blank}.{after}") == cut(f"{before}.{blank}{after}")


@pytest.mark.slow
@quick
@given(st.text(st.sampled_from([*LATIN, *" .-'1"])))
def test_composed_and_decomposed_latin_are_the_same(text):
    composed, decomposed = cut(*(unicodedata.normalize(form, text) for form in ("NFC", "NFD")))
    assert composed == decomposed


@pytest.mark.slow
@settings(quick, max_examples=50)
@given(st.lists(ANY_TEXT, min_size=1, max_size=3))
def test_tokens_are_the_same_eagerly_and_in_a_graph(texts):
    eager = tokenize(tf.constant(texts))
    assert decoded(eager) == cut(*texts)
    assert detokenize(eager).numpy().tolist() == detokenize_in_graph(eager).numpy().tolist()


WELL_SPACED = [
    "",
    "Bom dia!",
    "Ele bebeu água, comeu pão e saiu.",
    "O quê?! Não... Sim; claro: já.",
    'Ele disse "não" e foi-se.',
    '"Sim", disse a "outra".',
    "\"O 'sim' dela\", pensou.",
    '("Aspas entre parênteses.")',
    "Chegou (finalmente) o dia [sic].",
    "— Bom dia, disse ele.",
    "— Vem? — Vou. — Já?",
    "— Não sei — respondeu ela —, mas vou.",
    "– Quem é? – perguntou.",
    "Sei lá…",
    "Pois é… depois falamos.",
    "Subiu 50% em 2020, ou 2,5% ao mês.",
    "Custa R$ 1.234,56, ou US$ 300.",
    "Vão a 120 km/h e/ou param.",
    "Às 14h30, o Sr. José e a Sra. Ana, etc., saíram.",
    "D. Carmo, V. Ex.ª dirá: p. ex., o n.º 5.",
    "Art. 5.º, § 1º, da Lei 8.666/93.",
    "Escreva a ana@exemplo.com.br, ou veja www.exemplo.pt/ajuda.",
    "Um copo d'água, um guarda-chuva e dar-lhe-ia tudo.",
    "Primeiro parágrafo.\nSegundo parágrafo.",
    "— Você vem?\n— Vou.\n— Então vem!",
    "Ele disse 'sim' ou 'não'.",
    "Na turma de '98.\n'Tá bom!",
    "Com 2 e/ou 3 c/ 5 (s/n), a/b/c.",
    "Oi p/ todos, c/ amor e s/ pressa: tod@s juntos c/c S/A :)",
    "Que bom :-D, te amo <3. (Ou não :/)",
    "Um Ph.D. cobra Cr$ 5 pela Lei n. 8.078, op. cit.",
    'Ele leu: "fechado".\n"Abre às 8h", disse alguém.',
    '"Abre aspas e não fecha.\n"Nem aqui.',
    "Em 12/03/2020, às 7:05, fez 30°C.",
    "A idéia da lingüiça é de 1888.",
    "Amei 😍 o Brasil 🇧🇷!",
    "oi @ana, veja #praia",
    "Era assim {ou quase}.",
]


@pytest.mark.parametrize("text", WELL_SPACED)
def test_well_spaced_text_comes_back(text):
    expected = text.replace("...", "…")
    assert detokenize(tokenize(tf.constant([text]))).numpy()[0].decode() == expected


def keys_typed(tokens: tf.RaggedTensor) -> list[int]:
    """Keys without suggestions of rows of tokens, each ending with a paragraph's end."""
    forms = sorted({token.decode() for token in tokens.values.numpy()} - {BREAK})
    vocabulary = vocabulary_of(*forms)
    ids = {token: i for i, token in enumerate(vocabulary.tokens)} | {BREAK: BEGIN_ID}
    rows = [[ids[token] for token in [*row, BREAK]] for row in decoded(tokens)]
    stream = np.array([BEGIN_ID, *(i for row in rows for i in row)], np.int32)
    letters = np.array([1 if i == BEGIN_ID else len(vocabulary.tokens[i]) for i in stream])
    keys = unaided_keys(stream, letters, vocabulary)
    return [part.sum() for part in np.split(keys, np.cumsum([*map(len, rows)]))[:-1]]


# Words, marks, and all that the spacing joins.
TOKEN_LISTS = st.lists(
    st.sampled_from(
        [
            *("Ela", "e", "c", "12", "c/", ":)", "d'água", "n.º", BREAK),
            *".,:=?…!;()[]{}\"\"''//—-&%",
        ]
    )
)


@settings(quick, max_examples=50)
@given(st.lists(TOKEN_LISTS, min_size=1, max_size=3))
@example([["a", "'", "b", "'", "c"], ["a", "/", "b"], ["a", '"', "b"], ["a", "/", "b", "/", "c"]])
def test_the_keys_of_a_text_are_its_characters(rows):
    tokens = tf.ragged.constant(rows, tf.string, ragged_rank=1)
    lengths = [len(text.decode()) + 1 for text in detokenize_in_graph(tokens).numpy()]
    assert keys_typed(tokens) == lengths


@pytest.mark.slow
def test_the_keys_of_the_sample_are_its_characters():
    files = sorted(SAMPLE.rglob("*.txt"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").split("\n")]
    tokens = tokenize_in_graph(tf.constant([*filter(None, lines)]))
    text = detokenize_in_graph(tokens)
    assert keys_typed(tokens) == (tf.strings.length(text, "UTF8_CHAR") + 1).numpy().tolist()
    assert len(text) > 5_000


def test_what_is_unknown_is_spaced_as_a_word():
    vocabulary = vocabulary_of("/", "(")
    stream = np.array([BEGIN_ID, 3, UNKNOWN_ID, 2, UNKNOWN_ID, UNKNOWN_ID, BEGIN_ID])
    assert unaided_keys(stream, np.array([1, 1, 5, 1, 3, 4, 1]), vocabulary).tolist() == [
        1, 5, 1, 4, 4, 1,
    ]  # fmt: skip


@quick
@given(TOKEN_LISTS)
def test_what_is_written_does_not_wait_for_what_follows(tokens):
    rows = tf.ragged.constant([tokens[:end] for end in range(len(tokens) + 1)], tf.string, 1)
    texts = detokenize_in_graph(rows).numpy()
    assert all(longer.startswith(text) for text, longer in itertools.pairwise(texts))


def test_vocabulary_comes_back_from_its_file(tmp_path):
    words = ('"', "'", "\\", "#", ",", "água", "d'água", "…", "\u2026", "\ufffd")
    upper = {word: word.upper() for word in words}
    vocabulary = vocabulary_of(*words, displays=upper)
    vocabulary = dataclasses.replace(vocabulary, counts=tuple(range(12)))
    vocabulary.save(tmp_path / "vocabulary.tsv")
    assert Vocabulary.load(tmp_path / "vocabulary.tsv") == vocabulary
    assert len(vocabulary) == 12


@pytest.mark.parametrize("case", ["fold", "keep"])
@pytest.mark.parametrize("numbers", ["keep", "class"])
def test_choices_come_back_with_the_vocabulary(tmp_path, case, numbers):
    vocabulary = vocabulary_of("Água", case=case, numbers=numbers)
    vocabulary.save(tmp_path / "vocabulary.tsv")
    loaded = Vocabulary.load(tmp_path / "vocabulary.tsv")
    assert (loaded.case, loaded.numbers) == (case, numbers)
    assert loaded.same_ids(vocabulary)
    assert loaded.same_ids(vocabulary_of("Água")) == ((case, numbers) == ("fold", "keep"))
    assert not loaded.same_ids(vocabulary_of("Café", case=case, numbers=numbers))


@pytest.mark.parametrize(
    "content",
    [None, "", "[]", "{", '{"case": "fold"}', '{"case": "upper", "numbers": "keep"}', "\xff"],
)
def test_missing_or_invalid_choices_are_refused_in_one_sentence(tmp_path, content):
    vocabulary_of("água").save(tmp_path / "vocabulary.tsv")
    choices = tmp_path / "tokenizer.json"
    choices.unlink()
    if content is not None:
        choices.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match="run `nextword tokenize` again") as raised:
        Vocabulary.load(tmp_path / "vocabulary.tsv")
    assert str(choices) in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"<unk>\t<unk>\t1\n<s>\t<s>\n",
        b"<unk>\t<unk>\t1\n<s>\t<s>\tmany\n",
        b"<unk>\t<unk>\t1\n<s>\t<s>\t2\n\n",
        b"<unk>\t<unk>\t1\n",
        b"<s>\t<s>\t1\n<unk>\t<unk>\t2\n",
        b"a\ta\t1\nb\tb\t2\n",
        b"<unk>\t<unk>\t1\n<s>\t<s>\t2\n\xff\t\xff\t3\n",
    ],
)
def test_a_file_that_is_no_vocabulary_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "vocabulary.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        Vocabulary.load(path)
    message = str(raised.value)
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message


def test_ids():
    to_ids = Tokenizer(vocabulary_of("água", "boa", "."))
    texts = ["Água boa.", "água ruim\nboa", "", "\n \u2028 Boa\n\u00a0", "a\u0301gua"]
    assert to_ids(tf.constant(texts)).to_list() == [
        [BEGIN_ID, 2, 3, 4],
        [BEGIN_ID, 2, UNKNOWN_ID, BEGIN_ID, 3],
        [BEGIN_ID],
        [BEGIN_ID, 3],
        [BEGIN_ID, 2],
    ]


def test_special_tokens_typed_by_a_person_are_plain_tokens():
    to_ids = Tokenizer(vocabulary_of("<", "s", ">", "unk", "num", "<num>", numbers="class"))
    assert to_ids(tf.constant(["<s> <unk>", "\x02", "<num> 50%"])).to_list() == [
        [BEGIN_ID, 2, 3, 4, 2, 5, 4],
        [BEGIN_ID],
        [BEGIN_ID, 2, 6, 4, 7],
    ]


def test_ids_of_a_continued_text_are_those_of_the_whole():
    to_ids = Tokenizer(vocabulary_of("água", "boa", "."))
    first, then = to_ids(tf.constant(["Água"])), to_ids.ids(tf.constant(["\nBoa."]))
    assert [*first[0].numpy(), *then[0].numpy()] == to_ids(tf.constant(["Água\nBoa."])).to_list()[0]


@pytest.mark.parametrize("blank", ["", " ", "\n", "\u2028", "\u00a0\t\r\n\u200b", "\x02\ufeff\x85"])
def test_invisible_characters_at_the_ends_are_skipped(blank):
    text = tf.constant([f"{blank}Um\u2028dois.{blank}", blank])
    begun = begin_paragraph(text).numpy().tolist()
    assert begun == [f"\nUm\u2028dois.{blank}".encode(), b"\n"]
    assert open_paragraph(text).numpy().tolist() == ["\nUm\u2028dois.".encode(), b"\n"]


@pytest.fixture(scope="module", params=CHOICES, ids=lambda choices: "-".join(choices.values()))
def tokenizers(request, tmp_path_factory):
    """A tokenizer that knows the table's tokens: eager, in a graph, and come back from a file."""
    tokens = tokenize_in_graph(tf.constant([text for text, _ in CASES])).values
    known = sorted({token.decode() for token in normalise(tokens, **request.param).numpy()})
    eager = Tokenizer(vocabulary_of(*(token for token in known if token != BREAK), **request.param))
    module = tf.Module()
    module.tokenizer = eager
    module.ids = tf.function(eager.__call__, input_signature=[TEXT], autograph=False)
    folder = str(tmp_path_factory.mktemp("module"))
    tf.saved_model.save(module, folder)
    return eager, module.ids, tf.saved_model.load(folder).ids


def test_every_token_of_the_table_is_known(tokenizers):
    ids = tokenizers[0](tf.constant([text for text, _ in CASES]))
    assert UNKNOWN_ID not in ids.values.numpy()


@settings(quick, max_examples=10)
@given(st.lists(ANY_TEXT | st.sampled_from([text for text, _ in CASES]), min_size=1, max_size=9))
@example([text for text, _ in CASES])
def test_ids_are_the_same_eagerly_in_a_graph_and_loaded(tokenizers, texts):
    eager, *others = (ids(tf.constant(texts)).to_list() for ids in tokenizers)
    assert others == [eager, eager]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("água Brasil guarda-chuva d'água dar-lhe-ia é a Москва nº covid-19 AT&T p&b", True),
        ("alun@s p/ S/A s/n", True),
        ("Sr. sr. etc. Exmo. D. d. E.U.A. e.u.a. S.A. p. n.º Ex.ª a.C. p.ex.", True),
        (". , … ! ? ; : — – - \" ' ( ) / & % § º ª _ < > 😍 :) :d <3 @", False),
        ("1 14h30 1.234,56 50% 1.º 2ª 12/03/2020 30°C ½", False),
        ("<unk> <s> <num> \x02 R$ US$ $ €", False),
        ("ana@exemplo.com www.exemplo.com exemplo.com.br https://exemplo.org @ana #praia", False),
    ],
)
def test_is_word(tokens, expected):
    tokens = tokens.split(" ")
    verdicts = dict(zip(tokens, is_word(tokens).numpy().tolist(), strict=True))
    assert verdicts == dict.fromkeys(tokens, expected)


def test_every_kind_of_token_is_judged_alike_when_folded():
    surface = tokenize(tf.constant([text for text, _ in CASES])).values
    folded = normalise(surface, case="fold", numbers="keep")
    assert is_word(folded).numpy().tolist() == is_word(surface).numpy().tolist()


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("Ele foi. Ela ficou", "Ele Ela"),
        ("O Sr. José e D. Ana", "O"),
        ("— Vem? Vou", "— Vem Vou"),
        ("Disse: “Não sei”", 'Disse " Não'),
        ("Um\nDois (Três)", "Um Dois Três"),
        ("Sim… Talvez, Ana", "Sim Talvez"),
        ("", ""),
    ],
)
def test_masks_case(text, opening):
    tokens = tokenize(open_paragraph(tf.constant([text]))).values
    first = tf.boolean_mask(tokens[1:], masks_case(tokens)[:-1]).numpy()
    assert b" ".join(first).decode() == opening


def test_the_first_token_of_every_text_may_owe_its_capital_to_its_position():
    texts = tf.constant(["Um dois", "", "Três", "Quatro cinco"])
    tokens = tokenize(open_paragraph(texts)).values
    words = tf.not_equal(tokens[1:], BREAK)
    masked = tf.boolean_mask(masks_case(tokens)[:-1], words)
    assert masked.numpy().tolist() == [True, False, True, True, False]


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (tokenize, TEXT),
        (Tokenizer(vocabulary_of("água", numbers="class")), TEXT),
        (is_word, TEXT),
        (masks_case, TEXT),
        (detokenize, TOKENS),
    ],
    ids=["tokenize", "Tokenizer", "is_word", "masks_case", "detokenize"],
)
def test_the_graph_holds_core_operations_only(function, signature):
    graph = (
        tf.function(function, autograph=False).get_concrete_function(signature).graph.as_graph_def()
    )
    bodies = {body.signature.name: body.node_def for body in graph.library.function}
    kinds = {node.op for nodes in (graph.node, *bodies.values()) for node in nodes}
    assert any("String" in kind or "Regex" in kind for kind in kinds)
    assert {kind for kind in kinds - set(bodies) if not hasattr(tf.raw_ops, kind)} == set()
    assert not {"PyFunc", "PyFuncStateless", "EagerPyFunc"} & kinds


def test_the_largest_pattern_fits_in_memory(capfd):
    """RE2 tells on stderr when it runs out of memory, and is many times slower then."""
    every_letter = [chr(code) for code in range(0x20, 0x10000) if not 0xD800 <= code < 0xE000]
    texts = ["".join(every_letter[start::97]) for start in range(97)]
    tokenize(tf.constant([*texts, *(text for text, _ in CASES)]))
    assert "out of memory" not in capfd.readouterr().err
