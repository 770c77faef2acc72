"""The stage that turns files, datasets or a named corpus into clean, split documents.

Each step maps frames of documents to frames of documents, one frame at a time, so the same
functions run on one machine and in Spark's `mapInPandas`.
"""

import collections
import csv
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import rich.progress

from pipeline import InputError
from pipeline.corpus import catalog, hub
from pipeline.corpus.config import DEFAULT_READING, HELD_OUT_TOKENS, ReadingConfig
from pipeline.corpus.documents import DOCUMENT_COLUMNS, NGRAM, read_parquet, write_parquet
from pipeline.corpus.files import find_files, passed_over
from pipeline.corpus.reading import COUNTS, Frames
from pipeline.corpus.sections import cut_files, read_side_by_side
from pipeline.corpus.splits import SPLITS, SplitPlanner, Splits
from pipeline.manifest import place_of
from pipeline.progress import Speed, progress_bar

log = logging.getLogger(__name__)

RecordRows = Callable[[list[tuple]], object]  # takes rows of removed.csv

CLEAN = ("file", "document", "source", "doc_id", "split_id", "text")
REMOVED = ("source", "paragraph", "found_in", "text")
_PASSAGE = 100  # characters of a removed passage that go into removed.csv


class Place(NamedTuple):
    """A file, or the pinned name of a data set, and the columns that the catalogue names."""

    path: str
    source: str
    text_column: str = ""
    group_column: str = ""


def find_corpus(corpus: Sequence[str]) -> list[Place]:
    """Return all files of a corpus, then its data sets.

    Missing files of a corpus of the catalogue are downloaded.
    """
    places: dict[str, tuple[str, str]] = {}
    datasets: dict[str, tuple[str, str]] = {}
    for name in corpus:
        is_here = name.startswith(hub.PREFIX) or Path(name).exists()
        if is_here or not (known := catalog.find(name)):
            found = datasets if name.startswith(hub.PREFIX) else places
            found.setdefault(name, ("", ""))
            continue
        columns = known.text_column, known.group_column
        if known.dataset:
            datasets[known.dataset] = columns
        else:
            places[str(catalog.fetch(known))] = columns
    files = []
    for path, source in find_files(list(places)):
        folder = next((str(above) for above in path.parents if str(above) in places), "")
        files.append(Place(str(path), source, *places.get(folder, ())))
    return [*files, *(Place(hub.pin(name), name, *columns) for name, columns in datasets.items())]


def _tell_passed_over(corpus: Sequence[str]) -> None:
    others = passed_over(corpus)
    if others:
        kinds = ", ".join(f"{count} {kind or 'of no kind'}" for kind, count in others.most_common())
        log.warning(
            "Passed over %d files whose names end as those of no format known here: %s; name one "
            "by itself to read it.",
            *(others.total(), kinds),
        )


def file_table(corpus: Sequence[str], splits: Splits) -> pd.DataFrame:
    """Return a table (`Place`, file); of files with the same text, those with a glob win."""
    files = sorted(find_corpus(corpus), key=lambda file: splits.match(file.source) is None)
    table = pd.DataFrame(files, columns=list(Place._fields))
    return table.assign(file=range(len(table)))


