"""The words that may be meant by what is typed, and how probable each is before that is known.

    p(meant | typed, text) ∝ p(meant | text)^α · p(meant)^β · p(typed | meant)

p(meant | text) is the network's. p(meant) is the word's frequency in the language: it comes from
more text than the network has read. p(typed | meant) is the noisy channel (Kernighan, Church & Gale
1990). α, β and the costs of the channel are fitted together, as in a log-linear model (Och & Ney
2002, §2).
"""

import dataclasses

import numpy as np
import tensorflow as tf

from pipeline.text.channel import encode
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NeverSuggested
from pipeline.text.suggestible import suggestible
from pipeline.text.vocabulary import UNKNOWN_ID

# Of letters: what has digits or other marks in it is meant as it is typed.
WORD = r"\p{L}[\p{L}\p{M}'-]*"
# Letters of the longest words.
LONGEST = 24
# A logarithm of 0 that can be added to others.
IMPOSSIBLE = -1e9


@dataclasses.dataclass(frozen=True)
class Weights:
    """How the three are weighed; fitted together with `Costs`.

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


class MeantWords(tf.Module):
    """W words of a vocabulary and a lexicon.

    Attributes:
        displays: as in mid-sentence, (W,).
        lowered: in lower case, (W,).
        lengths: number of letters, int32 (W,).
        frequencies: ln of the share in the language, (W,).
    """

    def __init__(self, lexicon: Lexicon, *, never: NeverSuggested, weights: Weights):
        super().__init__(name="meant_words")
        self._weights, vocabulary = weights, lexicon.vocabulary
        whole = np.flatnonzero(suggestible(vocabulary) & vocabulary.closes()).tolist()
        displays = [*(vocabulary.displays[i] for i in whole), *lexicon.words]
        ids = np.append(whole, np.full(len(lexicon), UNKNOWN_ID))
        shares = np.append(np.ones(len(whole)), lexicon.probabilities)
        # One of "ele" and "Ele" is enough: the first, which is more frequent.
        first = {displays[i].lower(): i for i in reversed(range(len(displays)))}
        kept: list[int] = sorted(i for word, i in first.items() if len(word) <= LONGEST)
        displays = [displays[i] for i in kept]
        self.displays = tf.constant(displays, tf.string)
        self.lowered = tf.constant([word.lower() for word in displays], tf.string)
        self._excluded = tf.constant(never.covers(self.lowered).numpy())
        self._ids = tf.constant(ids[kept], tf.int32)
        # ln of a word's share of its id: 0 but for words of the lexicon.
        self._shares = tf.constant(np.log(shares[kept]), tf.float32)
        frequencies = np.maximum(lexicon.frequencies_of(displays), 1e-9)
        self.frequencies = tf.constant(np.log(frequencies), tf.float32)
        letters = encode(self.lowered).to_tensor()
        self._letters = tf.cast(letters, tf.int8)  # (W, L)
        self.lengths = tf.math.count_nonzero(letters, axis=1, dtype=tf.int32)

    def __len__(self) -> int:
        return self.displays.shape[0]

    def letters_of(self, words: tf.Tensor) -> tf.Tensor:
        """Return the symbols of some words (N,), see `channel.encode`; int32 (N, L)."""
        return tf.cast(tf.gather(self._letters, words), tf.int32)

    def in_context(self, logits: tf.Tensor, rows: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
        """Return ln p(word | text), (N,), of pairs of rows of ln p (B, V) and words."""
        own = tf.gather_nd(logits, tf.stack([rows, tf.gather(self._ids, words)], axis=1))
        return own + tf.gather(self._shares, words)

    def weigh(self, context: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
        """Return ln p(word | text)^α p(word)^β of words whose ln p(word | text) is `context`."""
        frequency = self._weights.frequency * tf.gather(self.frequencies, words)
        return self._weights.context * context + frequency

    def allow(self, scores: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
        """Make words that are never suggested impossible."""
        return tf.where(tf.gather(self._excluded, words), IMPOSSIBLE, scores)
