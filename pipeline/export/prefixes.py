"""What a person has typed of a word against all words: accents and capitals may be missing.

typed   a   c   a          typed   a   ç   a
ação    a   ç   ã   o      acabou  a   c   a   b   o   u
        =   ~   ~  fits            =   ≠       does not: people who type accents mean them
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from pipeline.text.spelling import strip_accent
from pipeline.text.tokenizer import tokenize

_CAPITAL = r"(?s:\p{Lu}.*)"
_CAPITALS = r"\P{Ll}*\p{Lu}\P{Ll}*\p{Lu}\P{Ll}*"


class Typed(NamedTuple):
    """The beginning of a word, in lower case.

    Attributes:
        text: UTF-8, (B,).
        letters: its code points, int32 (B, P), zeros behind the last.
        length: how many, int32 (B,).
    """

    text: tf.Tensor
    letters: tf.Tensor
    length: tf.Tensor

    def without(self, first: tf.Tensor) -> "Typed":
        """What is left when the first so many letters, int32 (B,), are taken away."""
        size = tf.shape(self.letters)[1]
        places = tf.minimum(first[:, None] + tf.range(size), size)
        padded = tf.pad(self.letters, [[0, 0], [0, 1]])
        letters = tf.gather(padded, places, batch_dims=1)
        length = tf.maximum(self.length - first, 0)
        return self._replace(letters=letters, length=length)

    def repeat(self, times: int) -> "Typed":
        """Each row so many times."""
        return Typed(*(tf.repeat(part, times, axis=0) for part in self))


def read_prefix(prefix: tf.Tensor) -> tuple[Typed, tf.Tensor, tf.Tensor]:
    """What is typed, (B,), in the form that tokens have; whether it begins with a capital, and
    whether it is of capitals, two at least: bool (B,)."""
    prefix = tf.strings.reduce_join(tokenize(prefix), axis=1)
    codes, text = _codes(prefix), tf.strings.lower(prefix, encoding="utf-8")
    typed = Typed(text, codes.to_tensor(), tf.cast(codes.row_lengths(), tf.int32))
    capital = tf.strings.regex_full_match(prefix, _CAPITAL)
    return typed, capital, tf.strings.regex_full_match(prefix, _CAPITALS)


def _codes(words: tf.Tensor) -> tf.RaggedTensor:
    return tf.strings.unicode_decode(tf.strings.lower(words, encoding="utf-8"), "UTF-8")


class Letters(tf.Module):
    """Words, or pieces of words, letter by letter.

    Args:
        words: V of them.
    """

    def __init__(self, words: Sequence[str]):
        super().__init__(name="letters")
        codes = _codes(tf.constant(list(words)))
        without_marks = [ord(strip_accent(chr(code))) for code in codes.values.numpy()]
        self._letters = tf.transpose(codes.to_tensor())  # (L, V)
        self._bare = tf.transpose(codes.with_values(tf.constant(without_marks)).to_tensor())
        self.length = tf.cast(codes.row_lengths(), tf.int32)  # (V,)

    def compare(self, typed: Typed) -> tuple[tf.Tensor, tf.Tensor]:
        """Which words agree with what is typed as far as both go, and which of them to the accent.

        Returns:
            bool, (B, V) each.
        """
        rows = tf.shape(typed.length)[0]
        all_of_them = tf.fill([rows, self._letters.shape[1]], True)

        def look(i: tf.Tensor, fits: tf.Tensor, same: tf.Tensor) -> tuple[tf.Tensor, ...]:
            at = typed.letters[:, i, None]
            ends = tf.equal(at, 0) | tf.equal(self._letters[i], 0)
            equal = tf.equal(at, self._letters[i]) | ends
            return i + 1, fits & (equal | tf.equal(at, self._bare[i])), same & equal

        longest = tf.minimum(tf.shape(typed.letters)[1], self._letters.shape[0])
        _, fits, same = tf.while_loop(
            lambda i, *_: i < longest, look, (tf.constant(0), all_of_them, all_of_them)
        )
        return fits, same
