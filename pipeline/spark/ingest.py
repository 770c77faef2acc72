"""The stage `ingest` on Spark."""

import csv
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark import Broadcast, TaskContext
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sql

from pipeline.corpus import hub
from pipeline.corpus.config import DEFAULT_READING, HELD_OUT_TOKENS, ReadingConfig
from pipeline.corpus.documents import DOCUMENT_COLUMNS, NGRAM, write_parquet
from pipeline.corpus.ingest import (
    CLEAN,
    REMOVED,
    collect_file_stats,
    file_table,
    record_passages,
    report_files,
    require_documents,
    write_files,
)
from pipeline.corpus.reading import COUNTS, READ, Frames, read_files
from pipeline.corpus.sections import cut_files
from pipeline.corpus.splits import SPLITS, SplitPlanner, Splits
from pipeline.manifest import place_of
from pipeline.spark.session import beside, in_order, map_frames, one_thread, session, sweep, watch

if TYPE_CHECKING:  # it imports TensorFlow, which reading files does not need
    from pipeline.corpus.overlap import HeldOut

# Columns of `collect_file_stats`, of split documents, of `_ngrams` and of removed.csv.
_STATS = dict.fromkeys(("file", "documents", "letters", *COUNTS), "int64")
_STATS |= dict.fromkeys(("source", "format", "encoding", "problem", "note"), "str")
_SPLIT = {**{name: READ[name] for name in CLEAN}, "split": "str", "part": "int64"}
_NGRAMS = dict.fromkeys(("hash", "file", "document", "part", "owner"), "int64")
_PLACE = ("file", "document", "part")
_REMOVED = {
    **dict.fromkeys(REMOVED, "str"),
    **dict.fromkeys(("paragraph", "file", "letters"), "int64"),
}

# Approximate number of letters in a part of documents.parquet.
_PARTITION = 2**25


def ingest(
    *,
    corpus: Sequence[str],
    output: Path,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    reading: ReadingConfig = DEFAULT_READING,
    deduplicate: bool = True,
    held_out: int = HELD_OUT_TOKENS,
    master: str = "local[*]",
) -> None:
    """Do what `pipeline.corpus.ingest.ingest` does, on the Spark cluster at `master`.

    documents.parquet is a folder of parts; with `master=""` the active session is used. The driver
    and each worker hold the table of files and 12 bytes per held-out token, and the driver several
    times as much while it sorts these, and the rows of removed.csv.

    Raises:
        InputError: as there, or Spark does not start.
    """
    splits = Splits(valid, test).load(place_of(output))
    files = file_table(corpus, splits)
    planner, parts = SplitPlanner(splits), output.absolute() / "documents.parquet"
    parts.mkdir()
    with (
        (output / "removed.csv").open("w", newline="", encoding="utf-8") as file,
        session(master, "ingest") as spark,
        watch(spark) as step,
    ):
        removed = csv.writer(file)
        removed.writerow(REMOVED)

        step("reading")
        documents = _read(spark, files, reading).persist()
        stats = map_frames(documents, _file_stats, _STATS).toPandas()
        files = report_files(files, [stats], corpus)

        step("comparing documents")
        partitions = max(
            int(files["letters"].sum()) // _PARTITION, spark.sparkContext.defaultParallelism
        )
        spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
        documents = documents.filter("text != ''").select(*CLEAN)
        if deduplicate:
            again = _duplicates(documents).persist()
            for frame in in_order(again.orderBy("file", "document")):
                removed.writerows(frame.assign(paragraph="", text="")[list(REMOVED)].to_numpy())
            documents = documents.join(again, ["file", "document"], "left_anti")
        documents = documents.orderBy("file", "document")
        # The planner counts paragraphs, for which the ends of lines are enough.
        text = sql.regexp_replace("text", "[^\n]+", "").alias("text")
        for _ in planner.observe(in_order(documents.select("doc_id", "split_id", "source", text))):
            pass
        splits = planner.plan(int(files["letters"].sum()), held_out=held_out)

        step("comparing splits")
        documents = documents.filter("text != ''")
        documents = map_frames(documents, splits.assign, _SPLIT).persist()
        ngrams = None
        if deduplicate:
            ngrams = spark.sparkContext.broadcast(_held_out(documents, files["source"].tolist()))
        write = functools.partial(_write_part, folder=parts, held_out=ngrams)
        rows = map_frames(documents, write, _REMOVED).toPandas()
        removed.writerows(rows[list(REMOVED)].itertuples(index=False))
    sweep(parts)
    write_files(files, rows.groupby("file")["letters"].sum().to_dict(), output)
    found = pd.read_parquet(parts, columns=["split"])["split"].value_counts()
    require_documents({split: int(found.get(split, 0)) for split in SPLITS}, corpus)
    splits.save(output)


