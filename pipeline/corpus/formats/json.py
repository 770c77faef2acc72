"""JSON."""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import ijson

from pipeline import InputError
from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats import columns, tables
from pipeline.corpus.formats.cells import cell_texts
from pipeline.corpus.formats.columns import Column, choose_column, find_group, is_name_of_text
from pipeline.corpus.formats.json_lines import looks_like_json_lines
from pipeline.corpus.formats.texts import Skipped, Texts
from pipeline.corpus.opening import open_lines

_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)
_OUTSIDE_STRINGS = re.compile(
    r'\s*[\[{](?:[\s\[\]{},:"\d.eE+-]|true|false|null|NaN|Infinity)*[a-zA-Z]{0,7}', re.DOTALL
)
# Python writes numbers that JSON does not have.
_NO_NUMBER = re.compile(r'((?<!\\)":\s*)(?:NaN|-?Infinity)\b')
# Controls that JSON does not allow in strings; `clean` removes and counts them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LOOKED_AT = 1_000_000  # values
_MANY_NAMES = 10_000  # of different values: they are no names
_WINDOW = 20_000
_MANY_LISTS = 12  # of text side by side: they are books, no columns
_LONG = 1000  # characters of a value that are looked at
_ENOUGH = 200  # characters; an object of its own with a shorter text holds settings
# Of objects whose keys are numbers or other ids: they are lists.
_ID = re.compile(r"\d+|(?=.*\d)[\w:.-]{8,}")

Step = str | int
Leaf = tuple[tuple[Step, ...], Any]  # where a value is (keys, and places in lists), and the value


def looks_like_json(head: str) -> bool:
    """Return whether a text is the start of JSON with strings in it, and no JSON lines."""
    lines = head.count("\n") > 1 and looks_like_json_lines(head)
    if lines or head.lstrip()[:1] not in ("{", "["):
        return False
    outside = _STRING.sub('""', head)
    return '"' in outside and _OUTSIDE_STRINGS.fullmatch(outside) is not None


def read_json(path: Path, config: ReadingConfig) -> Texts:
    """Yield a document for each item of the outermost list above the text.

    An object whose keys are ids is a list, too, and so are several values one after the other.
    """
    with open_lines(path) as (file, encoding):
        shape = _find_shape(_leaves(file))
    try:
        chosen = _choose(path, shape, config)
    except ValueError:
        if shape.damage:
            raise shape.damage from None
        raise
    yield from tables.notes(chosen)
    with open_lines(path) as (file, encoding):
        groups = _Groups(shape, find_group(path, shape.columns, config.group_column))
        leaves = groups.observe(_leaves(file))
        yield from _documents(leaves, groups, chosen.name, encoding)


class _Groups:
    """The groups of the items of a file; that of an item may come before or after its text."""

    def __init__(self, shape: "_Shape", column: str) -> None:
        self.shape, self._column = shape, column
        self._last: dict[tuple[Step, ...], str] = {}

    def observe(self, leaves: Iterator[Leaf]) -> Iterator[Leaf]:
        """Take note of groups, and yield the values unchanged."""
        for at, value in leaves:
            if self._column and value is not None and self.shape.name(at) == self._column:
                before = list(self._last.items())[-1:]
                self._last = {**dict(before), self.shape.item(at): str(value)}
            yield at, value

    def of(self, item: tuple[Step, ...]) -> str:
        """Return the group of one of the last two items that have one."""
        return self._last.get(item, "")


def _documents(leaves: Iterator[Leaf], groups: _Groups, name: str, encoding: str) -> Texts:
    skipped, texts, size = Skipped(), list[str](), 0
    item: tuple[Step, ...] = ()
    shape = groups.shape
    try:
        for at, value in leaves:
            if value is None or shape.name(at) != name:
                continue
            if shape.item(at) != item or size > opening.MAX_PIECE:
                yield from cell_texts("\n\n".join(texts), encoding, groups.of(item))
                item, texts, size = shape.item(at), [], 0
            if isinstance(value, str):
                texts.append(value)
                size += len(value)
            elif isinstance(at[-1], str):  # lists may hold numbers, too
                skipped.add(f"{name!r} of {item[-1]} is not text")
    except ValueError:  # the file is damaged: nothing before is lost
        yield from cell_texts("\n\n".join(texts), encoding, groups.of(item))
        raise
    yield from cell_texts("\n\n".join(texts), encoding, groups.of(item))
    yield from skipped.notes()


