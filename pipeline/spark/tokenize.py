"""The stage `tokenize` on Spark."""

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

from pipeline.corpus.reading import Frames
from pipeline.corpus.splits import SPLITS
from pipeline.spark.session import beside, map_frames, one_thread, session, sweep, watch
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.config import VocabularyConfig

if TYPE_CHECKING:  # it imports TensorFlow, which workers do after `one_thread`
    from pipeline.tokens.tokenize import RowGroup

# Approximate bytes of text in a shard of the streams.
_SHARD = 2**26


def tokenize(
    documents: Path,
    output: Path,
    *,
    config: VocabularyConfig,
    vocabulary: Path | None = None,
    master: str = "local[*]",
) -> None:
    """Do what `pipeline.tokens.tokenize.tokenize` does, on the Spark cluster at `master`.

    Each stream is written in shards; with `master=""` the active session is used. Text is tokenized
    twice, to count tokens and to encode them. The driver holds each unique token once.

    Raises:
        InputError: as there, or Spark does not start.
    """
    from pipeline.tokens.counting import (
        SeenTokens,
        TokenCounts,
        build_vocabulary,
        read_listed,
        save_rare,
    )
    from pipeline.tokens.tokenize import row_groups

    path = documents / "documents.parquet"
    groups = row_groups(path.absolute())
    listed = read_listed(vocabulary, config) if vocabulary else None
    with session(master, "tokenize") as spark, watch(spark) as step:
        shards = spark.sparkContext.broadcast(_shards(groups))
        # One task per shard.
        tasks = spark.range(0, len(shards.value), 1, max(len(shards.value), 1))

        step("counting tokens")
        columns = {"token": "bytes", "total": "int64", "inside": "int64"}
        sums = [sql.sum(name).alias(name) for name in ("total", "inside")]
        shard_counts = map_frames(tasks, functools.partial(_count_shards, shards=shards), columns)
        table = shard_counts.groupBy("token").agg(*sums).toPandas()
        counted = TokenCounts()
        counted.add(table["token"].tolist(), table[["total", "inside"]].to_numpy(np.int64).T)
        seen = SeenTokens.of(counted, config)
        known = build_vocabulary(seen, documents=path, config=config, listed=listed)
        known.save(output / "vocabulary.tsv")
        save_rare(seen, known, output)

        step("writing streams")
        write = functools.partial(
            _write_shards, shards=shards, vocabulary=known, folder=output.absolute()
        )
        map_frames(tasks, write, {"shard": "int64"}).collect()
    sweep(output)


def _shards(groups: "Sequence[RowGroup]") -> "list[list[RowGroup]]":
    """Group consecutive row groups into shards of about `_SHARD` bytes."""
    shards: list[list[RowGroup]] = []
    size = 0
    for group in groups:
        if not shards or size >= _SHARD:
            shards.append([])
            size = 0
        shards[-1].append(group)
        size += group.size
    return shards


def _count_shards(
    frames: Frames, *, shards: "Broadcast[list[list[RowGroup]]]"
) -> Iterator[pd.DataFrame]:
    """Yield the counts of training tokens in each shard."""
    one_thread()
    from pipeline.parallel import side_by_side
    from pipeline.tokens.counting import TokenCounts
    from pipeline.tokens.tokenize import batches, count_batch

    for shard in itertools.chain.from_iterable(frame["id"] for frame in frames):
        counted = TokenCounts()
        training = (batch for batch in batches(shards.value[shard]) if batch[0] == "train")
        for _, (tokens, _, _, *counts) in side_by_side(count_batch, training):
            counted.add(tokens.tolist(), np.stack(counts))
        total, inside = counted.counts[:, : len(counted.index)]
        yield pd.DataFrame({"token": [*counted.index], "total": total, "inside": inside})


def _write_shards(
    frames: Frames,
    *,
    shards: "Broadcast[list[list[RowGroup]]]",
    vocabulary: Vocabulary,
    folder: Path,
) -> Iterator[pd.DataFrame]:
    """Write the streams of each shard; yield the numbers of the shards."""
    one_thread()
    from pipeline.parallel import side_by_side
    from pipeline.text.tokenizer import Tokenizer
    from pipeline.tokens.encoded import Encoded
    from pipeline.tokens.tokenize import HELD_OUT, StreamWriter, batches, write_lines

    tokenizer = Tokenizer(vocabulary)
    names = [*SPLITS, *(f"{split}.documents" for split in SPLITS)]
    of_words = HELD_OUT if vocabulary.unit == "word" else ()
    names += [f"{split}.letters" for split in of_words]

    def encode(batch: tuple[str, list[bytes]]) -> Encoded:
        return Encoded.of(tokenizer, batch[1])

    for shard in itertools.chain.from_iterable(frame["id"] for frame in frames):
        with contextlib.ExitStack() as stack:
            streams, lines = {}, {}
            for name in names:
                path = stack.enter_context(beside(folder / f"{name}-{shard:05}.npy"))
                streams[name] = stack.enter_context(StreamWriter(path))
            for split in of_words:
                path = stack.enter_context(beside(folder / f"{split}.unknown-{shard:05}.txt"))
                lines[split] = stack.enter_context(path.open("wb"))
            for (split, _), encoded in side_by_side(encode, batches(shards.value[shard])):
                streams[split].append(encoded.ids)
                streams[f"{split}.documents"].append(encoded.paragraphs)
                if split in lines:
                    streams[f"{split}.letters"].append(encoded.letters)
                    write_lines(lines[split], encoded.unknown)
        yield pd.DataFrame({"shard": [shard]})
