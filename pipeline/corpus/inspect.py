"""What the documents are like, before a model is trained on them.

Words are counted as the tokenizer cuts them, case-folded; paragraph ends are not tokens here.
"""

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.figure
import matplotlib.ticker
import numpy as np
import pandas as pd
import pyarrow.parquet
import rich
import rich.box
import rich.table
import tensorflow as tf
from rich.markup import escape

from pipeline import InputError
from pipeline.corpus.documents import parts, read_parquet
from pipeline.corpus.overlap import Tokens, look_up
from pipeline.corpus.splits import SPLITS
from pipeline.parallel import side_by_side
from pipeline.text.tokenizer import BREAK, expand, normalise, tokenize_unique

VOCABULARY_SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)

# Frequent in Portuguese, and in Spanish, French, Italian and English unknown or rare: "do",
# "da" and "dos", which make up much of a list or a title, are at most 1 % of text in those.
_PORTUGUESE = frozenset(
    word.encode()
    for word in "não uma um com em na nas do da dos das ao aos à às é são foi pelo pela pelos "
    "pelas ele ela eles elas você vocês seu sua seus suas meu minha isso isto está estava muito "
    "já também até então quando nem sem depois eu lhe tem".split()
)
# Suspicious are documents with so many tokens and a smaller share of these words, and paragraphs
# with so many letters that stand in so many documents.
_JUDGED, _LEAST_PORTUGUESE, _PARAGRAPH, _REPEATED = 50, 0.05, 20, 3
# Rows of each list, and letters of a text, that are shown.
_ROWS, _LETTERS = 10, 100


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
def _number(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Different tokens, a 62-bit number for each, the texts as indices of them, their lengths."""
    tokens, inverse = tokenize_unique(texts)
    forms, numbers = tf.unique(normalise(tokens.values, case="fold", numbers="keep"))
    rows = expand(tokens.with_values(numbers), inverse)
    return forms, tf.strings.to_hash_bucket_fast(forms, 2**62), rows.values, rows.row_lengths()


@dataclass(frozen=True)
class _Counted:
    """What is counted in a frame of documents."""

    forms: dict[bytes, int]  # how often each token stands
    tokens: np.ndarray  # of each document
    portuguese: np.ndarray  # how many of those are Portuguese function words
    ngrams: np.ndarray  # hashes of the 13-grams, uint64


def _count(frame: pd.DataFrame) -> _Counted:
    texts = tf.constant(frame["text"].tolist(), tf.string)
    forms, hashes, stream, lengths = (part.numpy() for part in _number(texts))
    document = np.repeat(np.arange(len(frame)), lengths)
    kept = np.array([form != BREAK.encode() for form in forms], bool)[stream]
    stream, document = stream[kept], document[kept]
    portuguese = np.array([form in _PORTUGUESE for form in forms], bool)[stream]
    counts = np.bincount(stream, minlength=len(forms))
    _, ngrams = Tokens(hashes.view(np.uint64)[stream], document, document).ngrams()
    return _Counted(
        forms={f: n for f, n in zip(forms.tolist(), counts.tolist(), strict=True) if n},
        tokens=np.bincount(document, minlength=len(frame)),
        portuguese=np.bincount(document[portuguese], minlength=len(frame)),
        ngrams=ngrams,
    )


@dataclass
class _Seen:
    """What is gathered from all frames; memory holds the different tokens and paragraphs."""

    sizes: dict[str, Counter[str]] = field(default_factory=lambda: {s: Counter() for s in SPLITS})
    forms: dict[str, Counter[bytes]] = field(default_factory=lambda: {s: Counter() for s in SPLITS})
    longest: list[dict[str, Any]] = field(default_factory=list)
    foreign: list[dict[str, Any]] = field(default_factory=list)
    repeats: dict[int, int] = field(default_factory=dict)  # hash of a paragraph → documents
    repeated: dict[int, str] = field(default_factory=dict)  # → its text, where those are many

    def add(self, split: str, frame: pd.DataFrame, counted: _Counted) -> None:
        self.sizes[split]["documents"] += len(frame)
        self.forms[split].update(counted.forms)
        columns = (frame["source"], frame["text"], counted.tokens, counted.portuguese)
        for source, text, tokens, portuguese in zip(*columns, strict=True):
            paragraphs = text.split("\n")
            self.sizes[split]["paragraphs"] += len(paragraphs)
            self.sizes[split]["letters"] += len(text)
            for paragraph in {p for p in paragraphs if len(p) >= _PARAGRAPH}:
                key = hash(paragraph)
                self.repeats[key] = self.repeats.get(key, 0) + 1
                letters = map(str.isalpha, paragraph)  # not a row of dots or a date
                if self.repeats[key] == _REPEATED and sum(letters) >= _PARAGRAPH:
                    self.repeated[key] = paragraph[:_LETTERS]
            row = {"source": source, "split": split, "tokens": int(tokens)}
            self.longest.append(row)
            share = float(portuguese / max(tokens, 1))
            if tokens >= _JUDGED and share < _LEAST_PORTUGUESE:
                self.foreign.append({**row, "portuguese": share, "text": text[:_LETTERS]})
        self.longest = heapq.nlargest(_ROWS, self.longest, key=lambda row: row["tokens"])
        self.foreign = heapq.nsmallest(_ROWS, self.foreign, key=lambda row: row["portuguese"])


def _watch(seen: _Seen, path: Path, split: str) -> Iterator[_Counted]:
    frames = (frame[frame["split"] == split] for frame in read_parquet(path))
    for frame, counted in side_by_side(_count, frames):
        seen.add(split, frame, counted)
        yield counted


def _oov(forms: Mapping[str, Counter[bytes]]) -> dict[str, np.ndarray]:
    """The OOV rate of valid and test with the 0, 1, … V most frequent tokens of training known."""
    order = sorted(forms["train"], key=lambda form: (-forms["train"][form], form))
    rates = {}
    for split in ("valid", "test"):
        known = np.cumsum([0, *(forms[split].get(form, 0) for form in order)])
        rates[split] = 1 - known / max(forms[split].total(), 1)
    return rates


def _draw(rates: Mapping[str, np.ndarray], path: Path) -> None:
    figure = matplotlib.figure.Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for split, rate in rates.items():
        last = len(rate) - 1  # a small corpus has a curve too
        first = min(VOCABULARY_SIZES[0], max(last // 10, 1))
        sizes = np.unique(np.geomspace(first, last, 200).round().astype(int))
        axes.plot(sizes, 100 * rate[sizes], label=f"{split} (all {last:,}: {rate[last]:.1%})")
    axes.set(xlabel="vocabulary size", ylabel="OOV rate (%)", xscale="log", ylim=(0, None))
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def _removed(table: pd.DataFrame, letters: int, left: int) -> dict[str, Any]:
    table = table.assign(documents=table["paragraph"] == "", passages=table["paragraph"] != "")
    found = table.groupby("found_in")[["documents", "passages"]].sum().astype(int)
    most = found.sort_values(["passages", "documents"], ascending=False, kind="stable")
    return {
        **{str(name): int(total) for name, total in found.sum().items()},
        "letters": letters,  # of passages, and their share of the training split
        "of_training": letters / max(letters + left, 1),
        "found_in": most.head(_ROWS).reset_index().to_dict("records"),
    }


def inspect_documents(*, documents: Path, output: Path) -> None:
    """Write inspection.json and figures/oov.png: what the documents of each split are like.

    A vocabulary of size V is here the V most frequent tokens of training, special tokens not
    counted. Overlap counts different 13-grams. Lists hold ten rows at most.

    Args:
        documents: folder that `ingest` wrote.
        output: folder to write into.

    Raises:
        InputError: the documents are missing.
    """
    path = documents / "documents.parquet"
    texts = dict.fromkeys(("source", "paragraph", "found_in"), str)
    try:
        pyarrow.parquet.read_schema(parts(path)[0])
        files, removed = (
            pd.read_csv(documents / name, dtype=texts, keep_default_na=False)
            for name in ("files.csv", "removed.csv")
        )
        lost = int(files["removed"].sum())
    except (OSError, ValueError, LookupError) as error:
        message = f"No documents can be read from {documents}: run `nextword ingest` first."
        raise InputError(message) from error

    seen = _Seen()
    held_out: dict[str, np.ndarray] = {}
    for split in ("valid", "test"):
        ngrams = [counted.ngrams for counted in _watch(seen, path, split)]
        held_out[split] = np.unique(np.concatenate(ngrams))
    found = {split: np.zeros(len(hashes), bool) for split, hashes in held_out.items()}
    for counted in _watch(seen, path, "train"):
        for split, hashes in held_out.items():
            _, places = look_up(counted.ngrams, hashes)
            found[split][places] = True

    rates, types = _oov(seen.forms), len(seen.forms["train"])
    sizes = [*(size for size in VOCABULARY_SIZES if size < types), types]
    damage = files.loc[files["mojibake"] + files["damaged"] > 0, ["source", "mojibake", "damaged"]]
    inspection = {
        "splits": {
            split: {**seen.sizes[split], "tokens": forms.total(), "types": len(forms)}
            for split, forms in seen.forms.items()
        },
        "oov": {s: {str(n): float(rate[n]) for n in sizes} for s, rate in rates.items()},
        "overlap": {
            split: {"ngrams": len(hits), "in_training": float(hits.mean()) if len(hits) else 0.0}
            for split, hits in found.items()
        },
        "longest": seen.longest,
        "removed": _removed(removed, lost, seen.sizes["train"]["letters"]),
        "not_portuguese": seen.foreign,
        "boilerplate": [
            {"text": seen.repeated[key], "documents": seen.repeats[key]}
            for key in heapq.nlargest(_ROWS, seen.repeated, key=seen.repeats.__getitem__)
        ],
        "damage": damage.head(_ROWS).to_dict("records"),
    }
    (output / "figures").mkdir()
    _draw(rates, output / "figures" / "oov.png")
    with (output / "inspection.json").open("w", encoding="utf-8") as file:
        json.dump(inspection, file, ensure_ascii=False, indent=2)


def _print(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    rich.print(f"[bold]{title}[/]" if rows else f"{title}: none")
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for name, value in (rows[0] if rows else {}).items():
        heading = f"{int(name):,}" if name.isdigit() else name.replace("_", " ")
        table.add_column(heading, justify="left" if isinstance(value, str) else "right")
    forms = {int: "{:,}", float: "{:.2%}"}
    for row in rows:
        table.add_row(*(escape(forms.get(type(v), "{}").format(v)) for v in row.values()))
    rich.print(table if rows else "")


def print_inspection(inspection: Mapping[str, Any]) -> None:
    """Print what `inspect_documents` wrote to the terminal."""
    removed = inspection["removed"]
    counts = (
        f"{removed['documents']:,} documents and {removed['passages']:,} passages "
        f"({removed['of_training']:.2%} of the letters of training)"
    )
    for title, key in (
        ("Splits", "splits"),
        ("Out of vocabulary, by vocabulary size", "oov"),
        ("Different 13-grams, and the share of them found in training", "overlap"),
    ):
        _print(title, [{"split": split, **row} for split, row in inspection[key].items()])
    _print("Longest documents", inspection["longest"])
    _print(f"Removed {counts}, which stand again in", removed["found_in"])
    _print("Hardly Portuguese", inspection["not_portuguese"])
    _print("Paragraphs that stand in many documents", inspection["boilerplate"])
    _print("Damaged letters", inspection["damage"])
