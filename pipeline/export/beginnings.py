"""Completions of a mistyped beginning: mercdo finds mercado."""

import tensorflow as tf

from pipeline.export.meant_words import IMPOSSIBLE, MeantWords
from pipeline.text.channel import COSTS, Channel, count_different, encode, letter_sets

# The fewest letters typed, the highest cost in nats, and by how many letters the beginning of a
# word may be longer or shorter than what is typed.
_LEAST, _DEAREST, _OFF = 3, 9.0, 2
# Letters that only one of both beginnings may have, at most.
_DIFFERENT = 2
# To bound the time of a call, compare the letter sets of the first 12 letters only, and compute the
# costs of the 200 words that are most probable before anything is typed.
_FIRST, _CONSIDERED = 12, 200


class NearBeginnings(tf.Module):
    """Find words whose beginning was mistyped, at most `count`."""

    def __init__(self, words: MeantWords, *, count: int):
        super().__init__(name="near_beginnings")
        self._words, self._channel, self._count = words, Channel.of(COSTS), min(count, _CONSIDERED)
        letters = words.letters_of(tf.range(len(words)))
        firsts = [letter_sets(letters[:, :n]) for n in range(_FIRST + 1)]
        self._first_sets = tf.stack(firsts[_LEAST:])
        # A silent h, which is in no set, may be missing at the start of a word.
        self._first_letter = tf.where(tf.equal(firsts[1], 0), firsts[2], firsts[1])

    def find(self, probabilities: tf.Tensor, typed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Find the words that most probably begin with what was meant.

        They are ranked as corrections are; the beginning that costs least is the one meant.

        Args:
            probabilities: of each id after the text, (B, V).
            typed: in lower case, UTF-8, (B,); fewer than three letters have no such words.

        Returns:
            Words as in mid-sentence and p(word | text), (B, k); "" and 0 where there are fewer.
        """
        letters = encode(typed).to_tensor()
        lengths = tf.math.count_nonzero(letters, axis=1, dtype=tf.int32)
        prior, meant, context = self._likely_beginnings(tf.math.log(probabilities), letters)
        costs = self._channel.costs(
            tf.repeat(letters, _CONSIDERED, axis=0),
            self._words.letters_of(tf.reshape(meant, [-1]))[:, : tf.shape(letters)[1] + _OFF],
        )
        costs = tf.reshape(costs, [-1, _CONSIDERED, tf.shape(costs)[1]])
        ends, length = tf.range(tf.shape(costs)[2]), lengths[:, None, None]
        real = (ends >= length - _OFF) & (ends <= tf.gather(self._words.lengths, meant)[..., None])
        cost = tf.reduce_min(tf.where(real, costs, -IMPOSSIBLE), axis=2)
        scores = tf.where(cost > _DEAREST, IMPOSSIBLE, prior - cost)
        best, places = tf.math.top_k(scores, self._count)
        found = best > IMPOSSIBLE / 2
        words = tf.gather(self._words.displays, tf.gather(meant, places, batch_dims=1))
        p = tf.exp(tf.gather(context, places, batch_dims=1))
        return tf.where(found, words, ""), tf.where(found, p, 0.0)

    def _likely_beginnings(self, logits: tf.Tensor, letters: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Find the words whose first letters are about those typed, (B, P).

        Returns:
            Of the best K: what `MeantWords.weigh` says, the word, and ln p(word | text), (B, K).
        """
        lengths = tf.math.count_nonzero(letters, axis=1, dtype=tf.int32)
        of_first = tf.gather(self._first_sets, tf.clip_by_value(lengths, _LEAST, _FIRST) - _LEAST)
        own, two = (letter_sets(letters[:, :n])[:, None] for n in (_FIRST, 2))
        near = (count_different(own, of_first) <= _DIFFERENT) & (lengths >= _LEAST)[:, None]
        near &= tf.not_equal(tf.bitwise.bitwise_and(two, self._first_letter), 0)
        rows, meant = tf.unstack(tf.cast(tf.where(near), tf.int32), axis=1)
        context = self._words.in_context(logits, rows, meant)
        prior = self._words.allow(self._words.weigh(context, meant), meant)
        by_row = tf.RaggedTensor.from_value_rowids(prior, rows, tf.size(lengths))
        parts = []
        for values, nothing in ((prior, IMPOSSIBLE), (meant, 0), (context, 0.0)):
            padded = by_row.with_values(values).to_tensor(nothing)
            parts.append(tf.pad(padded, [[0, 0], [0, _CONSIDERED]], constant_values=nothing))
        prior, places = tf.math.top_k(parts[0], _CONSIDERED)
        meant, context = (tf.gather(part, places, batch_dims=1) for part in parts[1:])
        return prior, meant, context
