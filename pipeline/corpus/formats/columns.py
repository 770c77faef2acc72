"""Which column of a table holds its text."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import InputError

SAMPLE_ROWS = 1000  # that are looked at

# The last word of names that columns of text have.
_NAMES = frozenset(
    "text texto texts textos sentence sentences frase frases sentenca content conteudo body corpo "
    "message messages mensagem mensagens comment comentario review resenha tweet post article "
    "artigo noticia redacao paragraph paragrafo transcript transcricao transcription utterance "
    "pt portugues portuguese".split()
)
_WORDS_OF_NAME = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+")
_LINK = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\w+|(?:[\w.~-]*[/\\])+[\w.~-]+")
_MAX_SHOWN = 20  # columns in a message
_PROSE = 8  # words of a cell; names and categories have fewer


class Column(NamedTuple):
    """A column that was chosen."""

    name: str
    by_look: bool = False  # not by its name: worth telling


class Look(NamedTuple):
    """How a column looks."""

    kind: str  # "text", or what it is instead
    length: float  # characters of a row


def choose_column(path: Path, columns: Mapping[str, Sequence[Any]], wanted: str) -> Column:
    """Return the column that holds text.

    Args:
        path: File of the table.
        columns: Values of the first rows, by column.
        wanted: Name that the user gave, "" for none.

    Raises:
        InputError: There is no such column, or more than one that holds text.
        ValueError: No column holds text.
    """
    found = _by_name(columns, wanted)
    if found:
        return Column(found)
    looks = {name: look_at(values) for name, values in columns.items()}
    shown = _shown(looks)
    if wanted:
        raise InputError(
            f"{path} has no column {wanted!r}: name the one that holds the text with "
            f"--text-column ({shown})."
        )
    best = _best(looks)
    if len(best) > 1:
        raise InputError(
            f"{path} has more than one column of text: name the one to read with --text-column "
            f"({shown})."
        )
    if not best:
        raise ValueError(f"none of its columns holds text ({shown})")
    return Column(best[0], by_look=bool(best[0]))


def find_group(path: Path, columns: Collection[str], wanted: str) -> str:
    """Return the column that names the group of a row, "" if none is wanted.

    Raises:
        InputError: There is no such column.
    """
    if not wanted:
        return ""
    found = _by_name(columns, wanted)
    if not found:
        raise InputError(
            f"{path} has no column {wanted!r}: name the one whose rows share a split with "
            f"--group-column ({', '.join(columns)})."
        )
    return found


def _shown(looks: Mapping[str, Look]) -> str:
    """Return all columns and how they look; of very many, those of text."""
    names = list(looks)
    if len(names) > _MAX_SHOWN:
        names.sort(key=lambda name: looks[name].kind != "text")
    more = ", …" if len(names) > _MAX_SHOWN else ""
    return ", ".join(f"{name}: {looks[name].kind}" for name in names[:_MAX_SHOWN]) + more


def _by_name(columns: Collection[str], wanted: str) -> str:
    """Return the column that the user names, "" if there is none, or several."""
    name = _fold(wanted or "text")
    if wanted and wanted in columns:  # strings between objects have no name
        return wanted
    same = [column for column in columns if _fold(column) == name]
    if not same and wanted:  # "text" for "reviews.text"
        same = _least_nested([column for column in columns if _fold(column).endswith(f".{name}")])
    return same[0] if len(same) == 1 else ""


def _least_nested(names: Sequence[str]) -> list[str]:
    depth = min((name.count(".") for name in names), default=0)
    return [name for name in names if name.count(".") == depth]


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _best(looks: Mapping[str, Look]) -> list[str]:
    """Return the column that is clearly the text, or all that may be."""
    texts = [name for name, look in looks.items() if look.kind == "text"]
    texts.sort(key=lambda name: looks[name].length, reverse=True)
    named = _least_nested([name for name in texts if is_name_of_text(name)])
    if not texts:  # a short one may be told by its name
        short = ("single words", "names", "categories", "codes")
        return [n for n in looks if is_name_of_text(n) and looks[n].kind in short]
    longest = looks[texts[0]].length
    if len(named) == 1 and looks[named[0]].length >= longest / 2:
        return named
    if len(texts) > 1 and longest < 2 * looks[texts[1]].length:
        return texts
    return texts[:1]


def is_name_of_text(name: str) -> bool:
    """Return whether columns of this name usually hold text."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = _WORDS_OF_NAME.findall(plain)
    return bool(words) and words[-1].lower() in _NAMES


def look_at(values: Sequence[Any]) -> Look:
    """Return how the values of a column look."""
    filled = [value for value in values if value is not None and str(value).strip()]
    texts = [value for value in filled if isinstance(value, str)]
    if not filled:
        return Look("empty", 0.0)
    if len(texts) < len(filled) / 2:
        return Look("numbers", 0.0)
    length = sum(map(len, texts)) / len(values)
    words = sum(len(text.split()) for text in texts) / len(texts)
    return Look(_kind(texts, words), length)


def _kind(texts: Sequence[str], words: float) -> str:
    """Return "text", or what these cells hold instead."""
    most = 0.8 * len(texts)
    characters = "".join(texts)
    letters = sum(sign.isalpha() or sign.isspace() for sign in characters)
    opening = [word[0] for text in texts for word in text.split() if word[0].isalpha()]
    lower = sum(sign.islower() for sign in opening)
    if sum(not any(map(str.isalpha, text)) for text in texts) > most:
        return "numbers"
    if sum(_LINK.fullmatch(text.strip()) is not None for text in texts) > most:
        return "links"
    if letters < 0.6 * len(characters):
        return "codes"
    if words < 1.5:
        return "single words"
    if words < _PROSE and len(texts) >= 20 and len(set(texts)) < 0.2 * len(texts):
        return "categories"
    if words < _PROSE and lower < 0.4 * len(opening):
        return "names"
    return "text"
