"""The words that fine-tuning has added to a vocabulary: the last ids, listed in new_words.tsv."""

from pathlib import Path

from pipeline import InputError
from pipeline.limits import check_file
from pipeline.text.vocabulary import Vocabulary

# Written by every training that goes on from a trained model.
NEW_WORDS = "new_words.tsv"


def save_new_words(folder: Path, vocabulary: Vocabulary, *, first: int) -> None:
    """Write new_words.tsv: token, display and count in the new text, most frequent first.

    Args:
        folder: to write into.
        vocabulary: of the fine-tuned model.
        first: id of the first new word.
    """
    columns = vocabulary.tokens, vocabulary.displays, vocabulary.counts
    rows = [*zip(*columns, strict=True)][first:]
    with (folder / NEW_WORDS).open("w", encoding="utf-8", newline="") as file:
        for row in sorted(rows, key=lambda row: -row[2]):
            file.write("\t".join(map(str, row)) + "\n")


def load_new_words(folder: Path) -> list[tuple[str, str, int]]:
    """Return the rows of new_words.tsv.

    Raises:
        InputError: there is none, or its words are not the last ones of the vocabulary.
    """
    path = folder / NEW_WORDS
    if not path.exists():
        raise InputError(
            f"The model in {folder} was not fine-tuned: name a folder that `nextword train --init` "
            "wrote with --training."
        )
    tokens = Vocabulary.load(folder / "vocabulary.tsv").tokens
    check_file(path)
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        rows = [(t, d, int(n)) for t, d, n in (line.split("\t") for line in lines if line)]
    except (OSError, ValueError):
        rows = [("", "", 0)]
    if sorted(row[0] for row in rows) != sorted(tokens[len(tokens) - len(rows) :]):
        raise InputError(
            f"{path} does not list the last words of vocabulary.tsv beside it: run `nextword "
            "train --init` again, and forget words with `nextword personal --forget`."
        )
    return rows


def first_new_id(folder: Path) -> int:
    """Return the id of the first word that fine-tuning has added to a model; V if none has."""
    new = len(load_new_words(folder)) if (folder / NEW_WORDS).exists() else 0
    return len(Vocabulary.load(folder / "vocabulary.tsv")) - new
