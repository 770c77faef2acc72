"""Many clients at once on a model that is served: how fast, and are the answers those of one.

    mlflow models serve -m models:/nextword/1 -p 5001 --env-manager local
    python benchmarks/serving.py [--url http://127.0.0.1:5001] [--clients 8] [--seconds 60]

Every client asks again and again, for one text at a time and as soon as it has its answer; the
texts and the signatures take turns. First one client asks alone, for as long. An answer is
different if it is not, letter by letter, what the very first request for the same was answered.
"""

import argparse
import http.client
import itertools
import json
import threading
import time
import urllib.parse
from typing import NamedTuple

import numpy as np
import rich
from rich.table import Table

TEXTS = (
    "O menino abriu a porta e",
    "Ontem à noite choveu muito, e a rua",
    "Ela disse que não queria",
    "",
    "A avó contava histórias de quando era pequena. Um dia, perto do rio, encontrou um",
)
REQUESTS = tuple(
    json.dumps({"dataframe_split": {"columns": list(row), "data": [list(row.values())]}, **params})
    for text in TEXTS
    for row, params in (
        ({"text": text}, {}),
        ({"text": text}, {"params": {"k": 3}}),
        ({"text": text, "prefix": "ca"}, {"params": {"signature": "complete"}}),
        ({"text": text}, {"params": {"signature": "score"}}),
    )
)


class Answer(NamedTuple):
    """What a client got."""

    seconds: float
    error: bool
    different: bool


def ask(connection: http.client.HTTPConnection, body: str) -> tuple[int, bytes]:
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def first_answers(url: str) -> list[bytes]:
    """What the server answers when nobody else asks."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
    answers = [ask(connection, body) for body in REQUESTS]
    connection.close()
    if wrong := [answer for status, answer in answers if status != 200]:
        raise SystemExit(f"The server cannot answer: {wrong[0].decode()}")
    return [answer for _, answer in answers]


def besiege(url: str, expected: list[bytes], *, clients: int, seconds: float) -> list[Answer]:
    """Let clients ask at once for a while."""
    answers: list[Answer] = []
    end = time.perf_counter() + seconds

    def client(first: int) -> None:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
        for number in itertools.count(first):
            start = time.perf_counter()
            if start >= end:
                break
            place = number % len(REQUESTS)
            try:
                status, answer = ask(connection, REQUESTS[place])
            except (OSError, http.client.HTTPException):
                connection.close()
                status, answer = 0, b""
            error = status != 200
            different = not error and answer != expected[place]
            answers.append(Answer(time.perf_counter() - start, error, different))
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:5001")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    expected = first_answers(options.url)
    table = Table("clients", "answers", "answers/s", "p50 ms", "p99 ms", "errors", "different")
    for clients in (1, options.clients):
        answers = besiege(options.url, expected, clients=clients, seconds=options.seconds)
        p50, p99 = np.percentile([answer.seconds for answer in answers], [50, 99]) * 1000
        table.add_row(
            str(clients),
            f"{len(answers):,}",
            f"{len(answers) / options.seconds:.1f}",
            f"{p50:.1f}",
            f"{p99:.1f}",
            str(sum(answer.error for answer in answers)),
            str(sum(answer.different for answer in answers)),
        )
    rich.print(table)


if __name__ == "__main__":
    main()
