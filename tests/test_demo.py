"""What the page requests, and what the server refuses."""

import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from conftest import SUBWORDS, TOKENS, ask, free_ports, write_export
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pages import Page, write_correcting_export

from pipeline import InputError
from pipeline.demo.app import _kind, _last_words, application
from pipeline.demo.guard import MAX_BYTES, Guard
from pipeline.demo.server import serve
from pipeline.predict import load

SECRET = "meu segredo é a água"


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("demo"), suggestions=5)


@pytest.fixture(scope="module")
def saved(model_folder):
    return load(model_folder)


@pytest.fixture(scope="module")
def client(model_folder):
    return TestClient(
        application(model_folder), base_url="http://127.0.0.1", raise_server_exceptions=False
    )


def scored(saved, *texts):
    answer = ask(saved, "score", text=texts)
    return answer["log_probability"], answer["tokens"]


def test_the_page_needs_nothing_from_elsewhere(client):
    answer = client.get("/")
    page = Page(answer.text)
    assert dict(page.elements[0][1]) == {"lang": "pt-BR"}
    linked = [a[key] for _, a in page.elements for key in ("src", "href", "action") if key in a]
    assert linked == ["data:,"]
    assert not re.search(r"https?://|@import|url\(", answer.text)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    named = {a[key] for _, a in page.elements for key in ("for", "aria-describedby") if key in a}
    assert named <= set(ids)


def test_every_message_has_both_languages_and_is_used(client):
    before, _, rest = client.get("/").text.partition("const MESSAGES = {\n")
    messages, _, after = rest.partition("\n};\n")
    languages = dict(
        re.findall(r'^  "([\w-]+)": {\n(.*?)^  },$', messages, re.DOTALL | re.MULTILINE)
    )
    portuguese, english = (
        re.findall(r"^    (\w+): ", languages[name], re.MULTILINE) for name in ("pt-BR", "en")
    )
    assert portuguese == english
    assert len(portuguese) == len(set(portuguese))
    page = before + after
    used = {
        *re.findall(r'data-(?:text|label)="(\w+)"', page),
        *re.findall(r"\bmessages\.(\w+)", page),
        *re.findall(r'"(\w+)"', page.partition("const LEVELS = ")[2].partition(";")[0]),
        *re.findall(r': "(\w+)"', page.partition("const NAMES = ")[2].partition(";")[0]),
    }
    assert used == {*portuguese}


def test_only_the_scripts_of_the_page_may_run(client):
    answer = client.get("/")
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in ("/docs", "/redoc", "/openapi.json"):  # they would load scripts from elsewhere
        assert client.get(path).status_code == 404


