"""Files of every format become documents, and what cannot be read says why."""

import bz2
import codecs
import contextlib
import gzip
import json
import lzma
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import with_peak

from pipeline import InputError
from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats import columns
from pipeline.corpus.reading import Document, read_file

TEXTS = ["A avó põe açúcar no café.", "Um dia, à tarde,\nchoveu.", "— Não “sei”; e tu?"]
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


def read(path: Path, data: bytes, text_column: str = "") -> list[Document]:
    path.write_bytes(data)
    found = read_file(path, path.name, ReadingConfig(text_column=text_column))
    return [document for document in found if isinstance(document, Document)]


def texts(path: Path, data: bytes, text_column: str = "") -> list[str]:
    return [document.text for document in read(path, data, text_column)]


def parquet(**columns: list[object]) -> bytes:
    buffer = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue().to_pybytes()


def csv(separator: str = ",", column: str = "text") -> bytes:
    table = pd.DataFrame({"n": range(3), column: TEXTS, "more": ["x;y", "", "z"]})
    return str(table.to_csv(index=False, sep=separator)).encode()


# Plain text


def test_a_text_is_one_document(tmp_path: Path) -> None:
    data = "Título\r\n\r\nEra  uma vez.\r\n".encode("cp1252")
    assert read(tmp_path / "a.txt", data) == [
        Document("a.txt", "Título\nEra uma vez.", "text", "cp1252", "", 0, 0, 0, 0)
    ]


def test_a_file_of_unknown_suffix_is_plain_text(tmp_path: Path) -> None:
    assert texts(tmp_path / "LEIA-ME", "Olá.".encode()) == ["Olá."]


@pytest.mark.parametrize("data", [b"", b"\n \n\t\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_an_empty_text_is_no_document(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path / "a.txt", data) == []


def test_damage_and_mojibake_are_counted(tmp_path: Path) -> None:
    data = "A avó põe.\nA avÃ³ pÃµe.\nAção".encode() + b"\xe9 "
    (document,) = read(tmp_path / "a.txt", data)
    assert document.text == "A avó põe.\nA avó põe.\nAção\ufffd"
    counts = (document.mended, document.mojibake, document.damaged)
    assert (document.encoding, *counts) == ("utf-8", 1, 0, 1)


def test_text_is_composed(tmp_path: Path) -> None:
    row = unicodedata.normalize("NFD", TEXTS[0])
    assert texts(tmp_path / "a.txt", row.encode()) == TEXTS[:1]
    assert texts(tmp_path / "a.csv", f"text\n{row}\n".encode()) == TEXTS[:1]
    assert texts(tmp_path / "a.jsonl", json.dumps({"text": row}).encode()) == TEXTS[:1]
    assert texts(tmp_path / "a.parquet", parquet(text=[row])) == TEXTS[:1]
    assert texts(tmp_path / "a.conllu", f"# text = {row}\n".encode()) == TEXTS[:1]
    assert texts(tmp_path / "a.md", row.encode()) == TEXTS[:1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\n\n", "\r\n", "\r\n\r\n", "\r"])
@pytest.mark.parametrize("longest", [60, 101, 1000])
def test_a_long_text_is_read_in_pieces_cut_at_line_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, line_end: str, longest: int
) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", longest)
    # "ਊ" is two bytes that look like the end of a line in UTF-16.
    lines = [f"Linha {n}, não é?" + "ਊ" * (encoding[:4] == "utf-" and n % 3) for n in range(90)]
    data = line_end.join(lines).encode(encoding)
    if encoding == "utf-16-be":
        data = codecs.BOM_UTF16_BE + data
    found = read(tmp_path / "a.txt", data)
    assert len(found) >= len(data) // longest
    assert {document.source for document in found} == {"a.txt"}
    assert "\n".join(document.text for document in found).split("\n") == lines
    assert all(len(document.text.encode()) <= 2 * longest for document in found)


def test_pieces_are_cut_at_an_empty_line_rather_than_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 40)
    assert texts(tmp_path / "a.txt", b"Um.\nDois, tres, quatro.\n\nCinco.\nSeis.\nSete.\n") == [
        "Um.\nDois, tres, quatro.",
        "Cinco.\nSeis.\nSete.",
    ]


def test_a_line_longer_than_a_piece_is_cut_between_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 50)
    text = " ".join(f"palavra{n}" for n in range(100))
    found = texts(tmp_path / "a.txt", text.encode())
    assert len(found) > 10
    assert " ".join(found) == text


