"""The tokenizer's regular expressions in JavaScript, so that the page has no others of its own.

    RE2                     JavaScript, flag u
    \\x{AD}                  \\u{AD}
    \\S  (ASCII)             [^\\t\\n\\f\\r ]  (\\S knows all spaces of Unicode)
    (?i:sr)\\.               [sSſ][rR]\\.     (an inline flag is too new for many browsers)
    (?s:.*)                 [^]*

Both take the leftmost match, then the first alternative.
"""

import re
from typing import Any

from pipeline.export.capitals import OPENS
from pipeline.export.meant_words import WORD
from pipeline.export.pronouns import ACCENTS, VERBS
from pipeline.text.sentences import SENTENCE_ENDS
from pipeline.text.spacing import KINDS
from pipeline.text.tokenizer import BREAK, rules

_SPACES = r"\t\n\f\r "
# Letters that RE2 takes for an ASCII letter where case is ignored.
_ALSO = {"s": "ſ", "k": "\u212a"}
# An escape, a class between brackets, or any other character.
_PART = re.compile(r"\\x\{\w+\}|\\[pP]\{\w+\}|\\x\w\w|\\.|.", re.DOTALL)


def tokenizer_patterns() -> dict[str, Any]:
    """Return the patterns of the tokenizer, sentences, spaces and verbs, for tokenizer.js."""
    of_tokenizer = rules()
    return {
        "joins": _replacements(of_tokenizer.joins),
        "folds": _replacements([*of_tokenizer.folds, (of_tokenizer.token, r" \0 ")]),
        "rejoins": _replacements(of_tokenizer.rejoins),
        "clean": javascript(of_tokenizer.clean),
        "invisible": javascript(of_tokenizer.invisible),
        "blank": javascript(of_tokenizer.blank),
        "spaced": javascript(of_tokenizer.spaced),
        "number": javascript(of_tokenizer.number),
        "ends": javascript(rf"[{SENTENCE_ENDS}]|{BREAK}"),
        "opens": javascript(OPENS),
        "kinds": [javascript(kind) for kind in KINDS],
        "word": javascript(WORD),
        "accents": _replacements(ACCENTS),
        "verbs": _replacements(VERBS),
    }


def _replacements(pairs: Any) -> list[list[str]]:
    return [[javascript(pattern), re.sub(r"\\(\d)", _group, to)] for pattern, to in pairs]


def _group(match: re.Match[str]) -> str:
    return "$&" if match[1] == "0" else f"${match[1]}"


def javascript(pattern: str) -> str:
    """Translate a pattern of RE2 into one of JavaScript with the flag u.

    It is meant for one chunk of text without line breaks, so (?m) is left out.
    """
    pattern = pattern.removeprefix("(?m)").replace("(?s:.*)", "[^]*")
    translated, in_class, ignored = [], False, 0  # open groups in which case is ignored
    for part in _PART.findall(pattern.replace("(?i:", "\0")):
        if part == "\0":
            translated.append("(?:")
            ignored = 1
            continue
        if not in_class and ignored:
            ignored += (part == "(") - (part == ")")
        in_class = part == "[" or (in_class and part != "]")
        translated.append(_translate(part, in_class=in_class, any_case=bool(ignored)))
    return "".join(translated)


def _translate(part: str, *, in_class: bool, any_case: bool) -> str:
    if part.startswith(r"\x{"):
        return r"\u" + part[2:]
    if part == r"\"":
        return '"'
    if part == r"\S":
        return f"[^{_SPACES}]"
    if part == r"\s":
        return _SPACES if in_class else f"[{_SPACES}]"
    if any_case and part.isalpha():
        forms = "".join(dict.fromkeys([part, part.upper(), _ALSO.get(part, part)]))
        return forms if in_class else f"[{forms}]"
    return part
