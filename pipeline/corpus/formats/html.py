"""Read web pages (.html, .mhtml): the text that the page is about, without menus and adverts."""

import codecs
import contextlib
import email
import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from pipeline.corpus import encoding
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.markup import BLOCKS, Attributes, Markup, Passage, parse_html
from pipeline.corpus.formats.texts import Texts, in_documents
from pipeline.corpus.gutenberg import remove_gutenberg
from pipeline.corpus.opening import open_bytes

_MAX_PAGE = 128 * 2**20  # bytes; a page saved with its pictures has 50 MB

_META_CHARSET = re.compile(rb"""<meta\b[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""^\s*<\?xml\b[^>]*?encoding\s*=\s*["']([\w.:-]+)""")

# What is never text of the page.
_SKIPPED = frozenset(
    {
        *("script", "style", "noscript", "template", "title", "head", "svg", "math", "object"),
        *("iframe", "canvas", "audio", "video", "map", "select", "textarea", "button"),
        *("nav", "footer", "aside", "figcaption", "rt", "rp", "datalist", "dialog"),
    }
)
_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "menu", "dialog", "alert"})
# Parts of a page by their class or id: those that would pass for text, and those of Wikipedia and
# Project Gutenberg. Words that also name the layout of all the page (sidebar, menu) are not here.
_PARTS = re.compile(
    r"""(?:^|\s)(?:
        (?:comments?|coment[aá]rios?|respond|disqus)(?:[-_](?:\d+|list|area|section|box|body|thread))?
      | (?:cookies?|lgpd|gdpr|consent|newsletter|compartilh\w*|shar(?:e|ing)|social)
        (?:[-_](?:banner|bar|box|buttons?|consent|form|icons?|links?|message|modal|notice|popup
        |signup|tools|widget))*
      | (?:related|relacionad[ao]s?|leia)
        (?:[-_](?:articles?|content|links?|mais|news|posts?|tamb[eé]m))?
      | breadcrumbs? | mw-editsection | mw-jump-link | (?:mw-)?references? | reflist | navbox
      | catlinks | toc | infobox(?:_v2)? | noprint | siteSub | contentSub | printfooter
      | pg-boilerplate | page-?num(?:ber)? | pageno | fnanchor | noteref | footnotes? | transnote
    )(?:$|\s)""",
    re.VERBOSE | re.IGNORECASE,
)
_HIDDEN = re.compile(
    r"(?:display\s*:\s*none|visibility\s*:\s*hidden|mso-list\s*:\s*ignore)", re.IGNORECASE
)
# Notes, tables of contents and page numbers of e-books.
_BOOK_PARTS = frozenset(
    {
        *("noteref", "footnote", "footnotes", "endnote", "endnotes", "rearnote", "rearnotes"),
        *("pagebreak", "toc", "landmarks", "page-list", "index", "loi", "lot", "cover"),
    }
)


def _skips(name: str, attributes: Attributes) -> bool:
    if not attributes or name in ("html", "body", "main", "article"):
        return False
    kinds = f"{attributes.get('epub:type', '')} {attributes.get('role', '')}".split()
    return (
        "hidden" in attributes
        or any(kind.removeprefix("doc-") in _BOOK_PARTS or kind in _ROLES for kind in kinds)
        or bool(_HIDDEN.search(attributes.get("style", "")))
        or any(_PARTS.search(attributes.get(key, "")) for key in ("class", "id"))
    )


HTML = Markup(
    blocks=BLOCKS | {"caption", "html", "legend", "option"},
    signs={"br": "\n", "wbr": ""},
    skipped=_SKIPPED,
    verbatim=frozenset({"pre"}),
    links=frozenset({"a"}),
    skips=_skips,
)

