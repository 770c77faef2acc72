"""Held-out text as ids, with what a measurement needs to know about it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from pipeline import InputError
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.documents import NGRAM
from pipeline.corpus.overlap import Tokens, look_up
from pipeline.corpus.reading import Document, read_file
from pipeline.text.tokenizer import Tokenizer
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID, Vocabulary
from pipeline.tokens.encoded import Encoded
from pipeline.tokens.windows import document_spans, open_stream, paragraph_spans

# Blocks that a single document is divided into, each taken for a document.
_BLOCKS = 50
# Documents tokenized at once; ids of a training stream searched at once.
_BATCH, _CHUNK = 256, 2**20


@dataclasses.dataclass(frozen=True)
class HeldOutText:
    """A text to predict.

    Attributes:
        name: the split, or "text" for any other.
        stream: int32 ids, (tokens,).
        letters: int32, (tokens,), length of each token as it was written; None where tokens are
            pieces of words.
        documents: int64, (D + 1,), index of each document's first target, and last the number of
            targets.
        unknown: each `<unk>` of the stream as it was written; empty where tokens are pieces.
    """

    name: str
    stream: np.ndarray
    letters: np.ndarray | None
    documents: np.ndarray
    unknown: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        name: str,
        stream: np.ndarray,
        letters: np.ndarray | None,
        counts: np.ndarray,
        unknown: Sequence[str] = (),
    ) -> Self:
        """Create a text from the number of paragraphs in each document, (D,)."""
        # The first token of a span is not a target.
        ends = [end - 1 for _, end in document_spans(stream, counts.tolist())]
        return cls(name, stream, letters, np.array([0, *ends], np.int64), unknown)

    def units(self) -> tuple[str, np.ndarray]:
        """Return "document", or "block" of a single document, and the bounds of each.

        Intervals are computed over them; the bounds are those of targets, as in `documents`.
        """
        if len(self.documents) > 2:
            return "document", self.documents
        ends = np.array([end - 1 for _, end in paragraph_spans(self.stream)])
        bounds = np.linspace(0, ends[-1], _BLOCKS + 1)[1:]
        blocks = np.unique(ends[np.searchsorted(ends, bounds)])
        return "block", np.array([0, *blocks], np.int64)


def open_split(tokens: Path, split: str, vocabulary: Vocabulary) -> HeldOutText:
    """Open a split that `tokenize` wrote.

    Raises:
        InputError: it is missing, is empty, was written by an earlier version, or is of another
            vocabulary.
    """
    stream = open_stream(tokens / f"{split}.npy", below=len(vocabulary))
    if len(stream) < 2:
        raise InputError(f"The {split} split in {tokens} has no text to predict.")
    counts = open_stream(tokens / f"{split}.documents.npy")[:]
    letters, unknown = None, list[str]()
    together = True
    if vocabulary.unit == "word":
        letters = open_stream(tokens / f"{split}.letters.npy")
        unknown = _read_unknown(tokens, split)
        together = len(letters) == len(stream)
        together &= len(unknown) == np.count_nonzero(stream[:] == UNKNOWN_ID)
    text = HeldOutText.of(split, stream, letters, counts, unknown)
    if text.documents[-1] != len(stream) - 1 or not together:
        raise InputError(
            f"The files of the {split} split in {tokens} are not all there, or do not belong "
            "together: run `nextword tokenize` again."
        )
    return text


def _read_unknown(tokens: Path, split: str) -> list[str]:
    """Read what `tokenize` wrote of the unknown tokens, in one file or in Spark's shards."""
    whole = tokens / f"{split}.unknown.txt"
    paths = [whole] if whole.exists() else sorted(tokens.glob(f"{split}.unknown-*.txt"))
    texts = (path.read_bytes().decode(errors="replace") for path in paths)
    return [token for text in texts for token in text.split("\n")[:-1]]


def read_text(path: Path, vocabulary: Vocabulary, *, text_column: str) -> HeldOutText:
    """Encode any file that `ingest` reads; `text_column` is the one to read of a table.

    Raises:
        InputError: it cannot be read, or has no text.
    """
    try:
        found = read_file(path, path.name, ReadingConfig(text_column=text_column))
        texts = [text.text.encode() for text in found if isinstance(text, Document)]
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{path} cannot be read: {error}; repair it or name another file."
        ) from error
    tokenizer = Tokenizer(vocabulary)
    parts = [
        Encoded.of(tokenizer, texts[first : first + _BATCH])
        for first in range(0, len(texts), _BATCH)
    ]
    if sum(len(part.ids) for part in parts) < 2:
        raise InputError(f"{path} has no text to predict: name another file.")
    ids, letters, counts = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("ids", "letters", "paragraphs")
    )
    unknown = [token.decode() for part in parts for token in part.unknown]
    of_words = vocabulary.unit == "word"
    return HeldOutText.of("text", ids, letters if of_words else None, counts, unknown)


def training_overlap(text: HeldOutText, train: np.ndarray) -> float:
    """Return the share of tokens that are in training too, in runs of 13 or more.

    Paragraphs may be broken elsewhere. All out-of-vocabulary words count as equal, and a document
    of fewer than 13 tokens never overlaps.
    """

    def ngrams(ids: np.ndarray, document: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return Tokens(ids.astype(np.uint64), document, document).ngrams()

    ids = np.asarray(text.stream[:])
    document = np.searchsorted(text.documents[1:-1], np.arange(len(ids)) - 1, side="right")
    words = ids != BEGIN_ID
    starts, hashes = ngrams(ids[words], document[words])
    ordered, places = np.unique(hashes, return_inverse=True)
    seen = np.zeros(len(ordered), bool)
    read = ids[:0]
    for first in range(0, len(train), _CHUNK):
        chunk = np.asarray(train[first : first + _CHUNK])
        read = np.concatenate([read[1 - NGRAM :], chunk[chunk != BEGIN_ID]])
        seen[look_up(ngrams(read, np.zeros(len(read), int))[1], ordered)[1]] = True
    covered = np.zeros(int(words.sum()), bool)
    covered[starts[seen[places]][:, None] + np.arange(NGRAM)] = True
    return float(covered.sum() / max(len(covered), 1))
