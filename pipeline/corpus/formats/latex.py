r"""LaTeX.

Macros with arguments are not expanded, and nothing needs to be closed: what is wrong in a file, or
\input from another, does not hide the prose of the rest. (pylatexenc stops at some errors.)
"""

import re
import unicodedata
from pathlib import Path

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import read_pieces

_GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*+\})*+\})*+\})*+\}"
_OPTION = r"\[[^\[\]]*+\]"
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*(?:\n[ \t]*|$)")

# Environments and commands that go with what they hold.
_DROPPED = re.compile(
    r"""\\begin\{(?P<name>(?:
        equation|eqnarray|align|alignat|flalign|gather|multline|displaymath|math|array|subequations
      | tabular[xy]?|tabbing|longtable|supertabular|(?:sideways)?table|(?:wrap|sideways)?figure
      | [vV]erbatim|semiverbatim|spec|alltt|lstlisting|minted|listing|algorithm\w*|code|comment
      | filecontents
      | quadro|grafico|tikzpicture|pspicture|picture|forest|thebibliography
    )\*?)\}(?:(?!\\begin\{(?P=name)\}).)*?\\end\{(?P=name)\}
      | \\iffalse\b.*?\\fi\b""",
    re.DOTALL | re.VERBOSE,
)
_SILENT = re.compile(
    rf"""\\(?:label|(?:page|eq|auto|name|v|c|C)?ref|[a-zA-Z]*[cC]ite[a-z]*|include(?:graphics|pdf)?
      | (?:lst)?input\w*|bibliography(?:style)?|printbibliography|bibitem|index|glossary|todo|date
      | author|thanks|document(?:class|style)|RequirePackage|addbibresource|[hv]space|[hv]skip|url
      | path|stepcounter|(?:this)?pagestyle|pagenumbering|geometry|graphicspath|color|linespread
      | selectlanguage|hyphenation|[hv]?phantom|markright|fancy(?:head|foot|hf)|enlargethispage
    )\*?(?![A-Za-z])(?:[ \t]*{_OPTION})*+(?:[ \t]*{_GROUP})?
      | \\(?:(?:renew|provide)[a-z]+|new(?!line|page)[a-z]+|rule
      | def\\[A-Za-z]+(?:\#\d)*|let\\[A-Za-z]+|set[a-z]+|[a-z]*set(?:up)?|use[a-z]+|raisebox
      | DeclareMathOperator|addto[a-z]+|addcontentsline|fontsize|markboth|definecolor|pdfbookmark
      | title(?:format|spacing)
    )\*?(?![A-Za-z])(?:\s*(?:{_OPTION}|{_GROUP})(?:{_OPTION}|{_GROUP})*+)?""",
    re.DOTALL | re.VERBOSE,
)
# Commands whose first group is no text.
_LEADING = re.compile(
    rf"\\(?:href|textcolor|colorbox|foreignlanguage|parbox|scalebox|resizebox\s*{_GROUP})"
    rf"\*?\s*(?:{_OPTION})*\s*(?:{_GROUP})",
    re.DOTALL,
)
_HEADING = re.compile(
    rf"""\\(?:part|chapter|(?:sub)*section|(?:sub)?paragraph|title|subtitle|epigraph|frametitle
      |caption|begin\{{(?:frame|\w*block)\}})\*?\s*(?:{_OPTION}\s*)?(?P<text>{_GROUP})""",
    re.DOTALL | re.VERBOSE,
)
_FOOTNOTE = re.compile(
    rf"\\(?:footnote(?:text)?|marginpar|sidenote|endnote)\s*(?:{_OPTION}\s*)?(?P<text>{_GROUP})",
    re.DOTALL,
)
_TITLE = re.compile(rf"\\title\s*(?:{_OPTION})?\s*{_GROUP}", re.DOTALL)
# A macro without arguments.
_MACRO = re.compile(
    rf"\\(?:(?:re|provide)?(?:new)?command\*?\s*\{{?|def)"
    rf"\\(?P<name>[A-Za-z]+)\}}?\s*(?P<text>{_GROUP})",
    re.DOTALL,
)
_OVERLAY = re.compile(r"(\\(?:[A-Za-z]+|begin\{\w+\}))<[\d+,.|-]+>")  # when Beamer shows it
_ENVIRONMENT = re.compile(
    rf"\\(?:begin\{{[^{{}}]*\}}(?:[ \t]*(?:{_OPTION}|{_GROUP}))*|end\{{[^{{}}]*\}})"
)
_BREAK = re.compile(rf"\\(?:\\\*?[ \t]*(?:{_OPTION})?|(?:par|newline|linebreak)(?![A-Za-z]))")
_ITEM = re.compile(r"\\item(?![A-Za-z])[ \t]*(?:\[(?P<label>[^\[\]]*)\])?")
_DISPLAY = re.compile(r"\$\$.*?\$\$|\\\[.*?\\\]", re.DOTALL)
_INLINE = re.compile(r"\$((?:[^$\n]|\n(?!\s*\n))*)\$|\\\(((?:[^\n]|\n(?!\s*\n))*?)\\\)")
_PLAIN_MATH = re.compile(r"[\d.,:/ ]*\d[ºª]?|[A-Za-z]")
_VERB = re.compile(r"\\(?:verb|lstinline)\*?([^A-Za-z\s*{\[])(.*?)\1")

