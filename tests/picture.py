"""Make docs/page.png, the picture in the READMEs, from the model of `make run`.

    python tests/picture.py

The alternative text of the READMEs names the suggestions that it shows.
"""

from conftest import ROOT
from pages import find_chromium
from playwright.sync_api import expect, sync_playwright

TEXT = "Bom dia! Eu queria muinto que você viesse com a gente na "


def main() -> None:
    expect.set_options(timeout=60_000)  # of a machine that is busy
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright))
        page = browser.new_page(locale="pt-BR", viewport={"width": 700, "height": 680})
        page.goto((ROOT / "models/page/index.html").as_uri())
        expect(page.locator("#offers button").first).not_to_be_empty()
        page.keyboard.type(TEXT, delay=50)
        expect(page.locator("#mirror .wrong")).to_have_text("muinto")
        expect(page.locator("#mirror span")).to_have_count(len(TEXT.split()))
        expect(page.locator("#offers:not(.old) button").last).not_to_be_empty()
        page.screenshot(path=ROOT / "docs/page.png")
        print(page.locator("#offers button").all_inner_texts())


if __name__ == "__main__":
    main()
