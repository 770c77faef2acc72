"""Every kind of file in tests/formats comes out as the file beside it says.

`NAME.out` holds the format, what is told of the file, and after an empty line the documents, with
an empty line between two of them.
"""

import re
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.corpus.config import DEFAULT_READING
from pipeline.corpus.formats.texts import Note
from pipeline.corpus.reading import read_file

FOLDER = ROOT / "tests/formats"
EXPECTED = sorted(FOLDER.glob("*.out"))


def as_read(path: Path) -> str:
    notes, documents, name = [], [], ""
    for found in read_file(path, path.name, DEFAULT_READING):
        if isinstance(found, Note):
            notes.append(f"note: {found.what}")
        else:
            name = found.format
            documents.append(found.text)
    return "\n".join([f"format: {name}", *notes, "", "\n\n".join(documents), ""])


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda path: path.stem)
def test_a_file_of_each_kind(expected: Path) -> None:
    assert as_read(expected.with_suffix("")) == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda path: path.stem)
def test_lines_may_end_as_in_windows(expected: Path, tmp_path: Path) -> None:
    data = expected.with_suffix("").read_bytes()
    path = tmp_path / expected.stem
    if b"\0" not in data and b"\r" not in data and not data.startswith(b"%PDF"):
        path.write_bytes(data.replace(b"\n", b"\r\n"))
        assert as_read(path) == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda path: path.stem)
def test_a_nul_loses_one_character(expected: Path, tmp_path: Path) -> None:
    path = expected.with_suffix("")
    data, text = path.read_bytes(), expected.read_text(encoding="utf-8")
    words = re.findall("[a-z]{6,}", text.partition("\n\n")[2])
    word = next((word for word in words if data.count(word.encode()) == 1), "")
    if not word or b"\0" in data or path.suffix == ".pdf":
        pytest.skip("has no word of its own, or is not text")
    copy = tmp_path / path.name
    copy.write_bytes(data.replace(word.encode(), f"{word[:3]}\0{word[3:]}".encode()))
    assert as_read(copy) == text
    found = read_file(copy, copy.name, DEFAULT_READING)
    assert sum(one.controls for one in found if not isinstance(one, Note))


def test_no_file_is_left_out() -> None:
    inputs = {path for path in FOLDER.iterdir() if path.suffix != ".out"}
    assert inputs == {path.with_suffix("") for path in EXPECTED}
    assert inputs
