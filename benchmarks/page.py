"""Is the page the same model? Its tokens, words and perplexity beside those of the SavedModel.

    python benchmarks/page.py [--training models/training] [--tokens data/tokens]
        [--lexicon wordfreq] [--texts data/sample …] [--count 20000] [--asked 20000]

The engine runs in Node, or else in headless Chromium. Texts are paragraphs of each file or folder
of --texts, equally many of each if it has them, and the rest odd Unicode made at random. Tokens are
compared over whole texts. Of --asked texts the five next words after their first ten are compared:

    int8    texts whose five words are those of Keras with the same weights in int8
    same    texts whose five words are those of the SavedModel, whose weights are float32
    clear   words whose p in the SavedModel is further from that of the words ranked before and
            after than int8 could have moved both: twice the largest |Δ ln p| of all first six words
    right   those of them that the page has in the same place
"""

import argparse
import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.append(str(Path(__file__).parents[1] / "tests"))

import numpy as np
import rich
import tensorflow as tf
from engine import Engine, round_weights
from odd_texts import odd_texts
from rich.table import Table

from pipeline.corpus.config import DEFAULT_READING
from pipeline.corpus.files import find_files
from pipeline.corpus.reading import Document, read_file
from pipeline.export.saved_model import NextWord
from pipeline.model.language_model import load_model
from pipeline.model.meter import Meter
from pipeline.page.build import describe, pack_model, page
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NO_WORDS
from pipeline.text.tokenizer import tokenize
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.windows import open_stream

WORDS = 5  # that are compared; one more tells how far the last is from the next
CONTEXT = 10  # words
BATCH = 500


class Words(NamedTuple):
    """Next words of N texts, and their probabilities: (N, 6)."""

    words: np.ndarray
    p: np.ndarray


def paragraphs(place: Path) -> list[str]:
    """Paragraphs of a file, or of all files in a folder."""
    found = []
    for file, source in find_files([str(place)]):
        for document in read_file(file, source, DEFAULT_READING):
            if isinstance(document, Document):
                found += document.text.split("\n")
    return found


def batches(items: Sequence) -> Iterator[Sequence]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def of_graph(module: NextWord, texts: list[str]) -> Words:
    answers = [module.suggest(tf.constant(batch)) for batch in batches(texts)]
    words = np.concatenate([answer["words"].numpy() for answer in answers])
    return Words(words, np.concatenate([answer["probabilities"].numpy() for answer in answers]))


def of_page(engine: Engine, texts: list[str]) -> Words:
    answers = engine("(model, text) => suggest(model, text)", [[text] for text in texts])
    words = [[word.encode() for word in answer["words"]] for answer in answers]
    return Words(np.array(words), np.array([answer["probabilities"] for answer in answers]))


def equal_tokens(engine: Engine, texts: list[str]) -> int:
    found = engine("(model, text) => split(model.rules, text)", [[text] for text in texts])
    rows = [row for batch in batches(texts) for row in tokenize(tf.constant(batch)).to_list()]
    return sum(a == [t.decode() for t in b] for a, b in zip(found, rows, strict=True))


def errors(found: Words, exact: Words) -> np.ndarray:
    """|Δ ln p| of the words of each text that both have: (N, 6), 0 of others."""
    same = found.words[:, :, None] == exact.words[:, None]
    own, others = (np.log(np.maximum(w.p, 1e-30)) for w in (found, exact))
    return np.where(same, np.abs(own[:, :, None] - others[:, None]), 0).max(axis=1)


def clear_words(exact: Words, error: float) -> np.ndarray:
    """Which of the five words differ in p from both neighbours by more than twice an error."""
    gaps = -np.diff(np.log(np.maximum(exact.p, 1e-30)), axis=1) > 2 * error  # (N, 5)
    return gaps & np.insert(gaps[:, :-1], 0, True, axis=1)


