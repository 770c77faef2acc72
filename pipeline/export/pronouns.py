"""Verbs joined to a pronoun, which word lists lack.

Right ones are as probable as their verb: casou-se as casou, comprá-la as comprar. An infinitive
loses its r before -lo, -la, -los and -las, and its last vowel gets an accent: compra-la is
corrected to comprá-la.
"""

from typing import NamedTuple

import tensorflow as tf

# An i has no accent after a consonant, nor after the silent u of segui-lo.
ACCENTS = (
    (r"a(-l[oa]s?)$", r"á\1"),
    (r"e(-l[oa]s?)$", r"ê\1"),
    (r"o(-l[oa]s?)$", r"ô\1"),
    (r"([aeo]|[^gq]u)i(-l[oa]s?)$", r"\1í\2"),
)
# From a verb with a pronoun to the verb alone.
VERBS = (
    (r"á-l[oa]s?$", "ar"),
    (r"ê-l[oa]s?$", "er"),
    (r"ô-l[oa]s?$", "or"),
    (r"([aeo]|[^gq]u)í-l[oa]s?$", r"\1ir"),
    (r"i-l[oa]s?$", "ir"),
    (r"mo-(nos|vos|l[oa]s?)$", "mos"),
    (r"([^-])-(me|te|se|nos|vos|lhes?|n?[oa]s?)$", r"\1"),
)


class Verbs(NamedTuple):
    """What is read in typed words (B,).

    Attributes:
        meant: with the accent that is missing before the pronoun, or as typed.
        place: in the list, of the verb that is joined to a pronoun, int32 (B,); −1 where there is
            no pronoun, or no such verb.
    """

    meant: tf.Tensor
    place: tf.Tensor


class VerbsWithPronouns(tf.Module):
    """Find verbs with a pronoun, and put the accent where it is missing.

    Args:
        words: a list in lower case, each once, (W,).
    """

    def __init__(self, words: tf.Tensor):
        super().__init__(name="verbs_with_pronouns")
        # A table must not be empty.
        keys, places = tf.concat([[""], words], 0), tf.range(-1, tf.size(words))
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, places), default_value=-1
        )

    def __call__(self, typed: tf.Tensor) -> Verbs:
        """Read words (B,) in lower case."""
        meant = _replace(typed, ACCENTS)
        verb = _replace(meant, VERBS)
        return Verbs(meant, tf.where(tf.equal(verb, meant), -1, self._table.lookup(verb)))


def _replace(words: tf.Tensor, rules: tuple[tuple[str, str], ...]) -> tf.Tensor:
    for pattern, replacement in rules:
        words = tf.strings.regex_replace(words, pattern, replacement, replace_global=False)
    return words
