"""Where a word takes a capital for its place, and how it gets one."""

import tensorflow as tf

from pipeline.text.tokenizer import ends_sentence

# After these a sentence begins if one began before them.
_OPENS = r"[\"'(\[{—–-]"


def sentence_marks(tokens: tf.Tensor) -> tf.Tensor:
    """What stands after tokens, of any shape: 1 a new sentence, 0 the same, -1 as before it."""
    opens = tf.strings.regex_full_match(tokens, _OPENS)
    return tf.cast(ends_sentence(tokens), tf.int32) - tf.cast(opens, tf.int32)


def starts_sentence(marks: tf.RaggedTensor, starts: tf.Tensor) -> tf.Tensor:
    """Whether a sentence begins after the last token: the last of `sentence_starts`, bool (B,)."""
    marks = marks.to_tensor(default_value=-1)
    places = tf.range(tf.shape(marks)[1])
    # The last that tells, and what it tells.
    last = tf.reduce_max(tf.where(marks < 0, -1, 2 * places + marks), axis=1)
    return tf.where(last < 0, starts, tf.equal(last % 2, 1))


def sentence_starts(marks: tf.RaggedTensor, starts: tf.Tensor) -> tf.RaggedTensor:
    """Whether a sentence begins before each token, and after the last.

    Args:
        marks: `sentence_marks` of tokens, (B, None).
        starts: whether one begins before the first, bool (B,).

    Returns:
        bool, (B, None + 1).
    """
    marks = tf.concat([tf.cast(starts, tf.int32)[:, None], marks], axis=1)
    tells = marks.values >= 0  # the first of each row does
    last = tf.cumsum(tf.cast(tells, tf.int32)) - 1
    return marks.with_values(tf.gather(tf.boolean_mask(marks.values, tells) > 0, last))


def capitalise(words: tf.Tensor, *, first: tf.Tensor, every: tf.Tensor) -> tf.Tensor:
    """Words (B, N) with their first letter in upper case, or all of them.

    Args:
        words: UTF-8.
        first, every: of which rows, bool (B,).
    """
    letter = tf.strings.upper(tf.strings.substr(words, 0, 1, unit="UTF8_CHAR"), encoding="utf-8")
    rest = tf.strings.regex_replace(words, r"^(?s:.)", "", replace_global=False)
    words = tf.where(first[:, None], tf.strings.join([letter, rest]), words)
    return tf.where(every[:, None], tf.strings.upper(words, encoding="utf-8"), words)
