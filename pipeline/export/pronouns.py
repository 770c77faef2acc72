"""Verbs joined to a pronoun, which word lists lack: compra-la is corrected to comprá-la.

An infinitive loses its r before -lo, -la, -los and -las, and its last vowel gets an accent.
"""

from collections.abc import Sequence

import tensorflow as tf

_PRONOUN = "-l[oa]s?$"
_ACCENTS = (
    (r"a(-l[oa]s?)$", r"á\1"),
    (r"e(-l[oa]s?)$", r"ê\1"),
    (r"o(-l[oa]s?)$", r"ô\1"),
    (r"([aeou])i(-l[oa]s?)$", r"\1í\2"),
)


class VerbsWithPronouns(tf.Module):
    """Put the accent where it is missing.

    Args:
        words: a list in lower case, which has the infinitives.
    """

    def __init__(self, words: Sequence[str]):
        super().__init__(name="verbs_with_pronouns")
        infinitives = [i for i, word in enumerate(words) if word.endswith("r")]
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                # A table must not be empty.
                tf.constant(["", *(words[i] for i in infinitives)]),
                tf.constant([-1, *infinitives]),
            ),
            default_value=-1,
        )

    def __call__(self, typed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what is meant by words (B,) in lower case, and the place of the infinitive.

        The place is −1 where no accent is missing, or no verb is known.
        """
        meant = typed
        for pattern, replacement in _ACCENTS:
            meant = tf.strings.regex_replace(meant, pattern, replacement)
        infinitive = self._table.lookup(tf.strings.regex_replace(typed, _PRONOUN, "r"))
        return meant, tf.where(tf.equal(meant, typed), -1, infinitive)
