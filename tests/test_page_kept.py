"""What the browser keeps of the page: personal words, and the page itself as an app."""

import json
import re

import pytest
from pages import served, write_page

from pipeline.page.demo import read_files

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = api.expect
expect.set_options(timeout=30_000)  # of a machine that is busy

pytestmark = pytest.mark.slow

TEXT, COUNT = "#text", "#own-count"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page"))


@pytest.fixture
def context(browser):
    context = browser.new_context(reduced_motion="reduce", locale="pt-BR")
    yield context
    context.close()


@pytest.fixture
def page(context, folder):
    return opened(context, (folder / "index.html").as_uri())


def opened(context, url):
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#loading")).to_be_hidden()
    page.locator(TEXT).focus()
    return page


def again(page):
    page.reload()
    expect(page.locator("#loading")).to_be_hidden()
    page.locator("#clear").click()


def offers(page):
    return page.locator("#offers:not(.old) button")


def test_a_word_that_is_used_twice_is_completed(page):
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 0.")
    page.keyboard.type("a Quenquém e ")
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 1.")
    page.keyboard.type("que")
    expect(offers(page).get_by_text("Quenquém")).to_have_count(0)
    page.keyboard.type("nquém ")  # not known to be kept before the next word is finished
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 1.")
    page.keyboard.type("e ")
    expect(page.locator(COUNT)).to_have_text("Guardadas: 1. Usadas uma vez só: 0.")
    page.keyboard.type("o qu")
    expect(offers(page).first).to_have_text("quenquém")  # as it was written last
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value("a Quenquém e quenquém e o quenquém ")
    pairs = (("Qu", "Quenquém"), ("QU", "QUENQUÉM"), ("quenque", "quenquém"))
    for typed, word in (*pairs, ("quenquem", "quenquém")):
        page.keyboard.type(f"o {typed}")
        expect(offers(page).first).to_have_text(word)
        page.keyboard.type(" ")
    page.keyboard.type("fim. que")  # a sentence begins
    expect(offers(page).get_by_text("Quenquém", exact=True)).to_have_count(1)
    for _ in "que":
        page.keyboard.press("Backspace")
    page.keyboard.type("quenqüe")  # an accent that is typed is meant
    expect(offers(page).get_by_text("quenquém")).to_have_count(0)


def test_words_are_kept_until_they_are_deleted(page, context, folder, browser):
    page.keyboard.type("a Quenquém e a Quenquém e ")
    expect(page.locator(COUNT)).to_have_text("Guardadas: 1. Usadas uma vez só: 0.")
    again(page)
    expect(page.locator(COUNT)).to_have_text("Guardadas: 1. Usadas uma vez só: 0.")
    page.locator(COUNT).click()
    expect(page.locator("#own-words li")).to_have_text(["Quenquém×"])
    page.locator(TEXT).focus()
    page.keyboard.type("a Qu")
    expect(offers(page).first).to_have_text("Quenquém")
    page.get_by_role("button", name="Apagar as palavras").click()
    expect(page.locator("#said")).to_have_text("Palavras apagadas.")
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 0.")
    again(page)
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 0.")
    page.keyboard.type("a Qu")
    expect(offers(page).get_by_text("Quenquém")).to_have_count(0)


