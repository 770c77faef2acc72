"""The report's languages: numbers in their form, and a translation of every message."""

import math
import re

import pytest
from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po
from conftest import ROOT

from pipeline.evaluation.report.language import ENGLISH, PORTUGUESE
from pipeline.evaluation.report.wording import model_label, power, rank_band

REPORT = ROOT / "pipeline" / "evaluation" / "report"


@pytest.fixture(scope="module")
def messages(tmp_path_factory) -> Catalog:
    """What Babel finds in the code, as language.py says that it is called."""
    found = tmp_path_factory.mktemp("messages") / "report.pot"
    mapping = ROOT / "pyproject.toml"
    CommandLineInterface().run(["pybabel", "extract", f"-F{mapping}", f"-o{found}", str(REPORT)])
    with found.open("rb") as file:
        return read_po(file)


@pytest.fixture(scope="module")
def translated() -> Catalog:
    with (REPORT / "pt.po").open("rb") as file:
        return read_po(file)


def forms(text):
    """The singular and the plural of a message, or its only form."""
    return [text] if isinstance(text, str) else [*text]


def filled(text):
    """The names and tags in a text, whose placeholders must be `%(name)s`, and other % be %%."""
    names = re.findall(r"%\((\w+)\)", text)
    assert "%" not in re.sub(r"%%|%\(\w+\)s", "", text)
    tags = re.findall(r"<(?!/?i\b)[^>]*>", text)  # <i> is for words of another language
    return {*names}, sorted(tags)


def test_every_message_has_a_translation_and_none_is_stale(messages, translated):
    in_code, in_catalog = ({m.id for m in catalog if m.id} for catalog in (messages, translated))
    assert len(in_code) > 100  # Babel read the modules, and the template
    assert in_code - in_catalog == set(), "to be added to pt.po"
    assert in_catalog - in_code == set(), "to be removed from pt.po"
    assert not translated.obsolete
    for message in translated:
        assert not message.id or (all(forms(message.string)) and not message.fuzzy)


def test_placeholders_and_tags_are_those_of_the_message(translated):
    for message in translated:
        if message.id:
            for source, text in zip(forms(message.id), forms(message.string), strict=True):
                assert filled(source) == filled(text)


def test_numbers_as_they_are_read():
    for language, texts in {
        ENGLISH: ["1,234.6", "∞", "12,345", "0.988", "0.001", "26.5%", "30%", "–"],
        PORTUGUESE: ["1.234,6", "∞", "12.345", "0,988", "0,001", "26,5%", "30%", "–"],
    }.items():
        number, percent = language.number, language.percent
        assert [
            *(number(1234.56), number(math.inf), number(12345, 0), number(0.98765, 3)),
            *(language.plain_number(0.001), percent(0.265), percent(0.3, 0), percent(math.nan)),
        ] == texts
    assert power(2.1e-6) == "2·10⁻⁶"


def test_changes_and_chances():
    for language, texts in {
        ENGLISH: ["−10.0%", "+25.0%", "25.0%", "1 in 2,500", "less than 1 in 10¹²"],
        PORTUGUESE: ["−10,0%", "+25,0%", "25,0%", "1 em 2.500", "menos de 1 em 10¹²"],
    }.items():
        chance, change = language.chance, language.change
        assert [change(0.9), change(1.25), chance(0.25), chance(1 / 2500), chance(0)] == texts
    cells = (1e-5, 1e-4, 0.00123, 0.0712, 0.094, 0.095, 1)
    shown = ["<0.01", "0.01", "0.12", "7.1", "9.4", "10", "100"]
    assert [ENGLISH.short_percent(p) for p in cells] == shown
    in_portuguese = [text.replace(".", ",") for text in shown]
    assert [PORTUGUESE.short_percent(p) for p in cells] == in_portuguese


def test_words_agree_with_numbers():
    for language, texts in {
        ENGLISH: ["1 document", "2 documents", "1,200 documents"],
        PORTUGUESE: ["1 documento", "2 documentos", "1.200 documentos"],
    }.items():
        documents = ("%(num)s document", "%(num)s documents")
        assert [language.ngettext(*documents, number) for number in (1, 2, 1200)] == texts


def test_labels_lists_and_bands():
    assert model_label("lstm + Kneser-Ney 5-gram", ENGLISH) == "lstm + Kneser-Ney 5-gram"
    assert model_label("lstm + Kneser-Ney 5-gram", PORTUGUESE) == "lstm + Kneser-Ney de 5-gramas"
    assert model_label("unigram", PORTUGUESE) == "unigrama"
    assert model_label("lstm models/unigram", PORTUGUESE) == "lstm models/unigram"
    assert PORTUGUESE.join(["a", "b", "c"]) == "a, b e c"
    assert ENGLISH.join(["a", "b"]) == "a and b"
    assert rank_band("1001-10000", ENGLISH) == "1,001 to 10,000"
    assert rank_band("10001-", PORTUGUESE) == "10.001 em diante"
    assert rank_band("unknown", PORTUGUESE) == "fora do vocabulário"
