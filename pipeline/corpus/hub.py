"""Stream the text of Hugging Face datasets, without a download of the whole."""

import functools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pipeline import InputError

PREFIX = "hf:"

_DATASET_NAME = re.compile(
    r"(?P<path>[^/@#]+(?:/[^/@#]+)?)(?:/(?P<config>[^/@#][^@#]*))?"
    r"(?:@(?P<revision>[^#]+))?(?:#(?P<split>.+))?"
)


def read_dataset(
    name: str, *, text_column: str, group_column: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield the text and the group of each row, in order; rows whose text is null are skipped.

    Without a split in the name, read `train`, or the only split there is.

    At most one file of the dataset is in memory: pyarrow decodes a Parquet file ahead of a slow
    reader (github.com/apache/arrow/issues/39808).

    Args:
        name: `owner/dataset[/config][@revision][#split]` or a local `./folder[#split]`, with or
            without `hf:`. `wikimedia/wikipedia/20231101.pt` is the Portuguese Wikipedia of
            1 November 2023.
        text_column: Column that holds the text.
        group_column: Column that holds the group, which else is "".

    Raises:
        InputError: `datasets` is not installed, the dataset cannot be read, or it has no such
            split or column.
    """
    try:
        import datasets
    except ImportError as error:
        message = f"{name} needs the datasets library: pip install 'nextword-pt[hub]'."
        raise InputError(message) from error
    path, config, revision, split = _parse_name(name)
    try:
        splits = datasets.load_dataset(path, config, revision=revision, streaming=True)
        split = split or (next(iter(splits)) if len(splits) == 1 else "train")
        if split not in splits:
            known = ", ".join(splits)
            raise InputError(f"{name} has no split {split}: end it with # and one of {known}.")
        rows = splits[split]
        # Some formats have column names only in their rows.
        columns = rows.column_names or list(next(iter(rows), {}))
        known = ", ".join(columns)
        needed = dict.fromkeys(filter(None, (text_column, group_column)))
        for column in needed:
            if column not in columns:
                kind = "text" if column == text_column else "group"
                raise InputError(
                    f"{name} has no column {column}: give one of {known} as the {kind} column."
                )
        for row in rows.select_columns(list(needed)):
            text, group = row[text_column], row.get(group_column)
            if isinstance(text, str):
                yield text, "" if group is None else str(group)
            elif text is not None:
                raise InputError(
                    f"The column {text_column} of {name} holds {type(text).__name__}, not text: "
                    f"give another of {known}."
                )
    except InputError:
        raise
    except Exception as error:  # from datasets, pyarrow and several HTTP libraries
        reason = textwrap.shorten(str(error) or type(error).__name__, 400).rstrip(".")
        raise InputError(
            f"{name} cannot be read from Hugging Face: {reason}; check the name and the network."
        ) from error


def local_folder(name: str) -> Path | None:
    """Return the absolute path of a local dataset, None for a dataset of the Hub."""
    path = name.removeprefix(PREFIX).partition("#")[0]
    if path.startswith((".", "~")) or Path(path).is_absolute():
        return Path(path).expanduser().absolute()
    return None


def corpus_path(name: str) -> Path | str:
    """Return the path of a file or a local dataset, or the name of a dataset of the Hub."""
    if not name.startswith(PREFIX):
        return Path(name)
    return local_folder(name) or name


def pin(name: str) -> str:
    """Return the name with an absolute path, or with its current commit if that can be found."""
    folder = local_folder(name)
    path, sign, split = name.partition("#")
    if folder:
        return f"{PREFIX}{folder}{sign}{split}"
    commit = _find_commit(*_parse_name(name)[:3])
    return f"{path.partition('@')[0]}@{commit}{sign}{split}" if commit else name


@functools.cache  # a run reads a single commit, even if new ones arrive meanwhile
def _find_commit(path: str, config: str | None, revision: str | None) -> str | None:
    """Return the commit of a revision; offline, the one that `datasets` has cached."""
    if re.fullmatch("[0-9a-f]{40}", revision or ""):
        return revision
    try:
        import datasets

        return datasets.load_dataset_builder(path, config, revision=revision).hash
    except Exception:  # `read_dataset` meets the same error and reports it
        return None


def _parse_name(name: str) -> tuple[str, str | None, str | None, str | None]:
    """Return the path, config, revision and split of a dataset name."""
    if folder := local_folder(name):
        if not folder.is_dir():
            raise InputError(f"{name} names no folder: there is no {folder}.")
        return str(folder), None, None, name.partition("#")[2] or None
    match = _DATASET_NAME.fullmatch(name.removeprefix(PREFIX))
    if not match:
        raise InputError(
            f"{name} is not the name of a dataset: write hf:owner/dataset, with /config, "
            "@revision and #split after it if need be, or hf:./folder."
        )
    return match["path"], match["config"], match["revision"], match["split"]
