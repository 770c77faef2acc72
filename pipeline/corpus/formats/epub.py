"""Read e-books (.epub), chapter after chapter."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.archives import Archive
from pipeline.corpus.formats.html import HTML, decode_html, in_paragraphs
from pipeline.corpus.formats.markup import Passage, parse_html
from pipeline.corpus.formats.texts import Skipped, Texts, in_documents
from pipeline.corpus.opening import open_seekable

# What books encrypt without a lock: their fonts.
_FONT_METHODS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_NO_CHAPTER = re.compile(
    r"(?:^|[_-])(?:cover|nav|toc|sum[aá]rio|[ií]ndice|capa)\d*$", re.IGNORECASE
)


class _Item(NamedTuple):
    """A file of a book."""

    name: str  # in the archive
    properties: str


def read_epub(path: Path, config: ReadingConfig) -> Texts:
    """Yield the text of a book, without its cover and table of contents."""
    skipped = Skipped("chapter")
    with open_seekable(path) as file:
        archive = Archive(file)
        passages = _passages(archive, _locked(archive), skipped)
        yield from in_documents(in_paragraphs(passages))
    yield from skipped.notes()


def _passages(archive: Archive, locked: frozenset[str], skipped: Skipped) -> Iterator[Passage]:
    chapters = [item for item in _spine(archive) if not _NO_CHAPTER.search(_stem(item.name))]
    if locked.intersection(chapter.name for chapter in chapters):
        raise ValueError("it is locked (DRM): only the program of its shop can read it")
    for chapter in chapters:
        if "nav" in chapter.properties.split():
            continue
        try:
            html = decode_html(archive.read(chapter.name))[0]
        except ValueError as error:
            skipped.add(str(error))
        else:
            yield from parse_html(html, HTML)


def _stem(name: str) -> str:
    return posixpath.splitext(posixpath.basename(name))[0]


def _spine(archive: Archive) -> list[_Item]:
    """Return the files of a book in the order of reading."""
    roots = _elements(archive, "META-INF/container.xml", "rootfile")
    package = unquote(next((root.get("full-path", "") for root in roots), ""))
    if not package:
        raise ValueError("its META-INF/container.xml names no book")
    folder = posixpath.dirname(package)
    items = {
        item.get("id", ""): _Item(
            posixpath.normpath(posixpath.join(folder, unquote(item.get("href", "")))),
            item.get("properties", ""),
        )
        for item in _elements(archive, package, "item")
        if "html" in item.get("media-type", "html")
    }
    order = [item.get("idref", "") for item in _elements(archive, package, "itemref")]
    return [items[name] for name in order if name in items]


def _locked(archive: Archive) -> frozenset[str]:
    """Return the names of the files that only the program of a shop can read."""
    name = "META-INF/encryption.xml"
    if name not in archive.names:
        return frozenset()
    found: set[str] = set()
    for data in _elements(archive, name, "EncryptedData"):
        methods = [
            part.get("Algorithm", "") for part in data.iter() if "EncryptionMethod" in part.tag
        ]
        if not any(method in _FONT_METHODS for method in methods):
            found.update(unquote(part.get("URI", "")) for part in data.iter() if part.get("URI"))
    return frozenset(found)


def _elements(archive: Archive, name: str, tag: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of a small XML file of that name, whatever their name space."""
    try:
        tree = ElementTree.fromstring(decode_html(archive.read(name))[0])
    except ElementTree.ParseError as error:
        raise ValueError(f"its {name} is damaged") from error
    return (element for element in tree.iter() if element.tag.rpartition("}")[2] == tag)
