"""The words of a training text that are too rare for its vocabulary: rare.tsv."""

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline import InputError
from pipeline.limits import check_file

# Words of a list that are kept, the most frequent ones.
MOST = 100_000


@dataclasses.dataclass(frozen=True)
class WordList:
    """Words as they are written, with a count, or a frequency, each."""

    words: Sequence[str] = ()
    counts: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.words)


def load_rare(folder: Path) -> WordList:
    """Read the rare.tsv in a folder; the list is empty if there is none.

    Raises:
        InputError: it is damaged.
    """
    path = folder / "rare.tsv"
    if not path.exists():
        return WordList()
    check_file(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        columns = [line.split("\t") for line in lines]
        rows = [(display, int(count)) for _, display, count in columns]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a list of words, their displays and their counts: run the stage that "
            "writes it again."
        ) from error
    return WordList(*zip(*rows, strict=True)) if rows else WordList()


def drop_rare(folder: Path, tokens: Collection[str]) -> set[str]:
    """Take tokens, as the model sees them, out of the rare.tsv in a folder; return those it had."""
    path = folder / "rare.tsv"
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    by_token = {line.split("\t")[0]: line for line in lines}
    kept = [line for token, line in by_token.items() if token not in tokens]
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8", newline="")
    return {*by_token} & {*tokens}
