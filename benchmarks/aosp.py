"""Keys saved on an Android keyboard: the dictionary that a model writes, beside plain ones.

    nextword export --format aosp --lexicon wordfreq
    python benchmarks/aosp.py [--dictionary models/aosp] [--other FOLDER …]

A typist writes the held-out splits of folders of tokens, which must have the model's vocabulary.
Four dictionaries are compared: the words of the exported one, without pairs and with f from the
frequencies of the lexicon; the same with the model's f; words and pairs made in the same way of
what was counted in the training split; and the exported one as it is.

The keyboard is AOSP's LatinIME as far as it matters to a typist who makes no errors. Before any
letter it offers what follows the word before, by the f of the pair; then what begins with the typed
letters, with or without its accents, by

    score = 1 - (1.1214 (255 - f) / 255 + completion) / (1.1214 + 0.1 letters)

(TypingScoring, TypingWeighting, ScoringParams). f is that of the pair as dicttool stores it, or
else that of the word. completion is 0.4836, and 0.00624 for each letter after the next one; a word
that is typed in full has none, and scores 1.1 more, or 1.08 where an accent is missing. Of equal
scores the shorter word is first. After a mark, at the beginning of a paragraph or after a word that
is not listed, nothing is known of the text.

Left out are the keys near the one that is pressed, which LatinIME tries as well, the limits of its
beam, and what a keyboard learns from its owner. Often one place of three shows what has been typed:
`--suggestions 2`.
"""

import argparse
import collections
import dataclasses
import heapq
import itertools
import tempfile
from pathlib import Path

import numpy as np
import rich
import rich.table

from pipeline.evaluation.held_out import HeldOutText, open_split
from pipeline.evaluation.keystrokes import SUGGESTIONS, pressed_keys, unaided_keys
from pipeline.export.aosp import FILE, encode, make_dictionary
from pipeline.export.config import AospConfig
from pipeline.export.expected import Expected, Pairs
from pipeline.text.lexicon import Lexicon
from pipeline.text.suggestible import strip_accent, suggestible
from pipeline.text.vocabulary import UNKNOWN_ID, Vocabulary, check_same_ids
from pipeline.tokens.windows import open_stream

Following = dict[str, dict[str, int]]


def read_combined(path: Path) -> tuple[dict[str, int], Following]:
    """Read the f of words and of pairs; in lower case, since the typist's capitals do not count."""
    f: dict[str, int] = {}
    pairs: Following = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        fields = dict(field.split("=", 1) for field in line.strip().split(","))
        if "word" in fields:
            word = fields["word"].lower()
            f[word] = max(f.get(word, 0), int(fields["f"]))
        else:
            pairs.setdefault(word, {})[fields["bigram"].lower()] = int(fields["f"])
    return f, pairs


def stored(f: int, pair: int) -> int:
    """What LatinIME reads of the f of a pair, from that and the f of its second word."""
    step = (255 - f) / 16.5
    code = max(0, int((max(pair, f) - (1 + f + step / 2)) / step))
    return f + int((code + 1) * step)


def bare(word: str) -> str:
    return "".join(map(strip_accent, word))


@dataclasses.dataclass
class Keyboard:
    """Suggests words of a dictionary for some typed beginnings of words, and no others."""

    f: dict[str, int]
    pairs: Following
    typed: set[str]
    suggestions: int

    def __post_init__(self) -> None:
        self.pairs = {
            first: {second: stored(self.f[second], f) for second, f in seconds.items()}
            for first, seconds in self.pairs.items()
        }
        self._bare = {word: bare(word) for word in self.f}
        self._asked: dict[tuple[str, str], list[str]] = {}
        begun = collections.defaultdict(list)
        for word in self.f:
            letters = [{letter, strip_accent(letter)} for letter in word]
            for length in range(1, len(word) + 1):
                for spelled in itertools.product(*letters[:length]):
                    if (typed := "".join(spelled)) in self.typed:
                        begun[typed].append(word)
        self._best = {
            typed: self._top({word: self.f[word] for word in words}, typed)
            for typed, words in begun.items()
        }

    def suggest(self, before: str, typed: str) -> list[str]:
        """Return the words to choose from after a word and the first letters of the next."""
        if (before, typed) not in self._asked:
            following = self.pairs.get(before, {})
            f = {word: self.f[word] for word in self._best.get(typed, [])}
            f |= {word: f for word, f in following.items() if self._fits(word, typed)}
            self._asked[before, typed] = self._top(f, typed)
        return self._asked[before, typed]

    def _top(self, f: dict[str, int], typed: str) -> list[str]:
        return heapq.nsmallest(self.suggestions, f, lambda word: self._rank(word, typed, f[word]))

    def _fits(self, word: str, typed: str) -> bool:
        letters = zip(typed, word, self._bare[word], strict=False)
        return len(typed) <= len(word) and all(t in (own, plain) for t, own, plain in letters)

    def _rank(self, word: str, typed: str, f: int) -> tuple[float, int, str]:
        """Sort key: the best word has the least."""
        cost, rest = 1.1214 * (255 - f) / 255, len(word) - len(typed)
        if rest and typed:
            cost += 0.4836 + 0.00624 * (rest - 1)
        score = 1 - cost / (1.1214 + 0.1 * len(typed))
        if not rest:
            score += 1.1 if word == typed else 1.08
        return -score, len(word), word


