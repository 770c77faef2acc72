"""Reading, unwrapping and splitting text, on small texts written for it and on the sample."""

import hashlib
import io
import itertools
import logging
import textwrap
import unicodedata
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.corpus import FEW_DOCUMENTS, SPLITS, decode, find_files, ingest, paragraphs

SAMPLE = Path(__file__).parents[1] / "data" / "sample"

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


# Reading bytes


def test_decode_reads_utf8_with_and_without_bom() -> None:
    text = "Não há pão, vovó."
    assert decode(text.encode("utf-8")) == text
    assert decode(text.encode("utf-8-sig")) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_decode_reads_utf16_with_bom(encoding: str) -> None:
    text = "Não há pão, vovó."
    bom = "" if encoding == "utf-16" else "\ufeff"
    assert decode((bom + text).encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp850", "mac_roman"])
@pytest.mark.parametrize(
    "text",
    [
        "Não há pão.",
        "ação",
        "Às vezes, à tarde, a avó põe açúcar no café.",
        "É tão tranqüilo aqui! Lá em São João também há órgãos, mês a mês.",
    ],
)
def test_decode_reads_old_encodings_of_short_portuguese(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_decode_reads_windows_quotes_and_dashes() -> None:
    text = "— Não “sei”, disse ela… R$ 5 ou € 1?"
    assert decode(text.encode("cp1252")) == text


@given(st.sampled_from(sorted(SAMPLE.rglob("*.txt"))), st.integers(0, 2000), st.integers(40, 400))
def test_decode_reads_any_piece_of_the_sample_in_windows_1252(
    path: Path, start: int, length: int
) -> None:
    piece = path.read_text(encoding="utf-8")[start : start + length]
    assert decode(piece.encode("cp1252")) == piece


def test_decode_loses_only_the_bytes_that_are_damaged() -> None:
    data = "A avó não põe açúcar no café. Ninguém põe.".encode()
    assert decode(data + b"\xe9") == data.decode() + "\ufffd"


def test_decode_composes_letters_and_accents() -> None:
    text = "Não há pão, vovó."
    assert decode(unicodedata.normalize("NFD", text).encode()) == text


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.txt", "Não há pão. " * 50)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x10\x08\x06\x00\x00\x00",
        zipped(),
        bytes(range(256)) * 4,
        b"abc\x00" * 10,
        "Всем привет, это русский текст".encode("cp1251"),
    ],
    ids=["png", "zip", "all bytes", "NULs", "Russian"],
)
def test_decode_refuses_what_is_no_portuguese_text(data: bytes) -> None:
    with pytest.raises(ValueError, match="its bytes are"):
        decode(data)


# Undoing line breaks


def test_paragraphs_of_a_text_with_one_paragraph_a_line_are_its_lines() -> None:
    assert paragraphs("\n\n".join(PROSE)) == PROSE
    assert paragraphs("\r\n".join(PROSE)) == PROSE


def test_paragraphs_leaves_the_sample_as_it_is() -> None:
    for path in SAMPLE.rglob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert paragraphs(text) == [line for line in text.split("\n") if line], path


def test_paragraphs_of_the_worked_example() -> None:
    example = [line.split("<-")[0] for line in str(paragraphs.__doc__).splitlines()[5:8]]
    first, second, third = (line.strip() for line in example)
    assert paragraphs("\n".join(example)) == [f"{first} {second}", third]


def test_paragraphs_joins_the_lines_of_a_printed_book() -> None:
    assert paragraphs(PRINTED) == PRINTED_PARAGRAPHS


# Short words and wide lines: what is broken before fifty letters counts as verse.
words = st.text("abcdeghijlmnoprstuvçãéô", min_size=1, max_size=14)
sentences = st.lists(words, min_size=1, max_size=60).map(lambda found: " ".join(found) + ".")


@given(st.lists(sentences, min_size=1, max_size=6), st.integers(66, 110))
def test_paragraphs_undoes_textwrap(found: list[str], width: int) -> None:
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

    assert letters("".join(paragraphs(text))) == letters(text)


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


