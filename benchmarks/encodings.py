"""How often an encoding is found: our count of Portuguese letters beside charset-normalizer.

    python benchmarks/encodings.py [--snippets 50]

Snippets of the sample corpus that hold a letter beyond ASCII are encoded and given back. A hit is
the exact text. "isolated" gives charset-normalizer the same four candidates that we have.
"""

import argparse
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

import charset_normalizer

from pipeline.corpus.encoding import OLD_ENCODINGS, decode

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
LENGTHS = (30, 60, 200, 1000, 10_000)
ENCODINGS = ("utf-8", *OLD_ENCODINGS)


def ours(data: bytes) -> str:
    try:
        return decode(data)[0]
    except ValueError:
        return ""


def normalizer(data: bytes) -> str:
    return str(charset_normalizer.from_bytes(data).best() or "")


def isolated(data: bytes) -> str:
    found = charset_normalizer.from_bytes(data, cp_isolation=["utf_8", *OLD_ENCODINGS])
    return str(found.best() or "")


FINDERS: dict[str, Callable[[bytes], str]] = {
    "ours": ours,
    "normalizer": normalizer,
    "isolated": isolated,
}


def snippets(text: str, *, length: int, encoding: str, count: int, seed: int) -> list[str]:
    """Pieces of the text that the encoding can write and that ASCII cannot."""
    chance = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        start = chance.randrange(len(text) - length)
        # What the encoding does not have (DOS knows no dash) a writer would have typed otherwise.
        data = text[start : start + length].encode(encoding, errors="ignore")
        if not data.isascii():
            found.append(data.decode(encoding))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snippets", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SAMPLE.rglob("*.txt")))

    print(f"exact text given back, of {options.snippets} snippets; and MB/s")
    print(f"{'letters':>7}  {'encoding':<10}" + "".join(f"{name:>18}" for name in FINDERS))
    for length in LENGTHS:
        for encoding in ENCODINGS:
            pieces = snippets(
                text, length=length, encoding=encoding, count=options.snippets, seed=options.seed
            )
            encoded = [piece.encode(encoding) for piece in pieces]
            cells = []
            for find in FINDERS.values():
                began = time.perf_counter()
                found = [find(data) for data in encoded]
                speed = sum(map(len, encoded)) / 1e6 / (time.perf_counter() - began)
                hits = sum(text == piece for text, piece in zip(found, pieces, strict=True))
                cells.append(f"{hits:>8} {speed:>9.3f}")
            print(f"{length:>7}  {encoding:<10}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
