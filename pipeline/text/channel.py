"""The noisy channel p(typed | meant): how people mistype Portuguese.

The cost of typing one word while another is meant is the cheapest way of turning one into the other
by edits (Damerau 1964; Wagner & Fischer 1974), each with a cost in nats, −ln p up to a constant:

    meant   e   x   c   e   l   e   n   t   e        meant   t   a   m   b   é   m
    typed   e   x       e   l   e   n   t   e        typed   t   a   n   b   e   m
                  `cluster`: x for xc                        `sound`     `accent`

Costs belong to kinds of edits, not to single letters, so that a few hundred errors are enough to
fit them (`benchmarks/spelling.py fit`).
"""

import dataclasses
import functools
from typing import Self

import numpy as np
import tensorflow as tf

from pipeline.text.suggestible import strip_accent

# Every other character is the last symbol. 0 pads.
ALPHABET = "abcdefghijklmnopqrstuvwxyzàáâãäçèéêíïñóôõöúüû'-"
_OTHER = len(ALPHABET) + 1
_SIZE = _OTHER + 1
# Nats of what never happens.
_INFINITE = 1e4
# Of `letter_sets`: a to z, and all other letters.
_BITS = 27
_VOWELS = "aeiou"
# Letters that are mistaken for each other, because they sound alike in some words.
_SOUNDS = ("sczçx", "gj", "mn", "lu", "lr", "kcq", "vw", "iy", "td", "pb", "fv", "cg")
# Two letters and single ones that can spell the same sound.
_CLUSTERS = {
    **dict.fromkeys(("ss", "sc", "xc", "sç", "cc", "xs", "cç", "ps"), "sczçx"),
    "ch": "xk", "qu": "kqc", "gu": "g", "lh": "l", "nh": "n", "ou": "ol", "ks": "x", "ct": "t",
}  # fmt: skip
_ROWS = ("qwertyuiop", "asdfghjklç", "zxcvbnm")


@dataclasses.dataclass(frozen=True)
class Costs:
    """Costs of edits in nats, by kind.

    Attributes:
        accent: an accent is left out.
        tilde: a tilde is left out.
        cedilla: a cedilla is left out.
        added_accent: an accent is typed where there is none.
        other_accent: another accent is typed.
        sound: another letter for the same sound.
        vowel: e and i, or o and u.
        key: a neighbouring key.
        other_vowel: any other vowel for a vowel.
        letter: any other letter.
        doubled: a letter is typed twice.
        added_key: a neighbouring key is hit, too.
        added_vowel: a vowel too many.
        added: any other letter too many.
        single: one of two equal letters is left out.
        silent: an h is left out or added.
        lost_vowel: a vowel is left out.
        lost: any other letter is left out.
        hyphen: a hyphen or an apostrophe is left out or added.
        swapped: two letters in the wrong order.
        cluster: one letter for two that sound like it, x for xc.
        spelled_out: two letters for one.
        first: on top of any edit of the first letter.
    """

    accent: float = -1.98
    tilde: float = -1.24
    cedilla: float = 1.99
    added_accent: float = 4.45
    other_accent: float = 0.78
    sound: float = 2.40
    vowel: float = 3.52
    key: float = 6.99
    other_vowel: float = 6.12
    letter: float = 8.78
    doubled: float = 3.91
    added_key: float = 5.85
    added_vowel: float = 4.84
    added: float = 6.97
    single: float = 3.46
    silent: float = 4.30
    lost_vowel: float = 3.34
    lost: float = 3.40
    hyphen: float = 7.50
    swapped: float = 4.82
    cluster: float = 2.66
    spelled_out: float = 4.30
    first: float = 1.46


COSTS = Costs()
_KINDS = [field.name for field in dataclasses.fields(Costs)]
_FREE, _NEVER = len(_KINDS), len(_KINDS) + 1


def _neighbours() -> set[tuple[str, str]]:
    """Return the pairs of letters whose keys touch each other on a Brazilian keyboard."""
    places = {c: (row, x + row / 2) for row, line in enumerate(_ROWS) for x, c in enumerate(line)}
    return {
        (a, b)
        for a, (row, x) in places.items()
        for b, (other, y) in places.items()
        if a != b and abs(row - other) <= 1 and abs(x - y) <= 1
    }


