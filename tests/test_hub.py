"""Hugging Face datasets, read with the real library from local folders, offline."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import ROOT

from pipeline import InputError
from pipeline.cli import main
from pipeline.corpus import hub
from pipeline.corpus.hub import _parse_name, corpus_path, local_folder, pin

# `datasets` reads both when it is imported, which the first test does.
os.environ["HF_HUB_OFFLINE"] = "1"
pytestmark = pytest.mark.usefixtures("home")

TEXTS = ["O padeiro abriu a porta.", "Choveu a tarde inteira.", "A menina leu a carta."]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Locks of the library go here instead of into the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        yield


def write_jsonl(path: Path, rows: list[dict]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


def write_parquet(path: Path, rows: list[dict]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def read_dataset(name: str, **columns: str) -> Iterator[str]:
    """The texts of a data set."""
    return (text for text, _ in hub.read_dataset(name, **columns))


@pytest.mark.parametrize(("ending", "write"), [("jsonl", write_jsonl), ("parquet", write_parquet)])
def test_reads_the_column_of_the_training_split(
    tmp_path: Path, ending: str, write: Callable[[Path, list[dict]], None]
) -> None:
    write(tmp_path / f"train.{ending}", [{"id": n, "texto": t} for n, t in enumerate(TEXTS)])
    write(tmp_path / f"test.{ending}", [{"id": 9, "texto": "Fim."}])
    assert list(read_dataset(f"hf:{tmp_path}", text_column="texto")) == TEXTS
    assert list(read_dataset(f"hf:{tmp_path}#test", text_column="texto")) == ["Fim."]
    with pytest.raises(InputError, match="has no column text: give one of id, texto as"):
        next(read_dataset(f"hf:{tmp_path}", text_column="text"))
    with pytest.raises(InputError, match=r"has no split dev: .* train, test\."):
        next(read_dataset(f"hf:{tmp_path}#dev", text_column="texto"))
    with pytest.raises(InputError, match=r"The column id of .* holds int, not text"):
        next(read_dataset(f"hf:{tmp_path}", text_column="id"))
    rows = hub.read_dataset(f"hf:{tmp_path}", text_column="texto", group_column="id")
    assert list(rows) == [(text, str(n)) for n, text in enumerate(TEXTS)]
    with pytest.raises(InputError, match=r"no column autor: give one of id, texto as the group"):
        next(hub.read_dataset(f"hf:{tmp_path}", text_column="texto", group_column="autor"))


def test_a_relative_folder_and_rows_without_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cartas").mkdir()
    rows = [{"text": TEXTS[0]}, {"text": None}, {"text": ""}, {"text": TEXTS[1]}]
    write_jsonl(Path("cartas/test.jsonl"), rows)  # one split only, of another name
    assert list(read_dataset("hf:./cartas", text_column="text")) == [TEXTS[0], "", TEXTS[1]]


def test_a_local_folder_gets_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_folder("hf:./cartas#test") == tmp_path / "cartas"
    assert pin("hf:./cartas#test") == f"hf:{tmp_path}/cartas#test"
    assert corpus_path("hf:./cartas#test") == tmp_path / "cartas"
    assert local_folder("hf:wikimedia/wikipedia") is None
    assert pin("hf:wikimedia/wikipedia#test") == "hf:wikimedia/wikipedia#test"


@pytest.mark.parametrize("name", ["./carta #1.txt", "~carta.txt", "/tmp/carta #1.txt"])
def test_a_file_is_no_dataset_whatever_its_name(name: str) -> None:
    assert corpus_path(name) == Path(name)


def test_a_local_dataset_that_changes_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(store)
    Path("cartas").mkdir()
    rows = [{"text": f"Carta número {n}."} for n in range(60)]
    for outcome in ("Wrote", "Skipped", "Wrote"):
        if outcome == "Wrote":
            rows.append({"text": f"Mais uma, que faz {len(rows)}."})
            write_jsonl(Path("cartas/train.jsonl"), rows)
        result = CliRunner().invoke(main, ["ingest", "--corpus", "hf:./cartas"])
        assert f"{outcome} data/documents" in result.output, result.output


# A hub


class Hub(http.server.ThreadingHTTPServer):
    """What `datasets` asks the Hugging Face Hub for, of one dataset: eu/cartas, one file."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.commits: list[str] = []
        self.files: dict[str, bytes] = {}  # by commit

    def commit(self, commit: str, rows: int) -> None:
        lines = [json.dumps({"text": f"Carta número {n}."}) + "\n" for n in range(rows)]
        self.commits.append(commit)
        self.files[commit] = "".join(lines).encode()


