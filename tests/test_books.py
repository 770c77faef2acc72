"""Undoing what print, conversion and Project Gutenberg did to a text."""

import itertools
import re
import textwrap

import pytest
from conftest import SAMPLE
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus.books import paragraphs

PROSE = [
    "A casa ficava no fim da rua, depois da ponte, e quem passava por ali à tarde ouvia sempre "
    "o mesmo piano. Ninguém sabia ao certo quem tocava. Diziam uns que era a filha do médico, "
    "outros que era a viúva; o padeiro, que entregava o pão, jurava que não havia piano nenhum.",
    "Um dia, quando a chuva parou, Marta resolveu bater à porta. Esperou muito. Por fim veio um "
    "velho de chapéu, olhou para ela com espanto e perguntou se trazia notícias do irmão, que "
    "embarcara havia trinta anos e nunca mais escrevera.",
]

# Broken where a page of print is, by width and not by letters; no blank line ends a paragraph.
PRINTED = """\
CAPÍTULO II
DO VIZINHO
Quando a tarde caía, os moradores da rua vinham todos para a janela, e quem
tivesse ouvidos podia saber, sem sair de casa, o preço do peixe, a doença da
comadre e o nome do noivo. Meu tio achava aquilo um escândalo. Minha mãe,
que gostava mais de ouvir que de falar, dizia-lhe que o mundo sempre fora assim.
— Pois não devia ser, respondia ele.
— Devia ou não devia, o certo é que é, e não serás tu quem há de mudar agora
o que está feito.
Meu tio calava-se e ia regar as couves.
"""
PRINTED_PARAGRAPHS = [
    "CAPÍTULO II",
    "DO VIZINHO",
    "Quando a tarde caía, os moradores da rua vinham todos para a janela, e quem tivesse "
    "ouvidos podia saber, sem sair de casa, o preço do peixe, a doença da comadre e o nome do "
    "noivo. Meu tio achava aquilo um escândalo. Minha mãe, que gostava mais de ouvir que de "
    "falar, dizia-lhe que o mundo sempre fora assim.",
    "— Pois não devia ser, respondia ele.",
    "— Devia ou não devia, o certo é que é, e não serás tu quem há de mudar agora o que está "
    "feito.",
    "Meu tio calava-se e ia regar as couves.",
]

VERSE = """\
O rio desce devagar a serra,
leva nas águas folhas e poeira,
e quem o vê passar da ribanceira
não sabe que ele leva a própria terra.

Assim também o tempo, que se encerra
no vidro fino de uma ampulheta,
"""


def wrapped(paragraph: str, width: int = 70, **options: str) -> str:
    return textwrap.fill(paragraph, width, break_on_hyphens=False, **options)


def test_paragraphs_of_a_text_with_one_paragraph_a_line_are_its_lines() -> None:
    assert paragraphs("\n\n".join(PROSE)) == PROSE
    assert paragraphs("\r\n".join(PROSE)) == PROSE


def test_paragraphs_leaves_the_sample_as_it_is() -> None:
    for path in SAMPLE.rglob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert paragraphs(text) == [line for line in text.split("\n") if line], path


def test_paragraphs_of_the_worked_example() -> None:
    example = [line.split("<-")[0] for line in str(paragraphs.__doc__).splitlines()[5:9]]
    *first, second = (line.strip() for line in example)
    assert paragraphs("\n".join(example)) == [" ".join(first), second]


def test_paragraphs_joins_the_lines_of_a_printed_book() -> None:
    assert paragraphs(PRINTED) == PRINTED_PARAGRAPHS


# Short words and wide lines: what is broken before fifty letters counts as verse.
words = st.text("abcdeghijlmnoprstuvçãéô", min_size=1, max_size=14)
sentences = st.lists(words, min_size=1, max_size=60).map(lambda found: " ".join(found) + ".")


@given(st.lists(sentences, min_size=1, max_size=6), st.integers(66, 110))
def test_paragraphs_undoes_textwrap(found: list[str], width: int) -> None:
    found = [*PROSE, *found]  # a width needs several lines
    text = "\n\n".join(wrapped(paragraph, width) for paragraph in found)
    assert paragraphs(text) == found