def words_of(text: HeldOutText, vocabulary: Vocabulary) -> list[str]:
    """Return the tokens of a text in lower case."""
    unknown = iter(text.unknown)
    return [
        next(unknown).lower() if i == UNKNOWN_ID else vocabulary.displays[i].lower()
        for i in text.stream[:].tolist()
    ]


def keys_saved(text: HeldOutText, vocabulary: Vocabulary, keyboard: Keyboard) -> float:
    """Return the share of keys that a typist saves."""
    places = []
    for before, word in itertools.pairwise(words_of(text, vocabulary)):
        letters = range(len(word) if word in keyboard.f else 0)
        found = (n for n in letters if word in keyboard.suggest(before, word[:n]))
        places.append(next(found, -1))
    unaided = unaided_keys(text.stream, text.letters, vocabulary)
    return 1 - pressed_keys(np.array(places), unaided).sum() / unaided.sum()


def counted(tokens: Path, is_word: np.ndarray) -> Expected:
    """Return how often each token, and each pair of words, stands in the training split."""
    stream, size = open_stream(tokens / "train.npy")[:].astype(np.int64), len(is_word)
    first, second = stream[:-1], stream[1:]
    pairs = (first * size + second)[is_word[first] & is_word[second]]
    keys, times = np.unique(pairs, return_counts=True)
    after = np.bincount(first[is_word[second] | (second == UNKNOWN_ID)], minlength=size)
    found = Pairs(keys // size, keys % size, times)
    return Expected(np.bincount(stream, minlength=size), after, found)


def made(
    arguments: argparse.Namespace, vocabulary: Vocabulary, folder: Path
) -> dict[str, tuple[dict[str, int], Following]]:
    """Return the f of words and pairs of each dictionary; `folder` is for files."""
    f, pairs = read_combined(arguments.dictionary / FILE)
    lexicon = Lexicon.load(arguments.training, vocabulary, arguments.lexicon)
    frequencies = encode(lexicon.frequencies_of([*f])).tolist()
    expected = counted(arguments.tokens, suggestible(vocabulary))
    config = AospConfig(words=len(f), bigrams=sum(map(len, pairs.values())))
    counts = make_dictionary(expected, lexicon, config)
    (folder / FILE).write_text("\n".join(counts.lines(date=0)), encoding="utf-8")
    return {
        "plain list": (dict(zip(f, frequencies, strict=True)), {}),
        "plain, the model's f": (f, {}),
        "counted": read_combined(folder / FILE),
        "exported": (f, pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--dictionary", type=Path, default=Path("models/aosp"))
    parser.add_argument("--training", type=Path, default=Path("models/training"))
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"), help="of the training")
    parser.add_argument("--other", type=Path, nargs="*", default=[], help="more folders of tokens")
    parser.add_argument("--lexicon", nargs="*", default=["wordfreq"], help="of the dictionary")
    parser.add_argument("--suggestions", type=int, default=SUGGESTIONS)
    arguments = parser.parse_args()
    vocabulary = Vocabulary.load(arguments.training / "vocabulary.tsv")
    texts = {}
    for folder in (arguments.tokens, *arguments.other):
        check_same_ids(Vocabulary.load(folder / "vocabulary.tsv"), arguments.training, folder)
        for split in ("valid", "test"):
            texts[f"{folder.name}, {split}"] = open_split(folder, split, vocabulary)
    with tempfile.TemporaryDirectory() as temporary:
        dictionaries = made(arguments, vocabulary, Path(temporary))
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("dictionary", "words", "pairs", *texts):
        table.add_column(heading, justify="left" if heading == "dictionary" else "right")
    all_words = {word for text in texts.values() for word in words_of(text, vocabulary)}
    typed = {word[:n] for word in all_words for n in range(1, len(word))}
    for name, (f, pairs) in dictionaries.items():
        keyboard = Keyboard(f, pairs, typed, arguments.suggestions)
        saved = [f"{keys_saved(text, vocabulary, keyboard):.1%}" for text in texts.values()]
        table.add_row(name, f"{len(f):,}", f"{sum(map(len, pairs.values())):,}", *saved)
    rich.print(table)


if __name__ == "__main__":
    main()
