"""How the files of a corpus are read."""

import dataclasses
from typing import Literal, NamedTuple

from pipeline.config import option

# Tokens, about, that a held-out split has at most: each epoch reads all of valid.
HELD_OUT_TOKENS = 2_000_000


class Section(NamedTuple):
    """The bytes of a file from `start` up to `stop`."""

    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class ReadingConfig:
    """How the files of a corpus are read."""

    text_column: str = option("", "Column of tables, JSON, Parquet and data sets that holds text; \"reviews.text\" is one inside another.  [default: text, or else the one that clearly holds text]")  # fmt: skip
    separator: str = option("", "Character between the cells of .csv and .tsv, or tab.  [default: found by looking]")  # fmt: skip
    group_column: str = option(
        "", "Column of tables: rows with the same value, versions of one text, share a split."
    )
    strict: bool = option(False, "Stop at a file that cannot be read, instead of skipping it.")
    format: str = option("", "Format of all files, as files.csv names it.  [default: of each, found by its content and name]")  # fmt: skip
    speaker: tuple[str, ...] = option((), "Keep only this person's messages in chats; may be repeated.")  # fmt: skip
    mask: Literal["chats", "all", "none"] = option("chats", "Texts in which numbers of phones, documents and accounts, e-mail and web addresses become █.")  # fmt: skip
    section: Section | None = None  # of a file, if not all of it is read


DEFAULT_READING = ReadingConfig()
