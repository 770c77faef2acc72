"""Which files stand for a corpus."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline import InputError
from pipeline.corpus.files import find_files, passed_over
from pipeline.corpus.opening import suffixes


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


def test_no_name_is_not_the_folder_in_which_the_program_runs() -> None:
    with pytest.raises(InputError, match="no text to read at '': no file, folder or glob"):
        find_files([""])


def touch(folder: Path, *files: str) -> Path:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_a_folder_stands_for_every_format_compressed_or_not(tmp_path: Path) -> None:
    readable = ["a.txt", "b.md", "c.csv", "d.tsv", "e.parquet", "f.jsonl", "g.conllu"]
    readable += [f"{name}{end}" for name in readable for end in (".gz", ".bz2", ".xz", ".zst")]
    readable += ["x/H.TXT", "x/I.Csv.GZ"]
    touch(tmp_path, *readable, "j.png", "k.gz", "l", "txt", "m.txt.7z", "n.svg", "o.gz.txt.bak")
    assert sorted(names([str(tmp_path)])) == sorted(readable)


def test_a_folder_stands_for_what_wikiextractor_made(tmp_path: Path) -> None:
    for name in ("AA/wiki_00", "AA/wiki_01.bz2", "AB/wiki", "AB/wikis"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert names([str(tmp_path)]) == ["AA/wiki_00", "AA/wiki_01.bz2"]
    assert passed_over([str(tmp_path)])[""] == 2


def test_a_folder_does_not_stand_for_hidden_files(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", ".b.txt", ".git/c.txt", "x/.d/e.md")
    assert names([str(tmp_path)]) == ["a.txt"]
    assert names([str(tmp_path / ".b.txt")]) == [".b.txt"]
    assert names([str(tmp_path / ".git")]) == ["c.txt"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    folder = touch(tmp_path / "corpus", "a.txt", "x/b.txt")
    touch(tmp_path / "elsewhere", "c.txt")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "x" / "up").symlink_to(folder)
    (folder / "nowhere.txt").symlink_to(tmp_path / "missing")
    assert sorted(names([str(folder)])) == ["a.txt", "link/c.txt", "x/b.txt"]


def test_a_folder_that_cannot_be_read_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = touch(tmp_path, "a.txt", "closed/b.txt") / "closed"
    scandir = os.scandir

    def refuse(path: str) -> Any:  # as the disk does, but to root
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="closed"):
        find_files([str(tmp_path)])


def test_a_name_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    touch(tmp_path, os.fsdecode(b"cap\xedtulo.txt"))
    with pytest.raises(InputError, match=r"cap\\udcedtulo\.txt.*rename it"):
        find_files([str(tmp_path)])


def test_files_in_no_known_format_are_counted(library: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.tar.gz", ".hidden.jpg"):
        (library / "poesia" / name).touch()
    (library / "LEIA-ME").touch()
    expected = {".jpg": 2, ".tar.gz": 1, ".png": 1, "": 1}
    assert passed_over([str(library)]) == expected
    assert passed_over([str(library / "*")])[".jpg"] == 2
    assert not passed_over([str(library / "LEIA-ME"), "machado"])


def test_suffixes() -> None:
    assert suffixes(Path("x/Livro.TXT.Gz")) == (".txt", ".gz")
    assert suffixes(Path("x.gz/livro.parquet")) == (".parquet", "")
    assert suffixes(Path("LEIA-ME")) == ("", "")
    assert suffixes(Path("dados.zst")) == ("", ".zst")
