"""The tokens a model knows, and the choices of the tokenizer that made them."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, get_args

from pipeline import InputError

UNKNOWN, UNKNOWN_ID = "<unk>", 0
BEGIN, BEGIN_ID = "<s>", 1
# Every number is this token where the vocabulary has them as one class. What a person types can
# never be mistaken for it: "<num>" is cut into three tokens.
NUMBER = "<num>"
# A piece of a word that ends with it closes the word; SentencePiece's sign.
MARK = "▁"
# The pieces that stand for one byte each.
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))

Case = Literal["fold", "keep"]
Numbers = Literal["keep", "class"]
Unit = Literal["word", "subword"]


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tokens a model knows, in id order; rows 0 and 1 are `<unk>` and `<s>`.

    Attributes:
        tokens: what the model sees: words, or pieces of words.
        displays: the form people write in mid-sentence, what suggestions show; nothing for a
            piece that no word of training begins with.
        counts: occurrences in the training split.
        case: "fold", the model sees tokens in lower case; "keep", as they are written.
        numbers: "keep", the model sees numbers as they are written; "class", each as `<num>`.
        unit: "word", every token has one id; "subword", as many as it has pieces.
        scores: for subwords ln p of each piece, by which tokens are cut; else empty.
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
        """Whether any text has the same ids in both."""
        mine, others = ((v.tokens, v.case, v.numbers, v.unit, v.scores) for v in (self, other))
        return mine == others

    def extends(self, other: "Vocabulary") -> bool:
        """Whether all tokens of the other have the same ids here; more may come after them."""
        first = dataclasses.replace(
            self, tokens=self.tokens[: len(other)], scores=self.scores[: len(other)]
        )
        return first.same_ids(other)

    def grown(self, found: "Vocabulary", *, new_words: int, min_count: int) -> "Vocabulary":
        """This vocabulary, and after it the most frequent new tokens of another text.

        Ids and displays stay. Counts are those of both texts; what stays unknown counts as
        `<unk>`. Where tokens are pieces of words nothing is new: any word has its pieces already.

        Args:
            found: all tokens of the other text, the most frequent first, with the same choices.
            new_words: at most so many tokens come to these.
            min_count: those that are rarer in the other text stay out.
        """
        if self.unit == "subword":
            return self
        ids = {token: i for i, token in enumerate(self.tokens)}
        tokens, displays, counts = [*self.tokens], [*self.displays], [*self.counts]
        for token, display, count in zip(found.tokens, found.displays, found.counts, strict=True):
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

    def closes(self) -> list[bool]:
        """Whether each id ends a token; all do but the pieces of words that others follow."""
        if self.unit == "word":
            return [True] * len(self)
        return [i <= BEGIN_ID or token.endswith(MARK) for i, token in enumerate(self.tokens)]

    def spellings(self) -> list[str]:
        """The letters of each token, without `MARK`."""
        return [token.removesuffix(MARK) for token in self.tokens]

    def save(self, path: Path) -> None:
        """Write one row per id: token, display, count, separated by tabs; for subwords also ln p.

        The choices go into tokenizer.json beside it.
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
            InputError: a file is missing or holds something else.
        """
        try:
            lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"No vocabulary can be read from {path}: run `nextword tokenize` first."
            ) from error
        rows = [line.split("\t") for line in lines]
        for number, row in enumerate(rows, start=1):
            if not _is_row(row) or len(row) != len(rows[0]):
                raise InputError(
                    f"Line {number} of {path} is not a token, its display and its count: run the "
                    "stage that writes it again."
                )
        tokens, displays, counts, *scores = zip(*rows, strict=True)
        if tokens[:2] != (UNKNOWN, BEGIN):
            raise InputError(
                f"{path} does not begin with the rows {UNKNOWN} and {BEGIN}: run the stage that "
                "writes it again."
            )
        case, numbers, unit = _load_choices(choices_path(path))
        whole = bool(scores) and {MARK, *BYTES} <= set(tokens)
        if (unit == "subword") != whole:
            raise InputError(
                f"{path} does not fit {choices_path(path)}: run the stage that writes them again."
            )
        return cls(
            tokens,
            displays,
            tuple(map(int, counts)),
            case,
            numbers,
            unit,
            tuple(float(score) for column in scores for score in column),
        )


def _is_row(row: Sequence[str]) -> bool:
    if len(row) not in (3, 4) or not row[2].isdecimal():
        return False
    try:
        return all(math.isfinite(float(score)) for score in row[3:])
    except ValueError:
        return False


def check_same_ids(vocabulary: Vocabulary, training: Path, tokens: Path) -> None:
    """See that a trained model has the vocabulary of a folder of tokens.

    Raises:
        InputError: it has another.
    """
    if not vocabulary.same_ids(Vocabulary.load(training / "vocabulary.tsv")):
        raise InputError(
            f"The model in {training} was trained with another vocabulary than {tokens}: name the "
            "tokens that it was trained on with --tokens, or train it again on these."
        )


def choices_path(path: Path) -> Path:
    """The tokenizer.json that belongs to a vocabulary.tsv."""
    return path.with_name("tokenizer.json")


def _load_choices(path: Path) -> tuple[Case, Numbers, Unit]:
    try:
        choices = json.loads(path.read_text(encoding="utf-8"))
        case, numbers, unit = choices["case"], choices["numbers"], choices["unit"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The tokenizer's choices cannot be read from {path}: run `nextword tokenize` again."
        ) from error
    if case not in get_args(Case) or numbers not in get_args(Numbers) or unit not in get_args(Unit):
        raise InputError(
            f"{path} has choices that no tokenizer knows: run `nextword tokenize` again."
        )
    return case, numbers, unit
