"""What all chats have in common: who speaks, whose messages are kept, what is masked."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.texts import Note, Text, Texts
from pipeline.corpus.mask import MASK, mask_private

_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SHOWN = 5  # speakers that a note names


class Message(NamedTuple):
    """What a person wrote in a chat."""

    speaker: str
    text: str


def read_messages(
    messages: Iterable[Message | None], encoding: str, config: ReadingConfig
) -> Texts:
    """Yield each chat as a document of a message a paragraph, and who speaks how much.

    Args:
        messages: Those of a file, and None after each chat.
        encoding: Of the file.
        config: Whose messages are kept, and whether they are masked.

    Raises:
        ValueError: None of the speakers to keep is there.
    """
    counts = Counter[str]()
    found: list[Message] = []
    size = 0
    try:
        for message in messages:
            if message and (text := _clean(message.text, mask=config.mask != "none")):
                counts[message.speaker] += 1
                found.append(Message(message.speaker, text))
                size += len(text)
            if message is None or size > opening.MAX_PIECE:
                yield Text(_of_speakers(found, counts, config.speaker), encoding)
                found, size = [], 0
    except ValueError:  # damaged, but not from its start
        yield Text(_of_speakers(found, counts, config.speaker), encoding)
        raise
    yield Text(_of_speakers(found, counts, config.speaker), encoding)
    yield from _tell_speakers(counts, config.speaker)


def visible(text: str) -> str:
    """Return a text without the marks that set its direction."""
    return _INVISIBLE.sub("", text)


def _clean(text: str, *, mask: bool) -> str:
    """Return a message as a paragraph; "" if nothing is left of it but what is masked."""
    text = mask_private(text) if mask else text
    text = unicodedata.normalize("NFC", " ".join(visible(text).split()))
    return text if MASK not in text or re.search(r"\w", text) else ""


def _of_speakers(
    messages: Sequence[Message], names: Collection[str], wanted: Sequence[str]
) -> list[str]:
    chosen = {name for one in wanted for name in _named(one, names)}
    return [text for speaker, text in messages if not wanted or speaker in chosen]


def _named(wanted: str, names: Collection[str]) -> list[str]:
    """Return the speakers that a name may mean; case, accents and emoji count only if they must."""
    if wanted in names:
        return [wanted]
    return [name for name in names if _fold(name) == _fold(wanted)]


def _fold(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join(re.sub(r"[^\w\s+]", "", letters).split()) or name


def _tell_speakers(counts: Counter[str], wanted: Sequence[str]) -> Iterator[Note]:
    if not counts:
        return
    first, *others = counts.most_common()
    spoken = [f"{first[0]} {first[1]:,} message{'s' * (first[1] != 1)}"]
    spoken += [f"{name} {count:,}" for name, count in others[: _SHOWN - 1]]
    if len(others) >= _SHOWN:
        spoken.append(f"… ({len(others) - _SHOWN + 1} more)")
    told = ", ".join(spoken)
    missing = [name for name in wanted if not _named(name, counts)]
    if missing and len(missing) == len(wanted):
        raise ValueError(f"nobody in it is called {' or '.join(missing)}, but {told}")
    for name in wanted:
        if len(meant := _named(name, counts)) > 1:
            yield Note(f"{name} may be {' or '.join(meant)}: all of them are kept")
    if missing:
        yield Note(f"nobody in it is called {' or '.join(missing)}")
    yield Note(told)
