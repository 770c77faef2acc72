"""Texts of odd Unicode, made at random: what a tokenizer may stumble over."""

import random
import unicodedata
from collections.abc import Iterator

_SPACES = [*"   \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000\x00\x1c", "\r\n"]
_INVISIBLE = [*"\xad\u034f\u061c\u180e\u200b\u200d\u200e\u202a\u2060\ufe0f\ufeff\x02"]
_MARKS = [*"\u0300\u0301\u0302\u0303\u0308\u0327\u0323\u0328\u0345\u0313\u0653\u093c\u09be\u3099"]
_SIGNS = [
    *".,:;!?…-‐‑–—―'\"’‘“”«»‚„()[]{}/|\\@#$%‰&*_=+<>^~`´°ºª²³€",
    *["..", "...", "--", ":)", "<3"],
]
_WORDS = """
    d'água Dar-lhe-ia Sr Sra Exmo etc p.ex Ph.D S.A n.º 1.º 2ª R$ US$ 14h30 1.234,56 50% AT&T
    https://a.br/x?y=1 www.rio.gov.br ana@uol.com.br @ana #rio alun@s c/ p/ S/A Copa'94 km² °C
    ÇÃO İstanbul ΣΟΦΟΣ ſaúde \u212aelvin ǅ ﬁm straße ẞ ỳ 日本語 한국어 नमस्ते عربي ১৭ Ⅻ ½ ٣
    🇧🇷 👍🏽 👨\u200d👩\u200d👧 ☺\ufe0f 𝒜 \U0001f9ff \U00010400 \ufffd
    e\u0301 a\u0303o c\u0327 a\u0323\u0302 o\u0308 \u1100\u1161
""".split()
_LETTERS = "aáãbcçdeéêfgiíjklmnoóôõpqrstuúvxzABCÇDEÉIÍOÓSTZ0123456789"
_KINDS = (_SPACES, _INVISIBLE, _MARKS, _SIGNS, _WORDS)


def odd_texts(count: int, *, seed: int) -> Iterator[str]:
    """Make texts of 1 to 12 pieces: words, letters, marks, spaces, and any characters."""
    chance = random.Random(seed)
    for _ in range(count):
        yield "".join(_piece(chance) for _ in range(chance.randint(1, 12)))


def _piece(chance: random.Random) -> str:
    kind = chance.choices([*_KINDS, None, ""], [6, 1, 1, 4, 5, 5, 1])[0]
    if kind is None:
        return "".join(chance.choices(_LETTERS, k=chance.randint(1, 5)))
    return chance.choice(kind) if kind else _any(chance)


def _any(chance: random.Random) -> str:
    """Return any character that Unicode has, most often one below U+3000."""
    while True:
        character = chr(chance.randrange(chance.choice([0x300, 0x3000, 0xD800])))
        if unicodedata.category(character) != "Cn":
            return character
