"""Mail: .eml and .mbox."""

import email
import re
import unicodedata
from collections.abc import Iterator
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import IO

from pipeline.corpus import opening
from pipeline.corpus.books import paragraphs
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.encoding import decode, decode_declared
from pipeline.corpus.formats.markup import Attributes, feed_html
from pipeline.corpus.formats.quoting import is_disclaimer, own_words
from pipeline.corpus.formats.texts import Skipped, Text, Texts
from pipeline.corpus.opening import open_bytes, plain_line_ends

# The line before each message of a .mbox, and of Apple's .emlx, which holds its size.
_ENVELOPE = re.compile(rb"From .*\d:\d\d")
_SIZE = re.compile(rb"\d+\s*\n")
_ESCAPED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_HEADER = re.compile(r"([A-Za-z][\w-]*):(?:\s|$)|[ \t]")
_HEADERS = set(
    "from to subject date message-id mime-version content-type received return-path delivered-to "
    "newsgroups reply-to in-reply-to references x-mailer user-agent".split()
)
_REPLY = re.compile(r"\s*(?:re|res|fwd?|enc|rv|tr|aw|r)(?:\[\d+\])?\s*:", re.IGNORECASE)
_LIST_NAME = re.compile(r"^\s*\[[^\]]*\]")
_NOT_SHOWN = re.compile(r"display\s*:\s*none", re.IGNORECASE)  # an excerpt for lists of mail
# Many messages that are not say that they are Latin-1.
_GUESSED = re.compile(r"(?i)iso[-_]?8859[-_]?1$|latin[-_]?1$|us-ascii$|ascii$|utf-?8$|$")
# Elements of HTML.
_BLOCKS = frozenset("p div br li tr td th table ul ol blockquote hr h1 h2 h3 h4 h5 h6 pre".split())
_SPACED = frozenset("p h1 h2 h3 h4 h5 h6 blockquote hr".split())
_HIDDEN = frozenset({"style", "script", "title"})


def looks_like_mail(head: str) -> bool:
    """Return whether a text begins with the headers of a message."""
    first, _, rest = head.partition("\n")
    if _ENVELOPE.match(first.encode()) or _SIZE.fullmatch(f"{first}\n".encode()):
        head = rest
    names = set()
    for line in head.partition("\n\n")[0].split("\n"):
        found = _HEADER.match(line)
        if not found:
            return False
        names.add((found[1] or "").lower())
    saved_page = "snapshot-content-location" in names  # .mhtml
    return len(names & _HEADERS) >= 3 and "from" in names and not saved_page


def read_mail(path: Path, config: ReadingConfig) -> Texts:
    """Yield what the author of each message wrote, without what it quotes."""
    skipped = Skipped("message")
    with open_bytes(path, config.section) as file:
        for data in _messages(file):
            message = email.message_from_bytes(data)
            try:
                yield _read_message(message)
            except ValueError:
                skipped.add("the bytes are not text in any known encoding")
    yield from skipped.notes()