def test_words_are_deleted_one_by_one_in_all_tabs(page, context, folder):
    page.keyboard.type("a quenquém e o quenquém e o xispeteó e o xispeteó e ")
    expect(page.locator(COUNT)).to_have_text("Guardadas: 2. Usadas uma vez só: 0.")
    other = opened(context, (folder / "index.html").as_uri())
    expect(other.locator(COUNT)).to_have_text("Guardadas: 2. Usadas uma vez só: 0.")
    page.locator(COUNT).click()
    page.get_by_role("button", name="apagar quenquém").click()
    expect(page.get_by_role("button", name="Apagar as palavras")).to_be_focused()
    for tab in (page, other):
        expect(tab.locator(COUNT)).to_have_text("Guardadas: 1. Usadas uma vez só: 0.")
    other.keyboard.type("o que")
    expect(offers(other).first).to_have_text(re.compile(r"^(?!quenquém)|^$"))
    page.get_by_role("button", name="Apagar as palavras").click()
    expect(other.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 0.")
    other.reload()
    expect(other.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 0.")


def test_what_the_model_knows_or_is_no_word_is_not_kept(page):
    page.keyboard.type("O cachorro, bebeu água 123 R2D2 x :) ")
    page.keyboard.type("bibibas ")  # of the lexicon
    page.keyboard.type("xispeteó")
    for _ in "xispeteó":
        page.keyboard.press("Backspace")
    page.keyboard.type("xispeteó ")
    for _ in "ó ":
        page.keyboard.press("Backspace")  # it was not meant so
    page.keyboard.type("ou e o ")
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 1.")
    assert page.evaluate("[...own.keys()]") == ["xispeteou"]
    # The last word of a text is kept when the text goes.
    page.keyboard.type("Quenquém.")
    page.locator("#clear").click()
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 2.")


def test_a_word_that_is_kept_is_corrected_no_more(page):
    wrong = page.locator("#mirror .wrong")
    page.keyboard.type("o cachort ")
    expect(wrong).to_have_text("cachort")
    page.keyboard.type("e o cachort e ")
    expect(wrong).to_have_count(2)
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 0.")
    page.get_by_role("button", name="manter cachort").click()
    expect(page.locator(COUNT)).to_have_text("Guardadas: 1. Usadas uma vez só: 0.")
    again(page)
    expect(page.locator(COUNT)).to_have_text("Guardadas: 1. Usadas uma vez só: 0.")
    page.locator("#auto").check()
    page.locator(TEXT).focus()
    page.keyboard.type("o cachort e o cachoro ")
    expect(page.locator(TEXT)).to_have_value("o cachort e o cachorro ")
    # Nor is another word suggested in its place.
    page.keyboard.type("cachort")
    expect(offers(page).first).not_to_have_text("cachorro")


def test_a_browser_that_keeps_nothing(context, folder):
    context.add_init_script("Object.defineProperty(self, 'indexedDB', {value: undefined})")
    page = opened(context, (folder / "index.html").as_uri())
    expect(page.locator("#unsaved")).to_contain_text("Este navegador não deixa")
    page.keyboard.type("a Quenquém e a Quenquém e ")
    expect(page.locator(COUNT)).to_have_text("Guardadas: 1. Usadas uma vez só: 0.")
    page.keyboard.type("a Qu")
    expect(offers(page).first).to_have_text("Quenquém")
    again(page)
    expect(page.locator(COUNT)).to_have_text("Guardadas: 0. Usadas uma vez só: 0.")


def test_the_page_as_an_app(context, folder):
    with served(read_files(folder)) as url:
        page = opened(context, url)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        session = context.new_cdp_session(page)
        manifest = session.send("Page.getAppManifest")
        assert not manifest["errors"]
        assert json.loads(manifest["data"])["start_url"] == url
        errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        # All that Chromium says against it is that a test's window is a private one.
        assert [error["errorId"] for error in errors] == ["in-incognito"]
        page.keyboard.type("o cach")
        expect(offers(page).first).to_have_text("cachorro")
    # The server is gone.
    again(page)
    page.keyboard.type("o cach")
    expect(offers(page).first).to_have_text("cachorro")


def test_a_page_that_was_exported_again_is_seen_at_once(context, folder):
    files = read_files(folder)
    with served(files) as url:
        page = opened(context, url)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        content = files["/"].content.replace(b"<main>", b"<main id='new'>")
        files["/"] = files["/"]._replace(content=content)
        page.reload()
        expect(page.locator("main#new")).to_be_attached()


def test_a_host_that_serves_the_page_alone(context, folder):
    files = read_files(folder)
    del files["/sw.js"]
    with served(files) as url:
        page = opened(context, url)
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        page.keyboard.type("o cach")
        expect(offers(page).first).to_have_text("cachorro")
        assert not errors
