"""Detect the encoding of Portuguese text, or of each of its lines."""

import codecs
import contextlib
import re
import unicodedata
from collections.abc import Sequence

# Windows (a superset of Latin-1), DOS and Macintosh, the most likely first.
OLD_ENCODINGS = ("cp1252", "cp850", "mac_roman")

# Portuguese beyond ASCII, common and less common.
WEIGHTS = dict.fromkeys("áàâãéêíóôõúç—", 2)
WEIGHTS |= dict.fromkeys("üÁÀÂÃÉÊÍÓÔÕÚÜÇñÑªº°§€«»“”‘’–…²³½", 1)
_ASCII = bytes(range(128))
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\f\r")
_MAX_CONTROLS = 2  # runs of them in any text, besides one in twenty bytes
HEAD = 4096  # bytes that show whether a text is in UTF-16
_WIDE = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
# The first bytes of a character of Portuguese in UTF-8, the rest of which was cut off.
_CUT = re.compile(
    rb"(?<![A-Z])(?:[\xc2\xc3\xcc]|[\xe2\xef][\x80-\xbf]?|\xf0[\x80-\xbf]{0,2})"
    rb"(?![A-Za-z\x80-\xff])"
)
# The halves of an emoji in UTF-16, each written as if it were a character in UTF-8 (as Java does).
_SURROGATES = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")


def wide_encoding(head: bytes) -> str:
    """Return utf-16-le or utf-16-be, if the start of a text is in that, else nothing.

    A byte order mark says so, or that nearly every other byte is NUL.
    """
    for encoding, mark in _WIDE.items():
        if head.startswith(mark):
            return encoding
    head = head[:HEAD]
    for encoding, high in (("utf-16-le", 1), ("utf-16-be", 0)):
        characters = len(head) // 2
        nuls, others = head[high::2].count(0), head[1 - high :: 2].count(0)
        if nuls > 0.7 * characters and others < 0.1 * characters:
            return encoding
    return ""


def byte_order_mark(encoding: str) -> bytes:
    """Return what begins a text in the encoding that `wide_encoding` found."""
    return _WIDE.get(encoding, b"")


def decode(data: bytes) -> tuple[str, str]:
    """Decode UTF-8, UTF-16, or the old encoding that fits Portuguese best.

    Where lines in UTF-8 and in an old encoding are mixed, each is decoded as what it is. Bytes
    that are invalid in the encoding become U+FFFD.

    Returns:
        The text in NFC, and its encoding: utf-8, utf-8-sig (with BOM), utf-16, cp1252, cp850,
        mac_roman, or two with a plus sign, that of most lines first.

    Raises:
        ValueError: The bytes are not text.
    """
    if wide := wide_encoding(data):
        encoding = "utf-16"
        text = data.decode(wide, errors="replace").removeprefix("\ufeff")
        _require_text(text.encode("utf-8", errors="replace"))
    else:
        _require_text(data)
        encoding = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            lines = [_mend_emoji(line) for line in data.splitlines(keepends=True)]
            encoding = _encoding_of(lines, encoding)
            text = "".join(decode_line(line, encoding) for line in lines).removeprefix("\ufeff")
    return unicodedata.normalize("NFC", text), encoding


def decode_declared(data: bytes, declared: str) -> tuple[str, str]:
    """Decode with the encoding that a file declares, unless it is UTF-8 or the name is wrong.

    UTF-7 is only known by its name: its bytes are ASCII.

    Returns:
        The text, and the declared encoding, or else what `decode` returns.

    Raises:
        ValueError: The bytes are not text.
    """
    with contextlib.suppress(LookupError, UnicodeDecodeError):
        if not is_utf8(data) or codecs.lookup(declared).name == "utf-7":
            return data.decode(declared), declared
    return decode(data)


def decode_line(line: bytes, encoding: str) -> str:
    """Decode a line of a text that is in this encoding, as `decode` names it."""
    line = _mend_emoji(line)
    names = encoding.split("+")
    old = next((name for name in names if name in OLD_ENCODINGS), None)
    if not old or is_utf8(line) or _is_damaged(line, mixed=len(names) > 1):
        return line.decode("utf-8", errors="replace")
    return line.decode(old, errors="replace")


def _require_text(data: bytes) -> None:
    """Raise ValueError if there are too many control characters, in runs as a disk leaves NULs."""
    rest = data.translate(None, _CONTROLS)
    if len(rest) == len(data):
        return
    runs = len(re.findall(rb"[%b]+" % re.escape(_CONTROLS), data))
    if runs > _MAX_CONTROLS + len(rest) / 20 or not rest.strip():
        raise ValueError("its bytes are not text")


def is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def join_surrogates(text: str) -> str:
    """Return a text with one character for the two halves of an emoji, U+FFFD for a half alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mend_emoji(line: bytes) -> bytes:
    return _SURROGATES.sub(
        lambda pair: join_surrogates(pair[0].decode("utf-8", "surrogatepass")).encode(), line
    )


def _is_damaged(line: bytes, *, mixed: bool) -> bool:
    """Return whether a line that is not valid UTF-8 was UTF-8 once.

    Valid sequences do not occur by chance. If other lines are UTF-8, all that is wrong may be
    that the last bytes of a character were cut off.
    """
    text = line.decode("utf-8", errors="replace")
    beyond_ascii = len(text) - (len(line) - len(line.translate(None, _ASCII)))
    if beyond_ascii > 2 * text.count("\N{REPLACEMENT CHARACTER}"):
        return True
    return mixed and is_utf8(_CUT.sub(b"", line))


def _encoding_of(lines: Sequence[bytes], utf8: str) -> str:
    """Return the encoding of lines that are not all valid UTF-8, as `decode` names it."""
    beyond_ascii = [line for line in lines if not line.isascii()]
    broken = [line for line in beyond_ascii if not is_utf8(line)]
    mixed = len(broken) < len(beyond_ascii)
    old = [line for line in broken if not _is_damaged(line, mixed=mixed)]
    others = len(beyond_ascii) - len(old)
    if not old:
        return utf8
    try:
        name = _best_old_encoding(b"".join(old))
    except ValueError:
        if others:
            return utf8
        raise
    if not others:
        return name
    return f"utf-8+{name}" if others >= len(old) else f"{name}+utf-8"


def _best_old_encoding(data: bytes) -> str:
    """Return the encoding that yields the most Portuguese letters.

    charset-normalizer, restricted to these encodings, detects cp1252 in 35 of 50 snippets of 60
    characters and in 48 of 50 of 200; this detects all: `python benchmarks/encodings.py`.
    """
    beyond_ascii = data.translate(None, _ASCII)
    candidates = [beyond_ascii.decode(name, errors="replace") for name in OLD_ENCODINGS]
    scores = [sum(WEIGHTS.get(letter, -2) for letter in letters) for letters in candidates]
    best = scores.index(max(scores))
    foreign = sum(letter not in WEIGHTS for letter in candidates[best])
    if 2 * foreign > len(candidates[best]) + len(data) / 100:
        raise ValueError("its bytes are not Portuguese in any known encoding")
    return OLD_ENCODINGS[best]
