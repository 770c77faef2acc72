"""Lists of words with their counts: that of the library wordfreq, or a file."""

import heapq
import logging
import math
from pathlib import Path

from pipeline import InputError
from pipeline.text.rare_words import MOST, WordList

log = logging.getLogger(__name__)

# The name of the library's list (Speer 2022, doi:10.5281/zenodo.7199437).
WORDFREQ = "wordfreq"
# Words that wordfreq's frequencies are counted in here.
_BILLION = 1e9
# Letters of the longest word that is kept.
LONGEST = 50


def read_list(name: str) -> WordList:
    """Read the Portuguese list of `WORDFREQ`, or a file of that name.

    A file has a word a line, or a word, a tab and its count, and is in UTF-8.

    Raises:
        InputError: wordfreq is not installed, or the file is no list of words.
    """
    if name == WORDFREQ:
        return _wordfreq()
    words = _read_file(Path(name))
    if not words:
        raise InputError(f"{name} holds no word: write one a line, or name another file.")
    return WordList(tuple(words), tuple(words.values()))


def trim(listed: WordList, name: str) -> WordList:
    """Return the most frequent words that are not too long, and log what was left out."""
    rows = zip(listed.words, listed.counts, strict=True)
    kept = [(word, count) for word, count in rows if len(word) <= LONGEST]
    if skipped := len(listed) - len(kept):
        message = "Skipped %d of the %d words in %s, which have more than %d letters."
        log.warning(message, skipped, len(listed), name, LONGEST)
    if len(kept) > MOST:
        message = "%s has %s words: the %s most frequent are kept."
        log.warning(message, name, f"{len(kept):,}", f"{MOST:,}")
        kept = heapq.nlargest(MOST, kept, key=lambda row: row[1])
    return WordList(*zip(*kept, strict=True)) if kept else WordList()


def _wordfreq() -> WordList:
    try:
        import wordfreq
    except ImportError as error:
        raise InputError(
            "The lexicon wordfreq needs the library: `pip install 'nextword-pt[lexicon]'`, or name "
            "a file of words."
        ) from error
    frequencies = {
        word: _BILLION * frequency
        for word, frequency in wordfreq.get_frequency_dict("pt", "best").items()
        if "00" not in word  # it writes every digit of longer numbers so: xbox000
    }
    return WordList(tuple(frequencies), tuple(frequencies.values()))


def _read_file(path: Path) -> dict[str, float]:
    """Return the words of a file with the sums of their counts."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"No words can be read from {path}: name a UTF-8 file with a word a line, or a word, a "
            "tab and its count."
        ) from error
    words: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        word, *rest = line.strip().split("\t")
        if not word:
            continue
        try:
            (count,) = map(float, rest or ["1"])
        except ValueError:
            count = -1.0
        if len(word.split()) != 1 or "\0" in word or not 0 <= count < math.inf:
            raise InputError(
                f"Line {number} of {path} is not a word, or a word, a tab and its count: mend it, "
                "or name another file."
            )
        words[word.strip()] = words.get(word.strip(), 0.0) + count
    return {word: count for word, count in words.items() if count}
