"""Wikitext, the markup of MediaWiki.

mwparserfromhell reads 0.3 MB/s of it, which makes a night of a Wikipedia, and its `strip_code`
leaves references, tables and categories. These patterns read 10 MB/s.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

# What is no prose between its tags, and tags whose text stays.
_NO_PROSE = (
    "ref|gallery|math|chem|ce|timeline|source|syntaxhighlight|code|score|imagemap|hiero|table"
)
_WITHOUT_PROSE = re.compile(
    rf"<!--.*?-->|<({_NO_PROSE}|references|templatestyles|section|graph|mapframe|maplink|inputbox)"
    r"\b[^<>]*?(?:/>|>.*?</\1\s*>)",
    re.DOTALL | re.IGNORECASE,
)
_BREAK = re.compile(r"<(?:br|hr)\s*/?>|</?(?:p|div|blockquote|center|poem|li|ul|ol)\b[^<>]*>", re.I)
_BREAK_IN_SENTENCE = re.compile(r"\s*<br\s*/?>\s*(?=[a-zà-ÿ\d])")
_POEM = re.compile(r"<poem\b[^<>]*>.*?</poem\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(
    rf"</?(?:{_NO_PROSE}|a|abbr|b|bdi|big|cite|del|em|font|i|includeonly|ins|kbd|noinclude|nowiki|"
    r"noprint|onlyinclude|q|references|s|samp|small|span|strong|sub|sup|time|tt|u|var|wbr)"
    r"\b[^<>]*>",
    re.IGNORECASE,
)

_PARAMETER = re.compile(r"\{\{\{[^{}]*\}\}\}")
_TEMPLATE = re.compile(r"\{\{([^{}]*(?:(?:\{(?!\{)|\}(?!\}))[^{}]*)*)\}\}")
_TABLE = re.compile(r"^[:* ]*\{\|(?:(?!\{\||\n\s*\|\}).)*\n\s*\|\}", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[\[([^\[\]]*(?:(?:\[(?!\[)|\](?!\]))[^\[\]]*)*)\]\]")
_ADDRESS = re.compile(r"(?<!\[)\[(?:(?:https?|ftp):|mailto:|//)[^\s\[\]]+\s*([^\[\]]*)\]")
_NOT_SHOWN = re.compile(
    r"(?:ficheiro|arquivo|imagem|file|image|media|categoria|category|[a-z]{2,3}(?:-[a-z]+)?)"
    r"\s*:(?!\s)",
    re.IGNORECASE,
)
_SWITCH = re.compile(r"__[A-ZÇÃÍÉ]+__")
_QUOTES = re.compile(r"'{2,5}")

# Templates that stand for words of a sentence, and which of their values these are.
_WORDS_OF_TEMPLATES = {
    **dict.fromkeys("fmtn formatnum nowrap nobr nobreak pbpe pepb small smaller".split(), 0),
    **dict.fromkeys("lang língua citação quote cquote bquote aspas".split(), -1),
}

_HEADING = re.compile(r"(={1,6})\s*(.*?)\s*\1\s*")
_ABOUT_SOURCES = (
    r"notas?|notas? de rodapé|referências?|referências? bibliográficas?|bibliografia|fontes?|"
    r"(?:ver|veja|vide) (?:também|ainda)|(?:ligações|links?|sítios?|sites?) extern[ao]s?|"
    r"leituras? (?:adiciona(?:l|is)|complementar(?:es)?|recomendadas?)|galeria(?: de \w+)?"
)
_WITHOUT_SECTION = re.compile(
    rf"(?:{_ABOUT_SOURCES})(?:(?: e |, )(?:{_ABOUT_SOURCES}))*", re.IGNORECASE
)
_LIST_ITEM = re.compile(r"^[*#:;]+\s*")

# What removed marks leave: "(; )", "(em latim: )", "( , ou vila)", "casa , e".
_EMPTY_BRACKETS = re.compile(r"\s*[(\[](?:(?:em )?[^\W\d_]+:)?[\s,;:/–-]*[)\]]")
_OPENING = re.compile(r"(?<=\()[\s,;:]+")
_SPACE_BEFORE = re.compile(r"\s+(?=[,.;:!?)](?:[\s\"”»)]|$))")
_FORMULA = re.compile(r"\b(?:formula|codice)_\d+\b")


def looks_like_wikitext(head: str) -> bool:
    """Return whether a text has several of the marks of wikitext."""
    links = len(re.findall(r"\[\[[^\[\]\n]+\]\]", head))
    templates = len(re.findall(r"\{\{[^{}|\n]+[|\n]", head))
    headings = len(re.findall(r"^(={2,5})[^=\n]+\1\s*$", head, re.MULTILINE))
    bold = len(re.findall(r"'''[^'\n]+'''", head))
    sorts = (links > 0) + (headings > 0) + (templates > 0) + (bold > 0)
    return sorts > 1 and links + headings > 0 and links + templates + headings + bold > 2


def wikitext_paragraphs(text: str) -> list[str]:
    """Return the paragraphs, headings and list items of an article.

    Templates, tables, pictures, references, formulas and the sections about sources are left out.
    """
    return list(_without_empty_sections(_blocks(_without_markup(text))))


def extracted_paragraphs(lines: Sequence[str]) -> list[str]:
    """Return the paragraphs of an article, from the lines that WikiExtractor made of it.

    Args:
        lines: the title, and the lines.
    """
    blocks = []
    title = lines[0].strip() if lines else ""
    text = unicodedata.normalize("NFC", html.unescape("".join(lines[1:])))
    for line in _break_lines(text).split("\n"):
        mark, _, rest = line.rpartition("::::")
        level = 2 if mark.strip() == "Section" else 0
        clean = clean_line(rest.lstrip("-# ") if mark else line)
        if level or not clean or clean.startswith("|"):
            blocks += [(level, clean)] if level else []
        elif not _WITHOUT_SECTION.fullmatch(clean.rstrip(".")) and (blocks or clean != title):
            blocks.append((0, clean))
    return list(_without_empty_sections(blocks))


def clean_line(line: str) -> str:
    """Return a line of text without tags, entities, and what removed marks leave."""
    if "<" in line:
        line = _TAG.sub("", line)
    if "&" in line:
        line = html.unescape(line)
    if "(" in line or "[" in line:
        line = _OPENING.sub("", _EMPTY_BRACKETS.sub("", line))
    if "_" in line:
        line = _FORMULA.sub("", line)
    line = " ".join(_SPACE_BEFORE.sub("", line).split())
    return line if any(map(str.isalnum, line)) else ""


def _without_markup(text: str) -> str:
    if "<" in text:
        text = _WITHOUT_PROSE.sub("", text)
        text = _POEM.sub(lambda poem: poem[0].replace("\n", "\n\n"), text)
    if "{{" in text:
        text = _replace_innermost(_TEMPLATE, _words_of_template, _PARAMETER.sub("", text))
    if "{|" in text:
        text = _replace_innermost(_TABLE, lambda _: "\n", text)
    if "://" in text or "mailto:" in text:
        text = _ADDRESS.sub(r"\1", text)
    text = _replace_innermost(_LINK, _words_of_link, text)
    text = _QUOTES.sub("", _SWITCH.sub("", text))
    return _break_lines(text)


def _break_lines(text: str) -> str:
    return _BREAK.sub("\n\n", _BREAK_IN_SENTENCE.sub(" ", text)) if "<" in text else text


def _replace_innermost(
    pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str
) -> str:
    count = 1
    while count:
        text, count = pattern.subn(replace, text)
    return text


def _words_of_template(template: re.Match[str]) -> str:
    name, *values = template[1].replace("formatnum:", "formatnum|").split("|")
    name = name.strip().lower()
    place = -1 if name.startswith("lang-") else _WORDS_OF_TEMPLATES.get(name)
    shown = [value.strip() for value in values if "=" not in value]
    return shown[place] if shown and place is not None else ""


def _words_of_link(link: re.Match[str]) -> str:
    target, bar, words = link[1].partition("|")
    if _NOT_SHOWN.match(target):
        return ""
    if bar and words:
        return words
    target = target.lstrip(":")
    return re.sub(r"^\w+:|\s*\([^()]*\)$", "", target) if bar else target


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield (level, text) of headings, and (0, text) of paragraphs and list items."""
    lines: list[str] = []  # of a paragraph
    for line in (*text.split("\n"), ""):
        heading = _HEADING.fullmatch(line) if line[:1] == "=" else None
        plain = line and not heading and line[0] not in "*#:; |!-"
        if plain:
            lines.append(line)
            continue
        if lines and (paragraph := clean_line(" ".join(lines))):
            yield 0, paragraph
        lines = []
        if heading:
            yield len(heading[1]), clean_line(heading[2])
        elif line and line[0] not in "|!" and (item := clean_line(_LIST_ITEM.sub("", line))):
            yield 0, item


def _without_empty_sections(blocks: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Yield texts, without sections about sources and headings of nothing."""
    waiting: list[tuple[int, str]] = []  # headings above the next paragraph
    left_out = 0  # level of a section that is left out
    for level, text in blocks:
        if level:
            left_out = 0 if level <= left_out else left_out
            waiting = [heading for heading in waiting if heading[0] < level]
            if not left_out and _WITHOUT_SECTION.fullmatch(text.strip(" .:")):
                left_out = level
            waiting.append((level, text))
        elif not left_out:
            yield from (heading for _, heading in waiting if heading)
            yield text
            waiting = []
