"""From files to documents: the stage, its splits, and what it removes."""

import csv
import functools
import gzip
import hashlib
import http.server
import itertools
import json
import logging
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pandas as pd
import pytest
from conftest import SAMPLE
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.cli import stages
from pipeline.corpus import catalog, sections
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.documents import list_parts, read_parquet, write_parquet
from pipeline.corpus.ingest import file_table, ingest
from pipeline.corpus.reading import read_files
from pipeline.corpus.sections import cut_files
from pipeline.corpus.splits import FEW_DOCUMENTS, SPLITS, SplitPlanner, Splits
from pipeline.manifest import run_stage

# From files to documents.parquet


def write(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def document(number: int, lines: int = 3) -> str:
    return "".join(f"Documento {number}, parágrafo {line}.\n" for line in range(lines))


def ingested(folder: Path, **globs: tuple[str, ...]) -> pd.DataFrame:
    output = folder.with_name("documents")
    output.mkdir(exist_ok=True)
    ingest(corpus=[str(folder)], output=output, **globs)
    return pd.read_parquet(output / "documents.parquet")


def removed(folder: Path) -> list[list[str]]:
    with (folder / "documents" / "removed.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["source", "paragraph", "found_in", "text"]
    return rows


def splits(table: pd.DataFrame) -> dict[str, str]:
    """The split of each source that stands in one split only."""
    found = table.groupby("source")["split"].agg(list)
    return {source: split for source, (split, *more) in found.items() if not more}


def test_ingest_writes_the_columns_that_the_next_stage_reads(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"a/b.txt": "Um.\r\n\r\n  Dois   e meio.\nTre\u0302s.\n"})
    table = ingested(folder)
    assert list(table.columns) == ["doc_id", "source", "split", "text"]
    assert list(table["source"]) == ["a/b.txt"] * 3
    assert list(table["split"]) == list(SPLITS)
    assert list(table["text"]) == ["Um.", "Dois e meio.", "Três."]
    assert list(table["doc_id"]) == [
        hashlib.sha256(text.encode()).hexdigest() for text in table["text"]
    ]


def test_ingest_puts_one_paragraph_on_a_line(tmp_path: Path) -> None:
    prose = SAMPLE.joinpath("animais/01-o-cachorro-da-padaria.txt").read_text(encoding="utf-8")
    expected = [paragraph for paragraph in prose.split("\n") if paragraph]
    wrapped = "\n\n".join(textwrap.fill(p, 70, break_on_hyphens=False) for p in expected)
    table = ingested(write(tmp_path / "corpus", {"a.txt": wrapped}))
    assert "\n".join(table["text"]).split("\n") == expected


@settings(deadline=None, max_examples=30)  # the first call builds the tokenizer's graph
@given(st.lists(st.integers(1, 25), min_size=1, max_size=FEW_DOCUMENTS - 1))
def test_few_documents_are_cut_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    texts = {f"{n}.txt": document(n, lines) for n, lines in enumerate(lengths)}
    folder = write(tmp_path_factory.mktemp("few") / "corpus", texts)
    possible = max(lengths) >= 3 or len(lengths) >= 3
    if not possible:
        with pytest.raises(InputError, match="No document is left for the"):
            ingested(folder)
        return
    table = ingested(folder)
    assert set(table["split"]) == set(SPLITS)
    order = {split: place for place, split in enumerate(SPLITS)}
    for source, rows in table.groupby("source"):
        rows = sorted(zip(rows["split"], rows["text"], strict=True), key=lambda row: order[row[0]])
        assert "\n".join(text for _, text in rows) + "\n" == texts[source]


def test_the_last_two_tenths_of_a_long_document_are_held_out(tmp_path: Path) -> None:
    table = ingested(write(tmp_path / "corpus", {"a.txt": document(1, 100)}))
    assert {split: len(text.split("\n")) for split, text in table[["split", "text"]].values} == {
        "train": 80,
        "valid": 10,
        "test": 10,
    }


@pytest.mark.parametrize("count", [FEW_DOCUMENTS, 30, 60])
def test_many_documents_stay_whole_and_no_split_is_empty(tmp_path: Path, count: int) -> None:
    # Twelve corpora: with 20 documents chance leaves the test split empty in one of three.
    for trial in range(12):
        texts = {f"{n}.txt": document(1000 * trial + n) for n in range(count)}
        table = ingested(write(tmp_path / str(trial) / "corpus", texts))
        assert len(splits(table)) == count
        assert set(table["split"]) == set(SPLITS)


def test_a_twentieth_of_many_documents_validates_and_another_tests(tmp_path: Path) -> None:
    table = ingested(write(tmp_path / "corpus", {f"{n}.txt": document(n) for n in range(1000)}))
    counts = table["split"].value_counts()
    assert 30 <= counts["valid"] <= 70
    assert 30 <= counts["test"] <= 70


def test_adding_files_moves_no_document_to_another_split(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {f"{n}.txt": document(n) for n in range(200)})
    before = splits(ingested(folder))
    write(folder, {f"0/{n}.txt": document(n) for n in range(200, 300)})
    after = splits(ingested(folder))
    assert len(after) == 300
    assert {source: after[source] for source in before} == before


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, FEW_DOCUMENTS - 5, FEW_DOCUMENTS + 5])
def test_no_paragraph_leaves_its_split_when_documents_are_added(
    tmp_path: Path, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    # Documents that are cut, then documents of which chance puts none into a split.
    for trial in range(1 if count < FEW_DOCUMENTS else 3):
        folder, output = tmp_path / f"{trial}", tmp_path / f"{trial}-documents"
        before: dict[str, str] = {}
        for step in range(3):
            texts = (document(1000 * trial + n) for n in range(step and count, count + 10 * step))
            write(folder, {f"{step}/{n}.txt": text for n, text in enumerate(texts)})
            run_stage(ingest, reads=[folder], output=output, parameters={"corpus": [str(folder)]})
            table = pd.read_parquet(output / "documents.parquet")
            paragraphs = (
                dict.fromkeys(text.split("\n"), split)
                for split, text in zip(table["split"], table["text"], strict=True)
            )
            after = functools.reduce(dict.__or__, paragraphs)
            assert {paragraph: after[paragraph] for paragraph in before} == before
            assert set(after.values()) == set(SPLITS)
            before = after
    assert ("By chance" in caplog.text) == (count >= FEW_DOCUMENTS)


corpora = st.lists(st.integers(1, 12), min_size=1, max_size=60)  # paragraphs of documents


def test_a_held_out_split_of_a_large_corpus_is_smaller(tmp_path: Path):
    folder = write(tmp_path / "corpus", {f"{n}.txt": document(n, 20) for n in range(400)})
    tables = [ingested(folder, held_out=tokens) for tokens in (2_000_000, 500, 1)]
    sizes = [table.groupby("split")["text"].agg(lambda t: t.str.len().sum()) for table in tables]
    whole, some, least = (size / size.sum() for size in sizes)
    assert (some[["valid", "test"]] < whole[["valid", "test"]] / 2).all()
    assert (least[["valid", "test"]] > 0).all()  # no split is empty
    splits = [dict(zip(t["doc_id"], t["split"], strict=True)) for t in tables]
    for larger, smaller in itertools.pairwise(splits):  # none moves, but into training
        assert all(larger[doc_id] == split for doc_id, split in smaller.items() if split != "train")


@settings(deadline=None, max_examples=50)
@given(corpora=st.lists(corpora, min_size=2, max_size=4), seed=st.integers(0, 2**32))
def test_what_is_kept_holds_at_every_size(corpora: list[list[int]], seed: int) -> None:
    decided, lengths, before = Splits(), [], {}
    for added in corpora:
        lengths += added
        texts = [document(seed + n, size).strip() for n, size in enumerate(lengths)]
        ids = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        frame = pd.DataFrame({"doc_id": ids, "split_id": ids, "source": "a.txt", "text": texts})
        planner = SplitPlanner(decided)
        list(planner.observe([frame[: len(frame) // 2], frame[len(frame) // 2 :]]))
        decided = planner.plan(1)
        (table,) = decided.assign([frame])
        after = {
            paragraph: split
            for split, text in zip(table["split"], table["text"], strict=True)
            for paragraph in text.split("\n")
        }
        assert len(after) == sum(lengths)
        if set(after.values()) != set(SPLITS):  # too little text, which `ingest` refuses
            assert sum(lengths) < 5 or max(lengths) < 3
            decided, before = Splits(), {}
            continue
        assert {paragraph: after[paragraph] for paragraph in before} == before
        before = after


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
@pytest.mark.parametrize("count", [3, 8, 60])
def test_rows_of_a_group_share_a_split(tmp_path: Path, suffix: str, count: int) -> None:
    """A text, and its versions, in one table or in two; more texts move none."""
    folder, before = tmp_path / "corpus", {}
    folder.mkdir()
    for step in range(3):
        numbers = range(100 * step, 100 * step + count)
        for version in ("original", "fácil"):
            # Not even a title that both versions have stands in two splits.
            rows = [
                {"obra": n, "text": f"{title} da obra {n}, versão {way}"}
                for n in numbers
                for title, way in (("Título", "única"), ("Corpo", version), ("Fim", version))
            ]
            if version == "fácil":  # the column of the group may be the last
                rows = [dict(reversed(row.items())) for row in rows]
            write_table(folder / f"{step}-{version}.{suffix}", rows)
        table = ingested(folder, reading=ReadingConfig(group_column="obra"))
        assert len(table) == 6 * count * (step + 1)
        groups = table["text"].str.extract(r"obra (\d+)")[0]
        found = table.groupby(groups)["split"].agg(set).to_dict()
        assert all(len(splits) == 1 for splits in found.values())
        assert set().union(*found.values()) == set(SPLITS)
        assert {group: found[group] for group in before} == before
        before = found


def write_table(path: Path, rows: list[dict]) -> None:
    frame = pd.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix in (".json", ".jsonl"):
        lines = path.suffix == ".jsonl"
        frame.to_json(path, orient="records", lines=lines, force_ascii=False)
    else:
        frame.to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")


def test_rows_without_a_group_stand_alone(tmp_path: Path) -> None:
    rows = [{"obra": None, "text": f"Nota número {n}, de ninguém."} for n in range(200)]
    (tmp_path / "corpus").mkdir()
    write_table(tmp_path / "corpus/a.jsonl", rows)
    table = ingested(tmp_path / "corpus", reading=ReadingConfig(group_column="obra"))
    assert set(table["split"]) == set(SPLITS)
    with pytest.raises(InputError, match=r"no column 'livro': .*--group-column \(obra, text\)"):
        ingested(tmp_path / "corpus", reading=ReadingConfig(group_column="livro"))


def test_a_document_that_fills_a_split_is_reported_and_leaves_it_for_a_glob(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "corpus", {f"{n}.txt": document(n, 1) for n in range(3)})
    found = splits(ingested(folder))
    (chosen,) = (source for source, split in found.items() if split == "valid")
    assert caplog.messages[0] == (
        f"By chance no document fell into the valid split: {chosen} is put there, and stays there "
        "when others are added."
    )
    other = next(source for source, split in found.items() if split == "train")
    assert splits(ingested(folder, valid=(other,)))[other] == "valid"
    assert splits(ingested(folder, valid=(other,)))[chosen] == "train"
    assert splits(ingested(folder)) == found


@pytest.mark.parametrize("damage", ["{", "[]", '{"0": "trian"}', '{"0": []}'])
def test_damaged_splits_are_refused(tmp_path: Path, damage: str) -> None:
    folder = write(tmp_path / "corpus", {"a.txt": document(1)})
    ingested(folder)
    (tmp_path / "documents" / "splits.json").write_text(damage)
    with pytest.raises(InputError, match=r"splits\.json is damaged: delete it to split"):
        ingested(folder)


def test_neither_names_nor_order_decide_the_split(tmp_path: Path) -> None:
    # Twelve corpora: in most of them chance leaves a split empty.
    for trial in range(12):
        texts = [document(1000 * trial + n) for n in range(FEW_DOCUMENTS)]
        tables = [
            ingested(
                write(tmp_path / f"{trial}{way}" / "corpus", dict(zip(found, texts, strict=True)))
            )
            for way, found in (
                ("up", [f"{n:02}.txt" for n in range(FEW_DOCUMENTS)]),
                ("down", [f"x/{99 - n}.txt" for n in range(FEW_DOCUMENTS)]),
            )
        ]
        one, two = (dict(zip(table["doc_id"], table["split"], strict=True)) for table in tables)
        assert one == two


def test_globs_choose_the_files_of_a_split(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "corpus",
        {name: document(n) for n, name in enumerate(["a.txt", "b.txt", "x/a.txt", "x/c.txt"])},
    )
    assert splits(ingested(folder, valid=("x/a.txt",), test=("b.txt",))) == {
        "a.txt": "train",
        "b.txt": "test",
        "x/a.txt": "valid",
        "x/c.txt": "train",
    }
    # What both name tests.
    assert splits(ingested(folder, valid=("x/*",), test=("*c.txt",))) == {
        "a.txt": "train",
        "b.txt": "train",
        "x/a.txt": "valid",
        "x/c.txt": "test",
    }


def test_a_name_with_brackets_is_no_glob(tmp_path: Path) -> None:
    files = {"a [1].txt": document(0), "b [2].txt": document(1), "c.txt": document(2)}
    folder = write(tmp_path / "corpus", files)
    found = splits(ingested(folder, valid=("a [1].txt",), test=("b [2].txt",)))
    assert found == {"a [1].txt": "valid", "b [2].txt": "test", "c.txt": "train"}


def test_one_glob_leaves_the_other_split_as_it_was(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {f"{n}.txt": document(n) for n in range(300)})
    whole = splits(ingested(folder))
    chosen = splits(ingested(folder, valid=("1?.txt",)))
    assert {name for name, split in chosen.items() if split == "valid"} == {
        f"1{n}.txt" for n in range(10)
    }
    tested = {name for name, split in whole.items() if split == "test"}
    assert tested - {f"1{n}.txt" for n in range(10)} == {
        name for name, split in chosen.items() if split == "test"
    }


def test_a_glob_that_matches_nothing_is_named_beside_a_name_that_could(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"x/a.txt": document(1), "x/b.txt": document(2)})
    with pytest.raises(InputError, match=r"matches 'c\.txt'.*such as 'x/[ab]\.txt'"):
        ingested(folder, valid=("x/a.txt",), test=("c.txt",))


def test_globs_that_leave_nothing_to_train_on(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"a.txt": document(1), "b.txt": document(2)})
    with pytest.raises(InputError, match="No document is left for the train split"):
        ingested(folder, valid=("a.txt",), test=("b.txt",))


def test_documents_in_parts_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "documents.parquet"
    folder.mkdir()
    texts = [["Um.", "Dois."], [""], ["Três."], ["Quatro.", "Cinco."]]
    for number in (2, 0, 3, 1):
        frame = pd.DataFrame({"split": "train", "text": texts[number]})
        path = folder / f"part-{number:05}.parquet"
        counts = write_parquet([frame, frame[:0]], path, ("split", "text"))
        assert counts == {"train": len(list(filter(None, texts[number]))), "valid": 0, "test": 0}
    expected = [text for part in texts for text in part if text]
    assert pd.concat(read_parquet(folder))["text"].tolist() == expected
    assert pd.read_parquet(folder)["text"].tolist() == expected
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="run `nextword ingest` first"):
        list_parts(tmp_path / "empty")


def test_short_messages_may_be_repeated(tmp_path: Path) -> None:
    twelve = "Um dois três quatro cinco seis\nsete oito nove dez onze doze"
    messages = ["bom dia"] * 4 + [twelve] * 3 + [f"{twelve} treze"] * 2
    rows = "".join(json.dumps({"text": text}) + "\n" for text in messages)
    table = ingested(write(tmp_path / "corpus", {"recados.jsonl": rows}))
    assert table["text"].str.count("bom dia").sum() == 4
    assert table["text"].str.count("doze").sum() == 4
    assert len(removed(tmp_path)) == 1


def test_of_files_with_the_same_text_one_stays(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "corpus",
        {
            "a.txt": document(1, 5),
            "b.txt": document(1, 5).replace("\n", "\r\n\r\n"),
            "c.txt": document(2, 5),
        },
    )
    table = ingested(folder)
    assert set(table["source"]) == {"a.txt", "c.txt"}
    assert removed(tmp_path) == [["b.txt", "", "a.txt", ""]]
    ingest(corpus=[str(folder)], output=tmp_path / "documents", deduplicate=False)
    kept = pd.read_parquet(tmp_path / "documents" / "documents.parquet")
    assert set(kept["source"]) == {"a.txt", "b.txt", "c.txt"}


def test_of_files_with_the_same_text_the_one_named_by_a_glob_stays(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "corpus",
        {"a.txt": document(1), "b.txt": document(1), "c.txt": document(2), "d.txt": document(3)},
    )
    assert splits(ingested(folder, valid=("c.txt",), test=("b.txt",))) == {
        "b.txt": "test",
        "c.txt": "valid",
        "d.txt": "train",
    }


def test_files_that_hold_no_text_are_named_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "corpus", {"bom.txt": document(1), "vazio.txt": "\n \n"})
    (folder / "imagem.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10")
    table = ingested(folder)
    assert set(table["source"]) == {"bom.txt"}
    assert [record.getMessage() for record in caplog.records] == [
        f"Skipped {folder / 'imagem.txt'}: it is a picture.",
        f"Skipped {folder / 'vazio.txt'}: it is empty.",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_long_file_without_text_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "_SECTION", 300)
    folder = write(tmp_path / "corpus", {"a.txt": 999 * "\n"})
    with pytest.raises(InputError, match="holds readable text"):
        ingested(folder)
    ingested(write(folder, {"b.txt": document(1)}))
    assert {record.getMessage() for record in caplog.records} == {
        f"Skipped {folder / 'a.txt'}: it is empty."
    }
    files = pd.read_csv(tmp_path / "documents" / "files.csv", keep_default_na=False)
    told = files[["source", "documents", "letters", "problem"]].to_numpy().tolist()
    assert told[0] == ["a.txt", 0, 0, "it is empty"]
    assert told[1][:2] == ["b.txt", 1]


def test_a_damaged_file_is_read_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(tmp_path / "corpus", {"a.txt": document(1)})
    with (folder / "a.txt").open("ab") as file:
        file.write("A avó não põe açúcar.".encode() + b"\xe9")
    assert "A avó não põe açúcar.\ufffd" in "\n".join(ingested(folder)["text"])
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'a.txt'}: characters that cannot be read: 1."
    ]


