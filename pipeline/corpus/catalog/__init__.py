"""Named public corpora: pinned addresses, SHA-256, licences.

Each is one TOML file in this folder, and the name of that file is the name of the corpus.
"""

import concurrent.futures
import contextlib
import hashlib
import logging
import os
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import filelock
import pooch
import requests
import rich.progress
from urllib3.exceptions import ReadTimeoutError

from pipeline import InputError

log = logging.getLogger(__name__)

# Names a folder for downloads other than the operating system's.
CACHE_VARIABLE = "NEXTWORD_CACHE"

_PARALLEL = 4
_CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class File:
    """What a file of a corpus must be; `bytes` is its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Corpus:
    """A corpus that anyone may download: `url` + the name of a file is the file's address."""

    name: str
    title: str
    licence: str
    source: str
    note: str
    url: str
    files: Mapping[str, File]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())


def corpora() -> list[Corpus]:
    """All corpora of the catalogue, by name."""
    return [_read(path) for path in sorted(Path(__file__).parent.glob("*.toml"))]


def find(name: str) -> Corpus | None:
    """The corpus of that name, if the catalogue has it."""
    return next((corpus for corpus in corpora() if corpus.name == name), None)


def _read(path: Path) -> Corpus:
    fields = tomllib.loads(path.read_text(encoding="utf-8"))
    files = {name: File(**file) for name, file in fields.pop("files").items()}
    return Corpus(name=path.stem, files=files, **fields)


def fetch(
    corpus: Corpus, *, cache: Path | None = None, timeout: float = 30.0, retries: int = 2
) -> Path:
    """Download what is missing of a corpus, and check it.

    A file stands under its name only when its SHA-256 is right. One that was broken off waits
    beside it as .part, and the next call goes on from there. Of several processes one downloads;
    the others wait for it.

    Args:
        corpus: From `find` or `corpora`.
        cache: Folder of all downloads; without it that of the environment variable
            NEXTWORD_CACHE, or the operating system's.
        timeout: Seconds that a server may be silent.
        retries: Times that a failed file is tried again.

    Returns:
        The folder with the files, under the names they have in the catalogue.

    Raises:
        InputError: a file cannot be had, is not what the catalogue says, or cannot be written.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    cache = cache or Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("nextword-pt"))
    # A corpus whose list has changed gets a new folder: no file of the old list is left in it.
    version = hashlib.sha256(repr(sorted(corpus.files.items())).encode()).hexdigest()[:8]
    folder = cache.expanduser().absolute() / corpus.name / version
    try:
        if _missing(corpus, folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(corpus, Path(f"{folder.parent}.lock")):
                missing = _missing(corpus, folder)
                for name in missing:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                if missing:
                    _fetch_files(corpus, missing, folder, timeout=timeout, retries=retries)
    except OSError as error:
        raise InputError(_unwritable(folder, error)) from error
    return folder


def _missing(corpus: Corpus, folder: Path) -> list[str]:
    return [name for name, file in corpus.files.items() if not _is_right(folder / name, file)]


def _alone(corpus: Corpus, place: Path) -> contextlib.AbstractContextManager:
    """Wait until no other process downloads a corpus; until this is left, others wait."""
    lock = filelock.FileLock(place)
    try:
        return lock.acquire(blocking=False)
    except filelock.Timeout:
        log.warning("Waiting for another nextword, which downloads %s.", corpus.name)
        return lock.acquire()


def _is_right(path: Path, file: File) -> bool:
    return (
        path.is_file()
        and path.stat().st_size == file.bytes
        and pooch.file_hash(str(path)) == file.sha256
    )


def _fetch_files(
    corpus: Corpus, missing: list[str], folder: Path, *, timeout: float, retries: int
) -> None:
    remote = pooch.create(
        path=folder,
        base_url=corpus.url,
        registry={name: corpus.files[name].sha256 for name in missing},
        urls={name: corpus.url + quote(name) for name in missing},
        retry_if_failed=retries,
    )
    received = dict.fromkeys(missing, 0)
    stop = threading.Event()

    def fetch_file(name: str) -> None:
        def report(size: int) -> None:
            if stop.is_set():
                raise InterruptedError(name)
            received[name] = size
            progress.update(bar, completed=sum(received.values()))

        def download(url: str, output: str, _: pooch.Pooch) -> None:
            part = folder / f"{name}.part"
            _download(url, part, corpus.files[name], timeout=timeout, report=report)
            os.replace(part, output)  # where pooch checks it, and moves or deletes it

        try:
            remote.fetch(name, downloader=download)
        except (OSError, ValueError) as error:
            reason = _reason(error, corpus.files[name], folder, timeout)
            raise InputError(
                f"{name} of the corpus {corpus.name} cannot be fetched from "
                f"{remote.get_url(name)}: {reason}"
            ) from error

    size = sum(corpus.files[name].bytes for name in missing)
    with _progress() as progress:
        bar = progress.add_task(corpus.name, total=size, files=f"0/{len(missing)}")
        pool = concurrent.futures.ThreadPoolExecutor(_PARALLEL)
        futures = [pool.submit(fetch_file, name) for name in missing]
        try:
            for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
                future.result()
                progress.update(bar, files=f"{done}/{len(missing)}")
        finally:
            stop.set()  # after a failure or Ctrl-C, the others break off too
            pool.shutdown(cancel_futures=True)


def _download(
    url: str, part: Path, file: File, *, timeout: float, report: Callable[[int], None]
) -> None:
    """Bring a partial file to its full size; what stands there already is not asked for again."""
    # Ranges count bytes of what is sent, so it must not be sent compressed.
    headers = {"Accept-Encoding": "identity"}
    size = part.stat().st_size if part.exists() else 0
    if size > file.bytes:
        size = 0
    elif size:
        headers["Range"] = f"bytes={size}-"
    report(size)
    if size == file.bytes:
        part.touch()
        return
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            size = 0
        with part.open("ab" if size else "wb") as output:
            for chunk in response.iter_content(_CHUNK):
                size += output.write(chunk)
                report(size)
                if size > file.bytes:
                    break
    if size != file.bytes:
        part.unlink()
        raise ValueError(f"{url} sent {size} bytes instead of {file.bytes}")


def _reason(error: Exception, file: File, folder: Path, timeout: float) -> str:
    """What a failed download means and what to do; the end of a sentence."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = f"{error.response.status_code} {error.response.reason}"
        return f"the server answered {status}; try later, or look for a newer nextword-pt."
    if isinstance(error, requests.RequestException):
        # A server that falls silent in the middle is a ConnectionError around the timeout.
        silent = isinstance(error.args[0] if error.args else None, ReadTimeoutError)
        if silent or isinstance(error, requests.Timeout):
            what = f"nothing came for {timeout:g} s"
        elif isinstance(error, requests.exceptions.ChunkedEncodingError):
            what = "the connection broke off"
        else:
            what = "the server cannot be reached"
        return f"{what}; check the network and run it again, which goes on where it stopped."
    if isinstance(error, OSError):
        return _unwritable(folder, error)
    return (
        f"what came is not the file with SHA-256 {file.sha256} and was thrown away; try later, "
        "or look for a newer nextword-pt."
    )


def _unwritable(folder: Path, error: OSError) -> str:
    # pooch words a lack of permission itself, and leaves no strerror.
    reason = (error.strerror or "Permission denied").lower()
    return f"{folder} cannot be used ({reason}); name another folder in {CACHE_VARIABLE}."


def _progress() -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description} {task.fields[files]} files"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
