"""The pages that the report and the model are: a parser, a browser, and a server."""

import contextlib
import html.parser
import itertools
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import VOCABULARY, write_training

from pipeline.export.config import ExportConfig
from pipeline.page.build import export_page
from pipeline.page.demo import Files, listen
from pipeline.text.vocabulary import Vocabulary

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
VOID = {"meta", "link", "br"}


def find_chromium(playwright: Any) -> Path:
    """Return the path of the system's Chromium, or where Playwright would install its own."""
    path = next(filter(None, map(shutil.which, BROWSERS)), playwright.chromium.executable_path)
    return Path(path)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium; without one the test is skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        path = find_chromium(playwright)
        if not path.exists():
            pytest.skip("There is no Chromium: install one, or run `playwright install chromium`.")
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


def write_page(folder: Path, vocabulary: Vocabulary = VOCABULARY) -> Path:
    """Write the page of a random model with a list so long that it is sure of corrections."""
    syllables = [c + v for c in "bdflmnprtvz" for v in "aeiou"]
    made = map("".join, itertools.product(syllables, syllables[::2], syllables[::2], "ns"))
    lines = ["cachorro\t90000", "água\t90000", "bebeu\t90000"]
    lines += [f"{word}\t1" for word in itertools.islice(made, 52_000)]
    (folder / "words.txt").write_text("\n".join(lines), encoding="utf-8")
    training = write_training(folder / "training", vocabulary=vocabulary)
    (folder / "page").mkdir()
    export_page(
        training,
        folder / "page",
        config=ExportConfig(suggestions=5, lexicon=(str(folder / "words.txt"),)),
    )
    return folder / "page"


@contextlib.contextmanager
def served(files: Files) -> Iterator[str]:
    """The URL of the files that `demo` serves."""
    with listen("127.0.0.1", 0, files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


class Page(html.parser.HTMLParser):
    """What a page is made of; every element must be closed by its own end.

    `said` is its text, and what stands for images, each with its language.
    """

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.headings: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.said: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._languages = [""]
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.elements.append((tag, given))
        language = given.get("lang", self._languages[-1])
        self.said += [(language, given["aria-label"])] if "aria-label" in given else []
        if tag not in VOID:
            self._open.append(tag)
            self._languages.append(language)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(f"{tag} ")
        if tag == "table":
            self.tables.append([])
        if tag in {"tr", "caption"}:
            self.tables[-1].append([])
        if tag in {"th", "td", "caption"}:
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        self._languages.pop()

    def handle_data(self, data):
        if data.strip() and self._open[-1] not in {"style", "script", "code"}:
            self.said.append((self._languages[-1], data))
        if any(re.fullmatch("h[1-6]", tag) for tag in self._open):
            self.headings[-1] += data
        if {"th", "td", "caption"} & {*self._open}:
            self.tables[-1][-1][-1] += data
