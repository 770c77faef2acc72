"""The server of the page: what it answers, and to whom."""

import contextlib
import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest
from conftest import nextword, sentence_of
from pages import served

from pipeline import InputError
from pipeline.page import demo as page_demo
from pipeline.page.demo import demo, read_files

SECRET = "segredo"
PAGE = """<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src 'none'">"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "sw.js").write_text("// água", encoding="utf-8")
    (tmp_path / "manifest.json").write_text("{}")
    return tmp_path


@pytest.fixture
def url(folder):
    with served(read_files(folder)) as url:
        yield url


def get(url, path="/", host=None, method="GET"):
    """The status, headers and body of an answer."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def test_the_page_and_its_service_worker_are_all_that_is_served(url, folder):
    status, headers, body = get(url)
    assert (status, body) == (200, PAGE)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    status, headers, body = get(url, "/sw.js?1")
    assert (status, body) == (200, "// água")
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers["Content-Security-Policy"] == "default-src 'self'"
    assert get(url, "/index.html")[2] == PAGE
    status, headers, body = get(url, method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(PAGE.encode())), "")
    for path in ("/manifest.json", "/../index.html", "/suggest", "/%2e%2e/"):
        assert get(url, path)[0] == 404
    assert get(url, method="POST")[0] == 501


def test_a_path_that_is_no_address_has_an_answer(url, capfd):
    place = urllib.parse.urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as client:
        client.sendall(b"GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 404 " in client.recv(1000)
    assert not capfd.readouterr().err


def test_every_answer_has_its_headers(url):
    for path in ("/", "/sw.js", "/nothing"):
        headers = get(url, path)[1]
        assert headers["Cache-Control"] == "no-cache"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Server"] == "nextword"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.0.7", 200),
        (socket.gethostname(), 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("[::1", 403),
    ],
)
def test_another_name_of_this_machine_is_refused(url, host, status):
    """Another site may let its name lead here."""
    assert get(url, host=host)[0] == status


def test_an_address_that_cannot_be_listened_on(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} .*: choose another"):
            demo(model=folder, host="127.0.0.1", port=port, open_browser=False)
    for host in ("192.0.2.1", "casa..local"):  # RFC 5737, and no name at all
        with pytest.raises(InputError, match="--host"):
            demo(model=folder, host=host, port=0, open_browser=False)


def test_a_folder_without_a_page(tmp_path):
    sentence = sentence_of(nextword("demo", tmp_path))
    assert "run `nextword export --format page` first" in sentence
    assert str(tmp_path / "index.html") in sentence


def test_any_bytes_are_served_as_a_page(folder):
    """With a policy of their own, if there is one that a header can hold."""
    meta = b'<meta http-equiv="Content-Security-Policy" content="%s">\xff'
    for content, policy in (
        (b"\xff", "default-src 'self'"),
        (meta % b"img-src 'self' \xe7", "img-src 'self' \xe7; frame-ancestors 'none'"),
        (meta % b"a\r\nSet-Cookie: b", "default-src 'self'"),
    ):
        (folder / "index.html").write_bytes(content)
        assert read_files(folder)["/"].policy == policy


@contextlib.contextmanager
def started(folder):
    """A process that serves a folder, and what it says first."""
    command = [sys.executable, *"-m pipeline.cli demo --port 0 --no-open".split(), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, text=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.wait()


def test_it_serves_only_this_machine_and_logs_nothing(folder):
    with started(folder) as (process, output):
        url = re.search(r"http://127\.0\.0\.1:(\d+)/", output)
        assert url, output
        assert get(url[0])[2] == PAGE
        assert get(url[0], f"/{SECRET}")[0] == 404
        with pytest.raises(OSError, match="refused"):  # another address of this machine
            socket.create_connection(("127.0.0.2", int(url[1])), timeout=5)
        process.send_signal(signal.SIGTERM)
        output += process.communicate(timeout=30)[0]
    assert process.returncode == 0, output
    assert SECRET not in output
    assert output.count("\n") == 1


def test_at_the_end_what_is_under_way_is_answered_and_nobody_is_waited_for_long(folder):
    size = 2**25  # more than fits between a server and a client that does not read
    (folder / "index.html").write_text(PAGE.ljust(size), encoding="utf-8")
    ask = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with started(folder) as (process, output):
        address = ("127.0.0.1", int(re.search(r":(\d+)/", output)[1]))
        with contextlib.ExitStack() as stack:
            connect = [
                stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(5)
            ]
            reader, gone, reset, half, _ = connect  # the last one says nothing
            for one in (reader, gone, reset):
                one.sendall(ask)
                assert one.recv(12) == b"HTTP/1.0 200"
            gone.close()
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            reset.close()
            half.sendall(ask[:20])
            process.send_signal(signal.SIGTERM)
            start, received = time.monotonic(), 0
            while data := reader.recv(2**20):
                received += len(data)
            output += process.communicate(timeout=30)[0]
    assert received > size
    assert process.returncode == 0
    assert time.monotonic() - start < 8  # it waits for 4 seconds; the machine may be busy
    assert output.count("\n") == 1


def test_a_silent_client_is_left(url, monkeypatch, capsys):
    monkeypatch.setattr(page_demo._Handler, "timeout", 0.2)
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as silent:
        silent.sendall(b"GET / HTTP")
        assert not silent.recv(1)
    assert get(url)[0] == 200
    assert not capsys.readouterr().err