@given(st.lists(sentences, min_size=1, max_size=6), st.integers(66, 110))
def test_paragraphs_changes_nothing_the_second_time(found: list[str], width: int) -> None:
    once = paragraphs("\n".join(wrapped(paragraph, width) for paragraph in found))
    assert paragraphs("\n\n".join(once)) == once


@given(st.text())
def test_paragraphs_never_loses_a_letter(text: str) -> None:
    def letters(text: str) -> str:
        return "".join(text.replace("-", "").replace("\N{SOFT HYPHEN}", "").split())

    unquoted = re.sub(r"^(> ?)+", "", text, flags=re.MULTILINE) if "\n>" in text else text
    assert letters("".join(paragraphs(text))) == letters(unquoted)


def test_an_indented_line_begins_a_paragraph() -> None:
    # At this width the first paragraph ends in a full line, so that only the indentation tells.
    width = next(
        width
        for width in range(60, 120)
        if len(wrapped(PROSE[0], width).splitlines()[-1] + " Um") > width
    )
    first, second = (wrapped(paragraph, width) for paragraph in PROSE)
    assert paragraphs(f"{first}\n{second}") == [" ".join(PROSE)]
    second = wrapped(PROSE[1], width, initial_indent="    ")
    assert paragraphs(f"{first}\n{second}") == PROSE


def test_paragraphs_keeps_verse() -> None:
    assert paragraphs(VERSE) == [line for line in VERSE.splitlines() if line]


def test_paragraphs_keeps_verse_and_headings_inside_wrapped_prose() -> None:
    text = f"{wrapped(PROSE[0])}\n\nCANÇÃO\n\n{VERSE}\n{wrapped(PROSE[1])}"
    lines = [line for line in VERSE.splitlines() if line]
    assert paragraphs(text) == [PROSE[0], "CANÇÃO", *lines, PROSE[1]]


@pytest.mark.parametrize(
    "opening",
    [
        "— Não sei, respondeu a velha.",
        "– Não sei.",
        "- Não sei.",
        "CAPÍTULO XII",
        "O VELHO DO RIO",
        "Capítulo 3",
        "MARIA — Não sei.",
        "D. MANUEL — Não sei.",
    ],
)
def test_a_full_line_that_ends_a_sentence_does_not_swallow_what_opens_a_paragraph(
    opening: str,
) -> None:
    full = "Ele olhou para mim durante um minuto e depois disse que não viria mais."
    assert len(full) + 2 > 72
    assert paragraphs(f"{wrapped(PROSE[0], 72)}\n\n{full}\n{opening}\n") == [
        PROSE[0],
        full,
        opening,
    ]


def test_a_long_heading_does_not_swallow_what_follows() -> None:
    heading = "DE COMO O VELHO RESOLVEU UM DIA VOLTAR À TERRA DE SEU PAI E DE SUA MÃE"
    text = f"{wrapped(PROSE[0], 72)}\n{heading}\nEra em maio.\n"
    assert paragraphs(text) == [PROSE[0], heading, "Era em maio."]


def test_a_line_too_long_for_the_page_swallows_nothing_once_it_ends_a_sentence() -> None:
    long = (
        "Ele olhou para mim durante um minuto inteiro e sorriu, e depois, muito baixo, disse não."
    )
    assert paragraphs(f"{wrapped(PROSE[0], 72)}\n{long}\nEra em maio.\n") == [
        PROSE[0],
        long,
        "Era em maio.",
    ]


def test_an_unfinished_sentence_continues_in_a_name() -> None:
    line = "Naquela manhã de maio veio outra vez à nossa porta pela rua a velha"
    text = f"{wrapped(PROSE[0], 77)}\n{line}\nMarta e sorriu.\n"
    assert len(f"{line} Marta") < 75
    assert paragraphs(text) == [PROSE[0], f"{line} Marta e sorriu."]


def test_a_line_in_lower_case_is_no_sign_of_wrapping_among_many_that_are_not() -> None:
    messages = [f"Recebi a sua mensagem número {n}, que li com atenção e guardo." for n in range(9)]
    messages += ["oi, tudo bem? aqui está tudo bem, graças a deus, e a chuva", "parou, enfim"]
    assert paragraphs("\n".join(messages)) == messages


