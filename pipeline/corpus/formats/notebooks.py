"""Notebooks of Jupyter."""

from pathlib import Path

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.json_lines import load_json
from pipeline.corpus.formats.markdown import markdown_paragraphs
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import open_lines


def read_notebook(path: Path, config: ReadingConfig) -> Texts:
    """Yield the Markdown of a notebook as one document; code and its output are left out."""
    with open_lines(path) as (file, encoding):
        try:
            notebook = load_json(file.read())
            sheets = notebook.get("worksheets", [notebook])  # before 2015
            cells = [cell for sheet in sheets for cell in sheet["cells"]]
            texts = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is not a notebook ({error})") from error
    yield Text([found for text in texts for found in markdown_paragraphs(text)], encoding)


def looks_like_notebook(head: str) -> bool:
    """Return whether a text is the start of a notebook."""
    return head.lstrip()[:1] == "{" and '"cells"' in head and '"cell_type"' in head
