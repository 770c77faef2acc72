"""Fit the costs of typing errors, and compare spelling correctors.

    python benchmarks/spelling.py fit FILE [--training models/training] [--lexicon wordfreq]
    python benchmarks/spelling.py compare FILE [--training models/training] [--lexicon wordfreq]

FILE is a table as `nextword evaluate --spelling` takes it. Costs are fitted on its sentences with
even numbers, and correctors are compared on the others.

`fit` prints `Costs` (pipeline/text/channel.py) and `Weights` (pipeline/export/meant_words.py) with
the greatest conditional likelihood of what was meant, and a Gaussian prior around where it begins
(Chen & Rosenfeld 1999). Then `right` is lowered as far as at most 0.6 % of the right words are
altered.

`compare` needs pyspellchecker and symspellpy, extra bench. SymSpell has no Portuguese list of its
own, so it gets wordfreq's; of both, a correction is sure if the typed word is in no list.
"""

import argparse
import dataclasses
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import rich
import rich.table
import scipy.optimize
import tensorflow as tf

from pipeline.evaluation.spelling import (
    Correct,
    TypedWord,
    correct_all,
    read_spelling,
    spelling_metrics,
)
from pipeline.export.correct import Corrector, read_words
from pipeline.export.meant_words import WEIGHTS, Weights
from pipeline.export.reader import Reader
from pipeline.model.language_model import load_model
from pipeline.text.channel import COSTS, Channel, Costs
from pipeline.text.lexicon import Lexicon
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary

# Words that may be meant: the best at the costs that fitting begins with.
_CANDIDATES = 24
_BATCH = 64
# Pairs of words whose costs are computed at once.
_PAIRS = 8000
# Nats of the Gaussian prior; steps of L-BFGS.
_DEVIATION, _STEPS = 5.0, 60
# Share of right words that may be altered.
_FALSE_ALARMS = 0.006
_FITTED = ("context", "frequency", "right", "name", "unlisted")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")