# Widths in a common typeface, in thousandths of its size.
TYPEFACE = {
    **dict.fromkeys("abdeghnopquLáàâãéêóôõú0123456789", 556),
    **dict.fromkeys("cksvxyzçJ", 500),
    **dict.fromkeys("ABEKPSVXYÁÀÂÉÊ", 667),
    **dict.fromkeys("CDHNRUÚÇ", 722),
    **dict.fromkeys("GOQÓÔ", 778),
    **dict.fromkeys("FTZ", 611),
    **dict.fromkeys("fIÍt.,;:!/ ", 278),
    **dict.fromkeys("iíjl'’", 222),
    **dict.fromkeys('r-()"“”', 333),
    **dict.fromkeys("mM", 833),
    **dict.fromkeys("—…", 1000),
    "w": 722,
    "W": 944,
}


def typeset(paragraphs: list[str], width: int) -> tuple[list[str], set[str]]:
    """Lines of a page of print, and the paragraphs whose ends one can see in them."""
    lines = [""]
    clear = set(paragraphs)
    for before, paragraph in itertools.pairwise(["", *paragraphs]):
        if paragraph[0].islower():  # as in chats: it looks as if a sentence went on
            clear -= {before, paragraph}
        for number, word in enumerate(paragraph.split()):
            longer = f"{lines[-1]} {word}".lstrip()
            fits = sum(TYPEFACE.get(letter, 556) for letter in longer) <= width
            if number == 0 and not fits:
                clear -= {before, paragraph}
            if number == 0 or not fits:
                lines.append(word)
            else:
                lines[-1] = longer
    return lines, clear


@pytest.mark.parametrize("width", [28_000, 34_000, 40_000])
def test_paragraphs_of_the_sample_are_recovered_from_print(width: int) -> None:
    lost = total = 0
    for path in SAMPLE.rglob("*.txt"):
        found = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
        lines, clear = typeset(found, width)
        lost += len(clear - set(paragraphs("\n".join(lines))))
        total += len(clear)
    assert total > 15_000
    assert lost < total / 50


def test_a_dash_inside_a_sentence_opens_no_paragraph() -> None:
    sentence = "O velho, que nunca saíra daquela cidade onde nascera o pai de seu pai, o"
    text = f"{wrapped(PROSE[0], 72)}\n\n{sentence}\n— diziam — maior dos avarentos, sorriu.\n"
    assert paragraphs(text)[1] == f"{sentence} — diziam — maior dos avarentos, sorriu."


def test_a_short_line_that_continues_in_lower_case_is_joined() -> None:
    text = f"{wrapped(PROSE[0])}\n\nNaquela manhã o homem veio outra vez com o seu pão\ne partiu.\n"
    assert paragraphs(text)[1] == ("Naquela manhã o homem veio outra vez com o seu pão e partiu.")


def around(cut: str) -> str:
    """The words that a cut becomes inside a wrapped book."""
    first, second = cut.split("\n")
    filler = "Naquele dia de chuva ninguém mais quis sair de casa nem por um minuto "
    line = filler[: 69 - len(first)].rpartition(" ")[0].ljust(69 - len(first), "x")
    text = f"{wrapped(PROSE[0])}\n\n{line} {first}\n{second} e nada mais aconteceu depois.\n"
    joined = paragraphs(text)[1]
    assert joined.startswith(line)
    return joined.removeprefix(line).removesuffix(" e nada mais aconteceu depois.").strip()


@pytest.mark.parametrize(
    ("cut", "whole"),
    [
        ("guarda-\nchuva", "guarda-chuva"),
        ("disse-\nlhe", "disse-lhe"),
        ("dar-\nlhe-ia", "dar-lhe-ia"),
        ("lua-de-\nmel", "lua-de-mel"),
        ("guarda-\n-chuva", "guarda-chuva"),
        ("1914-\n1918", "1914-1918"),
        ("cachor\N{SOFT HYPHEN}\nro", "cachorro"),
        ("pade-\niro", "padeiro"),  # stands whole in the text
    ],
)
def test_words_cut_at_the_end_of_a_line(cut: str, whole: str) -> None:
    assert around(cut) == whole


