"""Tables, JSON and their cells: which column is text, and what bad rows leave of the rest."""

import builtins
import csv
import io
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig, Section
from pipeline.corpus.formats.cells import clean_cell, row_paragraphs
from pipeline.corpus.formats.json import looks_like_json
from pipeline.corpus.formats.json_lines import looks_like_json_lines
from pipeline.corpus.formats.markdown import looks_like_markdown, markdown_paragraphs
from pipeline.corpus.formats.notebooks import looks_like_notebook
from pipeline.corpus.formats.separated import looks_like_table
from pipeline.corpus.formats.texts import Note
from pipeline.corpus.reading import read_file

SENTENCES = [
    "A avó põe açúcar no café.",
    "Ontem, depois da chuva, o rio subiu.",
    'Ele perguntou: "quem vem aí?"',
    "O trem parou na ponte; ninguém desceu.",
]


def read(path: Path, data: str | bytes, **options: str) -> tuple[list[str], list[Note]]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    found = list(read_file(path, path.name, ReadingConfig(**options)))
    notes = [row for row in found if isinstance(row, Note)]
    return [row.text for row in found if not isinstance(row, Note)], notes


def table(rows: list[list[str]], separator: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return file.getvalue()


# The column


@pytest.mark.parametrize(
    ("header", "row", "column"),
    [
        (
            ["id", "Content", "date"],
            ["dante_02_12", "Choveu a noite toda.", "2020-03-19"],
            "Content",
        ),
        (["autor", "obs"], ["Rosa Lima", "Choveu a noite toda na serra."], "obs"),
        (["titulo", "corpo"], ["Uma noite de chuva", "Choveu a noite toda na serra."], "corpo"),
        (["url", "resumo"], ["https://exemplo.pt/a-noite", "Choveu a noite toda."], "resumo"),
        (
            ["nome", "review_text"],
            ["Panela de ferro com tampa", "Gostei muito dela."],
            "review_text",
        ),
        (["title_en", "texto_pt"], ["It rained all night", "Choveu a noite toda."], "texto_pt"),
        (["foto", "legenda"], ["img/a_01.png", "Choveu a noite toda."], "legenda"),
    ],
)
def test_the_column_of_text_is_found(
    tmp_path: Path, header: list[str], row: list[str], column: str
) -> None:
    expected = [row[header.index(column)]] * 3
    note = Note(f"the column {column!r} is taken as text")
    values = dict(zip(header, row, strict=True))
    buffer = pa.BufferOutputStream()
    pa.parquet.write_table(pa.Table.from_pylist([values] * 3), buffer)
    files: dict[str, str | bytes] = {
        "a.csv": table([header, row, row, row]),
        "a.tsv": table([header, row, row, row], "\t"),
        "a.jsonl": f"{json.dumps(values)}\n" * 3,
        "a.json": json.dumps([values] * 3),
        "a.parquet": buffer.getvalue().to_pybytes(),
    }
    for name, data in files.items():
        assert read(tmp_path / name, data) == (expected, [note]), name
        assert read(tmp_path / name, data, text_column=column.upper()) == (expected, []), name


def test_more_than_one_column_of_text_is_an_error_that_shows_them(tmp_path: Path) -> None:
    rows = [["n", "pergunta", "resposta"], ["1", "Quem vem lá?", "É o vizinho da frente."]]
    message = r"more than one column of text: .*\(n: numbers, pergunta: text, resposta: text\)\."
    files = {"a.csv": table(rows), "a.json": json.dumps([dict(zip(*rows, strict=True))])}
    for name, data in files.items():
        with pytest.raises(InputError, match=message):
            read(tmp_path / name, data)
        assert read(tmp_path / name, data, text_column="pergunta")[0] == ["Quem vem lá?"]


@pytest.mark.parametrize(
    ("name", "data", "clause"),
    [
        ("a.csv", "nome,cidade\nAna Lima,Porto Alegre\nRui Sá,Santarém\n", "none of its columns"),
        ("a.csv", "a,b\n1,2\n", r"none of its columns holds text \(a: numbers, b: numbers\)"),
        ("a.json", '{"name": "pacote", "scripts": {"test": "node"}}', "none of its columns"),
        ("a.json", '{"version": 1, "description": "Um pacote que soma"}', "it holds settings"),
        ("a.json", '{"a": "Um pacote que soma", "b": {"c": "faz uma conta"}}', "it is one object"),
        ("a.json", '{"a": ["b" "c"]}', r"it is not JSON \("),
        ("a.ipynb", '{"cells": [{"cell_type": "markdown"}]}', "it is not a notebook"),
        *[
            (
                "a.ipynb",
                f'{{"cells": [{{"cell_type": "markdown", "source": {source}}}]}}',
                "it is not a notebook",
            )
            for source in ("null", "[1, 2]")
        ],
        ("a.xlsx", b"PK\3\4nada", r"it is a damaged \.zip file"),
    ],
)
def test_what_holds_no_text_says_so(
    tmp_path: Path, name: str, data: str | bytes, clause: str
) -> None:
    with pytest.raises(ValueError, match=f"^{clause}") as error:
        read(tmp_path / name, data)
    assert not isinstance(error.value, InputError)
    assert "\n" not in str(error.value)


def test_a_column_inside_another_is_named_with_a_dot(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "reviews": [{"text": "Um bom pão."}, {"text": "Voltei."}], "m": {"text": "a"}},
        {"id": 2, "reviews": [], "m": {"text": None}},
        {"id": 3, "reviews": [{"text": "Fechado."}], "m": {"text": "b"}},
    ]
    buffer = pa.BufferOutputStream()
    pa.parquet.write_table(pa.Table.from_pylist(rows), buffer)
    files: dict[str, str | bytes] = {
        "a.jsonl": "\n".join(map(json.dumps, rows)),
        "a.json": json.dumps({"total": 3, "rows": rows}),
        "a.parquet": buffer.getvalue().to_pybytes(),
    }
    for name, data in files.items():
        found = read(tmp_path / name, data, text_column="reviews.text")
        assert found == (["Um bom pão.\nVoltei.", "Fechado."], []), name


