"""Megabytes of text a second that become ids: our tokenizer beside two peers.

    python benchmarks/text.py [--corpus data/sample …] [--megabytes 20] [--rounds 5]

All know the same vocabulary and cut by the same pattern, on every core. The peers fold nothing
(quotes, ellipses, combining marks) and open no paragraph with <s>, so they count fewer tokens. The
first row is the whole stage: documents.parquet in; vocabulary counted, streams of ids on the disk.
"pieces remembered" is plain Python that cuts each piece between spaces once and keeps it in a
dictionary, from round to round too.

The corpus is repeated up to the size wanted, each time with the words of its paragraphs in
another order. Every round measures all in turn and the median counts, so that a busy machine
slows all alike.
"""

import argparse
import contextlib
import io
import itertools
import multiprocessing
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import numpy as np

# TensorFlow is imported inside functions: the processes of the peer need none.
SAMPLE = Path(__file__).parents[1] / "data" / "sample"
BATCH = 2**21


def read(paths: list[Path], *, size: int) -> Iterator[str]:
    """Documents of `size` bytes in all, or little more, one paragraph a line."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*.txt"))]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in sorted(files)]
    if not any(map(str.strip, texts)):
        raise SystemExit("The corpus holds no text: name a folder with .txt files by --corpus.")
    chance = random.Random(1)
    for turn in itertools.count():
        for text in texts:
            paragraphs = [line.split() for line in text.split("\n") if line.strip()]
            for words in paragraphs if turn else ():
                chance.shuffle(words)
            document = "\n".join(map(" ".join, paragraphs))
            yield document
            size -= len(document.encode())
            if size <= 0:
                return


def batches(documents: list[str]) -> Iterator[list[str]]:
    """Documents, some at a time."""
    batch: list[str] = []
    for document in documents:
        batch.append(document)
        if sum(map(len, batch)) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


# Plain Python: one process per core, each with its own pattern and dictionary.
_state: dict = {}


def start_process(pattern: str, ids: dict[str, int]) -> None:
    _state.update(find=re.compile(pattern).findall, ids=ids, pieces={})


def ids_in_process(document: str) -> np.ndarray:
    get = _state["ids"].get
    return np.array([get(token, 0) for token in _state["find"](document)], np.int32)


def ids_in_process_by_pieces(document: str) -> np.ndarray:
    """The same; each piece between white spaces is cut once and remembered."""
    known, get, found = _state["pieces"], _state["ids"].get, []
    for piece in document.split():
        if (ids := known.get(piece)) is None:
            ids = known[piece] = [get(token, 0) for token in _state["find"](piece)]
        found += ids
    return np.array(found, np.int32)


def python_pattern(pattern: str) -> str:
    """The same for `re`, which has no \\p{…} and writes code points in another way."""
    pattern = pattern.replace(r"[\p{L}\p{M}\p{N}]", r"[^\W_]")
    return re.sub(r"\\x\{(\w+)\}", lambda m: f"\\U{int(m[1], 16):08x}", pattern)


def measure(documents: list[str], *, folder: Path, rounds: int) -> None:
    """Print the table."""
    import pyarrow
    import pyarrow.parquet
    import rich.console
    import rich.table
    import tensorflow as tf
    import tokenizers
    from tokenizers import models, pre_tokenizers

    from pipeline.parallel import side_by_side
    from pipeline.text.tokenizer import _TOKEN, Tokenizer
    from pipeline.text.vocabulary import Vocabulary
    from pipeline.tokens.config import VocabularyConfig
    from pipeline.tokens.tokenize import tokenize

    size = sum(len(document.encode()) for document in documents) / 1e6
    pyarrow.parquet.write_table(
        pyarrow.table({"split": ["train"] * len(documents), "text": documents}),
        folder / "documents.parquet",
    )

    def stage() -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            tokenize(folder, folder, config=VocabularyConfig(case="keep"))
        return len(np.load(folder / "train.npy", mmap_mode="r"))

    stage()
    vocabulary = Vocabulary.load(folder / "vocabulary.tsv")
    rows = {token: row for row, token in enumerate(vocabulary.tokens)}

    tokenizer = Tokenizer(vocabulary)
    ids_in_graph = tf.function(
        lambda text: tokenizer(text).values,
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )

    def ours() -> int:
        found = side_by_side(
            lambda batch: ids_in_graph(tf.constant(batch)).numpy(), batches(documents)
        )
        return sum(len(ids) for _, ids in found)

    hugging_face = tokenizers.Tokenizer(models.WordLevel(rows, unk_token="<unk>"))
    hugging_face.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(tokenizers.Regex(_TOKEN), behavior="isolated"),
        ]
    )
    paragraphs = [line for document in documents for line in document.split("\n")]

    def peer() -> int:
        encoded = hugging_face.encode_batch_fast(paragraphs, add_special_tokens=False)
        return sum(len(encoding.ids) for encoding in encoded)

    cores = os.cpu_count() or 1
    pool = multiprocessing.get_context("spawn").Pool(
        cores, start_process, (python_pattern(_TOKEN), rows)
    )

    def plain() -> int:
        return sum(map(len, pool.imap(ids_in_process, documents)))

    def remembering() -> int:
        return sum(map(len, pool.imap(ids_in_process_by_pieces, documents)))

    subjects: dict[str, Callable[[], int]] = {
        "nextword tokenize": stage,
        "pipeline.text.tokenizer": ours,
        f"tokenizers {tokenizers.__version__}": peer,
        f"re, {cores} processes": plain,
        "re, pieces remembered": remembering,
    }
    speeds: dict[str, list[float]] = {name: [] for name in subjects}
    tokens: dict[str, int] = {}
    with pool:
        for subject in subjects.values():
            subject()  # warm
        for _ in range(rounds):
            for name, subject in subjects.items():
                start = time.perf_counter()
                tokens[name] = subject()
                speeds[name].append(size / (time.perf_counter() - start))

    table = rich.table.Table("", "MB/s", "slowest", "fastest", "tokens")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, found in speeds.items():
        numbers = (statistics.median(found), min(found), max(found))
        table.add_row(name, *(f"{number:.1f}" for number in numbers), f"{tokens[name]:,}")
    table.title = f"{size:.1f} MB, {cores} cores, median of {rounds}"
    rich.console.Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, nargs="+", default=[SAMPLE])
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    documents = list(read(options.corpus, size=int(options.megabytes * 1e6)))
    with tempfile.TemporaryDirectory() as folder:
        measure(documents, folder=Path(folder), rounds=options.rounds)


if __name__ == "__main__":
    main()
