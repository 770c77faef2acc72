"""Named public corpora: a TOML file each, with its licence, and an address for every file."""

import concurrent.futures
import contextlib
import hashlib
import logging
import os
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import filelock
import pooch
import requests
from urllib3.exceptions import ReadTimeoutError

from pipeline import InputError
from pipeline.progress import Speed, progress_bar

log = logging.getLogger(__name__)

# Environment variable for a download folder other than the operating system's.
CACHE_VARIABLE = "NEXTWORD_CACHE"
_DOWNLOADS_AT_ONCE = 4
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class File:
    sha256: str
    bytes: int  # its size


@dataclass(frozen=True)
class Corpus:
    """A corpus to download: files whose content is known, or a data set of Hugging Face.

    Attributes:
        licence: of its text, as its source states it.
        source: address of a page for people.
        note: what it is.
        words: how many it has; 0 if they are not counted.
        spelling: how old it is.
        url: start of the address of each file; its name is the end.
        files: name → what it holds.
        dataset: `hf:owner/name` instead of files; whatever its newest commit holds is read.
        text_column, group_column: of its tables, as `ReadingConfig` has them.
    """

    name: str
    title: str
    licence: str
    source: str
    note: str
    url: str = ""
    files: Mapping[str, File] = field(default_factory=dict)
    words: int = 0
    spelling: str = ""
    dataset: str = ""
    text_column: str = ""
    group_column: str = ""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())


def corpora() -> list[Corpus]:
    """Return all corpora of the catalogue, sorted by name."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        files = {name: File(**file) for name, file in fields.pop("files", {}).items()}
        found.append(Corpus(name=path.stem, files=files, **fields))
    return found


def find(name: str) -> Corpus | None:
    """Return the corpus of that name, None if the catalogue has none."""
    return next((corpus for corpus in corpora() if corpus.name == name), None)


def fetch(
    corpus: Corpus, *, cache: Path | None = None, timeout: float = 30.0, retries: int = 2
) -> Path:
    """Download the missing files of a corpus, and check them.

    A file gets its name once its SHA-256 is right. The next call resumes an interrupted download.
    One process downloads a corpus; others wait for it.

    Args:
        corpus: From `find` or `corpora`.
        cache: Folder of all downloads; by default NEXTWORD_CACHE or the operating system's.
        timeout: Seconds to wait for a silent server.
        retries: How often to retry a failed file.

    Returns:
        The folder of the files.

    Raises:
        InputError: A file cannot be downloaded, has another SHA-256, or cannot be written.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    cache = cache or Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("nextword-pt"))
    # A corpus whose list of files changes gets a new folder, without the old files.
    version = hashlib.sha256(repr(sorted(corpus.files.items())).encode()).hexdigest()[:8]
    folder = cache.expanduser().absolute() / corpus.name / version
    try:
        if _missing(corpus, folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(corpus, Path(f"{folder.parent}.lock")):
                if missing := _missing(corpus, folder):
                    _fetch_files(corpus, missing, folder, timeout=timeout, retries=retries)
    except OSError as error:
        raise InputError(_explain_unwritable(folder, error)) from error
    return folder


def _missing(corpus: Corpus, folder: Path) -> list[str]:
    return [
        name
        for name, file in corpus.files.items()
        if not (folder / name).is_file()
        or (folder / name).stat().st_size != file.bytes
        or pooch.file_hash(str(folder / name)) != file.sha256
    ]


def _alone(corpus: Corpus, path: Path) -> contextlib.AbstractContextManager:
    """Wait for other processes that download a corpus, and make others wait."""
    lock = filelock.FileLock(path)
    try:
        return lock.acquire(blocking=False)
    except filelock.Timeout:
        log.warning("Waiting for another nextword process to download %s.", corpus.name)
        return lock.acquire()


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
    for name in missing:  # pooch's threads would race to create a folder
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    received = dict.fromkeys(missing, 0)
    stop = threading.Event()

    def fetch_file(name: str) -> None:
        def report(size: int) -> None:
            if stop.is_set():
                raise InterruptedError(name)
            received[name] = size
            bar.update(task, completed=sum(received.values()))

        def download(url: str, output: str, _: pooch.Pooch) -> None:
            part = folder / f"{name}.part"
            _download(url, part, corpus.files[name], timeout=timeout, report=report)
            os.replace(part, output)  # pooch checks it there, and moves or deletes it

        try:
            remote.fetch(name, downloader=download)
        except (OSError, ValueError) as error:
            reason = _explain_failure(error, corpus.files[name], folder, timeout)
            raise InputError(
                f"{name} of the corpus {corpus.name} cannot be downloaded from "
                f"{remote.get_url(name)}: {reason}"
            ) from error

    size = sum(corpus.files[name].bytes for name in missing)
    with progress_bar(Speed()) as bar:
        task = bar.add_task(f"{corpus.name} 0/{len(missing)} files", total=size)
        pool = concurrent.futures.ThreadPoolExecutor(_DOWNLOADS_AT_ONCE)
        futures = [pool.submit(fetch_file, name) for name in missing]
        try:
            for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
                future.result()
                bar.update(task, description=f"{corpus.name} {done}/{len(missing)} files")
        finally:
            stop.set()  # after a failure or Ctrl-C, the other downloads stop too
            pool.shutdown(cancel_futures=True)


def _download(
    url: str, part: Path, file: File, *, timeout: float, report: Callable[[int], None]
) -> None:
    """Complete a partial file."""
    # A range counts the bytes sent, so they must not be compressed.
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
            for chunk in response.iter_content(_CHUNK_BYTES):
                size += output.write(chunk)
                report(size)
                if size > file.bytes:
                    break
    if size != file.bytes:
        part.unlink()
        raise ValueError(f"{url} sent {size} bytes instead of {file.bytes}")


def _explain_failure(error: Exception, file: File, folder: Path, timeout: float) -> str:
    """Return the end of a sentence: why a download failed, and what to do."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = f"{error.response.status_code} {error.response.reason}"
        return f"the server answered {status}; try later, or look for a newer nextword-pt."
    if isinstance(error, requests.RequestException):
        # A server that falls silent during the download is a ConnectionError around the timeout.
        silent = isinstance(error.args[0] if error.args else None, ReadTimeoutError)
        if silent or isinstance(error, requests.Timeout):
            what = f"the server sent nothing for {timeout:g} s"
        elif isinstance(error, requests.exceptions.ChunkedEncodingError):
            what = "the connection broke off"
        else:
            what = "the server cannot be reached"
        return f"{what}; check the network and run it again, which resumes the download."
    if isinstance(error, OSError):
        return _explain_unwritable(folder, error)
    wrong = f"the file received does not have SHA-256 {file.sha256} and was deleted"
    return f"{wrong}; try later, or look for a newer nextword-pt."


def _explain_unwritable(folder: Path, error: OSError) -> str:
    # pooch replaces a permission error with one that has no strerror.
    reason = (error.strerror or "Permission denied").lower()
    return f"{folder} cannot be used ({reason}); name another folder in {CACHE_VARIABLE}."