def test_quoted_mail_is_unwrapped_without_its_marks() -> None:
    quoted = textwrap.indent("\n\n".join(map(wrapped, PROSE)), "> ", lambda line: True)
    assert paragraphs(f"Bom dia! Respondo abaixo.\n\n{quoted}\n") == [
        "Bom dia! Respondo abaixo.",
        *PROSE,
    ]


def test_words_cut_between_syllables_lose_the_hyphen() -> None:
    text = textwrap.dedent("""\
        Ninguém viu quando ele chegou à porta da escola com o guarda-chuva a-
        berto. O velho mestre, que estava sentado, disse que entrasse. Que sur-
        presa! A sala vazia, as cadeiras em ordem, e sobre a mesa um guarda-
        chuva molhado. Contava-se que o irmão, que vivera ali entre 1914-
        1918 com eles, deixara também o seu quando um dia a mulher lá disse-
        lhe adeus. Depois veio a chuva de março, e agora ele ficou ali à espe-
        ra de que passasse.
        """)
    assert paragraphs(text) == [
        "Ninguém viu quando ele chegou à porta da escola com o guarda-chuva aberto. O velho "
        "mestre, que estava sentado, disse que entrasse. Que surpresa! A sala vazia, as cadeiras "
        "em ordem, e sobre a mesa um guarda-chuva molhado. Contava-se que o irmão, que vivera "
        "ali entre 1914-1918 com eles, deixara também o seu quando um dia a mulher lá disse-lhe "
        "adeus. Depois veio a chuva de março, e agora ele ficou ali à espera de que passasse."
    ]


def test_paragraphs_of_nothing() -> None:
    assert paragraphs("") == []
    assert paragraphs(" \n\t\n\u00a0\n") == []


# Page numbers and running heads


def pages(
    found: list[str], numbers: list[str], *, width: int = 66, height: int = 20, end: str = ""
) -> str:
    """Paragraphs on pages of so many lines, with a mark below each page, and what ends it."""
    lines = [line for paragraph in found for line in wrapped(paragraph, width).splitlines()]
    marks = iter(numbers)
    text = ""
    for start in range(0, len(lines), height):
        text += "\n".join(lines[start : start + height]) + f"\n{next(marks)}\n{end}"
    return text


# Lines of one long paragraph, so that every page ends in mid-sentence.
NAMELESS = (
    " ".join(f"e depois da casa {n} vinha outra rua cheia de gente" for n in range(200)) + "."
)


@pytest.mark.parametrize("mark", ["{}", "- {} -", "[{}]", "[Pg {}]", "pág. {}", "— {} —", "({})"])
@pytest.mark.parametrize("around", ["{}", "\n{}\n", "\n\n          {}\n\n"])
@pytest.mark.parametrize("end", ["", "\f"])
def test_page_numbers_are_dropped_and_paragraphs_joined(mark: str, around: str, end: str) -> None:
    numbers = [around.format(mark.format(n)) for n in range(7, 40)]
    text = pages([NAMELESS, *PROSE], numbers, end=end)
    assert paragraphs(text) == [NAMELESS, *PROSE]


@pytest.mark.parametrize(
    "heads",
    [
        ("{} A RUA NOVA", "A RUA NOVA {}"),
        ("A Rua Nova", "A Rua Nova"),
        ("{}\nA RUA NOVA", "{}\nCAPÍTULO III"),
        ("{}\n\nA RUA NOVA\n", "\n{}\n\nCAPÍTULO III\n"),
    ],
)
def test_running_heads_are_dropped(heads: tuple[str, str]) -> None:
    numbers = [heads[n % 2].format(n) for n in range(6, 40)]
    assert paragraphs(pages([NAMELESS, *PROSE], numbers)) == [NAMELESS, *PROSE]


def test_the_title_that_running_heads_repeat_stays() -> None:
    text = "A Rua Nova\n\n" + pages([NAMELESS], ["A Rua Nova"] * 40)
    assert paragraphs(text) == ["A Rua Nova", NAMELESS]


def test_pages_without_number_leave_no_gap() -> None:
    numbers = [str(n) if n % 4 else "" for n in range(10, 50)]
    assert paragraphs(pages([NAMELESS], numbers, end="\f")) == [NAMELESS]


def test_form_feeds_alone_cut_no_paragraph() -> None:
    assert paragraphs(pages([NAMELESS, *PROSE], [""] * 40, end="\f")) == [NAMELESS, *PROSE]


