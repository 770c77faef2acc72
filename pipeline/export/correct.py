"""What was meant by a typed word, given the text before it.

    p(meant | typed, text) ∝ p(meant | text)^α · p(meant)^β · p(typed | meant)

p(meant | text) is the network's. p(meant) is the word's frequency in the language: it comes from
more text than the network has read. p(typed | meant) is the noisy channel (Kernighan, Church & Gale
1990). α, β and the costs of the channel are fitted together, as in a log-linear model (Och & Ney
2002, §2).
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.export.capitals import capitalise
from pipeline.export.pronouns import VerbsWithPronouns
from pipeline.export.reader import Reader
from pipeline.text.channel import COSTS, Channel, Costs, encode, letter_sets
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NO_WORDS, NeverSuggested
from pipeline.text.suggestible import suggestible
from pipeline.text.tokenizer import tokenize
from pipeline.text.vocabulary import UNKNOWN_ID

# Longer words are left alone.
_LONGEST = 24
# Letters that only one of two words has, and how much their lengths differ: what is typed is at
# least as near as this to what is meant in 99 % of the errors that costs are fitted on.
_DIFFERENT, _LONGER = 2, 2
_IMPOSSIBLE = -1e9
# With fewer words in all lists too many right words are in none, so no correction is sure.
_ENOUGH = 50_000
# Words with digits are left alone, and so are words in capitals.
_WORD = r"\p{L}[\p{L}\p{M}'-]*"
_CAPITAL, _CAPITALS = r"\p{Lu}.*", r".*\p{Lu}.*\p{Lu}.*"


# Of words that begin nearly as what is typed: letters that are typed at least, nats of the channel
# at most, and how many letters of a word more or fewer may be meant by those that are typed.
_LEAST, _DEAREST, _OFF = 3, 9.0, 2
# Of the first letters the sets of so many are compared, and for so many words, the most probable
# ones without what is typed, the channel is asked: that bounds the time that it takes.
_FIRST, _CONSIDERED = 12, 200

Corrections = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Weights:
    """How a correction is chosen; fitted together with `Costs`.

    Attributes:
        context: α.
        frequency: β.
        right: nats in favour of what is typed.
        name: nats more if it has a capital inside a sentence.
        unlisted: nats of a right word that no list has, in place of its frequency.
        sure: the least probability that replaces a word without being asked.
    """

    context: float = 0.38
    frequency: float = 0.65
    right: float = 1.12
    name: float = 2.62
    unlisted: float = -21.46
    sure: float = 0.50


WEIGHTS = Weights()


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
    fits = matches(clean, _WORD) & ~matches(clean, _CAPITALS) & tf.equal(tokens.row_lengths(), 1)
    fits &= (tf.strings.length(clean, unit="UTF8_CHAR") <= _LONGEST) & ~never.covers(clean)
    valid = tf.strings.unicode_transcode(words, "UTF-8", "UTF-8", errors="replace")
    lowered = tf.where(fits, tf.strings.lower(clean, encoding="utf-8"), "")
    return TypedWords(valid, lowered, encode(lowered).to_tensor(), matches(clean, _CAPITAL))


class Corrector(tf.Module):
    """Corrections of typed words, after a state of a reader.

    Args:
        reader: of the text before.
        lexicon: of the reader's vocabulary.
        suggestions: k, words to return.
        never: words that are no corrections, and are not corrected. They keep their share of the
            probability: with it no other word is sure where one of them is meant.

    Attributes:
        lowered: W words in lower case.
        letters: symbols of each word, int8 (W, L).
        lengths: their number, int32 (W,).
        ids: in the vocabulary, int32 (W,).
        shares: ln of the word's share of its id; 0 but for words of the lexicon, (W,).
        frequencies: ln of the share in the language, (W,).
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
        self._reader, self._channel = reader, Channel.of(costs)
        self._weights, self._never = weights, never
        vocabulary = lexicon.vocabulary
        whole = np.flatnonzero(suggestible(vocabulary) & vocabulary.closes()).tolist()
        displays = [*(vocabulary.displays[i] for i in whole), *lexicon.words]
        ids = np.append(whole, np.full(len(lexicon), UNKNOWN_ID))
        shares = np.append(np.ones(len(whole)), lexicon.probabilities)
        # One of "ele" and "Ele" is enough: the first, which is more frequent.
        first = {displays[i].lower(): i for i in reversed(range(len(displays)))}
        kept: list[int] = sorted(i for word, i in first.items() if len(word) <= _LONGEST)
        displays = [displays[i] for i in kept]
        self._displays = tf.constant(displays)
        lowered = [word.lower() for word in displays]
        self.lowered = tf.constant(lowered)
        self._excluded = tf.constant(never.covers(self.lowered).numpy())
        self.ids = tf.constant(ids[kept], tf.int32)
        self.shares = tf.constant(np.log(shares[kept]), tf.float32)
        frequencies = np.maximum(lexicon.frequencies_of(displays), 1e-9)
        self.frequencies = tf.constant(np.log(frequencies), tf.float32)
        letters = encode(self.lowered).to_tensor()
        self.letters = tf.cast(letters, tf.int8)
        self.lengths = tf.math.count_nonzero(letters, axis=1, dtype=tf.int32)
        self._sets = letter_sets(letters)
        firsts = [letter_sets(letters[:, :n]) for n in range(_FIRST + 1)]
        self._first_sets = tf.stack(firsts[_LEAST:])
        # An h that begins a word may be missing, since it is silent.
        silent = tf.equal(firsts[1], letter_sets(encode(tf.constant(["h"])).to_tensor()))
        self._first_letter = tf.where(silent, firsts[2], firsts[1])
        self._verbs, self._accent = VerbsWithPronouns(lowered), costs.accent
        self.suggestions = min(suggestions, len(displays) + 1)

    def correct(self, state: tf.Tensor, words: tf.Tensor) -> Corrections:
        """Return what was meant by words (B,) after state (B, S); see `models/README.md`."""
        typed = read_words(words, self._never)
        logits = tf.math.log(self._reader.probabilities(state))
        rows, meant = self.candidates(typed)
        context = self.in_context(logits, rows, meant)
        scores = self.score(typed, rows, meant, context)
        same = self.same(typed, rows, meant)
        own = tf.math.unsorted_segment_max(
            tf.where(same, scores, _IMPOSSIBLE), rows, tf.size(words)
        )
        unlisted = self._weights.context * logits[:, UNKNOWN_ID] + self._weights.unlisted
        own = tf.where(own > _IMPOSSIBLE, own, unlisted) + self._weights.right
        own += tf.where(typed.capital & ~self._reader.starts(state), self._weights.name, 0.0)
        others = tf.RaggedTensor.from_value_rowids(
            tf.where(same, _IMPOSSIBLE, scores), rows, tf.size(words)
        )
        verb, score = self._verb(typed, logits)
        listed = tf.equal(tf.gather(self.lowered, meant), tf.gather(verb, rows))
        listed = tf.math.unsorted_segment_max(tf.cast(listed, tf.int32), rows, tf.size(words)) > 0
        score = tf.where(listed, _IMPOSSIBLE, score)
        # Words that are never suggested have their share, too.
        alone = tf.stack([own, score], axis=1)
        total = tf.reduce_logsumexp(
            tf.concat([alone, others.to_tensor(_IMPOSSIBLE)], axis=1), axis=1, keepdims=True
        )
        found, scores = self._best(others, others.with_values(meant))
        found = tf.concat([verb[:, None], found], axis=1)
        found = capitalise(found, first=typed.capital, every=tf.constant([False]))
        found = tf.concat([typed.text[:, None], found], axis=1)
        scores, order = tf.math.top_k(tf.concat([alone, scores], axis=1), self.suggestions)
        found = tf.where(scores > _IMPOSSIBLE, tf.gather(found, order, batch_dims=1), "")
        p = tf.exp(scores - total)
        sure = (order[:, 0] > 0) & (p[:, 0] >= self._weights.sure)
        sure &= self._displays.shape[0] >= _ENOUGH
        return {"words": found, "probabilities": p, "sure": sure}

    def _best(self, scores: tf.RaggedTensor, meant: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the best words and their scores, one fewer than are returned with what is typed.

        The same number of columns for all: `_IMPOSSIBLE` where there are fewer words.
        """
        padding = [[0, 0], [0, self.suggestions]]
        places = tf.pad(meant.to_tensor(), padding)
        padded = tf.pad(scores.to_tensor(_IMPOSSIBLE), padding, constant_values=_IMPOSSIBLE)
        best, order = tf.math.top_k(self._allow(padded, places), self.suggestions - 1)
        return tf.gather(self._displays, tf.gather(places, order, batch_dims=1)), best

    def _verb(self, typed: TypedWords, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the word that lacks an accent before its pronoun, and its score, (B,) each."""
        verb, infinitive = self._verbs(typed.lowered)
        place = tf.maximum(infinitive, 0)
        score = self._weigh(self.in_context(logits, tf.range(tf.size(verb)), place), place)
        there = (infinitive >= 0) & ~self._never.covers(verb)
        return verb, tf.where(there, score - self._accent, _IMPOSSIBLE)

    def candidates(self, typed: TypedWords) -> tuple[tf.Tensor, tf.Tensor]:
        """Find the words that may be meant: N rows of `typed` and words, int32 (N,) each."""
        different = tf.raw_ops.PopulationCount(
            x=tf.bitwise.bitwise_xor(letter_sets(typed.letters)[:, None], self._sets)
        )
        lengths = tf.math.count_nonzero(typed.letters, axis=1, dtype=tf.int32)[:, None]
        near = (different <= _DIFFERENT) & (tf.abs(self.lengths - lengths) <= _LONGER)
        rows, meant = tf.unstack(tf.cast(tf.where(near & (lengths > 0)), tf.int32), axis=1)
        return rows, meant

    def in_context(self, logits: tf.Tensor, rows: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
        """Return ln p(meant | text), (N,), of pairs of rows of logits (B, V) and words."""
        own = tf.gather_nd(logits, tf.stack([rows, tf.gather(self.ids, meant)], axis=1))
        return own + tf.gather(self.shares, meant)

    def score(
        self, typed: TypedWords, rows: tf.Tensor, meant: tf.Tensor, context: tf.Tensor
    ) -> tf.Tensor:
        """Return ln p(meant | typed, text), up to a constant, of pairs; (N,)."""
        costs = self._channel.costs(tf.gather(typed.letters, rows), self._letters_of(meant))
        costs = tf.gather(costs, tf.gather(self.lengths, meant), batch_dims=1)
        return self._weigh(context, meant) - costs

    def _weigh(self, context: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
        frequency = self._weights.frequency * tf.gather(self.frequencies, meant)
        return self._weights.context * context + frequency

    def _allow(self, scores: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
        """Make words that are never suggested impossible."""
        return tf.where(tf.gather(self._excluded, meant), _IMPOSSIBLE, scores)

    def same(self, typed: TypedWords, rows: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
        """Return in which pairs what is meant is what is typed, bool (N,)."""
        return tf.equal(tf.gather(self.lowered, meant), tf.gather(typed.lowered, rows))

    def begin_nearly(
        self, probabilities: tf.Tensor, typed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Find the words of which typed letters are the beginning, but for an error.

        They are ranked by the same three terms as corrections; the channel takes as many of their
        first letters as cost least.

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
            self._letters_of(tf.reshape(meant, [-1]))[:, : tf.shape(letters)[1] + _OFF],
        )
        costs = tf.reshape(costs, [-1, _CONSIDERED, tf.shape(costs)[1]])
        ends, length = tf.range(tf.shape(costs)[2]), lengths[:, None, None]
        real = (ends >= length - _OFF) & (ends <= tf.gather(self.lengths, meant)[..., None])
        cost = tf.reduce_min(tf.where(real, costs, -_IMPOSSIBLE), axis=2)
        scores = tf.where(cost > _DEAREST, _IMPOSSIBLE, prior - cost)
        best, places = tf.math.top_k(scores, min(self.suggestions, _CONSIDERED))
        found = best > _IMPOSSIBLE / 2
        words = tf.gather(self._displays, tf.gather(meant, places, batch_dims=1))
        p = tf.exp(tf.gather(context, places, batch_dims=1))
        return tf.where(found, words, ""), tf.where(found, p, 0.0)

    def _likely_beginnings(self, logits: tf.Tensor, letters: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Find the words whose first letters are about those typed, (B, P), as `candidates` does.

        Returns:
            The best K by what `_weigh` says, which it is, the words, and ln p(word | text), (B, K).
        """
        lengths = tf.math.count_nonzero(letters, axis=1, dtype=tf.int32)
        of_first = tf.gather(self._first_sets, tf.clip_by_value(lengths, _LEAST, _FIRST) - _LEAST)
        own, two = (letter_sets(letters[:, :n])[:, None] for n in (_FIRST, 2))
        different = tf.raw_ops.PopulationCount(x=tf.bitwise.bitwise_xor(own, of_first))
        near = (different <= _DIFFERENT) & (lengths >= _LEAST)[:, None]
        near &= tf.not_equal(tf.bitwise.bitwise_and(two, self._first_letter), 0)
        rows, meant = tf.unstack(tf.cast(tf.where(near), tf.int32), axis=1)
        context = self.in_context(logits, rows, meant)
        prior = self._allow(self._weigh(context, meant), meant)
        by_row = tf.RaggedTensor.from_value_rowids(prior, rows, tf.size(lengths))
        parts = []
        for values, nothing in ((prior, _IMPOSSIBLE), (meant, 0), (context, 0.0)):
            padded, padding = (
                by_row.with_values(values).to_tensor(nothing),
                [[0, 0], [0, _CONSIDERED]],
            )
            parts.append(tf.pad(padded, padding, constant_values=nothing))
        prior, places = tf.math.top_k(parts[0], _CONSIDERED)
        meant, context = (tf.gather(part, places, batch_dims=1) for part in parts[1:])
        return prior, meant, context

    def _letters_of(self, meant: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self.letters, meant), tf.int32)
