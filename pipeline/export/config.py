"""What an exported model suggests."""

import dataclasses
from pathlib import Path

from pipeline.config import option

# `evaluate` has these two options, too, and measures what is exported with them.
CACHE = "Tokens that a continuous cache over the text remembers; 0 for none."
LEXICON = (
    "Words to suggest besides those of the training text: wordfreq, the library's Portuguese list, "
    "or a file with a word, or a word, a tab and its count, a line; may be repeated."
)


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What an exported model suggests."""

    suggestions: int = option(5, "Words suggested.", min=1)
    cache: int = option(0, CACHE, min=0)
    lexicon: tuple[str, ...] = option((), LEXICON)
    never_suggest: Path | None = option(
        None,
        "File of words that are never suggested, completed to, corrected to or generated: one a line; burr* means every word that begins so. A word with accents also stands for its form without.",
    )


@dataclasses.dataclass(frozen=True)
class AospConfig:
    """How large a dictionary for Android's keyboards is."""

    words: int = option(
        100_000, "Words of a dictionary (--format aosp), the most probable ones.", min=1
    )
    bigrams: int = option(100_000, "Pairs of words of a dictionary, the most frequent ones.", min=0)
