"""Fit the costs of typing errors, and compare spelling correctors.

    python benchmarks/spelling.py fit FILE [--training models/training] [--lexicon wordfreq]
    python benchmarks/spelling.py compare FILE [--training models/training] [--lexicon wordfreq]

FILE is a table as `nextword evaluate --spelling` takes it. Sentences with even numbers are for
fitting, and `compare` measures on the others.

`fit` prints `Costs` (pipeline/text/channel.py) and `Weights` (pipeline/export/correct.py): those
with the greatest conditional likelihood of the right words, with a Gaussian prior around where it
begins (Chen & Rosenfeld 1999). The threshold is the lowest at which at most 0.6 % of the right
words are altered.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import scipy.optimize
import tensorflow as tf

from pipeline.evaluation.spelling import TypedWord, read_spelling
from pipeline.export.correct import WEIGHTS, Corrector, read_words
from pipeline.export.reader import Reader
from pipeline.model.language_model import load_model
from pipeline.text.channel import COSTS, Channel
from pipeline.text.lexicon import Lexicon
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary

# Candidates of a word that are compared, the best at the costs it begins with.
_CANDIDATES = 24
_BATCH = 64
# Pairs whose costs are computed at once.
_PAIRS = 8000
# Of the Gaussian prior, in nats.
_DEVIATION = 5.0
_FALSE_ALARMS = 0.006
_FITTED = ("context", "frequency", "right", "name", "unlisted")


@dataclasses.dataclass(frozen=True)
class Example:
    """A typed word and the words that may be meant; the first of them is the word itself.

    Attributes:
        typed: the word.
        meant: numbers of the words in the corrector; −1 for a typed word that no list has, (C,).
        context: ln p(meant | text), (C,).
        target: place of the right word in `meant`; −1 if it is not there.
        name: whether it has a capital inside a sentence.
    """

    typed: str
    meant: np.ndarray
    context: np.ndarray
    target: int
    name: bool


class Model:
    """A trained network with a lexicon, and its corrector."""

    def __init__(self, training: Path, lexicon: list[str], *, costs=COSTS, weights=WEIGHTS):
        vocabulary = Vocabulary.load(training / "vocabulary.tsv")
        self.reader = Reader(load_model(training), vocabulary)
        self.corrector = Corrector(
            self.reader,
            Lexicon.load(training, vocabulary, lexicon),
            suggestions=5,
            costs=costs,
            weights=weights,
        )

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)] * 2, autograph=False)
    def candidates(self, texts: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return pairs of words (B,) and what may be meant: rows, numbers, ln p, same, score."""
        corrector, typed = self.corrector, read_words(words)
        state = self.reader.read(texts)
        logits = tf.math.log(self.reader.probabilities(state))
        rows, meant = corrector.candidates(typed)
        context = corrector.in_context(logits, rows, meant)
        score = corrector.score(typed, rows, meant, context)
        name = typed.capital & ~self.reader.starts(state)
        left_alone = tf.equal(tf.reduce_max(tf.pad(typed.letters, [[0, 0], [0, 1]]), axis=1), 0)
        same = corrector.same(typed, rows, meant)
        return rows, meant, context, same, score, logits[:, UNKNOWN_ID], name, left_alone


def collect(model: Model, words: list[TypedWord]) -> list[Example]:
    """Return the words that a corrector looks at, with their best candidates."""
    words = [word for word in words if not word.error or word.right]
    numbers = {w.decode(): i for i, w in enumerate(model.corrector.lowered.numpy().tolist())}
    examples = []
    for start in range(0, len(words), _BATCH):
        batch = words[start : start + _BATCH]
        columns = ([word.text for word in batch], [word.typed for word in batch])
        found = [part.numpy() for part in model.candidates(*map(tf.constant, columns))]
        rows, meant, context, same, score, unknown, name, left_alone = found
        for row, word in enumerate(batch):
            if left_alone[row]:
                continue
            own = np.flatnonzero((rows == row) & same)[:1]
            others = np.flatnonzero((rows == row) & ~same)
            others = others[np.argsort(-score[others])[:_CANDIDATES]]
            right, target = numbers.get(word.right.lower(), -1), 0
            if word.error:
                hits = np.flatnonzero(meant[others] == right)
                target = 1 + int(hits[0]) if len(hits) else -1
            first = (meant[own], context[own]) if len(own) else ([-1], [unknown[row]])
            examples.append(
                Example(
                    word.typed.lower(),
                    np.append(first[0], meant[others]).astype(int),
                    np.append(first[1], context[others]),
                    target,
                    bool(name[row]),
                )
            )
    return examples


