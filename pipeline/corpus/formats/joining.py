"""Join the words and marks of annotated text to text, in plain Python.

The spaces are those of `pipeline.text.spacing`; marks of other tokenizers are known too.
"""

import html
import re
from collections.abc import Iterable, Iterator

GLUE = "\x01"  # between two tokens: no space stands there

# Marks of the Penn Treebank, and of VISL ("$,").
_OTHER_MARKS = {"``": "“", "''": "”", "-LRB-": "(", "-RRB-": ")"}
VISL_MARKS = {"$" + mark: mark for mark in ".,;:!?()\"'-–—/«»"}
_OTHER_MARKS |= VISL_MARKS
_CLOSES = frozenset([*",;:!?.…)]}»”%", "..", "..."])
_OPENS = frozenset("([{«“„")
_MARK = re.compile(r"(?<!\S)(?:[]),;:!?.…}»”([{«“„\"']|\.{2,3}|(?<=\d )%)(?!\S)")
_SLASH = re.compile(r"(?<!\S)([^\W\d_]+) /(?!\S)(?: (?=[^\W\d_]))?")
_GLUED = re.compile(rf" ?{GLUE} ?")

# Those that follow a verb and a hyphen.
PRONOUN = "(?:me|te|se|lhes?|n?[oa]s?|l[oa]s?|[nv]os|m[oa]s?|lh[oa]s?)"
# "disse -lhe", "disse- lhe"
_CLITIC = re.compile(rf"(?<=\w) (?=-{PRONOUN}(?![^\s-]))|(?<=\w-) (?={PRONOUN}(?![^\s-]))")

_DEMONSTRATIVES = (
    "este esta estes estas esse essa esses essas aquele aquela aqueles aquelas isto isso aquilo"
)
# After these, people write both "de um" and "dum".
_EITHER_WAY = frozenset("um uma uns umas outro outra outros outras onde entre".split())
_AFTER_DE_OR_EM = [*f"o a os as ele ela eles elas {_DEMONSTRATIVES}".split(), *_EITHER_WAY]
_CONTRACTIONS = {
    **{("de", word): "d" + word for word in _AFTER_DE_OR_EM},
    **{("de", word): "d" + word for word in ("aqui", "aí", "ali", "acolá")},
    **{("em", word): "n" + word for word in _AFTER_DE_OR_EM},
    **{(by, word): "pel" + word for by in ("por", "per") for word in ("o", "a", "os", "as")},
    **{("a", word): "à" + word[1:] for word in _DEMONSTRATIVES.split() if word[0] == "a"},
    ("a", "o"): "ao",
    ("a", "os"): "aos",
    ("a", "a"): "à",
    ("a", "as"): "às",
    ("com", "mim"): "comigo",
    ("com", "ti"): "contigo",
    ("com", "si"): "consigo",
}
_PREPOSITION = "(de|em|por|per|a|com)"
_WORD = r"([^\W\d_]+)(?!\S)"
_PAIR = re.compile(rf"(?<!\S){_PREPOSITION} {_WORD}", re.IGNORECASE)
# "de+a", "de_ a" (CINTIL), "d@ @a" (Tycho Brahe).
_MARKED_PAIR = re.compile(rf"(?<!\S){_PREPOSITION}(?:\+|_ ){_WORD}", re.IGNORECASE)
_MARKS_OF_PAIRS = re.compile(r"(?<=[^\W_])(?:@ @(?=[^\W_])|_(?= |$))")
_SPLIT = re.compile(r"(?<!\S)(?:de|em) [oa]s?(?!\S)", re.IGNORECASE)
_WHOLE = re.compile(r"(?<!\S)[dn][oa]s?(?!\S)", re.IGNORECASE)

# Names of several words: "Nova_York", "S.=Paulo"; but no addresses, and nothing with figures.
_COMPOUND = re.compile(r"[^\W\d_][^\W\d_.'’-]*\.?(?:[_=][^\W\d_][^\W\d_.'’-]*\.?)+")


def join_tokens(tokens: Iterable[str], *, split: bool = False) -> str:
    """Join tokens with a space between two where people write one.

    Marks of punctuation stand close to the word before or after them, and the quotes of a text
    open and close in turn.

    Args:
        tokens: Words and marks, and `GLUE`.
        split: Whether contractions are split without a mark, as `contractions_are_split` tells.
    """
    text = " ".join(_OTHER_MARKS.get(token, token) for token in tokens)
    if "+" in text or "_" in text or "@ @" in text:
        text = _MARKS_OF_PAIRS.sub("", _MARKED_PAIR.sub(_contract, text))
    if split:
        text = _PAIR.sub(_contract_where_all_do, text)
    if " /" in text:
        text = _SLASH.sub(r"\1/", text)
    if "-" in text:
        text = _CLITIC.sub("", text)
    open_quotes: set[str] = set()

    def attach(match: re.Match[str]) -> str:
        mark = match[0]
        if mark in _CLOSES:
            return GLUE + mark
        opens = mark in _OPENS or mark not in open_quotes
        open_quotes.symmetric_difference_update((mark,))
        return mark + GLUE if opens else GLUE + mark

    return _GLUED.sub("", _MARK.sub(attach, text))


def glue_tokens(tokens: Iterable[str]) -> str:
    """Join tokens with a space between two wherever no `GLUE` stands."""
    return _GLUED.sub("", " ".join(tokens))


def contractions_are_split(tokens: Iterable[str]) -> bool:
    """Return whether words such as "do" stand in two parts, "de" and "o"."""
    text = " ".join(tokens)
    split, whole = len(_SPLIT.findall(text)), len(_WHOLE.findall(text))
    return split > 1 + 5 * whole


def plain_words(tokens: Iterable[str]) -> Iterator[str]:
    """Yield tokens without entities (&amp;), and compounds (Nova_York) with spaces."""
    for token in tokens:
        if "&" in token:
            token = html.unescape(token)
        if ("_" in token or "=" in token) and _COMPOUND.fullmatch(token):
            token = token.replace("_", " ").replace("=", " ")
        yield token


def _contract(pair: re.Match[str]) -> str:
    first, second = pair.groups()
    whole = _CONTRACTIONS.get((first.lower(), second.lower()))
    if not whole:
        return pair[0]
    if first.isupper() and second.isupper():
        return whole.upper()
    return whole[0].upper() + whole[1:] if first[0].isupper() else whole


def _contract_where_all_do(pair: re.Match[str]) -> str:
    return pair[0] if pair[2].lower() in _EITHER_WAY else _contract(pair)