def page_perplexity(engine: Engine, stream: np.ndarray) -> float:
    run = """(model, ids) => {
      let state = begin(model), nats = 0;
      for (let t = 0; t + 1 < ids.length; t++) {
        state = step(model, state, ids[t]);
        nats += surprise(model, state, ids[t + 1]);
      }
      return nats;
    }"""
    (nats,) = engine(run, [[stream.tolist()]])
    return float(np.exp(nats / (len(stream) - 1)))


class Models(NamedTuple):
    """The same model three times."""

    engine: Engine
    exact: NextWord
    int8: NextWord


def build(training: Path, lexicon: Sequence[str]) -> tuple[Models, int]:
    """Return the models, and the bytes of the page."""
    vocabulary = Vocabulary.load(training / "vocabulary.tsv")
    options: dict[str, Any] = {"suggestions": WORDS + 1}
    words = Lexicon.load(training, vocabulary, lexicon)
    packed = pack_model(
        load_model(training), describe(vocabulary, words, never=NO_WORDS, **options)
    )
    exact, int8 = (
        NextWord(model, vocabulary, lexicon=words, **options)
        for model in (load_model(training), round_weights(load_model(training)))
    )
    return Models(Engine(packed), exact, int8), len(page(packed).encode())


class Row(NamedTuple):
    """What was found of the texts of one source."""

    texts: int
    tokens: int  # texts with equal tokens
    page: Words
    exact: Words
    int8: Words


def measure(models: Models, texts: list[str], asked: int) -> Row:
    opened = [" ".join(text.split(" ")[:CONTEXT]) for text in texts[:asked]]
    graphs = (of_graph(module, opened) for module in (models.exact, models.int8))
    found = of_page(models.engine, opened)
    return Row(len(texts), equal_tokens(models.engine, texts), found, *graphs)


def tabulate(rows: dict[str, Row]) -> Table:
    columns = "texts", "number", "tokens equal", "asked", "int8", "same", "clear", "right"
    table = Table(*columns, "largest |Δ ln p|")
    error = max(errors(row.page, row.exact).max() for row in rows.values())
    totals = np.zeros(len(columns) - 1, int)
    for name, row in rows.items():
        same, as_int8 = (
            row.page.words[:, :WORDS] == graph.words[:, :WORDS] for graph in (row.exact, row.int8)
        )
        clear = clear_words(row.exact, error)
        counts = [row.texts, row.tokens, len(same), as_int8.all(axis=1).sum()]
        counts += [same.all(axis=1).sum(), clear.sum(), (clear & same).sum()]
        totals += counts
        table.add_row(name, *(f"{n:,}" for n in counts), f"{errors(row.page, row.exact).max():.3f}")
    table.add_row("all", *(f"{n:,}" for n in totals), f"{error:.3f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--training", type=Path, default=Path("models/training"))
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"))
    parser.add_argument("--lexicon", action="append", default=[])
    parser.add_argument("--texts", type=Path, nargs="+", default=[Path("data/sample")])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--asked", type=int, default=20_000)
    options = parser.parse_args()
    models, size = build(options.training, options.lexicon)
    each = options.count // (len(options.texts) + 1)
    chance = random.Random(3)
    sources = {}
    for place in options.texts:
        found = paragraphs(place)
        sources[place.name] = chance.sample(found, min(each, len(found)))
    rest = options.count - sum(map(len, sources.values()))
    sources["odd Unicode"] = list(odd_texts(rest, seed=3))
    asked = options.asked // len(sources)
    rich.print(tabulate({name: measure(models, texts, asked) for name, texts in sources.items()}))
    stream = np.array(open_stream(options.tokens / "valid.npy")[:])
    nats = Meter(load_model(options.training, batch_size=1)).measure(stream, batch_size=1).nats
    exact, own = float(np.exp(nats.mean())), page_perplexity(models.engine, stream)
    rich.print(
        f"Perplexity of the {len(nats):,} tokens of the valid split: {exact:.3f}, of the page "
        f"{own:.3f} ({own / exact - 1:+.2%})."
    )
    rich.print(f"The page has {size / 1e6:.2f} MB.")


if __name__ == "__main__":
    main()
