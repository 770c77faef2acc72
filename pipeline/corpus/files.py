"""Find the files of a corpus; in a folder, by the ends of their names."""

import glob
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import InputError
from pipeline.corpus.detect import SUFFIXES
from pipeline.corpus.opening import suffixes

# Its files are AA/wiki_00, AA/wiki_01, …
_WIKIEXTRACTOR = re.compile(r"wiki_\d+")


def find_files(corpus: Sequence[str]) -> list[tuple[Path, str]]:
    """Return (path, source) of all files that folders, files and globs name, each file once.

    A folder stands for all files below it whose names end as those of a format, compressed or not,
    except hidden ones; links are followed. The source is the path relative to the folder, for a
    glob to the folder before its first wildcard.

    Raises:
        InputError: One of them has no file to read, or a file name is not UTF-8.
        OSError: A folder cannot be read.
    """
    found: dict[Path, tuple[Path, str]] = {}
    for name in corpus:
        place, matches = Path(name), _matches(name)
        if place.exists():
            root = place if place.is_dir() else place.parent
        else:
            root = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), place.parts))
        files = [file for file in matches if file.is_file()]
        for folder in filter(Path.is_dir, matches):
            files += sorted(file for file in _walk(folder) if _has_known_name(file))
        if not files:
            raise InputError(f"There is no text to read at {name or repr(name)}: {_why(matches)}.")
        for file in files:
            source = file.relative_to(root).as_posix()
            try:
                source.encode()
            except UnicodeEncodeError as error:
                raise InputError(f"The file name {source!a} is not UTF-8: rename it.") from error
            found.setdefault(file.resolve(), (file, source))
    return list(found.values())


def passed_over(corpus: Sequence[str]) -> Counter[str]:
    """Count the files in the folders of a corpus that are in no format known here, by suffix."""
    folders = (place for name in corpus for place in _matches(name) if place.is_dir())
    names = (file for folder in folders for file in _walk(folder))
    return Counter("".join(suffixes(file)) for file in names if not _has_known_name(file))


def _why(matches: Sequence[Path]) -> str:
    """Return why there is nothing to read in what a name stands for."""
    if any(map(Path.is_dir, matches)):
        return (
            "none of its files ends as those of a format do (.txt, .docx, .pdf, .csv, … in "
            "docs/formats.md); name one by itself to read it"
        )
    if matches:
        return "it is no file"
    return "no file, folder or glob is called so, nor a corpus that `nextword corpora` lists"


def _has_known_name(file: Path) -> bool:
    return suffixes(file)[0] in SUFFIXES or bool(_WIKIEXTRACTOR.match(file.name))


def _matches(name: str) -> list[Path]:
    """Return the files and folders that a path or a glob names."""
    if name and Path(name).exists():  # "" would be the folder in which the program runs
        return [Path(name)]
    return [Path(match) for match in sorted(glob.glob(name, recursive=True))]


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that are not hidden, following links."""

    def fail(error: OSError) -> None:
        raise error

    visited: set[Path] = set()
    for name, folders, files in os.walk(folder, onerror=fail, followlinks=True):
        here, real = Path(name), Path(name).resolve()
        folders[:] = [below for below in folders if not below.startswith(".")]
        if real in visited:  # a link leads back
            folders.clear()
            continue
        visited.add(real)
        visible = (here / file for file in files if not file.startswith("."))
        yield from filter(Path.is_file, visible)
