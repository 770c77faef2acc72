"""One table of next-word models of Portuguese, on corpora whose texts and splits are pinned.

    python benchmarks/leaderboard.py [--row NAME …] [--work FOLDER] [--show]

Each row is made by the commands that anybody would type, in a folder of its own that is kept: what
is up to date is skipped, and a training that was stopped goes on. docs/leaderboard.md says what
the columns mean, and how to add a model.
"""

import argparse
import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from command import ROOT, nextword

from pipeline.corpus.documents import read_parquet
from pipeline.evaluation.evaluated_model import EvaluatedModel, load_models
from pipeline.model.kneser_ney import KneserNey
from pipeline.text.rare_words import load_rare
from pipeline.text.vocabulary import BEGIN_ID

SPLITS = ("train", "valid", "test")
# Numbers of novels. Their authors have no other one in the corpus, so no author is in two splits.
# Both have a novel of each of the corpus' four periods, two in old spelling and two in today's.
ELTEC = {"valid": "0035 0040 0060 0061", "test": "0019 0021 0039 0069"}
_TREEBANKS = ("asp-pt", "danteshots", "dantestocks", "porsimples", "porttinari", "pud")
_HEADINGS = (
    "row text words tokens unknown model perplexity bits_per_character top-3 keys_saved CPU_s"
)
_ORDER = 6  # of the n-grams of letters that spell unknown words
_CODE_POINTS = 0x110000  # of Unicode


class Row(NamedTuple):
    """Options of `nextword ingest` and of `nextword train`."""

    ingest: str
    train: str = "--preset cpu-hour"


ROWS = {
    "sample": Row(f"--corpus '{ROOT / 'data/sample'}'", "--preset quick"),
    "machado": Row("--corpus machado --valid romance/domCasmurro.txt --test romance/esau.txt"),
    "machado-2": Row("--corpus machado --valid romance/helena.txt --test romance/iaia.txt"),
    "eltec-por": Row(
        "--corpus eltec-por "
        + " ".join(f"--{option} 'POR{n}_*'" for option in ELTEC for n in ELTEC[option].split()),
        # Reads as many tokens as `machado` does, each twice: there is little to learn by heart.
        "--preset cpu-hour --epochs 2 --dropout 0.1",
    ),
    "treebanks": Row(
        " ".join(f"--corpus {name}" for name in _TREEBANKS)
        + " --valid '*-ud-dev.conllu' --test '*-ud-test.conllu'",
        "--preset quick",
    ),
}


def run(row: Row, folder: Path) -> None:
    """Run the stages of a row."""
    folder.mkdir(parents=True, exist_ok=True)
    for command in (
        f"ingest {row.ingest}",
        "tokenize",
        f"train {row.train} --resume",
        "evaluate --cache 2000 --dynamic",
    ):
        print(f"{folder.name}: nextword {command}", file=sys.stderr, flush=True)
        nextword(command, folder=folder)


def write_texts(documents: Path, folder: Path) -> None:
    """Write what models predict of each split: a paragraph a line, spaces between its tokens."""
    import tensorflow as tf

    from pipeline.text.tokenizer import BREAK, normalise, open_paragraph, tokenize

    folder.mkdir(exist_ok=True)
    files = {split: (folder / f"{split}.txt").open("w", encoding="utf-8") for split in SPLITS}
    for frame in read_parquet(documents / "documents.parquet", ["split", "text"]):
        for split, rows in frame.groupby("split"):
            for text in rows["text"]:
                tokens = tokenize(open_paragraph(tf.constant([text]))).values
                folded = normalise(tokens, case="fold", numbers="keep").numpy().tolist()
                paragraphs = b" ".join(folded).decode().split(BREAK)[1:]
                files[split].writelines(f"{paragraph.strip()}\n" for paragraph in paragraphs)
    for file in files.values():
        file.close()