# Combining characters, in the order of the signs.
_ACCENTS = dict(
    zip(
        "`'^\"~=.cuvHrk",
        "\u0300\u0301\u0302\u0308\u0303\u0304\u0307\u0327\u0306\u030c\u030b\u030a\u0328",
        strict=True,
    )
)
_ACCENTED = re.compile(
    r"\\(?:(?P<sign>[`'^\"~=.])|(?P<word>[cuvHrk])(?=[\s{\\]))\s*"
    r"(?:\{\s*\\?(?P<inner>[A-Za-z])\s*\}|\\(?P<dotless>[ij])(?![A-Za-z])\s?|(?P<letter>[A-Za-z]))"
)
_LETTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å",
    "l": "ł", "i": "i", "j": "j",
}  # fmt: skip
_SIGNS = {
    "ldots": "…", "dots": "…", "textellipsis": "…", "textendash": "–", "textemdash": "—",
    "textordfeminine": "ª", "textordmasculine": "º", "textdegree": "°", "degree": "°", "S": "§",
    "pounds": "£", "euro": "€", "texteuro": "€", "LaTeX": "LaTeX", "TeX": "TeX", "og": "«",
    "fg": "»", "guillemotleft": "«", "guillemotright": "»", "textquotedblleft": "“",
    "textquotedblright": "”", "textquoteleft": "‘", "textquoteright": "’", "lq": "‘", "rq": "’",
}  # fmt: skip
_WORD = re.compile(rf"\\([A-Za-z@]+)\*?[ \t]*(?:\{{\}})?(?:{_OPTION}(?=\{{))?")
_SYMBOL = re.compile(r"\\([^A-Za-z])", re.DOTALL)
_LIGATURES = (
    *(("---", "—"), ("--", "–"), ("``", "“"), ("''", "”")),
    *(("<<", "«"), (">>", "»"), ("`", "‘")),
)
_ESCAPED = "%$&#_{}"
_PRIVATE = {sign: chr(0xE000 + number) for number, sign in enumerate(_ESCAPED)}


def looks_like_latex(head: str) -> bool:
    """Return whether a text is LaTeX: it begins with a command, and has sections or a class."""
    text = _COMMENT.sub(r"\1", head).lstrip() if "\\" in head else ""
    if re.match(r"\\(?:documentclass|documentstyle)\b", text):
        return True
    structure = (
        r"^[ \t]*\\(?:documentclass|begin\{document\}|(?:part|chapter|(?:sub)*section)\*?[\[{])"
    )
    return bool(re.match(r"\\[A-Za-z]{2}", text) and re.search(structure, text, re.MULTILINE))


