"""Join the halves of words that are cut at the end of a line."""

import collections
import re
from collections.abc import Iterable

_HYPHENATED = re.compile(r"[^\W_]+(?:-[^\W_]+)*")

# Pronouns that follow a verb and a hyphen (disse-lhe), old spellings included.
_CLITICS = set("me te se lhe nos vos lhes o a os as lo la los las no na mo ma to ta".split())


def count_whole_words(lines: Iterable[str]) -> collections.Counter[str]:
    """Count words, except the halves of words that are split at the end of a line."""
    words: collections.Counter[str] = collections.Counter()
    split = False
    for line in lines:
        found = _HYPHENATED.findall(line.lower())
        first, split = int(split), line.endswith("-")
        words.update(found[first : len(found) - split])
    return words


def join(
    first: str, second: str, words: collections.Counter[str], syllables: bool
) -> tuple[str, str]:
    """Return two lines to concatenate; a hyphen stays only if it belongs to the word."""
    if first.endswith("\N{SOFT HYPHEN}"):
        return first[:-1], second
    if not first.endswith("-"):
        return f"{first} ", second
    if second.startswith("-"):  # Portuguese printers repeat the hyphen
        return first, second[1:]
    heads = _HYPHENATED.findall(first.rpartition(" ")[2].lower())
    tail = _HYPHENATED.match(second.lower())
    if not (first[-2:-1].isalnum() and heads and tail):
        return f"{first} ", second
    hyphened, plain = words[f"{heads[-1]}-{tail[0]}"], words[heads[-1] + tail[0]]
    keep = hyphened > plain
    if hyphened == plain:
        halves = (heads[-1].rpartition("-")[2], tail[0].partition("-")[0])
        keep = not syllables or all(
            half in _CLITICS or words[half] or half.isdecimal() for half in halves
        )
    return (first if keep else first[:-1]), second