def test_no_answer_is_stored(client):
    for answer in (client.get("/"), client.post("/suggest", json={}), client.get("/nothing")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_next_words(client, saved):
    answer = client.post("/suggest", json={"text": "o cachorro bebeu ", "prefix": ""}).json()
    expected = ask(saved, "serving_default", text=["o cachorro bebeu "])
    assert answer["words"] == [word.decode() for word in expected["words"][0]]
    np.testing.assert_allclose(answer["probabilities"], expected["probabilities"][0], rtol=1e-5)


def test_completions(client):
    answer = client.post("/suggest", json={"text": "ela bebeu ", "prefix": "ag"}).json()
    assert answer["words"] == ["água"]
    assert 0 < answer["probabilities"][0] < 1
    answer = client.post("/suggest", json={"text": "ela bebeu ", "prefix": "xyz"}).json()
    assert answer == {"words": [], "probabilities": [], "kinds": []}


def test_what_each_suggestion_is(client):
    for text, prefix, kind in (("ela ", "bebeu", "next"), ("o ", "cachoro", "similar")):
        answer = client.post("/suggest", json={"text": text, "prefix": prefix}).json()
        assert kind in answer["kinds"]
        assert {*answer["kinds"]} <= {"completion", kind}


@pytest.mark.parametrize(
    ("typed", "kinds"),
    [
        ("água", ["similar", "completion", "similar", "similar"]),
        ("agua", ["completion", "completion", "similar", "similar"]),
        ("agu", ["completion", "completion", "similar", "similar"]),
        ("águ", ["similar", "completion", "similar", "similar"]),
        ("água-", ["similar"] * 4),
    ],
)
def test_accents_may_lack_but_those_that_are_typed_are_meant(typed, kinds):
    assert [_kind(word, typed) for word in ("aguar", "Águas", "agora", "ág", " água")] == [
        *kinds,
        "next",
    ]


@pytest.fixture(scope="module")
def corrector(tmp_path_factory):
    folder = write_correcting_export(tmp_path_factory.mktemp("corrector"))
    return TestClient(application(folder), base_url="http://127.0.0.1")


@pytest.mark.slow
def test_corrections(corrector):
    answer = corrector.post("/correct", json={"text": "o ", "word": "cachoro"}).json()
    assert answer["words"][0] == "cachorro"
    assert "cachoro" in answer["words"]
    assert answer["sure"] is True
    assert 0.5 <= answer["probabilities"][0] <= 1
    for right in ("cachorro", "Bebeu", "água-de-colônia", "x" * 100, "12"):
        answer = corrector.post("/correct", json={"text": "o ", "word": right}).json()
        assert answer["words"][0] == right
        assert answer["sure"] is False
    assert corrector.post("/correct", json={"text": "", "word": ""}).json()["sure"] is False
    assert corrector.post("/correct", json={"text": "o ", "word": "x" * 101}).status_code == 422


@pytest.mark.slow
def test_a_model_that_cannot_correct(client, tmp_path):
    """Of subwords, it has no such signature, and the page hides what it would need it for."""
    subwords = TestClient(
        application(write_export(tmp_path, vocabulary=SUBWORDS, suggestions=3)),
        base_url="http://127.0.0.1",
    )
    assert subwords.post("/correct", json={"text": "", "word": "a"}).status_code == 404
    for page, is_hidden in ((subwords, True), (client, False)):
        parts = [a for _, a in Page(page.get("/").text).elements if "data-corrects" in a]
        assert len(parts) == 3
        assert all(("hidden" in part) == is_hidden for part in parts)


def test_scores_of_pieces_add_up_to_that_of_the_text(client, saved):
    pieces = [" bebeu", " água", ",", " e", " o", " cachorro", "."]
    answer = client.post("/score", json={"text": "Ela", "pieces": pieces}).json()
    log_p, tokens = scored(saved, "Ela", "Ela bebeu água", "Ela" + "".join(pieces))
    assert sum(answer["nats"]) == pytest.approx(log_p[0] - log_p[2], rel=1e-4)
    assert sum(answer["nats"][:2]) == pytest.approx(log_p[0] - log_p[1], rel=1e-4)
    assert answer["tokens"] == [1] * len(pieces)
    assert tokens[2] - tokens[0] == len(pieces)


def test_the_full_stop_of_an_abbreviation_is_not_a_token(client, saved):
    answer = client.post("/score", json={"text": "o", "pieces": [" Sr", ".", " bebeu"]}).json()
    assert answer["tokens"] == [1, 0, 1]
    log_p, _ = scored(saved, "o", "o Sr.")
    assert sum(answer["nats"][:2]) == pytest.approx(log_p[0] - log_p[1], rel=1e-4)


def test_generated_text_depends_on_the_seed(client):
    body = {"text": "o cachorro", "length": 12, "temperature": 1.0, "seed": 5}
    texts = [
        client.post("/generate", json={**body, "seed": seed}).json()["text"] for seed in (5, 5, 6)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0].split()) > 2


def test_long_texts_are_cut(client):
    tail = "ela bebeu água e o cachorro " * 50
    short, long = (
        client.post("/suggest", json={"text": text, "prefix": ""}).json()
        for text in (tail[-3_000:], "Brasil, a ela " * 2_000 + tail)
    )
    assert long["words"] == short["words"]
    np.testing.assert_allclose(long["probabilities"], short["probabilities"], rtol=1e-4)
    for text in ("água" * 10_000, "." * 60_000):
        assert client.post("/suggest", json={"text": text, "prefix": ""}).status_code == 200
        assert client.post("/score", json={"text": text, "pieces": ["."] * 24}).status_code == 200


@given(st.text(st.sampled_from("aá \n\u00a0."), max_size=60), st.integers(1, 5))
def test_last_words_are_the_end_of_a_text(text, count):
    left = _last_words(text, count)
    assert text.endswith(left)
    assert left.split() == text.split()[-count:]


