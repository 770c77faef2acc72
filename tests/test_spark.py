"""What Spark writes equals what one machine writes, in order and byte for byte."""

import contextlib
import gzip
import importlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyspark
import pytest
from conftest import SAMPLE
from pyspark.sql import SparkSession

from pipeline import InputError
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.ingest import ingest
from pipeline.corpus.inspect import inspect
from pipeline.spark import ingest as spark_ingest
from pipeline.spark import tokenize as spark_tokenize
from pipeline.spark.session import beside, session, sweep
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.tokenize import tokenize
from pipeline.tokens.windows import open_stream

pytestmark = pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java 17")

VOCABULARY = VocabularyConfig(vocabulary_size=400, min_count=1)


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Little memory, no web page, nothing but loopback, and no compiling for a long run."""
    folder = tmp_path_factory.mktemp("conf")
    quick = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    (folder / "spark-defaults.conf").write_text(
        "spark.driver.memory 512m\nspark.executor.memory 512m\nspark.ui.enabled false\n"
        f"spark.driver.extraJavaOptions {quick}\nspark.executor.extraJavaOptions {quick}\n"
        "spark.sql.codegen.wholeStage false\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("SPARK_LOCAL_DIRS", str(folder))
        yield


# Before a session is there: Spark would give that one.
def test_an_invalid_master_is_refused() -> None:
    with (
        pytest.raises(InputError, match=r"Master must .* name a --spark-master"),
        session("sol", "test"),
    ):
        pass


@pytest.fixture(scope="module")
def here() -> Iterator[None]:
    """A session of two workers on this machine, which master="" means."""
    with session("local[2]", "test"):
        yield


def document(number: int, lines: int = 3) -> str:
    return "".join(f"No dia {number} saiu o barco {line}.\n" for line in range(lines))


AGAIN = "Ninguém sabia ao certo quem tocava o piano à tarde, nem mesmo o médico da rua."


def write_corpus(folder: Path) -> Path:
    """Documents of every fate: kept, repeated, in part repeated, damaged, unreadable, empty."""
    folder.mkdir()
    texts = {f"{n:02}.txt": document(n, n % 5 + 1) for n in range(24)}
    texts["05.txt"] += f"Ele escreveu: «{AGAIN}» E calou-se.\n"
    texts["07.txt"] = f"{AGAIN}\n"  # nothing is left of it
    texts["prova.txt"] = f"{document(99)}{AGAIN}\n"
    texts["revista.txt"] = f"{AGAIN}\n{document(98)}"  # held out too: only the first is reported
    texts["repetido.txt"] = texts["03.txt"].replace("\n", "\r\n\r\n")
    texts["vazio.txt"] = "\n"
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    with (folder / "08.txt").open("ab") as file:
        file.write("A avó não põe açúcar, e o avÃ´ tambÃ©m não".encode() + b"\xe9")
    (folder / "imagem.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10")
    with gzip.open(folder / "antigo.txt.gz", "wt", encoding="cp1252") as file:
        file.write(document(50, 9))
    rows = [document(n, 4) for n in (60, 61, 3, 60, 62)]  # 60 and 03.txt stand twice
    pd.DataFrame({"text": rows}).to_csv(folder / "tabela.csv", index=False)
    return folder


def folders(place: Path) -> tuple[Path, Path]:
    for name in ("documents", "tokens"):
        (place / name).mkdir(parents=True)
    return place / "documents", place / "tokens"


def assert_equal(
    place: Path, corpus: Path, master: str, unit: str = "word", **options
) -> tuple[Path, Path]:
    """Both engines write the same; returns the folders that Spark wrote."""
    documents, tokens = folders(place / "local")
    ingest(corpus=[str(corpus)], output=documents, **options)
    config = replace(VOCABULARY, unit=unit)
    tokenize(documents, tokens, config=config)
    far_documents, far_tokens = folders(place / "spark")
    spark_ingest.ingest(corpus=[str(corpus)], output=far_documents, master=master, **options)
    spark_tokenize.tokenize(far_documents, far_tokens, config=config, master=master)
    for name in ("files.csv", "removed.csv", "splits.json"):
        assert (far_documents / name).read_bytes() == (documents / name).read_bytes()
    names = ["vocabulary.tsv", "tokenizer.json"]
    for name in [*names, "rare.tsv"] if unit == "word" else names:
        assert (far_tokens / name).read_bytes() == (tokens / name).read_bytes()
    pd.testing.assert_frame_equal(
        pd.read_parquet(far_documents / "documents.parquet"),
        pd.read_parquet(documents / "documents.parquet"),
    )
    for split in ("train", "valid", "test"):
        ids = open_stream(far_tokens / f"{split}.npy")[:]
        assert ids.dtype == np.int32
        np.testing.assert_array_equal(ids, np.load(tokens / f"{split}.npy"))
        counts = open_stream(far_tokens / f"{split}.documents.npy")[:]
        np.testing.assert_array_equal(counts, np.load(tokens / f"{split}.documents.npy"))
        # Only of words, and only where models are measured.
        written = (tokens / f"{split}.letters.npy").exists()
        assert written == (unit == "word" and split != "train")
        if written:
            letters = open_stream(far_tokens / f"{split}.letters.npy")[:]
            np.testing.assert_array_equal(letters, np.load(tokens / f"{split}.letters.npy"))
            lines = [p.read_bytes() for p in sorted(far_tokens.glob(f"{split}.unknown-*.txt"))]
            assert b"".join(lines) == (tokens / f"{split}.unknown.txt").read_bytes()
    left = [path for folder in (far_documents, far_tokens) for path in folder.rglob(".*")]
    assert not left
    return far_documents, far_tokens


@pytest.mark.slow
def test_documents_and_streams_equal_those_of_one_machine(
    here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_ingest, "_PARTITION", 500)
    monkeypatch.setattr(spark_tokenize, "_SHARD", 500)
    corpus = write_corpus(tmp_path / "corpus")
    globs = {"valid": ("revista.txt", "1?.txt"), "test": ("prova.txt",)}
    documents, tokens = assert_equal(tmp_path, corpus, "", **globs)
    removed = (documents / "removed.csv").read_text(encoding="utf-8")
    assert "tabela.csv,,03.txt," in removed
    assert f'05.txt,2,prova.txt (test),"Ele escreveu: «{AGAIN}»"' in removed
    assert "07.txt,1,prova.txt (test)," in removed
    assert len(list((documents / "documents.parquet").iterdir())) > 2
    assert len(list(tokens.glob("train-*.npy"))) > 2

    # The next room reads the parts as it reads the file.
    found = []
    for engine in ("local", "spark"):
        output = tmp_path / engine / "inspection"
        output.mkdir()
        inspect(documents=tmp_path / engine / "documents", output=output)
        found.append(json.loads((output / "inspection.json").read_text(encoding="utf-8")))
    assert found[0] == found[1]


@pytest.mark.slow
def test_groups_fall_into_the_splits_of_one_machine(here: None, tmp_path: Path) -> None:
    rows = [{"text": f"{document(n)}{version}", "obra": n} for n in range(40) for version in "ab"]
    pd.DataFrame(rows).to_parquet(tmp_path / "obras.parquet")
    reading = ReadingConfig(group_column="obra")
    assert_equal(tmp_path, tmp_path / "obras.parquet", "", reading=reading)


@pytest.mark.slow
def test_errors_of_a_worker_have_the_same_sentence(here: None, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    messages = []
    for engine, function in (("local", ingest), ("spark", spark_ingest.ingest)):
        documents, _ = folders(tmp_path / engine)
        where = {"master": ""} if engine == "spark" else {}
        with pytest.raises(InputError) as raised:
            function(
                corpus=[str(corpus)],
                output=documents,
                reading=ReadingConfig(text_column="texto"),
                **where,
            )
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert "tabela.csv has no column 'texto'" in messages[0]


@pytest.mark.slow
def test_errors_of_the_driver_are_reported(here: None, tmp_path: Path) -> None:
    documents, tokens = folders(tmp_path)
    (tmp_path / "vazio.txt").write_text("\n")
    with pytest.raises(InputError, match="holds readable text"):
        spark_ingest.ingest(corpus=[str(tmp_path / "vazio.txt")], output=documents, master="")
    with pytest.raises(InputError, match="nextword ingest"):
        spark_tokenize.tokenize(tokens, tokens, config=VOCABULARY, master="")


def test_without_pyspark_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.delitem(sys.modules, "pipeline.spark")
    with pytest.raises(InputError, match=r"pip install 'nextword-pt\[spark\]'"):
        importlib.import_module("pipeline.spark")


def test_without_java_the_error_says_how_to_install_it() -> None:
    code = (
        "from pipeline import InputError\nfrom pipeline.spark.session import session\n"
        "try:\n    with session('local[1]', 'test'): pass\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "JAVA_HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Spark needs Java 17: install it, or set JAVA_HOME to it.\n"
    assert not done.stderr


def test_what_a_task_writes_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with beside(tmp_path / "a.npy") as path:
        path.write_text("1")
        assert not list(tmp_path.iterdir())
    assert (tmp_path / "a.npy").read_text() == "1"
    with pytest.raises(UnicodeEncodeError), beside(tmp_path / "b.npy") as path:
        path.write_text("é", encoding="ascii")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError), beside(tmp_path / "folder") as path:
        path.write_text("3")
    assert {path.name for path in tmp_path.iterdir()} == {"a.npy", "folder"}
    (tmp_path / ".c.npy.123.partial").touch()  # of a worker that was killed
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.npy", "folder"}


@pytest.mark.slow
def test_few_documents_and_subwords_equal_those_of_one_machine(here: None, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number in range(3):
        (corpus / f"{number}.txt").write_text(document(number, 12), encoding="utf-8")
    (corpus / "3.txt").write_text(document(0, 12), encoding="utf-8")
    assert_equal(tmp_path, corpus, "", unit="subword", deduplicate=False)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A standalone master and two workers of one core on loopback; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"spark://127.0.0.1:{port}"
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    host = ("--host", "127.0.0.1", "--webui-port", "0")
    commands = [("master.Master", *host, "--port", str(port))]
    for name in ("one", "two"):
        size = ("--cores", "1", "--memory", "600m", "--work-dir", str(folder / name))
        commands.append(("worker.Worker", *host, *size, url))
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "cluster.log").open("wb"))
        for name, *options in commands:
            process = subprocess.Popen(
                [program, f"org.apache.spark.deploy.{name}", *options],
                env={**os.environ, "SPARK_DAEMON_MEMORY": "256m"},
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            while name == "master.Master":
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert process.poll() is None
                time.sleep(0.2)
        yield url


def executor_of(process: psutil.Process) -> tuple[psutil.Process, str]:
    """The executor for which a Python process works, and the name of its application."""
    while not (found := re.search(r"--app-id (\S+)", " ".join(process.cmdline()))):
        process = process.parent()
    return process, found[1]


@contextlib.contextmanager
def killing() -> Iterator[dict[str, str]]:
    """Kill an executor of the first stage and a Python process of the second, while they work.

    Yields the names of what was killed, by application.
    """
    killed: dict[str, str] = {}
    end = threading.Event()

    def kill() -> None:
        while len(killed) < 2 and not end.wait(0.05):
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.NoSuchProcess, AttributeError):
                    if "pyspark.daemon" in process.cmdline():
                        executor, application = executor_of(process)
                        if application not in killed:
                            time.sleep(random.random())
                            victim = process if killed else executor
                            name = victim.name()  # once it is gone, nobody knows
                            victim.kill()
                            killed[application] = name

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        end.set()
        thread.join()


@pytest.mark.slow
def test_a_master_with_two_workers_writes_what_one_machine_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there := SparkSession.getActiveSession():  # of the tests above; it would be used
        there.stop()
    monkeypatch.setattr(spark_ingest, "_PARTITION", 2**17)
    monkeypatch.setattr(spark_tokenize, "_SHARD", 2**17)
    with cluster(tmp_path) as url, killing() as killed:
        assert_equal(tmp_path, SAMPLE, url)
    assert [name.startswith("python") for name in killed.values()] == [False, True]
    logs = list(tmp_path.glob("*/app-*/*/stderr"))
    assert len(logs) == 2 * 2 + 1  # one of each stage and worker, and of who replaces the executor
    for worker in ("one", "two"):
        assert any(
            "Finished task" in log.read_text() for log in (tmp_path / worker).glob("app-*/*/stderr")
        )
