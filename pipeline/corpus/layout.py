"""Tell which lines continue a paragraph, from widths and empty lines."""

import collections
import itertools
import statistics
from collections.abc import Iterator, Sequence, Set

from pipeline.corpus.hyphens import HYPHENS
from pipeline.corpus.page_marks import MIN_INTERRUPTION_RATE, MIN_PAGES
from pipeline.corpus.wrapping import (
    ITEM,
    PARAGRAPH_END,
    Wrapping,
    continues,
    find_wrapping,
    measure_pairs,
    opens_in_lower_case,
)

_DASHES = ("—", "–", "-")
_MIN_SHARE = 0.8  # a width that explains fewer lines may be chance
_MIN_PARAGRAPH = 80  # characters of an unwrapped line of prose


def continued_lines(lines: Sequence[str]) -> Set[int]:
    """Return the indices of lines that continue the paragraph of the line, if any, before."""
    wrapping = find_wrapping(lines)
    hyphens = (place for place, line in enumerate(lines[:-1]) if line.endswith(HYPHENS))
    cut = {
        place + 1
        for place in hyphens
        # Portuguese printers repeat a hyphen: "disse-|-lhe".
        if lines[place][-2:-1].isalpha()
        and lines[place + 1].lstrip().removeprefix("-")[:1].islower()
    }
    if wrapping is None:
        return cut | _hand_wrapped(lines) | _across_gaps(lines, None)
    found = cut if wrapping.share > _MIN_SHARE else cut | _hand_wrapped(lines)
    found |= {
        place + 1
        for place, lengths in wrapping.lengths.items()
        if continues(
            lines[place],
            lines[place + 1],
            lengths,
            wrapping.widths.get(place, wrapping.width),
            wrapping,
        )
    }
    return found | _across_gaps(lines, wrapping)


def _across_gaps(lines: Sequence[str], wrapping: Wrapping | None) -> Set[int]:
    """Return the lines that go on after the empty lines of a page break."""
    if all(lines):
        return set()
    filled = [place for place, line in enumerate(lines) if line]
    gaps = collections.Counter(b - a - 1 for a, b in itertools.pairwise(filled))
    cut = collections.defaultdict[int, list[tuple[int, int]]](list)  # size -> those in a sentence
    for before, after in itertools.pairwise(filled):
        size = after - before - 1
        if size and _goes_on(lines[before], lines[after]):
            cut[size].append((before, after))
    usual = gaps.most_common(1)[0][0] if gaps else 0
    found = set[int]()
    for size, places in cut.items():
        many = max(MIN_PAGES, MIN_INTERRUPTION_RATE * gaps[size])
        if wrapping is None:
            long = [after for before, after in places if len(lines[before]) >= _MIN_PARAGRAPH]
            found.update(long if size > max(usual, 1) and len(long) >= many else ())
            continue
        full = [after for before, after in places if _fits(lines, before, after, wrapping)]
        found.update(full)
        if len(full) >= many and (size > 1 or not wrapping.blank_parted):
            strict = wrapping._replace(blank_parted=False)
            found.update(
                after
                for before, after in itertools.pairwise(filled)
                if after - before - 1 == size and _fits(lines, before, after, strict)
            )
    return found


def _goes_on(line: str, after: str) -> bool:
    """Return whether a sentence clearly goes on."""
    return (
        opens_in_lower_case(after)
        and not PARAGRAPH_END.search(line)
        and not ITEM.match(after.lstrip())
    )


def _fits(lines: Sequence[str], before: int, after: int, wrapping: Wrapping) -> bool:
    """Return whether a full line goes on after a gap."""
    line, start = lines[before], lines[after]
    (lengths,) = measure_pairs({before: (line, start)}, wrapping.measure).values()
    width = wrapping.widths.get(before - 1, wrapping.width)
    return lengths[1] > width and continues(line, start, lengths, width, wrapping)


# Lines that a writer broke


def _hand_wrapped(lines: Sequence[str]) -> Set[int]:
    """Return the lines inside paragraphs that were wrapped by hand, at no common width.

    Most lines must go on in lower case and be longer than verse, and what stands between empty
    lines must end as paragraphs do. Then empty lines decide, except in stanzas, lists, speeches
    and addresses.
    """
    blocks = [block for block in _blocks(lines) if len(block) > 1]
    prose = [block for block in blocks if _is_prose(lines, block[:-1])]
    inner = [place for block in prose for place in block[:-1]]
    if len(prose) < 2 or len(inner) < 5:
        return set()
    sizes = [len(lines[place]) for place in inner]
    going_on = sum(_goes_on(lines[place], lines[place + 1]) for place in inner)
    ended = sum(PARAGRAPH_END.search(lines[block[-1]]) is not None for block in prose)
    long = statistics.quantiles(sizes)[2]
    # Where paragraphs also end at other lines, empty lines do not decide.
    short = sum(
        len(lines[place]) < 0.5 * long
        and PARAGRAPH_END.search(lines[place]) is not None
        and not opens_in_lower_case(lines[place + 1])
        for place in inner
    )
    if (
        (statistics.median(sizes) < 45 or long < 58)
        or (going_on < 0.5 * len(inner) or len(inner) < 0.5 * sum(map(len, blocks)))
        or (ended < 0.6 * len(prose) or 5 * short > ended)
    ):
        return set()
    return {place for block in prose for place in block[1:]}


def _is_prose(lines: Sequence[str], places: Sequence[int]) -> bool:
    """Return whether the lines of a block, all but its last, break sentences."""
    sizes = [len(lines[place]) for place in places]
    broken = sum(opens_in_lower_case(lines[place + 1]) for place in places)
    verse = max(sizes) < (45 if len(sizes) < 3 else 50)
    return min(sizes) >= 55 or (3 * broken >= len(places) and not verse)


def _blocks(lines: Sequence[str]) -> Iterator[list[int]]:
    """Yield the lines between empty lines, or from one item or speech to the next."""
    block: list[int] = []
    for place, line in enumerate(lines):
        start = line.lstrip()
        opens = ITEM.match(start) or (
            block
            and start[:1] in _DASHES
            and (PARAGRAPH_END.search(lines[block[-1]]) or lines[block[-1]].lstrip()[0] in _DASHES)
        )
        if block and (not line or opens):
            yield block
            block = []
        if line:
            block.append(place)
    if block:
        yield block


# Double spacing


def undo_double_spacing(text: str) -> str:
    """Drop the empty line after every line, if lines were wrapped; two become one."""
    lines = text.splitlines()
    filled = [place for place, line in enumerate(lines) if line.strip()]
    gaps = collections.Counter(b - a - 1 for a, b in itertools.pairwise(filled))
    total = gaps.total()
    if total < 8 or gaps[0] > 0.03 * total or gaps[1] < 0.5 * total:
        return text
    kept = []
    for before, after in itertools.pairwise([-1, *filled]):
        kept += [""] * (after - before - 2)
        kept.append(lines[after].rstrip())
    wrapping = find_wrapping(kept)
    if wrapping is None:
        return text
    going_on = sum(opens_in_lower_case(kept[place + 1]) for place in wrapping.lengths)
    return "\n".join(kept) if going_on >= 0.25 * total else text
