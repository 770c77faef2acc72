"""Chats that Telegram Desktop exports as JSON: one chat, or all of an account."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ijson

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.chats import Message, read_messages
from pipeline.corpus.formats.json import Utf8
from pipeline.corpus.formats.texts import Texts
from pipeline.corpus.mask import MASK
from pipeline.corpus.opening import open_lines

# Parts of a message that lead to a person.
_PRIVATE = {"mention", "phone", "email", "link", "bank_card"}
_CHAT = re.compile(
    r'"type"\s*:\s*"(?:personal_chat|bot_chat|saved_messages|(?:private|public)_(?:super)?group|'
    r'(?:private|public)_channel)"'
)
_MESSAGES = re.compile(r'"messages"\s*:\s*\[')
_ACCOUNT = re.compile(r'\s*\{\s*"about"\s*:\s*"[^"]*Telegram')


def read_telegram(path: Path, config: ReadingConfig) -> Texts:
    """Yield each chat as a document of a message a paragraph."""
    with open_lines(path) as (text, encoding):
        messages = _messages(Utf8(text), mask=config.mask != "none")
        yield from read_messages(messages, encoding, config)


def looks_like_telegram(head: str) -> bool:
    if not head.lstrip().startswith("{"):
        return False
    return bool(_ACCOUNT.match(head) or (_CHAT.search(head) and _MESSAGES.search(head)))


def _messages(file: Utf8, *, mask: bool) -> Iterator[Message | None]:
    """Yield the messages of each chat, and None after it."""
    for row in _rows(file):
        if row is None:
            yield None
        elif row.get("type") == "message":
            text = _text_of(row.get("text"), mask=mask)
            wrote = row.get("forwarded_from", row.get("from"))  # null: the account is deleted
            yield Message(str(wrote or "(deleted account)"), text)


def _rows(file: Utf8) -> Iterator[dict[str, Any] | None]:
    """Yield what each list of messages holds, and None after it."""
    builder, found = None, False
    try:
        # Not `ijson.items`, which does not tell where a list ends.
        for prefix, event, value in ijson.parse(file, use_float=True):
            if prefix.endswith("messages.item") and event == "start_map" and not builder:
                builder, place = ijson.ObjectBuilder(), prefix
            if builder:
                builder.event(event, value)
                if event == "end_map" and prefix == place:
                    yield builder.value
                    builder = None
            elif prefix.endswith("messages") and event == "end_array":
                found = True
                yield None
    except ijson.JSONError as error:
        raise ValueError(f"it is not JSON to its end ({str(error).splitlines()[0]})") from error
    if not found:
        raise ValueError("it is JSON, but no chat of Telegram")


def _text_of(text: Any, *, mask: bool) -> str:
    """Return the text of a message: a string, or strings and parts that have a type."""
    if not isinstance(text, list):
        return str(text or "")
    parts = [part if isinstance(part, dict) else {"text": part} for part in text]
    return "".join(
        MASK if mask and part.get("type") in _PRIVATE else str(part.get("text") or "")
        for part in parts
    )
