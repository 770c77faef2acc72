"""Describe the documents before a model is trained on them.

Words are counted as the tokenizer splits them, case-folded, without paragraph ends.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from pipeline.corpus.documents import list_parts, read_parquet
from pipeline.corpus.overlap import Tokens, look_up
from pipeline.corpus.splits import SPLITS
from pipeline.corpus.suspicions import (
    EXCERPT,
    MAX_ROWS,
    Language,
    Suspicions,
    Worst,
    is_other,
    is_portuguese,
    is_word,
)
from pipeline.parallel import side_by_side
from pipeline.text.tokenizer import BREAK, expand, normalise, tokenize_unique

VOCABULARY_SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)

# A paragraph of at least this many letters, in this many documents, is boilerplate.
_MIN_LETTERS, _MIN_DOCUMENTS = 20, 3


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
def _index_tokens(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the types, their 62-bit hashes, the tokens as indices of types, and row lengths."""
    tokens, inverse = tokenize_unique(texts)
    types, indices = tf.unique(normalise(tokens.values, case="fold", numbers="keep"))
    rows = expand(tokens.with_values(indices), inverse)
    return types, tf.strings.to_hash_bucket_fast(types, 2**62), rows.values, rows.row_lengths()


@dataclass(frozen=True)
class _FrameCounts:
    types: dict[bytes, int]  # tokens of each type
    tokens: np.ndarray  # of each document
    language: np.ndarray  # fields of `Language` of each document, shape (documents, 3)
    ngrams: np.ndarray  # hashes of the 13-grams, uint64


def _count_frame(frame: pd.DataFrame) -> _FrameCounts:
    texts = tf.constant(frame["text"].tolist(), tf.string)
    types, hashes, stream, lengths = (part.numpy() for part in _index_tokens(texts))
    document = np.repeat(np.arange(len(frame)), lengths)
    kept = np.array([word != BREAK.encode() for word in types], bool)[stream]
    stream, document = stream[kept], document[kept]

    def count(belongs: Callable[[bytes], bool]) -> np.ndarray:
        chosen = np.array([belongs(word) for word in types], bool)[stream]
        return np.bincount(document[chosen], minlength=len(frame))

    counts = np.bincount(stream, minlength=len(types))
    _, ngrams = Tokens(hashes.view(np.uint64)[stream], document, document).ngrams()
    return _FrameCounts(
        types={word: n for word, n in zip(types.tolist(), counts.tolist(), strict=True) if n},
        tokens=np.bincount(document, minlength=len(frame)),
        language=np.stack([count(is_word), count(is_portuguese), count(is_other)], axis=1),
        ngrams=ngrams,
    )


@dataclass
class _Statistics:
    """Statistics of all frames. Memory grows with the distinct tokens and paragraphs."""

    sizes: dict[str, Counter[str]] = field(default_factory=lambda: {s: Counter() for s in SPLITS})
    types: dict[str, Counter[bytes]] = field(default_factory=lambda: {s: Counter() for s in SPLITS})
    longest: Worst = field(default_factory=lambda: Worst("tokens"))
    suspicions: Suspicions = field(default_factory=Suspicions)
    repeats: dict[int, int] = field(default_factory=dict)  # hash of a paragraph → documents
    boilerplate: dict[int, str] = field(default_factory=dict)  # the same → its text

    def read_split(self, path: Path, split: str) -> Iterator[np.ndarray]:
        """Add the documents of a split; yield the 13-grams of each frame."""
        frames = (frame[frame["split"] == split] for frame in read_parquet(path))
        for frame, counts in side_by_side(_count_frame, frames):
            self._add(split, frame, counts)
            yield counts.ngrams

    def _add(self, split: str, frame: pd.DataFrame, counts: _FrameCounts) -> None:
        self.sizes[split]["documents"] += len(frame)
        self.types[split].update(counts.types)
        columns = (frame["source"], frame["text"], counts.tokens, counts.language)
        for source, text, tokens, language in zip(*columns, strict=True):
            paragraphs = text.split("\n")
            self.sizes[split]["paragraphs"] += len(paragraphs)
            self.sizes[split]["letters"] += len(text)
            for paragraph in {p for p in paragraphs if len(p) >= _MIN_LETTERS}:
                key = hash(paragraph)
                self.repeats[key] = self.repeats.get(key, 0) + 1
                letters = map(str.isalpha, paragraph)  # unlike a row of dots or a date
                if self.repeats[key] == _MIN_DOCUMENTS and sum(letters) >= _MIN_LETTERS:
                    self.boilerplate[key] = paragraph[:EXCERPT]
            place = {"source": source, "split": split}
            self.longest.add({**place, "tokens": int(tokens)})
            self.suspicions.add(place, paragraphs, Language(*language.tolist()))


