"""What a model is evaluated on, and beside what."""

import dataclasses
from pathlib import Path

from pipeline.config import option


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What a model is evaluated on, and beside what."""

    ngram_order: int = option(5, "n of the Kneser-Ney n-gram baseline; 0 for none.", min=0)
    cache: int = option(
        0, "Tokens that a continuous cache over the text remembers; 0 for none.", min=0
    )
    lexicon: tuple[str, ...] = option(
        (),
        "Words to suggest besides those of the training text: wordfreq, the library's Portuguese list, or a file with a word, or a word, a tab and its count, a line; may be repeated.",
    )
    text: Path | None = option(None, "Another file to evaluate on, of any kind that ingest reads.")
    text_column: str = option("text", "Column of it that holds text, if it is a table.")
    explanation: Path | None = option(None, "Folder that explain wrote, to show in the report.")
    ablation: Path | None = option(
        None, "Table that benchmarks/ablation.py wrote, to show in the report."
    )
    spelling: Path | None = option(
        None,
        "Table of typed words with their errors, to see which the model corrects: columns sentence, typed, right and error, separated by tabs.",
    )