def _read(spark: SparkSession, files: pd.DataFrame, reading: ReadingConfig) -> DataFrame:
    """Read documents on all workers; a task reads consecutive files, or sections of one."""
    # Workers run in another folder.
    places = [p if p.startswith(hub.PREFIX) else os.path.abspath(p) for p in files["path"]]
    files = cut_files(files.assign(path=places), reading)
    context = spark.sparkContext
    table = context.broadcast(files)
    tasks = spark.range(0, len(files), 1, min(len(files), 4 * context.defaultParallelism))

    def read_some(frames: Frames) -> Iterator[pd.DataFrame]:
        return read_files((table.value.iloc[frame["id"]] for frame in frames), reading=reading)

    return map_frames(tasks, read_some, READ)


def _file_stats(frames: Frames) -> Iterator[pd.DataFrame]:
    stats: list[pd.DataFrame] = []
    for _ in collect_file_stats(frames, stats):
        yield stats.pop()


def _duplicates(documents: DataFrame) -> DataFrame:
    """Return long documents whose text occurs before, with the source of its first document."""
    words = sql.size(sql.split("text", "[ \n]"))
    same_text = Window.partitionBy("doc_id").orderBy("file", "document")
    return (
        documents.filter(words >= NGRAM)
        .select("file", "document", "doc_id", "source")
        .withColumn("place", sql.row_number().over(same_text))
        .withColumn("found_in", sql.first("source").over(same_text))
        .filter("place > 1")
        .select("file", "document", "source", "found_in")
    )


def _held_out(documents: DataFrame, sources: Sequence[str]) -> "HeldOut":
    """Collect the n-grams of all validation and test documents, as `held_out_ngrams` does."""
    from pipeline.corpus.overlap import HeldOut

    ngrams = map_frames(documents.filter("split != 'train'"), _ngrams, _NGRAMS)
    first = sql.min_by("owner", sql.struct(*_PLACE)).alias("owner")
    found = ngrams.groupBy("hash").agg(first).toPandas()
    hashes = found["hash"].to_numpy().view(np.uint64)
    order = np.argsort(hashes)
    names = [f"{source} ({split})" for source in sources for split in SPLITS]
    return HeldOut(hashes[order], found["owner"].to_numpy(np.int32)[order], names)


def _ngrams(frames: Frames) -> Iterator[pd.DataFrame]:
    one_thread()
    from pipeline.corpus.overlap import held_out_ngrams

    for frame in frames:
        # The file and split of a document, as one number.
        owner = len(SPLITS) * frame["file"] + frame["split"].map(SPLITS.index)
        found = held_out_ngrams([frame])
        rows = frame.assign(owner=owner)[[*_PLACE, "owner"]].iloc[found.owners]
        yield rows.assign(hash=found.hashes.view(np.int64))


def _write_part(
    frames: Frames, *, folder: Path, held_out: "Broadcast[HeldOut] | None"
) -> Iterator[pd.DataFrame]:
    """Write the documents of a partition without overlap; yield rows of removed.csv."""
    one_thread()
    from pipeline.corpus.overlap import drop_overlap

    removed: list[Sequence[object]] = []
    if held_out:
        frames = record_passages(drop_overlap(frames, held_out=held_out.value), removed.extend)
    context = TaskContext.get()
    assert context
    # Partitions keep the order of documents, and so do the names of their files.
    with beside(folder / f"part-{context.partitionId():05}.parquet") as path:
        write_parquet(frames, path, DOCUMENT_COLUMNS)
    yield pd.DataFrame(removed, columns=list(_REMOVED)).astype(_REMOVED)
