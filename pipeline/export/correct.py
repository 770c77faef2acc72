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
from pipeline.export.reader import Reader
from pipeline.text.channel import COSTS, Channel, Costs, encode, letter_sets
from pipeline.text.lexicon import Lexicon
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


def read_words(words: tf.Tensor) -> TypedWords:
    """Normalise typed words, UTF-8 of any kind (B,)."""
    tokens = tokenize(words)
    clean = tf.strings.reduce_join(tokens, axis=1)
    matches = tf.strings.regex_full_match
    fits = matches(clean, _WORD) & ~matches(clean, _CAPITALS) & tf.equal(tokens.row_lengths(), 1)
    fits &= tf.strings.length(clean, unit="UTF8_CHAR") <= _LONGEST
    valid = tf.strings.unicode_transcode(words, "UTF-8", "UTF-8", errors="replace")
    lowered = tf.where(fits, tf.strings.lower(clean, encoding="utf-8"), "")
    return TypedWords(valid, lowered, encode(lowered).to_tensor(), matches(clean, _CAPITAL))


class Corrector(tf.Module):
    """Corrections of typed words, after a state of a reader.

    Args:
        reader: of the text before.
        lexicon: of the reader's vocabulary.
        suggestions: k, words to return.

    Attributes:
        lowered: W words in lower case.
        letters: symbols of each word, int32 (W, L).
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
        costs: Costs = COSTS,
        weights: Weights = WEIGHTS,
    ):
        super().__init__(name="corrector")
        self._reader, self._channel = reader, Channel.of(costs)
        self._weights = weights
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
        self.lowered = tf.constant([word.lower() for word in displays])
        self.ids = tf.constant(ids[kept], tf.int32)
        self.shares = tf.constant(np.log(shares[kept]), tf.float32)
        frequencies = np.maximum(lexicon.frequencies_of(displays), 1e-9)
        self.frequencies = tf.constant(np.log(frequencies), tf.float32)
        self.letters = encode(self.lowered).to_tensor()
        self.lengths = tf.math.count_nonzero(self.letters, axis=1, dtype=tf.int32)
        self._sets = letter_sets(self.letters)
        self.suggestions = min(suggestions, len(displays) + 1)

    def correct(self, state: tf.Tensor, words: tf.Tensor) -> Corrections:
        """Return what was meant by words (B,) after state (B, S); see `models/README.md`."""
        typed = read_words(words)
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
        return self._rank(others, others.with_values(meant), own, typed)

    def _rank(
        self, scores: tf.RaggedTensor, meant: tf.RaggedTensor, own: tf.Tensor, typed: TypedWords
    ) -> Corrections:
        """Return the best words of those with scores (B, None), and of what is typed, (B,)."""
        # A column for each word that is returned, even if there are fewer.
        padding = [[0, 0], [1, self.suggestions - 1]]
        scores = tf.pad(scores.to_tensor(_IMPOSSIBLE), padding, constant_values=_IMPOSSIBLE)
        scores = tf.concat([own[:, None], scores[:, 1:]], axis=1)
        meant = tf.pad(meant.to_tensor(), padding)
        total = tf.reduce_logsumexp(scores, axis=1, keepdims=True)
        # What is typed is always among them.
        best, places = tf.math.top_k(scores[:, 1:], self.suggestions - 1)
        words = tf.gather(self._displays, tf.gather(meant[:, 1:], places, batch_dims=1))
        words = capitalise(words, first=typed.capital, every=tf.constant([False]))
        words = tf.concat([typed.text[:, None], words], axis=1)
        best, order = tf.math.top_k(tf.concat([own[:, None], best], axis=1), self.suggestions)
        words = tf.where(best > _IMPOSSIBLE, tf.gather(words, order, batch_dims=1), "")
        p = tf.exp(best - total)
        sure = (order[:, 0] > 0) & (p[:, 0] >= self._weights.sure)
        sure &= self._displays.shape[0] >= _ENOUGH
        return {"words": words, "probabilities": p, "sure": sure}

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
        costs = self._channel.costs(tf.gather(typed.letters, rows), tf.gather(self.letters, meant))
        costs = tf.gather(costs, tf.gather(self.lengths, meant), batch_dims=1)
        frequency = self._weights.frequency * tf.gather(self.frequencies, meant)
        return self._weights.context * context + frequency - costs

    def same(self, typed: TypedWords, rows: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
        """Return in which pairs what is meant is what is typed, bool (N,)."""
        return tf.equal(tf.gather(self.lowered, meant), tf.gather(typed.lowered, rows))
