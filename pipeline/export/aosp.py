"""A dictionary for Android's open keyboards: those of AOSP's LatinIME, such as HeliBoard.

The file, pt_br.combined, is what AOSP's dicttool compiles to a .dict: words with their f, and under
a word those that often follow it. LatinIME knows no more of the text than the word before.

    dictionary=main:pt_br,locale=pt_BR,description=…,date=1790000000,version=18
     word=de,f=217
      bigram=novo,f=213
      bigram=madrugada,f=200
     word=Brasil,f=158

f is a probability on a logarithmic scale, 255 + 8.589 log₂ p (AOSP, ProbabilityUtils::
encodeRawProbability), from 1, since words with f = 0 are never shown, to 255. The f of a pair is
p(second | first) on the same scale; dicttool stores it as one of 16 steps between the second word's
own f and 255 (BinaryDictEncoderUtils::makeBigramFlags), so a pair below the first step is left out.
The lines are described in AOSP's dictionaries/sample.combined, and read by dicttool's
CombinedInputOutput.

Both are what the model expects on average over text that it writes by itself:

    p(w | v) = Σ_t p(w | text before t) / Σ_t p(any word | text before t)

over those t that follow the word v; p(w) is the same over all t, mixed with the frequency of w in
the lists of the lexicon, since most people write other text than the model has read. A word outside
the vocabulary has its share of p(<unk>), and no pairs.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.export.config import AospConfig
from pipeline.export.expected import Expected, add_up, expect
from pipeline.model.language_model import load_model
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NO_WORDS, NeverSuggested
from pipeline.text.suggestible import suggestible
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary

FILE = "pt_br.combined"
# HeliBoard's word lists warn that keyboards may ignore lower versions.
_HEADER = "dictionary=main:pt_br,locale=pt_BR,description=nextword-pt,date={date},version=18"
# A probability of 1, and what half of it takes off. sample.combined divides by 1.15 for each step,
# but AOSP's English list, in which *the* has 222, fits this scale: 7 %.
_MOST, _HALVING = 255, 8.58923700372
# Share of the lists in p(w): more saves keys in other people's text, and fewer in text like the
# model's own.
_LISTS = 0.75
# Steps between the f of a word and 255 (1.5 + FormatSpec.MAX_BIGRAM_FREQUENCY).
_STEPS = 16.5
# What LatinIME's keyboards take for one word: letters, joined by apostrophes and hyphens. Fields
# end at commas, which have no escape. dicttool ignores words of 48 letters and more.
_PLAIN = re.compile(r"(?=.{1,47}$)[^\W\d_]+(?:['’-][^\W\d_]+)*")
# Texts written side by side, and the tokens of each.
_TEXTS, _LENGTH = 128, 2048


def encode(p: np.ndarray) -> np.ndarray:
    """Return f of probabilities, 1 to 255, int64 of any shape."""
    f = _MOST + _HALVING * np.log2(np.maximum(p, np.finfo(float).tiny))
    return np.clip(np.floor(f + 0.5), 1, _MOST).astype(np.int64)


def first_step(f: np.ndarray) -> np.ndarray:
    """Return the lowest f of a pair that dicttool can tell from the f of its second word."""
    return f + 1 + (_MOST - f) / _STEPS / 2


class Dictionary(NamedTuple):
    """Words, most probable first, and which follows which.

    Attributes:
        words: as people write them, (N,).
        f: of each word, (N,).
        following: of some words, the numbers of words that follow and the f of each, from the most
            probable one.
    """

    words: Sequence[str]
    f: Sequence[int]
    following: dict[int, list[tuple[int, int]]]

    def lines(self, *, date: int) -> Iterator[str]:
        """Yield the lines of the file; `date` is in seconds."""
        yield _HEADER.format(date=date)
        for number, (word, f) in enumerate(zip(self.words, self.f, strict=True)):
            yield f" word={word},f={f}"
            for second, strength in self.following.get(number, []):
                yield f"  bigram={self.words[second]},f={strength}"


def make_dictionary(
    expected: Expected, lexicon: Lexicon, config: AospConfig, never: NeverSuggested = NO_WORDS
) -> Dictionary:
    """Choose the words and pairs that a model expects most.

    Args:
        expected: of the model.
        lexicon: of that model and its vocabulary.
        config: how many words and pairs.
        never: words to leave out.
    """
    vocabulary = lexicon.vocabulary
    shown = [*vocabulary.displays, *lexicon.words]
    fits = np.append(suggestible(vocabulary), np.full(len(lexicon), True))
    fits &= np.array([bool(_PLAIN.fullmatch(word)) for word in shown])
    fits &= ~never.covers(tf.constant(shown)).numpy()
    counts = np.append(expected.counts, expected.counts[UNKNOWN_ID] * lexicon.probabilities)
    # Tokens that are shown alike are one word.
    numbers = {word: i for i, word in enumerate(dict.fromkeys(np.array(shown)[fits].tolist()))}
    words = [*numbers]
    number = np.array([numbers[w] if fit else -1 for w, fit in zip(shown, fits, strict=True)])
    p = np.bincount(number[fits], counts[fits], len(words)) / expected.after.sum()
    p = (1 - _LISTS) * p + _LISTS * lexicon.frequencies_of(words)
    order = np.lexsort((words, -p))[: config.words]
    place = np.full(len(words) + 1, -1)  # the last is that of tokens that do not fit
    place[order] = np.arange(len(order))
    f = encode(p[order])
    following = _following(expected, place[number[: len(vocabulary)]], f, most=config.bigrams)
    return Dictionary([words[i] for i in order], f.tolist(), following)


def _following(
    expected: Expected, place: np.ndarray, f: np.ndarray, *, most: int
) -> dict[int, list[tuple[int, int]]]:
    """Return `Dictionary.following`.

    Args:
        expected: of the model.
        place: of each token among the words, or -1, (V,).
        f: of each word, (N,).
        most: pairs to keep, those that are expected most often.
    """
    size, known = len(f), place >= 0
    first, second, counts = expected.pairs
    both = known[first] & known[second]
    keys = place[first[both]] * size + place[second[both]]
    keys, sums = add_up([(keys, counts[both])])
    first, second = keys // size, keys % size
    after = np.bincount(place[known], expected.after[known], size)
    strength = encode(sums / after[first])
    kept = np.flatnonzero(strength >= first_step(f[second]))
    kept = kept[np.argsort(-sums[kept], kind="stable")[:most]]
    kept = kept[np.lexsort((second[kept], -strength[kept], first[kept]))]
    following: dict[int, list[tuple[int, int]]] = {}
    for i in kept.tolist():
        following.setdefault(int(first[i]), []).append((int(second[i]), int(strength[i])))
    return following


def export_aosp(
    training: Path,
    output: Path,
    *,
    config: AospConfig,
    lexicon: Sequence[str] = (),
    never_suggest: Path | None = None,
) -> None:
    """Write pt_br.combined, the dictionary of the model of a training folder.

    The same model gives the same bytes; the date is that of its weights.

    Args:
        training: folder that `train` wrote.
        output: folder to write into.
        config: how many words and pairs.
        lexicon: names of word lists, as `Lexicon.load` takes them.
        never_suggest: file of words to leave out.

    Raises:
        InputError: there is no trained model, no word to list, a file has no list of words, or the
            model is of subwords.
    """
    model = load_model(training)
    vocabulary = Vocabulary.load(training / "vocabulary.tsv")
    if vocabulary.unit == "subword":
        raise InputError(
            f"The model in {training} is of subwords, and a keyboard's dictionary is of words: "
            "train one with --unit word."
        )
    words = Lexicon.load(training, vocabulary, lexicon)
    never = NeverSuggested.load(never_suggest)
    is_word = suggestible(vocabulary)
    if not is_word.any():
        raise InputError(f"The vocabulary in {training} has no word to suggest.")
    expected = expect(model, is_word, texts=_TEXTS, length=_LENGTH)
    dictionary = make_dictionary(expected, words, config, never)
    saved = Path(tf.train.latest_checkpoint(training / "checkpoints") + ".index")
    lines = dictionary.lines(date=int(saved.stat().st_mtime))
    text = "".join(f"{line}\n" for line in lines)
    (output / FILE).write_text(text, encoding="utf-8", newline="")
