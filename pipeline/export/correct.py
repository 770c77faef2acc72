"""What was meant by a typed word, given the text before it; see `meant_words`."""

from typing import NamedTuple

import tensorflow as tf

from pipeline.export.capitals import capitalise
from pipeline.export.meant_words import IMPOSSIBLE, LONGEST, WEIGHTS, WORD, MeantWords, Weights
from pipeline.export.pronouns import VerbsWithPronouns
from pipeline.export.reader import Reader
from pipeline.text.channel import COSTS, Channel, Costs, count_different, encode, letter_sets
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NO_WORDS, NeverSuggested
from pipeline.text.tokenizer import tokenize
from pipeline.text.vocabulary import UNKNOWN_ID

# Letters that only one of two words has, and how much their lengths differ: what is typed is at
# least as near as this to what is meant in 99 % of the errors that costs are fitted on.
_DIFFERENT, _LONGER = 2, 2
# With fewer words in all lists too many right words are in none, so no correction is sure.
ENOUGH = 50_000
# Words in capitals are left alone.
_CAPITAL, _CAPITALS = r"\p{Lu}.*", r".*\p{Lu}.*\p{Lu}.*"

Corrections = dict[str, tf.Tensor]


class TypedWords(NamedTuple):
    """Words as they are typed.

    Attributes:
        text: in valid UTF-8, (B,).
        lowered: as the tokenizer reads them, in lower case; "" if left alone, (B,).
        letters: symbols of `channel.encode`, int32 (B, P).
        capital: whether it begins with a capital, bool (B,).
    """

    text: tf.Tensor
    lowered: tf.Tensor
    letters: tf.Tensor
    capital: tf.Tensor


def read_words(words: tf.Tensor, never: NeverSuggested = NO_WORDS) -> TypedWords:
    """Normalise typed words, UTF-8 of any kind (B,); those that `never` covers are left alone."""
    tokens = tokenize(words)
    clean = tf.strings.reduce_join(tokens, axis=1)
    matches = tf.strings.regex_full_match
    fits = matches(clean, WORD) & ~matches(clean, _CAPITALS) & tf.equal(tokens.row_lengths(), 1)
    fits &= (tf.strings.length(clean, unit="UTF8_CHAR") <= LONGEST) & ~never.covers(clean)
    valid = tf.strings.unicode_transcode(words, "UTF-8", "UTF-8", errors="replace")
    lowered = tf.where(fits, tf.strings.lower(clean, encoding="utf-8"), "")
    return TypedWords(valid, lowered, encode(lowered).to_tensor(), matches(clean, _CAPITAL))


