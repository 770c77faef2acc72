"""Markdown, with what GitHub, Hugo, Jekyll, Docusaurus, MkDocs, Pelican, Obsidian and R add."""

import html
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.cells import clean_html
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import plain_line_ends, read_pieces, suffixes

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_HTML_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_MAX_FRONT_MATTER = 20_000  # characters
_COMMENTS = r"(?:[^\S\n]*(?:#[^\n]*)?\n)*"  # and empty lines
_FRONT_MATTER = re.compile(
    # YAML or TOML. A rule, prose and another rule are neither.
    rf"\s*(?:---[^\S\n]*\n(?={_COMMENTS}[\w\"'-]+[^\S\n]*:(?:\s|$)).*?\n(?:---|\.\.\.)"
    rf"|\+\+\+[^\S\n]*\n(?={_COMMENTS}(?:[\w\"'.-]+\s*=|\[)).*?\n\+\+\+)[^\S\n]*(?:\n|\Z)",
    re.DOTALL,
)
# The settings of Pelican and MkDocs, without rules around them, and the JSON of Hugo.
_SETTINGS = re.compile(
    r"\s*\{[^\S\n]*\n\s*\"(?:.*\n)*?\}[^\S\n]*\n|\s*(?:title|authors?|date|category|slug|layout|template|summary):[^\S\n]+\S.*\n"
    r"(?:[A-Za-z][\w-]*:.*\n|[^\S\n]+\S.*\n)*[^\S\n]*\n",
    re.IGNORECASE,
)
_FENCED = re.compile(
    r"^(?P<indent>[ \t>]*(?:[-*+][ \t]+|\d+[.)][ \t]+)?)(?P<fence>`{3,}|~{3,})[^\n`]*\n"
    r".*?(?:^[ \t>]*(?P=fence)[`~]*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
# Code and comments between tags of Jekyll and Hugo.
_BETWEEN_TAGS = re.compile(
    r"\{%-?\s*(highlight|comment|mermaid|math)\b.*?\{%-?\s*end\1\s*-?%\}"
    r"|\{\{[<%]\s*(highlight|mermaid|math)\b.*?\{\{[<%]\s*/\s*\2\s*[>%]\}\}",
    re.DOTALL,
)
# A note or a tab of MkDocs: a title, and below it indented lines, which would pass for code.
_INDENTED = re.compile(
    r"^(?P<indent>[ \t]*)(?:(?:!!!|\?\?\?\+?)[ \t]+[\w \t-]+|===[!+]?[ \t]+(?=\"))"
    r"(?:\"(?P<title>[^\"\n]*)\")?[ \t]*\n"
    r"(?P<block>(?:(?P=indent)(?:\ {4}|\t)[^\n]*(?:\n|\Z)|[ \t]*\n)*)",
    re.MULTILINE,
)
# A list at the end that tells who made the text.
_CREDITS = re.compile(r"(?:^[*+-] +(?:\*\*)?[^\n:]{2,30}:[^\n]*\n+){2,}\s*\Z", re.MULTILINE)
_MAX_CREDITS = 5000  # characters
_SAYS_LICENCE = re.compile(r"^[*+-] +(?:\*\*)?(?:licen[cs]e|licen[çc]a|copyright)\b", re.I | re.M)

_FORMULA = r"[^$\n]*?[\\^_={}<>][^$\n]*?|[\d.,+*/() -]*[A-Za-z][\d.,+*/() -]+[A-Za-z\d)]"
_REPLACED = (
    (r"<!--(?:(?!<!--)[\s\S])*?-->", ""),
    (r"\{\{[<%][^{}]+[%>]\}\}|\{%[^{}]+%\}|\{\{[^{}]*\}\}", ""),  # Hugo, Jekyll
    (r"\{(?:[#.:] ?[\w.-][^{}\n]*|[\w-]+=[^{}\n]*)\}", ""),  # attributes
    (r"\$\$(?:(?!\n[^\S\n]*\n)[^$])+\$\$", ""),
    (r"(?<![\w$\\])\$([A-Za-z])\$(?![\w$])", r"\1"),
    (rf"(?<![\w$\\])\$(?=\S)(?:{_FORMULA})(?<=\S)\$(?![\w$])", ""),
    (r"^import\s[\w{}*, ]+\sfrom\s+['\"][^'\"\n]+['\"];?[^\S\n]*$", ""),  # Docusaurus
    (r"^[^\S\n>]*:{3,}.*$", "\n"),
    (r"(?<![\w=])==(?=[^\s=])([^=\n]+)(?<=\S)==(?![\w=])", r"\1"),
    (r"^:[^\S\n]+(?=\S)", "\n"),  # what a word in a list of definitions means
    (r"^[^\S\n]*-{1,2}8<-{1,2}.*$", ""),  # another file, which MkDocs puts there
    (r"[^\S\n]?(?<![\w:]):[a-z][a-z\d_+-]{1,40}:(?![\w:])", ""),  # :smile:
    (r"%%(?:(?!\n[^\S\n]*\n)[^%])+%%", ""),  # a comment of Obsidian
    (r"[^\S\n]\^[\w-]+[^\S\n]*$", ""),  # and a mark that its links lead to
    (r"^\[\^[^\[\]\s]{1,99}\]:", "\n"),  # the text of a footnote stays
    (r"\[\^[^\[\]\s]{1,99}\]", ""),
    (r"[^\S\n]?\[-?@\w[^\[\]\n]{0,300}\]", ""),  # citations
    (r"^[^\S\n]*(?:\[TOC\]|\[\[_TOC_\]\])[^\S\n]*$", ""),
    (r"!\[\[[^\[\]\n]{0,300}\]\]", ""),
    (r"\[\[(?:[^\[\]|\n]{0,300}\|)?([^\[\]|#\n]{1,300})(?:#[^\[\]|\n]{0,300})?\]\]", r"\1"),
    (r"^([^\S\n]*>[^\S\n]*)\[!\w+\][+-]?(.*)$", r"\1\2\n\1"),  # > [!note]
    (r"^([^\S\n]*(?:[-*+]|\d+[.)])[^\S\n]+)\[[ xX]\][^\S\n]", r"\1"),  # - [x] done
)
_ADDED = [(re.compile(pattern, re.MULTILINE), by) for pattern, by in _REPLACED]
_MDX = re.compile(
    r"^(?:import\s(?:.+?\sfrom\s+)?['\"].*?['\"];?[^\S\n]*$|export\s+(?:const|let|default|function)\b"
    r".*?(?=\n[^\S\n]*\n|\Z))|\{/\*.*?\*/\}|</?[A-Z][\w.]*(?:\s[^<>]*?)?/?>|^[^\S\n]*\{[^{}\n]*\}[^\S\n]*$",
    re.MULTILINE | re.DOTALL,
)
_R_CODE = re.compile(r"`r [^`\n]*`")

_SIGNS = (
    r"^#{1,6} +\S",
    r"!?\[[^\[\]\n]{1,300}\]\((?:https?://|[/.#]|[\w-]+\.\w)[^)\n]*\)",
    r"\*\*\w[^*\n]*\w\*\*",
    r"^(?:```|~~~)[^`\n]*$",
    r"^\|?(?:[^\S\n]*:?-{3,}:?[^\S\n]*\|)+",
    r"^\[[^\[\]\n]{1,300}\]: +\S+",
)


def read_markdown(path: Path, config: ReadingConfig) -> Texts:
    """Yield a text as one document, or as several if it is longer than `MAX_PIECE`."""
    suffix = suffixes(path)[0]
    for text, encoding in read_pieces(path):
        if suffix == ".mdx":
            text = _MDX.sub("", _FENCED.sub("\n", text))
        elif suffix in (".rmd", ".qmd"):
            text = _R_CODE.sub("", text)
        yield Text(markdown_paragraphs(text), encoding)


def looks_like_markdown(head: str) -> bool:
    """Return whether a text has front matter, or two kinds of marks of Markdown."""
    if _FRONT_MATTER.match(head[:_MAX_FRONT_MATTER]):
        return True
    return sum(re.search(sign, head, re.MULTILINE) is not None for sign in _SIGNS) >= 2


def markdown_paragraphs(text: str) -> list[str]:
    """Return paragraphs, headings, list items and cells, without code, tags and pictures."""
    text = plain_line_ends(text).replace("\0", "\1")  # CommonMark makes U+FFFD of a NUL
    start = text[:_MAX_FRONT_MATTER]
    if front := _FRONT_MATTER.match(start) or _SETTINGS.match(start):
        text = text[front.end() :]
    text = _BETWEEN_TAGS.sub("\n", _FENCED.sub("\n", text))
    notes = 1
    while notes:  # one may hold others
        text, notes = _INDENTED.subn(_outdented, text)
    credits = _CREDITS.search(f"{text}\n", max(len(text) - _MAX_CREDITS, 0))
    if credits and _SAYS_LICENCE.search(credits[0]):
        text = text[: credits.start()]
    for pattern, by in _ADDED:
        text = pattern.sub(by, text)
    found: list[str] = []
    for block in _MARKDOWN.parse(text):
        if block.type == "inline":
            found += _lines(_joined(block.children or []))
        elif block.type == "html_block":
            found += _lines(html.unescape(clean_html(block.content, all_tags=True)))
    return found


def _outdented(note: re.Match[str]) -> str:
    """Return the title and the lines of a note, indented as its mark was."""
    lines = textwrap.indent(textwrap.dedent(note["block"]), note["indent"])
    return f"{note['indent']}{note['title'] or ''}\n\n{lines}\n"


def _joined(tokens: Iterable[Token]) -> str:
    """Return the text of a paragraph."""
    joined = ""
    for token in tokens:
        if token.type in ("text", "code_inline"):
            joined += token.content
        elif token.type == "softbreak":
            joined += " "
        elif token.type == "hardbreak" or (
            token.type == "html_inline" and _HTML_BREAK.fullmatch(token.content)
        ):
            joined += "\n"
    return joined


def _lines(text: str) -> list[str]:
    return [clean for line in text.split("\n") if (clean := " ".join(line.split()))]