def test_page_numbers_between_unwrapped_paragraphs_are_dropped() -> None:
    long = "Ele andou pela rua até a ponte, " * 20
    halves = [f"{long}e viu que não", "tinha ninguém. " + long + "mas depois"]
    text = "".join(f"{first}\n\n{n}\n\n" for n, first in enumerate(halves * 4, start=3)) + "fim."
    middle = f"{' '.join(long.split())} e viu que não tinha ninguém. {' '.join(long.split())}"
    assert paragraphs(text) == [f"{' '.join([f'{middle} mas depois'] * 4)} fim."]


def test_a_word_cut_by_a_page_break_is_whole_again() -> None:
    # The word stands whole elsewhere, so that its hyphen is the printer's.
    line = "e depois da casa amarela vinha outra rua larga e cheia de gen-"
    page = "\n".join(["e depois da casa amarela vinha outra rua larga cheia de gente e"] * 15)
    text = "".join(f"{page}\n{line}\n\n{n}\n\nte alegre\n" for n in range(5, 12)) + "fim.\n"
    assert "cheia de gente alegre e depois" in " ".join(paragraphs(text))
    assert not any(letter.isdigit() for letter in " ".join(paragraphs(text)))


SENTENCES = "O velho olhou para a rua. Não vinha ninguém. A chuva caía desde cedo. " * 12


@pytest.mark.parametrize(
    "heading", ["{}", "- {} -", "[{}]", "{}.", "CAPÍTULO {}", "Parte {}", "Canto {}"]
)
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
@pytest.mark.parametrize("wrap", [True, False])
def test_chapter_numbers_stay(heading: str, gap: str, wrap: bool) -> None:
    body = SENTENCES.strip()
    parts = [heading.format(n) for n in range(1, 15)]
    shown = wrapped(body) if wrap else body
    text = gap.join(f"{part}{gap}{shown}" for part in parts)
    found = paragraphs(text)
    assert [line for line in found if line in parts] == parts


@pytest.mark.parametrize(
    "text",
    [
        # a list in lower case
        "\n".join(f"{n}\nleite de cabra, pão de centeio e queijo da serra" for n in range(1, 40)),
        # numbered verses
        "\n".join(f"{n}\ne o vento levou a folha da árvore do quintal" for n in range(1, 60)),
        # the years of a diary
        "\n\n".join(f"{year}\n\n{SENTENCES.strip()}" for year in range(1901, 1920)),
        # numbers that somebody says
        "\n".join(f"— Quantos são?\n{n}\n— Só isso?" for n in range(1, 30)),
        # poems in lower case, without a full stop, a number over each
        "\n\n".join(
            f"{n}\n\n" + "\n".join(["a água desce devagar a serra e leva"] * 20)
            for n in range(1, 12)
        ),
        # a refrain
        "\n".join(["e o barco que descia pelo rio", "Adeus, adeus", "levava o meu amor"] * 40),
        # one number between the halves of a sentence
        f"{SENTENCES}E depois ele contou devagar até o número que sabia\n12\ne foi embora.",
    ],
    ids=["list", "verses", "years", "dialogue", "poems", "refrain", "once"],
)
def test_short_lines_that_are_text_stay(text: str) -> None:
    assert paragraphs(text) == [line.strip() for line in text.splitlines() if line]


def test_the_names_of_those_who_speak_in_a_play_stay() -> None:
    speech = wrapped("Eu não sei onde ela está, nem quero saber. " * 6)
    text = "\n".join(f"{name}\n{speech}" for name in ["MARTA", "JOÃO"] * 30)
    assert paragraphs(text).count("MARTA") == 30


@given(
    st.lists(sentences, min_size=1, max_size=40),
    st.integers(66, 90),
    st.integers(8, 30),
    st.integers(1, 900),
    st.sampled_from(["{}", "- {} -", "[{}]", "{} MINHA TERRA"]),
)
def test_pages_lose_no_letter_of_the_text(
    found: list[str], width: int, height: int, first: int, mark: str
) -> None:
    numbers = [mark.format(n) for n in range(first, first + 1000)]
    text = pages(found, numbers, width=width, height=height)

    def letters(text: str) -> str:
        kept = text.replace("MINHA TERRA", "")
        return "".join(letter for letter in kept if letter.islower())

    assert letters("".join(paragraphs(text))) == letters(text)


