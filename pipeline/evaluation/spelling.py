"""How many spelling errors a model mends, and how many right words it alters."""

import csv
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import rich
import rich.box
import rich.table
import tensorflow as tf
from rich.markup import escape

from pipeline import InputError
from pipeline.evaluation.intervals import share_interval
from pipeline.evaluation.report.language import ENGLISH
from pipeline.progress import progress_bar

_COLUMNS = ("sentence", "typed", "right", "error")
# Words corrected at once.
_BATCH = 32

# The signature `correct` of an exported model.
Correct = Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class TypedWord:
    """A word of a corpus of errors.

    Attributes:
        sentence: number of the sentence.
        text: what was typed before it in the sentence, with all errors.
        typed: the word as it was typed.
        right: what was meant; "" if the corpus does not say.
        error: kind of error; "" for none.
    """

    sentence: str
    text: str
    typed: str
    right: str
    error: str


def read_spelling(path: Path) -> list[TypedWord]:
    """Read a table of tokens as they were typed, in order, separated by tabs.

    Columns are `sentence`, its number; `typed`; `error`, a kind of error, empty for none; and
    `right`, what was meant where there is an error. Other columns are ignored.

    Raises:
        InputError: it is no such table, or marks no error.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: name a table in UTF-8.") from error
    if not rows or not {*_COLUMNS} <= {*rows[0][1]}:
        raise InputError(
            f"{path} does not have the columns {', '.join(_COLUMNS)}, separated by tabs: name a "
            "table of typed words."
        )
    words: list[TypedWord] = []
    before = ""
    for number, row in rows:
        if any(row[column] is None for column in _COLUMNS):
            raise InputError(f"Line {number} of {path} has too few columns: repair it.")
        if None in row:  # where DictReader puts them
            raise InputError(f"Line {number} of {path} has too many columns: repair it.")
        if not words or words[-1].sentence != row["sentence"]:
            before = ""
        sentence, typed, right, kind = (row[column] for column in _COLUMNS)
        words.append(TypedWord(sentence, before, typed, right if kind else typed, kind))
        before = f"{before} {typed}"
    if not any(word.error and word.right for word in words):
        raise InputError(f"{path} marks no error: name a table that has some.")
    return words


def correct_all(words: Sequence[TypedWord], correct: Correct) -> pd.DataFrame:
    """Correct every word, whatever stands after it.

    Returns:
        Columns `sentence`, `typed`, `right`, `error`; `first`, the most probable word; `sure`.
    """
    first: list[str] = []
    sure: list[bool] = []
    with progress_bar() as progress:
        bar = progress.add_task("spelling", total=len(words), report="")
        for start in range(0, len(words), _BATCH):
            batch = words[start : start + _BATCH]
            texts, typed = ([getattr(word, name) for word in batch] for name in ("text", "typed"))
            answer = correct(tf.constant(texts), tf.constant(typed))
            first += [word.decode() for word in answer["words"][:, 0].numpy().tolist()]
            sure += answer["sure"].numpy().tolist()
            progress.update(bar, advance=len(batch))
    table = pd.DataFrame([dataclasses.asdict(word) for word in words]).drop(columns="text")
    return table.assign(first=first, sure=sure)


def spelling_metrics(table: pd.DataFrame) -> pd.DataFrame:
    """Count what was mended, by kind of error.

    An error is mended if the correction is sure and is what was meant, in any case. Errors whose
    right form the corpus does not give cannot be counted.

    Args:
        table: as `correct_all` returns it.

    Returns:
        A row for each kind, most frequent first, for "all" errors, and for "false alarms", right
        words that were altered: `kind`, `words`, `counted`, `share`, and its 95 % interval `low`
        to `high`, where words of a sentence depend on each other.
    """
    right = table["first"].str.lower() == table["right"].str.lower()
    wrong = table["error"] != ""
    mended = table["sure"] & right & wrong
    counted = wrong & (table["right"] != "")
    kinds = table["error"][counted].value_counts().index
    rows = [(kind, counted & (table["error"] == kind), mended) for kind in kinds]
    rows += [("all", counted, mended), ("false alarms", ~wrong, table["sure"])]
    sentences = table["sentence"].to_numpy()
    counts = []
    for kind, of, yes in rows:
        answers = yes[of].to_numpy(float)
        counts.append(
            (kind, len(answers), int(answers.sum()), *share_interval(answers, sentences[of]))
        )
    return pd.DataFrame(
        counts,
        columns=["kind", "words", "counted", "share", "low", "high"],
    )


def load_spelling(path: Path) -> pd.DataFrame:
    """Read what `spelling_metrics` counted from a CSV; a kind of error may be called NA."""
    empty = {name: [""] for name in ("share", "low", "high")}
    return pd.read_csv(path, dtype={"kind": str}, keep_default_na=False, na_values=empty)


def print_spelling(evaluation: Path) -> None:
    """Print the spelling.csv in a folder that `evaluate` wrote."""
    printed = rich.table.Table(
        title="Typing errors corrected, and right words altered", title_justify="left",
        box=rich.box.SIMPLE_HEAD, padding=0,
    )  # fmt: skip
    printed.add_column("error")
    for heading in ("words", "corrected", "share", "95% interval"):
        printed.add_column(f" {heading}", justify="right")
    for row in load_spelling(evaluation / "spelling.csv").to_dict("records"):
        interval = f"{ENGLISH.percent(row['low'])}–{ENGLISH.percent(row['high'])}"
        printed.add_row(
            *(escape(row["kind"]), f"{row['words']:,}", f"{row['counted']:,}"),
            *(ENGLISH.percent(row["share"]), interval),
        )
    rich.print(printed)