class Utf8:
    """The bytes of a text, for ijson, with null for what is no number, and controls escaped."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._rest = file, ""

    def read(self, size: int) -> bytes:
        while size:
            text = self._file.read(2**16)
            end = not text
            text = self._rest + text
            cut = text.rfind('"', max(len(text) - 64, 1))  # before what may be half a match
            cut = len(text) if end or cut < 0 else cut - 1
            self._rest = text[cut:]
            if cut or end:
                text = text[:cut]
                wrong = "NaN" in text or "Infinity" in text
                text = _NO_NUMBER.sub(r"\1null", text) if wrong else text
                return _CONTROL.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text).encode()
        return b""


def _leaves(file: IO[str]) -> Iterator[Leaf]:
    """Yield the values that hold no others, with where they are."""
    at: list[Step] = [-1]  # several values may follow one another
    try:
        for event, value in ijson.basic_parse(Utf8(file), multiple_values=True, use_float=True):
            if event == "map_key":
                at[-1] = value
            elif event in ("end_map", "end_array"):
                at.pop()
            else:
                if isinstance(last := at[-1], int):
                    at[-1] = last + 1
                if event in ("start_map", "start_array"):
                    at.append("" if event == "start_map" else -1)
                else:
                    yield tuple(at), value
    except ijson.JSONError as error:
        what = error.args[0]  # bytes, if the parser in C found it
        reason = what.decode(errors="replace") if isinstance(what, bytes) else str(what)
        raise ValueError(f"it is not JSON ({reason.splitlines()[0].strip()})") from error


@dataclass
class _Shape:
    """Which values are lists of documents."""

    columns: dict[str, list[Any]]  # the first values, by name
    root_is_list: bool  # though it is an object
    several: bool  # values at the top of the file
    in_lists: set[str]  # names of what is in lists
    damage: ValueError | None = None  # where looking ended

    def names(self, at: Sequence[Step]) -> list[Step]:
        """Return the keys of a value that are names."""
        return [step for step in at[1 + self.root_is_list :] if _is_name(step)]

    def name(self, at: Sequence[Step]) -> str:
        """Return the column of a value."""
        return ".".join(map(str, self.names(at)))

    def item(self, at: tuple[Step, ...]) -> tuple[Step, ...]:
        """Return where the item of the outermost list is that holds a value."""
        if self.several:
            return at[:1]
        if self.root_is_list:
            return at[:2]
        place = next((n for n, step in enumerate(at[1:], start=1) if not _is_name(step)), 0)
        return at[: place + 1]


@functools.lru_cache(maxsize=10_000)
def _is_name(step: Step) -> bool:
    return isinstance(step, str) and not _ID.fullmatch(step)


def _find_shape(leaves: Iterator[Leaf]) -> _Shape:
    """Look at the first values."""
    found: dict[tuple[Step, ...], list[Any]] = {}  # by name
    recent, in_lists = set[tuple[Step, ...]](), set[tuple[Step, ...]]()
    shape = _Shape({}, False, False, set())
    is_object = False
    try:
        for number, (at, value) in enumerate(leaves, start=1):
            names = tuple(shape.names(at))
            recent.add(names)
            values = found.setdefault(names, [])
            if len(values) < columns.SAMPLE_ROWS:
                values.append(value[:_LONG] if isinstance(value, str) else value)
            shape.several |= at[0] != 0
            is_object = isinstance(at[:2][-1], str)
            if len(at) == 1 or len(shape.item(at)) > 1:
                in_lists.add(names)
            if number > _LOOKED_AT or len(found) > _MANY_NAMES:
                break
            if number % _WINDOW == 0:
                if len(recent) == len(found) > 1:  # a list goes on like this, lists of columns not
                    break
                recent.clear()
    except ValueError as error:
        shape.damage = error
    is_list = (is_object and _holds_books(found)) if in_lists else _is_list(found)
    shape.root_is_list = is_list and not shape.several
    for names, values in found.items():
        name = ".".join(map(str, names[shape.root_is_list :]))
        shape.columns.setdefault(name, []).extend(values[: columns.SAMPLE_ROWS])
        if shape.several or shape.root_is_list or names in in_lists:
            shape.in_lists.add(name)
    return shape


def _is_list(found: Mapping[tuple[Step, ...], list[Any]]) -> bool:
    """Return whether the keys of an object are ids of texts or of objects of the same form."""
    inside: dict[Step, set[tuple[Step, ...]]] = {}
    for names in found:
        inside.setdefault(names[0], set()).add(names[1:])
    if len(found) > _MANY_NAMES:
        return True
    if all(forms == {()} for forms in inside.values()):
        texts = [value for values in found.values() for value in values]
        prose = [isinstance(text, str) and len(text.split()) > 2 for text in texts]
        return len(texts) > 1 and all(prose)
    return len(inside) > 2 and bool(set.intersection(*inside.values()))


def _holds_books(found: Mapping[tuple[Step, ...], list[Any]]) -> bool:
    """Return whether the keys of an object name many lists of text, as the books of a Bible."""
    values = [value for values in found.values() for value in values]
    prose = sum(isinstance(value, str) and len(value.split()) > 2 for value in values)
    return len(found) > _MANY_LISTS and max(map(len, found)) < 2 and prose > 0.9 * len(values)


def _choose(path: Path, shape: _Shape, config: ReadingConfig) -> Column:
    """Return the column of the text; of a single object, only what certainly is text."""
    if not shape.columns:
        raise ValueError("it holds no text")
    in_lists = {name: shape.columns[name] for name in shape.columns if name in shape.in_lists}
    if config.text_column:
        try:
            return choose_column(path, shape.columns, config.text_column)
        except InputError:
            _choose(path, shape, replace(config, text_column=""))  # ValueError if nobody meant it
            raise
    if len(in_lists) == len(shape.columns):
        return choose_column(path, shape.columns, "")
    try:
        return choose_column(path, in_lists, "")
    except ValueError as error:
        if isinstance(error, InputError):
            raise
    try:
        chosen = choose_column(path, shape.columns, "")
    except InputError:
        raise ValueError("it is one object with several texts, not a list of texts") from None
    text = str(shape.columns[chosen.name][0])
    if chosen.by_look and not is_name_of_text(chosen.name) and len(text) < _ENOUGH:
        raise ValueError(f"it holds settings, not text (the longest is {chosen.name!r})")
    return chosen
