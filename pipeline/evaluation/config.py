"""What a model is evaluated on, and beside what."""

import dataclasses
from pathlib import Path

from pipeline.config import option
from pipeline.export.config import CACHE, LEXICON

# Help of an option that stages share.
NGRAMS = "n of the Kneser-Ney n-gram baseline; 0 for none."


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What a model is evaluated on, and beside what."""

    ngram_order: int = option(5, NGRAMS, min=0)
    cache: int = option(0, CACHE, min=0)
    # Krause et al. 2018.
    dynamic: bool = option(
        False, "Measure the model as well while it learns from each text that it has predicted."
    )
    lexicon: tuple[str, ...] = option((), LEXICON)
    text: Path | None = option(None, "Another file to evaluate on, of any kind that ingest reads.")
    text_column: str = option(
        "",
        "Column of --text that holds text, if that is a table.  [default: text, or else the one that clearly holds text]",
    )
    explanation: Path | None = option(None, "Folder that explain wrote, to show in the report.")
    ablation: Path | None = option(
        None, "Table that benchmarks/ablation.py wrote, to show in the report."
    )
    pairs: Path | None = option(
        None,
        "Minimal pairs, to see which form the models prefer: columns context, right and wrong, separated by tabs (data/README.md).",
    )
    spelling: Path | None = option(
        None,
        "Table of typed words with their errors, to see which the model corrects: columns sentence, typed, right and error, separated by tabs.",
    )
