"""Texts and words that several tests read."""

from pathlib import Path

import pyarrow
import pyarrow.parquet

TEXTS = {
    "train": [
        "O cachorro bebeu água.\nEla foi ao Brasil em 1822, às 14h30.",
        "Um copo d’água… e o Brasil bebeu 50% dele.\nO Sr. José bebeu água em 1888.",
        "A água é do Brasil.\u2028Foi-se tudo em 1822.",
        "Dê-lhe água. Água!",
    ],
    "valid": ["O cachorro do Sr. José custa R$ 1.234,56.", "Água do Chile."],
    "test": ["Ela bebeu 3 copos.\nO copo caiu."],
}
# Words that accents, capitals and marks tell apart.
MARKS = '. , ! ? … " — ( ) :'.split()
WORDS = (
    "a ação acabou acaba acabam acabar aço açúcar e é ela ele época já janela você vocês "
    "brasil d'água água avó avô avança sr. o"
).split()


def rows(texts: dict[str, list[str]]) -> list[dict[str, str]]:
    """Documents in an order that mixes the splits."""
    one_by_one = [{"split": split, "text": text} for split in texts for text in texts[split]]
    return one_by_one[::2] + one_by_one[1::2]


def write_documents(folder: Path, texts: dict[str, list[str]] = TEXTS, **options) -> Path:
    """Write documents.parquet as `ingest` does; options are those of pyarrow."""
    folder.mkdir(exist_ok=True)
    schema = pyarrow.schema([("split", "string"), ("text", "string")])
    table = pyarrow.Table.from_pylist(rows(texts), schema)
    pyarrow.parquet.write_table(table, folder / "documents.parquet", **options)
    return folder


def stream_texts(split: str) -> list[str]:
    """The texts of a split of TEXTS, in the order of `write_documents`."""
    return [row["text"] for row in rows(TEXTS) if row["split"] == split]
