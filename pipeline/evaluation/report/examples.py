"""What a model suggests in held-out sentences, and which words surprise it most."""

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
from pipeline.text.suggestible import suggestible
from pipeline.text.tokenizer import BREAK
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID, Vocabulary

# Tokens of context before an example.
_LEAD = 200
_SHORTEST, _LONGEST = 6, 24
# Tokens of context shown before a surprising word.
_CONTEXT = 12
_SEED = 1

# In the stream: the first token to show, the end, and the word to hide.
Place = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Token:
    """A token of a text, and what the model predicted in its place.

    Attributes:
        space: whether a space precedes it.
        known: whether it is in the vocabulary.
        suggestions: the most probable words, or pieces of words, and their p.
    """

    text: str
    space: bool
    known: bool
    probability: float
    suggestions: tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Example:
    """Consecutive tokens, one of which is to guess.

    Attributes:
        hidden: index of that one.
        cut: whether the paragraph begins before the first.
    """

    tokens: tuple[Token, ...]
    hidden: int
    cut: bool


def choose_sentences(stream: np.ndarray, vocabulary: Vocabulary, *, count: int) -> list[Place]:
    """Draw up to `count` sentences of a stream at random, and a word to hide in each."""
    ids = np.asarray(stream[:])
    stops = [i for i, token in enumerate(vocabulary.spellings()) if token in {*SENTENCE_ENDS}]
    begins = ids == BEGIN_ID
    after = np.flatnonzero(begins | np.isin(ids, stops)) + 1
    # A sentence includes the mark that ends it, but not the `<s>` after it.
    edges = np.append(after, len(ids))
    spans = [(a, b - bool(begins[b - 1])) for a, b in itertools.pairwise(edges)]
    words = _offered(vocabulary)
    words[UNKNOWN_ID] = True  # most unknown tokens are words
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
    """Find the `count` least probable words of a stream that are in the vocabulary, each once."""
    places: dict[int, Place] = {}
    words = _offered(vocabulary)[predictions.targets]
    for target in np.argsort(np.where(words, -predictions.nats, np.inf), kind="stable"):
        if len(places) == count or not words[target]:
            break
        place = int(target) + 1
        first = max(0, place - _CONTEXT)
        begins = np.flatnonzero(np.asarray(stream[first:place]) == BEGIN_ID)
        first += int(begins[-1]) + 1 if len(begins) else 0
        places.setdefault(int(predictions.targets[target]), (first, place + 1, place))
    return list(places.values())


def read_examples(
    model: LanguageModel, stream: np.ndarray, vocabulary: Vocabulary, places: Sequence[Place]
) -> list[Example]:
    """Let a stateful model of one lane predict each place, after at least `_LEAD` tokens.

    No place may begin with the stream's first token.
    """
    offered = tf.constant(_offered(vocabulary))

    @tf.function(input_signature=[tf.TensorSpec((1, None), tf.int32)], autograph=False)
    def predict(ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
        p = tf.nn.softmax(tf.cast(model(ids[:, :-1]), tf.float32))[0]  # (T, V)
        of_words = tf.where(offered, p, -1.0)
        return tf.gather(p, ids[0, 1:], batch_dims=1), *tf.math.top_k(of_words, SUGGESTIONS)

    shown = vocabulary.spellings()
    if vocabulary.unit == "word":
        shown = [d or t for d, t in zip(vocabulary.displays, vocabulary.tokens, strict=True)]
    closes = vocabulary.closes()
    offers = [text + ("" if close else "…") for text, close in zip(shown, closes, strict=True)]
    examples = []
    # Read the same number of tokens for each, so that the network is compiled once.
    longest = max((end - first + _LEAD for first, end, _ in places), default=0)
    for first, end, hidden in places:
        start = max(0, end - longest)
        model.reset_states()
        predicted = predict(tf.constant(np.asarray(stream[start : start + longest])[None]))
        own = slice(first - start - 1, end - start - 1)  # of these predictions
        targets = np.asarray(stream[first:end])
        spaces = _spaces([shown[i] for i in targets], [closes[i] for i in targets])
        tokens = tuple(
            Token(
                text=shown[target],
                space=space,
                known=bool(target != UNKNOWN_ID),
                probability=float(p),
                suggestions=tuple(
                    (offers[i], float(q)) for i, q in zip(words, best, strict=True) if q >= 0
                ),
            )
            for target, space, p, best, words in zip(
                targets, spaces, *(array.numpy()[own] for array in predicted), strict=True
            )
        )
        examples.append(Example(tokens, hidden - first, cut=stream[first - 1] != BEGIN_ID))
    model.reset_states()
    return examples


def _offered(vocabulary: Vocabulary) -> np.ndarray:
    """Return which tokens can be suggested, bool (V,)."""
    if vocabulary.unit == "word":
        words = suggestible(vocabulary)
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
