"""Books become paragraphs: what printers, converters and Project Gutenberg added is undone."""

import collections
import itertools
import re
from collections.abc import Callable, Iterable, Sequence, Set
from typing import NamedTuple

from pipeline.text.sentences import sentence_end

# Lines broken before this many letters are verse.
_NARROWEST = 50
# Letters of proportional type, in the encoding of one byte that has them all.
_NARROW = "iíjlrtfI.,;:!|'’\"“”()[] -".encode("cp1252")
_WIDE = "mwMW—…%".encode("cp1252")
_PARAGRAPH_END = sentence_end(also=":;")
# A dash of dialogue, the name of who speaks in a play, a heading.
_PARAGRAPH_OPENS = re.compile(r"[—–-]|[A-ZÁÂÃÉÊÍÓÔÕÚÇ. ]+[—–]|(?i:capítulo)\b")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
# How a reply by e-mail marks the lines that it quotes.
_QUOTED = re.compile(r"^(?:>[^\S\n]?)+", re.MULTILINE)

# What single spaces take the place of; a new line is no matter of spaces.
_UNCLEAN = (
    "  ",
    *(sign for sign in map(chr, range(0x3001)) if sign.isspace() and sign not in " \n"),
)

# Pronouns that Portuguese hangs on a verb with a hyphen (disse-lhe), old spellings included.
_CLITICS = set("me te se lhe nos vos lhes o a os as lo la los las no na mo ma to ta".split())

# Where a book of Project Gutenberg begins and ends. Before 2003 it began where the "small print"
# of the licence ended. A long title breaks the line of the marker.
_GUTENBERG = re.compile(
    r"""^[^\S\n]*(?:
        (?P<begins>
            \*{3}[ ]?START[ ]OF[ ](?:THE|THIS)[ ]PROJECT[ ]GUTENBERG[^*]{0,400}\*{3}
          | \*END\*?[ ]?THE[ ]SMALL[ ]PRINT![^\n]*
        )
      | \*{3}[ ]?END[ ]OF[ ](?:THE|THIS)[ ]PROJECT[ ]GUTENBERG
      | End[ ]of[ ](?:the[ ]|this[ ])?Project[ ]Gutenberg
      | Fim[ ]do[ ](?:livro[ ]do[ ])?Projeto[ ]Gutenberg
    )""",
    re.MULTILINE | re.VERBOSE,
)
_CREDITS = re.compile(
    r"\s*(?:Produced|E-?text prepared|Produzido|Preparado) (?:by|por)\b.*?(?:\n[^\S\n]*\n|\Z)",
    re.DOTALL,
)
# In letters; before a marker that comes later stands a text, which quotes it.
_LONGEST_HEADER = 40_000

# What page breaks leave in a text, page numbers and running heads, is shorter than the lines of
# prose, and it comes between the halves of a sentence: twice at least, and at a share of the
# breaks (half of all pages end in mid-sentence, fewer where people talk much).
_LONGEST_MARK = _NARROWEST - 1
_MARKS_AT_BREAK = 3
_FEWEST_CUTS = 2
_SHARE_OF_CUTS = 0.2
# From one mark to the next of its kind is a page, in letters: some are nearly empty, most are
# not. Pages with a picture have no number.
_SHORTEST_PAGE = 100
_USUAL_PAGE = 500
_PAGES_WITHOUT = 10
_FEWEST_PAGES = 3
_NUMBER = re.compile(r"(?<!\d)(\d{1,4})\W*$|^\W*(\d{1,4})(?!\d)")
_SAYS_PAGE = re.compile(r"\W*(?:pg|p[áa]g|p[áa]gina|page)\b\W*#\W*", re.IGNORECASE)
_AFTER_NUMBER = tuple("0123456789-–—]).}")


class _Width(NamedTuple):
    """The width that lines were broken at.

    Attributes:
        width: in letters, or letters of usual width.
        told_by: how many lines show it.
        lengths: of each line that another one follows: its own, and with the next one's first word.
    """

    width: float
    told_by: int
    lengths: dict[int, tuple[float, float]]


