"""Turn books into paragraphs, without line breaks, page marks and Project Gutenberg's text."""

import collections
import itertools
import re
from collections.abc import Callable, Iterable, Sequence, Set
from typing import NamedTuple

from pipeline.text.sentences import sentence_end

_MIN_WIDTH = 50  # characters; lines broken before are verse
# Characters of proportional type, in the single-byte encoding that has them all.
_NARROW = "iíjlrtfI.,;:!|'’\"“”()[] -".encode("cp1252")
_WIDE = "mwMW—…%".encode("cp1252")
_PARAGRAPH_END = sentence_end(also=":;")
# A dash of dialogue, the name of a speaker in a play, a heading.
_PARAGRAPH_OPENS = re.compile(r"[—–-]|[A-ZÁÂÃÉÊÍÓÔÕÚÇ. ]+[—–]|(?i:capítulo)\b")
_HYPHENATED = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
# The marks of quoted lines in e-mail.
_QUOTED = re.compile(r"^(?:>[^\S\n]?)+", re.MULTILINE)

# White space that becomes a single space; line breaks are handled apart.
_IRREGULAR_SPACES = (
    "  ",
    *(sign for sign in map(chr, range(0x3001)) if sign.isspace() and sign not in " \n"),
)

# Pronouns that follow a verb and a hyphen (disse-lhe), old spellings included.
_CLITICS = set("me te se lhe nos vos lhes o a os as lo la los las no na mo ma to ta".split())

