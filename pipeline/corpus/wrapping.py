"""Find the width at which lines were wrapped, and which lines continue a paragraph."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.text.sentences import sentence_end

MIN_WIDTH = 50  # characters; lines broken before are verse
# Characters of proportional type, in the single-byte encoding that has them all.
_NARROW = "iíjlrtfI.,;:!|'’\"“”()[] -".encode("cp1252")
_WIDE = "mwMW—…%".encode("cp1252")
PARAGRAPH_END = sentence_end(also=":;")
# A dash of dialogue, the name of a speaker in a play, a heading.
_PARAGRAPH_OPENS = re.compile(r"[—–-]|[A-ZÁÂÃÉÊÍÓÔÕÚÇ. ]+[—–]|(?i:capítulo)\b")


class Wrapping(NamedTuple):
    """The width at which lines were wrapped, in characters (of average width if proportional)."""

    width: float
    support: int  # number of lines that show it
    # Of each line before another, by index: its length, alone and with the next line's first word.
    lengths: dict[int, tuple[float, float]]


def _proportional_length(line: str) -> float:
    """Return the length of a line in proportional type, in characters of average width."""
    characters = line.encode("cp1252", errors="replace")
    narrow = len(characters) - len(characters.translate(None, _NARROW))
    wide = len(characters) - len(characters.translate(None, _WIDE))
    return len(line) - 0.4 * narrow + 0.5 * wide


def opens_in_lower_case(line: str) -> bool:
    return line.lstrip()[:1].islower()


def find_wrapping(lines: Sequence[str]) -> Wrapping | None:
    """Find the width at which lines were wrapped, if they were.

    Where the next line opens in lower case, the width is between the line's length and its length
    with the next word. The width in most of these intervals is taken; it must explain most of
    these lines, and enough of all long ones.
    """
    pairs = {
        place: (line, after)
        for place, (line, after) in enumerate(itertools.pairwise(lines))
        if line and after
    }
    continued = [place for place, (_, after) in pairs.items() if opens_in_lower_case(after)]
    if not continued:
        return None
    best = Wrapping(0.0, 0, {})
    measures: tuple[Callable[[str], float], ...] = (len, _proportional_length)
    for measure in measures:
        if best.support > 0.95 * len(continued):  # monospaced type explains them
            break
        lengths = {
            place: (measure(line), measure(f"{line} {after.split(maxsplit=1)[0]}"))
            for place, (line, after) in pairs.items()
        }
        edges = [(lengths[place][0], 1) for place in continued]
        edges += [(lengths[place][1], -1) for place in continued]
        depth = 0
        for edge, step in sorted(edges):
            depth += step
            if depth > best.support:
                best = Wrapping(edge, depth, lengths)
    long = sum(length > 0.85 * best.width for length, _ in best.lengths.values())
    if best.width < MIN_WIDTH or best.support < max(len(continued) / 2, long / 3):
        return None
    return best


def continues(lines: Sequence[str], place: int, wrapping: Wrapping) -> bool:
    """Return whether the paragraph of a line continues on the next line."""
    if place not in wrapping.lengths:
        return False
    width, (length, with_next_word) = wrapping.width, wrapping.lengths[place]
    line, after = lines[place : place + 2]
    start = after.lstrip()
    full = with_next_word > width
    if start[0].islower():
        return full or length > 0.67 * width
    if wrapping.support < 2:  # a single line may have been broken anywhere
        return False
    if not PARAGRAPH_END.search(line):
        heading = line.isupper() and not start.isupper()
        return (full or length > 0.85 * width) and not heading
    indented = len(after) - len(start) > len(line) - len(line.lstrip())
    opens = _PARAGRAPH_OPENS.match(start) or start.isupper() or indented
    # A line longer than the width was joined by an earlier repair: it may not have been full.
    return full and not opens and length < 1.05 * width
