"""Read XML in constant memory, without the network and without entities made of entities."""

import html.entities
import re
import xml.parsers.expat
from collections.abc import Iterator
from typing import IO, Any, Protocol, TypeVar

from pipeline.corpus.config import Section

Found = TypeVar("Found")

_CHUNK = 2**16
_REFERENCE = re.compile(r"[&%]\w")
# Controls, which no XML may hold, become one that it may: `clean` removes and counts it.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ALLOWED = "\x7f"
_BYTES = bytes(ord(_CONTROLS.sub(_ALLOWED, chr(code))) for code in range(256))
# A spelling of UTF-8 that expat does not know.
_UTF8 = re.compile(rb"<\?xml[^>]*encoding=.utf8\b", re.IGNORECASE)
# Many a hand wrote "Silva & Filhos" into XML.
_BARE_AMPERSAND = re.compile(r"&(?=[\s<&\"',.;:)]|\w+[^\w;:.-])")


class Handler(Protocol):
    """Receives the parts of XML or HTML in order."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element; its name has no prefix, nor have those of attributes."""

    def end(self, name: str) -> None:
        """Take the end of an element."""

    def text(self, text: str) -> None:
        """Take a part of the text between two marks."""


class Collector(Handler, Protocol[Found]):
    """A handler that gathers what a reader is looking for."""

    def take(self) -> list[Found]:
        """Return what was found since the last call."""

    def close(self) -> list[Found]:
        """Return what was found since, with what is not complete."""


def parse(
    file: IO[Any],
    collector: Collector[Found],
    *,
    root: str = "",
    section: Section | None = None,
) -> Iterator[Found]:
    """Yield what a collector finds in an XML file of text or bytes, also before damage.

    Entities that are not declared are those of HTML, and external ones are not read.

    Args:
        file: The file.
        collector: What takes its parts.
        root: Name of the root element, for a section.
        section: What `file` is of a larger file, if it is not all of it.

    Raises:
        ValueError: The file is not XML from some line on.
    """
    try:
        for _ in _parse(file, collector, root, section):
            yield from collector.take()
    except ValueError:
        yield from collector.close()
        raise
    yield from collector.close()


def _parse(file: IO[Any], handler: Handler, root: str, section: Section | None) -> Iterator[None]:
    """Hand a file to a handler; yield after every few kilobytes."""
    chunk = file.read(_CHUNK).lstrip()  # XML allows no empty line before its declaration
    utf8 = isinstance(chunk, bytes) and _UTF8.match(chunk)
    parser = xml.parsers.expat.ParserCreate("utf-8" if utf8 else None)
    parser.buffer_text = True
    parser.UseForeignDTD(True)  # or else an entity that is not declared would be an error
    parser.SetParamEntityParsing(xml.parsers.expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
    parser.ExternalEntityRefHandler = lambda context, *_: parser.ExternalEntityParserCreate(
        context
    ).Parse("", True)
    parser.EntityDeclHandler = _refuse_nesting
    parser.SkippedEntityHandler = lambda name, _: handler.text(
        html.entities.html5.get(f"{name};", "")
    )
    parser.StartElementHandler = lambda name, attributes: handler.start(
        _local(name), {_local(key): value for key, value in attributes.items()}
    )
    parser.EndElementHandler = lambda name: handler.end(_local(name))
    parser.CharacterDataHandler = handler.text
    try:
        if section and section.start:
            parser.Parse(f"<{root}>")
        while chunk:
            if isinstance(chunk, str) and "&" in chunk and "<![CDATA[" not in chunk:
                chunk = _BARE_AMPERSAND.sub("&amp;", chunk)
            parser.Parse(_without_controls(chunk))
            yield
            chunk = file.read(_CHUNK)
        parser.Parse(b"", not section)
    except xml.parsers.expat.ExpatError as error:
        reason = xml.parsers.expat.ErrorString(error.code)
        raise ValueError(f"line {error.lineno} is not XML ({reason})") from error
    except LookupError as error:
        raise ValueError(f"it declares an encoding that nobody knows ({error})") from error


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _without_controls(chunk: str | bytes) -> str | bytes:
    """Return a part of a file (bytes are UTF-8) that an XML parser takes."""
    if isinstance(chunk, bytes):
        return chunk.translate(_BYTES)
    return _CONTROLS.sub(_ALLOWED, chunk)


def _refuse_nesting(name: str, _: bool, value: str | None, *others: Any) -> None:
    if value and (len(value) > 1000 or _REFERENCE.search(value)):
        raise ValueError(f"its entity {name!r} is made of other entities")
