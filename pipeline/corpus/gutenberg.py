"""Remove what Project Gutenberg adds to a book, and its marks of italics, notes and pages."""

import re

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
# "_Diário_"; "sr.^a" and "sr.^{a}"; page marks inside lines or on their own.
_ITALICS = re.compile(r"(?<![^\W_])_(?=[^\s_])((?:[^_\n]|\n(?!\s*\n)){1,2000}?)(?<=\S)_(?![^\W_])")
_ORDINAL = re.compile(r"(?<=[^\W\d_][.])\^\{?([ao])(s?)\b\}?")
_PAGE = re.compile(
    r"(?:^[^\S\n]*)?(?:\{|\[(?:Pg|P[áa]g|P[áa]gina)\b\.?[^\S\n]*)(\d{1,4})[\]}](?:[^\S\n]*\n|[^\S\n])?",
    re.MULTILINE,
)
_MIN_PAIRS = 5
_MIN_PAGES = 5
# What else is certain in its books only: bold type, other raised letters, numbers of notes, notes
# and captions, whose text stays, and rows of asterisks.
_MARKS = (
    (re.compile(r"(?<![\w=])=(?=[^\s=])([^=]{1,300}?)(?<=\S)=(?![\w=])"), r"\1"),
    (re.compile(r"(?<=[^\W\d_])(\.?)\^\{?([^\W\d_]{1,4})\b\}?"), r"\1\2"),
    (re.compile(r"(?<=[^\W\d_]|[.,;:!?»”\"')_])\[(?:\d{1,3}|[A-Z])\]"), ""),
    (re.compile(r"^[^\S\n]*\[\d{1,3}\][^\S\n]+", re.MULTILINE), ""),
    (re.compile(r"^[^\S\n]*(?:\*[^\S\n]*){3,}$", re.MULTILINE), ""),
)
_NOTE = re.compile(
    r"\[(?:Nota(?: de rodap[ée])?|Rodapé|Footnote|Illustration|Ill?ustra[çc]ão|Gravura|Figura|"
    r"Imagem)\b"
    r"(?:[^\S\n]*[\dA-Z*]{1,4}\b)?(?::\s*([^\[\]]*))?\]"
)
_MAX_HEADER = 40_000  # characters; a later marker is a quotation in some text


def remove_gutenberg(text: str) -> str:
    """Return what is between the markers of Project Gutenberg, of every book in the text.

    Its marks go too, as they do from other texts where it is certain that they are marks.
    """
    if "Gutenberg" not in text and "GUTENBERG" not in text and "SMALL PRINT" not in text:
        return _remove_marks(text, is_gutenberg=False)
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
    return _remove_marks("\n\n".join(kept), is_gutenberg=start > 0)


def _remove_marks(text: str, *, is_gutenberg: bool) -> str:
    if "^" in text:
        text = _ORDINAL.sub(_as_ordinal, text)
    if "_" in text and (is_gutenberg or _is_systematic(text)):
        text = _ITALICS.sub(r"\1", text)
    numbers = [int(number) for number in _PAGE.findall(text)] if "{" in text or "[P" in text else []
    pages = sorted(set(numbers)) == numbers and len(numbers) >= _MIN_PAGES
    if pages or (is_gutenberg and numbers):
        text = _PAGE.sub("", text)
    if not is_gutenberg:
        return text
    text = _NOTE.sub(_as_text, text)
    for marks, kept in _MARKS:
        text = marks.sub(kept, text)
    return text


def _as_text(note: re.Match[str]) -> str:
    """Return the text of a note, a paragraph a line: its first line was longer."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", note[1] or ""))


def _as_ordinal(match: re.Match[str]) -> str:
    return {"a": "ª", "o": "º"}[match[1]] + match[2]


def _is_systematic(text: str) -> bool:
    """Return whether underscores stand around words, in pairs, again and again."""
    pairs = len(_ITALICS.findall(text))
    return pairs >= _MIN_PAIRS and 2 * pairs >= 0.95 * text.count("_")
