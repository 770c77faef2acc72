"""Which files of a corpus are read, and what their names say of what they hold."""

import glob
import itertools
from collections.abc import Sequence
from pathlib import Path

from pipeline import InputError

FORMATS = (".txt", ".md", ".csv", ".tsv", ".parquet", ".jsonl", ".conllu")
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


def find_files(corpus: Sequence[str]) -> list[tuple[Path, str]]:
    """The files of folders, files and globs, each with its name relative to what named it.

    A folder stands for every file below it that ends in one of `FORMATS`, compressed or not,
    except hidden ones. The names of a glob are relative to the folder before its first wildcard.
    A file that is named twice is found once.

    Raises:
        InputError: one of them does not exist or holds no file to read.
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
        for folder in named:
            files += [file for file in sorted(folder.rglob("*")) if _is_readable(file, folder)]
        if not files:
            raise InputError(
                f"There is no text to read at {name}: name a file, a folder of files that end in "
                f"{', '.join(FORMATS)} (or those with {', '.join(COMPRESSIONS)}), or a glob in "
                "quotes."
            )
        for file in files:
            found.setdefault(file.resolve(), (file, file.relative_to(root).as_posix()))
    return list(found.values())


def _is_readable(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and suffixes(path)[0] in FORMATS and path.is_file()


def suffixes(path: Path) -> tuple[str, str]:
    """(format, compression) as the name of a file ends, in lower case; "" where it has none."""
    name = Path(path.name.lower())
    compression = name.suffix if name.suffix in COMPRESSIONS else ""
    return Path(name.name.removesuffix(compression)).suffix, compression