def _messages(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the messages of a file; what goes beyond `MAX_PIECE` are attachments."""
    first = file.readline(opening.MAX_PIECE)
    if _SIZE.fullmatch(first):
        yield file.read(min(int(first), opening.MAX_PIECE))
        return
    mbox = first.startswith(b"From ")
    lines, size, after_empty = [] if mbox else [first], 0, False
    while line := file.readline(opening.MAX_PIECE):
        if mbox and after_empty and _ENVELOPE.match(line):
            yield _ESCAPED_FROM.sub(rb"\1", b"".join(lines))
            lines, size = [], 0
        elif size < opening.MAX_PIECE:
            lines.append(line)
            size += len(line)
        after_empty = not line.strip()
    data = b"".join(lines)
    yield _ESCAPED_FROM.sub(rb"\1", data) if mbox else data


def _read_message(message: Message) -> Text:
    found, encoding = [], "utf-8"
    for part in _text_parts(message):
        text, encoding = _decode_part(part)
        if part.get_content_subtype() == "html":
            text = html_text(text)
        elif str(part.get_param("format", "")).lower() == "flowed":
            text = _unflow(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
        found += paragraphs(own_words(text))
    found = [paragraph for paragraph in found if not is_disclaimer(paragraph)]
    subject = _subject(message)
    return Text([subject, *found] if found and subject else found, encoding)


def _text_parts(message: Message) -> Iterator[Message]:
    """Yield the parts that hold the message, as plain text where there is a choice."""
    kind = message.get_content_type()
    if message.is_multipart() and kind != "message/rfc822":
        parts = [part for part in message.get_payload() if isinstance(part, Message)]
        if kind == "multipart/alternative":
            choices = [texts for part in parts if (texts := list(_text_parts(part)))]
            choices.sort(key=lambda texts: texts[0].get_content_type() != "text/plain")
            yield from next(iter(choices), [])
        else:
            for part in parts:
                yield from _text_parts(part)
    elif kind in ("text/plain", "text/html") and not (
        message.get_content_disposition() == "attachment" or message.get_filename()
    ):
        payload = message.get_payload(decode=True)
        if isinstance(payload, bytes) and payload.strip():
            yield message


def _decode_part(part: Message) -> tuple[str, str]:
    """Return the text of a part, and its encoding, whatever its header says."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = str(part.get_param("charset", "")).lower()
    text, encoding = decode_declared(data, "" if _GUESSED.match(charset) else charset)
    return plain_line_ends(unicodedata.normalize("NFC", text)), encoding


def _subject(message: Message) -> str:
    """Return the subject of a message that begins a thread, without the name of a list."""
    headers = message.raw_items()
    value = next((text for name, text in headers if name.lower() == "subject"), "")
    raw = str(value).encode("ascii", errors="surrogateescape")
    try:
        text = decode(raw)[0]
        text = str(make_header(decode_header(" ".join(text.split()))))
    except (MessageError, LookupError, ValueError):
        return ""
    text = _LIST_NAME.sub("", text)
    return "" if _REPLY.match(text) else " ".join(text.split())


def _unflow(text: str, *, delete_space: bool) -> str:
    """Join lines of `format=flowed`, which end in a space where they go on."""
    found: list[str] = []
    goes_on, depth = False, 0
    for line in text.split("\n"):
        body = line.lstrip(">")
        before, depth = depth, len(line) - len(body)
        body = body.removeprefix(" ")
        if goes_on and before == depth:
            found[-1] += body
        else:
            found.append(">" * depth + body)
        goes_on = body.endswith(" ") and body != "-- "
        if goes_on and delete_space:
            found[-1] = found[-1][:-1]
    return "\n".join(found)


class _PlainText:
    """Collect the text of HTML, with `>` before the lines of quoted mail."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._hidden, self._depth = "", 0  # the tag that hides what stands in it, and open ones
        self._quotes: list[bool] = []  # whether each open blockquote is a mail

    def start(self, name: str, attributes: Attributes) -> None:
        if self._hidden:
            self._depth += name == self._hidden
            return
        not_shown = name != "body" and _NOT_SHOWN.search(attributes.get("style", ""))
        if name in _HIDDEN or not_shown:
            self._hidden, self._depth = name, 1
        elif name == "blockquote":
            marks = [attributes.get(key, "") for key in ("type", "class", "style", "id")]
            self._quotes.append(bool(re.search("cite|quote|border-left", " ".join(marks))))
        self._break(name)

    def end(self, name: str) -> None:
        if self._hidden:
            self._depth -= name == self._hidden
            self._hidden = self._hidden if self._depth else ""
            return
        if name == "blockquote" and self._quotes:
            self._quotes.pop()
        if name != "br":
            self._break(name)

    def text(self, text: str) -> None:
        if not self._hidden:
            self.found.append(re.sub(r"\s+", " ", text))

    def _break(self, name: str) -> None:
        if name in _BLOCKS:
            ends = "\n\n" if name in _SPACED else "\n"
            self.found.append(ends + ">" * any(self._quotes))


def html_text(text: str) -> str:
    """Return the text of a message in HTML, one line a block."""
    plain = _PlainText()
    feed_html(text, plain)
    return "".join(plain.found)
