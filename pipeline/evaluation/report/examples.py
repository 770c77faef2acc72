"""What a model suggests in sentences that it has never seen, and where it is most surprised."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipeline.evaluation.keystrokes import SUGGESTIONS
from pipeline.model.language_model import LanguageModel
from pipeline.model.meter import Predictions
from pipeline.text.sentences import SENTENCE_ENDS
from pipeline.text.spacing import spaces, spacing_kinds
from pipeline.text.tokenizer import BREAK, is_word
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID, Vocabulary

# Tokens that are read before those that are shown.
_LEAD = 200
_SHORTEST, _LONGEST = 6, 24
# Tokens of context shown where the model fails.
_CONTEXT = 12
_SEED = 1

# A first token to show, the end, and the place of the word to hide; all of the stream.
Place = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Token:
    """A token of a text, and what the model thought before it came.

    Attributes:
        text: as people write it.
        space: whether a space stands before it.
        known: whether it is in the vocabulary.
        probability: p(token), over the whole vocabulary.
        suggestions: the most probable words and their p; pieces, where tokens are pieces.
    """

    text: str
    space: bool
    known: bool
    probability: float
    suggestions: tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Example:
    """Tokens that follow each other.

    Attributes:
        tokens: one or more.
        hidden: the place of the one to be guessed.
        cut: whether the paragraph begins before the first.
    """

    tokens: tuple[Token, ...]
    hidden: int
    cut: bool


def choose_sentences(stream: np.ndarray, vocabulary: Vocabulary, *, count: int) -> list[Place]:
    """Some sentences of a text, drawn by lot, and in each a word, drawn by lot too.

    Args:
        stream: int32 ids, (tokens,).
        vocabulary: of the ids.
        count: sentences, at most.
    """
    ids = np.asarray(stream[:])
    stops = [i for i, token in enumerate(vocabulary.spellings()) if token in {*SENTENCE_ENDS}]
    begins = ids == BEGIN_ID
    after = np.flatnonzero(begins | np.isin(ids, stops)) + 1
    # Up to the next beginning; the mark that ends a sentence is its own, `<s>` is not.
    edges = np.append(after, len(ids))
    spans = [(a, b - bool(begins[b - 1])) for a, b in itertools.pairwise(edges)]
    words = _words(vocabulary)
    words[UNKNOWN_ID] = True  # it was a word, most often
    random = np.random.default_rng(_SEED)
    places = []
    for number in random.permutation(len(spans)):
        first, end = map(int, spans[number])
        candidates = first + 2 + np.flatnonzero(words[ids[first + 2 : end]])
        if _SHORTEST <= end - first <= _LONGEST and len(candidates):
            places.append((first, end, int(random.choice(candidates))))
        if len(places) == count:
            break
    return sorted(places)


def choose_surprises(
    predictions: Predictions, stream: np.ndarray, vocabulary: Vocabulary, *, count: int
) -> list[Place]:
    """Where the least probable words of the vocabulary stand, each of them once.

    Args:
        predictions: of the text.
        stream: its ids, (tokens,).
        vocabulary: of both.
        count: words, at most.
    """
    places: dict[int, Place] = {}
    words = _words(vocabulary)[predictions.targets]
    for target in np.argsort(np.where(words, -predictions.nats, np.inf), kind="stable"):
        if len(places) == count or not words[target]:
            break
        place = int(target) + 1
        first = max(0, place - _CONTEXT)
        begins = np.flatnonzero(np.asarray(stream[first:place]) == BEGIN_ID)
        first += int(begins[-1]) + 1 if len(begins) else 0
        places.setdefault(int(predictions.targets[target]), (first, place + 1, place))
    return list(places.values())


def read(
    model: LanguageModel, stream: np.ndarray, vocabulary: Vocabulary, places: Sequence[Place]
) -> list[Example]:
    """Let a model read up to each place, from an empty state `_LEAD` tokens before it or more.

    Args:
        model: stateful, of one lane.
        stream: int32 ids, (tokens,).
        vocabulary: of both.
        places: none may begin with the stream's first token.
    """
    suggestable = tf.constant(_words(vocabulary))

    @tf.function(input_signature=[tf.TensorSpec((1, None), tf.int32)] * 2)
    def predict(ids: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        p = tf.nn.softmax(tf.cast(model(ids), tf.float32))[0, -tf.shape(targets)[1] :]  # (T, V)
        of_words = tf.where(suggestable, p, -1.0)
        return tf.gather(p, targets[0], batch_dims=1), *tf.math.top_k(of_words, SUGGESTIONS)

    shown = vocabulary.spellings()
    if vocabulary.unit == "word":
        shown = [d or t for d, t in zip(vocabulary.displays, vocabulary.tokens, strict=True)]
    closes = vocabulary.closes()
    examples = []
    # Of one length, where there is as much text: each length is compiled anew.
    longest = max((end - first + _LEAD for first, end, _ in places), default=0)
    for first, end, hidden in places:
        ids = np.asarray(stream[max(0, end - longest) : end])
        model.reset_states()
        targets = ids[None, first - end :]
        told = predict(tf.constant(ids[None, :-1]), tf.constant(targets))
        p, best, which = (array.numpy() for array in told)
        texts = [shown[i] for i in targets[0]]
        spaces = _spaces(texts, [closes[i] for i in targets[0]])
        tokens = tuple(
            Token(
                text,
                space,
                bool(target != UNKNOWN_ID),
                float(p[step]),
                tuple(
                    (shown[i] + ("" if closes[i] else "…"), float(value))
                    for i, value in zip(which[step], best[step], strict=True)
                    if value >= 0
                ),
            )
            for step, (text, space, target) in enumerate(
                zip(texts, spaces, targets[0], strict=True)
            )
        )
        examples.append(Example(tokens, hidden - first, cut=stream[first - 1] != BEGIN_ID))
    model.reset_states()
    return examples


def _words(vocabulary: Vocabulary) -> np.ndarray:
    """What can be suggested, bool (V,)."""
    if vocabulary.unit == "word":
        words: np.ndarray = is_word(list(vocabulary.tokens)).numpy()
    else:
        words = np.array([any(map(str.isalpha, token)) for token in vocabulary.spellings()])
    words[[UNKNOWN_ID, BEGIN_ID]] = False
    return words


def _spaces(texts: Sequence[str], closes: Sequence[bool]) -> list[bool]:
    """Return whether a space stands before each token, or piece of a token."""
    words, starts = [BREAK], [True, *closes[:-1]]
    for text, start in zip(texts, starts, strict=True):
        if start:
            words.append(text)
        else:
            words[-1] += text
    before = iter(spaces(spacing_kinds(words)).numpy()[1:].tolist())
    return [start and next(before) for start in starts]