def test_what_was_cleaned_is_told_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = "A avó não põe açúcar."
    folder = write(tmp_path / "corpus", {"a.txt": document(1)})
    with (folder / "a.txt").open("ab") as file:
        file.write(f"\n\nUm\x00 fim\x07.\n{line.encode().decode('cp1252')}\n".encode())
        file.write(line.encode("cp1252"))
    assert "\n".join(ingested(folder)["text"]).count(line) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'a.txt'}: paragraphs that were decoded wrongly before and are mended: 1.",
        f"{folder / 'a.txt'}: control characters, which were removed: 2.",
    ]


def test_a_corpus_without_a_readable_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"vazio.txt": ""})
    with pytest.raises(InputError, match="holds readable text"):
        ingested(folder)


def test_the_sample_becomes_documents(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    ingest(corpus=[str(SAMPLE)], output=tmp_path)
    table = pd.read_parquet(tmp_path / "documents.parquet")
    assert len(table) == len(list(SAMPLE.rglob("*.txt")))
    assert set(table["split"]) == set(SPLITS)
    assert not caplog.records


def test_training_text_repeated_in_held_out_text_is_removed_and_reported(tmp_path: Path):
    again = "Ninguém sabia ao certo quem tocava o piano à tarde, nem mesmo o médico da rua."
    passage = f"Ele escreveu: «{again}»"
    texts = {f"{n:02}.txt": document(n, lines=5) for n in range(FEW_DOCUMENTS + 5)}
    texts["03.txt"] += f"Chovia. {passage} E calou-se.\n"
    texts["prova.txt"] = f"{document(99)}{again}\n"
    folder = write(tmp_path / "corpus", texts)
    table = ingested(folder, test=("prova.txt",), valid=("04.txt",))
    assert removed(tmp_path) == [["03.txt", "6", "prova.txt (test)", passage[:100]]]
    letters = table.loc[table["split"] == "train", "text"].str.len().sum() + len(passage)
    assert stages._documents_in_words(tmp_path / "documents").endswith(
        f"left out: 0 repeated documents, {len(passage) / letters:.1%} of the training text "
        "(1 passages that stand again in valid or test)."
    )
    files = pd.read_csv(tmp_path / "documents" / "files.csv").set_index("source")
    assert files["removed"].to_dict() == {**dict.fromkeys(texts, 0), "03.txt": len(passage)}
    (text,) = table.loc[table["source"] == "03.txt", "text"]
    assert text == f"{document(3, lines=5)}Chovia.\nE calou-se."
    assert again in table.loc[table["source"] == "prova.txt", "text"].item()
    for doc_id, text in zip(table["doc_id"], table["text"], strict=True):
        assert doc_id == hashlib.sha256(text.encode()).hexdigest()


def test_a_corpus_of_many_formats(tmp_path: Path):
    folder = tmp_path / "corpus"
    write(folder, {"a.txt": document(1), "notas.md": "# Título\n\nUm *dia* de sol.\n"})
    with gzip.open(folder / "b.txt.gz", "wt", encoding="cp1252") as file:
        file.write(document(2))
    rows = pd.DataFrame({"texto": [f"Linha {n} da tabela." for n in range(30)], "nota": 1})
    rows.to_csv(folder / "c.csv", index=False)
    rows.assign(texto=rows["texto"] + " E mais.").to_parquet(folder / "d.parquet")
    table = ingested(folder, reading=ReadingConfig(text_column="texto"))
    assert len(table) == 3 + 30 + 30
    files = pd.read_csv(tmp_path / "documents" / "files.csv", keep_default_na=False)
    rows = {Path(p).name: tuple(r) for p, *r in files[["path", "encoding", "documents"]].values}
    assert rows == {
        "a.txt": ("utf-8", 1),
        "b.txt.gz": ("cp1252", 1),
        "c.csv": ("utf-8", 30),
        "d.parquet": ("utf-8", 30),
        "notas.md": ("utf-8", 1),
    }
    with pytest.raises(
        InputError, match=r"no column 'text': .*--text-column \(texto: text, nota: numbers\)"
    ):
        ingested(folder, reading=ReadingConfig(text_column="text"))


def test_strict_stops_at_a_file_that_cannot_be_read(tmp_path: Path):
    folder = write(tmp_path / "corpus", {"a.txt": document(1)})
    (folder / "imagem.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10")
    with pytest.raises(InputError, match=r"imagem\.txt cannot be read: it is a picture"):
        ingested(folder, reading=ReadingConfig(strict=True))


def test_a_named_corpus_is_downloaded_and_its_globs_name_its_files(tmp_path: Path, monkeypatch):
    """The catalogue's real download, from a server on this machine."""
    shelf = write(tmp_path / "shelf", {f"conto/{n}.txt": document(n) for n in range(25)})
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(shelf))
    monkeypatch.setenv(catalog.CACHE_VARIABLE, str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files = {
            path.relative_to(shelf).as_posix(): catalog.File(
                hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
            )
            for path in shelf.rglob("*.txt")
        }
        url = f"http://127.0.0.1:{server.server_port}/"
        found = catalog.Corpus("teste", "Contos", "CC0", url, "", url=url, files=files)
        monkeypatch.setattr(catalog, "find", {"teste": found}.get)
        output = tmp_path / "documents"
        output.mkdir()
        ingest(corpus=["teste"], output=output, test=("conto/7.txt",))
        server.shutdown()
    table = pd.read_parquet(output / "documents.parquet")
    assert set(table["source"]) == set(files)
    assert table.loc[table["split"] == "test", "source"].tolist() == ["conto/7.txt"]


def test_a_named_corpus_knows_the_columns_of_its_tables(tmp_path: Path, monkeypatch):
    """Those of the user hold for other tables; a data set has a short name, too."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    for name in ("shelf", "set", "own"):
        (tmp_path / name).mkdir()
    notes = [{"frase": f"Nota {n}.", "obra": n // 2} for n in range(60)]
    write_table(tmp_path / "shelf/notas.tsv", notes)
    write_table(tmp_path / "set/train.jsonl", [{"carta": f"Carta {n}."} for n in range(30)])
    write_table(tmp_path / "own/a.csv", [{"text": f"Recado {n}."} for n in range(30)])
    columns = {"text_column": "frase", "group_column": "obra"}
    known = {
        "notas": catalog.Corpus("notas", "Notas", "CC0", "", "", **columns),
        "cartas": catalog.Corpus(
            "cartas", "Cartas", "CC0", "", "", dataset=f"hf:{tmp_path}/set", text_column="carta"
        ),
    }
    monkeypatch.setattr(catalog, "find", known.get)
    monkeypatch.setattr(catalog, "fetch", lambda _: tmp_path / "shelf")
    output = tmp_path / "documents"
    output.mkdir()
    ingest(corpus=["notas", "cartas", str(tmp_path / "own")], output=output)
    table = pd.read_parquet(output / "documents.parquet")
    texts = [*(row["frase"] for row in notes), *(f"Carta {n}." for n in range(30))]
    assert sorted(table["text"]) == sorted([*texts, *(f"Recado {n}." for n in range(30))])
    found = dict(zip(table["text"], table["split"], strict=True))
    assert all(found[f"Nota {n}."] == found[f"Nota {n + 1}."] for n in range(0, 60, 2))
    head = (output / "files.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "column" not in head


def test_a_hugging_face_dataset(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    rows = pd.DataFrame({"texto": [f"Linha {n} do conjunto.\nE outra." for n in range(40)]})
    (tmp_path / "set").mkdir()
    rows.to_json(tmp_path / "set/train.jsonl", orient="records", lines=True, force_ascii=False)
    output = tmp_path / "documents"
    output.mkdir()
    name = f"hf:{tmp_path / 'set'}"
    ingest(corpus=[name], output=output, reading=ReadingConfig(text_column="texto"))
    table = pd.read_parquet(output / "documents.parquet")
    assert sorted(table["text"]) == sorted(rows["texto"])
    assert set(table["source"]) == {name}


def test_a_large_file_is_read_in_pieces_and_no_frame_is_large(tmp_path: Path):
    paragraph = "O rio desce devagar a serra e leva nas águas folhas e poeira. "
    lines = [f"{n} {paragraph * 8}" for n in range(40_000)]
    (tmp_path / "longo.txt").write_text("\n".join(lines), encoding="utf-8")
    reading = ReadingConfig(strict=True)
    files = cut_files(file_table([str(tmp_path / "longo.txt")], Splits()), reading)
    sizes = [frame["text"].str.len().sum() for frame in read_files([files], reading=reading)]
    assert len(sizes) >= 2
    assert max(sizes) < 2 * 8 * 2**20
    assert sum(sizes) > 0.95 * sum(map(len, lines))


def test_files_are_read_without_tensorflow() -> None:
    """A worker that reads files starts the sooner, and has the more memory for text."""
    code = "import sys, pipeline.corpus.ingest; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
