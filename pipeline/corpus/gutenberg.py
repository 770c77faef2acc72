"""Remove what Project Gutenberg adds to a book."""

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
_MAX_HEADER = 40_000  # characters; a later marker is a quotation in some text


def remove_gutenberg(text: str) -> str:
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
