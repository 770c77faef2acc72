"""The tokens a model knows, and the choices of the tokenizer that made them."""

import dataclasses
import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, Self, get_args

from pipeline import InputError
from pipeline.limits import check_file, read_json

UNKNOWN, UNKNOWN_ID = "<unk>", 0
BEGIN, BEGIN_ID = "<s>", 1
# Stands for every number where numbers are one class. A typed "<num>" is three other tokens.
NUMBER = "<num>"
# Ends the last piece of each word, as in SentencePiece.
MARK = "▁"
# The pieces that stand for one byte each.
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))

Case = Literal["fold", "keep"]
Numbers = Literal["keep", "class"]
Unit = Literal["word", "subword"]


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tokens a model knows, in id order; the first two are `<unk>` and `<s>`.

    Attributes:
        tokens: as the model sees them; words or pieces of words.
        displays: as people write them in mid-sentence, for suggestions; "" for a piece that
            begins no word of the training split.
        counts: occurrences in the training split.
        case: "fold" for tokens in lower case, "keep" for tokens as they are written.
        numbers: "keep" for numbers as they are written, "class" for each as `<num>`.
        unit: "word" for one id per token, "subword" for one id per piece.
        scores: log-probability of each piece, by which tokens are segmented; empty for words.
    """

    tokens: Sequence[str]
    displays: Sequence[str]
    counts: Sequence[int]
    case: Case = "fold"
    numbers: Numbers = "keep"
    unit: Unit = "word"
    scores: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    def same_ids(self, other: "Vocabulary") -> bool:
        """Return whether any text has the same ids in both."""
        mine, others = ((v.tokens, v.case, v.numbers, v.unit, v.scores) for v in (self, other))
        return mine == others

    def extends(self, other: "Vocabulary") -> bool:
        """Return whether this is the other vocabulary, with or without more tokens after it."""
        first = dataclasses.replace(
            self, tokens=self.tokens[: len(other)], scores=self.scores[: len(other)]
        )
        return first.same_ids(other)

    def grown(self, counted: "Vocabulary", *, new_words: int, min_count: int) -> "Vocabulary":
        """Return this vocabulary with the most frequent new tokens of another text after it.

        Ids and displays stay. Counts are those of both texts; tokens left out count as `<unk>`.
        Subwords stay as they are, since any word has pieces already.

        Args:
            counted: all tokens of the other text, most frequent first, of the same choices.
            new_words: maximum number of new tokens.
            min_count: minimum occurrences of a new token in the other text.
        """
        if self.unit == "subword":
            return self
        ids = {token: i for i, token in enumerate(self.tokens)}
        tokens, displays, counts = [*self.tokens], [*self.displays], [*self.counts]
        rows = zip(counted.tokens, counted.displays, counted.counts, strict=True)
        for token, display, count in rows:
            if token in ids:
                counts[ids[token]] += count
            elif count >= min_count and len(tokens) < len(self) + new_words:
                tokens.append(token)
                displays.append(display)
                counts.append(count)
            else:
                counts[UNKNOWN_ID] += count
        return dataclasses.replace(
            self, tokens=tuple(tokens), displays=tuple(displays), counts=tuple(counts)
        )

    def without(self, ids: Collection[int]) -> "Vocabulary":
        """Return this vocabulary without some words, which count as `<unk>`; later ids move up."""
        kept = [i for i in range(len(self)) if i not in ids]
        counts = [*self.counts]
        counts[UNKNOWN_ID] += sum(counts[i] for i in ids)
        return dataclasses.replace(
            self,
            tokens=tuple(self.tokens[i] for i in kept),
            displays=tuple(self.displays[i] for i in kept),
            counts=tuple(counts[i] for i in kept),
        )

    def closes(self) -> list[bool]:
        """Return whether each id ends a token."""
        if self.unit == "word":
            return [True] * len(self)
        return [i <= BEGIN_ID or token.endswith(MARK) for i, token in enumerate(self.tokens)]

    def spellings(self) -> list[str]:
        """Return the tokens without `MARK`."""
        return [token.removesuffix(MARK) for token in self.tokens]

    def save(self, path: Path) -> None:
        """Write a vocabulary.tsv, and the choices to tokenizer.json beside it.

        Each line is the token, display and count of an id, and for subwords the score.
        """
        columns = [self.tokens, self.displays, self.counts]
        if self.unit == "subword":
            columns.append(self.scores)
        with path.open("w", encoding="utf-8", newline="") as file:
            for row in zip(*columns, strict=True):
                file.write("\t".join(map(str, row)) + "\n")
        choices = {"case": self.case, "numbers": self.numbers, "unit": self.unit}
        choices_path(path).write_text(json.dumps(choices, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: a file is missing or damaged.
        """
        tokens, displays, counts, *scores = _read_columns(path)
        case, numbers, unit = _read_choices(choices_path(path))
        has_pieces = bool(scores) and {MARK, *BYTES} <= {*tokens}
        if (unit == "subword") != has_pieces:
            raise InputError(
                f"{path} does not fit {choices_path(path)}: run the stage that writes them again."
            )
        return cls(tokens, displays, counts, case, numbers, unit, *scores)


def _read_columns(path: Path) -> list[tuple]:
    check_file(path)
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"No vocabulary can be read from {path}: run `nextword tokenize` first."
        ) from error
    rows: list[tuple] = []
    for number, line in enumerate(lines, start=1):
        try:
            token, display, count, *scores = line.split("\t")
            rows.append((token, display, int(count), *map(float, scores)))
            valid = len(rows[-1]) == len(rows[0]) <= 4 and all(map(math.isfinite, rows[-1][2:]))
        except ValueError:
            valid = False
        if not valid:
            raise InputError(
                f"Line {number} of {path} is not a token, its display and its count: run the stage "
                "that writes it again."
            )
    if [row[0] for row in rows[:2]] != [UNKNOWN, BEGIN]:
        raise InputError(
            f"{path} does not begin with {UNKNOWN} and {BEGIN}: run the stage that writes it again."
        )
    return [*zip(*rows, strict=True)]


def _read_choices(path: Path) -> tuple[Case, Numbers, Unit]:
    unreadable = (
        f"The tokenizer's choices cannot be read from {path}: run `nextword tokenize` again."
    )
    choices = read_json(path, unreadable=unreadable)
    try:
        case, numbers, unit = choices["case"], choices["numbers"], choices["unit"]
    except (KeyError, TypeError) as error:
        raise InputError(unreadable) from error
    if case not in get_args(Case) or numbers not in get_args(Numbers) or unit not in get_args(Unit):
        raise InputError(
            f"{path} has choices that no tokenizer knows: run `nextword tokenize` again."
        )
    return case, numbers, unit


def choices_path(path: Path) -> Path:
    """Return the path of the tokenizer.json beside a vocabulary.tsv."""
    return path.with_name("tokenizer.json")


def check_same_ids(vocabulary: Vocabulary, training: Path, tokens: Path) -> None:
    """Check that a trained model has the vocabulary of a folder of tokens.

    Raises:
        InputError: it has another.
    """
    if not vocabulary.same_ids(Vocabulary.load(training / "vocabulary.tsv")):
        raise InputError(
            f"The model in {training} was trained with another vocabulary than {tokens}: name the "
            "tokens that it was trained on with --tokens, or train it again on these."
        )
