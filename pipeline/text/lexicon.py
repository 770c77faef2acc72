"""The words behind `<unk>`: which an unknown word may be.

A model gives p(<unk> | text), and a lexicon says which word that is:

    p(w | text) = p(<unk> | text) · f(w)        for a word w outside the vocabulary

f is the mean of its sources' distributions: the words of the training text that were too rare for
the vocabulary, and lists that were named. So a short list of one's own has its full share.
"""

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.text.rare_words import MOST, WordList, load_rare
from pipeline.text.tokenizer import is_word, normalise, tokenize
from pipeline.text.vocabulary import Vocabulary
from pipeline.text.word_lists import LONGEST, WORDFREQ, read_list, trim

log = logging.getLogger(__name__)

# A list of fewer words says which there are, but not how frequent they are in the language: a count
# of 1 is that of one word in a million.
_FEW = 1e6
# Words tokenized at once.
_BATCH = 2**16

# Token → its count and the form it is most often written in.
Entries = dict[str, tuple[float, str]]


@dataclasses.dataclass(frozen=True)
class Lexicon:
    """Words outside a vocabulary, most frequent first, at most 100,000.

    Attributes:
        vocabulary: whose `<unk>` they share.
        words: as people write them in mid-sentence, (N,).
        probabilities: f, float32 (N,); the sum is 1, or less where words are left out.
        frequencies: of each word of the vocabulary and the lexicon, as the model sees it: its share
            of all words of the lists that were named, or of the training text if no list has it.
    """

    vocabulary: Vocabulary
    words: Sequence[str]
    probabilities: np.ndarray
    frequencies: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def load(cls, training: Path, vocabulary: Vocabulary, names: Sequence[str] = ()) -> Self:
        """Make the lexicon of a trained model.

        Args:
            training: folder that `train` wrote.
            vocabulary: of that model; of words, or the lexicon is empty.
            names: of lists, as `read_list` takes them.

        Raises:
            InputError: a list cannot be used, or the vocabulary is of subwords, which has no use
                for one.
        """
        if vocabulary.unit == "subword":
            if names:
                raise InputError(
                    f"The model in {training} is of subwords, to which no word is unknown: leave "
                    "out --lexicon."
                )
            return cls.of(vocabulary)
        lists = [_load_list(name, vocabulary) for name in names]
        return cls.of(vocabulary, _entries(load_rare(training), vocabulary), lists)

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, rare: Entries | None = None, lists: Sequence[Entries] = ()
    ) -> Self:
        """Make a lexicon of the rare words of a training text, and of other lists."""
        rare = rare or {}
        known, displays = {*vocabulary.tokens}, dict[str, str]()
        f: dict[str, float] = {}
        outside = [
            {token: count for token, (count, _) in entries.items() if token not in known}
            for entries in (*lists, rare)
        ]
        sources = [counts for counts in outside if counts]
        for counts in sources:
            total = sum(counts.values()) * len(sources)
            for token, count in counts.items():
                f[token] = f.get(token, 0.0) + count / total
        for entries in (*lists, rare):
            for token, (_, written) in entries.items():
                if displays.get(token, token) == token:  # a form with capitals knows more
                    displays[token] = written
        tokens = sorted(f, key=lambda token: (-f[token], token))[:MOST]
        shares = np.array([f[token] for token in tokens])
        return cls(
            vocabulary,
            tuple(displays[token] for token in tokens),
            (shares / shares.sum()).astype(np.float32),
            _frequencies([*vocabulary.tokens, *tokens], vocabulary, rare, lists),
        )

    def numbers(self, tokens: Sequence[str]) -> np.ndarray:
        """Return the place of each token in `words`, as it may be written; −1 for none; (n,)."""
        places = {token: i for i, token in enumerate(self._normalise(self.words))}
        return np.array([places.get(token, -1) for token in self._normalise(tokens)], np.int32)

    def frequencies_of(self, words: Sequence[str]) -> np.ndarray:
        """Return `frequencies` of words as they may be written; 0 of others; float64 (n,)."""
        return np.array([self.frequencies.get(w, 0.0) for w in self._normalise(words)], np.float64)

    def without(self, left_out: np.ndarray) -> Self:
        """Return this lexicon without some words, bool (N,); f of the others stays what it is."""
        words = tuple(w for w, out in zip(self.words, left_out, strict=True) if not out)
        return dataclasses.replace(self, words=words, probabilities=self.probabilities[~left_out])

    def save(self, path: Path) -> None:
        """Write a lexicon.tsv: a word and its f a line."""
        with path.open("w", encoding="utf-8", newline="") as file:
            for word, share in zip(self.words, self.probabilities.tolist(), strict=True):
                file.write(f"{word}\t{share:.6g}\n")

    def _normalise(self, words: Sequence[str]) -> list[str]:
        return _normalise(words, self.vocabulary)


def _normalise(words: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    tokens = normalise(
        tf.constant([*words], tf.string), case=vocabulary.case, numbers=vocabulary.numbers
    )
    return [token.decode() for token in tokens.numpy().tolist()]


def _load_list(name: str, vocabulary: Vocabulary) -> Entries:
    listed = read_list(name)
    if name == WORDFREQ:
        return _entries(listed, vocabulary)
    listed = trim(listed, name)
    entries = _entries(listed, vocabulary)
    if not entries:
        raise InputError(f"{name} holds no word: write one a line, or name another file.")
    if skipped := len(listed) - len(entries):
        message = "Skipped %d of the %d words in %s, which are no words, or others in another form."
        log.warning(message, skipped, len(listed), name)
    return entries


def _entries(listed: WordList, vocabulary: Vocabulary) -> Entries:
    """Return what is a word, and is one token, of a list, as the model sees it."""
    entries: Entries = {}
    most: dict[str, float] = {}
    for token, written, count in _single_tokens(listed, vocabulary):
        total, best = entries.get(token, (0.0, written))
        if count > most.get(token, 0.0):
            most[token], best = count, written
        entries[token] = total + count, best
    return entries


def _single_tokens(listed: WordList, vocabulary: Vocabulary) -> Iterator[tuple[str, str, float]]:
    for start in range(0, len(listed), _BATCH):
        rows = tokenize(tf.constant([*listed.words[start : start + _BATCH]]))
        single = np.flatnonzero(rows.row_lengths().numpy() == 1)
        written = [w.decode() for w in tf.gather(rows, single).values.numpy().tolist()]
        tokens = _normalise(written, vocabulary)
        words = is_word(tf.constant(tokens, tf.string)).numpy().tolist()
        for place, token, form, is_one in zip(
            (single + start).tolist(), tokens, written, words, strict=True
        ):
            if is_one and len(token) <= LONGEST:
                yield token, form, listed.counts[place]


def _frequencies(
    tokens: Sequence[str], vocabulary: Vocabulary, rare: Entries, lists: Sequence[Entries]
) -> dict[str, float]:
    counts = dict(zip(vocabulary.tokens, vocabulary.counts, strict=True))
    total = max(sum(counts.values()), 1)
    counts |= {token: int(count) for token, (count, _) in rare.items()}
    # A word of a list of twenty is not one word in twenty of what its owner writes.
    sums = [max(sum(n for n, _ in entries.values()), _FEW) for entries in lists]
    frequencies = {}
    for token in tokens:
        shares = [
            entries[token][0] / whole
            for entries, whole in zip(lists, sums, strict=True)
            if token in entries
        ]
        frequencies[token] = sum(shares) / len(lists) if shares else counts.get(token, 0) / total
    return frequencies
