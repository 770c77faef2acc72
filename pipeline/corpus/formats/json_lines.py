"""JSON lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig, Section
from pipeline.corpus.encoding import join_surrogates
from pipeline.corpus.formats import tables
from pipeline.corpus.formats.texts import Texts
from pipeline.corpus.opening import open_lines


def read_json_lines(path: Path, config: ReadingConfig) -> Texts:
    """Yield the text of each line; lines that are no JSON object are skipped."""
    first: list[tables.Row] = []
    if config.section and config.section.start:  # the column is that of the whole file
        with open_lines(path, Section(0, opening.MAX_PIECE)) as (file, _):
            first = tables.take_sample(_rows(file), tables.row_size)
    with open_lines(path, config.section) as (file, encoding):
        yield from tables.read_values(path, _rows(file), config, encoding, first=first)


def looks_like_json_lines(head: str) -> bool:
    """Return whether most lines are JSON objects."""
    lines = [line for line in head.split("\n") if line.strip()]
    if len(lines) > 1 and not head.endswith("\n"):
        del lines[-1]  # it may be cut
    objects = [value for line in lines if isinstance(value := _parse(line), dict)]
    if len(lines) == 1:  # it may be JSON
        nested = (isinstance(value, dict | list) for row in objects for value in row.values())
        return any(objects) and not any(nested)
    return len(objects) >= max(len(lines) / 2, 1)


def _rows(file: IO[str]) -> Iterator[tables.Row]:
    for number, line in enumerate(file, start=1):
        place = f"line {number}"
        if not line.strip():
            continue
        value = _parse(line)
        if value is None:
            yield tables.Row(place, problem="is not JSON")
        elif not isinstance(value, dict | str):
            yield tables.Row(place, problem="is not a JSON object")
        else:
            yield tables.Row(place, [value])


def _parse(line: str) -> Any:
    try:
        return load_json(line)
    except (ValueError, RecursionError):
        return None


def load_json(text: str) -> Any:
    """Return the value of JSON; a half of an emoji, which UTF-8 refuses, becomes U+FFFD."""
    value = json.loads(text, strict=False)  # controls in strings
    if "\\ud" in text or "\\uD" in text:
        value = json.loads(join_surrogates(json.dumps(value, ensure_ascii=False)))
    return value