def test_a_spreadsheet_needs_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *args: object) -> object:
        if name == "openpyxl":
            raise ImportError
        return found(name, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"pip install 'nextword-pt\[documents\]'"):
        read(tmp_path / "a.xlsx", (ROOT / "tests/formats/respostas.xlsx").read_bytes())


# Separators, quotes and bad rows


@pytest.mark.parametrize(
    ("separator", "option"), [("^", "^"), ("\t", "tab"), ("\t", "\\t"), ("|", "|"), (" ", " ")]
)
def test_the_separator_may_be_named(tmp_path: Path, separator: str, option: str) -> None:
    rows = [["id", "texto"], *([str(n), text] for n, text in enumerate(SENTENCES))]
    data = table(rows, separator, csv.QUOTE_ALL)
    assert read(tmp_path / "a.csv", data, separator=option)[0] == SENTENCES


def test_an_unusual_separator_is_found_if_all_rows_have_it(tmp_path: Path) -> None:
    rows = [["id", "texto"], *([str(n), text] for n, text in enumerate(SENTENCES))]
    assert read(tmp_path / "a.csv", table(rows, "^"))[0] == SENTENCES
    text = "C# ou Java\nPrefiro Java\nPrefiro C#, sim\nE eu Python\n"
    assert read(tmp_path / "a.csv", f"frase\n{text}")[0] == text.splitlines()


def test_a_list_of_sentences_has_no_header(tmp_path: Path) -> None:
    text = "Bom dia, gente\nHoje, se der, eu passo aí\nAté, então\n"
    assert read(tmp_path / "a.csv", text)[0] == text.splitlines()


def test_one_broken_row_changes_no_quotes_of_the_others(tmp_path: Path) -> None:
    text = 'id\ttexto\n1\t"Um.\nDois."\n2\t"Ele disse ""vem"""\n3\t"aspas" no começo\n4\tFim, já.\n'
    expected = ["Um.\nDois.", 'Ele disse "vem"', '"aspas" no começo', "Fim, já."]
    assert read(tmp_path / "a.tsv", text, text_column="texto")[0] == expected


def test_a_separator_is_one_character(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--separator :: is not one character"):
        read(tmp_path / "a.csv", "a::b\n", separator="::")


WORDS = st.sampled_from('pão, água; "não" e: - rio | 1,50 — à "" dor\n sol'.split(" "))
CELLS = st.lists(WORDS, min_size=3, max_size=9).map(" ".join).filter(lambda cell: cell.strip())


@given(
    texts=st.lists(CELLS, min_size=1, max_size=9),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    first=st.booleans(),
)
def test_what_a_library_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    separator: str,
    quoting: int,
    first: bool,
) -> None:
    rows = [["texto", "nota"], *([text, "5"] for text in texts)]
    data = table(rows if first else [row[::-1] for row in rows], separator, quoting)
    found, notes = read(tmp_path_factory.mktemp("tables") / "a.csv", data, text_column="texto")
    assert found == ["\n".join(row_paragraphs(text)) for text in texts]
    assert notes == []