def test_bodies_up_to_the_limit_are_read(client):
    def body(size):
        empty = json.dumps({"text": "", "prefix": ""})
        return json.dumps({"text": "a" * (size - len(empty)), "prefix": ""}).encode()

    def chunks(size):
        whole = body(size)
        yield from (whole[start : start + 5_000] for start in range(0, size, 5_000))

    headers = {"content-type": "application/json"}
    for size, status in ((MAX_BYTES, 200), (MAX_BYTES + 1, 413)):
        for content in (body(size), chunks(size)):  # chunks come without a Content-Length
            answer = client.post("/suggest", content=content, headers=headers)
            assert answer.status_code == status, answer.text
    assert answer.json() == {"error": "The text is too long: a request may have 64 KB."}


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("suggest", b'{"text": "', 400, "The body is not valid JSON."),
        ("suggest", b"\xff\xfe", 400, "."),
        ("suggest", b"", 422, "the body: "),
        ("suggest", b"[]", 422, "the body: "),
        ("suggest", b'{"text": 1, "prefix": ""}', 422, "text: "),
        ("suggest", b'{"text": "", "prefix": "", "more": 1}', 422, "more: "),
        ("suggest", json.dumps({"text": "", "prefix": "a" * 101}).encode(), 422, "prefix: "),
        ("correct", b'{"text": ""}', 422, "word: "),
        ("correct", b'{"text": "", "word": 1}', 422, "word: "),
        ("score", b'{"text": "", "pieces": []}', 422, "pieces: "),
        ("score", json.dumps({"text": "", "pieces": ["a"] * 25}).encode(), 422, "pieces: "),
        ("generate", b'{"text":"","length":0,"temperature":1,"seed":1}', 422, "length: "),
        ("generate", b'{"text":"","length":1,"temperature":NaN,"seed":1}', 422, "temperature: "),
        ("generate", b'{"text":"","length":1,"temperature":1,"seed":4e9}', 422, "seed: "),
    ],
)  # fmt: skip
def test_malformed_requests_get_a_sentence(client, path, body, status, sentence):
    answer = client.post(f"/{path}", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    (error,) = answer.json().values()
    assert sentence in error
    assert error.endswith(".")
    assert "\n" not in error


def test_errors_do_not_quote_the_text(client):
    for body in ({"text": SECRET}, {"text": [SECRET]}, {"text": SECRET, "prefix": SECRET * 9}):
        answer = client.post("/suggest", json=body)
        assert answer.status_code == 422
        assert SECRET not in answer.text


@pytest.mark.parametrize("letter", ["\\u0000", "\\ud800"])
def test_nul_and_lone_surrogates_are_read(client, letter):
    body = f'{{"text": "o {letter}", "prefix": ""}}'
    answer = client.post("/suggest", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "192.168.0.7"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "[::1"}, 403),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"origin": "http://127.0.0.1:81"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content-type": "text/plain"}, 415),
    ],
)
def test_only_the_page_may_ask(client, headers, status):
    headers = {"content-type": "application/json", **headers}
    answer = client.post("/suggest", content='{"text": "", "prefix": ""}', headers=headers)
    assert answer.status_code == status, answer.text


def test_the_host_name_is_known():
    client = TestClient(Guard(FastAPI(), hosts=frozenset(["casa.example"]), policy=""))
    assert client.get("/", headers={"host": "casa.example:80"}).status_code == 404
    assert client.get("/", headers={"host": "testserver"}).status_code == 403


def test_many_at_once_get_the_same_answers(client):
    texts = [" ".join(TOKENS[4 + i : 8 + i]) for i in range(4)] * 8

    def suggested(text):
        return client.post("/suggest", json={"text": text, "prefix": ""}).json()["words"]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(suggested, texts)) == [suggested(text) for text in texts]


def test_only_a_complete_saved_model_is_served(tmp_path):
    with pytest.raises(InputError, match="nextword export"):
        application(tmp_path)

    class Old(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
        def suggest(self, text):
            return {"words": text, "probabilities": tf.zeros(tf.shape(text))}

    old = Old()
    tf.saved_model.save(old, str(tmp_path / "old"), signatures=old.suggest)
    with pytest.raises(InputError, match="no signature complete, generate, score"):
        application(tmp_path / "old")


def test_an_address_that_cannot_be_listened_on(model_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} .*: choose another"):
            serve(model=model_folder, host="127.0.0.1", port=port, open_browser=False)
    for host in ("192.0.2.1", "casa..local"):  # RFC 5737, and no name at all
        with pytest.raises(InputError, match="--host"):
            serve(model=model_folder, host=host, port=0, open_browser=False)


@pytest.mark.slow
def test_it_serves_only_this_machine_and_logs_nothing(model_folder, tmp_path):
    (port,) = free_ports(1)
    code = (
        "import sys, pathlib\nfrom pipeline.demo.server import serve\n"
        "serve(model=pathlib.Path(sys.argv[1]), host='127.0.0.1', port=int(sys.argv[2]), "
        "open_browser=False)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(model_folder), str(port)], cwd=tmp_path, text=True,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        output = ""
        while f"http://127.0.0.1:{port}/" not in output:
            line = process.stdout.readline()
            assert line, output
            output += line
        for body, status in (
            ({"text": SECRET, "prefix": ""}, 200),
            ({"text": SECRET}, 422),
            ({"text": SECRET * 9_000, "prefix": ""}, 413),
        ):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/suggest",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            try:
                answer = urllib.request.urlopen(request, timeout=30).status
            except urllib.error.HTTPError as error:
                answer = error.code
            except urllib.error.URLError:
                # It hangs up on who still sends what it has refused.
                answer = 413
            assert answer == status
        # Another address of this machine.
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        process.send_signal(signal.SIGINT)
        output += process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output
    assert SECRET[:8] not in output
    assert "suggest" not in output
    assert not list(tmp_path.iterdir())