# Compression


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", "\n".join(TEXTS).encode()),
        ("a.csv", csv()),
        ("a.jsonl", b"\n".join(json.dumps({"text": text}).encode() for text in TEXTS)),
        ("a.parquet", parquet(text=[*TEXTS])),
        ("a.conllu", "".join(f"# text = {' '.join(text.split())}\n" for text in TEXTS).encode()),
    ],
)
def test_every_format_is_read_from_every_compression(
    tmp_path: Path, name: str, data: bytes, compression: str
) -> None:
    found = texts(tmp_path / f"{name}{compression}", COMPRESSORS[compression](data))
    assert " ".join(" ".join(found).split()) == " ".join(" ".join(TEXTS).split())


def test_compressed_files_put_one_after_the_other_are_read_to_the_end(tmp_path: Path) -> None:
    for compression, compress in list(COMPRESSORS.items())[1:]:
        data = compress(b"Um.\n") + compress(b"Dois.\n")
        assert texts(tmp_path / f"a.txt{compression}", data) == ["Um.\nDois."]


@pytest.mark.parametrize("compression", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "wrong", "inside"])
def test_damaged_compression_is_reported(tmp_path: Path, compression: str, damage: str) -> None:
    data = COMPRESSORS[compression]("".join(f"Linha {n}.\n" for n in range(20_000)).encode())
    half = len(data) // 2
    data = {
        "cut": data[:half],
        "wrong": b"Isto \xc3\xa9 texto.",
        "inside": data[:half]
        + bytes(byte ^ 0xFF for byte in data[half : half + 40])
        + data[half + 40 :],
    }[damage]
    with pytest.raises(ValueError, match="its compression is damaged"):
        read(tmp_path / f"a.txt{compression}", data)


# Markdown


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_markdown_loses_its_marks(tmp_path: Path, line_end: str) -> None:
    text = """\
---
title: nada
---
# A *rua* nova

Era uma **vez** uma [rua](http://x.pt "título"), sem
`nome` &amp; sem fim.

- pão
- água com
  gás

    1. um

> — Não.

![figura](a.png)

```python
print("código")
```

<div>
<p>HTML &amp; mais</p>
</div>

<!-- nada -->

    código

| a | b |
|---|---|
| c | d |

Um verso\\
outro ~~verso~~ <b>aqui</b>

Rua A, 10<br>São Paulo<BR/>Brasil
"""
    assert texts(tmp_path / "a.md", text.replace("\n", line_end).encode()) == [
        "A rua nova\nEra uma vez uma rua, sem nome & sem fim.\npão\nágua com gás\num\n— Não.\n"
        "HTML & mais\n"
        "a\nb\nc\nd\nUm verso\noutro verso aqui\nRua A, 10\nSão Paulo\nBrasil"
    ]


# Tables


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", csv()),
        ("a.csv", csv(";")),
        ("a.csv", csv().replace(b"\n", b"\r\n")),
        ("a.csv", b"\r\n\n" + csv()),
        ("a.csv", csv().decode().encode("cp1252")),
        ("a.csv", codecs.BOM_UTF8 + csv()),
        ("a.csv", csv().decode().encode("utf-16")),
        ("a.jsonl", b"\n\n".join(json.dumps({"n": 1, "text": text}).encode() for text in TEXTS)),
        ("a.parquet", parquet(n=[1, 2, 3], text=[*TEXTS])),
    ],
)
def test_a_row_is_a_document(tmp_path: Path, name: str, data: bytes) -> None:
    assert texts(tmp_path / name, data) == TEXTS


def test_tab_separated_text_keeps_its_quotes(tmp_path: Path) -> None:
    data = 'n\ttext\n1\t"Não", disse.\n2\tE "agora?\n3\tFim.\n'.encode()
    assert texts(tmp_path / "a.tsv", data) == ['"Não", disse.', 'E "agora?', "Fim."]


def test_text_that_looks_like_something_else_is_text(tmp_path: Path) -> None:
    assert texts(tmp_path / "a.csv", b"text\nNA\n1.50\nnull\nTrue\n") == [
        "NA",
        "1.50",
        "null",
        "True",
    ]