@given(
    st.lists(
        st.one_of(
            st.integers(0, 30).map(str),
            st.sampled_from(["— Não.", "Marta", "e o rio", "[3]", "\f", "", "- 4 -"]),
            sentences,
        ),
        max_size=60,
    )
)
def test_no_line_is_lost_where_every_line_ends_a_sentence(lines: list[str]) -> None:
    # Nothing stands in mid-sentence, so that nothing is a page number.
    lines = [line if line in ("", "\f") else f"{line.rstrip('.')}." for line in lines]

    def letters(text: str) -> str:
        return "".join(text.split())

    assert letters("".join(paragraphs("\n".join(lines)))) == letters("".join(lines))


# Project Gutenberg

HEADER = """\
The Project Gutenberg EBook of A Rua Nova, by Ninguém

This eBook is for the use of anyone anywhere at no cost.

Title: A Rua Nova

Language: Portuguese

"""
FOOTER = """

End of the Project Gutenberg EBook of A Rua Nova, by Ninguém

*** END OF THIS PROJECT GUTENBERG EBOOK A RUA NOVA ***

***** This file should be named 1-0.txt *****

START: FULL LICENSE
"""


@pytest.mark.parametrize(
    "start",
    [
        "*** START OF THE PROJECT GUTENBERG EBOOK A RUA NOVA ***\n\n",
        "*** START OF THIS PROJECT GUTENBERG EBOOK A RUA\nNOVA ***\n\n\n",
        "***START OF THE PROJECT GUTENBERG EBOOK A RUA NOVA***\n\n\nE-text prepared by Fulano\n\n",
        "*** START OF THIS PROJECT GUTENBERG EBOOK A RUA NOVA ***\n\n\n\n\nProduced by Fulano de\n"
        "Tal and the Online Team\n\n\n",
        "*** START OF THIS PROJECT GUTENBERG EBOOK A RUA NOVA ***\n\nProduzido por Fulano.\n\n",
        "**START**THE SMALL PRINT!**\n\nWe say this.\n\n"
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n",
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_text_of_gutenberg_around_a_book_is_removed(start: str, line_end: str) -> None:
    text = f"{HEADER}{start}A RUA NOVA\n\nEra em maio.\n\nChovia.{FOOTER}"
    assert paragraphs(text.replace("\n", line_end)) == ["A RUA NOVA", "Era em maio.", "Chovia."]


def test_every_book_of_a_collection_is_kept() -> None:
    start = "*** START OF THE PROJECT GUTENBERG EBOOK A RUA NOVA ***\n\n"
    text = "".join(f"{HEADER}{start}Livro {n}.\n{FOOTER}" for n in range(3))
    assert paragraphs(text) == ["Livro 0.", "Livro 1.", "Livro 2."]


def test_a_marker_far_inside_a_text_is_a_quotation_and_removes_nothing() -> None:
    lines = [f"A vizinha contou {n} vezes a mesma história." for n in range(2000)]
    text = "\n".join([*lines, "*** START OF THE PROJECT GUTENBERG EBOOK X ***", "Fim."])
    assert paragraphs(text) == [*lines, "Fim."]


def test_a_text_about_gutenberg_stays() -> None:
    found = ["O Project Gutenberg tem livros.", "Produced by ninguém, dizia a capa."]
    assert paragraphs("\n\n".join(found)) == found


# Six characters at most: tabs would make longer lines as wide as wrapped prose.
@given(st.lists(st.text(" \t\u00a0\u2003a.", max_size=6), max_size=5))
def test_every_kind_of_space_becomes_one(lines: list[str]) -> None:
    assert paragraphs("\n".join(lines)) == [
        " ".join(line.split()) for line in lines if line.split()
    ]


def test_one_line_that_goes_on_tells_of_no_width() -> None:
    said = [
        f"[01/03/2024 14:3{n}] Ana: amanhã de manhã eu passo aí na sua casa para buscar a chave"
        for n in range(3)
    ]
    lines = [*said, "e volto de tarde", "[01/03/2024 15:02] Bia: está bem"]
    assert paragraphs("\n".join(lines)) == lines
