"""`tokenize` on Spark."""

import contextlib
import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark import Broadcast
from pyspark.sql import functions as sql

from pipeline.corpus.ingest import Frames
from pipeline.corpus.splits import SPLITS
from pipeline.spark.session import beside, map_frames, one_thread, session, sweep, watch
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.config import VocabularyConfig

if TYPE_CHECKING:  # it needs TensorFlow, which workers import only when they have been told how
    from pipeline.tokens.tokenize import RowGroup

# Bytes of text in a shard of the streams, about.
_SHARD = 2**26


def tokenize(
    documents: Path,
    output: Path,
    *,
    config: VocabularyConfig,
    vocabulary: Path | None = None,
    master: str = "local[*]",
) -> None:
    """Write what `pipeline.tokens.tokenize.tokenize` writes, each stream in shards.

    The text is cut twice: to count its tokens, and to number them. The driver holds each
    different token once.

    Args:
        documents, output, config, vocabulary: see there.
        master: address of the Spark master; "" for the session that is there already.

    Raises:
        InputError: as there, or Spark cannot be started.
    """
    from pipeline.tokens.counting import TokenCounts, build_vocabulary, read_listed
    from pipeline.tokens.tokenize import row_groups

    path = documents / "documents.parquet"
    groups = row_groups(path.absolute())
    listed = read_listed(vocabulary, config) if vocabulary else None
    with session(master, "tokenize") as spark, watch(spark) as step:
        shards = spark.sparkContext.broadcast(_shards(groups))
        # A task for each shard.
        tasks = spark.range(0, len(shards.value), 1, max(len(shards.value), 1))

        step("counting tokens")
        columns = {"form": "bytes", "total": "int64", "inside": "int64"}
        counts = [sql.sum(name).alias(name) for name in ("total", "inside")]
        counted = map_frames(tasks, functools.partial(_count, shards=shards), columns)
        found = counted.groupBy("form").agg(*counts).toPandas()
        forms = TokenCounts()
        forms.add(found["form"].tolist(), found[["total", "inside"]].to_numpy(np.int64).T)
        known = build_vocabulary(forms, documents=path, config=config, listed=listed)
        known.save(output / "vocabulary.tsv")

        step("writing streams")
        write = functools.partial(
            _write_shards, shards=shards, vocabulary=known, folder=output.absolute()
        )
        map_frames(tasks, write, {"shard": "int64"}).collect()
    sweep(output)


def _shards(groups: "Sequence[RowGroup]") -> "list[list[RowGroup]]":
    """Row groups that follow each other, of about `_SHARD` bytes together."""
    shards: list[list[RowGroup]] = []
    size = 0
    for group in groups:
        if not shards or size >= _SHARD:
            shards.append([])
            size = 0
        shards[-1].append(group)
        size += group.size
    return shards


def _count(frames: Frames, *, shards: "Broadcast[list[list[RowGroup]]]") -> Iterator[pd.DataFrame]:
    """The different tokens of training, and how often each stands, shard after shard."""
    one_thread()
    from pipeline.parallel import side_by_side
    from pipeline.tokens.counting import TokenCounts
    from pipeline.tokens.tokenize import batches, count_batch

    for shard in itertools.chain.from_iterable(frame["id"] for frame in frames):
        forms = TokenCounts()
        training = (batch for batch in batches(shards.value[shard]) if batch[0] == "train")
        for _, (found, _, _, *counts) in side_by_side(count_batch, training):
            forms.add(found.tolist(), np.stack(counts))
        total, inside = forms.counts[:, : len(forms.index)]
        yield pd.DataFrame({"form": [*forms.index], "total": total, "inside": inside})


def _write_shards(
    frames: Frames,
    *,
    shards: "Broadcast[list[list[RowGroup]]]",
    vocabulary: Vocabulary,
    folder: Path,
) -> Iterator[pd.DataFrame]:
    """Write a file of ids for each split, shard after shard; yields what is written."""
    one_thread()
    from pipeline.parallel import side_by_side
    from pipeline.text.tokenizer import Tokenizer
    from pipeline.tokens.tokenize import (
        HELD_OUT,
        StreamWriter,
        batches,
        ids_and_letters,
    )

    tokenizer = Tokenizer(vocabulary)
    names = [*SPLITS, *(f"{split}.documents" for split in SPLITS)]
    if vocabulary.unit == "word":
        names += [f"{split}.letters" for split in HELD_OUT]

    def number(batch: tuple[str, list[bytes]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return ids_and_letters(tokenizer, batch[1])

    for shard in itertools.chain.from_iterable(frame["id"] for frame in frames):
        with contextlib.ExitStack() as stack:
            streams = {}
            for name in names:
                path = stack.enter_context(beside(folder / f"{name}-{shard:05}.npy"))
                streams[name] = stack.enter_context(StreamWriter(path))
            numbered = side_by_side(number, batches(shards.value[shard]))
            for (split, _), (ids, letters, paragraphs) in numbered:
                streams[split].append(ids)
                streams[f"{split}.documents"].append(paragraphs)
                if f"{split}.letters" in streams:
                    streams[f"{split}.letters"].append(letters)
        yield pd.DataFrame({"shard": [shard]})
