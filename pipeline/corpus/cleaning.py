"""Clean text of what is no part of it: control characters, ligatures of print, mojibake."""

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import ftfy
import ftfy.badness

from pipeline.corpus.encoding import OLD_ENCODINGS

# Characters that UTF-8 shows when it is read as an old encoding (Ã£, â€”, ├ú, ÔÇö, √£, ‚Äî).
# Some also occur in correct Portuguese (NÃO); ftfy tells those apart.
SUSPICIOUS = (
    *("Ã", "Â", "â€", "├", "┬", "ÔÇ", "Ôö", "√", "¬", "‚", "\x80", "Å", "Ä", "Ð"),
    *("ð", "œ", "˜", "¸", "∏"),  # from emoji: 😂, ✨, ☺, and what often follows ❤
)
# A no-break space is the second half of "à", and a reader may have made a common space of it,
# together with the one behind it. ftfy knows that of most words.
_TO_THE = re.compile(r"(?<!\w)Ã[ \xa0]s\b")
_A_GRAVE_INSIDE = re.compile(r"(Ã|Ã[ƒ\x83]Â) (?=s(?![a-z])|quel)")
_A_GRAVE = re.compile(r"(Ã[ƒ\x83]Â) +")
# Right text, perhaps: these marks may follow a capital ("MANHÃ”" is not "MANHÔ"), and the letters
# may stand for themselves ("Ã e Õ têm til" is not "à e Õ têm til").
_CAPITAL = re.compile("Ã(?=[‘’“”«»–—…])")
_UNCERTAIN = re.compile(rf"{_CAPITAL.pattern}|(?<!\w)[ÃÂ](?= (?!s\b))")

# Everything that `_clean_characters` replaces.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufb00-\ufb06\ufeff]"
)
_LINE_BREAK = re.compile("[\n\x0b-\x0d\x1c-\x1e\x85\u2028\u2029]+")
# A control sequence of a terminal (colours), or control characters in a row.
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f]+")
_DOTLESS = re.compile("ı(?=[\u0300-\u0302])")  # LaTeX puts the accent on it
_LETTERS = {ord(sign): unicodedata.normalize("NFKC", sign) for sign in "ﬀﬁﬂﬃﬄﬅﬆ"}
# Soft hyphens, zero-width spaces, and marks of the direction of writing.
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF]
)
# Quotes and dashes of Windows in a text that was read as Latin-1.
_WINDOWS = {
    code: sign
    for code in range(0x80, 0xA0)
    if (sign := bytes([code]).decode("cp1252", errors="ignore")) and code != 0x85
}


class Cleaned(NamedTuple):
    """A text, and what there was to clean."""

    text: str  # NFC, one paragraph a line
    controls: int  # runs of control characters, which were removed
    mended: int  # paragraphs that an earlier reader decoded wrongly, and which were mended
    mojibake: int  # sequences that look decoded wrongly, and are left
    damaged: int  # characters that cannot be read (U+FFFD)


def clean(text: str) -> Cleaned:
    """Clean text with one paragraph a line; most text has nothing to clean."""
    text, mended, mojibake = _mend_lines(text)
    controls = 0
    if mended or "ı" in text or _ODD.search(text):
        mended += sum(any(line.count(chr(code)) for code in _WINDOWS) for line in text.split("\n"))
        text, controls = _clean_characters(text)
    damaged = text.count("\N{REPLACEMENT CHARACTER}")
    return Cleaned(text, controls, mended, mojibake, damaged)


def _clean_characters(text: str) -> tuple[str, int]:
    """Return a text without odd characters, and how many runs of controls it had."""
    text = _DOTLESS.sub("i", text.translate(_LETTERS | _INVISIBLE | _WINDOWS))
    text, controls = _CONTROLS.subn("", text)
    lines = (" ".join(line.split()) for line in _LINE_BREAK.split(text))
    return unicodedata.normalize("NFC", "\n".join(filter(None, lines))), controls


def _mend_lines(text: str) -> tuple[str, int, int]:
    """Return a text, how many of its lines were mended, and how many sequences look wrong still."""
    signs = [sign for sign in SUSPICIOUS if sign in text]
    if not signs:
        return text, 0, 0
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if any(sign in line for sign in signs)]
    mended = _mend_at(lines, places, _UNCERTAIN)
    if mended:  # a lone "Ã" in such a text is an "à"
        mended += _mend_at(lines, places, _CAPITAL)
    mojibake = sum(ftfy.badness.badness(lines[place]) for place in places)
    return "\n".join(lines), mended, mojibake


def _mend_at(lines: list[str], places: Iterable[int], uncertain: re.Pattern[str]) -> int:
    """Mend some of the lines; return how many of them needed it."""
    before = [lines[place] for place in places]
    for place in places:
        lines[place] = _mend(lines[place], uncertain)
    return sum(lines[place] != line for place, line in zip(places, before, strict=True))


def _mend(line: str, uncertain: re.Pattern[str]) -> str:
    """Return a line as it was before it was decoded wrongly, once or twice, if that is certain."""
    badness = ftfy.badness.badness(line)
    if badness and not ftfy.badness.badness(uncertain.sub("A", line)):
        return line
    while any(sign in line for sign in SUSPICIOUS):
        for mended in _mendings(line, badness):
            left = ftfy.badness.badness(mended)
            if _is_plausible(mended, line) and (left <= badness or not badness):
                line, badness = mended, left
                break
        else:
            break
    return line


def _mendings(line: str, badness: int) -> Iterator[str]:
    """Yield what a line may have been; ftfy knows neither cp850 nor a line of few signs."""
    for encoding in OLD_ENCODINGS:
        if badness or encoding != "cp1252":  # which has letters where the others have symbols
            with contextlib.suppress(UnicodeError):
                yield line.encode(encoding).decode()
    if badness:
        line = _A_GRAVE_INSIDE.sub("\\1\xa0", line)
        yield ftfy.fix_encoding(_A_GRAVE.sub("\\1\xa0 ", line))
    yield _TO_THE.sub("às", line)


def _is_plausible(text: str, before: str) -> bool:
    """Return whether a text is another one, and has no new letters of a foreign alphabet."""
    new = (sign for sign in {*text} - {*before} if sign > "\xff")
    return text != before and not any(sign < "\u2000" or sign.isalpha() for sign in new)