def _oov_rates(types: Mapping[str, Counter[bytes]]) -> dict[str, np.ndarray]:
    """Return the OOV rates of valid and test for vocabularies of 0, 1, … V training types."""
    order = sorted(types["train"], key=lambda word: (-types["train"][word], word))
    rates = {}
    for split in ("valid", "test"):
        known = np.cumsum([0, *(types[split].get(word, 0) for word in order)])
        rates[split] = 1 - known / max(types[split].total(), 1)
    return rates


def _plot_oov(rates: Mapping[str, np.ndarray], path: Path) -> None:
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


def _summarise_removed(removed: pd.DataFrame, lost: int, left: int) -> dict[str, Any]:
    """Summarise removed.csv; of the training split, `lost` characters are gone, `left` remain."""
    whole = removed["paragraph"] == ""
    table = removed.assign(documents=whole, passages=~whole)
    counts = table.groupby("found_in")[["documents", "passages"]].sum().astype(int)
    most = counts.sort_values(["passages", "documents"], ascending=False, kind="stable")
    return {
        **{str(name): int(total) for name, total in counts.sum().items()},
        "letters": lost,
        "of_training": lost / max(lost + left, 1),
        "found_in": most.head(MAX_ROWS).reset_index().to_dict("records"),
    }


def _summarise_formats(files: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the formats of files.csv, with their files, documents and letters."""
    sums = {"source": "count", "documents": "sum", "letters": "sum", "skipped": "sum"}
    table = files.groupby("format").agg(sums).rename(columns={"source": "files"})
    table.index = table.index.where(table.index != "", "not read")
    ordered = table.sort_values("letters", ascending=False).reset_index()
    return [dict(zip(map(str, ordered), row, strict=True)) for row in ordered.values.tolist()]


def _head(table: pd.DataFrame) -> dict[str, Any]:
    return {"total": len(table), "rows": table.head(MAX_ROWS).to_dict("records")}


def inspect(*, documents: Path, output: Path) -> None:
    """Write inspection.json and figures/oov.png, which describe the documents of each split.

    A vocabulary of size V is the V most frequent training tokens, without special tokens. Overlap
    counts distinct 13-grams. Lists have at most ten rows.

    Args:
        documents: Folder that `ingest` wrote.
        output: Folder to write into.

    Raises:
        InputError: The documents are missing.
    """
    path = documents / "documents.parquet"
    texts = dict.fromkeys(("source", "paragraph", "found_in", "note", "problem", "format"), str)
    try:
        pyarrow.parquet.read_schema(list_parts(path)[0])
        files, removed = (
            pd.read_csv(documents / name, dtype=texts, keep_default_na=False)
            for name in ("files.csv", "removed.csv")
        )
        lost = int(files["removed"].sum())
    except (OSError, ValueError, LookupError) as error:
        message = f"No documents can be read from {documents}: run `nextword ingest` first."
        raise InputError(message) from error

    statistics = _Statistics()
    held_out = {
        split: np.unique(np.concatenate([*statistics.read_split(path, split)]))
        for split in ("valid", "test")
    }
    in_training = {split: np.zeros(len(hashes), bool) for split, hashes in held_out.items()}
    for ngrams in statistics.read_split(path, "train"):
        for split, hashes in held_out.items():
            _, places = look_up(ngrams, hashes)
            in_training[split][places] = True

    rates, types = _oov_rates(statistics.types), len(statistics.types["train"])
    sizes = [*(size for size in VOCABULARY_SIZES if size < types), types]
    damage = files.loc[files["mojibake"] + files["damaged"] > 0, ["source", "mojibake", "damaged"]]
    told = files.assign(text=files["note"].where(files["problem"] == "", files["problem"]))
    told = told[["source", "text"]]
    told = told[told["text"] != ""]
    boilerplate = Worst("documents")
    for key, text in statistics.boilerplate.items():
        boilerplate.add({"text": text, "documents": statistics.repeats[key]})
    inspection = {
        "splits": {
            split: {**statistics.sizes[split], "tokens": counts.total(), "types": len(counts)}
            for split, counts in statistics.types.items()
        },
        "oov": {s: {str(n): float(rate[n]) for n in sizes} for s, rate in rates.items()},
        "overlap": {
            split: {"ngrams": len(hits), "in_training": float(hits.mean()) if len(hits) else 0.0}
            for split, hits in in_training.items()
        },
        "formats": _summarise_formats(files),
        "longest": statistics.longest.as_json(),
        "removed": _summarise_removed(removed, lost, statistics.sizes["train"]["letters"]),
        **statistics.suspicions.as_json(),
        "boilerplate": boilerplate.as_json(),
        "damage": _head(damage),
        "told": _head(told),
    }
    (output / "figures").mkdir()
    _plot_oov(rates, output / "figures" / "oov.png")
    with (output / "inspection.json").open("w", encoding="utf-8") as file:
        json.dump(inspection, file, ensure_ascii=False, indent=2)


def _print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    rich.print(f"[bold]{title}[/]" if rows else f"{title}: none")
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for name, value in (rows[0] if rows else {}).items():
        heading = f"{int(name):,}" if name.isdigit() else name.replace("_", " ")
        table.add_column(heading, justify="left" if isinstance(value, str) else "right")
    formats = {int: "{:,}", float: "{:.2%}"}
    for row in rows:
        table.add_row(*(escape(formats.get(type(v), "{}").format(v)) for v in row.values()))
    rich.print(table if rows else "")


def print_inspection(inspection: Mapping[str, Any]) -> None:
    """Print the contents of inspection.json as tables."""
    removed = inspection["removed"]
    counts = f"{removed['documents']:,} documents and {removed['passages']:,} passages"
    share = f"{removed['of_training']:.2%} of the characters of training"
    for title, key in (
        ("Splits", "splits"),
        ("Out-of-vocabulary rate, by vocabulary size", "oov"),
        ("Distinct 13-grams, and the share found in training", "overlap"),
    ):
        _print_rows(title, [{"split": split, **row} for split, row in inspection[key].items()])
    _print_rows("Formats", inspection["formats"])
    _print_rows("Longest documents", inspection["longest"]["rows"])
    _print_rows(f"Removed {counts} ({share}), which also occur in", removed["found_in"])
    for key, title in (
        ("not_portuguese", "Documents that hardly look Portuguese"),
        ("machine_marks", "Documents with marks that no person writes"),
        ("long_paragraphs", "Documents with a paragraph of over 20,000 letters"),
        ("single_words", "Documents whose paragraphs are mostly single words"),
        ("boilerplate", "Paragraphs that occur in many documents"),
        ("damage", "Files with damaged characters"),
        ("told", "What ingest said of files"),
    ):
        _print_worst(title, inspection[key])


def _print_worst(title: str, worst: Mapping[str, Any]) -> None:
    shown = len(worst["rows"])
    of_how_many = f" ({shown} of {worst['total']:,})" if shown < worst["total"] else ""
    _print_rows(f"{title}{of_how_many}", worst["rows"])
