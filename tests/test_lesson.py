"""The lesson: its notebook is made from its text, and runs from top to bottom."""

import ast
import re
import shutil

import jupytext
import pandas as pd
import pytest
from conftest import ROOT
from nbclient import NotebookClient

TEXT, NOTEBOOK = ROOT / "docs" / "aula.md", ROOT / "docs" / "aula.ipynb"


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


@pytest.fixture(scope="module")
def notebook():
    return jupytext.read(NOTEBOOK)


def test_the_notebook_has_the_cells_of_the_text(notebook):
    text = jupytext.read(TEXT)
    assert len(text.cells) > 40
    for cell, written in zip(notebook.cells, text.cells, strict=True):
        assert (cell.cell_type, cell.source) == (written.cell_type, written.source)


def test_its_outputs_are_those_of_one_run(notebook):
    """A cell that was changed since, or run again by itself, has none or another number."""
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
    assert sum(map(pictures, cells)) >= 6
    assert NOTEBOOK.stat().st_size < 1_000_000
    shown = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"/tmp/|/home/|/root/|/work/|site-packages", shown)


def test_what_it_imports_exists(notebook):
    statements = set()
    for cell in code(notebook):
        source = re.sub(r"(?m)^(\s*)[%!].*", r"\1pass", cell.source)
        nodes = [
            n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)
        ]
        statements |= {ast.unparse(node) for node in nodes}
    assert sum(statement.startswith("from pipeline.") for statement in statements) > 20
    for statement in statements:
        exec(statement, {})


def test_answers_are_folded_below_their_exercises(notebook):
    text = TEXT.read_text(encoding="utf-8")
    exercises = re.findall(r"^\*\*Exercício (\d)\.\*\*", text, re.MULTILINE)
    assert exercises == [str(number + 1) for number in range(len(exercises))]
    answers = re.findall(r"<details>\n<summary>Resposta</summary>\n\n.+?\n\n</details>", text, re.S)
    assert len(answers) == len(exercises) > 4


def toy(notebook):
    """Return the percentages right in the toy language, a row for each band of distances."""
    (cell,) = (cell for cell in code(notebook) if "groupby(faixa" in cell.source)
    lines = cell.outputs[0]["data"]["text/plain"].splitlines()
    rows = [[float(share) for share in line.split("]")[1].split()] for line in lines if "]" in line]
    return pd.DataFrame(rows, columns=lines[0].split())


def assert_networks_with_a_state_remember(notebook):
    shares = toy(notebook)
    assert shares["feedforward"].tolist() == [100, *[33.3] * 3]  # its window ends after five words
    assert (shares[["lstm", "simple_rnn"]] > 95).all(axis=None)


def test_it_shows_that_networks_with_a_state_remember(notebook):
    assert_networks_with_a_state_remember(notebook)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_it_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
    """In the project's root, with some of the sample; what is committed was run in docs/."""
    project = tmp_path / "project"
    for name in ("animais", "cozinha", "dia-a-dia", "familia"):
        shutil.copytree(ROOT / "data" / "sample" / name, project / "data" / "sample" / name)
    shutil.copy(ROOT / "data" / "agreement.tsv", project / "data")
    there = set(project.rglob("*"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    again = jupytext.read(TEXT)
    NotebookClient(
        again, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(project)}}
    ).execute()
    assert set(project.rglob("*")) == there
    assert_networks_with_a_state_remember(again)
    for cell, committed in zip(code(again), code(notebook), strict=True):
        assert pictures(cell) == pictures(committed), cell.source