def test_an_unfinished_sentence_goes_on_in_a_name() -> None:
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
def test_paragraphs_of_the_sample_are_found_again_in_print(width: int) -> None:
    lost = total = 0
    for path in SAMPLE.rglob("*.txt"):
        found = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
        lines, clear = typeset(found, width)
        lost += len(clear - set(paragraphs("\n".join(lines))))
        total += len(clear)
    assert total > 4000
    assert lost < total / 40


def test_a_dash_inside_a_sentence_opens_no_paragraph() -> None:
    sentence = "O velho, que nunca saíra daquela cidade onde nascera o pai de seu pai, o"
    text = f"{wrapped(PROSE[0], 72)}\n\n{sentence}\n— diziam — maior dos avarentos, sorriu.\n"
    assert paragraphs(text)[1] == f"{sentence} — diziam — maior dos avarentos, sorriu."


def test_a_line_that_goes_on_in_lower_case_is_joined_though_it_is_not_full() -> None:
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


# Finding files


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for name in ("romance/dom.txt", "romance/esau.txt", "poesia/falenas.TXT", "solta.txt"):
        path = tmp_path / "livros" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"O livro {name} é bom.\nMuito bom.\nMesmo.\n", encoding="utf-8")
    (tmp_path / "livros" / "capa.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    return tmp_path / "livros"


def names(corpus: list[str]) -> list[str]:
    return [name for _, name in find_files(corpus)]


def test_find_files_of_a_folder(library: Path) -> None:
    found = ["poesia/falenas.TXT", "romance/dom.txt", "romance/esau.txt", "solta.txt"]
    assert find_files([str(library)]) == [(library / name, name) for name in found]


def test_find_files_of_a_file_whatever_its_name(library: Path) -> None:
    readme = library / "LEIA-ME"
    readme.write_text("Olá.")
    assert find_files([str(readme)]) == [(readme, "LEIA-ME")]


@pytest.mark.parametrize("absolute", [True, False])
def test_find_files_of_a_glob(
    library: Path, absolute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(library.parent)
    root = library if absolute else Path("livros")
    found = [(root / name, name) for name in ("romance/dom.txt", "romance/esau.txt")]
    assert find_files([str(root / "rom*" / "*.txt")]) == found
    assert names([str(root / "romance" / "*.txt")]) == ["dom.txt", "esau.txt"]
    assert names([str(root.parent / "**" / "d*.txt")]) == ["livros/romance/dom.txt"]


def test_find_files_of_a_glob_that_names_folders(library: Path) -> None:
    assert sorted(names([str(library / "*s*a*")])) == ["poesia/falenas.TXT", "solta.txt"]


def test_find_files_finds_each_file_once(library: Path) -> None:
    both = [str(library / "romance"), str(library / "poesia" / ".."), str(library / "solta.txt")]
    assert names(both) == ["dom.txt", "esau.txt", "poesia/falenas.TXT", "solta.txt"]
    assert len(find_files([str(library), str(library / "poesia" / "..")])) == 4


@pytest.mark.parametrize("name", ["nada", "nada/*.txt", "vazia", "**nada**"])
def test_find_files_names_what_holds_no_text(library: Path, name: str) -> None:
    (library / "vazia").mkdir()
    with pytest.raises(InputError, match="no text to read at") as error:
        find_files([str(library), str(library / name)])
    assert str(library / name) in str(error.value)


# From files to documents.parquet


def write(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def document(number: int, lines: int = 3) -> str:
    return "".join(f"Documento {number}, parágrafo {line}.\n" for line in range(lines))


def ingested(folder: Path, **globs: tuple[str, ...]) -> pd.DataFrame:
    output = folder.with_name("documents")
    output.mkdir(exist_ok=True)
    ingest(corpus=[str(folder)], output=output, **globs)
    return pd.read_parquet(output / "documents.parquet")


def splits(table: pd.DataFrame) -> dict[str, str]:
    """The split of each source that stands in one split only."""
    found = table.groupby("source")["split"].agg(list)
    return {source: split for source, (split, *more) in found.items() if not more}


def test_ingest_writes_the_columns_that_the_next_stage_reads(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"a/b.txt": "Um.\r\n\r\n  Dois   e meio.\nTre\u0302s.\n"})
    table = ingested(folder)
    assert list(table.columns) == ["doc_id", "source", "split", "text"]
    assert list(table["source"]) == ["a/b.txt"] * 3
    assert list(table["split"]) == list(SPLITS)
    assert list(table["text"]) == ["Um.", "Dois e meio.", "Três."]
    assert list(table["doc_id"]) == [
        hashlib.sha256(text.encode()).hexdigest() for text in table["text"]
    ]


def test_ingest_puts_one_paragraph_on_a_line(tmp_path: Path) -> None:
    text = "\n\n".join(map(wrapped, PROSE * 6))
    table = ingested(write(tmp_path / "corpus", {"a.txt": text}))
    assert "\n".join(table["text"]).split("\n") == PROSE * 6


@given(st.lists(st.integers(1, 25), min_size=1, max_size=FEW_DOCUMENTS - 1))
def test_few_documents_are_cut_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    texts = {f"{n}.txt": document(n, lines) for n, lines in enumerate(lengths)}
    folder = write(tmp_path_factory.mktemp("few") / "corpus", texts)
    possible = max(lengths) >= 3 or len(lengths) >= 3
    if not possible:
        with pytest.raises(InputError, match="No document is left for the"):
            ingested(folder)
        return
    table = ingested(folder)
    assert set(table["split"]) == set(SPLITS)
    order = {split: place for place, split in enumerate(SPLITS)}
    for source, rows in table.groupby("source"):
        rows = sorted(zip(rows["split"], rows["text"], strict=True), key=lambda row: order[row[0]])
        assert "\n".join(text for _, text in rows) + "\n" == texts[source]


def test_the_last_two_tenths_of_a_long_document_are_held_out(tmp_path: Path) -> None:
    table = ingested(write(tmp_path / "corpus", {"a.txt": document(1, 100)}))
    assert {split: len(text.split("\n")) for split, text in table[["split", "text"]].values} == {
        "train": 80,
        "valid": 10,
        "test": 10,
    }


@pytest.mark.parametrize("count", [FEW_DOCUMENTS, 30, 60])
def test_many_documents_stay_whole_and_no_split_is_empty(tmp_path: Path, count: int) -> None:
    # Twelve corpora: with 20 documents chance leaves the test split empty in one of three.
    for trial in range(12):
        texts = {f"{n}.txt": document(1000 * trial + n) for n in range(count)}
        table = ingested(write(tmp_path / str(trial) / "corpus", texts))
        assert len(splits(table)) == count
        assert set(table["split"]) == set(SPLITS)


def test_a_twentieth_of_many_documents_validates_and_another_tests(tmp_path: Path) -> None:
    table = ingested(write(tmp_path / "corpus", {f"{n}.txt": document(n) for n in range(1000)}))
    counts = table["split"].value_counts()
    assert 30 <= counts["valid"] <= 70
    assert 30 <= counts["test"] <= 70


def test_adding_files_moves_no_document_to_another_split(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {f"{n}.txt": document(n) for n in range(200)})
    before = splits(ingested(folder))
    write(folder, {f"0/{n}.txt": document(n) for n in range(200, 300)})
    after = splits(ingested(folder))
    assert len(after) == 300
    assert {source: after[source] for source in before} == before


def test_neither_names_nor_order_decide_the_split(tmp_path: Path) -> None:
    # Twelve corpora: in most of them chance leaves a split empty.
    for trial in range(12):
        texts = [document(1000 * trial + n) for n in range(FEW_DOCUMENTS)]
        tables = [
            ingested(
                write(tmp_path / f"{trial}{way}" / "corpus", dict(zip(found, texts, strict=True)))
            )
            for way, found in (
                ("up", [f"{n:02}.txt" for n in range(FEW_DOCUMENTS)]),
                ("down", [f"x/{99 - n}.txt" for n in range(FEW_DOCUMENTS)]),
            )
        ]
        one, two = (dict(zip(table["doc_id"], table["split"], strict=True)) for table in tables)
        assert one == two


def test_globs_choose_the_files_of_a_split(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "corpus",
        {name: document(n) for n, name in enumerate(["a.txt", "b.txt", "x/a.txt", "x/c.txt"])},
    )
    assert splits(ingested(folder, valid=("x/a.txt",), test=("b.txt",))) == {
        "a.txt": "train",
        "b.txt": "test",
        "x/a.txt": "valid",
        "x/c.txt": "train",
    }
    # What both name tests.
    assert splits(ingested(folder, valid=("x/*",), test=("*c.txt",))) == {
        "a.txt": "train",
        "b.txt": "train",
        "x/a.txt": "valid",
        "x/c.txt": "test",
    }


def test_one_glob_leaves_the_other_split_as_it_was(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {f"{n}.txt": document(n) for n in range(300)})
    whole = splits(ingested(folder))
    chosen = splits(ingested(folder, valid=("1?.txt",)))
    assert {name for name, split in chosen.items() if split == "valid"} == {
        f"1{n}.txt" for n in range(10)
    }
    tested = {name for name, split in whole.items() if split == "test"}
    assert tested - {f"1{n}.txt" for n in range(10)} == {
        name for name, split in chosen.items() if split == "test"
    }


def test_a_glob_that_matches_nothing_is_named_beside_a_name_that_could(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"x/a.txt": document(1), "x/b.txt": document(2)})
    with pytest.raises(InputError, match=r"matches 'c\.txt'.*such as 'x/[ab]\.txt'"):
        ingested(folder, valid=("x/a.txt",), test=("c.txt",))


def test_globs_that_leave_nothing_to_train_on(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"a.txt": document(1), "b.txt": document(2)})
    with pytest.raises(InputError, match="No document is left for the train split"):
        ingested(folder, valid=("a.txt",), test=("b.txt",))


