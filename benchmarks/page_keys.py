"""How long the page takes from a key to its suggestions, on a slow device.

    nextword export --format page
    python benchmarks/page_keys.py [--page models/page] [--keys 400] [--slower 4] [--browser FILE]

Headless Chromium opens the file and types the beginning of the test split, a key every 120 ms. The
page's thread is throttled by Chromium. Its worker is not, since Chromium cannot: it holds each
answer back until as many times as long has passed as it took to compute.

- answered: from the key until its suggestions are in the page and laid out.
- painted: from the key until the frame that shows them is drawn. A frame comes every 16.7 ms.
- at once: keys whose suggestions the worker had foreseen.
- worker: what it computes, held back, for each key, whatever it is asked.
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
{
  const {onmessage, postMessage} = self;
  let start;
  self.onmessage = event => { start = performance.now(); return onmessage(event); };
  self.postMessage = message => {
    const took = performance.now() - start;
    setTimeout(() => postMessage({...message, took}), (SLOWER - 1) * took);
  };
}
"""
WORKER = """
self.Blob = class extends Blob {
  constructor(parts, options) { super([...parts, SLOW_WORKER], options); }
};
self.computed = 0;
self.Worker = class extends Worker {
  constructor(url) {
    super(url);
    this.addEventListener("message", ({data}) => { computed += SLOWER * data.took; });
  }
};
"""
KEYS = """
self.keys = [];
self.atOnce = 0;
let pressed;
function look() {
  const offers = document.getElementById("offers"), from = pressed;
  if (offers.className === "old" || !from) return false;
  offers.getBoundingClientRect();
  const answered = performance.now() - from, {port1, port2} = new MessageChannel();
  pressed = undefined;
  port1.onmessage = () => keys.push([answered, performance.now() - from]);
  requestAnimationFrame(() => port2.postMessage("drawn"));
  return true;
}
addEventListener("keydown", event => { pressed = event.timeStamp; }, true);
addEventListener("input", () => { atOnce += look(); });
new MutationObserver(look).observe(document.getElementById("offers"), {attributes: true});
"""


class Typed(NamedTuple):
    """What became of the keys of a text, in ms."""

    answered: tuple[float, ...]
    painted: tuple[float, ...]
    at_once: int
    computed: float


def type_text(page: Page, text: str) -> Typed:
    page.evaluate("keys = []; atOnce = computed = 0")
    page.keyboard.type(text, delay=120)
    page.wait_for_timeout(1_000)
    keys, at_once, computed = page.evaluate("[keys, atOnce, computed]")
    answered, painted = zip(*keys, strict=True)
    return Typed(answered, painted, at_once, computed)


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
    table = Table("text before", "keys", "answered", "p50 ms", "p99 ms")
    for column in ("painted p50", "painted p99", "at once", "worker"):
        table.add_column(column)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser)
        for before in (0, 2_000, 50_000):
            page = browser.new_page(locale="pt-BR")
            page.add_init_script(worker)
            page.goto((options.page / "index.html").absolute().as_uri())
            page.locator("#offers button:not(:empty)").first.wait_for()
            page.evaluate(KEYS)
            page.locator("#text").focus()
            if before:
                page.keyboard.insert_text(text[-before:] + "\n")
                page.wait_for_timeout(10_000)
            session = page.context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": options.slower})
            typed = type_text(page, text[: options.keys])
            row = [f"{before:,} letters", str(options.keys), str(len(typed.answered))]
            for times in (typed.answered, typed.painted):
                row += [f"{time:.1f}" for time in np.percentile(times, [50, 99])]
            at_once = f"{typed.at_once / options.keys:.0%}"
            table.add_row(*row, at_once, f"{typed.computed / options.keys:.1f}")
            page.close()
        browser.close()
    rich.print(table)


if __name__ == "__main__":
    main()
