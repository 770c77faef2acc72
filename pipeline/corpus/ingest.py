"""The stage that turns files, or a named corpus, into clean documents with honest splits.

Each step maps frames of documents to frames of documents and looks at one frame at a time, so
the same functions run on one machine and in Spark's `mapInPandas`.
"""

import collections
import csv
import functools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import rich.progress

from pipeline import InputError
from pipeline.corpus import catalog, hub
from pipeline.corpus.documents import DOCUMENTS, read_parquet, write_parquet
from pipeline.corpus.files import find_files
from pipeline.corpus.reading import Document, read_file, read_texts
from pipeline.corpus.splits import SPLITS, Census, Splits, digest
from pipeline.manifest import place_of
from pipeline.progress import Speed, progress_bar

log = logging.getLogger(__name__)

Frames = Iterable[pd.DataFrame]

# Letters of text in a frame: what a step holds in memory is a small multiple of them.
_FRAME = 4 * 2**20

# What `read` tells of a document. A file that cannot be read is a row with a note and no text.
READ = {
    "file": "int64",  # the place of the file in the corpus, and of the document in the file
    "document": "int64",
    "source": "str",
    "doc_id": "str",
    "text": "str",
    "encoding": "str",
    "mojibake": "int64",
    "damaged": "int64",
    "note": "str",
}
CLEAN = ("file", "document", "source", "doc_id", "text")
REMOVED = ("source", "paragraph", "found_in", "text")

# Letters of a removed passage that removed.csv shows.
_SHOWN = 100


def find_corpus(corpus: Sequence[str]) -> list[tuple[str, str]]:
    """(path, source) of all that a corpus names: files, folders, globs, `machado`, `hf:…`.

    The path of a data set is `hf:` and what `hub.read` takes.

    Named corpora of the catalogue are downloaded where they are missing.

    Raises:
        InputError: one of them does not exist or cannot be had.
    """
    data_sets = [name for name in corpus if name.startswith(hub.PREFIX)]
    places = []
    for name in corpus:
        if name not in data_sets:
            known = None if Path(name).exists() else catalog.find(name)
            places.append(str(catalog.fetch(known)) if known else name)
    files = [(str(path), source) for path, source in find_files(places)]
    return [*files, *((hub.located(name), name) for name in dict.fromkeys(data_sets))]


def file_table(corpus: Sequence[str], splits: Splits) -> pd.DataFrame:
    """What `read` reads: file, path, source; what a glob names comes first.

    So of files with the same text, the one that a glob names is kept.
    """
    files = sorted(find_corpus(corpus), key=lambda file: splits.named(file[1]) is None)
    table = pd.DataFrame(files, columns=["path", "source"])
    return table.assign(file=range(len(table)))


def read(files: Frames, *, text_column: str, strict: bool) -> Iterator[pd.DataFrame]:
    """Frames of files (file, path, source) to frames of documents (`READ`).

    Args:
        files: what is to be read.
        text_column: which column of a table holds text.
        strict: stop at a file that is empty or cannot be read.

    Raises:
        InputError: a table has no such column, or with `strict` a file cannot be read.
    """
    rows: list[tuple] = []
    letters = 0
    for frame in files:
        for file, path, source in zip(frame["file"], frame["path"], frame["source"], strict=True):
            for row in _read_one(int(file), path, source, text_column, strict):
                rows.append(row)
                letters += len(row[4])
                if letters >= _FRAME:
                    yield pd.DataFrame(rows, columns=list(READ)).astype(READ)
                    rows, letters = [], 0
    if rows:
        yield pd.DataFrame(rows, columns=list(READ)).astype(READ)


