"""How long the page takes from a key to its suggestions, on a slow device.

    nextword export --format page
    python benchmarks/page_keys.py [--page models/page] [--keys 400] [--slower 4] [--browser FILE]

Headless Chromium opens the file and types the beginning of the test split, a key every 120 ms. The
page's thread is throttled by Chromium. Its worker is not, since Chromium cannot: each of its
answers is held back until as many times as long has passed. A key is answered when its suggestions
are in the page and laid out; the screen shows them with its next frame. "worker" is what the worker
takes of it when it is not held back.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import rich
from playwright.sync_api import Page, sync_playwright
from rich.table import Table

# The worker's answers, held back, and what they took without that.
WORKER = """
self.answers = [];
self.Worker = class extends Worker {
  postMessage(message) {
    const start = performance.now(), {onmessage} = this;
    this.onmessage = event => {
      const took = performance.now() - start;
      this.onmessage = onmessage;
      if (!event.data.ready) answers.push({question: message.question, took});
      setTimeout(() => onmessage(event), (SLOWER - 1) * took);
    };
    super.postMessage(message);
  }
};
"""
KEYS = """
self.keys = [];
let pressed;
addEventListener("keydown", event => { pressed = event.timeStamp; }, true);
new MutationObserver(() => {
  const offers = document.getElementById("offers");
  if (offers.className === "old" || !pressed) return;
  offers.getBoundingClientRect();
  keys.push(performance.now() - pressed);
  pressed = undefined;
}).observe(document.getElementById("offers"), {attributes: true});
"""


def typed(page: Page, text: str) -> tuple[list[float], list[float]]:
    """Type a text; return ms from each key to its suggestions, and those of them in the worker."""
    page.evaluate("keys = []; answers = []")
    page.keyboard.type(text, delay=120)
    page.wait_for_timeout(1_000)
    answers = page.evaluate("answers.filter(a => a.question === 'suggest').map(a => a.took)")
    return page.evaluate("keys"), answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, default=Path("models/page"))
    parser.add_argument("--documents", type=Path, default=Path("data/documents"))
    parser.add_argument("--keys", type=int, default=400)
    parser.add_argument("--slower", type=float, default=4)
    parser.add_argument("--browser", help="another Chromium than Playwright's own")
    options = parser.parse_args()
    documents = pd.read_parquet(options.documents / "documents.parquet")
    text = "\n".join(documents.loc[documents["split"] == "test", "text"])
    table = Table("text before", "keys", "answered", "p50 ms", "p99 ms", "worker p50", "worker p99")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser)
        for before in (0, 2_000, 50_000):
            page = browser.new_page(locale="pt-BR")
            page.add_init_script(WORKER.replace("SLOWER", str(options.slower)))
            page.goto((options.page / "index.html").absolute().as_uri())
            page.locator("#offers button:not(:empty)").first.wait_for()
            page.evaluate(KEYS)
            page.locator("#text").focus()
            if before:
                page.keyboard.insert_text(text[-before:] + "\n")
                page.wait_for_timeout(10_000)
            session = page.context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": options.slower})
            keys, worker = typed(page, text[: options.keys])
            figures = [*np.percentile(keys, [50, 99]), *np.percentile(worker, [50, 99])]
            row = [f"{before:,} letters", str(options.keys), str(len(keys))]
            table.add_row(*row, *(f"{figure:.1f}" for figure in figures))
            page.close()
        browser.close()
    rich.print(table)


if __name__ == "__main__":
    main()