# Start and end of a book of Project Gutenberg. Before 2003 it started after the "small print" of
# the licence. A long title may break the line of the marker.
_GUTENBERG = re.compile(
    r"""^[^\S\n]*(?:
        (?P<start>
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
_MAX_HEADER = 40_000  # characters; a later marker is a quotation in some text

# Page marks (page numbers and running heads) are shorter than lines of prose, and interrupt
# sentences: at least twice, and in a share of their occurrences (half of all pages end in
# mid-sentence, fewer in dialogue).
_MAX_MARK = _MIN_WIDTH - 1
_MAX_MARKS_AT_BREAK = 3
_MIN_INTERRUPTIONS = 2
_MIN_INTERRUPTION_RATE = 0.2
# Characters from one mark to the next of its kind: a page may be nearly empty, but most are not.
# Pages with a picture have no number.
_MIN_PAGE = 100
_MIN_MEDIAN_PAGE = 500
_MAX_NUMBER_STEP = 10
_MIN_PAGES = 3
_PAGE_NUMBER = re.compile(r"(?<!\d)(\d{1,4})\W*$|^\W*(\d{1,4})(?!\d)")
_SAYS_PAGE = re.compile(r"\W*(?:pg|p[áa]g|p[áa]gina|page)\b\W*#\W*", re.IGNORECASE)
_AFTER_NUMBER = tuple("0123456789-–—]).}")


class _Wrapping(NamedTuple):
    """The width at which lines were wrapped, in characters (of average width if proportional)."""

    width: float
    support: int  # number of lines that show it
    # Of each line before another, by index: its length, alone and with the next line's first word.
    lengths: dict[int, tuple[float, float]]


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, with hard line breaks undone.

    Lines are joined while they are full, that is while the first word of the next line would not
    have fitted:

        A vizinha contou que o cachorro da padaria tinha passado a noite na calçada,
        debaixo do toldo, sem latir uma só vez.             <- "—" would have fitted
        — Ele espera o padeiro, disse ela.

    is two paragraphs. Verse, dialogue and headings end early and keep their lines, and so does a
    text without a common line width. Page numbers, running heads and the header and footer of
    Project Gutenberg are removed; numbers of chapters and verses stay, since they do not interrupt
    sentences page after page.
    """
    if "\n>" in text:
        text = _QUOTED.sub("", text)
    if len(text.splitlines()) < 2:  # as most rows of tables
        clean = " ".join(text.split())
        return [clean] if clean else []
    lines, resumed = _remove_page_marks(_remove_gutenberg(text))
    wrapping = _find_wrapping(lines)
    if wrapping is None and not resumed:
        if any(spaces in text for spaces in _IRREGULAR_SPACES):
            return [" ".join(line.split()) for line in lines if line]
        return [line.strip() for line in lines if line]  # three times as fast
    # Few lines end in a hyphen of their own. If many do, words are split between syllables.
    hyphens = sum(line[-1:] == "-" for line in lines)
    syllables = hyphens > max(2, len(lines) / 20)
    words = _count_whole_words(lines) if hyphens else collections.Counter[str]()
    joined: list[list[str]] = []  # the lines of each paragraph
    for place, line in enumerate(lines):
        clean = " ".join(line.split())
        if clean and (place in resumed or (wrapping and _continues(lines, place - 1, wrapping))):
            joined[-1][-1:] = _join(joined[-1][-1], clean, words, syllables)
        elif clean:
            joined.append([clean])
    return ["".join(parts) for parts in joined]


def _remove_gutenberg(text: str) -> str:
    """Return what is between the markers of Project Gutenberg, of every book in the text."""
    if "Gutenberg" not in text and "GUTENBERG" not in text and "SMALL PRINT" not in text:
        return text
    kept = []
    start, in_book, in_header = 0, True, True
    for marker in _GUTENBERG.finditer(text):
        starts = marker["start"] is not None
        in_header = in_header and starts and marker.start() < _MAX_HEADER
        if in_book and not in_header:
            kept.append(text[start : marker.start()])
        in_book, in_header, start = starts, False, marker.end()
        if starts and (credits := _CREDITS.match(text, start)):
            start = credits.end()
    if in_book:
        kept.append(text[start:])
    return "\n\n".join(kept)


def _remove_page_marks(text: str) -> tuple[list[str], Set[int]]:
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
    breaks = _find_breaks(lines, filled, tops)
    marks = _find_marks(lines, filled, breaks)
    if not marks and not tops:
        return lines, set()

    dropped, resumed = set(marks), set()
    for before, after in itertools.pairwise(place for place in filled if place not in marks):
        if not any(place in marks or place in tops for place in range(before + 1, after + 1)):
            continue
        if (before, after) in breaks:
            resumed.add(after)
        if not _PARAGRAPH_END.search(lines[before]):
            dropped.update(range(before + 1, after))
    kept = [place for place in range(len(lines)) if place not in dropped]
    numbers = {number for number, place in enumerate(kept) if place in resumed}
    return [lines[place] for place in kept], numbers


def _is_short(line: str) -> bool:
    return len(line.lstrip()) <= _MAX_MARK


def _opens_in_lower_case(line: str) -> bool:
    return line.lstrip()[:1].islower()


def _find_breaks(
    lines: Sequence[str], filled: Sequence[int], tops: Set[int]
) -> Set[tuple[int, int]]:
    """Return (before, after) of sentences that short lines, or a form feed, interrupt."""
    breaks = set()
    for number, after in enumerate(filled):
        if not _is_short(lines[after - 1] if after else "") and after not in tops:
            continue  # as nearly all lines
        if not _opens_in_lower_case(lines[after]):
            continue
        above = filled[max(number - 1 - _MAX_MARKS_AT_BREAK, 0) : number]
        prose = [place for place in above if not _is_short(lines[place])]
        if not prose or _PARAGRAPH_END.search(lines[prose[-1]]):
            continue
        before = prose[-1]
        if before != above[-1] or any(place in tops for place in range(before + 1, after + 1)):
            breaks.add((before, after))
    return breaks


def _find_marks(
    lines: Sequence[str], filled: Sequence[int], breaks: Set[tuple[int, int]]
) -> Set[int]:
    """Return the indices of page numbers and running heads."""
    # The line after must be prose too: letters end in short lines.
    interrupting = {
        place
        for before, after in breaks
        if not _is_short(lines[after])
        for place in range(before + 1, after)
        if lines[place]
    }
    counts = collections.Counter(_kind(lines[place])[0] for place in interrupting)
    often = (kind for kind, count in counts.items() if count >= _MIN_INTERRUPTIONS)
    kinds = {kind for kind in often if not kind[:1].islower()}
    short = [place for place in filled if _is_short(lines[place])]
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
                len(chain) >= _MIN_PAGES
                and interruptions >= max(_MIN_INTERRUPTIONS, _MIN_INTERRUPTION_RATE * len(chain))
                and pages[len(pages) // 2] >= _MIN_MEDIAN_PAGE
            ):
                # Running heads repeat the title, which stays at its first place.
                is_title = "#" not in kind and chain[0] not in interrupting
                marks.update(chain[is_title:])
    return marks


def _kind(line: str) -> tuple[str, int]:
    """Return a line with # for its first or last number, and that number, 0 for none."""
    clean = " ".join(line.split())
    match = _PAGE_NUMBER.search(clean)
    if not match:
        return clean, 0
    start, end = match.span(match.lastindex or 0)
    return f"{clean[:start]}#{clean[end:]}", int(clean[start:end])


def _proportional_length(line: str) -> float:
    """Return the length of a line in proportional type, in characters of average width."""
    characters = line.encode("cp1252", errors="replace")
    narrow = len(characters) - len(characters.translate(None, _NARROW))
    wide = len(characters) - len(characters.translate(None, _WIDE))
    return len(line) - 0.4 * narrow + 0.5 * wide


def _find_wrapping(lines: Sequence[str]) -> _Wrapping | None:
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
    continued = [place for place, (_, after) in pairs.items() if _opens_in_lower_case(after)]
    if not continued:
        return None
    best = _Wrapping(0.0, 0, {})
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
                best = _Wrapping(edge, depth, lengths)
    long = sum(length > 0.85 * best.width for length, _ in best.lengths.values())
    if best.width < _MIN_WIDTH or best.support < max(len(continued) / 2, long / 3):
        return None
    return best


def _continues(lines: Sequence[str], place: int, wrapping: _Wrapping) -> bool:
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
    if not _PARAGRAPH_END.search(line):
        heading = line.isupper() and not start.isupper()
        return (full or length > 0.85 * width) and not heading
    indented = len(after) - len(start) > len(line) - len(line.lstrip())
    opens = _PARAGRAPH_OPENS.match(start) or start.isupper() or indented
    # A line longer than the width was joined by an earlier repair: it may not have been full.
    return full and not opens and length < 1.05 * width


def _count_whole_words(lines: Iterable[str]) -> collections.Counter[str]:
    """Count words, except the halves of words that are split at the end of a line."""
    words: collections.Counter[str] = collections.Counter()
    split = False
    for line in lines:
        found = _HYPHENATED.findall(line.lower())
        first, split = int(split), line.endswith("-")
        words.update(found[first : len(found) - split])
    return words


def _join(
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
