"""Where a word takes a capital because a sentence begins, and how it gets one."""

import tensorflow as tf

from pipeline.text.tokenizer import ends_sentence

# After these a sentence begins if one began before them: «(Fim.) A…», «— A…».
OPENS = r"[\"'(\[{)\]}—–-]"


def sentence_marks(tokens: tf.Tensor) -> tf.Tensor:
    """Return what follows each token: 1 a new sentence, 0 the same one, -1 as before the token."""
    opens = tf.strings.regex_full_match(tokens, OPENS)
    return tf.cast(ends_sentence(tokens), tf.int32) - tf.cast(opens, tf.int32)


def next_starts_sentence(marks: tf.RaggedTensor, starts: tf.Tensor) -> tf.Tensor:
    """Return the last column of `sentence_starts`, bool (B,), in fewer operations."""
    marks = marks.to_tensor(default_value=-1)
    positions = tf.range(tf.shape(marks)[1])
    # The last mark that is not -1, and where it is, in one number.
    last = tf.reduce_max(tf.where(marks < 0, -1, 2 * positions + marks), axis=1)
    return tf.where(last < 0, starts, tf.equal(last % 2, 1))


def sentence_starts(marks: tf.RaggedTensor, starts: tf.Tensor) -> tf.RaggedTensor:
    """Return whether a sentence begins before each token, and after the last: bool (B, None + 1).

    Args:
        marks: `sentence_marks` of the tokens, (B, None).
        starts: whether a sentence begins before the first token, bool (B,).
    """
    marks = tf.concat([tf.cast(starts, tf.int32)[:, None], marks], axis=1)
    decides = marks.values >= 0  # always true of the first in a row
    last = tf.cumsum(tf.cast(decides, tf.int32)) - 1
    return marks.with_values(tf.gather(tf.boolean_mask(marks.values, decides) > 0, last))


def capitalise(words: tf.Tensor, *, first: tf.Tensor, every: tf.Tensor) -> tf.Tensor:
    """Capitalise the first letter, or every letter, of UTF-8 words (B, N).

    Args:
        words: in any case.
        first: the rows to capitalise, bool (B,).
        every: the rows to write in capitals, bool (B,).
    """
    letter = tf.strings.upper(tf.strings.substr(words, 0, 1, unit="UTF8_CHAR"), encoding="utf-8")
    rest = tf.strings.regex_replace(words, r"^(?s:.)", "", replace_global=False)
    words = tf.where(first[:, None], tf.strings.join([letter, rest]), words)
    return tf.where(every[:, None], tf.strings.upper(words, encoding="utf-8"), words)