@functools.cache
def _kinds() -> dict[str, np.ndarray]:
    """Return the kind of every edit, by the symbols that it has: int32."""
    symbols = {letter: i + 1 for i, letter in enumerate(ALPHABET)}
    bare = {letter: strip_accent(letter) for letter in ALPHABET}
    near = _neighbours()
    same_sound = {(a, b) for group in _SOUNDS for a in group for b in group}

    def substitution(typed: str, meant: str) -> str:
        base = bare[typed] == bare[meant]
        if base and typed == bare[meant]:
            return {"ç": "cedilla", "ã": "tilde", "õ": "tilde"}.get(meant, "accent")
        if base:
            return "added_accent" if meant == bare[meant] else "other_accent"
        pair = bare[typed], bare[meant]
        if (typed, meant) in same_sound:
            return "sound"
        if pair in {("e", "i"), ("i", "e"), ("o", "u"), ("u", "o")}:
            return "vowel"
        if pair in near:
            return "key"
        return "other_vowel" if pair[0] in _VOWELS and pair[1] in _VOWELS else "letter"

    def insertion(typed: str, before: str) -> str:
        if typed in "'-":
            return "hyphen"
        if typed == before:
            return "doubled"
        if typed == "h":
            return "silent"
        if (typed, bare.get(before)) in near:
            return "added_key"
        return "added_vowel" if bare[typed] in _VOWELS else "added"

    def deletion(meant: str, before: str) -> str:
        if meant in "'-":
            return "hyphen"
        if meant == before:
            return "single"
        if meant == "h":
            return "silent"
        return "lost_vowel" if bare[meant] in _VOWELS else "lost"

    kind = {name: i for i, name in enumerate(_KINDS)}
    # What holds for letters outside `ALPHABET`.
    others = {"substitute": "letter", "insert": "added", "delete": "lost"}
    tables = {edit: np.full((_SIZE, _SIZE), kind[name], np.int32) for edit, name in others.items()}
    for a, i in symbols.items():
        for b, j in symbols.items():
            tables["substitute"][i, j] = kind[substitution(a, b)]
            tables["insert"][i, j] = kind[insertion(a, b)]
            tables["delete"][i, j] = kind[deletion(a, b)]
        tables["insert"][i, 0] = kind[insertion(a, "")]
        tables["delete"][i, 0] = kind[deletion(a, "")]
    np.fill_diagonal(tables["substitute"], _FREE)
    tables["merge"] = np.full((len(_CLUSTERS) + 1, _SIZE), _NEVER, np.int32)
    for number, singles in enumerate(_CLUSTERS.values(), start=1):
        tables["merge"][number, [symbols[single] for single in singles]] = kind["cluster"]
    tables["split"] = np.where(tables["merge"] == _NEVER, _NEVER, kind["spelled_out"])
    return tables


def _cluster_numbers() -> np.ndarray:
    """Return the number of the cluster that two symbols are, 0 for none: int32, (S, S)."""
    numbers = np.zeros((_SIZE, _SIZE), np.int32)
    for number, pair in enumerate(_CLUSTERS, start=1):
        numbers[ALPHABET.index(pair[0]) + 1, ALPHABET.index(pair[1]) + 1] = number
    return numbers


def encode(words: tf.Tensor) -> tf.RaggedTensor:
    """Return the symbols of UTF-8 words (N,) in lower case, int32 (N, None), from 1."""
    table = np.full(0x180, _OTHER, np.int32)
    for i, letter in enumerate(ALPHABET):
        table[ord(letter)] = i + 1
    codes = tf.strings.unicode_decode(words, "UTF-8")
    return codes.with_values(tf.gather(table, tf.minimum(codes.values, len(table) - 1)))


def letter_sets(symbols: tf.Tensor) -> tf.Tensor:
    """Return which letters, without accents, words (N, L) of symbols have: bits, int32 (N,).

    What is written in several ways counts little: not hyphens and apostrophes, nor an h; k and q
    are a c. So *xegar* and *chegar* differ in two letters, *kero* and *quero* in one.
    """
    bits = np.zeros(_SIZE, np.int32)
    bits[_OTHER] = 1 << (_BITS - 1)
    for i, letter in enumerate(ALPHABET):
        if letter not in "'-h":
            letter = {"k": "c", "q": "c"}.get(letter, strip_accent(letter))
            bits[i + 1] = 1 << (ord(letter) - ord("a"))
    columns = tf.transpose(tf.gather(tf.constant(bits), symbols))  # (L, N)
    return tf.foldl(tf.bitwise.bitwise_or, columns, tf.zeros(tf.shape(symbols)[:1], tf.int32))