def test_of_files_with_the_same_text_one_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(
        tmp_path / "corpus",
        {
            "a.txt": document(1),
            "b.txt": document(1).replace("\n", "\r\n\r\n"),
            "c.txt": document(2),
        },
    )
    table = ingested(folder)
    assert set(table["source"]) == {"a.txt", "c.txt"}
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "Skipped b.txt: a.txt has the same text.")
    ]


def test_of_files_with_the_same_text_the_one_named_by_a_glob_stays(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "corpus",
        {"a.txt": document(1), "b.txt": document(1), "c.txt": document(2), "d.txt": document(3)},
    )
    assert splits(ingested(folder, valid=("c.txt",), test=("b.txt",))) == {
        "b.txt": "test",
        "c.txt": "valid",
        "d.txt": "train",
    }


def test_files_that_hold_no_text_are_named_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "corpus", {"bom.txt": document(1), "vazio.txt": "\n \n"})
    (folder / "imagem.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10")
    table = ingested(folder)
    assert set(table["source"]) == {"bom.txt"}
    assert [record.getMessage() for record in caplog.records] == [
        f"Skipped {folder / 'imagem.txt'}: its bytes are no text.",
        f"Skipped {folder / 'vazio.txt'}: it is empty.",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_damaged_file_is_read_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(tmp_path / "corpus", {"a.txt": document(1)})
    with (folder / "a.txt").open("ab") as file:
        file.write("A avó não põe açúcar.".encode() + b"\xe9")
    assert "A avó não põe açúcar.\ufffd" in "\n".join(ingested(folder)["text"])
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'a.txt'} holds 1 characters that cannot be read."
    ]


def test_a_corpus_without_a_readable_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"vazio.txt": ""})
    with pytest.raises(InputError, match="holds readable text"):
        ingested(folder)


def test_the_sample_becomes_documents(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    ingest(corpus=[str(SAMPLE)], output=tmp_path)
    table = pd.read_parquet(tmp_path / "documents.parquet")
    assert len(table) == len(list(SAMPLE.rglob("*.txt")))
    assert set(table["split"]) == set(SPLITS)
    assert not caplog.records