def read_latex(path: Path, config: ReadingConfig) -> Texts:
    """Yield the prose as one document, or as several if it is longer than `MAX_PIECE`."""
    for text, encoding in read_pieces(path):
        yield Text(latex_paragraphs(text), encoding)


def latex_paragraphs(text: str) -> list[str]:
    """Return paragraphs, headings and items; a footnote is a paragraph of its own."""
    # A sign of percent is more likely than a line that ends within a number.
    text = _COMMENT.sub(r"\1", re.sub(r"(?<=\d)\\\\%", r"\\%", text))
    text = _expand(_OVERLAY.sub(r"\1", text))
    preamble, begins, body = text.partition(r"\begin{document}")
    if begins:
        title = _TITLE.search(preamble)
        body = body.partition(r"\end{document}")[0]
        text = f"{title[0]}\n\n{body}" if title else body
    for sign, private in _PRIVATE.items():
        text = re.sub(rf"(?<!\\)((?:\\\\)*)\\{re.escape(sign)}", rf"\1{private}", text)
    dropped = 1
    while dropped:  # the innermost first
        text, dropped = _DROPPED.subn("\n", text)
    text = _INLINE.sub(_math, _DISPLAY.sub(" ", _VERB.sub(r"\2", text)))
    text = _LEADING.sub("", _SILENT.sub("", text))
    text = _FOOTNOTE.sub(lambda found: re.sub(r"\n\s*\n", "\n", found[0]), text)
    text = _HEADING.sub(lambda found: f"\n\n{found['text']}\n\n", text)
    text = _ITEM.sub(lambda found: f"\n\n{found['label'] or ''} ", text)
    text = _BREAK.sub("\n\n", _ENVIRONMENT.sub("\n\n", text))
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        notes = [note["text"] for note in _FOOTNOTE.finditer(block)]
        found += map(_letters, [_FOOTNOTE.sub("", block), *notes])
    return [paragraph for paragraph in found if any(map(str.isalnum, paragraph))]


def _expand(text: str) -> str:
    macros = {found["name"]: found["text"] for found in _MACRO.finditer(text)}
    if not macros:
        return text
    text = _MACRO.sub("", text)
    used = re.compile(rf"\\({'|'.join(macros)})(?![A-Za-z])(?:\{{\}})?")
    return used.sub(lambda found: macros[found[1]], text)


def _math(found: re.Match[str]) -> str:
    """Return a number or a letter that was set as mathematics."""
    inner = (found[1] or found[2] or "").strip()
    return inner if _PLAIN_MATH.fullmatch(inner) else " "


def _letters(text: str) -> str:
    """Return text whose commands became the letters they stand for, or nothing."""
    text = _ACCENTED.sub(_accent, text)
    text = _WORD.sub(_word, text)
    text = _SYMBOL.sub(lambda found: " " if found[1] in " \n,;:" else "", text)
    text = text.replace("{", "").replace("}", "").replace("~", " ").replace("$", "")
    for marks, sign in _LIGATURES:
        text = text.replace(marks, sign)
    text = " ".join(re.sub(r"\(\s*[,;]*\s*\)|\[\s*\]", "", text).split())
    text = re.sub(r"\s+([,.;:!?)])", r"\1", text)
    for sign, private in _PRIVATE.items():
        text = text.replace(private, sign)
    return unicodedata.normalize("NFC", text).strip()


def _accent(found: re.Match[str]) -> str:
    letter = found["inner"] or found["dotless"] or found["letter"]
    return unicodedata.normalize("NFC", letter + _ACCENTS[found["sign"] or found["word"]])


def _word(found: re.Match[str]) -> str:
    name = found[1]
    if name in _SIGNS:
        return _SIGNS[name] + " " * found[0].endswith((" ", "\t"))
    return _LETTERS.get(name, "")
