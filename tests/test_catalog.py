"""The catalogue, and downloads from a real server that may behave badly."""

import dataclasses
import hashlib
import http.server
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from conftest import ROOT

from pipeline import InputError
from pipeline.cli import main
from pipeline.corpus.catalog import CACHE_VARIABLE, Corpus, File, corpora, fetch, find

TEXTS = {
    "contos/manhã.txt": "A padaria abriu cedo e o cheiro de pão encheu a rua.\n".encode() * 4000,
    "contos/tarde.txt": "O cachorro da vizinha dormia à sombra do muro.\n".encode() * 3000,
    "poemas/noite.txt": b"",
    "leia.txt": "Três textos para experimentar.\n".encode(),
}
MANHA = "contos/manhã.txt"


class Server(http.server.ThreadingHTTPServer):
    """Serves texts; `behaviour` says for which names it does something else."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.texts = TEXTS
        self.behaviour: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []  # name, Range
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/txt/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = unquote(self.path).removeprefix("/txt/")
        asked = self.headers["Range"]
        behaviour = self.server.behaviour.get(name, "")
        tried = name in [before for before, _ in self.server.requests]
        self.server.requests.append((name, asked))
        body, start = self.server.texts[name], 0
        if behaviour == "404":
            self.send_error(404)
            return
        if behaviour == "500 once" and not tried:
            self.send_error(500)
            return
        if behaviour == "lie":
            body = body[::-1]
        if behaviour == "endless":
            body *= 50
        if asked and behaviour != "no ranges":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        body = body[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if behaviour == "truncate" or (behaviour == "truncate once" and not tried):
            body = body[: len(body) // 2]
        if behaviour == "stall":
            self.wfile.write(body[: len(body) // 2])
            self.server.closing.wait(20)
            body = body[len(body) // 2 :]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


def corpus(url: str) -> Corpus:
    files = {
        name: File(hashlib.sha256(text).hexdigest(), len(text)) for name, text in TEXTS.items()
    }
    return Corpus("textos", "Textos", "CC0", "https://example.org", "", url=url, files=files)


def texts_in(folder: Path) -> dict[str, bytes]:
    """What stands in a folder under the names of the corpus."""
    return {name: (folder / name).read_bytes() for name in TEXTS if (folder / name).exists()}


def cached(cache: Path) -> dict[str, bytes]:
    (folder,) = (cache / "textos").iterdir()
    return texts_in(folder)


def went_on(server: Server) -> bool:
    """Whether a second half of MANHA was asked for; the last chunk before it may be lost."""
    starts = [asked for name, asked in server.requests if name == MANHA and asked]
    half = len(TEXTS[MANHA]) // 2
    return len(starts) == 1 and half / 2 < int(starts[0][len("bytes=") : -1]) <= half


def test_fetches_everything_once(server: Server, tmp_path: Path) -> None:
    folder = fetch(corpus(server.url), cache=tmp_path)
    assert texts_in(folder) == TEXTS
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == sorted(
        Path(name).name for name in TEXTS
    )
    # An empty file needs no request.
    assert sorted(name for name, _ in server.requests) == sorted(filter(TEXTS.get, TEXTS))
    server.requests.clear()
    assert fetch(corpus(server.url), cache=tmp_path) == folder
    assert server.requests == []


def test_a_damaged_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    folder = fetch(corpus(server.url), cache=tmp_path)
    (folder / MANHA).write_bytes(TEXTS[MANHA][::-1])
    server.requests.clear()
    assert texts_in(fetch(corpus(server.url), cache=tmp_path)) == TEXTS
    assert server.requests == [(MANHA, None)]


def test_a_changed_list_leaves_nothing_of_the_old_one(server: Server, tmp_path: Path) -> None:
    old = corpus(server.url)
    new = Corpus(**{**vars(old), "files": {MANHA: old.files[MANHA]}})
    fetch(old, cache=tmp_path)
    assert set(texts_in(fetch(new, cache=tmp_path))) == {MANHA}


def test_a_broken_download_resumes_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.behaviour[MANHA] = "truncate"
    with pytest.raises(InputError, match=r"contos/manhã\.txt .* the connection broke off"):
        fetch(corpus(server.url), cache=tmp_path, retries=0)
    assert MANHA not in cached(tmp_path)
    server.behaviour.clear()
    server.requests.clear()
    assert texts_in(fetch(corpus(server.url), cache=tmp_path)) == TEXTS
    assert went_on(server)


def test_a_download_is_retried(server: Server, tmp_path: Path) -> None:
    server.behaviour = {MANHA: "truncate once", "leia.txt": "500 once"}
    assert texts_in(fetch(corpus(server.url), cache=tmp_path, retries=1)) == TEXTS
    assert went_on(server)


@pytest.mark.parametrize("left", [TEXTS[MANHA][:1000], b"#" * 1000, TEXTS[MANHA] + b"#"])
@pytest.mark.parametrize("behaviour", ["", "no ranges"])
def test_whatever_is_left_of_a_download_ends_well(
    server: Server, tmp_path: Path, behaviour: str, left: bytes
) -> None:
    folder = fetch(corpus(server.url), cache=tmp_path)
    (folder / MANHA).unlink()
    (folder / f"{MANHA}.part").write_bytes(left)
    server.behaviour[MANHA] = behaviour
    # Only a wrong part that looks like a beginning fails its hash, and is fetched again.
    retries = int(left.startswith(b"#") and behaviour == "")
    assert texts_in(fetch(corpus(server.url), cache=tmp_path, retries=retries)) == TEXTS
    assert not list(folder.rglob("*.part"))


def test_a_whole_part_needs_no_request(server: Server, tmp_path: Path) -> None:
    folder = fetch(corpus(server.url), cache=tmp_path)
    (folder / MANHA).rename(folder / f"{MANHA}.part")
    server.requests.clear()
    assert texts_in(fetch(corpus(server.url), cache=tmp_path)) == TEXTS
    assert server.requests == []


FETCH = """
import logging
from pathlib import Path

