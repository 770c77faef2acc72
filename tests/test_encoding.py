"""Bytes become text, whatever encoding they were written in; what was broken before is counted."""

import io
import unicodedata
import zipfile
from pathlib import Path

import ftfy.badness
import pytest
from conftest import SAMPLE
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus.encoding import count_mojibake, decode


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


@pytest.mark.parametrize("sign", "ÉÓÚÂÊÔÃÕÇáéíóúâêôãõçÀü“—")
def test_mojibake_is_counted(sign: str) -> None:
    broken = f"palavra{sign}s e {sign} fim".encode().decode("cp1252")
    assert count_mojibake(f"Bom.\n{broken}\nBom.") >= 1


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp850", "mac_roman"])
def test_no_mojibake_is_overlooked_for_speed(encoding: str) -> None:
    lines = [
        line.encode().decode(encoding, errors="replace")
        for path in sorted(SAMPLE.rglob("*.txt"))[::8]
        for line in path.read_text(encoding="utf-8").split("\n")
    ]
    assert [count_mojibake(line) for line in lines] == list(map(ftfy.badness.badness, lines))


@pytest.mark.parametrize("emoji", ["😂", "🙏", "🎉", "❤\ufe0f", "✨", "☺"])
def test_a_broken_emoji_is_mojibake(emoji: str) -> None:
    broken = f"que fofa {emoji} tchau".encode().decode("cp1252", errors="replace")
    assert count_mojibake(f"Bom.\n{broken}\nBom.") == ftfy.badness.badness(broken) >= 1


def test_good_portuguese_is_no_mojibake() -> None:
    assert count_mojibake("NÃO É LÁ, AMANHÃ À TARDE: ÂNGULO, MAÇÃ — “SÃO” «JOÃO»…\nAÇÃO") == 0
    for path in SAMPLE.rglob("*.txt"):
        assert count_mojibake(path.read_text(encoding="utf-8")) == 0, path


def test_mojibake_is_counted_once_a_place() -> None:
    line = "A avó põe açúcar.".encode().decode("cp1252")
    assert count_mojibake(line) == 4
    assert count_mojibake(f"{line}\nNada.\n{line}") == 8
