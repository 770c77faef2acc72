"""Cut large files between documents, and read files on every core."""

import collections
import concurrent.futures
import functools
import itertools
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd

from pipeline.corpus import hub
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.detect import by_name, detect
from pipeline.corpus.encoding import HEAD, wide_encoding
from pipeline.corpus.opening import suffixes
from pipeline.corpus.reading import read_files

_SECTION = 16 * 2**20  # bytes, about; of a file that is at least twice as large
_PARALLEL = 64 * 2**20  # bytes; for less, other processes start too slowly
_LOOKED_AT = 2**20  # bytes in which the end of a document is looked for


def cut_files(files: pd.DataFrame, reading: ReadingConfig) -> pd.DataFrame:
    """Return a table of files with a row a section; `stop` is 0 for a file that is read whole."""
    rows = []
    for row in files.to_dict("records"):
        edges = _edges(Path(row["path"]), reading)
        for start, stop in itertools.zip_longest(edges[:-1] or edges, edges[1:], fillvalue=0):
            rows.append({**row, "start": start, "stop": stop})
    return pd.DataFrame(rows, columns=[*files.columns, "start", "stop"])


def _edges(path: Path, reading: ReadingConfig) -> list[int]:
    """Return where the sections of a file begin, and its size; [0] for one that is not cut."""
    if not path.is_file() or path.stat().st_size < 2 * _SECTION or suffixes(path)[1]:
        return [0]
    try:
        end = (by_name(reading.format) if reading.format else detect(path)).end
    except ValueError:
        return [0]  # which its reader tells
    if not end:
        return [0]
    edges, size = [0], path.stat().st_size
    with path.open("rb") as file:
        if wide_encoding(file.read(HEAD)):  # where no byte ends a line
            return [0]
        for target in range(_SECTION, size - _SECTION // 2, _SECTION):
            file.seek(target)
            if found := re.search(end, file.read(_LOOKED_AT)):
                edges.append(target + found.end())
    return [*edges, size]


def read_side_by_side(files: pd.DataFrame, reading: ReadingConfig) -> Iterator[pd.DataFrame]:
    """Read files as `read_files` does, large corpora on every core, in order.

    What is large and cannot be cut is read here, frame by frame: another process would hold it all.
    """
    places = [Path(path) for path in files["path"].unique()]
    size = sum(path.stat().st_size for path in places if path.is_file())
    cores = os.cpu_count() or 1
    if size < _PARALLEL or cores == 1:
        yield from read_files([files], reading=reading)
        return
    waiting: collections.deque[Callable[[], Iterable[pd.DataFrame]]] = collections.deque()
    # TensorFlow may have started threads, which a fork would leave behind.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(cores, context) as pool:
        for table, is_large in _tasks(files):
            if is_large:
                waiting.append(functools.partial(read_files, [table], reading=reading))
            else:
                waiting.append(pool.submit(_read_task, table, reading).result)
            if len(waiting) > cores:
                yield from waiting.popleft()()
        while waiting:
            yield from waiting.popleft()()


def _tasks(files: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, bool]]:
    """Yield consecutive rows that take about as long to read as a section, or a large one alone."""
    whole = [Path(path).stat().st_size if Path(path).is_file() else 0 for path in files["path"]]
    sizes = (files["stop"] - files["start"]).where(files["stop"] > 0, whole)
    large = (sizes > 2 * _SECTION) | files["path"].str.startswith(hub.PREFIX)
    alone = (large | large.shift(fill_value=False)).cumsum()  # grows at its row, and at the next
    for (_, _, is_large), table in files.groupby([sizes.cumsum() // _SECTION, alone, large]):
        yield table, bool(is_large)


def _read_task(files: pd.DataFrame, reading: ReadingConfig) -> list[pd.DataFrame]:
    return list(read_files([files], reading=reading))