def count_different(sets: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Count the letters that only one of two words has, from their `letter_sets`; broadcasts."""
    return tf.raw_ops.PopulationCount(x=tf.bitwise.bitwise_xor(sets, others))


class Channel(tf.Module):
    """Costs of typing one word while another is meant.

    Args:
        costs: in nats, in the order of `Costs`, (K,).

    Attributes:
        tables: costs of each edit, by the symbols that it has; flat.
        clusters: the number of the cluster that two symbols are, 0 for none; flat.
        first: of any edit of the first letter, on top.
        swapped: of two letters in the wrong order.
    """

    def __init__(self, costs: tf.Tensor):
        super().__init__(name="channel")
        values = tf.concat([costs, [0.0, _INFINITE]], axis=0)
        self.tables = {name: tf.gather(values, kinds.ravel()) for name, kinds in _kinds().items()}
        self.clusters = tf.constant(_cluster_numbers().ravel())
        self.first, self.swapped = (costs[_KINDS.index(name)] for name in ("first", "swapped"))

    @classmethod
    def of(cls, costs: Costs) -> Self:
        return cls(tf.constant(dataclasses.astuple(costs)))

    def costs(self, typed: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
        """Compute the cost of typing a word while the first letters of another are meant.

        Args:
            typed: symbols, int32 (N, P), right-padded with zeros.
            meant: symbols, int32 (N, L), right-padded with zeros.

        Returns:
            Nats for the first 0, 1, …, L letters that are meant, float32 (N, L + 1).
        """
        tables, first = self.tables, self.first
        before = tf.pad(meant[:, :-1], [[0, 0], [1, 0]])
        clusters = tf.gather(self.clusters, before * _SIZE + meant)
        size = tf.shape(meant)[1]
        at_first = tf.cast(tf.equal(tf.range(size), 0), tf.float32)  # (L,)
        lost = tf.gather(tables["delete"], meant * _SIZE + before) + first * at_first
        lost = tf.pad(tf.cumsum(lost, axis=1), [[0, 0], [1, 0]])  # (N, L + 1)

        def shift(row: tf.Tensor, by: int) -> tf.Tensor:
            return tf.pad(row[:, :-by], [[0, 0], [by, 0]], constant_values=_INFINITE)

        def body(i: tf.Tensor, last: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, ...]:
            letter, previous = typed[:, i, None], typed[:, tf.maximum(i - 1, 0), None]
            begins = tf.cast(tf.equal(i, 0), tf.float32)
            substitute = tf.gather(tables["substitute"], letter * _SIZE + meant)
            substitute += first * begins * at_first * tf.cast(letter != meant, tf.float32)
            insert = tf.gather(tables["insert"], letter * _SIZE + tf.pad(meant, [[0, 0], [1, 0]]))
            insert += begins * first
            merge = tf.gather(tables["merge"], clusters * _SIZE + letter)
            pair = tf.gather(self.clusters, previous * _SIZE + letter)
            split = tf.gather(tables["split"], pair * _SIZE + meant)
            swaps = tf.equal(letter, before) & tf.equal(previous, meant) & (i > 0)
            swap = tf.where(swaps, self.swapped, _INFINITE)
            one = [[0, 0], [1, 0]]
            row = tf.reduce_min(
                [
                    last + insert,
                    shift(last, 1) + tf.pad(substitute, one),
                    shift(last, 2) + tf.pad(merge, one),
                    shift(second, 1) + tf.pad(split, one) + tf.where(i > 0, 0.0, _INFINITE),
                    shift(second, 2) + tf.pad(swap, one),
                ],
                axis=0,
            )
            # Letters may be left out in a row: row[j] = min over k ≤ j of row[k] + lost[k … j].
            row -= lost
            for by in (1, 2, 4, 8, 16):
                row = tf.minimum(
                    row, tf.pad(row, [[0, 0], [by, 0]], constant_values=_INFINITE)[:, :-by]
                )
            row += lost
            going = letter > 0
            return i + 1, tf.where(going, row, last), tf.where(going, last, second)

        steps = tf.shape(typed)[1]
        shape = tf.TensorShape([None, None])
        _, row, _ = tf.while_loop(
            lambda i, *_: i < steps,
            body,
            (tf.constant(0), lost, tf.fill(tf.shape(lost), _INFINITE)),
            shape_invariants=(tf.TensorShape([]), shape, shape),
        )
        return row
