"""How long a key takes: `complete` and `correct` with and without a lexicon.

    python benchmarks/keyboard.py [--training models/training] [--documents data/documents]

One text at a time, on one core. After eight words of the validation split: the beginning of the
next word, the word without its second letter, and the whole word. The models take turns.
"""

import argparse
import random
import time
from pathlib import Path

import numpy as np
import pandas as pd
import rich
import rich.table
import tensorflow as tf

from pipeline.export.saved_model import NextWord
from pipeline.model.language_model import load_model
from pipeline.text.lexicon import Lexicon
from pipeline.text.vocabulary import Vocabulary

# Words of a text that are read; texts that are asked about, after as many that warm up.
_CONTEXT, _WARMUP = 8, 50


def keys(documents: Path, count: int) -> list[tuple[str, str]]:
    """Return texts, and the word after each."""
    table = pd.read_parquet(documents / "documents.parquet")
    words = " ".join(table["text"][table["split"] == "valid"]).split()
    chance = random.Random(1)
    places = [chance.randrange(_CONTEXT, len(words)) for _ in range(20 * count)]
    places = [place for place in places if words[place].isalpha() and len(words[place]) > 3]
    return [(" ".join(words[p - _CONTEXT : p]), words[p]) for p in places[:count]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--training", type=Path, default=Path("models/training"))
    parser.add_argument("--documents", type=Path, default=Path("data/documents"))
    parser.add_argument("--count", type=int, default=1000, help="texts")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    vocabulary = Vocabulary.load(arguments.training / "vocabulary.tsv")
    asked = {}
    modules = []
    for name, lexicon in (
        ("no lexicon", Lexicon.of(vocabulary)),
        ("wordfreq", Lexicon.load(arguments.training, vocabulary, ["wordfreq"])),
    ):
        module = NextWord(
            load_model(arguments.training), vocabulary, suggestions=5, lexicon=lexicon
        )
        modules.append(module)  # its functions hold it only weakly
        correct = module.correct_function()
        asked[f"{name}, {len(lexicon):,} words"] = {
            "complete": (module.complete, lambda word: word[: 1 + len(word) // 2]),
            "complete, an error": (module.complete, lambda word: word[0] + word[2:]),
            "correct": (correct, lambda word: word),
        }
    texts = keys(arguments.documents, _WARMUP + arguments.count)
    ms: dict[tuple[str, str], list[float]] = {}
    for text, word in texts:
        for name, questions in asked.items():
            for question, (function, typed) in questions.items():
                inputs = tf.constant([text]), tf.constant([typed(word)])
                start = time.perf_counter()
                function(*inputs)["words"].numpy()
                ms.setdefault((question, name), []).append(1000 * (time.perf_counter() - start))
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("signature", "lexicon", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right" if "ms" in heading else "left")
    for (question, name), times in sorted(ms.items()):
        p50, p99 = np.percentile(times[_WARMUP:], [50, 99])
        table.add_row(question, name, f"{p50:.1f}", f"{p99:.1f}")
    rich.print(table)


if __name__ == "__main__":
    main()
