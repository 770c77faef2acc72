"""Join the halves of words that a line end cuts, with their hyphen or without."""

import collections
import functools
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# What stands at the end of a line that cuts a word. Readers of scanned pages write ¬.
HYPHENS = ("-", "\N{HYPHEN}", "¬", "\N{SOFT HYPHEN}")
_HYPHENATED = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
# Pronouns that follow a verb and a hyphen (disse-lhe), old spellings included, and what may follow
# them inside a verb (dar-lhe-ia).
_CLITICS = frozenset(
    "me te se lhe lhes nos vos o a os as lo la los las no na nas mo ma mos mas to ta tos tas lho "
    "lha lhos lhas".split()
)
_VERB_ENDINGS = frozenset("ei ás á emos eis ão ia ias íamos íeis iam".split())
# Heads that a clitic may follow: those of la and na end as verbs do before them.
_BEFORE_L = re.compile(r"(?:[áàâéêíóôúiu]|ei|no|vo)$")
_BEFORE_N = re.compile(r"(?:m|[ãõ][eo])$")
_VERB = re.compile(r"..*(?:[aeioáéêíóôúãmsrz]|[aeio]u)$|^[éáàh].?$")
# Clitics that are hardly ever the last syllable of another word, after the head.
_UNMISTAKABLE = re.compile(
    r".+-lh[eoa]s?|.*[áâéêíôóú]-l[oa]s?|[^\Wáâãéêíóôõú]{2,}(?:[aeio]|[eio]u)-(?:[ms]e|vos)|h..?s?-de"
)
_WEEKDAYS = frozenset(["segunda", "terça", "quarta", "quinta", "sexta"])
_PREFIXES = frozenset(
    "guarda porta pós pré pró vice recém além aquém grã grão quebra beija bem".split()
)
_INSIDE_COMPOUNDS = frozenset("de do da dos das em a à e o".split())  # lua-de-mel
_PARTS = r"[^\W\d_]++(?:-[^\W\d_]++)*+"
_SPACED = re.compile(rf"(?<![^\W\d_])(?<![^\W\d_]-)({_PARTS})- ({_PARTS})")
# After a hyphen and a space these are words of their own: "micro- e macroeconomia".
_WORDS_ALONE = frozenset("o a os as no na nos nas e ou mas la to ta".split())
# Occurrences in a billion words of text; wordfreq also has halves of words that were cut.
_COMMON = 1000.0
# A word is this much rarer than its halves if it is a mistake for them (bemvindo).
_MISTAKE = 100


class Spelling(NamedTuple):
    """The words of a text, and how its lines end."""

    words: Mapping[str, int]  # with their counts
    syllables: bool  # whether lines are cut inside words, between syllables


NO_SPELLING = Spelling(collections.Counter(), False)


def read_spelling(lines: Iterable[str]) -> Spelling:
    """Count words and their parts, except the halves at the end of a line."""
    words: collections.Counter[str] = collections.Counter()
    split = False
    number = hyphens = 0
    for line in lines:
        found = _HYPHENATED.findall(line.lower())
        first, split = int(split), line.endswith(HYPHENS)
        words.update(found[first : len(found) - split])
        number, hyphens = number + 1, hyphens + split
    for word in [word for word in words if "-" in word]:
        for part in word.split("-"):
            words[part] += words[word]
    # Few lines end in a hyphen of their own. If many do, words are split between syllables.
    return Spelling(words, hyphens > max(2, number / 20))


def join(first: str, second: str, spelling: Spelling) -> tuple[str, str]:
    """Return two lines to concatenate; a hyphen stays only if it belongs to the word."""
    if first.endswith("\N{SOFT HYPHEN}"):
        return first[:-1], second
    if not first.endswith(HYPHENS):
        return f"{first} ", second
    if second[:1].isalpha() and first[-2:-1].isalpha():
        first = f"{first[:-1]}-"
    if second.startswith("-"):  # Portuguese printers repeat the hyphen
        return first, second[1:]
    last = first.rpartition(" ")[2]
    heads = _HYPHENATED.findall(last.lower())
    tail = _HYPHENATED.match(second.lower())
    if not (first[-2:-1].isalnum() and heads and tail):
        return f"{first} ", second
    is_name = second[0].isupper() and not last.isupper()  # Grã-Bretanha
    keep = is_name or _has_hyphen(heads[-1], tail[0], spelling)
    return (first if keep else first[:-1]), second


def close_hyphens(paragraph: str, spelling: Spelling) -> str:
    """Return a paragraph without the spaces after hyphens that an earlier joining left.

    "disse- lhe" and "palá- cio" are words; "micro- e macroeconomia" stays.
    """

    if "- " not in paragraph:
        return paragraph

    def close(match: re.Match[str]) -> str:
        head, tail = (part.lower() for part in match.groups())
        if match[2] != tail or tail in _WORDS_ALONE:
            return match[0]
        if spelling.words[f"{head}-{tail}"] or _is_clitic(head, tail):
            keep = _has_hyphen(head, tail, spelling)
            return f"{match[1]}{'-' * keep}{match[2]}"
        whole = _frequency(head + tail)
        known = spelling.words[head + tail] or whole > min(_frequency(head), _frequency(tail))
        return match[1] + match[2] if known else match[0]

    return _SPACED.sub(close, paragraph)


def _has_hyphen(head: str, tail: str, spelling: Spelling) -> bool:
    """Return whether a word is written with the hyphen at which it was cut, in lower case."""
    words = spelling.words
    before, after = head.rpartition("-")[2], tail.partition("-")[0]
    hyphened, plain = words[f"{head}-{tail}"], words[head + tail] or words[before + after]
    if hyphened != plain:
        return hyphened > plain
    if before.isdecimal() or after.isdecimal():
        return True
    if before != head and before in _INSIDE_COMPOUNDS:
        return True
    halves = min(_frequency(before), _frequency(after))
    if _frequency(before + after) > halves / _MISTAKE:
        return False
    if _is_clitic(head, tail):
        sure = not spelling.syllables or _lexicon() or before != head or after != tail
        return bool(sure or words[before] or _UNMISTAKABLE.fullmatch(f"{before}-{after}"))
    if (before in _PREFIXES and len(after) > 3) or (before in _WEEKDAYS and after == "feira"):
        return True
    return all(_frequency(half) > _COMMON or words[half] for half in (before, after))


def _is_clitic(head: str, tail: str) -> bool:
    """Return whether a tail is a pronoun after a verb, or the ending of dar-lhe-ia."""
    before, (after, *rest) = head.rpartition("-")[2], tail.split("-")
    if before != head and before in _CLITICS and after in _VERB_ENDINGS:
        return True
    if after == "de":
        return before in ("hei", "hás", "há", "hão")
    if after not in _CLITICS or not all(part in _CLITICS | _VERB_ENDINGS for part in rest):
        return False
    if after[0] == "l" and after[1] != "h":
        return bool(_BEFORE_L.search(before))
    if after in ("no", "na", "nas"):
        return bool(_BEFORE_N.search(before))
    return bool(_VERB.match(before))


def _frequency(word: str) -> float:
    """Return the occurrences in a billion words of text, 0 if unknown."""
    return 1e9 * _lexicon().get(word, 0.0)


@functools.cache
def _lexicon() -> Mapping[str, float]:
    """Return the words of the library wordfreq, if it is installed."""
    try:
        import wordfreq
    except ImportError:
        return {}
    return wordfreq.get_frequency_dict("pt", "best")
