"""Remove page numbers and running heads."""

import collections
import itertools
import re
from collections.abc import Sequence, Set

from pipeline.corpus.wrapping import MIN_WIDTH, PARAGRAPH_END, opens_in_lower_case

# Page marks (page numbers and running heads) are shorter than lines of prose, and interrupt
# sentences: at least twice, and in a share of their occurrences (half of all pages end in
# mid-sentence, fewer in dialogue).
_MAX_MARK = MIN_WIDTH - 1
_MAX_MARKS_AT_BREAK = 6
_MIN_INTERRUPTIONS = 2
MIN_INTERRUPTION_RATE = 0.2
# Characters from one mark to the next of its kind: a page may be nearly empty, but most are not.
# Pages with a picture have no number.
_MIN_PAGE = 100
_MIN_MEDIAN_PAGE = 500
_MAX_NUMBER_STEP = 10
MIN_PAGES = 3
_PAGE_NUMBER = re.compile(r"(?<!\d)(\d{1,4})\W*$|^\W*(\d{1,4})(?!\d)")
_SAYS_PAGE = re.compile(
    r"\W*(?:pg|p[áa]g|p[áa]gina|page)\b\W*#(?:\s*(?:de|of|/)\s*#)?\W*", re.IGNORECASE
)
# What differs in the running heads of gazettes: "Nº 58, segunda-feira, 25 de março de 2024".
_DATE = re.compile(
    r"\d+(?:\.\d{3})*|\b(?:(?:segunda|terça|quarta|quinta|sexta)(?:-feira)?|sábado|domingo|janeiro|"
    r"fevereiro|março|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+")
_MAX_HEAD = 250  # characters
_AFTER_NUMBER = tuple("0123456789-–—]).}")


def remove_page_marks(text: str) -> tuple[list[str], Set[int]]:
    """Return lines without page marks, and the indices of those that resume a sentence."""
    if "\t" in text:
        text = text.expandtabs()
    lines: list[str] = []
    tops = set()  # first lines of pages
    for page in text.split("\f"):
        tops.add(len(lines))
        lines += map(str.rstrip, page.splitlines())
    tops.remove(0)

    filled = [place for place, line in enumerate(lines) if line]
    prose = _find_prose(lines, filled)
    breaks = _find_breaks(lines, filled, tops, prose)
    marks = _find_marks(lines, filled, breaks, prose)
    if not marks and not tops:
        return lines, set()

    dropped, resumed = set(marks), set()
    for before, after in itertools.pairwise(place for place in filled if place not in marks):
        if not any(place in marks or place in tops for place in range(before + 1, after + 1)):
            continue
        if (before, after) in breaks:
            resumed.add(after)
        if not PARAGRAPH_END.search(lines[before]):
            dropped.update(range(before + 1, after))
    kept = [place for place in range(len(lines)) if place not in dropped]
    numbers = {number for number, place in enumerate(kept) if place in resumed}
    return [lines[place] for place in kept], numbers


def _find_prose(lines: Sequence[str], filled: Sequence[int]) -> Set[int]:
    """Return the lines that are too long for a mark, and no head that comes again and again."""
    long = {place for place in filled if len(lines[place].lstrip()) > _MAX_MARK}
    kinds = {
        place: _kind(line)[0]
        for place in long
        if _NUMBER.search(line := lines[place]) or line.isupper()
    }
    counts = collections.Counter(kinds.values())
    return long - {
        place
        for place, kind in kinds.items()
        if counts[kind] >= MIN_PAGES
        and len(kind) < _MAX_HEAD
        and not kind[:1].islower()
        and kind != kind.lower()
    }


def _find_breaks(
    lines: Sequence[str], filled: Sequence[int], tops: Set[int], prose: Set[int]
) -> Set[tuple[int, int]]:
    """Return (before, after) of sentences that short lines, or a form feed, interrupt."""
    breaks = set()
    for number, after in enumerate(filled):
        if after - 1 in prose and after not in tops:
            continue  # as nearly all lines
        if not opens_in_lower_case(lines[after]):
            continue
        above = filled[max(number - 1 - _MAX_MARKS_AT_BREAK, 0) : number]
        before = next((place for place in reversed(above) if place in prose), None)
        if before is None or PARAGRAPH_END.search(lines[before]):
            continue
        if before != above[-1] or any(place in tops for place in range(before + 1, after + 1)):
            breaks.add((before, after))
    return breaks


def _find_marks(
    lines: Sequence[str],
    filled: Sequence[int],
    breaks: Set[tuple[int, int]],
    prose: Set[int],
) -> Set[int]:
    """Return the indices of page numbers and running heads."""
    # The line after must be prose too: letters end in short lines.
    interrupting = {
        place
        for before, after in breaks
        if after in prose
        for place in range(before + 1, after)
        if lines[place]
    }
    counts = collections.Counter(_kind(lines[place])[0] for place in interrupting)
    often = (kind for kind, count in counts.items() if count >= _MIN_INTERRUPTIONS)
    kinds = {kind for kind in often if not kind[:1].islower()}
    short = [place for place in filled if place not in prose]
    if not kinds:  # but a line may say that it is a page number
        short = [place for place in short if lines[place].endswith(_AFTER_NUMBER)]
    if not short:
        return set()

    offsets = list(itertools.accumulate(map(len, lines), initial=0))
    # Kind -> last number, 0 for none -> lines.
    chains: dict[str, dict[int, list[int]]] = collections.defaultdict(dict)
    for place in short:
        kind, number = _kind(lines[place])
        if kind not in kinds and not _SAYS_PAGE.fullmatch(kind):
            continue
        ends = chains[kind]
        chain: list[int] = []
        for last in range(number - 1, number - 1 - _MAX_NUMBER_STEP, -1) if number else (0,):
            if last in ends and offsets[place] - offsets[ends[last][-1]] >= _MIN_PAGE:
                chain = ends.pop(last)
                break
        chain.append(place)
        if len(chain) >= len(ends.get(number, ())):
            ends[number] = chain

    marks: set[int] = set()
    for kind, ends in chains.items():
        for chain in ends.values():
            interruptions = sum(place in interrupting for place in chain)
            pages = sorted(offsets[b] - offsets[a] for a, b in itertools.pairwise(chain))
            if (_SAYS_PAGE.fullmatch(kind) and pages) or (
                len(chain) >= MIN_PAGES
                and interruptions >= max(_MIN_INTERRUPTIONS, MIN_INTERRUPTION_RATE * len(chain))
                and pages[len(pages) // 2] >= _MIN_MEDIAN_PAGE
            ):
                # Running heads repeat the title, which stays at its first place.
                is_title = "#" not in kind and chain[0] not in interrupting
                marks.update(chain[is_title:])
    return marks


def _kind(line: str) -> tuple[str, int]:
    """Return a line with # for its first or last number, and that number, 0 for none.

    Of several numbers and dates nothing is left, and the number is 0.
    """
    clean = " ".join(line.split())
    if len(_NUMBER.findall(clean)) > 1:
        return _DATE.sub("#", clean), 0
    match = _PAGE_NUMBER.search(clean)
    if not match:
        return clean, 0
    start, end = match.span(match.lastindex or 0)
    return f"{clean[:start]}#{clean[end:]}", int(clean[start:end])