def paragraphs(text: str) -> list[str]:
    """Paragraphs of a text, with the line breaks of a hard-wrapped book undone.

    Lines are joined while they are full, which means that the first word of the next one would
    not have fitted:

        A vizinha contou que o cachorro da padaria tinha passado a noite na calçada,
        debaixo do toldo, sem latir uma só vez.             <- "—" would have fitted
        — Ele espera o padeiro, disse ela.

    becomes two paragraphs. Verse, dialogue and headings stop early and stay as they are; so
    does every line of a text that shows no width at which its lines were broken.

    Before that, what Project Gutenberg wrote around a book is cut off, and page numbers and
    running heads are dropped. The number of a chapter, a verse or a year may be a line of its
    own, but it does not stand in the middle of a sentence page after page.
    """
    if "\n>" in text:
        text = _QUOTED.sub("", text)
    if len(text.splitlines()) < 2:  # as most rows of tables
        clean = " ".join(text.split())
        return [clean] if clean else []
    lines, cuts = _without_pages(_without_gutenberg(text))
    found = _find_width(lines)
    if found is None and not cuts:
        if any(spaces in text for spaces in _UNCLEAN):
            return [" ".join(line.split()) for line in lines if line]
        return [line.strip() for line in lines if line]  # three times as fast
    # Few lines end in a hyphen of their own; where many do, words are cut between syllables.
    hyphens = sum(line[-1:] == "-" for line in lines)
    syllables = hyphens > max(2, len(lines) / 20)
    words = _whole_words(lines) if hyphens else collections.Counter[str]()
    joined: list[list[str]] = []  # the lines of each paragraph
    for place, line in enumerate(lines):
        clean = " ".join(line.split())
        if clean and (place in cuts or (found and _goes_on(lines, place - 1, found))):
            joined[-1][-1:] = _join(joined[-1][-1], clean, words, syllables)
        elif clean:
            joined.append([clean])
    return ["".join(parts) for parts in joined]


def _without_gutenberg(text: str) -> str:
    """What stands between the markers of Project Gutenberg, of every book in the text."""
    if "Gutenberg" not in text and "GUTENBERG" not in text and "SMALL PRINT" not in text:
        return text
    kept = []
    start, inside, header = 0, True, True
    for marker in _GUTENBERG.finditer(text):
        begins = marker["begins"] is not None
        header = header and begins and marker.start() < _LONGEST_HEADER
        if inside and not header:
            kept.append(text[start : marker.start()])
        inside, header, start = begins, False, marker.end()
        if begins and (credits := _CREDITS.match(text, start)):
            start = credits.end()
    if inside:
        kept.append(text[start:])
    return "\n\n".join(kept)


def _without_pages(text: str) -> tuple[list[str], Set[int]]:
    """Lines of a text without page numbers and running heads.

    Returns:
        The lines, without trailing space, and the places of those that go on with a sentence
        from which a page break cuts them off.
    """
    if "\t" in text:
        text = text.expandtabs()
    lines: list[str] = []
    tops = set()  # places of the first lines of pages
    for page in text.split("\f"):
        tops.add(len(lines))
        lines += map(str.rstrip, page.splitlines())
    tops.remove(0)

    filled = [place for place, line in enumerate(lines) if line]
    breaks = _find_breaks(lines, filled, tops)
    marks = _find_marks(lines, filled, breaks)
    if not marks and not tops:
        return lines, set()

    dropped, cuts = set(marks), set()
    for before, after in itertools.pairwise(place for place in filled if place not in marks):
        if not any(place in marks or place in tops for place in range(before + 1, after + 1)):
            continue
        if (before, after) in breaks:
            cuts.add(after)
        if not _PARAGRAPH_END.search(lines[before]):
            dropped.update(range(before + 1, after))
    kept = [place for place in range(len(lines)) if place not in dropped]
    return (
        [lines[place] for place in kept],
        {number for number, place in enumerate(kept) if place in cuts},
    )


