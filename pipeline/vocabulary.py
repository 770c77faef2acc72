"""The tokens a model knows, and the choices of the tokenizer that made them."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, get_args

from pipeline import InputError

UNKNOWN, UNKNOWN_ID = "<unk>", 0
BEGIN, BEGIN_ID = "<s>", 1
# Every number is this token where the vocabulary has them as one class. What a person types can
# never be mistaken for it: "<num>" is cut into three tokens.
NUMBER = "<num>"

Case = Literal["fold", "keep"]
Numbers = Literal["keep", "class"]


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tokens a model knows, in id order; rows 0 and 1 are `<unk>` and `<s>`.

    Attributes:
        tokens: what the model sees.
        displays: the form people write in mid-sentence, what suggestions show.
        counts: occurrences in the training split.
        case: "fold", the model sees tokens in lower case; "keep", as they are written.
        numbers: "keep", the model sees numbers as they are written; "class", each as `<num>`.
    """

    tokens: Sequence[str]
    displays: Sequence[str]
    counts: Sequence[int]
    case: Case = "fold"
    numbers: Numbers = "keep"

    def __len__(self) -> int:
        return len(self.tokens)

    def same_ids(self, other: "Vocabulary") -> bool:
        """Whether any text has the same ids in both."""
        return (self.tokens, self.case, self.numbers) == (other.tokens, other.case, other.numbers)

    def save(self, path: Path) -> None:
        """Write one row per id: token, display, count, separated by tabs.

        `case` and `numbers` go into tokenizer.json beside it.
        """
        with path.open("w", encoding="utf-8", newline="") as file:
            for row in zip(self.tokens, self.displays, self.counts, strict=True):
                file.write("\t".join(map(str, row)) + "\n")
        choices = {"case": self.case, "numbers": self.numbers}
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
            if len(row) != 3 or not row[2].isdecimal():
                raise InputError(
                    f"Line {number} of {path} is not a token, its display and its count: run the "
                    "stage that writes it again."
                )
        tokens, displays, counts = zip(*rows, strict=True)
        if tokens[:2] != (UNKNOWN, BEGIN):
            raise InputError(
                f"{path} does not begin with the rows {UNKNOWN} and {BEGIN}: run the stage that "
                "writes it again."
            )
        case, numbers = _load_choices(choices_path(path))
        return cls(tokens, displays, tuple(map(int, counts)), case, numbers)


def choices_path(path: Path) -> Path:
    """The tokenizer.json that belongs to a vocabulary.tsv."""
    return path.with_name("tokenizer.json")


def _load_choices(path: Path) -> tuple[Case, Numbers]:
    try:
        choices = json.loads(path.read_text(encoding="utf-8"))
        case, numbers = choices["case"], choices["numbers"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The tokenizer's choices cannot be read from {path}: run `nextword tokenize` again."
        ) from error
    if case not in get_args(Case) or numbers not in get_args(Numbers):
        raise InputError(
            f"{path} has choices that no tokenizer knows: run `nextword tokenize` again."
        )
    return case, numbers