class Corrector(tf.Module):
    """Corrections of typed words, after a state of a reader.

    Args:
        reader: of the text before.
        lexicon: of the reader's vocabulary.
        suggestions: k, words to return.
        never: words that are neither offered nor altered. They keep their probability, so no
            other word becomes sure where one of them is meant.

    Attributes:
        words: that may be meant.
    """

    def __init__(
        self,
        reader: Reader,
        lexicon: Lexicon,
        *,
        suggestions: int,
        never: NeverSuggested = NO_WORDS,
        costs: Costs = COSTS,
        weights: Weights = WEIGHTS,
    ):
        super().__init__(name="corrector")
        self._reader, self._channel, self._weights = reader, Channel.of(costs), weights
        self._never, self._accent = never, costs.accent
        self.words = MeantWords(lexicon, never=never, weights=weights)
        self._sets = letter_sets(self.words.letters_of(tf.range(len(self.words))))
        self._verbs = VerbsWithPronouns(self.words.lowered)
        self.suggestions = min(suggestions, len(self.words) + 1)

    def correct(self, state: tf.Tensor, words: tf.Tensor) -> Corrections:
        """Return what was meant by words (B,) after state (B, S); see `models/README.md`."""
        typed = read_words(words, self._never)
        logits = tf.math.log(self._reader.probabilities(state))
        rows, meant = self.candidates(typed)
        context = self.words.in_context(logits, rows, meant)
        scores = self.score(typed, rows, meant, context)
        same = self.same(typed, rows, meant)
        own = tf.math.unsorted_segment_max(tf.where(same, scores, IMPOSSIBLE), rows, tf.size(words))
        unlisted = self._weights.context * logits[:, UNKNOWN_ID] + self._weights.unlisted
        verb, of_verb = self._verb(typed, logits)
        right = tf.equal(verb, typed.lowered)
        unlisted = tf.where(right, tf.maximum(unlisted, of_verb), unlisted)
        own = tf.where(own > IMPOSSIBLE, own, unlisted) + self._weights.right
        own += tf.where(typed.capital & ~self._reader.starts(state), self._weights.name, 0.0)
        others = tf.RaggedTensor.from_value_rowids(
            tf.where(same, IMPOSSIBLE, scores), rows, tf.size(words)
        )
        listed = tf.equal(tf.gather(self.words.lowered, meant), tf.gather(verb, rows))
        listed = tf.math.unsorted_segment_max(tf.cast(listed, tf.int32), rows, tf.size(words)) > 0
        score = tf.where(right | listed, IMPOSSIBLE, of_verb - self._accent)
        # Words that are never suggested have their share, too.
        alone = tf.stack([own, score], axis=1)
        total = tf.reduce_logsumexp(
            tf.concat([alone, others.to_tensor(IMPOSSIBLE)], axis=1), axis=1, keepdims=True
        )
        found, scores = self._best(others, others.with_values(meant))
        found = tf.concat([verb[:, None], found], axis=1)
        scores = tf.concat([score[:, None], scores], axis=1)
        scores, order = tf.math.top_k(
            scores, self.suggestions - 1
        )  # one place is for what is typed
        found = tf.gather(found, order, batch_dims=1)
        found = capitalise(found, first=typed.capital, every=tf.constant([False]))
        found = tf.concat([typed.text[:, None], found], axis=1)
        scores, order = tf.math.top_k(tf.concat([own[:, None], scores], axis=1), self.suggestions)
        found = tf.where(scores > IMPOSSIBLE, tf.gather(found, order, batch_dims=1), "")
        p = tf.exp(scores - total)
        sure = (order[:, 0] > 0) & (p[:, 0] >= self._weights.sure)
        sure &= len(self.words) >= ENOUGH
        return {"words": found, "probabilities": p, "sure": sure}

    def _best(self, scores: tf.RaggedTensor, meant: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the best words and their scores, one fewer than are returned with what is typed.

        The same number of columns for all: `IMPOSSIBLE` where there are fewer words.
        """
        padding = [[0, 0], [0, self.suggestions]]
        places = tf.pad(meant.to_tensor(), padding)
        padded = tf.pad(scores.to_tensor(IMPOSSIBLE), padding, constant_values=IMPOSSIBLE)
        best, order = tf.math.top_k(self.words.allow(padded, places), self.suggestions - 1)
        return tf.gather(self.words.displays, tf.gather(places, order, batch_dims=1)), best

    def _verb(self, typed: TypedWords, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what is meant if it is a verb with a pronoun, and the verb's score, (B,) each."""
        meant, place = self._verbs(typed.lowered)
        rows, known = tf.range(tf.size(place)), tf.maximum(place, 0)
        score = self.words.weigh(self.words.in_context(logits, rows, known), known)
        return meant, tf.where((place >= 0) & ~self._never.covers(meant), score, IMPOSSIBLE)

    def candidates(self, typed: TypedWords) -> tuple[tf.Tensor, tf.Tensor]:
        """Find the words that may be meant: N rows of `typed` and words, int32 (N,) each."""
        different = count_different(letter_sets(typed.letters)[:, None], self._sets)
        lengths = tf.math.count_nonzero(typed.letters, axis=1, dtype=tf.int32)[:, None]
        near = (different <= _DIFFERENT) & (tf.abs(self.words.lengths - lengths) <= _LONGER)
        rows, meant = tf.unstack(tf.cast(tf.where(near & (lengths > 0)), tf.int32), axis=1)
        return rows, meant

    def score(
        self, typed: TypedWords, rows: tf.Tensor, meant: tf.Tensor, context: tf.Tensor
    ) -> tf.Tensor:
        """Return ln p(meant | typed, text), up to a constant, of pairs; (N,)."""
        costs = self._channel.costs(tf.gather(typed.letters, rows), self.words.letters_of(meant))
        costs = tf.gather(costs, tf.gather(self.words.lengths, meant), batch_dims=1)
        return self.words.weigh(context, meant) - costs

    def same(self, typed: TypedWords, rows: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
        """Return in which pairs what is meant is what is typed, bool (N,)."""
        return tf.equal(tf.gather(self.words.lowered, meant), tf.gather(typed.lowered, rows))
