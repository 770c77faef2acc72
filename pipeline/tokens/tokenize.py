"""Documents become a vocabulary and one stream of ids per split.

The text is cut once: streams are first written with the numbers that different tokens get as
they are met, and renumbered in place when the counts have made the vocabulary.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet
import tensorflow as tf

from pipeline import InputError
from pipeline.corpus.documents import open_parquet, parts
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
from pipeline.text.vocabulary import BEGIN_ID, Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.counting import Forms, build_vocabulary, read_listed

# Bytes of text cut at once: enough that pieces repeat, little enough to hold several batches.
_BATCH = 2**21
# Ids of a stream handled at once.
_CHUNK = 2**20

# The splits that models are measured on.
HELD_OUT = ("valid", "test")


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """Some rows of documents.parquet.

    Attributes:
        path: the file.
        number: which of its row groups.
        size: about so many bytes of text.
    """

    path: Path
    number: int
    size: int


def row_groups(path: Path) -> list[RowGroup]:
    """The row groups of documents.parquet, in order.

    Raises:
        InputError: it is missing or is no table of documents.
    """
    groups = []
    for part in parts(path):
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
    """Splits with texts of theirs, in order, in batches of bounded size."""
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
    for path, found in itertools.groupby(groups, key=lambda group: group.path):
        with open_parquet(path) as file:
            for group in found:
                rows = file.metadata.row_group(group.number).num_rows
                at_once = max(1, rows * _BATCH // max(1, group.size))
                for batch in file.iter_batches(
                    batch_size=at_once, row_groups=[group.number], columns=["split", "text"]
                ):
                    texts = batch.column("text").cast(pyarrow.large_binary()).to_pylist()
                    yield from zip(batch.column("split").to_pylist(), texts, strict=True)


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
def _number(text: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Number the tokens of texts, of shape (B,), as they are met.

    Returns:
        The F different tokens; the texts as their numbers, one after the other; the paragraphs of
        each text, (B,); how often each token stands; and how often where its case is its own.
    """
    tokens, inverse = tokenize_unique(open_paragraph(text))
    forms, numbers = tf.unique(tokens.values)
    rows = expand(tokens.with_values(numbers), inverse)
    stream = rows.values
    breaks = rows.with_values(tf.cast(tf.gather(tf.equal(forms, BREAK), stream), tf.int32))
    masked = tf.gather(masks_case(forms), stream)
    inside = tf.boolean_mask(stream[1:], ~masked[:-1])  # a token's case depends on the one before
    size = tf.size(forms)
    counts = [tf.math.bincount(n, minlength=size, maxlength=size) for n in (stream, inside)]
    return forms, stream, tf.reduce_sum(breaks, axis=1), *counts


def number_batch(batch: tuple[str, list[bytes]]) -> list[np.ndarray]:
    """What `_number` tells of the texts of one split."""
    return [part.numpy() for part in _number(tf.constant(batch[1]))]