@pytest.mark.parametrize(
    "bad", ['7,"nunca fechada', '7,"ele disse "oi" e saiu"', "7,a,b,c", "7", '7,"a" b "c"\n8,"x']
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_bad_row_is_skipped_and_counted(tmp_path: Path, bad: str, place: int) -> None:
    rows = table([["id", "texto"], *([str(n), text] for n, text in enumerate(SENTENCES))])
    lines = rows.splitlines()
    lines[1 + place : 1 + place] = bad.split("\n")
    found, notes = read(tmp_path / "a.csv", "\n".join(lines) + "\n", text_column="texto")
    count = 1 + bad.count("\n")
    assert found == SENTENCES
    assert [note.skipped for note in notes] == [count]
    assert notes[0].what.startswith(("1 row was", "2 rows were")[count - 1])
    assert f"line {2 + place} " in notes[0].what


def test_a_quote_that_is_never_closed_swallows_nothing_of_a_long_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 2000)
    lines = [f"{n},O barco {n} voltou cedo." for n in range(3000)]
    lines[1500] = '1500,"O barco não voltou.'
    found, (note,) = read(tmp_path / "a.csv", "id,texto\n" + "\n".join(lines), text_column="texto")
    assert len(found) == 2999
    assert note.skipped == 1


def test_the_last_column_keeps_separators_if_most_rows_have_some(tmp_path: Path) -> None:
    data = "id,texto\n1,Sim, senhor, disse.\n2,Choveu, e o rio subiu.\n3,Ora, ora, ora.\n4,Não.\n"
    expected = ["Sim, senhor, disse.", "Choveu, e o rio subiu.", "Ora, ora, ora.", "Não."]
    assert read(tmp_path / "a.csv", data, text_column="texto") == (expected, [])


def test_lines_of_json_that_hold_no_text_are_counted(tmp_path: Path) -> None:
    lines = ['{"text": "Um."}', "nada", '["Dois."]', '{"text": 2}', "[" * 200_000]
    lines += ['{"text": null}', "", '{"text": "Fim."}'] + ['{"text": "Sol."}'] * 5
    found, (note,) = read(tmp_path / "a.jsonl", "\n".join(lines))
    assert found == ["Um.", "Fim.", *["Sol."] * 5]
    assert note == Note("4 rows were skipped: line 2 is not JSON", 4)


def test_strings_between_objects_do_not_hide_the_text(tmp_path: Path) -> None:
    data = '{"text": "Choveu na serra."}\n"Uma frase só, sem nome."\n{"text": "Parou às nove."}\n'
    assert read(tmp_path / "a.jsonl", data)[0] == ["Choveu na serra.", "Parou às nove."]


def test_a_section_of_json_lines_has_the_column_of_the_file(tmp_path: Path) -> None:
    rows = [{"texto": text} for text in SENTENCES] * 3 + [{"resumo": "Nada mais que um resumo."}]
    lines = [json.dumps(row) + "\n" for row in rows]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(lines))
    for first in range(1, len(lines) + 1):
        edge = len("".join(lines[:first]))
        section = Section(edge, path.stat().st_size)
        found = list(read_file(path, "a.jsonl", ReadingConfig(section=section)))
        texts = [row.text for row in found if not isinstance(row, Note)]
        assert texts == (SENTENCES * 3)[first:]


@pytest.mark.parametrize("indent", [None, 1])
def test_json_of_many_forms_holds_the_same_texts(tmp_path: Path, indent: int | None) -> None:
    rows = [{"n": n, "texto": text} for n, text in enumerate(SENTENCES)]
    forms = [
        rows,
        {"dados": rows, "total": 4},
        {"a": {"b": rows}},
        {f"id-{n:05}": row for n, row in enumerate(rows)},
        dict(zip("abcd", rows, strict=True)),
        {"texto": SENTENCES, "n": [1, 2, 3, 4]},
        {"texto": {str(n): text for n, text in enumerate(SENTENCES)}, "n": {"0": 1}},
        SENTENCES,
        dict(zip("abcd", SENTENCES, strict=True)),
        [[text] for text in SENTENCES],
    ]
    for form in forms:
        data = json.dumps(form, indent=indent, ensure_ascii=bool(indent))
        assert read(tmp_path / "a.json", data)[0] == SENTENCES, data
        assert read(tmp_path / "a.txt", data)[0] == SENTENCES, data