class Spelling:
    """An n-gram model of the letters of words, learned from a list of them, in lower case."""

    def __init__(self, words: Iterable[str]):
        words = sorted({word.lower() for word in words})
        # 0 is any other letter; a word ends as paragraphs do.
        self._ids = {letter: i for i, letter in enumerate(sorted(set("".join(words))), 2)}
        stream = np.concatenate([[BEGIN_ID], *map(self._encode, words)])
        self._ngrams = KneserNey.fit(stream, order=_ORDER, vocabulary_size=len(self._ids) + 2)

    def _encode(self, word: str) -> np.ndarray:
        return np.array([*(self._ids.get(letter, 0) for letter in word), BEGIN_ID])

    def nats(self, word: str) -> float:
        """Return −ln p of the letters of a word and of its end.

        A letter that was in no word of the list is any of Unicode's, all equally probable.
        """
        ids = self._encode(word.lower())
        read = np.append(BEGIN_ID, ids[:-1])[None]
        contexts = self._ngrams.advance(self._ngrams.begin(1), read)[0, 1:]
        p = self._ngrams.probabilities(contexts)[np.arange(len(ids)), ids]
        return float(-np.log(p).sum() + (ids == 0).sum() * math.log(_CODE_POINTS))


def spelling_nats(tokens: Path) -> float:
    """Return what it costs to spell the unknown words of the test split.

    The spelling is learned from the rare words of the training split and the unknown ones of the
    validation split.
    """
    files = (tokens / f"{split}.unknown.txt" for split in ("valid", "test"))
    valid, test = (file.read_text(encoding="utf-8").split("\n")[:-1] for file in files)
    spelling = Spelling([*load_rare(tokens).words, *valid])
    return sum(count * spelling.nats(word) for word, count in Counter(test).items())


def models_of(metrics: dict, models: Iterable[EvaluatedModel]) -> list[EvaluatedModel]:
    """Return the n-gram model, the network, and what is best on the validation split."""
    network, *others = models
    ngrams = [model for model in others if model.kind == "ngrams"]
    best = min([network, *others], key=lambda m: metrics["valid"][m.name]["perplexity"])
    return [*ngrams, network, *([best] if best != network else [])]


def lines(name: str, folder: Path) -> Iterator[list[str]]:
    """Yield the lines of a row."""
    metrics = json.loads((folder / "models/evaluation/metrics.json").read_text())
    documents, tokens, texts = (folder / f for f in ("data/documents", "data/tokens", "text"))
    made = [p.stat().st_mtime for p in (documents, texts / "test.txt") if p.exists()]
    if len(made) < 2 or made[1] < made[0]:
        write_texts(documents, texts)
    data = (texts / "test.txt").read_bytes()
    spelled = spelling_nats(tokens)
    words = (tokens / "vocabulary.tsv").read_bytes().count(b"\n")
    for number, model in enumerate(models_of(metrics, load_models(folder / "models/evaluation"))):
        found = metrics["test"][model.name]
        nats = found["tokens"] * math.log(found["perplexity"]) + spelled
        bits = nats / math.log(2) / (len(data.decode()) - 1)  # the last line break is no target
        row = [name, hashlib.sha256(data).hexdigest()[:8], f"{words:,}", f"{found['tokens']:,}"]
        row += [f"{found['oov_rate']:.1%}"]
        seconds = found.get("training_cpu_seconds")
        yield [
            *(row if number == 0 else [""] * len(row)),
            model.label,
            _interval(found, "perplexity", ".1f"),
            f"{bits:.3f}",
            _interval(found, "top_3", ".1%"),
            _interval(found, "keystroke_savings", ".1%"),
            f"{seconds:,.0f}" if seconds else "",
        ]


def _interval(found: dict[str, float], metric: str, form: str) -> str:
    value = format(found[metric], form)
    if f"{metric}_low" not in found:  # one paragraph
        return value
    low, high = (format(found[f"{metric}_{end}"], form) for end in ("low", "high"))
    return f"{value} ({low}–{high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", action="append", choices=ROWS, help="may be repeated; all rows")
    parser.add_argument("--work", type=Path, default=ROOT / "models/leaderboard")
    parser.add_argument("--show", action="store_true", help="run nothing: rows that are evaluated")
    arguments = parser.parse_args()
    table = []
    for name in arguments.row or ROWS:
        folder = arguments.work.resolve() / name
        if not arguments.show:
            run(ROWS[name], folder)
        if (folder / "models/evaluation/metrics.json").exists():
            table += lines(name, folder)
    headings = [heading.replace("_", " ") for heading in _HEADINGS.split()]
    for cells in (headings, ["---"] * len(headings), *table):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
