"""Bytes become text, whatever encoding they, or each of their lines, were written in."""

import io
import re
import unicodedata
import zipfile
from pathlib import Path

import pytest
from conftest import SAMPLE
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import opening
from pipeline.corpus.encoding import OLD_ENCODINGS, decode
from pipeline.corpus.opening import open_lines


def test_decode_reads_utf8_with_and_without_bom() -> None:
    text = "Não há pão, vovó."
    assert decode(text.encode("utf-8"))[0] == text
    assert decode(text.encode("utf-8-sig"))[0] == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_decode_reads_utf16_with_bom(encoding: str) -> None:
    text = "Não há pão, vovó."
    bom = "" if encoding == "utf-16" else "\ufeff"
    assert decode((bom + text).encode(encoding))[0] == text


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
    assert decode(text.encode(encoding))[0] == text


def test_decode_reads_windows_quotes_and_dashes() -> None:
    text = "— Não “sei”, disse ela… R$ 5 ou € 1?"
    assert decode(text.encode("cp1252"))[0] == text


@given(st.sampled_from(sorted(SAMPLE.rglob("*.txt"))), st.integers(0, 2000), st.integers(40, 400))
def test_decode_reads_any_piece_of_the_sample_in_windows_1252(
    path: Path, start: int, length: int
) -> None:
    piece = path.read_text(encoding="utf-8")[start : start + length]
    data = piece.encode("cp1252", errors="ignore")  # which knows no emoji
    assert decode(data)[0] == data.decode("cp1252")


def test_decode_loses_only_the_bytes_that_are_damaged() -> None:
    data = "A avó não põe açúcar no café. Ninguém põe.".encode()
    assert decode(data + b"\xe9")[0] == data.decode() + "\ufffd"


@pytest.mark.parametrize(
    ("text", "damage"),
    [
        (unicodedata.normalize("NFD", "O coração não é só emoção.\n") * 20, b"\xc3"),
        ("kkk 😂😂😂\n" * 40, "😂".encode()[:1]),
    ],
)
def test_damaged_utf8_of_any_kind_is_utf8(text: str, damage: bytes) -> None:
    found, encoding = decode(text.encode() + damage)
    assert encoding == "utf-8"
    assert found == unicodedata.normalize("NFC", text) + "\N{REPLACEMENT CHARACTER}"


def test_decode_composes_letters_and_accents() -> None:
    text = "Não há pão, vovó."
    assert decode(unicodedata.normalize("NFD", text).encode())[0] == text


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


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp850", "mac_roman"]
)
def test_decode_names_the_encoding(encoding: str) -> None:
    assert decode("A avó põe açúcar no café.".encode(encoding))[1] == encoding


def test_decode_of_ascii_and_nothing_is_utf8() -> None:
    assert decode(b"Bom dia.") == ("Bom dia.", "utf-8")
    assert decode(b"") == ("", "utf-8")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["Oi", "Não há pão, vovó.\r\n— Há, sim 😂."])
def test_utf16_needs_no_bom(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == (text, "utf-16")


@pytest.mark.parametrize(
    "data", [b"A av\xc3\xb3\x00", b"\x01", b"Oi\x00" + b"\x00" * 999, b"Um.\x0cDois.\x1b[1m" * 3]
)
def test_a_few_control_characters_are_no_reason_to_refuse_a_text(data: bytes) -> None:
    if data.strip(b"\x01"):
        assert decode(data)[0] == data.decode()
    else:
        with pytest.raises(ValueError, match="its bytes are not text"):
            decode(data)


# Lines that are mixed in one file: of chats, letters and tables.
LINES = ["A avó não põe açúcar no café.", "Ação!", "Amanhã", "É lá", "Um dia", "Às três, vovô."]


@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(["utf-8", "cp1252"])), min_size=1),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_each_line_has_its_own_encoding(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]], line_end: str
) -> None:
    text = "".join(line + line_end for line, _ in lines)
    data = b"".join((line + line_end).encode(encoding) for line, encoding in lines)
    found, encoding = decode(data)
    assert found == text
    used = {encoding for line, encoding in lines if not line.isascii()}
    assert {*encoding.split("+")} == (used or {"utf-8"})
    path = tmp_path_factory.getbasetemp() / "mixed.csv"
    path.write_bytes(data)
    with open_lines(path) as (file, name):
        assert (file.read(), name) == (text, encoding)


@pytest.mark.parametrize("old", OLD_ENCODINGS)
def test_the_encoding_of_most_lines_is_named_first(old: str) -> None:
    wide, narrow = (f"{LINES[0]}\n".encode(encoding) for encoding in ("utf-8", old))
    assert decode(9 * wide + narrow) == (10 * f"{LINES[0]}\n", f"utf-8+{old}")
    assert decode(wide + 9 * narrow) == (10 * f"{LINES[0]}\n", f"{old}+utf-8")


@pytest.mark.parametrize(
    "cut", ["é", "ã", "Ã", "—", "”", "😂", "º", unicodedata.normalize("NFD", "ã")[1:]]
)
@pytest.mark.parametrize("after", ["\n", ";1\n", '"\n', ""])
def test_a_cut_sequence_of_utf8_is_damage_beside_an_old_line(cut: str, after: str) -> None:
    for size in range(1, len(cut.encode())):
        data = f"{LINES[0]}\nE um caf".encode() + cut.encode()[:size] + after.encode()
        text, encoding = decode(data)
        assert (text.splitlines()[0], encoding) == (LINES[0], "utf-8")
        assert re.fullmatch(f"E um caf\ufffd+{after}", text.partition("\n")[2])
        assert decode(data + b"\nVov\xf3.")[0].startswith(text)


def test_emoji_in_halves_are_joined() -> None:
    line = b"Que lindo \xed\xa0\xbd\xed\xb8\x82!"
    assert decode(line + "\nA avó.".encode()) == ("Que lindo 😂!\nA avó.", "utf-8")
    assert decode(line + b"\nA av\xf3.") == ("Que lindo 😂!\nA avó.", "utf-8+cp1252")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_lines_of_a_file_have_no_bom(encoding: str, tmp_path: Path) -> None:
    text = "nome;texto\r\nAna;Não, vovó.\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    with open_lines(tmp_path / "a.csv") as (file, name):
        assert (file.read(), name) == (text, encoding.removesuffix("-sig").rstrip("-ble"))


def test_lines_after_the_first_piece_have_their_own_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 100)
    data = b"".join(f"{n} é\n".encode("utf-8" if n < 90 else "cp1252") for n in range(99))
    (tmp_path / "a.csv").write_bytes(data)
    with open_lines(tmp_path / "a.csv") as (file, name):
        assert [*file] == [f"{n} é\n" for n in range(99)]
    assert name == "cp1252+utf-8"