def test_columns_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    rows = [["Data", "Nota", "Nota"], *(["1", text, text + " Sim."] for text in SENTENCES)]
    looks = r"\(Data: numbers, Nota: text, Nota 2: text\)"
    with pytest.raises(InputError, match=f"more than one column of text: .*{looks}"):
        read(tmp_path / "a.csv", table(rows))
    assert read(tmp_path / "a.csv", table(rows), text_column="nota 2")[0][0].endswith("Sim.")


def test_a_column_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    rows = [["id", "", ""], *([str(n), f"x{n}", text] for n, text in enumerate(SENTENCES))]
    found, notes = read(tmp_path / "a.csv", table(rows))
    assert found == SENTENCES
    assert "'column 3'" in notes[0].what


def test_the_column_of_a_table_is_not_sought_in_settings(tmp_path: Path) -> None:
    settings = json.dumps({"name": "a", "version": "1", "description": "Um programa."})
    with pytest.raises(ValueError, match="settings, not text") as raised:
        read(tmp_path / "a.json", settings, text_column="resposta")
    assert not isinstance(raised.value, InputError)


@pytest.mark.parametrize("keys", [False, True])
def test_books_of_chapters_of_verses_are_documents(tmp_path: Path, keys: bool) -> None:
    def numbered(values: list[Any]) -> Any:
        return {str(n): value for n, value in enumerate(values, start=1)} if keys else values

    verses = [[f"{verse} {name}" for verse in SENTENCES] for name in "abcdefghijklmn"]
    books = {book[0][-1]: numbered([numbered(book)] * 2) for book in verses}
    expected = ["\n".join(book * 2) for book in verses]
    assert read(tmp_path / "a.json", json.dumps(books))[0] == expected
    few = dict(itertools.islice(books.items(), 2))
    with pytest.raises(InputError, match="more than one column of text"):
        read(tmp_path / "a.json", json.dumps(few))


def test_numbers_that_only_python_writes_are_read(tmp_path: Path) -> None:
    rows = [
        {"text": f'{n}: "x": NaN, e assim por diante.', "nota": float("nan")} for n in range(9999)
    ]
    rows += [{"text": "Fim.", "nota": float("-inf")}]
    found, _ = read(tmp_path / "a.json", json.dumps(rows))
    assert found == [row["text"] for row in rows]


def test_a_long_cell_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 500)
    lines = [f"Linha {n} do livro." for n in range(100)]
    for name, data in (
        ("a.json", json.dumps({"title": "Livro", "text": "\n".join(lines)})),
        ("a.json", json.dumps({"chapters": [{"verses": [{"text": line} for line in lines]}]})),
        ("a.jsonl", json.dumps({"text": "\n".join(lines)})),
    ):
        found, _ = read(tmp_path / name, data)
        assert len(found) > 3
        assert "\n".join(found).split("\n") == lines


# Cells


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("A casa &eacute; grande &amp; clara.<br/>", "A casa é grande & clara.\n"),
        ("P&amp;amp;D e &#8220;sol&#x201D;", "P&D e “sol”"),
        ("&lt;p&gt;Um.&lt;/p&gt;", "\nUm.\n"),
        ("AT&T; &copia; R&D &c", "AT&T; &copia; R&D &c"),
        ("Se a < b e c > d, <3 e <nome> também.",) * 2,
        ('<a href="http://x.pt" target=_blank>Aqui</a>, <IMG src="a.png">ali', "Aqui, ali"),
        ("<script>\nvar a = 1 < 2;\n</script>Sol.<!-- nada -->", "Sol."),
        ("Fila:\\nManhã cheia.", "Fila:\nManhã cheia."),
        ("Um\\r\\ndois\\\\ntrês", "Um\ndois\ntrês"),
        ("Olá.\\tObrigado,\\tsim e\\/ou não", "Olá. Obrigado, sim e/ou não"),
        ("$a \\times b$, \\texto",) * 2,
        ("Está em C:\\novo, em D:\\nada\\notas e em %TEMP%\\novo.",) * 2,
        ("Veja \\\\servidor\\novo\\pasta e $\\nabla f$.",) * 2,
        ('A gota d\\\'água, \\"disse\\".', 'A gota d\'água, "disse".'),
        ("x <" + "a=" * 5000,) * 2,
    ],
)
def test_cells_are_cleaned(cell: str, expected: str) -> None:
    assert clean_cell(cell) == expected


