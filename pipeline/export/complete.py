"""Completions of what is typed, and what fills the places that they leave.

    text    Eu                              text    Vou ao
    typed   vou                             typed   mercdo
            vou                                     mercado    begin nearly so
            _para    follow «Eu vou»                mercados

A word that follows has a space before it, so that a caller knows to append it.
"""

from collections.abc import Callable

import tensorflow as tf

from pipeline.export.beginnings import NearBeginnings
from pipeline.export.capitals import capitalise
from pipeline.export.meant_words import WORD
from pipeline.export.prefixes import read_prefix
from pipeline.export.reader import Reader
from pipeline.export.suggest import Suggestions, Words


class Completer(tf.Module):
    """Completes words after a state of a reader.

    Args:
        near: finds the words that begin nearly so; None for a vocabulary of subwords, in which
            places stay free.
    """

    def __init__(self, reader: Reader, *, words: Words, near: NearBeginnings | None):
        super().__init__(name="completer")
        self._reader, self._words, self._near = reader, words, near

    def complete(self, state: tf.Tensor, prefix: tf.Tensor) -> Suggestions:
        """Return k words after state (B, S) and a prefix (B,); see `models/README.md`."""
        typed, capital, capitals = read_prefix(prefix)
        first = self._reader.starts(state) | capital
        probabilities = self._reader.probabilities(state)
        found = self._words.rank(state, probabilities, typed, first=first, every=capitals)
        if not self._near:
            return found
        ids, known = self._reader.tokenizer.lookup(typed.token), self._words.is_known(typed.token)
        free = tf.equal(found["words"][:, -1], "") & tf.not_equal(typed.token, "")
        nearly = free & ~known & tf.strings.regex_full_match(typed.token, WORD)

        def follow() -> Suggestions:
            after = self._reader.advance(state, ids[:, None])
            p = self._reader.probabilities(after)
            next_words = self._words.rank(after, p, first=tf.constant([False]))
            # p(typed | text) · p(next | text, typed); that of an empty place is 0.
            joint = tf.gather(probabilities, ids, batch_dims=1)[:, None]
            joint *= next_words["probabilities"]
            return {"words": tf.strings.join([" ", next_words["words"]]), "probabilities": joint}

        def begin_nearly(near: NearBeginnings = self._near) -> Suggestions:
            text = tf.where(nearly, typed.text, "")
            words, p = near.find(probabilities, text)
            words = capitalise(words, first=first, every=capitals)
            return {"words": words, "probabilities": p}

        found = _fill(found, free & known, follow)
        return _fill(found, nearly, begin_nearly)


def _fill(found: Suggestions, rows: tf.Tensor, more: Callable[[], Suggestions]) -> Suggestions:
    """Put other words into the free places of some rows, bool (B,); none that is there already.

    `more` returns as many words as there are places, and is called only if there are such rows.
    """

    def fill() -> Suggestions:
        others = more()
        lowered, own = (
            tf.strings.lower(tf.strings.strip(answer["words"]), encoding="utf-8")
            for answer in (others, found)
        )
        repeated = tf.reduce_any(tf.equal(lowered[:, :, None], own[:, None]), axis=2)
        new = rows[:, None] & ~repeated & (others["probabilities"] > 0)
        words = tf.concat([found["words"], tf.where(new, others["words"], "")], axis=1)
        p = tf.concat([found["probabilities"], tf.where(new, others["probabilities"], 0.0)], axis=1)
        order = tf.argsort(tf.cast(tf.equal(words, ""), tf.int32), axis=1, stable=True)
        order = order[:, : found["words"].shape[1]]
        return {
            "words": tf.gather(words, order, batch_dims=1),
            "probabilities": tf.gather(p, order, batch_dims=1),
        }

    return tf.cond(tf.reduce_any(rows), fill, lambda: found)
