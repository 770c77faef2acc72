"""Text from bytes of an encoding nobody wrote down, and what an earlier reader has broken in it."""

import codecs
import unicodedata

import ftfy.badness

# What Portuguese is written with beside ASCII, and the encodings it was written in before UTF-8,
# likeliest first: Windows (Latin-1 is part of it), DOS, Macintosh.
_COMMON = "áàâãéêíóôõúç—"
_LESS_COMMON = "üÁÀÂÃÉÊÍÓÔÕÚÜÇñÑªº°§€«»“”‘’–…²³½"
OLD_ENCODINGS = ("cp1252", "cp850", "mac_roman")

_WEIGHTS = {**dict.fromkeys(_COMMON, 2), **dict.fromkeys(_LESS_COMMON, 1)}
_ASCII = bytes(range(128))
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\f\r")

# How UTF-8 looks that was read as one of the old encodings: its first byte, then a letter that
# Portuguese does not put there (Ã£, â€”, ├ú, √£). Some are good Portuguese (NÃO), which is for
# ftfy to tell; the rest of a text need not be looked at.
_SUSPICIOUS = (
    *("Ã", "Â", "â€", "├", "┬", "√", "¬", "\x80", "Å", "Ä", "Ð"),
    *("ð", "œ", "˜", "¸", "∏"),  # of emoji: 😂, ✨, ☺, and what often follows ❤
)


def decode(data: bytes) -> tuple[str, str]:
    """Text from bytes: UTF-8, UTF-16 with BOM, or the old encoding that fits Portuguese best.

    Bytes that do not fit the encoding become U+FFFD.

    Returns:
        The text, in NFC, and the name of its encoding: utf-8, utf-8-sig (with BOM), utf-16,
        cp1252, cp850 or mac_roman.

    Raises:
        ValueError: the bytes are no text.
    """
    encoding = "utf-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
        text = data.decode(encoding, errors="replace")
        data = text.encode("utf-8", errors="replace")  # so that controls are single bytes
    else:
        if data.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            text, encoding = _best(data, (encoding, *OLD_ENCODINGS))
    if len(data) - len(data.translate(None, _CONTROLS)) > len(text) / 100:
        raise ValueError("its bytes are no text")
    return unicodedata.normalize("NFC", text), encoding


def _best(data: bytes, encodings: tuple[str, ...]) -> tuple[str, str]:
    """The text in the encoding that makes most Portuguese letters of the bytes beyond ASCII.

    The first encoding is UTF-8, with or without BOM.

    charset-normalizer, even kept to these encodings, finds cp1252 in 35 of 50 snippets of 60
    letters and in 48 of 50 of 200, where this finds all: `python benchmarks/encodings.py`.
    """
    beyond = data.translate(None, _ASCII)
    text = data.decode(encodings[0], errors="replace")
    found = len(text) - (len(data) - len(beyond))  # characters beyond ASCII
    # Letters of UTF-8 do not come about by chance: with some damage it is UTF-8 still.
    if found > 2 * text.count("\N{REPLACEMENT CHARACTER}"):
        return text, encodings[0]
    letters = [beyond.decode(encoding, errors="replace") for encoding in encodings]
    scores = [sum(_WEIGHTS.get(letter, -2) for letter in found) for found in letters]
    best = scores.index(max(scores))
    strange = sum(letter not in _WEIGHTS for letter in letters[best])
    if 2 * strange > len(letters[best]) + len(data) / 100:
        raise ValueError("its bytes are Portuguese in no known encoding")
    return data.decode(encodings[best], errors="replace"), encodings[best]


def count_mojibake(text: str) -> int:
    """How many sequences of letters look like text decoded wrongly by an earlier reader (Ã£, â€”).

    Args:
        text: one paragraph a line; only those with a suspicious letter are looked at.
    """
    signs = [sign for sign in _SUSPICIOUS if sign in text]
    if not signs:
        return 0
    return sum(
        ftfy.badness.badness(paragraph)
        for paragraph in text.split("\n")
        if any(sign in paragraph for sign in signs)
    )