def test_rows_without_text_are_no_documents(tmp_path: Path) -> None:
    assert texts(tmp_path / "a.csv", b'n,text\n1,\n2," ",\n3\n4,Fim.,,\n') == ["Fim."]
    assert texts(tmp_path / "a.parquet", parquet(text=["", None, " \n", "Fim."])) == ["Fim."]
    rows = b'{"text": ""}\n{"text": null}\n{"n": 1}\n{"text": "Fim."}\n'
    assert texts(tmp_path / "a.jsonl", rows) == ["Fim."]
    assert texts(tmp_path / "a.jsonl", b'{"n": 1}\n{"n": 2, "text": "Fim."}\n{}\n') == ["Fim."]
    assert texts(tmp_path / "b.csv", b"") == []
    assert texts(tmp_path / "b.csv", b"text\n") == []
    assert texts(tmp_path / "b.jsonl", b"\n") == []


def test_more_rows_than_are_read_at_once(tmp_path: Path) -> None:
    lines = [f"Linha {n}." for n in range(3000)]
    assert texts(tmp_path / "a.csv", "\n".join(["text", *lines]).encode()) == lines
    assert texts(tmp_path / "a.parquet", parquet(text=[*lines])) == lines


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", csv(column="texto")),
        ("a.csv", csv(";", column="texto")),
        ("a.tsv", csv("\t", column="texto")),
        ("a.jsonl", b'{"n": 1, "texto": "Fim.", "more": 2}'),
        ("a.parquet", parquet(n=[1], texto=["Fim."], more=[2])),
    ],
)
def test_the_error_of_a_missing_column_lists_the_columns(
    tmp_path: Path, name: str, data: bytes
) -> None:
    looks = r"n: numbers, texto: [a-z ]+, more: [a-z ]+"
    message = rf"a\.\w+ has no column 'text': .*--text-column \({looks}\)\."
    with pytest.raises(InputError, match=message):
        read(tmp_path / name, data, "text")
    assert read(tmp_path / name, data, "TEXTO")
    assert read(tmp_path / name, data, "") == read(tmp_path / name, data, "texto")


def test_rows_are_unwrapped(tmp_path: Path) -> None:
    line = "A casa ficava no fim da rua, depois da ponte, e quem passava por ali à"
    row = f"{line}\n" + f"tarde {line[2:-6]}\n" * 3 + "tarde ouvia o piano."
    (found,) = texts(tmp_path / "a.jsonl", json.dumps({"text": row}).encode())
    assert found == " ".join(row.split())


def test_half_a_character_in_json_is_damage(tmp_path: Path) -> None:
    (document,) = read(tmp_path / "a.jsonl", b'{"text": "A \\ud83d e \\ud83d\\ude00."}')
    assert (document.text, document.damaged) == ("A \ufffd e 😀.", 1)


# Treebanks

TREEBANK = """\
# newdoc id = a
# newpar id = a1
# sent_id = 1
# text = Ele viu o rio.
# text_en = He saw the river.
1\tEle\tele\tPRON\t_\t_\t2\tnsubj\t_\t_

# sent_id = 2
# text =  Não gostou.

# newpar
# text = Foi-se.

# newdoc id = b
# text = Um.

# text = Dois.
"""


def test_documents_and_paragraphs_of_a_treebank(tmp_path: Path) -> None:
    for line_end in ("\n", "\r\n"):
        data = TREEBANK.replace("\n", line_end).encode()
        assert texts(tmp_path / "a.conllu", data) == [
            "Ele viu o rio. Não gostou.\nFoi-se.",
            "Um.\nDois.",
        ]


def test_comments_of_a_sentence_stand_in_any_order(tmp_path: Path) -> None:
    rows = "1\tVi\t_\n2\to\t_\n3\trio\t_\n\n"
    comments = ["# newdoc\n# text = Vi o rio", "# text = Vi o rio\n# newdoc", "# newpar"]
    data = "".join(f"{comment}\n{rows}" for comment in comments).encode()
    assert texts(tmp_path / "a.conllu", data) == ["Vi o rio", "Vi o rio\nVi o rio"]


def test_a_treebank_without_documents_is_cut_where_it_grows_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"Frase número {n}." for n in range(200)]
    plain = "\n\n".join(f"# text = {line}" for line in lines).encode()
    assert texts(tmp_path / "a.conllu", plain) == ["\n".join(lines)]
    paragraphs = "\n\n".join(f"# newpar\n# text = {line}" for line in lines).encode()
    monkeypatch.setattr(opening, "MAX_PIECE", 500)
    for data in (plain, paragraphs):
        found = texts(tmp_path / "a.conllu", data)
        assert len(found) > 5
        assert "\n".join(found).split("\n") == lines