def ids_and_letters(
    tokenizer: Tokenizer, texts: list[bytes]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts as a vocabulary sees them.

    Returns:
        The ids of all, one after the other; the letters of each token as it is written, of `<s>`
        one, and none where tokens are cut into pieces; and the paragraphs of each text.
    """
    letters = tf.zeros((0,), tf.int32)
    if tokenizer.unit == "word":
        tokens, inverse = tokenize_unique(open_paragraph(tf.constant(texts)))
        letters = expand(tokens.with_values(_letters(tokens.values)), inverse).values
        ids = expand(tokens.with_values(tokenizer.lookup(tokens.values)), inverse)
    else:
        ids = tokenizer(tf.constant(texts))
    begins = tf.cast(tf.equal(ids, BEGIN_ID), tf.int32)
    return ids.values.numpy(), letters.numpy(), tf.reduce_sum(begins, axis=1).numpy()


def _letters(tokens: tf.Tensor) -> tf.Tensor:
    return tf.strings.length(tokens, unit="UTF8_CHAR")


def tokenize(
    documents: Path,
    output: Path,
    *,
    config: VocabularyConfig,
    vocabulary: Path | None = None,
    init: Path | None = None,
    new_words: int = 0,
) -> None:
    """Write vocabulary.tsv, tokenizer.json, and train.npy, valid.npy and test.npy.

    The streams are int32 ids of shape (tokens,); train.documents.npy and the like tell how many
    paragraphs each document of a stream has, int32 of shape (documents,). Where tokens are words,
    valid.letters.npy and test.letters.npy tell how many letters each token has as it is written,
    int32 of shape (tokens,). Memory holds each different token once, and a few megabytes of text.

    Args:
        documents: folder that `ingest` wrote.
        output: folder to write into.
        config: what the tokens are.
        vocabulary: file of the tokens to know, one a line or a vocabulary.tsv; then size and
            minimum count in `config` do not apply.
        init: folder of a trained model whose vocabulary keeps its ids, case, numbers and unit, and
            grows by new words of the training split; then the size does not apply.
        new_words: maximum number of those; rarer ones than the minimum count stay out.

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
    forms = _number_splits(groups, output)
    if base:
        # All words are known first; then some of them extend what the model knows.
        every = dataclasses.replace(
            config, vocabulary_size=len(forms.numbers) + 2, min_count=1, unit="word"
        )
        known = build_vocabulary(forms, documents=path, config=every)
        known = base.grown(known, new_words=new_words, min_count=config.min_count)
    else:
        known = build_vocabulary(forms, documents=path, config=config, listed=listed)
    known.save(output / "vocabulary.tsv")
    _renumber_splits(known, forms, output)


def _number_splits(groups: Sequence[RowGroup], output: Path) -> Forms:
    """Write the splits as the numbers that tokens get as they are met; returns the tokens."""
    forms = Forms()
    size = sum(group.size for group in groups)
    with contextlib.ExitStack() as stack:
        streams = {
            name: stack.enter_context(StreamWriter(output / f"{name}.npy"))
            for split in SPLITS
            for name in (split, f"{split}.documents")
        }
        progress = stack.enter_context(progress_bar(Speed()))
        bar = progress.add_task("tokenize", total=size)

        for (split, batch), numbered in side_by_side(number_batch, batches(groups)):
            found, stream, paragraphs, *counts = numbered
            counted = np.stack(counts) if split == "train" else np.zeros((2, len(found)), np.int64)
            streams[split].append(forms.add(found.tolist(), counted)[stream])
            streams[f"{split}.documents"].append(paragraphs)
            progress.update(bar, advance=sum(map(len, batch)))
        progress.update(bar, completed=size)
    return forms


def _renumber_splits(vocabulary: Vocabulary, forms: Forms, output: Path) -> None:
    """Replace the numbers in the splits by the ids of a vocabulary."""
    if vocabulary.unit == "subword":
        pieces = in_batches(Tokenizer(vocabulary).pieces, [*forms.numbers])
        for split in SPLITS:
            _rewrite(output / f"{split}.npy", lambda n: tf.gather(pieces, n).values.numpy())
        return
    letters = np.concatenate([*forms.map(_letters)])
    for split in HELD_OUT:
        path = output / f"{split}.npy"
        with StreamWriter(path.with_suffix(".letters.npy")) as writer:
            for part in _numbers(path):
                writer.append(letters[part])
    ids = np.concatenate([*forms.map(Tokenizer(vocabulary).lookup)])
    for split in SPLITS:
        _rewrite(output / f"{split}.npy", lambda n: ids[n])


def _numbers(path: Path) -> Iterator[np.ndarray]:
    """A stream in parts. It is not mapped: all pages that were seen would count as memory."""
    with path.open("rb") as file:
        file.seek(StreamWriter.HEADER)
        while data := file.read(4 * _CHUNK):
            yield np.frombuffer(data, "<i4")


def _rewrite(path: Path, function: Callable[[np.ndarray], np.ndarray]) -> None:
    """Put what a function makes of a stream, part by part, in its place."""
    beside = path.with_name(f".{path.name}")
    with StreamWriter(beside) as writer:
        for part in _numbers(path):
            writer.append(function(part))
    beside.replace(path)


class StreamWriter:
    """Writes a .npy vector of int32 whose length is known only at the end."""

    # The header is written twice: as long the first time as the longest it can be.
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