def _find_breaks(
    lines: Sequence[str], filled: Sequence[int], tops: Set[int]
) -> Set[tuple[int, int]]:
    """Places of the halves of a sentence that short lines, or a form feed, stand between."""
    breaks = set()
    for number, after in enumerate(filled):
        above = lines[after - 1].lstrip() if after else ""
        if len(above) > _LONGEST_MARK and after not in tops:
            continue  # as nearly all lines
        if not _opens_in_lower_case(lines[after]):
            continue
        first = number - 1
        while (
            first >= 0
            and number - first <= _MARKS_AT_BREAK
            and len(lines[filled[first]].lstrip()) <= _LONGEST_MARK
        ):
            first -= 1
        if first < 0 or len(lines[filled[first]].lstrip()) <= _LONGEST_MARK:
            continue
        before = filled[first]
        new_page = any(place in tops for place in range(before + 1, after + 1))
        if (new_page or first < number - 1) and not _PARAGRAPH_END.search(lines[before]):
            breaks.add((before, after))
    return breaks


def _find_marks(
    lines: Sequence[str], filled: Sequence[int], breaks: Set[tuple[int, int]]
) -> Set[int]:
    """Places of page numbers and running heads."""
    # The line after must be one of prose as well: letters close in short ones.
    cutting = {
        place
        for before, after in breaks
        if len(lines[after].lstrip()) > _LONGEST_MARK
        for place in range(before + 1, after)
        if lines[place]
    }
    counts = collections.Counter(_kind(lines[place])[0] for place in cutting)
    kinds = {
        kind for kind, count in counts.items() if count >= _FEWEST_CUTS and not kind[:1].islower()
    }
    short = [place for place in filled if len(lines[place].lstrip()) <= _LONGEST_MARK]
    if not kinds:  # but a line may say itself that it is the number of a page
        short = [place for place in short if lines[place].endswith(_AFTER_NUMBER)]
    if not short:
        return set()

    offsets = list(itertools.accumulate(map(len, lines), initial=0))
    # Kind -> last number -> places; 0 where there is no number.
    chains: dict[str, dict[int, list[int]]] = collections.defaultdict(dict)
    for place in short:
        kind, number = _kind(lines[place])
        if kind not in kinds and not _SAYS_PAGE.fullmatch(kind):
            continue
        ends = chains[kind]
        chain: list[int] = []
        for last in range(number - 1, number - 1 - _PAGES_WITHOUT, -1) if number else (0,):
            if last in ends and offsets[place] - offsets[ends[last][-1]] >= _SHORTEST_PAGE:
                chain = ends.pop(last)
                break
        chain.append(place)
        if len(chain) >= len(ends.get(number, ())):
            ends[number] = chain

    marks: set[int] = set()
    for kind, ends in chains.items():
        for chain in ends.values():
            cut = sum(place in cutting for place in chain)
            pages = sorted(offsets[b] - offsets[a] for a, b in itertools.pairwise(chain))
            if (_SAYS_PAGE.fullmatch(kind) and pages) or (
                len(chain) >= _FEWEST_PAGES
                and cut >= max(_FEWEST_CUTS, _SHARE_OF_CUTS * len(chain))
                and pages[len(pages) // 2] >= _USUAL_PAGE
            ):
                # What running heads repeat is the title, which stays where it came first.
                is_title = "#" not in kind and chain[0] not in cutting
                marks.update(chain[is_title:])
    return marks


def _kind(line: str) -> tuple[str, int]:
    """What a line says around the number at its beginning or end; that number, or 0 for none."""
    clean = " ".join(line.split())
    found = _NUMBER.search(clean)
    if not found:
        return clean, 0
    start, end = found.span(found.lastindex or 0)
    return f"{clean[:start]}#{clean[end:]}", int(clean[start:end])


def _printed(line: str) -> float:
    """Length of a line in proportional type, in letters of usual width."""
    letters = line.encode("cp1252", errors="replace")
    narrow = len(letters) - len(letters.translate(None, _NARROW))
    wide = len(letters) - len(letters.translate(None, _WIDE))
    return len(line) - 0.4 * narrow + 0.5 * wide


def _measure_all(
    lines: Sequence[str], measure: Callable[[str], float]
) -> dict[int, tuple[float, float]]:
    return {
        place: (measure(line), measure(f"{line} {after.split(maxsplit=1)[0]}"))
        for place, (line, after) in enumerate(itertools.pairwise(lines))
        if line and after
    }


def _find_width(lines: Sequence[str]) -> _Width | None:
    """The width that the lines of a text were broken at, if they were.

    Where a line goes on in lower case, the width lies between its own length and that with the
    next word. The width that lies between them most often is the one; it must explain most of
    these lines, and enough of all that are so long.
    """
    going_on = [
        place
        for place, (line, after) in enumerate(itertools.pairwise(lines))
        if line and after and _opens_in_lower_case(after)
    ]
    if not going_on:
        return None
    best = _Width(0.0, 0, {})
    typewriter: Callable[[str], float] = len
    for measure in (typewriter, _printed):
        if best.told_by > 0.95 * len(going_on):  # the typewriter explains them
            break
        lengths = _measure_all(lines, measure)
        edges = [(lengths[place][0], 1) for place in going_on]
        edges += [(lengths[place][1], -1) for place in going_on]
        depth = 0
        for edge, step in sorted(edges):
            depth += step
            if depth > best.told_by:
                best = _Width(edge, depth, lengths)
    long = sum(length > 0.85 * best.width for length, _ in best.lengths.values())
    if best.width < _NARROWEST or best.told_by < max(len(going_on) / 2, long / 3):
        return None
    return best


def _opens_in_lower_case(line: str) -> bool:
    return line.lstrip()[:1].islower()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _goes_on(lines: Sequence[str], place: int, found: _Width) -> bool:
    """Whether the paragraph of a line goes on in the line after it."""
    if place not in found.lengths:
        return False
    width, (length, with_next_word) = found.width, found.lengths[place]
    line, after = lines[place : place + 2]
    start = after.lstrip()
    full = with_next_word > width
    if start[0].islower():
        return full or length > 0.67 * width
    if found.told_by < 2:  # a single line may have been broken anywhere
        return False
    if not _PARAGRAPH_END.search(line):
        heading = line.isupper() and not start.isupper()
        return (full or length > 0.85 * width) and not heading
    opens = _PARAGRAPH_OPENS.match(start) or start.isupper() or _indent(after) > _indent(line)
    # Longer than the width is what an earlier repair has joined: nobody knows if it was full.
    return full and not opens and length < 1.05 * width


def _whole_words(lines: Iterable[str]) -> collections.Counter[str]:
    """How often each word occurs, leaving out the halves of words cut at the end of a line."""
    words: collections.Counter[str] = collections.Counter()
    cut = False
    for line in lines:
        found = _WORD.findall(line.lower())
        first, cut = int(cut), line.endswith("-")
        words.update(found[first : len(found) - cut])
    return words


def _join(
    first: str, second: str, words: collections.Counter[str], syllables: bool
) -> tuple[str, str]:
    """Two lines of one paragraph, with the space between them if there is one.

    A hyphen at the end of the first stays only where the word has one.
    """
    if not first.endswith(("-", "\N{SOFT HYPHEN}")):
        return f"{first} ", second
    head = _WORD.findall(first.rpartition(" ")[2].lower())
    tail = _WORD.match(second.lower())
    if first.endswith("\N{SOFT HYPHEN}"):
        return first[:-1], second
    if first.endswith("-") and second.startswith("-"):  # Portuguese printers repeat it
        return first, second[1:]
    if not (first[-2:-1].isalnum() and head and tail):
        return f"{first} ", second
    hyphened, plain = words[f"{head[-1]}-{tail[0]}"], words[head[-1] + tail[0]]
    keep = hyphened > plain
    if hyphened == plain:
        halves = (head[-1].rpartition("-")[2], tail[0].partition("-")[0])
        keep = not syllables or all(
            half in _CLITICS or words[half] or half.isdecimal() for half in halves
        )
    return (first if keep else first[:-1]), second