_START = re.compile(
    r"\s*(?><\?xml\b[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_FRAGMENT = re.compile(
    r"\s*(?><!--.*?-->\s*)*<(?:p|div|h[1-6]|ul|ol|table|article|section|blockquote|main|span|br)\b",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK_END = re.compile(r"</(?:p|div|h[1-6]|li|td|ul|ol|table|article|section)\s*>", re.IGNORECASE)
_MARKDOWN = re.compile(r"^(?:#{1,6} |```|\s*[-*] |\[.*\]\(.*\))|\*\*\w[^*\n]*\w\*\*", re.M)
_OF_MAIL = re.compile(r"^(?:To|Received|Delivered-To|Message-ID):", re.MULTILINE | re.IGNORECASE)

_TELEGRAM = '<div class="page_body chat_page">'

# A page with fewer of its letters in links has no menus: it is text from its start to its end.
_MAX_LINKED = 0.02
# Of the prose outside links; if less is found, the main text was missed. Few links, few menus.
_MIN_KEPT = 0.3
_FEW_LINKED, _MIN_KEPT_OF_FEW = 0.1, 0.7
_PROSE = 60  # characters; what is shorter may be an entry of a menu


def looks_like_html(head: str) -> bool:
    """Return whether a text starts as a web page, or as a fragment of one."""
    if _START.match(head):
        return True
    ends = [end.end() for end in _BLOCK_END.finditer(head)] if _FRAGMENT.match(head) else []
    return len(ends) > 1 and ends[-1] > 0.8 * len(head.rstrip()) and not _MARKDOWN.search(head)


def looks_like_mhtml(head: str) -> bool:
    """Return whether a text starts as a page that a browser saved with its pictures."""
    header = head.lstrip().partition("\n\n")[0]
    starts = re.match(r"[A-Z][A-Za-z-]+: ", header)
    return bool(starts and "multipart/related" in header and not _OF_MAIL.search(header))


def read_html(path: Path, config: ReadingConfig) -> Texts:
    """Yield the main text of a web page."""
    with open_bytes(path) as file:
        html, name = decode_html(_read_page(file))
    if _TELEGRAM in html:
        raise ValueError("it is a chat that Telegram exported as HTML: export it as JSON")
    yield from in_documents(main_text(html), name)


def read_mhtml(path: Path, config: ReadingConfig) -> Texts:
    """Yield the main text of a page that was saved with its pictures."""
    with open_bytes(path) as file:
        message = email.message_from_bytes(_read_page(file))
    for part in message.walk():
        if part.get_content_type() in ("text/html", "application/xhtml+xml"):
            data = part.get_payload(decode=True)
            declared = str(part.get_content_charset() or "")
            html, name = decode_html(data if isinstance(data, bytes) else b"", declared)
            yield from in_documents(main_text(html), name)
            return
    raise ValueError("it holds no page")


def _read_page(file: IO[bytes]) -> bytes:
    data = file.read(_MAX_PAGE + 1)
    if len(data) > _MAX_PAGE:
        raise ValueError(f"it has more than {_MAX_PAGE:,} bytes, which no page has")
    return data


def decode_html(data: bytes, declared: str = "") -> tuple[str, str]:
    """Decode a page; it may declare its encoding, which is believed unless it is UTF-8."""
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return encoding.decode(data)
    found = _XML_ENCODING.match(data[:1024]) or _META_CHARSET.search(data[: 2**16])
    # A page whose letters are single bytes, as those of the declaration, is no UTF-16.
    declared = declared or (re.sub("(?i)utf-?16.*", "utf-8", found[1].decode()) if found else "")
    with contextlib.suppress(LookupError):
        declared = codecs.lookup(declared).name
    # Browsers read what is declared as Latin-1 as Windows does.
    declared = "cp1252" if declared in ("iso8859-1", "ascii") else declared
    return encoding.decode_declared(data, declared)


def in_paragraphs(passages: Iterable[Passage]) -> list[str]:
    """Return the paragraphs of passages, without the header and footer of Project Gutenberg."""
    found = [paragraph for passage in passages for paragraph in passage.paragraphs()]
    return remove_gutenberg("\n".join(found)).split("\n")


def main_text(html: str) -> list[str]:
    """Return the paragraphs of what a page is about.

    Raises:
        ValueError: It has menus, and the library that tells them from the text is missing.
    """
    html = html.replace("\0", "\x7f")  # which parsers keep, and `clean` counts
    passages = parse_html(html, HTML)
    letters = sum(len(passage.text) for passage in passages)
    linked = sum(passage.linked for passage in passages)
    if linked <= _MAX_LINKED * letters or "*** START OF TH" in html:  # a book of Gutenberg
        return in_paragraphs(passages)
    try:
        import trafilatura
    except ImportError as error:
        raise ValueError("it is a web page: pip install 'nextword-pt[documents]'") from error
    tree = trafilatura.load_html(html)
    for element in [] if tree is None else list(tree.iter("*")):
        if element.getparent() is not None and _skips(element.tag, element.attrib):
            element.drop_tree()
        elif element.tag in ("code", "kbd", "samp", "tt"):
            element.tag = "span"  # in the result it would be <pre>, which ends a paragraph
    main = trafilatura.extract(
        tree, output_format="html", favor_recall=True, include_comments=False
    )
    found = in_paragraphs(parse_html(main or "", HTML))
    outside_links = [passage for passage in passages if passage.linked < len(passage.text) / 2]
    prose = in_paragraphs(outside_links)
    long = [paragraph for paragraph in prose if len(paragraph) >= _PROSE]
    starts = {paragraph[:_PROSE] for paragraph in found}
    kept = sum(len(paragraph) for paragraph in long if paragraph[:_PROSE] in starts)
    least = _MIN_KEPT_OF_FEW if linked <= _FEW_LINKED * letters else _MIN_KEPT
    return found if found and kept >= least * sum(map(len, long)) else prose
