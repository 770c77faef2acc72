"""Find documents that are probably not prose in Portuguese: by language, marks and lists."""

import heapq
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Frequent in Portuguese, but rare or unknown in Galician, Spanish, French, Italian and English.
# "do", "da" and "dos", which make up much of a list or a title, are at most 1 % of text in those.
_PORTUGUESE = frozenset(
    "não uma um com em na nas do da dos das ao aos à às são é foi pelo pela pelos pelas ele ela "
    "eles elas você vocês seu sua seus suas meu minha isso isto está estava muito já também até "
    "então quando nem sem depois eu lhe tem".split()
)
# Frequent in one of those, but no words of Portuguese.
_OTHER = frozenset(
    "non unha unhas dunha nunha máis moi moito cando xa tamén aínda dúas tiña "  # Galician
    "el los las y una pero más muy del "  # Spanish
    "le les et est une dans qui il di che della gli the of and to is was with".split()
)
# Of a document: letters-only tokens from which its language shows.
_MIN_WORDS, _MIN_PORTUGUESE, _MIN_OTHER = 50, 0.05, 5
_Z = 1.96  # of a 95 % interval
# What no person writes in prose: times of subtitles, tags, entities, fields, tagged words.
_MACHINE = re.compile(
    r"-->|^\W{0,3}\d{1,2}[:/]\d{2}[:/]\d{2}|</?[a-z]+[^>]{0,99}>|&[a-z]{2,6};|\{\{|\]\]|\\[a-z]+\{"
    r"|=[0-9A-F]{2}=|^\W*\"\w+\": |(?<![^\W_])(?:[^\W_]+_[A-Z]+\s+){3}",
    re.MULTILINE,
)
_MIN_MARKED = 0.05  # share of the paragraphs
_MIN_PARAGRAPHS = 20
_MAX_PARAGRAPH = 20_000  # letters; the longest of novels have half of this
_MAX_SINGLE = 0.5  # share of the paragraphs that may be a single word
# Rows that are kept, and characters shown of a text.
MAX_ROWS, EXCERPT = 10, 100


def is_portuguese(type_: bytes) -> bool:
    """Return whether a case-folded token is frequent in Portuguese only."""
    return type_.decode() in _PORTUGUESE


def is_other(type_: bytes) -> bool:
    """Return whether a case-folded token is frequent in a related language, and not Portuguese."""
    return type_.decode() in _OTHER


def is_word(type_: bytes) -> bool:
    """Return whether a token consists of letters."""
    return type_.decode(errors="replace").replace("-", "").isalpha()


class Language(NamedTuple):
    """What shows the language of a document."""

    words: int  # tokens of letters
    portuguese: int  # those that are frequent in Portuguese only
    other: int  # those that are frequent in a related language only


@dataclass
class Worst:
    """The worst rows of a list, and how many there are."""

    by: str  # column; its highest values are the worst
    total: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        self.total += 1
        if len(self.rows) == MAX_ROWS and row[self.by] <= self.rows[-1][self.by]:
            return
        self.rows = heapq.nlargest(MAX_ROWS, [*self.rows, row], key=lambda row: row[self.by])

    def as_json(self) -> dict[str, Any]:
        return {"total": self.total, "rows": self.rows}


@dataclass
class Suspicions:
    """Documents that are probably no Portuguese text, by reason."""

    not_portuguese: Worst = field(default_factory=lambda: Worst("other"))
    machine_marks: Worst = field(default_factory=lambda: Worst("share"))
    long_paragraphs: Worst = field(default_factory=lambda: Worst("letters"))
    single_words: Worst = field(default_factory=lambda: Worst("paragraphs"))

    def add(self, place: Mapping[str, Any], paragraphs: Sequence[str], language: Language) -> None:
        """Examine a document.

        Args:
            place: Its source and split.
            paragraphs: Its text.
            language: Counts of its words.
        """
        if _is_foreign(language):
            words = language.words
            shares = {
                "portuguese": language.portuguese / words,
                "other": language.other / words,
            }
            self.not_portuguese.add({**place, **shares, "text": " ".join(paragraphs)[:EXCERPT]})
        marked = [paragraph for paragraph in paragraphs if _MACHINE.search(paragraph)]
        if len(marked) > _MIN_MARKED * len(paragraphs):
            share = len(marked) / len(paragraphs)
            self.machine_marks.add({**place, "share": share, "text": marked[0][:EXCERPT]})
        longest = max(paragraphs, key=len)
        if len(longest) > _MAX_PARAGRAPH:
            self.long_paragraphs.add({**place, "letters": len(longest), "text": longest[:EXCERPT]})
        single = sum(" " not in paragraph for paragraph in paragraphs)
        if single > _MAX_SINGLE * len(paragraphs) and len(paragraphs) >= _MIN_PARAGRAPHS:
            excerpt = " / ".join(paragraphs[:20])[:EXCERPT]
            self.single_words.add({**place, "paragraphs": len(paragraphs), "text": excerpt})

    def as_json(self) -> dict[str, Any]:
        return {name: worst.as_json() for name, worst in vars(self).items()}


def _is_foreign(language: Language) -> bool:
    """Return whether a document is surely in another language, or in none.

    Either other words outnumber the Portuguese ones, or these are fewer than in any Portuguese
    text: the upper end of the interval of their share (Wilson 1927) is below `_MIN_PORTUGUESE`.
    """
    words, portuguese, other = language
    if words < _MIN_WORDS:
        return False
    if other > portuguese and other >= _MIN_OTHER:
        return True
    share, spread = portuguese / words, _Z**2 / words
    upper = share + spread / 2 + _Z * (share * (1 - share) / words + spread / 4 / words) ** 0.5
    return upper / (1 + spread) < _MIN_PORTUGUESE
