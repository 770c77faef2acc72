"""Large files are cut between documents, and read on every core as on one."""

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.corpus import reading, sections
from pipeline.corpus.config import DEFAULT_READING
from pipeline.corpus.ingest import file_table
from pipeline.corpus.reading import read_files
from pipeline.corpus.sections import cut_files, read_side_by_side
from pipeline.corpus.splits import Splits

LINES = [f"Na manhã {n} choveu, e a rua {n % 7} encheu d'água." for n in range(1500)]
HEADERS = "From rui 3 Mar 10:00:00\nFrom: rui@exemplo.pt\nTo: rosa@exemplo.pt\nDate: 3 Mar 2024"


@pytest.fixture
def corpus(tmp_path: Path) -> pd.DataFrame:
    rows = "".join(json.dumps({"text": line}) + "\n" for line in LINES[:300])
    (tmp_path / "a.jsonl").write_text(rows + "nada\n")
    (tmp_path / "b.txt").write_text("\n\n".join(LINES[300:600]), encoding="utf-8")
    (tmp_path / "c.txt").write_text("\r\n\r\n".join(LINES[600:900]), encoding="utf-16")
    mail = "".join(f"{HEADERS}\n\n{line}\n\n" for line in LINES[900:1200])
    (tmp_path / "d.mbox").write_text(mail, encoding="utf-8")
    rows = "".join(f'"{line}"\n' for line in LINES[1200:])
    (tmp_path / "e.csv").write_text(f"text\n{rows}", encoding="utf-8")
    (tmp_path / "f.txt").write_text("Um fim.", encoding="utf-8")
    return file_table([str(tmp_path)], Splits())


def test_sections_hold_the_whole_text_once(
    corpus: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "_SECTION", 4000)
    cut = cut_files(corpus, DEFAULT_READING)
    counts = cut["source"].value_counts()
    assert counts["a.jsonl"] > 3
    assert counts["b.txt"] > 3
    assert counts["d.mbox"] > 3
    assert counts["c.txt"] == counts["e.csv"] == counts["f.txt"] == 1
    table = pd.concat(read_files([cut], reading=DEFAULT_READING))
    order = table.sort_values(["file", "document"], kind="stable")
    assert order["text"].tolist() == table["text"].tolist()
    assert "\n".join(filter(None, table["text"])).split("\n") == [*LINES, "Um fim."]
    assert table["skipped"].sum() + (table["problem"] != "").sum() == 1  # the last row of a.jsonl


def test_files_are_read_on_every_core_as_on_one(
    corpus: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "_SECTION", 4000)
    monkeypatch.setattr(sections, "_PARALLEL", 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    cut = cut_files(corpus, DEFAULT_READING)
    alone = pd.concat(read_files([cut], reading=DEFAULT_READING), ignore_index=True)
    monkeypatch.setattr(reading, "_FRAME", 1000)  # of this process alone
    frames = list(read_side_by_side(cut, DEFAULT_READING))
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), alone)
    counts = pd.concat(frame[["source"]].drop_duplicates() for frame in frames).value_counts()
    assert counts["e.csv"] > 9


def test_what_is_large_and_not_cut_is_a_task_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "_SECTION", 100)
    paths = ["hf:./a", *(str(tmp_path / name) for name in "abcd"), "hf:./b", "hf:./c"]
    for path, size in zip(paths[1:], [10, 201, 10, 10], strict=False):
        Path(path).write_text("a" * size)
    files = pd.DataFrame({"path": paths, "start": 0, "stop": 0})
    found = [([*table["path"]], is_large) for table, is_large in sections._tasks(files)]
    tasks = [paths[:1], paths[1:2], paths[2:3], paths[3:5], paths[5:6], paths[6:]]
    assert found == [(task, len(task) == 1 and task != paths[1:2]) for task in tasks]
