"""Match the letters that a person has typed against all words.

Accents and capitals may be missing, but accents that are typed are meant:

typed   a   c   a          typed   a   ç   a
ação    a   ç   ã   o      acabou  a   c   a   b   o   u
        =   ~   ~  fits            =   ≠       does not fit
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from pipeline.text.suggestible import MISSING_ACCENT, WHOLE, strip_accent
from pipeline.text.tokenizer import tokenize

_CAPITAL = r"(?s:\p{Lu}.*)"
_CAPITALS = r"\P{Ll}*\p{Lu}\P{Ll}*\p{Lu}\P{Ll}*"


class Typed(NamedTuple):
    """The beginnings of words, in lower case.

    Attributes:
        text: UTF-8, (B,).
        letters: code points, padded with zeros, int32 (B, P).
        length: number of letters, int32 (B,).
        token: as it is typed, if it is one token, or ""; UTF-8, (B,).
    """

    text: tf.Tensor
    letters: tf.Tensor
    length: tf.Tensor
    token: tf.Tensor

    def without(self, first: tf.Tensor) -> "Typed":
        """Drop the first letters of each row, as many as `first`, int32 (B,), says."""
        size = tf.shape(self.letters)[1]
        places = tf.minimum(first[:, None] + tf.range(size), size)
        padded = tf.pad(self.letters, [[0, 0], [0, 1]])
        letters = tf.gather(padded, places, batch_dims=1)
        length = tf.maximum(self.length - first, 0)
        return self._replace(letters=letters, length=length)

    def repeat(self, times: int) -> "Typed":
        """Repeat each row."""
        return Typed(*(tf.repeat(part, times, axis=0) for part in self))


def read_prefix(prefix: tf.Tensor) -> tuple[Typed, tf.Tensor, tf.Tensor]:
    """Normalise typed prefixes (B,) as the tokenizer does, and look for capitals.

    Returns:
        The prefixes; whether each begins with a capital, and whether it has two capitals or more
        and no small letter: bool (B,).
    """
    tokens = tokenize(prefix)
    prefix = tf.strings.reduce_join(tokens, axis=1)
    codes, text = codes_of(prefix), tf.strings.lower(prefix, encoding="utf-8")
    token = tf.where(tf.equal(tokens.row_lengths(), 1), prefix, "")
    typed = Typed(text, codes.to_tensor(), tf.cast(codes.row_lengths(), tf.int32), token)
    capital = tf.strings.regex_full_match(prefix, _CAPITAL)
    return typed, capital, tf.strings.regex_full_match(prefix, _CAPITALS)


def codes_of(words: tf.Tensor) -> tf.RaggedTensor:
    """Return the code points of words (N,) in lower case, int32 (N, None)."""
    return tf.strings.unicode_decode(tf.strings.lower(words, encoding="utf-8"), "UTF-8")


def likelihood(same: tf.Tensor, more: tf.Tensor) -> tf.Tensor:
    """Return p(typed | word), up to a factor, of words that fit what is typed; see `suggestible`.

    Args:
        same: whether the word has the accents of what is typed, bool.
        more: letters that the word has more, int32.
    """
    return tf.where(same, tf.where(tf.equal(more, 0), WHOLE, 1.0), MISSING_ACCENT)


class Letters(tf.Module):
    """The letters of V words, or pieces of words, in lower case."""

    def __init__(self, words: Sequence[str]):
        super().__init__(name="letters")
        codes = codes_of(tf.constant(list(words)))
        without_accents = [ord(strip_accent(chr(code))) for code in codes.values.numpy()]
        self._letters = tf.transpose(codes.to_tensor())  # (L, V)
        self._bare = tf.transpose(codes.with_values(tf.constant(without_accents)).to_tensor())
        self.length = tf.cast(codes.row_lengths(), tf.int32)  # (V,)

    def compare(self, typed: Typed) -> tuple[tf.Tensor, tf.Tensor]:
        """Compare each word with what is typed, as far as both go.

        Returns:
            Whether they agree, and whether they agree to the accent: bool (B, V).
        """
        rows = tf.shape(typed.length)[0]
        yes = tf.fill([rows, self._letters.shape[1]], True)

        def body(i: tf.Tensor, fits: tf.Tensor, same: tf.Tensor) -> tuple[tf.Tensor, ...]:
            at = typed.letters[:, i, None]
            ends = tf.equal(at, 0) | tf.equal(self._letters[i], 0)
            equal = tf.equal(at, self._letters[i]) | ends
            return i + 1, fits & (equal | tf.equal(at, self._bare[i])), same & equal

        longest = tf.minimum(tf.shape(typed.letters)[1], self._letters.shape[0])
        _, fits, same = tf.while_loop(lambda i, *_: i < longest, body, (tf.constant(0), yes, yes))
        return fits, same