from pipeline.corpus.catalog import Corpus, File, fetch

logging.basicConfig(format="%(message)s")
fetch({corpus!r}, cache=Path({cache!r}), retries=0)
"""


def start_fetching(server: Server, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH.format(corpus=corpus(server.url), cache=str(cache))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("killed", [False, True])
def test_of_two_processes_one_downloads(server: Server, tmp_path: Path, killed: bool) -> None:
    server.behaviour[MANHA] = "stall"
    first = start_fetching(server, tmp_path)
    while not list(tmp_path.rglob("manhã.txt.part")):
        assert first.poll() is None
        time.sleep(0.01)
    second = start_fetching(server, tmp_path)
    message = "Waiting for another nextword process to download textos.\n"
    assert second.stderr
    assert second.stderr.readline() == message
    if killed:
        server.behaviour.clear()
        first.kill()
    else:
        server.closing.set()
    assert first.communicate(timeout=60) == (None, "")
    assert second.communicate(timeout=60) == (None, "")
    assert second.returncode == 0
    assert cached(tmp_path) == TEXTS
    assert [name for name, _ in server.requests].count(MANHA) == 1 + killed


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("404", "the server answered 404 Not Found"),
        ("lie", "the file received does not have SHA-256"),
        ("endless", "the file received does not have SHA-256"),
        ("stall", r"the server sent nothing for 0\.3 s"),
    ],
)
def test_a_bad_server_is_named_and_leaves_nothing_wrong(
    server: Server, tmp_path: Path, behaviour: str, says: str
) -> None:
    server.behaviour[MANHA] = behaviour
    address = re.escape(f"{server.url}contos/manh%C3%A3.txt")
    start = time.perf_counter()
    with pytest.raises(InputError, match=f"{MANHA} of the corpus textos .* {address}: {says}"):
        fetch(corpus(server.url), cache=tmp_path, timeout=0.3, retries=0)
    assert time.perf_counter() - start < 5
    kept = cached(tmp_path)
    assert MANHA not in kept
    assert kept.items() <= TEXTS.items()
    server.behaviour.clear()
    assert texts_in(fetch(corpus(server.url), cache=tmp_path)) == TEXTS


def test_no_server(server: Server, tmp_path: Path) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError, match="the server cannot be reached; check the network"):
        fetch(corpus(url), cache=tmp_path, retries=0)


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=rf"cannot be used \(.*\); .* {CACHE_VARIABLE}"):
        fetch(corpus(server.url), cache=tmp_path / "file")
    assert server.requests == []


def test_the_environment_names_the_cache(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert fetch(corpus(server.url)).is_relative_to(tmp_path / "textos")


def test_says_how_far_it_is(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(corpus(server.url), cache=tmp_path)
    assert f"textos {len(TEXTS)}/{len(TEXTS)} files" in capsys.readouterr().out
    fetch(corpus(server.url), cache=tmp_path)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("corpus", corpora(), ids=lambda corpus: corpus.name)
def test_the_catalogue_is_sound(corpus: Corpus) -> None:
    assert find(corpus.name) == corpus
    assert re.fullmatch(r"[a-z0-9-]+", corpus.name)
    assert corpus.title
    assert corpus.licence
    assert corpus.source.startswith("https://")
    assert corpus.note
    assert corpus.spelling
    if corpus.dataset:
        assert re.fullmatch(r"hf:[\w-]+/[\w-]+(/[\w.-]+)?", corpus.dataset)
        assert not corpus.files
        assert corpus.text_column
        return
    assert corpus.words > 0
    # A commit, or another version that never changes: a branch would break the hashes.
    assert re.fullmatch(r"https://\S+/", corpus.url)
    assert re.search(r"/[0-9a-f]{40}/", corpus.url)
    assert corpus.files
    for name, file in corpus.files.items():
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.bytes > 0
        assert not Path(name).is_absolute()
        assert ".." not in Path(name).parts


def test_an_unknown_name() -> None:
    assert find("nenhum") is None


CORPORA = Path(__file__).parents[2] / "shared" / "corpora"


@pytest.mark.parametrize(
    "corpus", [corpus for corpus in corpora() if corpus.files], ids=lambda corpus: corpus.name
)
def test_every_corpus_can_be_downloaded(corpus: Corpus, server: Server, tmp_path: Path) -> None:
    """From a server on this machine, which has copies of the real files."""
    if not (CORPORA / corpus.name).is_dir():
        pytest.skip(f"the corpus {corpus.name} does not lie beside the repository")
    assert re.search("/([0-9a-f]{40})/", corpus.url)[1] in (CORPORA / "README.md").read_text()
    texts = [path.read_bytes() for path in (CORPORA / corpus.name).rglob("*") if path.is_file()]
    copies = {hashlib.sha256(text).hexdigest(): text for text in texts}
    server.texts = {name: copies[file.sha256] for name, file in corpus.files.items()}
    folder = fetch(dataclasses.replace(corpus, url=server.url), cache=tmp_path)
    assert {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    } == set(corpus.files)
    # Its paths are those of the commit, and none is left out.
    registry = (CORPORA / f"{corpus.name}.registry").read_text(encoding="utf-8")
    paths = {line.rsplit(" ", 2)[0] for line in registry.splitlines()}
    start = re.split("/[0-9a-f]{40}/", corpus.url)[1]
    left_out = {"porsimples/porsimples_aligns.tsv"}  # numbers only
    assert paths - left_out == {start + name for name in corpus.files}


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_fits_into_a_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = CliRunner().invoke(main, ["corpora"]).output.splitlines()
    assert max(map(len, lines)) <= columns
    names = [corpus.name for corpus in corpora()]
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == names
    text = " ".join(line.strip() for line in lines)
    for corpus in corpora():
        assert f"{corpus.title} {corpus.note}. Spelling: {corpus.spelling}. " in text
        assert f"Licence: {corpus.licence}. {corpus.source}" in text
        if corpus.dataset:
            assert f"Not pinned: the newest commit of {corpus.dataset} is read." in text
        else:
            assert f"{corpus.words:,} words, {len(corpus.files)} file" in text


def test_the_documentation_has_the_same_table() -> None:
    text = (ROOT / "docs/corpora.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    found = {row[1].strip("`"): row[3:-1] for row in rows if row[0] == "" and len(row) == 7}
    for corpus in corpora():
        words, _, licence = found[corpus.name]
        assert words == (f"{corpus.words:,}" if corpus.words else "")
        assert licence == corpus.licence
    assert len(found) == len(corpora()) + 2  # the head of the table
