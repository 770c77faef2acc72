"""How the files of a corpus are read."""

import dataclasses

from pipeline.config import option


@dataclasses.dataclass(frozen=True)
class ReadingConfig:
    """How the files of a corpus are read."""

    text_column: str = option(
        "text", "Column of .csv, .tsv, .jsonl, .parquet and data sets that holds text."
    )


DEFAULT_READING = ReadingConfig()