class HubHandler(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        commit = self.server.commits[-1]
        if asked := re.search("/([0-9a-f]{40})\\b", self.path):
            commit = asked[1]
        content = self.server.files.get(commit, b"")
        file = {"type": "file", "oid": commit, "size": len(content), "path": "train.jsonl"}
        headers = {"X-Repo-Commit": commit, "ETag": f'"{commit}"'}
        code, answer = 200, b""
        if self.path.endswith("/resolve/" + commit + "/train.jsonl"):
            answer = content
        elif "/resolve/" in self.path or not content:
            code, headers["X-Error-Code"] = 404, "EntryNotFound"
        elif "/tree/" in self.path:
            answer = json.dumps([] if "/data?" in self.path else [file]).encode()
        else:
            siblings = [{"rfilename": "train.jsonl"}]
            answer = json.dumps({"id": "eu/cartas", "sha": commit, "siblings": siblings}).encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub_server() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


Run = Callable[[str], str]


@pytest.fixture
def start(tmp_path: Path, hub_server: Hub, store: str) -> Iterator[Callable[..., Run]]:
    """Starts a process that knows that hub, runs lines of Python and returns what they print."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{hub_server.server_port}",
        "HF_HOME": str(tmp_path / "hf"),
        "NO_PROXY": "127.0.0.1",
        "MLFLOW_TRACKING_URI": store,
        "PYTHONPATH": str(ROOT),
    }
    code = "import sys\nfor line in sys.stdin:\n    exec(line)\n    print('END', flush=True)"
    processes: list[subprocess.Popen[str]] = []

    def start(*, offline: str) -> Run:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path, env={**environment, "HF_HUB_OFFLINE": offline}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        processes.append(process)

        def run(line: str) -> str:
            assert process.stdin
            assert process.stdout
            print(line, file=process.stdin, flush=True)
            output = ""
            while not output.endswith("END\n"):
                printed = process.stdout.readline()
                assert printed, output  # else it has ended with an error
                output += printed
            return output.removesuffix("END\n")

        return run

    yield start
    for process in processes:
        process.kill()
        process.communicate()


FIRST, SECOND = "1a" * 20, "2b" * 20


def test_a_name_is_pinned_to_its_current_commit(start: Callable[..., Run], hub_server: Hub) -> None:
    def pin(run: Run, name: str) -> str:
        # A new process would know of no commit.
        run("from pipeline.corpus import hub; hub._find_commit.cache_clear()")
        return run(f"print(hub.pin({name!r}))")

    run = start(offline="0")
    hub_server.commit(FIRST, rows=3)
    assert pin(run, "hf:eu/cartas#train") == f"hf:eu/cartas@{FIRST}#train\n"
    hub_server.commit(SECOND, rows=4)
    assert pin(run, "hf:eu/cartas@main") == f"hf:eu/cartas@{SECOND}\n"
    assert pin(run, f"hf:eu/cartas/pt@{FIRST}") == f"hf:eu/cartas/pt@{FIRST}\n"
    assert pin(run, "hf:eu/cartas/pt") == "hf:eu/cartas/pt\n"  # there is no such part

    offline = start(offline="1")
    assert pin(offline, "hf:eu/cartas") == "hf:eu/cartas\n"
    run(f"import datasets; datasets.load_dataset('eu/cartas', revision={FIRST!r})")
    assert pin(offline, "hf:eu/cartas").endswith(f"hf:eu/cartas@{FIRST}\n")  # what is cached


@pytest.mark.slow
def test_a_dataset_of_the_hub_that_changes_is_read_again(
    start: Callable[..., Run], hub_server: Hub, tmp_path: Path
) -> None:
    run = start(offline="0")
    run("from click.testing import CliRunner")
    run("from pipeline import cli; from pipeline.corpus import hub")

    def ingest(name: str) -> str:
        run("hub._find_commit.cache_clear()")
        return run(f"print(CliRunner().invoke(cli.main, ['ingest', '--corpus', {name!r}]).output)")

    def files() -> str:
        return (tmp_path / "data/documents/files.csv").read_text()

    hub_server.commit(FIRST, rows=60)
    assert "Wrote data/documents" in (out := ingest("hf:eu/cartas")), out
    assert f"hf:eu/cartas@{FIRST},hf:eu/cartas," in files()
    assert "Skipped data/documents" in (out := ingest("hf:eu/cartas")), out
    hub_server.commit(SECOND, rows=61)
    assert "Wrote data/documents" in (out := ingest("hf:eu/cartas")), out
    assert f"hf:eu/cartas@{SECOND},hf:eu/cartas," in files()
    pinned = f"hf:eu/cartas@{FIRST}#train"
    assert "Wrote data/documents" in (out := ingest(pinned)), out
    assert f"{pinned},{pinned}," in files()
    hub_server.commits.clear()  # nothing need be asked of what cannot change
    assert "Skipped data/documents" in (out := ingest(pinned)), out


def test_a_file_is_read_as_it_comes(tmp_path: Path) -> None:
    """Rows arrive before the end of the file is read: a broken end is met late."""
    text = TEXTS[0] * 1000
    line = json.dumps({"text": text}) + "\n"
    (tmp_path / "train.jsonl").write_text(line * 2000 + '{"text": \n', encoding="utf-8")
    rows = read_dataset(f"hf:{tmp_path}", text_column="text")
    assert next(rows) == text
    with pytest.raises(InputError, match="cannot be read from Hugging Face"):
        list(rows)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hf:ninguem/nada", "Couldn't reach 'ninguem/nada' on the Hub .*check the name"),
        ("hf:./nada", "names no folder"),
        ("hf:", "is not the name of a dataset: write hf:owner/dataset"),
        ("hf:a//b", "is not the name of a dataset"),
    ],
)
def test_what_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=says) as caught:
        next(read_dataset(name, text_column="text"))
    assert "\n" not in str(caught.value)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        next(read_dataset(f"hf:{tmp_path}", text_column="text"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hf:dataset", ("dataset", None, None, None)),
        ("owner/dataset", ("owner/dataset", None, None, None)),
        (
            "hf:wikimedia/wikipedia/20231101.pt",
            ("wikimedia/wikipedia", "20231101.pt", None, None),
        ),
        (
            "hf:owner/dataset/pt@refs/pr/1#validation",
            ("owner/dataset", "pt", "refs/pr/1", "validation"),
        ),
        ("hf:dataset@v1.0", ("dataset", None, "v1.0", None)),
    ],
)
def test_names(name: str, parts: tuple[str | None, ...]) -> None:
    assert _parse_name(name) == parts


def test_without_the_library(tmp_path: Path) -> None:
    (tmp_path / "datasets.py").write_text("raise ImportError('not installed')\n", encoding="utf-8")
    code = "from pipeline.corpus import hub; next(hub.read_dataset('hf:a/b', text_column='text'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert "InputError: hf:a/b needs the datasets library: pip install 'nextword-pt[hub]'." in (
        done.stderr
    )