class Model:
    """A trained network with a lexicon, and its corrector."""

    def __init__(self, training: Path, lexicon: Sequence[str]):
        vocabulary = Vocabulary.load(training / "vocabulary.tsv")
        self.lexicon = Lexicon.load(training, vocabulary, lexicon)
        self.reader = Reader(load_model(training), vocabulary)
        self.corrector = Corrector(self.reader, self.lexicon, suggestions=5)

    def correct(self, costs: Costs = COSTS, weights: Weights = WEIGHTS) -> Correct:
        """Return the signature of a corrector."""
        corrector = Corrector(
            self.reader, self.lexicon, suggestions=5, costs=costs, weights=weights
        )
        return tf.function(
            lambda text, word: corrector.correct(self.reader.read(text), word),
            input_signature=[tf.TensorSpec((None,), tf.string)] * 2,
            autograph=False,
        )

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)] * 2, autograph=False)
    def candidates(self, texts: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Find what may be meant by words (B,).

        Returns:
            Of N pairs: the row, the word's number, ln p(meant | text), whether it is what is typed,
            its score; of B rows: ln p(<unk> | text), whether it may be a name, whether it is
            looked at.
        """
        corrector, typed = self.corrector, read_words(words)
        state = self.reader.read(texts)
        logits = tf.math.log(self.reader.probabilities(state))
        rows, meant = corrector.candidates(typed)
        context = corrector.words.in_context(logits, rows, meant)
        score = corrector.score(typed, rows, meant, context)
        same = corrector.same(typed, rows, meant)
        name = typed.capital & ~self.reader.starts(state)
        looked_at = tf.not_equal(typed.lowered, "")
        return rows, meant, context, same, score, logits[:, UNKNOWN_ID], name, looked_at


@dataclasses.dataclass(frozen=True)
class Example:
    """A typed word, and C words that may be meant, the first of which is the word itself.

    Attributes:
        typed: the word in lower case.
        meant: numbers of words in the corrector; −1 for a typed word that no list has, (C,).
        context: ln p(meant | text), (C,).
        target: place of the right word in `meant`; −1 if it is not there.
        name: whether it has a capital inside a sentence.
    """

    typed: str
    meant: np.ndarray
    context: np.ndarray
    target: int
    name: bool


def collect(model: Model, words: Sequence[TypedWord]) -> list[Example]:
    """Return the words that a corrector looks at, with their best candidates."""
    words = [word for word in words if not word.error or word.right]
    numbers = {w.decode(): i for i, w in enumerate(model.corrector.words.lowered.numpy().tolist())}
    examples = []
    for start in range(0, len(words), _BATCH):
        batch = words[start : start + _BATCH]
        columns = ([word.text for word in batch], [word.typed for word in batch])
        found = [part.numpy() for part in model.candidates(*map(tf.constant, columns))]
        rows, meant, context, same, score, unknown, name, looked_at = found
        for row in np.flatnonzero(looked_at).tolist():
            word = batch[row]
            own = np.flatnonzero((rows == row) & same)[:1]
            others = np.flatnonzero((rows == row) & ~same)
            others = others[np.argsort(-score[others])[:_CANDIDATES]]
            first = (meant[own], context[own]) if len(own) else ([-1], [unknown[row]])
            target = 0
            if word.error:
                hits = np.flatnonzero(meant[others] == numbers.get(word.right.lower(), -1))
                target = 1 + int(hits[0]) if len(hits) else -1
            examples.append(
                Example(
                    read_words(tf.constant([word.typed])).lowered.numpy()[0].decode(),
                    np.append(first[0], meant[others]).astype(int),
                    np.append(first[1], context[others]),
                    target,
                    bool(name[row]),
                )
            )
    return examples


class Likelihood:
    """−ln p(meant | typed, text), summed over examples, as a function of costs and weights."""

    def __init__(self, model: Model, examples: Sequence[Example]):
        shape = (len(examples), 1 + _CANDIDATES)
        self._there = np.zeros(shape, bool)
        self._context, self._frequency = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._pairs = np.full(shape, -1)
        index: dict[tuple[str, int], int] = {}
        frequencies = model.corrector.words.frequencies.numpy()
        for row, example in enumerate(examples):
            size = len(example.meant)
            self._there[row, :size] = True
            self._context[row, :size] = example.context
            listed = example.meant >= 0
            self._frequency[row, :size] = np.where(listed, frequencies[example.meant], 0)
            self._pairs[row, 1:size] = [
                index.setdefault((example.typed, number), len(index))
                for number in example.meant[1:].tolist()
            ]
        self._unlisted = np.array([e.meant[0] < 0 for e in examples], np.float32)
        self._name = np.array([e.name for e in examples], np.float32)
        self.target = np.array([e.target for e in examples])
        typed, meant = zip(*index, strict=True)
        self._typed = read_words(tf.constant(typed)).letters.numpy()
        self._meant = model.corrector.words.letters_of(tf.constant(meant)).numpy().astype(np.int32)
        order = np.argsort((self._typed > 0).sum(1), kind="stable")
        self._chunks = [order[i : i + _PAIRS] for i in range(0, len(order), _PAIRS)]

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the nats and their gradient, (K + 5,), at costs and weights x."""
        edits, weights = tf.constant(x[:-5], tf.float32), tf.Variable(x[-5:], dtype=tf.float32)
        costs = tf.Variable(self._costs(edits))
        known = (self.target >= 0).astype(np.float32)
        with tf.GradientTape() as tape:
            nats = known * tf.nn.sparse_softmax_cross_entropy_with_logits(
                np.maximum(self.target, 0), self._scores(costs, weights)
            )
            nats = tf.reduce_sum(nats)
        of_costs, of_weights = map(tf.convert_to_tensor, tape.gradient(nats, [costs, weights]))
        gradient = np.concatenate([np.zeros(len(edits)), of_weights.numpy()])
        for typed, meant, chunk in self._parts():
            gradient[:-5] += _gradient(edits, typed, meant, tf.gather(of_costs, chunk)).numpy()
        return float(nats), gradient

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return p of what may be meant, (E, C), at costs and weights x."""
        costs = self._costs(tf.constant(x[:-5], tf.float32))
        return tf.nn.softmax(self._scores(costs, tf.constant(x[-5:], tf.float32))).numpy()

    def _scores(self, costs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        context, frequency, right, name, unlisted = tf.unstack(weights)
        scores = context * self._context + frequency * self._frequency
        scores -= tf.where(self._pairs >= 0, tf.gather(costs, np.maximum(self._pairs, 0)), 0.0)
        own = right + name * self._name + unlisted * self._unlisted
        scores = tf.concat([scores[:, :1] + own[:, None], scores[:, 1:]], axis=1)
        return tf.where(self._there, scores, -1e9)

    def _costs(self, edits: tf.Tensor) -> np.ndarray:
        costs = np.zeros(len(self._typed), np.float32)
        for typed, meant, chunk in self._parts():
            costs[chunk] = _costs(edits, typed, meant)
        return costs

    def _parts(self) -> list[tuple[np.ndarray, ...]]:
        return [
            (*(_trim(words[chunk]) for words in (self._typed, self._meant)), chunk)
            for chunk in self._chunks
        ]


def _trim(words: np.ndarray) -> np.ndarray:
    return words[:, : (words > 0).sum(1).max()]


_SPECS = (
    tf.TensorSpec((None,), tf.float32),
    tf.TensorSpec((None, None), tf.int32),
    tf.TensorSpec((None, None), tf.int32),
)


@tf.function(input_signature=_SPECS, autograph=False)
def _costs(edits: tf.Tensor, typed: tf.Tensor, meant: tf.Tensor) -> tf.Tensor:
    costs = Channel(edits).costs(typed, meant)
    return tf.gather(costs, tf.math.count_nonzero(meant, axis=1), batch_dims=1)


@tf.function(input_signature=[*_SPECS, tf.TensorSpec((None,), tf.float32)], autograph=False)
def _gradient(
    edits: tf.Tensor, typed: tf.Tensor, meant: tf.Tensor, upstream: tf.Tensor
) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(edits)
        costs = _costs(edits, typed, meant)
    return tf.convert_to_tensor(tape.gradient(costs, edits, upstream))


def fit(model: Model, words: Sequence[TypedWord], *, context: bool = True) -> tuple[Costs, Weights]:
    """Return the most likely costs and weights, with or without the text before."""
    examples = collect(model, words)
    if not context:
        examples = [dataclasses.replace(e, context=0 * e.context) for e in examples]
    likelihood = Likelihood(model, examples)
    begin = np.array([*dataclasses.astuple(COSTS), *(getattr(WEIGHTS, n) for n in _FITTED)])

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        nats, gradient = likelihood(x)
        away = (x - begin) / _DEVIATION
        print(f"{nats / len(examples):.5f} nats a word", file=sys.stderr, flush=True)
        return nats + (away**2).sum() / 2, gradient + away / _DEVIATION

    options = {"maxiter": _STEPS}
    x = scipy.optimize.minimize(objective, begin, jac=True, method="L-BFGS-B", options=options).x
    allowed = _FALSE_ALARMS * sum(not word.error for word in words)
    while _altered(likelihood, x) <= allowed:
        x[-5 + _FITTED.index("right")] -= 0.05
    x[-5 + _FITTED.index("right")] += 0.05
    weights = dict(zip(_FITTED, x[-5:].tolist(), strict=True))
    if not context:
        weights["context"] = 0.0
    return Costs(*x[:-5].tolist()), dataclasses.replace(WEIGHTS, **weights)


def _altered(likelihood: Likelihood, x: np.ndarray) -> int:
    """Count the right words that are altered without being asked."""
    p = likelihood.probabilities(x)
    return int(((p[:, 1:].max(1) >= WEIGHTS.sure) & (likelihood.target == 0)).sum())


def by_word(correction: Callable[[str], str | None]) -> Correct:
    """Return the signature of a corrector that knows no text; None for a word that is right."""

    def correct(texts: tf.Tensor, words: tf.Tensor) -> dict[str, tf.Tensor]:
        typed = [word.decode() for word in words.numpy().tolist()]
        found = [correction(w.lower()) if _WORD.fullmatch(w) and not w.isupper() else None
                 for w in typed]  # fmt: skip
        best = [f or w for f, w in zip(found, typed, strict=True)]
        sure = [f is not None and f != w.lower() for f, w in zip(found, typed, strict=True)]
        return {"words": tf.constant(best)[:, None], "sure": tf.constant(sure)}

    return correct


def others() -> dict[str, Correct]:
    """Return spelling correctors of other libraries."""
    import wordfreq
    from spellchecker import SpellChecker
    from symspellpy import SymSpell, Verbosity

    checker = SpellChecker(language="pt")
    symspell = SymSpell(max_dictionary_edit_distance=2)
    for word, share in wordfreq.get_frequency_dict("pt", "best").items():
        symspell.create_dictionary_entry(word, round(1e9 * share))

    def look_up(word: str) -> str | None:
        hits = symspell.lookup(word, Verbosity.TOP, max_edit_distance=2)
        return hits[0].term if hits else None

    return {
        "pyspellchecker": by_word(
            lambda w: checker.correction(w) if checker.unknown([w]) else None
        ),
        "symspellpy, wordfreq's list": by_word(look_up),
    }


def compare(model: Model, words: Sequence[TypedWord]) -> None:
    """Print what each corrector mends of the sentences that nothing was fitted on."""
    held_out = [word for word in words if int(word.sentence) % 2]
    without = fit(model, [w for w in words if int(w.sentence) % 2 == 0], context=False)
    correctors = {
        "nextword": model.correct(),
        "nextword, channel without text": model.correct(*without),
        **others(),
    }
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("corrector", "errors", "mended", "right words", "altered", "ms a word"):
        table.add_column(heading, justify="left" if heading == "corrector" else "right")
    for name, correct in correctors.items():
        start = time.perf_counter()
        answers = correct_all(held_out, correct)
        ms = 1000 * (time.perf_counter() - start) / len(held_out)
        rows = spelling_metrics(answers).set_index("kind")
        cells = []
        for kind, form in (("all", "{:.1%}"), ("false alarms", "{:.2%}")):
            row = rows.loc[kind]
            share, low, high = (form.format(row[c]) for c in ("share", "low", "high"))
            cells += [f"{int(row['words']):,}", f"{share} ({low}–{high})"]
        table.add_row(name, *cells, f"{ms:.1f}")
    rich.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["fit", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--training", type=Path, default=Path("models/training"))
    parser.add_argument("--lexicon", nargs="*", default=["wordfreq"])
    arguments = parser.parse_args()
    model = Model(arguments.training, arguments.lexicon)
    words = read_spelling(arguments.file)
    if arguments.command == "compare":
        compare(model, words)
        return
    for fitted in fit(model, [word for word in words if int(word.sentence) % 2 == 0]):
        print(type(fitted).__name__)
        for name, value in dataclasses.asdict(fitted).items():
            print(f"    {name}: float = {value:.2f}")


if __name__ == "__main__":
    main()
