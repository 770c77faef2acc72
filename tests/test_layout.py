"""Empty lines, widths and hyphens decide which lines are one paragraph.

tests/formats has a file of each kind: a book with page breaks, double spacing, captions, mail, a
tender notice, a gazette, a law.
"""

import collections
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_books import PROSE, VERSE, sentences, wrapped

from pipeline.corpus import hyphens
from pipeline.corpus.books import paragraphs
from pipeline.corpus.hyphens import Spelling, join


def broken_by_hand(paragraph: str, seed: int = 0) -> str:
    """Lines of 45 to 80 characters."""
    chance = random.Random(seed)
    lines, width = [""], 60
    for word in paragraph.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
            width = chance.randint(45, 80)
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "Chegou antes do prazo e veio muito bem embalado, adorei\nrecomendo",
        "acordei cedo hoje pra ver o jogo com a galera toda da rua\nperdemos feio, fiquei muito "
        "triste mesmo viu, gente do céu\nmas tá bom",
        "Rua das Acácias, 120, fundos, ao lado da padaria do seu Manuel\napartamento 31",
    ],
)
def test_few_lines_that_go_on_tell_of_no_width(text: str) -> None:
    assert paragraphs(text) == text.split("\n")


@given(st.lists(sentences, min_size=1, max_size=6), st.integers(0, 9))
def test_empty_lines_decide_where_lines_are_broken_by_hand(found: list[str], seed: int) -> None:
    # Verse keeps its lines, and so does what might be.
    found = [*PROSE, *PROSE, *(sentence for sentence in found if len(sentence) < 40)]
    text = "\n\n".join(broken_by_hand(paragraph, seed) for paragraph in found)
    assert paragraphs(text) == found


def test_verse_stays_between_paragraphs_broken_by_hand() -> None:
    text = "\n\n".join([broken_by_hand(PROSE[0]), VERSE, broken_by_hand(PROSE[1], 1)])
    verses = [line for line in VERSE.splitlines() if line]
    assert paragraphs(text) == [PROSE[0], *verses, PROSE[1]]


def test_a_full_stop_at_a_line_end_cuts_no_paragraph_between_empty_lines() -> None:
    ragged = (
        "Ninguém sabia ao certo quem tocava naquela casa tão velha.\nDiziam uns que era a filha"
    )
    text = "\n\n".join([*map(wrapped, PROSE), f"{ragged} do médico.", *map(wrapped, PROSE)])
    assert paragraphs(text) == [*PROSE, " ".join(f"{ragged} do médico.".split()), *PROSE]


@pytest.mark.parametrize("gap", ["\n\n\n\n", "\n\n\n", "\n \n \n \n"])
def test_a_gap_in_a_sentence_cuts_no_paragraph(gap: str) -> None:
    first, *rest = wrapped(PROSE[0]).splitlines()
    text = "\n\n".join(["\n".join([first + gap + rest[0], *rest[1:]]), *map(wrapped, PROSE)])
    assert paragraphs(text) == [PROSE[0], *PROSE]


def test_poems_chats_and_lists_that_are_double_spaced_keep_their_lines() -> None:
    verses = [line for line in VERSE.splitlines() if line] * 4
    chat = ["oi, tudo bem?", "tudo, e você", "vou sair agora", "e volto só de noite, viu"] * 4
    for lines in (verses, chat):
        assert paragraphs("\n\n".join(lines)) == lines


@pytest.mark.parametrize("item", ["1.2. {}", "a) {}", "§ 2º {}", "II - {}", "• {}", "Art. 5º {}"])
def test_an_item_opens_a_paragraph(item: str) -> None:
    items = [item.format(paragraph) for paragraph in PROSE]
    assert paragraphs("\n".join(map(wrapped, items * 2))) == items * 2


def test_a_number_that_a_sentence_needs_opens_none() -> None:
    line = "Não se aplica a multa a quem chegar antes, nos termos do § 1º e do"
    text = f"{wrapped(PROSE[0])}\n\n{line}\n§ 2º do artigo oitavo desta mesma lei de que se fala.\n"
    assert paragraphs(text)[1].startswith(f"{line} § 2º do artigo")


CUTS = {
    "disse-lhes": "disse-/lhes", "trata-se": "trata-/se", "fazê-lo": "fazê-/lo",
    "dar-lhe-ia": "dar-lhe-/ia", "viram-no": "viram-/no", "pessoais": "pes-/soais",
    "fundamentos": "funda-/mentos", "palácio": "palá-/cio", "guarda-chuva": "guarda-/chuva",
    "gente": "gen-/te", "segunda-feira": "segunda-/feira", "bem-vindo": "bem-/vindo",
    "Grã-Bretanha": "Grã-/Bretanha", "ADMINISTRAÇÃO": "ADMINIS-/TRAÇÃO", "há-de": "há-/de",
}  # fmt: skip


@pytest.mark.parametrize("syllables", [True, False])
@pytest.mark.parametrize("lexicon", [True, False])
@pytest.mark.parametrize("whole", CUTS)
def test_a_hyphen_stays_where_it_belongs_to_the_word(
    whole: str, lexicon: bool, syllables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not lexicon:
        monkeypatch.setattr(hyphens, "_lexicon", dict)
    # "viram-no" needs the lexicon or a "viram" among words that are cut.
    words = collections.Counter(["viram", "vindo"])
    first, second = CUTS[whole].split("/")
    assert "".join(join(first, second, Spelling(words, syllables))) == whole


@pytest.mark.parametrize("hyphen", ["-", "\u2010", "¬", "\xad"])
def test_every_hyphen_at_the_end_of_a_line_goes(hyphen: str) -> None:
    law = f"Art. 1º É instituída a política de prote{hyphen}\nção dos rios e das fon{hyphen}\ntes."
    assert paragraphs(law) == ["Art. 1º É instituída a política de proteção dos rios e das fontes."]


@pytest.mark.parametrize(
    ("written", "closed"),
    [
        ("Ela disse- lhe que não.", "Ela disse-lhe que não."),
        ("Trata- se de um erro.", "Trata-se de um erro."),
        ("O palá- cio fica longe.", "O palácio fica longe."),
        ("Há micro- e macroempresas.", "Há micro- e macroempresas."),
        ("Foi para casa- no centro.", "Foi para casa- no centro."),
        ("- Não sei - disse ela.", "- Não sei - disse ela."),
    ],
)
def test_spaces_after_hyphens(written: str, closed: str) -> None:
    assert paragraphs(written) == [closed]


def test_marks_of_gutenberg_stay_where_they_may_be_something_else() -> None:
    text = ["use nome_da_coisa e _init_ aqui", "x^2 =a= [Nota 1: b] {12} [3]", "a_b e c_d"]
    assert paragraphs("\n".join(text)) == text
    assert paragraphs("A sr.^a leu\no n.^o 2.") == ["A sr.ª leu", "o n.º 2."]


def test_italics_in_pairs_are_marks_in_any_text() -> None:
    lines = [f"O jornal _Diário {n}_ saiu." for n in range(6)]
    assert paragraphs("\n".join(lines)) == [line.replace("_", "") for line in lines]
