"""Texts as ids, with what measurements need to know of the tokens as they were written."""

import dataclasses

import numpy as np
import tensorflow as tf

from pipeline.text.tokenizer import Tokenizer, expand, open_paragraph, tokenize_unique
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID


@dataclasses.dataclass(frozen=True)
class Encoded:
    """Texts as ids, one after the other.

    Attributes:
        ids: int32, (tokens,).
        letters: int32, (tokens,), letters of each token as it is written, 1 for `<s>`; empty for
            subwords.
        paragraphs: int32, (texts,), number of paragraphs in each text.
        unknown: each `<unk>` as it is written; empty for subwords.
    """

    ids: np.ndarray
    letters: np.ndarray
    paragraphs: np.ndarray
    unknown: list[bytes]

    @classmethod
    def of(cls, tokenizer: Tokenizer, texts: list[bytes]) -> "Encoded":
        """Encode texts."""
        letters, unknown = tf.zeros((0,), tf.int32), tf.zeros((0,), tf.string)
        if tokenizer.unit == "word":
            tokens, inverse = tokenize_unique(open_paragraph(tf.constant(texts)))
            letters = expand(tokens.with_values(count_letters(tokens.values)), inverse).values
            ids = tokenizer.ids_of_unique(tokens, inverse)
            unknown = tf.boolean_mask(
                expand(tokens, inverse).values, tf.equal(ids.values, UNKNOWN_ID)
            )
        else:
            ids = tokenizer(tf.constant(texts))
        paragraphs = tf.reduce_sum(tf.cast(tf.equal(ids, BEGIN_ID), tf.int32), axis=1)
        written = unknown.numpy().tolist()
        return cls(ids.values.numpy(), letters.numpy(), paragraphs.numpy(), written)


def count_letters(tokens: tf.Tensor) -> tf.Tensor:
    """Return the number of letters of each token, int32; any shape."""
    return tf.strings.length(tokens, unit="UTF8_CHAR")