def collect_file_stats(frames: Frames, stats: list[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Append statistics of the files to `stats`; yield the documents (`CLEAN`)."""
    for frame in frames:
        readable = frame["text"] != ""
        table = frame.assign(documents=readable, letters=frame["text"].str.len())
        stats.append(sum_by_file(table))
        yield frame.loc[readable, list(CLEAN)]


def sum_by_file(stats: pd.DataFrame) -> pd.DataFrame:
    """Return one row per file, from rows per document or per part of a file."""
    total = dict.fromkeys(("documents", "letters", *COUNTS), "sum")
    by_file = stats.groupby(["file", "source"], sort=False, as_index=False)
    names = dict.fromkeys(("format", "encoding"), "max")
    return by_file.agg({**names, **total, "note": _join_notes, "problem": "max"})


def _join_notes(notes: pd.Series) -> str:
    return "; ".join(dict.fromkeys(filter(None, notes)))


def drop_duplicates(frames: Frames, record: RecordRows) -> Iterator[pd.DataFrame]:
    """Keep the first of the long documents with the same text; record the others.

    People repeat short messages (*bom dia*): texts of fewer than `NGRAM` words all stay.
    """
    sources: dict[bytes, str] = {}  # by half of the doc_id, enough for 2^64 documents
    for frame in frames:
        keys = [bytes.fromhex(doc_id[:32]) for doc_id in frame["doc_id"]]
        kept = []
        long = frame["text"].str.count("[ \n]") + 1 >= NGRAM
        for key, source, is_long in zip(keys, frame["source"], long, strict=True):
            kept.append(not is_long or key not in sources)
            if not kept[-1]:
                record([(source, "", sources[key], "")])
            elif is_long:
                sources[key] = sys.intern(source)
        yield frame.loc[kept]


def record_passages(frames: Frames, record: RecordRows) -> Iterator[pd.DataFrame]:
    """Record what `drop_overlap` removed, with two more columns: file index and length."""
    for frame in frames:
        for file, source, removed in frame[["file", "source", "removed"]].itertuples(index=False):
            for paragraph, found_in, text in json.loads(removed):
                record([(source, paragraph, found_in, text[:_PASSAGE], file, len(text))])
        yield frame


def ingest(
    *,
    corpus: Sequence[str],
    output: Path,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    reading: ReadingConfig = DEFAULT_READING,
    deduplicate: bool = True,
    held_out: int = HELD_OUT_TOKENS,
) -> None:
    """Read text and write documents.parquet (doc_id, source, split, text).

    Also write files.csv (how each file was read, and what is damaged), removed.csv (what was
    removed, and where else it occurs) and splits.json (the documents whose split is not decided
    by their hash, for the next ingest into the same folder).

    Args:
        corpus: Files, folders, globs, names of the catalogue, or `hf:` datasets.
        output: Folder to write into.
        valid: Globs over file names relative to the corpus; matches are for validation.
        test: The same for the test split, which also gets what matches both. A split without
            globs gets a share of the documents, chosen by the hash of their text.
        reading: How files are read.
        deduplicate: Whether to drop repeated documents, and passages of the training split that
            share 13 tokens in a row or more with another split.
        held_out: Tokens, about, that a split without globs holds at most.

    Raises:
        InputError: No text can be read, a glob matches nothing, or a split is empty.
    """
    # It needs TensorFlow, which a machine that only reads files can do without.
    from pipeline.corpus.overlap import drop_overlap, held_out_ngrams

    _tell_passed_over(corpus)
    splits = Splits(valid, test).load(place_of(output))
    files = file_table(corpus, splits)
    planner, clean = SplitPlanner(splits), output / "clean.parquet"
    stats: list[pd.DataFrame] = []
    lost = collections.Counter[int]()
    with (
        (output / "removed.csv").open("w", newline="", encoding="utf-8") as file,
        progress_bar(Speed()) as bar,
    ):
        writer = csv.writer(file)
        writer.writerow(REMOVED)

        def record(passages: list[tuple]) -> None:
            for *row, file_index, letters in passages:
                writer.writerow(row)
                lost[file_index] += letters

        size = sum(Path(path).stat().st_size for path in files["path"] if Path(path).exists())
        frames = read_side_by_side(cut_files(files, reading), reading)
        frames = collect_file_stats(frames, stats)
        if deduplicate:
            frames = drop_duplicates(frames, writer.writerows)
        frames = planner.observe(_show_progress(frames, bar, "reading", size))
        write_parquet(frames, clean, CLEAN)
        files = report_files(files, stats, corpus)

        splits = planner.plan(int(files["letters"].sum()), held_out=held_out)
        frames = splits.assign(read_parquet(clean))
        if deduplicate:
            ngrams = held_out_ngrams(frame[frame["split"] != "train"] for frame in frames)
            frames = drop_overlap(splits.assign(read_parquet(clean)), held_out=ngrams)
            frames = record_passages(frames, record)
        frames = _show_progress(frames, bar, "comparing splits", int(files["letters"].sum()))
        counts = write_parquet(frames, output / "documents.parquet", DOCUMENT_COLUMNS)
    clean.unlink()
    write_files(files, lost, output)
    require_documents(counts, corpus)
    splits.save(output)


def report_files(
    files: pd.DataFrame, stats: Sequence[pd.DataFrame], corpus: Sequence[str]
) -> pd.DataFrame:
    """Log which files were skipped or are damaged; return the files with their statistics."""
    # Of a file that was read in sections without a document, nothing else is known.
    nothing = files[["file", "source"]].assign(
        **dict.fromkeys(("documents", "letters", *COUNTS), 0),
        **dict.fromkeys(("format", "encoding", "note", "problem"), ""),
    )
    table = files.merge(sum_by_file(pd.concat([nothing, *stats])), on=["file", "source"])
    table.loc[(table["documents"] == 0) & (table["problem"] == ""), "problem"] = "it is empty"
    for row in table[table["note"] != ""].itertuples():
        log.warning("%s: %s.", row.path, row.note)
    for row in table[table["problem"] != ""].itertuples():
        partly = " after its first documents" if row.documents else ""
        log.warning("Skipped %s%s: %s.", row.path, partly, row.problem)
    for column, what in (
        ("damaged", "characters that cannot be read"),
        ("mojibake", "characters that were decoded wrongly before (mojibake)"),
        ("mended", "paragraphs that were decoded wrongly before and are mended"),
        ("controls", "control characters, which were removed"),
    ):
        for row in table[table[column] > 0].itertuples():
            log.warning("%s: %s: %d.", row.path, what, getattr(row, column))
    if not table["letters"].sum():
        raise InputError(f"No file of {', '.join(corpus)} holds readable text.")
    return table


def write_files(table: pd.DataFrame, lost: Mapping[Any, int], folder: Path) -> None:
    """Write files.csv: the table of `report_files`, and the characters lost to overlap per file."""
    place = table.columns.tolist().index("letters") + 1
    table.insert(place, "removed", [lost.get(file, 0) for file in table["file"]])
    table = table.drop(columns=["file", "text_column", "group_column"])
    table.to_csv(folder / "files.csv", index=False)


def require_documents(counts: Mapping[str, int], corpus: Sequence[str]) -> None:
    """Raise InputError if a split has no documents."""
    for split in SPLITS:
        if not counts[split]:
            raise InputError(
                f"No document is left for the {split} split of {', '.join(corpus)}: add text, or "
                "choose the files of each split with --valid and --test."
            )


def _show_progress(
    frames: Frames, bar: rich.progress.Progress, description: str, total: int
) -> Iterator[pd.DataFrame]:
    task = bar.add_task(description, total=total)
    for frame in frames:
        bar.advance(task, int(frame["text"].str.len().sum()))
        yield frame
    bar.update(task, completed=total)
