"""How long the page takes from a key to its suggestions, on a slow device.

    nextword export --format page
    python benchmarks/page_keys.py [--page models/page] [--keys 400] [--slower 4] [--browser FILE]

Headless Chromium opens the file and types the beginning of the test split, a key every 120 ms. The
page's thread is throttled by Chromium. Its worker is not, since Chromium cannot: after each answer
it sleeps for as many times as long as the answer took to compute.

- answered: from when the letter stands in the text until its suggestions are in the page and laid
  out. What Chromium takes before, to draw the last key and to put the letter into the field, no
  page can change.
- from the key: the same, from when the key is pressed.
- bare field: from the key until the letter is laid out, in a page that is one text field and no
  script but what measures.
- at once: keys whose suggestions the worker had foreseen.
- worker: what it computes for each key, whatever it is asked.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import rich
from playwright.sync_api import Page, sync_playwright
from rich.table import Table

# Stands behind the worker's own code.
SLOW_WORKER = """
const {postMessage} = self, clock = new WebAssembly.Memory({initial: 1, maximum: 1, shared: true});
let computed = 0;
self.postMessage = message => postMessage({...message, computed});
for (const [name, answer] of Object.entries(QUESTIONS)) {
  QUESTIONS[name] = (...given) => {
    const start = performance.now(), found = answer(...given);
    const took = performance.now() - start;
    Atomics.wait(new Int32Array(clock.buffer), 0, 0, (SLOWER - 1) * took); // sleeps
    computed += SLOWER * took;
    return found;
  };
}
"""
WORKER = """
self.Blob = class extends Blob {
  constructor(parts, options) { super([...parts, SLOW_WORKER], options); }
};
self.Worker = class extends Worker {
  constructor(url) {
    super(url);
    this.addEventListener("message", ({data}) => { self.computed = data.computed; });
  }
};
"""
BARE = "<!doctype html><style>textarea {{ width: {width}px; height: {height}px }}</style><textarea>"
KEYS = """
self.keys = [];
self.atOnce = 0;
const offers = document.getElementById("offers");
let pressed, written;
function look() {
  if (offers?.className === "old" || !pressed) return false;
  document.body.getBoundingClientRect();
  keys.push([performance.now() - written, performance.now() - pressed]);
  pressed = undefined;
  return true;
}
addEventListener("keydown", event => { pressed = event.timeStamp; }, true);
addEventListener("input", () => { written = performance.now(); }, true);
addEventListener("input", () => { atOnce += look(); });
if (offers) new MutationObserver(look).observe(offers, {attributes: true});
"""


class Typed(NamedTuple):
    """What became of the keys of a text, in ms."""

    answered: tuple[float, ...]
    from_key: tuple[float, ...]
    at_once: int
    computed: float


def type_text(page: Page, before: str, text: str, slower: float) -> Typed:
    """Type a text after another one, which is there at once, on a thread that is slower."""
    page.evaluate(KEYS)
    page.locator("textarea").focus()
    if before:
        page.keyboard.insert_text(before)
        page.wait_for_timeout(10_000)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    computed = page.evaluate("keys = []; atOnce = 0; self.computed ?? 0")
    page.keyboard.type(text, delay=120)
    page.wait_for_timeout(1_000)
    keys, at_once, now_computed = page.evaluate("[keys, atOnce, self.computed ?? 0]")
    answered, from_key = zip(*keys, strict=True)
    return Typed(answered, from_key, at_once, now_computed - computed)


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
    worker = WORKER.replace("SLOW_WORKER", json.dumps(SLOW_WORKER))
    worker = worker.replace("SLOWER", str(options.slower))
    table = Table("text before", "keys")
    for what in ("answered", "from the key", "bare field"):
        table.add_column(f"{what} p50 ms")
        table.add_column("p99 ms")
    table.add_column("at once")
    table.add_column("worker ms")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser)
        for letters in (0, 2_000, 50_000):
            before = text[-letters:] + "\n" if letters else ""
            page = browser.new_page(locale="pt-BR")
            page.add_init_script(worker)
            page.goto((options.page / "index.html").absolute().as_uri())
            page.locator("#offers button:not(:empty)").first.wait_for()
            size = page.locator("textarea").bounding_box()
            typed = type_text(page, before, text[: options.keys], options.slower)
            page.close()
            page = browser.new_page()
            page.set_content(BARE.format(**size))
            bare = type_text(page, before, text[: options.keys], options.slower)
            page.close()
            row = [f"{letters:,} letters", str(len(typed.answered))]
            for times in (typed.answered, typed.from_key, bare.from_key):
                row += [f"{time:.1f}" for time in np.percentile(times, [50, 99])]
            at_once = f"{typed.at_once / options.keys:.0%}"
            table.add_row(*row, at_once, f"{typed.computed / options.keys:.1f}")
        browser.close()
    rich.print(table)


if __name__ == "__main__":
    main()
