"""What a model expects on average in text that it writes by itself: words, and pairs of words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.model.language_model import LanguageModel
from pipeline.progress import progress_bar
from pipeline.text.vocabulary import BEGIN_ID, UNKNOWN_ID

# The most probable words after each token that count as pairs with it.
_BEST = 100
# Steps whose pairs are added up at once.
_CHUNK = 128


class Pairs(NamedTuple):
    """Pairs of ids, and how often the second is expected after the first; (n,) each."""

    first: np.ndarray
    second: np.ndarray
    counts: np.ndarray


class Expected(NamedTuple):
    """What a model expects in text that it writes.

    Attributes:
        counts: how often each token is expected, float64 (V,).
        after: how often a word is expected after each token, float64 (V,).
        pairs: of words.
    """

    counts: np.ndarray
    after: np.ndarray
    pairs: Pairs


def expect(model: LanguageModel, is_word: np.ndarray, *, texts: int, length: int) -> Expected:
    """Let a model write texts, and add up its probabilities of each next token.

    The average of p(w) is what the share of w among drawn tokens tends to, with less noise.

    Args:
        model: stateless.
        is_word: which tokens are words, bool (V,); `<unk>` counts as one, but in no pairs.
        texts: to write side by side.
        length: tokens of each.
    """
    size, best = len(is_word), min(_BEST, int(is_word.sum()))

    @tf.function(autograph=False)
    def step(ids: tf.Tensor, states: list, t: tf.Tensor) -> tuple:
        h, states = model.hidden(ids[:, None], states=states)
        logits = model.logits(model.features(h[:, 0]))  # (B, V)
        p = tf.nn.softmax(logits)
        words = tf.where(is_word, p, 0.0)
        after = tf.reduce_sum(words, axis=1) + p[:, UNKNOWN_ID]
        drawn = tf.random.stateless_categorical(logits, 1, [1, t], dtype=tf.int32)[:, 0]
        return drawn, states, tf.reduce_sum(p, axis=0), after, *tf.math.top_k(words, best)

    ids = tf.fill([texts], BEGIN_ID)
    states = [[tf.zeros_like(part) for part in layer] for layer in model.hidden(ids[:, None])[1]]
    counts, after = np.zeros(size), np.zeros(size)
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    chunks: list[tuple[np.ndarray, np.ndarray]] = []
    with progress_bar() as bar:
        task = bar.add_task("writing", total=length, report="")
        for t in tf.range(length):
            before = ids.numpy()
            ids, states, p, mass, values, words = step(ids, states, t)
            counts += p.numpy()
            np.add.at(after, before, mass.numpy())
            inside = is_word[before]
            keys = before[inside, None].astype(np.int64) * size + words.numpy()[inside]
            rows.append((keys.ravel(), values.numpy()[inside].ravel()))
            if len(rows) == _CHUNK:
                chunks, rows = [*chunks, add_up(rows)], []
            bar.advance(task)
    keys, sums = add_up([*chunks, *rows])
    return Expected(counts, after, Pairs(keys // size, keys % size, sums))


def add_up(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of some rows, each once, and the sums of their values."""
    keys, values = (np.concatenate(column) for column in zip(*rows, strict=True))
    keys, places = np.unique(keys, return_inverse=True)
    return keys, np.bincount(places, weights=values, minlength=len(keys))
