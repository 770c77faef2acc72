"""The stage that encodes documents: a vocabulary, and one stream of ids per split.

Text is tokenized once. Streams are first written as indices of the tokens in order of appearance,
and rewritten as ids when all tokens are counted and the vocabulary is chosen.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow.parquet
import tensorflow as tf

from pipeline import InputError
from pipeline.corpus.documents import list_parts, open_parquet, unpack
from pipeline.corpus.splits import SPLITS
from pipeline.parallel import side_by_side
from pipeline.progress import Speed, progress_bar
from pipeline.text.subword import in_batches
from pipeline.text.tokenizer import (
    BREAK,
    Tokenizer,
    expand,
    masks_case,
    open_paragraph,
    tokenize_unique,
)
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.counting import (
    SeenTokens,
    TokenCounts,
    build_vocabulary,
    read_listed,
    save_rare,
)
from pipeline.tokens.encoded import count_letters

# Bytes of text tokenized at once: enough for chunks to repeat, and few enough that several batches
# fit in memory.
_BATCH = 2**21
# Ids of a stream processed at once.
_CHUNK = 2**20

# The splits that models are evaluated on.
HELD_OUT = ("valid", "test")


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A row group of documents.parquet, and the approximate size of its text in bytes."""

    path: Path
    number: int
    size: int


