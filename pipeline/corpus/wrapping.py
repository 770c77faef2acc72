"""Find the widths at which lines were wrapped, and which lines continue a paragraph."""

import bisect
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pipeline.text.sentences import sentence_end

MIN_WIDTH = 50  # characters; lines broken before are verse
# Narrow (n) and wide (w) characters of proportional type, in the single-byte encoding that has
# them all.
_NARROW = "iíjlrtfI.,;:!|'’\"“”()[] -".encode("cp1252")
_WIDE = "mwMW—…%".encode("cp1252")
_TYPE = bytes(b"n"[0] if c in _NARROW else b"w"[0] if c in _WIDE else 0 for c in range(256))
PARAGRAPH_END = sentence_end(also=":;")
# A dash of dialogue, the name of a speaker in a play, a heading.
_PARAGRAPH_OPENS = re.compile(r"[—–-]|[A-ZÁÂÃÉÊÍÓÔÕÚÇ. ]+[—–]|(?i:capítulo)\b")
# What numbers the items of a list or the articles of a law.
ITEM = re.compile(
    r"""(?:
        \d{1,3}(?:\.\d{1,2}){1,5}[.)]? | \d{1,3}[.)ºª]?\s?[-–—.)]
      | \(?[a-zA-Z]\)\.? | [a-z]\s?[-–—.] | \(?[IVXLC]{1,6}(?:\)|\s?[-–—]) | [IVXLC]{2,6}\.
      | §+(?:\s?\d+)?[º.]? | Art\.\s?\d+[º.]* | [•●▪■◦*·]
    )\s""",
    re.VERBOSE,
)
_MAY_BE_ITEM = re.compile(r"(?:\d{1,3}|[IVXLC]{2,6})[.)]\s")  # or the end of a sentence
# Words before a number that is not the number of an item: "nos termos do | § 2º".
_NEEDS_MORE = re.compile(
    r"\b(?:(?:[ao]s?|d[aoe]s?|n[ao]s?|aos?|às?|à|pel[ao]s?|em|por|com|sob|que|entre|até|lei|decreto|"
    r"ite[mn]s?|subite[mn]s?|artigos?|incisos?|alíneas?|cláusulas?|parágrafos?|anexos?|páginas?)|"
    r"(?:arts?|p[áa]gs?|pp?|fls?|caps?|vol|n)\.?|n(?:\.[ºo°]|[º°])\.?)$",
    re.IGNORECASE,
)
_MIN_SUPPORT = 3  # lines
_MIN_ITEMS = 3
_MIN_STEP = 8  # characters from one width to the next: proportional type has all in between
# Automatic captions are wrapped at 32 to 42 characters, and have no marks.
_MIN_CAPTION = 25

Pairs = Mapping[int, tuple[str, str]]  # a line and the next, neither empty, by the line's index


class Wrapping(NamedTuple):
    """The widths at which lines were wrapped, in characters (of average width if proportional)."""

    width: float
    support: int  # number of lines that show it
    measure: Callable[[str], int]
    # Of each line before another, by index: its length, alone and with the next line's first word.
    lengths: Mapping[int, tuple[float, float]]
    share: float = 1.0  # of the lines that go on in lower case
    widths: Mapping[int, float] = {}  # of the lines wrapped at another width
    captions: bool = False
    blank_parted: bool = False  # whether an empty line ends each paragraph


def _monospaced_length(line: str) -> int:
    """Return the length of a line in tenths of a character."""
    return 10 * len(line)


def _proportional_length(line: str) -> int:
    """Return the length of a line in proportional type, in tenths of an average character."""
    characters = line.encode("cp1252", errors="replace").translate(_TYPE)
    return 10 * len(line) - 4 * characters.count(b"n") + 5 * characters.count(b"w")


def opens_in_lower_case(line: str) -> bool:
    return line.lstrip()[:1].islower()


def find_wrapping(lines: Sequence[str]) -> Wrapping | None:
    """Find the width at which lines were wrapped, or the widths, if they were.

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
    if len(continued) < 2:
        return None
    best = Wrapping(0.0, 0, _monospaced_length, {})
    measures: tuple[Callable[[str], int], ...] = (_monospaced_length, _proportional_length)
    for measure in measures:
        if best.support > 0.95 * len(continued):  # monospaced type explains them
            break
        lengths = measure_pairs(pairs, measure)
        width, support = _most_common_width(lengths, continued)
        if support > best.support:
            best = Wrapping(width, support, measure, lengths)
    if best.support < 0.8 * len(continued) and (
        several := _several_widths(lines, pairs, continued)
    ):
        best = several
    best = best._replace(share=best.support / len(continued))
    long = sum(length > 0.85 * best.width for length, _ in best.lengths.values())
    if best.support < max(len(continued) / 2, long / 3):
        return None
    # Two lines may be of one width by chance, as in chats, where sentences do not end either.
    if best.support < _MIN_SUPPORT:
        last = list(map(_ends_paragraph, _last_lines(lines)))
        if 2 * sum(last) < len(last):
            return None
    if best.width < MIN_WIDTH:
        best = best._replace(captions=_are_captions(lines, continued, best))
        return best if best.captions else None
    return best._replace(blank_parted=_is_blank_parted(lines, best))


def measure_pairs(pairs: Pairs, measure: Callable[[str], int]) -> dict[int, tuple[float, float]]:
    """Return the lengths of the first lines, alone and with the first word of the second."""
    words = dict[str, int]()  # with the space before
    lengths = {}
    for place, (line, after) in pairs.items():
        word = after.split(maxsplit=1)[0]
        if word not in words:
            words[word] = measure(f" {word}")
        length = measure(line)
        lengths[place] = (length / 10, (length + words[word]) / 10)
    return lengths


def _last_lines(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines before empty lines, and the last."""
    for line, after in itertools.pairwise([*lines, ""]):
        if line and not after:
            yield line


