"""Where text has a space between two tokens, and how tokens are joined again.

A space is left out only between tokens that `tokenize` keeps apart without one, so tokenizing the
joined text returns the same tokens.
"""

import tensorflow as tf

from pipeline.text.tokenizer import BREAK

# A token is of the first kind whose pattern matches all of it.
# "p/", ":)" and "=)" are tokens, so the two tokens "p" and "/" have a space between them.
KINDS = (
    *(BREAK, "[:;]", "=", r"\)", r"[,!?.…\]}]", r"[(\[{]", '"', "'", "/"),
    *("[CPScps]", r"\p{L}+", r"\p{L}(?s:.*)"),
)
_BREAK, _EYES, _EQUALS, _MOUTH, _CLOSES, _OPENS, _QUOTE, _APOSTROPHE, _SLASH = range(9)
_INITIAL, _LETTERS, _LETTER, _OTHER = range(9, 13)


def spacing_kinds(tokens: tf.Tensor) -> tf.Tensor:
    """Return the kind of each token, the input of `spaces`; any shape, int32."""
    kinds = tf.fill(tf.shape(tokens), _OTHER)
    for kind in reversed(range(_OTHER)):
        kinds = tf.where(tf.strings.regex_full_match(tokens, KINDS[kind]), kind, kinds)
    return kinds


def spaces(kinds: tf.Tensor) -> tf.Tensor:
    """Return whether a space stands before each token.

    This depends on earlier tokens only: quotes and apostrophes of a paragraph open and close in
    turn, and a slash joins the letters before and after it.

    Args:
        kinds: `spacing_kinds` of consecutive tokens, (N,); the first is of `BREAK`.

    Returns:
        bool, (N,).
    """

    def after(tokens: tf.Tensor) -> tf.Tensor:
        return tf.concat([[False], tokens[:-1]], 0)

    breaks = tf.equal(kinds, _BREAK)
    paragraph = tf.cumsum(tf.cast(breaks, tf.int32)) - 1
    slash = tf.equal(kinds, _SLASH) & after(tf.equal(kinds, _LETTERS))
    eyes, mouth = tf.equal(kinds, _EYES), tf.equal(kinds, _MOUTH)
    mouth &= ~after(eyes | tf.equal(kinds, _EQUALS))
    closes, opens = breaks | slash | eyes | mouth, breaks | tf.equal(kinds, _OPENS)
    closes |= tf.equal(kinds, _CLOSES)
    for mark in (_QUOTE, _APOSTROPHE):
        marks = tf.equal(kinds, mark)
        count = tf.cumsum(tf.cast(marks, tf.int32))
        # In each paragraph the first opens, the second closes, and so on.
        odd = (count - tf.gather(tf.boolean_mask(count, breaks), paragraph)) % 2 == 1
        opens, closes = opens | (marks & odd), closes | (marks & ~odd)
    joined = after(slash) & (kinds >= _INITIAL) & (kinds <= _LETTER)
    return ~(closes | after(opens) | joined)


def detokenize(tokens: tf.RaggedTensor) -> tf.Tensor:
    """Join tokens of shape (B, None) to text of shape (B,).

    `tokenize(detokenize(tokenize(text)))` equals `tokenize(text)`.
    """
    opened = tf.concat([tf.fill([tokens.nrows(), 1], BREAK), tokens], axis=1)
    spaced = opened.with_values(spaces(spacing_kinds(opened.values)))[:, 1:].values
    strings = tf.where(tf.equal(tokens.values, BREAK), "\n", tokens.values)
    strings = tf.strings.join([tf.where(spaced, " ", ""), strings])
    return tf.strings.reduce_join(tokens.with_values(strings), axis=-1)