@pytest.mark.slow
def test_a_line_without_end_costs_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_MAX_LINE", 2**20)
    packed = bz2.compress(b'{"text": "' + b"a" * 10**8)  # 100 MB in 100 bytes
    assert len(packed) < 1000
    (tmp_path / "a.jsonl.bz2").write_bytes(packed)

    def read() -> None:
        with contextlib.suppress(ValueError):
            list(read_file(tmp_path / "a.jsonl.bz2", "a", ReadingConfig(format="jsonl")))

    _, peak = with_peak(read)
    assert peak < 6 * opening.MAX_PIECE


def test_half_an_emoji_costs_no_notebook(tmp_path: Path) -> None:
    cell = {"cell_type": "markdown", "source": "Ela riu \ud83d e ele riu \ud83d\ude02 também."}
    data = json.dumps({"cells": [cell]}).encode()
    assert texts(tmp_path / "a.ipynb", data) == ["Ela riu \ufffd e ele riu \U0001f602 também."]


# What cannot be read


@pytest.mark.parametrize(
    ("name", "data", "clause"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10", "it is a picture"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10", "it is a picture"),
        ("a.json", b'[{"text": "Um."}, {"text": "Do', r"it is not JSON \("),
        ("a.json", b"{}", "it holds no text"),
        ("a.parquet", b"PAR1 nada", r"it is not a Parquet file \("),
        ("a.parquet", parquet(text=["Um."] * 50)[:-20], r"it is not a Parquet file \("),
        ("a.parquet", parquet(text=[1, 2]), "its column 'text' does not hold text"),
        ("a.conllu", b"Ele\tele\n", "it has no words in numbered rows"),
        (
            "a.ipynb",
            b'{"cell_type": 1, "cells": ' + 9999 * b"[",
            "it holds parts in parts in parts",
        ),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, data: bytes, clause: str) -> None:
    with pytest.raises(ValueError, match=f"^{clause}") as error:
        read(tmp_path / name, data)
    assert not isinstance(error.value, InputError)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "head",
    [
        "---\n" + 99 * "\n",
        99 * "<!-- nota -->\n",
        99 * "% ",
        9999 * "* termo: outro\n",
        99_999 * "a",
    ],
)
def test_odd_beginnings_cost_no_time(tmp_path: Path, head: str) -> None:
    """A pattern that tries all ways to divide them would not end."""
    for name in ("a.txt", "a.md"):
        assert read(tmp_path / name, f"{head}Ela contou uma história\n".encode())


def test_a_missing_file_is_an_error_of_the_disk(tmp_path: Path) -> None:
    for name in ("a.txt", "a.csv.gz", "a.parquet", "a.jsonl.zst"):
        with pytest.raises(FileNotFoundError):
            list(read_file(tmp_path / name, name, ReadingConfig()))


def test_documents_before_the_damage_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"text": "Um."}, {"text": "Dois."}, {"te')
    documents = read_file(tmp_path / "a.json", "a.json", ReadingConfig())
    assert [next(documents).text, next(documents).text] == ["Um.", "Dois."]
    with pytest.raises(ValueError, match="it is not JSON"):
        next(documents)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a.txt.gz", "a.csv", "a.json", "a.jsonl", "a.parquet", "a.conllu"]
)
def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 2**16)
    monkeypatch.setattr(columns, "SAMPLE_ROWS", 100)
    lines = [f"A vizinha contou {n} vezes. " * 20 for n in range(4000)]
    text = "\n".join(lines).encode()
    data = {
        "a.txt.gz": gzip.compress(text, 1),
        "a.csv": b"text\n" + text,
        "a.json": json.dumps([{"text": line} for line in lines]).encode(),
        "a.jsonl": "\n".join(f'{{"text": "{line}"}}' for line in lines).encode(),
        "a.parquet": parquet(text=[*lines]) if name == "a.parquet" else b"",
        "a.conllu": "".join(f"# text = {line}\n" for line in lines).encode(),
    }[name]
    path = tmp_path / name
    path.write_bytes(data)
    del data, lines

    def letters() -> int:
        return sum(len(one.text.encode()) for one in read_file(path, name, ReadingConfig()))

    found, peak = with_peak(letters)
    assert found > 0.9 * len(text)
    assert peak < len(text) / 2