def _read_one(file: int, path: str, source: str, text_column: str, strict: bool) -> Iterator[tuple]:
    number, problem = 0, ""
    try:
        for found in _documents(path, source, text_column):
            number += 1
            origin = (file, number, found.source, digest(found.text), found.text)
            yield (*origin, found.encoding, found.mojibake, found.damaged, "")
        problem = "" if number else "it is empty"
    except InputError:
        raise
    except OSError as error:
        problem = error.strerror or str(error)
    except ValueError as error:
        problem = str(error)
    if problem and strict:
        raise InputError(
            f"{path} cannot be read: {problem}; mend or remove it, or leave --strict away."
        )
    if problem:
        yield (file, number + 1, source, "", "", "", 0, 0, problem)


def _documents(path: str, source: str, text_column: str) -> Iterator[Document]:
    if path.startswith(hub.PREFIX):
        return read_texts(hub.read(path, text_column=text_column), source)
    return read_file(Path(path), source, text_column=text_column)


def tell(frames: Frames, told: list[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Pass the documents on; what there is to tell of their files is added to `told`."""
    for frame in frames:
        told.append(summarise(frame.assign(documents=frame["note"] == "", letters=_letters(frame))))
        yield frame.loc[frame["note"] == "", list(CLEAN)]


def _letters(frame: pd.DataFrame) -> pd.Series:
    return frame["text"].str.len()


def summarise(told: pd.DataFrame) -> pd.DataFrame:
    """One row a file, from rows of its documents or from such rows of parts of the file."""
    total = dict.fromkeys(("documents", "letters", "mojibake", "damaged"), "sum")
    by_file = told.groupby(["file", "source"], sort=False, as_index=False)
    return by_file.agg({"encoding": "max", **total, "note": "max"})


def drop_duplicates(
    frames: Frames, removed: Callable[[Iterable[Sequence[object]]], object]
) -> Iterator[pd.DataFrame]:
    """Keep the first of documents with the same text; `removed` takes rows of removed.csv."""
    seen: dict[bytes, str] = {}  # half of each digest, enough for 2^64 documents
    for frame in frames:
        keys = [bytes.fromhex(doc_id[:32]) for doc_id in frame["doc_id"]]
        kept = []
        for key, source in zip(keys, frame["source"], strict=True):
            kept.append(key not in seen)
            first = seen.setdefault(key, source)
            if not kept[-1]:
                removed([(source, "", first, "")])
        yield frame.loc[kept]


def _removed_rows(frame: pd.DataFrame) -> list[tuple]:
    columns = (frame["file"], frame["source"], frame["removed"])
    return [
        (source, paragraph, found_in, text[:_SHOWN], file, len(text))
        for file, source, removed in zip(*columns, strict=True)
        for paragraph, found_in, text in json.loads(removed)
    ]


def tell_removed(frames: Frames, removed: Callable[..., object]) -> Iterator[pd.DataFrame]:
    """Pass documents on that `drop_overlap` has seen.

    `removed` takes rows of removed.csv, each with the file and the number of letters more.
    """
    for frame in frames:
        removed(_removed_rows(frame))
        yield frame


def ingest(
    *,
    corpus: Sequence[str],
    output: Path,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    text_column: str = "text",
    strict: bool = False,
    deduplicate: bool = True,
) -> None:
    """Read text and write documents.parquet (doc_id, source, split, text).

    Beside it, files.csv tells of each file how it was read and what is damaged, removed.csv what
    was removed and where it stands again, and splits.json keeps the splits that the hash of a text
    does not decide, for the next ingest into the same folder.

    Args:
        corpus: files, folders, globs, names of the catalogue, or `hf:` data sets.
        output: folder to write into.
        valid: globs over file names relative to the corpus; what matches validates.
        test: the same for the test split, which also has what matches both. Where a split has
            no glob, a share of the documents, chosen by the hash of their text, goes into it.
        text_column: which column of a table holds text.
        strict: stop at a file that cannot be read.
        deduplicate: drop documents that are there already, and cut passages out of the training
            split that stand again in another (13 tokens or more in a row).

    Raises:
        InputError: nothing readable, a glob that matches nothing, or a split left empty.
    """
    # It needs TensorFlow, which a machine that only reads files does without.
    from pipeline.corpus.overlap import drop_overlap, held_out_ngrams

    splits = Splits(valid, test).keeping(place_of(output))
    files = file_table(corpus, splits)
    census, clean = Census(splits), output / "clean.parquet"
    told: list[pd.DataFrame] = []
    lost = collections.Counter[int]()
    with (
        (output / "removed.csv").open("w", newline="", encoding="utf-8") as file,
        progress_bar(Speed()) as bar,
    ):
        removed = csv.writer(file)
        removed.writerow(REMOVED)

        size = sum(Path(path).stat().st_size for path in files["path"] if Path(path).exists())
        frames = tell(read([files], text_column=text_column, strict=strict), told)
        if deduplicate:
            frames = drop_duplicates(frames, removed.writerows)
        frames = census.count(_watch(frames, bar, "reading", size))
        write_parquet(frames, clean, CLEAN)
        files = tell_files(files, told, corpus)

        splits = census.decide()
        frames = splits.assign(read_parquet(clean))
        if deduplicate:
            held_out = held_out_ngrams(frame[frame["split"] != "train"] for frame in frames)
            frames = drop_overlap(splits.assign(read_parquet(clean)), held_out=held_out)
            frames = tell_removed(frames, functools.partial(_write_removed, removed, lost))
        counts = write_parquet(
            _watch(frames, bar, "comparing splits", int(files["letters"].sum())),
            output / "documents.parquet",
            DOCUMENTS,
        )
    clean.unlink()
    write_files(files, lost, output)
    check(counts, corpus)
    splits.save(output)


def _write_removed(
    removed: Any, lost: collections.Counter[int], rows: Iterable[Sequence[Any]]
) -> None:
    for *row, file, letters in rows:
        removed.writerow(row)
        lost[file] += letters


def tell_files(
    files: pd.DataFrame, told: Sequence[pd.DataFrame], corpus: Sequence[str]
) -> pd.DataFrame:
    """Log what was skipped or is damaged; returns the table of what is told of each file.

    Args:
        files: what was read.
        told: what `tell` has gathered.
        corpus: what named the files.

    Raises:
        InputError: none holds readable text.
    """
    table = files.merge(summarise(pd.concat(told)), on=["file", "source"])
    for row in table[table["note"] != ""].itertuples():
        read = " after its first documents" if row.documents else ""
        log.warning("Skipped %s%s: %s.", row.path, read, row.note)
    for column, what in (
        ("damaged", "characters that cannot be read"),
        ("mojibake", "letters that were decoded wrongly before (mojibake)"),
    ):
        for row in table[table[column] > 0].itertuples():
            log.warning("%s holds %d %s.", row.path, getattr(row, column), what)
    if not table["letters"].sum():
        raise InputError(f"No file of {', '.join(corpus)} holds readable text.")
    return table


def write_files(table: pd.DataFrame, lost: Mapping[Any, int], folder: Path) -> None:
    """Write files.csv: what `tell_files` returned, and the letters each file lost to overlap."""
    place = table.columns.tolist().index("letters") + 1
    table.insert(place, "removed", [lost.get(file, 0) for file in table["file"]])
    table.drop(columns="file").to_csv(folder / "files.csv", index=False)


def check(counts: dict[str, int], corpus: Sequence[str]) -> None:
    """Refuse splits without documents.

    Raises:
        InputError: one has none.
    """
    for split in SPLITS:
        if not counts[split]:
            raise InputError(
                f"No document is left for the {split} split of {', '.join(corpus)}: add text, or "
                "choose the files of each split with --valid and --test."
            )


def _watch(
    frames: Frames, progress: rich.progress.Progress, description: str, total: int
) -> Iterator[pd.DataFrame]:
    task = progress.add_task(description, total=total)
    for frame in frames:
        progress.advance(task, int(_letters(frame).sum()))
        yield frame
    progress.update(task, completed=total)
