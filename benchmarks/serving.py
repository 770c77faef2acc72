"""Many clients at once on what is served: how fast, and are the answers those of one.

    mlflow models serve -m models:/nextword/1 -p 5001 --env-manager local
    python benchmarks/serving.py [--url http://127.0.0.1:5001] [--clients 8] [--seconds 60]
    nextword demo --port 8000 --no-open
    python benchmarks/serving.py --page --url http://127.0.0.1:8000

Every client asks again and again, for one text at a time and as soon as it has its answer; the
texts and the signatures take turns. First one client asks alone, for as long. An answer is
different if it is not, byte by byte, what the very first request for the same was answered.

With `--unruly 8` every fiftieth request is sent and its connection closed, and eight more clients
send a byte a second, half a request, a wrong length, a header of 100 kB, noise, or read nothing.
The memory and the open files of the server's processes are those after a tenth of the time and at
the end, when only well-behaved clients are left.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import random
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import psutil
import rich
from rich.table import Table

TEXTS = (
    "O menino abriu a porta e",
    "Ontem à noite choveu muito, e a rua",
    "Ela disse que não queria",
    "",
    "A avó contava histórias de quando era pequena. Um dia, perto do rio, encontrou um",
)
_VANISHES = 50  # one request of so many


class Request(NamedTuple):
    """What a client asks."""

    method: str
    path: str
    body: str = ""


PAGE = (Request("GET", "/"), Request("GET", "/sw.js"))
WORDS = tuple(
    Request("POST", "/invocations", json.dumps({"dataframe_split": split, **params}))
    for text in TEXTS
    for row, params in (
        ({"text": text}, {}),
        ({"text": text}, {"params": {"k": 3}}),
        ({"text": text, "prefix": "ca"}, {"params": {"signature": "complete"}}),
        ({"text": text}, {"params": {"signature": "score"}}),
    )
    for split in [{"columns": list(row), "data": [list(row.values())]}]
)


class Answer(NamedTuple):
    """What a client got."""

    seconds: float
    error: bool
    different: bool


@dataclass(frozen=True)
class Server:
    """Where it listens, what it is asked, and what it answers when nobody else asks."""

    address: tuple[str, int]
    requests: tuple[Request, ...]
    expected: tuple[bytes, ...] = ()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=120)

    def processes(self) -> list[psutil.Process]:
        """Those that listen at the address."""
        return [
            psutil.Process(one.pid)
            for one in psutil.net_connections("tcp")
            if one.pid and one.status == psutil.CONN_LISTEN and one.laddr.port == self.address[1]
        ]


def ask(connection: http.client.HTTPConnection, request: Request) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json"} if request.body else {}
    connection.request(request.method, request.path, request.body or None, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def find_server(url: str, requests: tuple[Request, ...]) -> Server:
    """Ask a server for the first time."""
    parts = urllib.parse.urlsplit(url)
    server = Server((parts.hostname or "", parts.port or 80), requests)
    connection = server.connect()
    try:
        answers = [ask(connection, request) for request in requests]
    except OSError as error:
        raise SystemExit(f"Nothing answers at {url}: {error.strerror}.") from error
    connection.close()
    if wrong := [answer for status, answer in answers if status != 200]:
        raise SystemExit(f"The server cannot answer: {wrong[0].decode()}")
    return Server(server.address, requests, tuple(answer for _, answer in answers))


def send(server: Server, data: bytes, *, pause: float = 0, wait: float = 0) -> None:
    """Send bytes, all at once or one by one, and go away after a while."""
    with socket.create_connection(server.address, timeout=120) as connection:
        for piece in map(bytes, zip(data, strict=True)) if pause else [data]:
            connection.sendall(piece)
            time.sleep(pause)
        connection.settimeout(wait or 0.01)
        with contextlib.suppress(TimeoutError):
            connection.recv(1)
        time.sleep(wait / 2)


def unruly_ways(server: Server, number: int) -> Iterator[Callable[[], None]]:
    """What an unruly client does, one after another, without end."""
    request = server.requests[0]
    body = request.body.encode()
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    length = b"Content-Length: %d\r\n\r\n"
    whole = head + length % len(body) + body
    noise = random.Random(number)
    ways = (
        lambda: send(server, whole[:10], pause=1),
        lambda: send(server, whole[: len(whole) // 2]),
        lambda: send(server, head + length % (2 * len(body) + 9) + body, wait=5),
        lambda: send(server, head + length % (len(body) // 2) + body, wait=1),
        lambda: send(server, head + b"X-Long: %s\r\n" % (b"a" * 100_000) + length % 0, wait=1),
        lambda: send(server, noise.randbytes(3000), wait=1),
        lambda: send(server, whole, wait=5),
    )
    yield from itertools.islice(itertools.cycle(ways), number, None)


def besiege(
    server: Server, *, clients: int, unruly: int, seconds: float
) -> tuple[list[Answer], list[tuple[float, int]]]:
    """Let clients ask at once for a while.

    Returns:
        What the well-behaved ones got.
        Memory in MB and number of open files of the server, after a tenth of the time and at the
        end.
    """
    answers: list[Answer] = []
    end = time.perf_counter() + seconds

    def client(first: int) -> None:
        connection = server.connect()
        for number in itertools.count(first):
            start = time.perf_counter()
            if start >= end:
                break
            place = number % len(server.requests)
            if unruly and number % _VANISHES == 0:
                request = server.requests[place]
                connection.request(request.method, request.path, request.body or None)
                connection.close()
                continue
            try:
                status, answer = ask(connection, server.requests[place])
            except (OSError, http.client.HTTPException):
                connection.close()
                status, answer = 0, b""
            error = status != 200
            different = not error and answer != server.expected[place]
            answers.append(Answer(time.perf_counter() - start, error, different))
        connection.close()

    def misbehave(number: int) -> None:
        for way in unruly_ways(server, number):
            if time.perf_counter() > end - 0.1 * seconds:
                break
            with contextlib.suppress(OSError):
                way()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    threads += [threading.Thread(target=misbehave, args=(n,)) for n in range(unruly)]
    for thread in threads:
        thread.start()
    time.sleep(0.1 * seconds)
    sizes = [size(server)]
    time.sleep(max(0.0, end - time.perf_counter()) - min(1.0, 0.02 * seconds))
    sizes.append(size(server))
    for thread in threads:
        thread.join()
    return answers, sizes


def size(server: Server) -> tuple[float, int]:
    """The memory in MB and the open files of the processes that listen."""
    processes = server.processes()
    memory = sum(process.memory_info().rss for process in processes) / 1e6
    return memory, sum(process.num_fds() for process in processes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:5001")
    parser.add_argument("--page", action="store_true", help="what `nextword demo` serves")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--unruly", type=int, default=0, help="clients that misbehave besides")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    server = find_server(options.url, PAGE if options.page else WORDS)
    columns = ("clients", "answers", "answers/s", "p50 ms", "p99 ms", "errors", "different")
    table = Table(*columns, "MB", "open files")
    for clients, unruly in ((1, 0), (options.clients, options.unruly)):
        answers, sizes = besiege(server, clients=clients, unruly=unruly, seconds=options.seconds)
        p50, p99 = np.percentile([answer.seconds for answer in answers], [50, 99]) * 1000
        table.add_row(
            f"{clients} + {unruly}" if unruly else str(clients),
            f"{len(answers):,}",
            f"{len(answers) / options.seconds:.1f}",
            f"{p50:.1f}",
            f"{p99:.1f}",
            str(sum(answer.error for answer in answers)),
            str(sum(answer.different for answer in answers)),
            " → ".join(f"{memory:.0f}" for memory, _ in sizes),
            " → ".join(str(files) for _, files in sizes),
        )
    rich.print(table)


if __name__ == "__main__":
    main()