@given(st.text(st.characters(exclude_characters="&<\\", exclude_categories=["Cs"])))
def test_prose_is_not_cleaned(cell: str) -> None:
    assert clean_cell(cell) == cell


def test_lines_of_a_short_cell_are_paragraphs() -> None:
    line = "Chegou antes do prazo e veio muito bem embalado, adorei"
    for lines in ([line, "recomendo"], [line, "e recomendo a todos"], ["Oi", "", "tudo", "bem"]):
        assert row_paragraphs("\n".join(lines)) == list(filter(None, lines))
    wrapped = [
        line,
        "a caixa e a fita, que a vizinha guardou para o Natal do",
        *[f"a{line[1:]}"] * 4,
    ]
    assert len(row_paragraphs("\n".join(wrapped))) == 1


# Markdown and detection


def test_prices_stay_and_formulas_go() -> None:
    prices = "Custa R$ 5 e R$ 6, R$5 ou US$6, $7 e $8; paguei 10$ e depois 20$ por x_1."
    assert markdown_paragraphs(prices) == [prices]
    formula = "Seja $n$ e $x_1 + 2$ ou $\\frac{a}{b}$."
    assert markdown_paragraphs(formula) == ["Seja n e ou ."]


def test_what_sites_add_to_markdown() -> None:
    added = "import Abas from '@theme/Abas'\n\nPão\n: feito de ==farinha==\n\nimport de Portugal"
    assert markdown_paragraphs(added) == ["Pão", "feito de farinha", "import de Portugal"]


def test_prose_between_rules_is_no_front_matter() -> None:
    assert markdown_paragraphs("---\n\nEra uma vez.\n\n---\n\nFim.\n") == ["Era uma vez.", "Fim."]
    assert markdown_paragraphs("\n---\r\ntitle: x\r\n---\r\nFim.") == ["Fim."]
    assert markdown_paragraphs("---\ntitle: x\n...\nFim.") == ["Fim."]


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("Title: Pão\nDate: 2020-01-01\n\nUm.", ["Um."]),
        ('{\n  "title": "Pão"\n}\n\nUm.', ["Um."]),
        ("Título: Pão\n\nUm.", ["Título: Pão", "Um."]),
        ("Um.\n\n{% highlight ruby %}\nputs 1\n{% endhighlight %}\n\nDois.", ["Um.", "Dois."]),
        ("{{< highlight go >}}\nx := 1\n{{< /highlight >}}\nUm.", ["Um."]),
        ('!!! note "Dica"\n    Espere\n    uma hora.\n\nUm.', ["Dica", "Espere uma hora.", "Um."]),
        ("??? tip\n    Um.\n\n    - Dois.\n", ["Um.", "Dois."]),
        ('=== "A"\n\n    Um.\n\n    !!! note\n        Dois.\n', ["A", "Um.", "Dois."]),
        ("Massa\n:   O que se amassa.", ["Massa", "O que se amassa."]),
        (
            "Um ==claro== :smile: às 10:30: %%ou não%% e 3 == 3. ^abc",
            ["Um claro às 10:30: e 3 == 3."],
        ),
    ],
)
def test_marks_of_site_makers_go(text: str, paragraphs: list[str]) -> None:
    assert markdown_paragraphs(text) == paragraphs


def test_prose_looks_like_no_table_json_or_markdown() -> None:
    kinds = (looks_like_table, looks_like_json, looks_like_json_lines, looks_like_notebook)
    prose = [path.read_text(encoding="utf-8")[:65536] for path in (ROOT / "data").rglob("*.txt")]
    assert len(prose) > 5
    words = " ".join(prose).split()
    shuffle = random.Random(1)
    verses = [", ".join(shuffle.choices(words, k=2)) for _ in range(40)]
    prose += [
        "\n".join(verses),
        "[1] Rosa, A.\n[2] Lima, B.\n",
        "{Era uma vez}\n",
        "abacate\tfruta do abacateiro\nbule\tvaso para o café\ncuia\tvaso de cabaça\n",
        "arroz,feijão,sal\nmilho,couve,alho\nfubá,ovo,leite\n",
        "Capítulo I\tA ponte\t5\nCapítulo II\tO rio\t19\nCapítulo III\tA volta\t40\n",
        "— Sim;\n— Não;\n",
    ]
    for text in prose:
        for looks_like in (*kinds, looks_like_markdown):
            assert not looks_like(text), (looks_like, text[:200])
