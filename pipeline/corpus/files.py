"""Which files of a corpus are read, and what their names say of what they hold."""

import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import InputError

FORMATS = (".txt", ".md", ".csv", ".tsv", ".parquet", ".jsonl", ".conllu")
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


def find_files(corpus: Sequence[str]) -> list[tuple[Path, str]]:
    """The files of folders, files and globs, each with its name relative to what named it.

    A folder stands for every file below it that ends in one of `FORMATS`, compressed or not,
    except hidden ones; links are followed. The names of a glob are relative to the folder before
    its first wildcard. A file that is named twice is found once.

    Raises:
        InputError: one of them does not exist or holds no file to read, or a file has a name that
            is not UTF-8.
        OSError: a folder cannot be read.
    """
    found: dict[Path, tuple[Path, str]] = {}
    for name in corpus:
        place = Path(name)
        if place.exists():
            named, root = [place], place if place.is_dir() else place.parent
        else:
            named = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
            root = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), place.parts))
        files = [file for file in named if file.is_file()]
        for folder in filter(Path.is_dir, named):
            files += sorted(file for file in _walk(folder) if suffixes(file)[0] in FORMATS)
        if not files:
            raise InputError(
                f"There is no text to read at {name}: name a file, a folder of files that end in "
                f"{', '.join(FORMATS)} (or those with {', '.join(COMPRESSIONS)}), or a glob in "
                "quotes."
            )
        for file in files:
            source = file.relative_to(root).as_posix()
            _check_name(source)
            found.setdefault(file.resolve(), (file, source))
    return list(found.values())


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder, also through links, but not the hidden ones."""

    def stop(error: OSError) -> None:
        raise error

    walked: set[Path] = set()
    for name, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        here, real = Path(name), Path(name).resolve()
        folders[:] = [below for below in folders if not below.startswith(".")]
        if real in walked:  # a link has led back
            folders.clear()
            continue
        walked.add(real)
        shown = (here / file for file in files if not file.startswith("."))
        yield from filter(Path.is_file, shown)


def _check_name(source: str) -> None:
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"The name of the file {source!a} is not UTF-8, as of old archives: rename it."
        ) from error


def suffixes(path: Path) -> tuple[str, str]:
    """(format, compression) as the name of a file ends, in lower case; "" where it has none."""
    name = Path(path.name.lower())
    compression = name.suffix if name.suffix in COMPRESSIONS else ""
    return Path(name.name.removesuffix(compression)).suffix, compression
