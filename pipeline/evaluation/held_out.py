"""Text that a model has never seen, as ids, with what a measurement needs to know of it."""

import dataclasses
from pathlib import Path
from typing import Self

import numpy as np

from pipeline import InputError
from pipeline.corpus.overlap import NGRAM, Tokens, look_up
from pipeline.corpus.reading import read_file
from pipeline.text.tokenizer import Tokenizer
from pipeline.text.vocabulary import BEGIN_ID, Vocabulary
from pipeline.tokens.tokenize import ids_and_letters
from pipeline.tokens.windows import document_spans, open_stream, paragraph_spans

# Blocks that a single document is cut into, to be taken for documents.
_BLOCKS = 50
# Documents cut at once; ids of a training stream that are looked at at once.
_BATCH, _CHUNK = 256, 2**20


@dataclasses.dataclass(frozen=True)
class Unseen:
    """A text to be predicted.

    Attributes:
        name: the split, or "text" for any other.
        stream: int32 ids, (tokens,).
        letters: int32, (tokens,), letters of each token as it was written; None where tokens are
            pieces of words.
        documents: int64, (D + 1,), where the targets of each document begin, and at last N.
    """

    name: str
    stream: np.ndarray
    letters: np.ndarray | None
    documents: np.ndarray

    @classmethod
    def of(
        cls, name: str, stream: np.ndarray, letters: np.ndarray | None, counts: np.ndarray
    ) -> Self:
        """A text whose documents have so many paragraphs each, `counts` of shape (D,)."""
        # A span's first token is no target of it.
        ends = [end - 1 for _, end in document_spans(stream, counts.tolist())]
        return cls(name, stream, letters, np.array([0, *ends], np.int64))

    def units(self) -> tuple[str, np.ndarray]:
        """What intervals are over: documents, or of a single one some fifty blocks.

        Returns:
            "document" or "block", and where the targets of each begin, as in `documents`.
        """
        if len(self.documents) > 2:
            return "document", self.documents
        ends = np.array([end - 1 for _, end in paragraph_spans(self.stream)])
        sought = np.linspace(0, ends[-1], _BLOCKS + 1)[1:]
        blocks = np.unique(ends[np.searchsorted(ends, sought)])
        return "block", np.array([0, *blocks], np.int64)


def open_split(tokens: Path, split: str, vocabulary: Vocabulary) -> Unseen:
    """A split that `tokenize` wrote.

    Raises:
        InputError: it is missing, holds no text, or was written by an earlier version.
    """
    stream = open_stream(tokens / f"{split}.npy")
    if len(stream) < 2:
        raise InputError(f"The {split} split in {tokens} holds no text to predict.")
    counts = open_stream(tokens / f"{split}.documents.npy")[:]
    letters = None
    if vocabulary.unit == "word":
        letters = open_stream(tokens / f"{split}.letters.npy")
    unseen = Unseen.of(split, stream, letters, counts)
    if unseen.documents[-1] != len(stream) - 1 or (
        letters is not None and len(letters) != len(stream)
    ):
        raise InputError(
            f"The files of the {split} split in {tokens} do not belong together: run `nextword "
            "tokenize` again."
        )
    return unseen


def read_text(path: Path, vocabulary: Vocabulary, *, text_column: str) -> Unseen:
    """Any file that `ingest` reads, as a vocabulary sees it.

    Args:
        path: the file.
        vocabulary: of the model that is to read it.
        text_column: which column of a table holds text.

    Raises:
        InputError: it cannot be read, or holds no text.
    """
    try:
        texts = [d.text.encode() for d in read_file(path, path.name, text_column=text_column)]
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} cannot be read: {error}; mend it or name another.") from error
    tokenizer = Tokenizer(vocabulary)
    parts = [
        ids_and_letters(tokenizer, texts[first : first + _BATCH])
        for first in range(0, len(texts), _BATCH)
    ]
    if sum(len(ids) for ids, _, _ in parts) < 2:
        raise InputError(f"{path} holds no text to predict: name another file.")
    ids, letters, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Unseen.of("text", ids, letters if vocabulary.unit == "word" else None, counts)


def share_in_training(unseen: Unseen, train: np.ndarray) -> float:
    """The share of a text's tokens that stand in training, in runs of 13 ids or more.

    Paragraphs may be broken elsewhere. Words out of vocabulary are all alike here, and a document
    of fewer than 13 tokens is never found.

    Args:
        unseen: the text.
        train: int32 ids, (tokens,), read in pieces.
    """

    def ngrams(ids: np.ndarray, document: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return Tokens(ids.astype(np.uint64), document, document).ngrams()

    ids = np.asarray(unseen.stream[:])
    document = np.searchsorted(unseen.documents[1:-1], np.arange(len(ids)) - 1, side="right")
    words = ids != BEGIN_ID
    starts, hashes = ngrams(ids[words], document[words])
    ordered, places = np.unique(hashes, return_inverse=True)
    found = np.zeros(len(ordered), bool)
    read = ids[:0]
    for first in range(0, len(train), _CHUNK):
        piece = np.asarray(train[first : first + _CHUNK])
        read = np.concatenate([read[1 - NGRAM :], piece[piece != BEGIN_ID]])
        found[look_up(ngrams(read, np.zeros(len(read), int))[1], ordered)[1]] = True
    covered = np.zeros(int(words.sum()), bool)
    covered[starts[found[places]][:, None] + np.arange(NGRAM)] = True
    return float(covered.sum() / max(len(covered), 1))
