"""The different tokens of a training split, counted, and the vocabulary made of them."""

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

# Different tokens handled at once.
_CHUNK = 2**20


class Forms:
    """Every different token as people write it, numbered, with its counts in training.

    Attributes:
        numbers: the number of each form, in the order of the numbers.
        counts: how often each form stands, and how often where its case is its own; shape (2, F).
    """

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.counts = np.zeros((2, 0), np.int64)

    def add(self, forms: list[bytes], counts: np.ndarray) -> np.ndarray:
        """Count forms, and tell the number of each; shapes (2, n) → (n,)."""
        known = self.numbers
        numbers = np.fromiter(
            (known.setdefault(form, len(known)) for form in forms), np.int32, len(forms)
        )
        if len(known) > self.counts.shape[1]:
            room = np.zeros((2, 2 * len(known) - self.counts.shape[1]), np.int64)
            self.counts = np.concatenate([self.counts, room], axis=1)
        self.counts[:, numbers] += counts
        return numbers

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> Iterator[np.ndarray]:
        """What a function of strings, any shape, makes of all forms, chunk after chunk."""
        forms = [*self.numbers]
        for start in range(0, len(forms), _CHUNK):
            yield function(tf.constant(forms[start : start + _CHUNK])).numpy()


def read_listed(path: Path, config: VocabularyConfig) -> set[bytes]:
    """The tokens that a file lists, one a line, in the form in which a model sees them.

    Of a line with tabs, as in vocabulary.tsv, the first column counts.
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
        found = tf.ragged.boolean_mask(rows, single).values
        forms = normalise(found, case=config.case, numbers=config.numbers)
        listed.update(forms.numpy().tolist())
        left = [token for token, is_found in zip(left, single.numpy(), strict=True) if not is_found]
    if not listed:
        raise InputError(f"{path} holds no token: write one a line.")
    if left:
        log.warning(
            "Skipped %d of the %d tokens in %s, which are not exactly one token, such as %r.",
            len(left),
            len(tokens),
            path,
            left[0],
        )
    if config.numbers == "class":
        listed.add(NUMBER.encode())
    return listed


def build_vocabulary(
    forms: Forms,
    *,
    documents: Path,
    config: VocabularyConfig,
    listed: set[bytes] | None = None,
) -> Vocabulary:
    """The most frequent tokens of the training split, or the listed ones, most frequent first.

    Ties are broken by code points. A case-folded token is displayed in the form it most often
    has inside a sentence; one that stood there but once, or only ever opens sentences, is
    displayed in lower case. With subwords, the vocabulary is the pieces of all tokens instead.
    """
    case, numbers = config.case, config.numbers
    totals = dict.fromkeys(listed or (), 0)
    displays: dict[bytes, tuple[int, bytes]] = {}
    folded = forms.map(lambda chunk: normalise(chunk, case=case, numbers=numbers))
    tokens = (token for chunk in folded for token in chunk)
    counts = forms.counts[:, : len(forms.numbers)].tolist()
    for form, token, total, inside in zip(forms.numbers, tokens, *counts, strict=True):
        totals[token] = totals.get(token, 0) + total
        if case == "fold" and token != NUMBER.encode():
            # Among forms as frequent, the one in lower case (the greater in code points) wins.
            displays[token] = max(displays.get(token, (1, token)), (inside, form))
    paragraphs = totals.pop(BREAK.encode(), 0)
    occurrences = sum(totals.values())
    if not occurrences:
        raise InputError(f"The training split of {documents} holds no text.")
    if config.unit == "subword":
        return piece_vocabulary(
            {token.decode(): count for token, count in totals.items() if count},
            displays={token.decode(): form.decode() for token, (_, form) in displays.items()},
            paragraphs=paragraphs,
            size=config.vocabulary_size,
            case=case,
            numbers=numbers,
        )
    kept = sorted(listed if listed else totals, key=lambda token: (-totals[token], token))
    if not listed:
        kept = [token for token in kept if totals[token] >= config.min_count]
        kept = kept[: config.vocabulary_size - 2]
    if not kept:
        raise InputError(
            f"No token of {documents} stands {config.min_count} times in the training split: add "
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
