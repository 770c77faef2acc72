"""Texts that are not prose, and what to do with them."""

import re
from collections.abc import Callable

_NAME = r"[a-z_][\w.@/-]*"
_KEY = re.compile(rf" *(?:- +)*{_NAME} *:(?: |$)")
_ITEM = re.compile(r" *- +\S| {2,}\S")
# A key above its items or keys, or an item of several keys: the lines of a play have none inside.
_NESTED = re.compile(rf"^ *(?:- +)*{_NAME} *:\n(?: +|- )\S|^ *- +{_NAME} *: .*\n +\S", re.MULTILINE)
_SETTING = re.compile(r"[a-z_][\w.-]* *=|\[[\w. \"'-]+\]$")
# What a copy of a database begins with, after comments; a lesson about SQL may have statements.
_SQL = re.compile(
    r"(?:\s|--.*\n|/\*[\s\S]*?\*/;?)*+(?:SET|USE|DROP|CREATE|INSERT|BEGIN|START|PRAGMA|LOCK)\b"
)
_STATEMENT = re.compile(r"^(?:INSERT INTO|CREATE TABLE) \S+ ?(?:VALUES ?)?\(", re.MULTILINE)


def looks_like_textgrid(head: str) -> bool:
    """Return whether a text is a TextGrid of Praat, long or short."""
    return bool(re.match(r'\s*File type = "ooTextFile', head))


def looks_like_yaml(head: str) -> bool:
    """Return whether every line of a text is a key or an item, and some are inside others."""
    lines = [line for line in head.split("\n")[:200] if line.strip() and line.strip()[0] != "#"]
    if lines and (lines[0] == "---" or lines[0].startswith("%YAML")):
        lines = [line for line in lines if line != "---" and line[0] != "%"]
    keys = sum(map(bool, map(_KEY.match, lines)))
    known = sum(bool(_KEY.match(line) or _ITEM.match(line)) for line in lines)
    nested = _NESTED.search("\n".join(lines))
    return bool(nested) and keys > max(2, len(lines) / 3) and known > 0.95 * len(lines)


def looks_like_settings(head: str) -> bool:
    """Return whether every line of a text is a setting (.ini, .toml, .properties)."""
    lines = [line for line in head.split("\n")[:200] if line.strip() and line[0] not in "#;!"]
    known = sum(map(bool, map(_SETTING.match, lines)))
    return len(lines) > 2 and known > 0.95 * len(lines)


def looks_like_references(head: str) -> bool:
    """Return whether a text is a list of references of BibTeX."""
    return bool(re.match(r"\s*(?:%.*\n\s*)*@[A-Za-z]+\s*\{[^\n{}]*,\s*\n\s*\w+\s*=", head))


def looks_like_usfm(head: str) -> bool:
    """Return whether a text is a Bible with the marks of USFM."""
    return bool(re.match(r"\s*\\id [A-Z\d]{3}\b", head)) and "\n\\c " in head


def looks_like_xml(head: str) -> bool:
    """Return whether a text says that it is XML."""
    return bool(re.match(r"\s*<\?xml\s", head))


def looks_like_sql(head: str) -> bool:
    """Return whether a text is a copy of a database."""
    return bool(_SQL.match(head) and _STATEMENT.search(head))


NO_PROSE: tuple[tuple[Callable[[str], bool], str], ...] = (
    (looks_like_textgrid, "a Praat TextGrid: export its tier of words as text first"),
    (looks_like_yaml, "YAML: export its texts as plain text or .jsonl first"),
    (looks_like_settings, "a file of settings, which has no prose"),
    (looks_like_xml, "XML that is not known here: convert it to plain text first"),
    (looks_like_sql, "a copy of a database: export its texts as a table first"),
    (looks_like_usfm, "a Bible in USFM: export its verses as plain text first"),
    (looks_like_references, "a list of references in BibTeX, which has no prose"),
)
