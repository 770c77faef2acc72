"""Count the tokens of a training split and choose the vocabulary."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.text.rare_words import MOST, WordList, load_rare
from pipeline.text.tokenizer import BREAK, is_word, normalise, tokenize
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


@dataclasses.dataclass(frozen=True)
class SeenTokens:
    """The tokens of a training split as the model sees them.

    Attributes:
        counts: token → occurrences.
        written: token → how often it has its commonest form inside sentences, and that form.
    """

    counts: Mapping[bytes, int]
    written: Mapping[bytes, tuple[int, bytes]]

    @classmethod
    def of(cls, counted: TokenCounts, config: VocabularyConfig) -> "SeenTokens":
        """Normalise the tokens that were counted."""
        case, numbers = config.case, config.numbers
        totals: dict[bytes, int] = {}
        forms: dict[bytes, tuple[int, bytes]] = {}
        batches = counted.map(lambda batch: normalise(batch, case=case, numbers=numbers))
        tokens = (token for batch in batches for token in batch)
        counts = counted.counts[:, : len(counted.index)].tolist()
        for written, token, total, inside in zip(counted.index, tokens, *counts, strict=True):
            totals[token] = totals.get(token, 0) + total
            if case == "fold" and token != NUMBER.encode():
                # Lower case, which is greater in code points, wins a tie.
                forms[token] = max(forms.get(token, (0, token)), (inside, written))
        return cls(totals, forms)

    def display(self, token: bytes, *, least: int = 2) -> str:
        """Return the form of a token if it occurs at least so often inside sentences, or itself."""
        inside, written = self.written.get(token, (0, token))
        return (written if inside >= least else token).decode()


def build_vocabulary(
    seen: SeenTokens,
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
    totals = {**dict.fromkeys(listed or (), 0), **seen.counts}
    paragraphs = totals.pop(BREAK.encode(), 0)
    occurrences = sum(totals.values())
    if not occurrences:
        raise InputError(f"The training split of {documents} holds no text.")
    if config.unit == "subword":
        return piece_vocabulary(
            {token.decode(): count for token, count in totals.items() if count},
            displays={token.decode(): seen.display(token) for token in seen.written},
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
        (UNKNOWN, BEGIN, *map(seen.display, kept)),
        (unknown, paragraphs, *(totals[token] for token in kept)),
        config.case,
        config.numbers,
    )


def save_rare(
    seen: SeenTokens, vocabulary: Vocabulary, folder: Path, *, init: Path | None = None
) -> None:
    """Write rare.tsv: the words of the training split that the vocabulary lacks.

    Each line is a word as the model sees it, as people write it, and its count; the most frequent
    100,000, sorted as a vocabulary is. A word needs but one place inside a sentence to be displayed
    as it is written there. For subwords nothing is written.

    Args:
        seen: of the training split.
        vocabulary: chosen from it.
        folder: to write into.
        init: folder of a trained model, whose rare words are counted, too.
    """
    if vocabulary.unit == "subword":
        return
    known = {token.encode() for token in vocabulary.tokens}
    rare = {token: n for token, n in seen.counts.items() if n and token not in known}
    displays = {token: seen.display(token, least=1) for token in rare}
    before = load_rare(init) if init else WordList()
    tokens = normalise(
        tf.constant([*before.words], tf.string), case=vocabulary.case, numbers=vocabulary.numbers
    )
    for token, display, count in zip(
        tokens.numpy().tolist(), before.words, before.counts, strict=True
    ):
        if token not in known:
            rare[token] = rare.get(token, 0) + int(count)
            displays[token] = display
    words = [token for token, is_one in _are_words([*rare]) if is_one]
    kept = sorted(words, key=lambda token: (-rare[token], token))[:MOST]
    with (folder / "rare.tsv").open("w", encoding="utf-8", newline="") as file:
        for token in kept:
            file.write(f"{token.decode()}\t{displays[token]}\t{rare[token]}\n")


def _are_words(tokens: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    for start in range(0, len(tokens), _BATCH):
        batch = tokens[start : start + _BATCH]
        yield from zip(batch, is_word(tf.constant(batch)).numpy().tolist(), strict=True)
