"""Text loses what is no part of it, mojibake is mended, and right text stays as it is."""

import unicodedata

import ftfy.badness
import pytest
from conftest import SAMPLE
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus.cleaning import SUSPICIOUS, clean

SENTENCES = sorted(
    {
        line
        for path in SAMPLE.rglob("*.txt")
        for line in path.read_text(encoding="utf-8").split("\n")
        if not line.isascii() and all(sign < "\u2030" for sign in line)
    }
)[::40]
RIGHT = [
    "NÃO É LÁ, AMANHÃ À TARDE: ÂNGULO, MAÇÃ — “SÃO” «JOÃO»…",
    "A letra Ã vem antes da letra Â. DUQUE DE BERGÃÇA",
    "Ã e Õ têm til",
    "“BOA MANHÃ”, «ALEMû, LÃ— E IRMÃ…",
    "1.ª, 2.º, ½ kg, 5 m² e 30 °C; √2 ≈ 1,41; a ¬ b; ‚sic‘",
    "“É”, “á”, SUÍÇA, PÔÇA, œuvre, Ångström, Łódź",
    "├── docs\n└── mapa ┬ fim",
    "ｆｕｌｌ ｗｉｄｔｈ, ⅷ, ™, 😂👍🏽❤️👨\u200d👩\u200d👧",
]


def broken(text: str, encoding: str, times: int) -> str:
    for _ in range(times):
        text = text.encode().decode(encoding)
    return text


@pytest.mark.parametrize("text", RIGHT)
def test_right_text_stays(text: str) -> None:
    cleaned = clean(text)
    assert (cleaned.text, cleaned.controls, cleaned.mended) == (text, 0, 0)


def test_the_sample_stays() -> None:
    for path in SAMPLE.rglob("*.txt"):
        text = path.read_text(encoding="utf-8")
        lines = "\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n"))))
        assert clean(lines) == (lines, 0, 0, 0, 0), path


# Windows' own signs for the bytes that Latin-1 leaves to control characters.
@pytest.mark.parametrize("encoding", ["latin-1", "sloppy-windows-1252", "mac_roman", "cp850"])
@pytest.mark.parametrize("times", [1, 2])
def test_mojibake_is_mended(encoding: str, times: int) -> None:
    for line in SENTENCES:
        cleaned = clean(f"Bom dia.\n{broken(line, encoding, times)}")
        assert cleaned.text == f"Bom dia.\n{line}"
        assert cleaned[1:] == (0, 1, 0, 0)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("text", ["Foi às 7h, à tarde, àquela hora. É às…", "Chegou às 16h."])
def test_half_of_an_a_grave_may_have_become_a_space(text: str, times: int) -> None:
    mojibake = " ".join(broken(text, "cp1252", 1).split())
    if times == 2:
        mojibake = " ".join(broken(text, "latin-1", 2).split(" "))
    assert clean(mojibake.replace("\xa0", " ")).text == text


def test_a_lone_letter_is_mended_where_others_are() -> None:
    lines = "Foi Ã noite.\nÃ tarde, nÃ£o.\nNÃO e BOA MANHÃ”"
    assert clean(lines).text == "Foi à noite.\nà tarde, não.\nNÃO e BOA MANHÃ”"


def test_only_the_broken_lines_are_mended() -> None:
    line = "A avó põe açúcar."
    cleaned = clean(f"{line}\n{broken(line, 'cp1252', 1)}\nNÃO\n{line}")
    assert cleaned == (f"{line}\n{line}\nNÃO\n{line}", 0, 1, 0, 0)


def test_what_cannot_be_mended_is_counted() -> None:
    text = "Ele viu ðŸ e Ñ‚Ð¾"
    cleaned = clean(f"Bom.\n{text}")
    assert (cleaned.text, cleaned.mended) == (f"Bom.\n{text}", 0)
    assert cleaned.mojibake == ftfy.badness.badness(text) > 0


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp850", "mac_roman"])
def test_no_mojibake_is_overlooked_for_speed(encoding: str) -> None:
    for path in sorted(SAMPLE.rglob("*.txt"))[::8]:
        for line in path.read_text(encoding="utf-8").split("\n"):
            text = line.encode().decode(encoding, errors="replace")
            assert not ftfy.badness.badness(text) or any(sign in text for sign in SUSPICIOUS)


@pytest.mark.parametrize(
    ("text", "cleaned", "controls"),
    [
        ("a\x00b\x00\x00c\x7f", "abc", 3),
        ("O\x00l\x00á\x00", "Olá", 3),
        ("\x1b[1;31mErro\x1b[0m grave", "Erro grave", 2),
        ("Um.\u2028Dois.\u2029\u2029Três.\x0cQuatro", "Um.\nDois.\nTrês.\nQuatro", 0),
        ("ﬁm da ofi\u00adcina; ﬂor, eﬀeito, aﬃnal, aﬄito, ﬅ, ﬆ", None, 0),
        ("\ufeffzero\u200b largura\u2060\u200e \u202ae\u202c", "zero largura e", 0),
        ("a \u200b b\n\u00ad\nc", "a b\nc", 0),
        ("a\u200b\u0301gua", "água", 0),
        ("o ofı\u0301cio e Işık", "o ofício e Işık", 0),
        ("\x01\u200b\n\x02", "", 2),
    ],
)
def test_odd_characters_go(text: str, cleaned: str | None, controls: int) -> None:
    expected = (
        "fim da oficina; flor, effeito, affinal, afflito, st, st" if cleaned is None else cleaned
    )
    assert clean(text) == (expected, controls, 0, 0, 0)


def test_quotes_of_windows_read_as_latin1_are_mended() -> None:
    text = "— Não “sei”…"
    cleaned = clean(text.encode("cp1252").decode("latin-1").replace("\x85", "…"))
    assert cleaned == (text, 0, 1, 0, 0)


@given(st.text(st.sampled_from("aãÃÂ€ŠŸ™œ√├┬ÔÇÖ¬‚Ä° \n\x00\x80\x93\xa0\xad\u200b\u2028ﬁ😂é—“”")))
def test_what_is_cleaned_has_no_odd_character_and_no_empty_line(text: str) -> None:
    lines = (" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines())
    once = clean("\n".join(filter(None, lines)))
    assert all(line == " ".join(line.split()) for line in once.text.split("\n"))
    assert "\n\n" not in once.text
    assert not {*once.text} & {*"\x00\x80\x93\xad\u200b\u2028ﬁ"}


def test_damage_is_counted() -> None:
    assert clean("Aç\ufffdo e n\ufffdo").damaged == 2
