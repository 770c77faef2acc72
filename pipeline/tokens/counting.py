"""Count the tokens of a training split and choose the vocabulary."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.text.tokenizer import BREAK, normalise, tokenize
from pipeline.text.vocabulary import BEGIN, NUMBER, UNKNOWN, Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.pieces import piece_vocabulary

log = logging.getLogger(__name__)

# Unique tokens processed at once.
_BATCH = 2**20


class TokenCounts:
    """Unique tokens as they are written, with their counts in the training split.

    Attributes:
        index: the place of each token in `counts`, in order.
        counts: int64, (2, capacity): occurrences, and those whose case is not due to position.
    """

    def __init__(self) -> None:
        self.index: dict[bytes, int] = {}
        self.counts = np.zeros((2, 0), np.int64)

    def add(self, tokens: list[bytes], counts: np.ndarray) -> np.ndarray:
        """Add counts of shape (2, n) of n unique tokens; return their indices, (n,)."""
        index = self.index
        indices = np.fromiter(
            (index.setdefault(token, len(index)) for token in tokens), np.int32, len(tokens)
        )
        if len(index) > self.counts.shape[1]:
            room = np.zeros((2, 2 * len(index) - self.counts.shape[1]), np.int64)
            self.counts = np.concatenate([self.counts, room], axis=1)
        self.counts[:, indices] += counts
        return indices

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> Iterator[np.ndarray]:
        """Apply a function to all tokens, batch by batch."""
        tokens = [*self.index]
        for start in range(0, len(tokens), _BATCH):
            yield function(tf.constant(tokens[start : start + _BATCH])).numpy()


def read_listed(path: Path, config: VocabularyConfig) -> set[bytes]:
    """Read a list of tokens, one a line, as the model sees them.

    If a line has tabs, as in vocabulary.tsv, its first column is the token.
    """
    if config.unit == "subword":
        raise InputError(f"{path} lists words, not their pieces: leave out --vocabulary or --unit.")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"No tokens can be read from {path}: name a UTF-8 file with one token a line."
        ) from error
    tokens = [line.split("\t")[0].strip() for line in lines]
    tokens = [token for token in tokens if token not in ("", UNKNOWN, BEGIN, NUMBER)]
    listed, left = set(), tokens
    # A case-folded vocabulary has "d.", "r$" and "min.", which are one token only as "D.", "R$"
    # and "Min.".
    for spelling in (str, str.upper, str.capitalize) if config.case == "fold" else (str,):
        rows = tokenize(tf.constant([spelling(token) for token in left], tf.string))
        single = tf.equal(rows.row_lengths(), 1)
        whole = tf.ragged.boolean_mask(rows, single).values
        listed.update(normalise(whole, case=config.case, numbers=config.numbers).numpy().tolist())
        left = [token for token, is_one in zip(left, single.numpy(), strict=True) if not is_one]
    if not listed:
        raise InputError(f"{path} holds no token: write one a line.")
    if left:
        message = "Skipped %d of the %d tokens in %s, which are not exactly one token, such as %r."
        log.warning(message, len(left), len(tokens), path, left[0])
    if config.numbers == "class":
        listed.add(NUMBER.encode())
    return listed


def build_vocabulary(
    counted: TokenCounts,
    *,
    documents: Path,
    config: VocabularyConfig,
    listed: set[bytes] | None = None,
) -> Vocabulary:
    """Choose the most frequent tokens of the training split, or the listed ones.

    They are sorted by frequency, then by code points. A case-folded token is displayed as it is
    most often written inside a sentence, or in lower case if it occurs there at most once. For
    subwords the vocabulary is the pieces of all tokens.
    """
    case, numbers = config.case, config.numbers
    totals = dict.fromkeys(listed or (), 0)
    displays: dict[bytes, tuple[int, bytes]] = {}
    batches = counted.map(lambda batch: normalise(batch, case=case, numbers=numbers))
    tokens = (token for batch in batches for token in batch)
    counts = counted.counts[:, : len(counted.index)].tolist()
    for written, token, total, inside in zip(counted.index, tokens, *counts, strict=True):
        totals[token] = totals.get(token, 0) + total
        if case == "fold" and token != NUMBER.encode():
            # Lower case, which is greater in code points, wins a tie.
            displays[token] = max(displays.get(token, (1, token)), (inside, written))
    paragraphs = totals.pop(BREAK.encode(), 0)
    occurrences = sum(totals.values())
    if not occurrences:
        raise InputError(f"The training split of {documents} holds no text.")
    if config.unit == "subword":
        return piece_vocabulary(
            {token.decode(): count for token, count in totals.items() if count},
            displays={token.decode(): best.decode() for token, (_, best) in displays.items()},
            paragraphs=paragraphs,
            config=config,
        )
    kept = sorted(listed if listed else totals, key=lambda token: (-totals[token], token))
    if not listed:
        kept = [token for token in kept if totals[token] >= config.min_count]
        kept = kept[: config.vocabulary_size - 2]
    if not kept:
        raise InputError(
            f"No token of {documents} occurs {config.min_count} times in the training split: add "
            "text or lower --min-count."
        )
    unknown = occurrences - sum(totals[token] for token in kept)
    return Vocabulary(
        (UNKNOWN, BEGIN, *(token.decode() for token in kept)),
        (UNKNOWN, BEGIN, *(displays.get(token, (0, token))[1].decode() for token in kept)),
        (unknown, paragraphs, *(totals[token] for token in kept)),
        case,
        numbers,
    )
