"""Turn books into paragraphs, without line breaks, page marks and Project Gutenberg's text."""

import re

from pipeline.corpus.gutenberg import remove_gutenberg
from pipeline.corpus.hyphens import (
    HYPHENS,
    NO_SPELLING,
    Spelling,
    close_hyphens,
    join,
    read_spelling,
)
from pipeline.corpus.layout import continued_lines, undo_double_spacing
from pipeline.corpus.page_marks import remove_page_marks

# The marks of quoted lines in e-mail.
_QUOTED = re.compile(r"^(?:>[^\S\n]?)+", re.MULTILINE)

# White space that becomes a single space; line breaks are handled apart.
_IRREGULAR_SPACES = (
    "  ",
    *(sign for sign in map(chr, range(0x3001)) if sign.isspace() and sign not in " \n"),
)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, with hard line breaks undone.

    Lines are joined while they are full, that is while the first word of the next line would not
    have fitted:

        A vizinha contou que o cachorro da padaria tinha passado a noite na calçada,
        debaixo do toldo, sem latir uma só vez, até que o padeiro chegou, já de dia,
        com o pão na cesta e a chave na mão.                <- "—" would have fitted
        — Ele espera o padeiro, disse ela.

    is two paragraphs. Verse, dialogue and headings end early and keep their lines, and so does a
    text without a common line width. Page numbers, running heads and the header and footer of
    Project Gutenberg are removed; numbers of chapters and verses stay, since they do not interrupt
    sentences page after page.
    """
    if "\n>" in text:
        text = _QUOTED.sub("", text)
    if len(text.splitlines()) < 2:  # as most rows of tables
        clean = " ".join(text.split())
        return _close_hyphens([clean]) if clean else []
    if 3 * (text.count("\n\n") + text.count("\n \n")) >= text.count("\n"):
        text = undo_double_spacing(text)
    lines, resumed = remove_page_marks(remove_gutenberg(text))
    continued = continued_lines(lines) | resumed
    if any(spaces in text for spaces in _IRREGULAR_SPACES):
        clean_lines = [" ".join(line.split()) for line in lines]
    else:
        clean_lines = [line.strip() for line in lines]  # three times as fast
    if not continued:
        return _close_hyphens([line for line in clean_lines if line])
    cut = any(line.endswith(HYPHENS) for line in lines)
    spelling = read_spelling(lines) if cut else NO_SPELLING
    joined: list[list[str]] = []  # the lines of each paragraph
    for place, line in enumerate(clean_lines):
        if line and place in continued:
            joined[-1][-1:] = join(joined[-1][-1], line, spelling)
        elif line:
            joined.append([line])
    return _close_hyphens(["".join(parts) for parts in joined], spelling)


def _close_hyphens(found: list[str], spelling: Spelling = NO_SPELLING) -> list[str]:
    if any("- " in paragraph for paragraph in found):
        return [close_hyphens(paragraph, spelling) for paragraph in found]
    return found