class Likelihood:
    """−ln p of the right words given what was typed, as a function of all costs and weights."""

    def __init__(self, model: Model, examples: list[Example]):
        self._corrector = model.corrector
        self.examples = [example for example in examples if example.target >= 0]
        width = 1 + max(len(example.meant) for example in self.examples)
        index: dict[tuple[str, int], int] = {}
        shape = (len(self.examples), width)
        self._pairs = np.full(shape, -1)
        self._context, self._frequency = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._there = np.zeros(shape, bool)
        frequencies = model.corrector.frequencies.numpy()
        for row, example in enumerate(self.examples):
            size = len(example.meant)
            self._there[row, :size] = True
            self._context[row, :size] = example.context
            listed = example.meant >= 0
            self._frequency[row, :size] = np.where(listed, frequencies[example.meant], 0)
            self._pairs[row, 1:size] = [
                index.setdefault((example.typed, number), len(index))
                for number in example.meant[1:].tolist()
            ]
        self._unlisted = np.array([e.meant[0] < 0 for e in self.examples], np.float32)
        self._name = np.array([e.name for e in self.examples], np.float32)
        self._target = np.array([e.target for e in self.examples])
        typed, meant = zip(*index, strict=True)
        self._typed = read_words(tf.constant(typed)).letters.numpy()
        self._meant = model.corrector.letters.numpy()[[*meant]].astype(np.int32)
        order = np.argsort((self._typed > 0).sum(1), kind="stable")
        self._chunks = [order[i : i + _PAIRS] for i in range(0, len(order), _PAIRS)]

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss in nats and its gradient, (K + 5,)."""
        edits, weights = tf.constant(x[:-5], tf.float32), tf.Variable(x[-5:], dtype=tf.float32)
        costs = np.zeros(len(self._typed), np.float32)
        for chunk in self._chunks:
            costs[chunk] = self._channel(edits, chunk)[0]
        costs = tf.Variable(costs)
        with tf.GradientTape() as tape:
            loss = self._loss(costs, weights)
        of_costs, of_weights = tape.gradient(loss, [costs, weights])
        of_costs = tf.convert_to_tensor(of_costs).numpy()
        gradient = np.zeros(len(x))
        gradient[-5:] = of_weights.numpy()
        for chunk in self._chunks:
            gradient[:-5] += self._channel(edits, chunk, of_costs[chunk])[1]
        return float(loss), gradient

    def _loss(self, costs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        context, frequency, right, name, unlisted = tf.unstack(weights)
        scores = context * self._context + frequency * self._frequency
        scores -= tf.where(self._pairs >= 0, tf.gather(costs, np.maximum(self._pairs, 0)), 0.0)
        own = right + name * self._name + unlisted * self._unlisted
        scores = tf.concat([scores[:, :1] + own[:, None], scores[:, 1:]], axis=1)
        scores = tf.where(self._there, scores, -1e9)
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(self._target, scores))

    def _channel(
        self, edits: tf.Tensor, chunk: np.ndarray, upstream: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        typed, meant = self._typed[chunk], self._meant[chunk]
        typed = typed[:, : (typed > 0).sum(1).max()]
        meant = meant[:, : (meant > 0).sum(1).max()]
        if upstream is None:
            return _costs(edits, typed, meant).numpy(), np.zeros(0)
        values, gradient = _costs_and_gradient(edits, typed, meant, upstream)
        return values.numpy(), gradient.numpy()


_SPECS = [
    tf.TensorSpec((None,), tf.float32),
    tf.TensorSpec((None, None), tf.int32),
    tf.TensorSpec((None, None), tf.int32),
]


@tf.function(input_signature=_SPECS, autograph=False)
def _costs(edits: tf.Tensor, typed: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
    costs = Channel(edits).costs(typed, meant)
    return tf.gather(costs, tf.math.count_nonzero(meant, axis=1), batch_dims=1)


@tf.function(input_signature=[*_SPECS, tf.TensorSpec((None,), tf.float32)], autograph=False)
def _costs_and_gradient(
    edits: tf.Tensor, typed: tf.Tensor, meant: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(edits)
        costs = _costs(edits, typed, meant)
    return costs, tf.convert_to_tensor(tape.gradient(costs, edits, upstream))


def fit(model: Model, words: list[TypedWord]) -> None:
    likelihood = Likelihood(model, collect(model, words))
    names = [field.name for field in dataclasses.fields(COSTS)]
    begin = np.array([*dataclasses.astuple(COSTS), *(getattr(WEIGHTS, n) for n in _FITTED)])
    print(f"{len(likelihood.examples):,} words")

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = likelihood(x)
        away = (x - begin) / _DEVIATION
        print(f"{loss / len(likelihood.examples):.5f} nats a word", flush=True)
        return loss + (away**2).sum() / 2, gradient + away / _DEVIATION

    best = scipy.optimize.minimize(
        objective, begin, jac=True, method="L-BFGS-B", options={"maxiter": 60}
    ).x
    for name, value in zip([*names, *_FITTED], best.tolist(), strict=True):
        print(f"    {name}: float = {value:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["fit", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--training", type=Path, default=Path("models/training"))
    parser.add_argument("--lexicon", nargs="*", default=["wordfreq"])
    arguments = parser.parse_args()
    model = Model(arguments.training, arguments.lexicon)
    words = read_spelling(arguments.file)
    if arguments.command == "fit":
        fit(model, [word for word in words if int(word.sentence) % 2 == 0])


if __name__ == "__main__":
    main()