def _ends_paragraph(line: str) -> bool:
    return PARAGRAPH_END.search(line) is not None


def _most_common_width(
    lengths: Mapping[int, tuple[float, float]], continued: Sequence[int]
) -> tuple[float, int]:
    """Return the width in most of the intervals, and their number."""
    edges = [(lengths[place][0], 1) for place in continued]
    edges += [(lengths[place][1], -1) for place in continued]
    depth, width, support = 0, 0.0, 0
    for edge, step in sorted(edges):
        depth += step
        if depth > support:
            width, support = edge, depth
    return width, support


def _several_widths(
    lines: Sequence[str], pairs: Pairs, continued: Sequence[int]
) -> Wrapping | None:
    """Return widths that explain nearly all lines, as items of several levels have them."""
    if sum(ITEM.match(line.lstrip()) is not None for line in lines) < _MIN_ITEMS:
        return None
    lengths = measure_pairs(pairs, _monospaced_length)
    rest, known = list(continued), dict[int, float]()
    found: list[float] = []
    while rest:
        width, support = _most_common_width(lengths, rest)
        near = any(abs(width - other) < _MIN_STEP for other in found)
        if near or support < max(_MIN_SUPPORT, len(continued) / 20):
            break
        known |= {place: width for place in rest if lengths[place][0] <= width < lengths[place][1]}
        rest = [place for place in rest if place not in known]
        found.append(width)
    if len(known) < 0.9 * len(continued):
        return None
    widths = _spread(lines, lengths, known)
    return Wrapping(max(found), len(known), _monospaced_length, lengths, widths=widths)


def _spread(
    lines: Sequence[str], lengths: Mapping[int, object], known: Mapping[int, float]
) -> Mapping[int, float]:
    """Give each line the width of the nearest line of its item, or else of its indentation."""
    widths = dict[int, float]()
    by_indentation = dict[int, float]()
    item: list[int] = []

    def finish() -> None:
        places = [place for place in item if place in known]
        for place in item:
            at = bisect.bisect(places, place)
            beside = places[max(at - 1, 0) : at + 1]
            near = min(beside, key=lambda other: abs(other - place), default=None)
            indentation = len(lines[place]) - len(lines[place].lstrip())
            if near is not None:
                by_indentation[indentation] = known[near]
            if indentation in by_indentation:
                widths[place] = by_indentation[indentation]

    for place, line in enumerate(lines):
        if not line or ITEM.match(line.lstrip()):
            finish()
            item = []
        if place in lengths:
            item.append(place)
    finish()
    return widths


def _are_captions(lines: Sequence[str], continued: Sequence[int], wrapping: Wrapping) -> bool:
    """Return whether short lines are speech without marks rather than verse."""
    ends = sum(_ends_paragraph(lines[place]) for place in continued)
    sizes = sorted(wrapping.lengths[place][0] for place in continued)
    return (
        wrapping.width >= _MIN_CAPTION
        and len(continued) >= max(10, 0.9 * len(wrapping.lengths))
        and ends < len(continued) / 20
        and wrapping.support >= 0.6 * len(continued)
        and len(set(sizes)) > 3  # one line again and again is a refrain
        and sizes[len(sizes) // 2] > 0.8 * wrapping.width
    )


def _is_blank_parted(lines: Sequence[str], wrapping: Wrapping) -> bool:
    """Return whether paragraphs end at empty lines, and hardly ever at another line."""
    at_gaps = sum(map(_ends_paragraph, _last_lines(lines)))
    if at_gaps < 3:
        return False
    inside = sum(
        with_next_word < 0.85 * wrapping.widths.get(place, wrapping.width)
        and not opens_in_lower_case(lines[place + 1])
        and _ends_paragraph(lines[place])
        for place, (_, with_next_word) in wrapping.lengths.items()
    )
    return 5 * inside <= at_gaps


def continues(
    line: str, after: str, lengths: tuple[float, float], width: float, wrapping: Wrapping
) -> bool:
    """Return whether the paragraph of a line continues on the next line.

    Args:
        line: The line.
        after: The next line that is not empty.
        lengths: The length of the line, alone and with the first word of the next line.
        width: The width at which it was wrapped.
        wrapping: How the text was wrapped.
    """
    length, with_next_word = lengths
    start = after.lstrip()
    full = with_next_word > width
    lower = start[0].islower()
    item = not (lower and start[:2].isalpha()) and ITEM.match(start)
    if lower and not item:
        return full or length > 0.67 * width or wrapping.captions
    ends = PARAGRAPH_END.search(line)
    if item:
        if length > 0.67 * width and _NEEDS_MORE.search(line):
            return True
        return full and not ends and line[-1] != "," and bool(_MAY_BE_ITEM.match(start))
    if not ends:
        heading = line.isupper() and not start.isupper()
        return (full or length > 0.85 * width) and not heading
    opens = _PARAGRAPH_OPENS.match(start) or start.isupper()
    if wrapping.blank_parted:
        return full or (with_next_word > 0.85 * width and not opens)
    indented = len(after) - len(start) > len(line) - len(line.lstrip())
    if indented and not ITEM.match(line.lstrip()):  # whose other lines hang
        opens = True
    # A line longer than the width was joined by an earlier repair: it may not have been full.
    return full and not opens and length < 1.05 * width