def row_groups(path: Path) -> list[RowGroup]:
    """Return the row groups of documents.parquet, in order.

    Raises:
        InputError: it is missing or is not a table of documents.
    """
    groups = []
    for part in list_parts(path):
        try:
            metadata = pyarrow.parquet.read_metadata(part)
            text, _ = map(metadata.schema.to_arrow_schema().names.index, ("text", "split"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"No documents can be read from {path}: run `nextword ingest` first."
            ) from error
        for number in range(metadata.num_row_groups):
            size = metadata.row_group(number).column(text).total_uncompressed_size
            groups.append(RowGroup(part, number, size))
    return groups


def batches(groups: Iterable[RowGroup]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield (split, texts) in batches of bounded size; each split keeps its order."""
    waiting: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    sizes = dict.fromkeys(SPLITS, 0)
    for split, text in _texts(groups):
        waiting[split].append(text)
        sizes[split] += len(text)
        if sizes[split] >= _BATCH:
            yield split, waiting[split]
            waiting[split], sizes[split] = [], 0
    yield from ((split, texts) for split, texts in waiting.items() if texts)


def _texts(groups: Iterable[RowGroup]) -> Iterator[tuple[str, bytes]]:
    for path, in_file in itertools.groupby(groups, key=lambda group: group.path):
        with open_parquet(path) as file:
            for group in in_file:
                rows = file.metadata.row_group(group.number).num_rows
                at_once = max(1, rows * _BATCH // max(1, group.size))
                for batch in file.iter_batches(
                    batch_size=at_once, row_groups=[group.number], columns=["split", "text"]
                ):
                    table = unpack(pyarrow.Table.from_batches([batch]))
                    texts = table.column("text").cast(pyarrow.large_binary()).to_pylist()
                    yield from zip(table.column("split").to_pylist(), texts, strict=True)


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
def _count(text: tf.Tensor) -> tuple[tf.Tensor, ...]:
    tokens, inverse = tokenize_unique(open_paragraph(text))
    unique, indices = tf.unique(tokens.values)
    rows = expand(tokens.with_values(indices), inverse)
    stream = rows.values
    breaks = rows.with_values(tf.cast(tf.gather(tf.equal(unique, BREAK), stream), tf.int32))
    masked = tf.gather(masks_case(unique), stream)
    inside = tf.boolean_mask(stream[1:], ~masked[:-1])
    size = tf.size(unique)
    counts = [tf.math.bincount(i, minlength=size, maxlength=size) for i in (stream, inside)]
    return unique, stream, tf.reduce_sum(breaks, axis=1), *counts


def count_batch(batch: tuple[str, list[bytes]]) -> list[np.ndarray]:
    """Count the tokens of texts of a split.

    Returns:
        The U unique tokens; all texts as their indices; the number of paragraphs in each text; the
        count of each token, (U,); and how often its case is not due to its position, (U,).
    """
    return [part.numpy() for part in _count(tf.constant(batch[1]))]


def tokenize(
    documents: Path,
    output: Path,
    *,
    config: VocabularyConfig,
    vocabulary: Path | None = None,
    init: Path | None = None,
    new_words: int = 0,
) -> None:
    """Write vocabulary.tsv, tokenizer.json, and the streams train.npy, valid.npy and test.npy.

    A stream is int32 ids of shape (tokens,). Beside it, train.documents.npy and the like hold the
    number of paragraphs in each document, int32 of shape (documents,), and for words
    valid.letters.npy and test.letters.npy the number of letters of each token as it is written,
    int32 of shape (tokens,), valid.unknown.txt and test.unknown.txt each `<unk>` as it is written,
    one a line, and rare.tsv the words of the training split that the vocabulary lacks. Memory holds
    the unique tokens and a few megabytes of text.

    Args:
        documents: folder that `ingest` wrote.
        output: folder to write into.
        config: the size and the choices of the vocabulary.
        vocabulary: file of the tokens to know, one a line, or a vocabulary.tsv, which replaces
            size and minimum count in `config`.
        init: folder of a trained model whose vocabulary keeps its ids and choices and grows by
            new words of the training split; replaces the size in `config`.
        new_words: maximum number of new words, which occur as often as the minimum count.

    Raises:
        InputError: the documents, the model's vocabulary or the listed tokens are missing, or hold
            too little text.
    """
    path = documents / "documents.parquet"
    groups = row_groups(path)
    base, listed = None, None
    if init:
        base = Vocabulary.load(init / "vocabulary.tsv")
        config = dataclasses.replace(config, case=base.case, numbers=base.numbers, unit=base.unit)
    if vocabulary:
        if base:
            raise InputError(
                f"The vocabulary comes from {vocabulary} or grows from the one in {init}: leave "
                "out --vocabulary or --init."
            )
        listed = read_listed(vocabulary, config)
    counted = _write_indices(groups, output)
    seen = SeenTokens.of(counted, config)
    if base:
        everything = dataclasses.replace(
            config, vocabulary_size=len(counted.index) + 2, min_count=1, unit="word"
        )
        known = build_vocabulary(seen, documents=path, config=everything)
        known = base.grown(known, new_words=new_words, min_count=config.min_count)
    else:
        known = build_vocabulary(seen, documents=path, config=config, listed=listed)
    known.save(output / "vocabulary.tsv")
    save_rare(seen, known, output, init=init)
    _write_ids(known, counted, output)


def _write_indices(groups: Sequence[RowGroup], output: Path) -> TokenCounts:
    """Write the splits as indices of the returned tokens."""
    counted = TokenCounts()
    size = sum(group.size for group in groups)
    with contextlib.ExitStack() as stack:
        streams = {
            name: stack.enter_context(StreamWriter(output / f"{name}.npy"))
            for split in SPLITS
            for name in (split, f"{split}.documents")
        }
        progress = stack.enter_context(progress_bar(Speed()))
        bar = progress.add_task("tokenize", total=size)

        for (split, batch), result in side_by_side(count_batch, batches(groups)):
            tokens, stream, paragraphs, *counts = result
            training = np.stack(counts) * (split == "train")
            streams[split].append(counted.add(tokens.tolist(), training)[stream])
            streams[f"{split}.documents"].append(paragraphs)
            progress.update(bar, advance=sum(map(len, batch)))
        progress.update(bar, completed=size)
    return counted


def _write_ids(vocabulary: Vocabulary, counted: TokenCounts, output: Path) -> None:
    """Replace the indices in the splits by ids, and write the letters and the unknown tokens."""
    tokenizer = Tokenizer(vocabulary)
    if vocabulary.unit == "subword":
        pieces = in_batches(tokenizer.pieces, [*counted.index])
        for split in SPLITS:
            _rewrite(output / f"{split}.npy", lambda i: tf.gather(pieces, i).values.numpy())
        return
    letters = np.concatenate([*counted.map(count_letters)])
    ids = np.concatenate([*counted.map(tokenizer.lookup)])
    tokens = [*counted.index]
    for split in SPLITS:
        path = output / f"{split}.npy"
        if split in HELD_OUT:
            _write(path.with_suffix(".letters.npy"), (letters[i] for i in _read_stream(path)))
            with path.with_suffix(".unknown.txt").open("wb") as file:
                for i in _read_stream(path):
                    write_lines(file, (tokens[j] for j in i[ids[i] == UNKNOWN_ID]))
        _rewrite(path, lambda i: ids[i])


def write_lines(file: BinaryIO, tokens: Iterable[bytes]) -> None:
    """Write tokens, none of which has a line break, one a line."""
    file.writelines(token + b"\n" for token in tokens)


def _read_stream(path: Path) -> Iterator[np.ndarray]:
    # A memory map would count all pages that were read as memory.
    with path.open("rb") as file:
        file.seek(StreamWriter.HEADER)
        while data := file.read(4 * _CHUNK):
            yield np.frombuffer(data, "<i4")


def _rewrite(path: Path, function: Callable[[np.ndarray], np.ndarray]) -> None:
    partial = path.with_name(f".{path.name}")
    _write(partial, map(function, _read_stream(path)))
    partial.replace(path)


def _write(path: Path, chunks: Iterable[np.ndarray]) -> None:
    with StreamWriter(path) as writer:
        for chunk in chunks:
            writer.append(chunk)


class StreamWriter:
    """Write a .npy vector of int32 whose length is known only at the end."""

    # The header's size does not depend on the length, so it can be overwritten.
    HEADER = 128

    def __init__(self, path: Path):
        self._file = path.open("wb")
        self._tokens = 0
        self._header()

    def __enter__(self) -> "StreamWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.seek(0)
        self._header()
        self._file.close()

    def _header(self) -> None:
        header = {"descr": "<i4", "fortran_order": False, "shape": (self._tokens,)}
        np.lib.format.write_array_header_1_0(self._file, header)
        assert self._file.tell() == self.HEADER

    def append(self, ids: np.ndarray) -> None:
        self._file.write(ids.astype("<i4").tobytes())
        self._tokens += len(ids)
