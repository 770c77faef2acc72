"""Text of any Hugging Face data set, by name, read as it comes and never downloaded whole."""

import functools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pipeline import InputError

PREFIX = "hf:"

_NAME = re.compile(
    r"(?P<path>[^/@#]+(?:/[^/@#]+)?)(?:/(?P<config>[^/@#][^@#]*))?"
    r"(?:@(?P<revision>[^#]+))?(?:#(?P<split>.+))?"
)


def read(name: str, *, text_column: str) -> Iterator[str]:
    """The text of each row of a data set, in order; rows without text are left out.

    The split is `train` where the name says none: what its authors held out for testing stays
    out. A data set with one split of another name is read all the same.

    Memory holds no more than one file of the data set, however many there are: pyarrow decodes
    a Parquet file ahead of a slow reader (github.com/apache/arrow/issues/39808).

    Args:
        name: `owner/dataset[/config][@revision][#split]`, with or without `hf:` before it, or
            the path of a local folder, `./folder[#split]`:
            `wikimedia/wikipedia/20231101.pt` is the Portuguese Wikipedia of 1 November 2023.
        text_column: Column that holds the text.

    Raises:
        InputError: at the first row that is asked for: `datasets` is not installed, the data
            set cannot be had, or it has no such split or column of text.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"{name} needs the datasets library: pip install nextword-pt[hub]."
        ) from error
    path, config, revision, split = _parse(name)
    try:
        splits = datasets.load_dataset(path, config, revision=revision, streaming=True)
        rows = splits[_choose_split(name, list(splits), split)]
        # Some formats tell their columns only in their rows.
        columns = rows.column_names or list(next(iter(rows), {}))
        if text_column not in columns:
            raise InputError(
                f"{name} has no column {text_column}: give one of {', '.join(columns)} as the "
                "text column."
            )
        for row in rows.select_columns([text_column]):
            text = row[text_column]
            if isinstance(text, str):
                yield text
            elif text is not None:
                raise InputError(
                    f"The column {text_column} of {name} holds no text but "
                    f"{type(text).__name__}: give another of {', '.join(columns)}."
                )
    except InputError:
        raise
    except Exception as error:  # its own errors, pyarrow's, and those of several HTTP libraries
        reason = textwrap.shorten(str(error) or type(error).__name__, 400).rstrip(".")
        raise InputError(
            f"{name} cannot be read from Hugging Face: {reason}; check the name and the network."
        ) from error


def local_folder(name: str) -> Path | None:
    """The folder, absolute, that a name means; None for a data set that is elsewhere."""
    place = name.removeprefix(PREFIX).partition("#")[0]
    if place.startswith((".", "~")) or Path(place).is_absolute():
        return Path(place).expanduser().absolute()
    return None


def place(path: str) -> Path | str:
    """Where the text of a corpus lies; of a data set elsewhere its name, as `located` has it."""
    if not path.startswith(PREFIX):
        return Path(path)
    return local_folder(path) or path


def located(name: str) -> str:
    """The same data set by a name that means it in any working directory, and as it is now.

    Where its commit cannot be had, it keeps its name.
    """
    folder = local_folder(name)
    path, sign, split = name.partition("#")
    if folder:
        return f"{PREFIX}{folder}{sign}{split}"
    commit = _commit(*_parse(name)[:3])
    return f"{path.partition('@')[0]}@{commit}{sign}{split}" if commit else name


@functools.cache  # a run reads one commit, though others come meanwhile
def _commit(path: str, config: str | None, revision: str | None) -> str | None:
    """The commit that a revision means now; without the Hub, that which `datasets` has cached."""
    if re.fullmatch("[0-9a-f]{40}", revision or ""):
        return revision
    try:
        import datasets

        return datasets.load_dataset_builder(path, config, revision=revision).hash
    except Exception:  # whatever it is, `read` meets it too, and tells
        return None


def _parse(name: str) -> tuple[str, str | None, str | None, str | None]:
    """Path, config, revision and split in a name."""
    if folder := local_folder(name):
        if not folder.is_dir():
            raise InputError(f"{name} names no folder: there is no {folder}.")
        return str(folder), None, None, name.partition("#")[2] or None
    match = _NAME.fullmatch(name.removeprefix(PREFIX))
    if not match:
        raise InputError(
            f"{name} names no data set: write hf:owner/dataset, with /config, @revision and "
            "#split after it if need be, or hf:./folder."
        )
    return match["path"], match["config"], match["revision"], match["split"]


def _choose_split(name: str, splits: list[str], split: str | None) -> str:
    if split is None:
        split = splits[0] if len(splits) == 1 else "train"
    if split not in splits:
        raise InputError(
            f"{name} has no split {split}: put one of its splits ({', '.join(splits)}) after the "
            "name and a #."
        )
    return split
