"""Training text that stands again in held-out text."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus import overlap
from pipeline.corpus.overlap import NGRAM, drop_overlap, held_out_ngrams, read_tokens

# Words that the tokenizer leaves alone: 0 → "aa", 1 → "ab", …
LETTERS = [first + second for first, second in itertools.product("abcdefghij", repeat=2)]


def text(numbers: list[int]) -> str:
    return " ".join(LETTERS[number] for number in numbers)


def frame(*rows: tuple[str, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["split", "text"])
    return table.assign(source=[f"{n}.txt" for n in range(len(rows))], doc_id="")


def dropped(*rows: tuple[str, str]) -> list[tuple[str, list]]:
    """(text, what was removed) of each row."""
    table = frame(*rows)
    held_out = held_out_ngrams([table[table["split"] != "train"]])
    (after,) = drop_overlap([table], held_out=held_out)
    return [(t, json.loads(r)) for t, r in zip(after["text"], after["removed"], strict=True)]


def test_a_paragraph_with_thirteen_tokens_of_held_out_text_goes():
    run = list(range(20, 20 + NGRAM))
    first, last = text([1, 2, 3]), text([4, *run, 5])
    (kept, gone), other = dropped(("train", f"{first}\n{last}"), ("test", text([7, *run, 8])))
    assert (kept, gone) == (first, [[2, "1.txt (test)", last]])
    assert other == (text([7, *run, 8]), [])


def test_twelve_tokens_in_a_row_may_stay():
    run = list(range(20, 20 + NGRAM - 1))
    train = text([4, *run, 5])
    assert dropped(("train", train), ("valid", text([7, *run, 8])))[0] == (train, [])


def test_case_does_not_hide_a_run_and_punctuation_counts():
    held_out = "Ela abriu a porta, olhou para a rua e não viu ninguém."  # 13 tokens
    train = "«ELA ABRIU A PORTA, OLHOU PARA A RUA E NÃO VIU NINGUÉM.», contou."
    assert dropped(("train", train), ("test", held_out))[0][0] == ""


def test_a_run_may_go_over_the_end_of_a_paragraph_but_not_of_a_document():
    run = list(range(20, 20 + NGRAM))
    parts = f"{text([1, *run[:6]])}\n{text([*run[6:], 2])}\n{text([3, 4])}"
    (kept, gone), _ = dropped(("train", parts), ("test", text(run)))
    assert kept == text([3, 4])
    assert [place for place, _, _ in gone] == [1, 2]
    halves = ("train", text(run[:6])), ("train", text(run[6:])), ("test", text(run))
    assert all(not gone for _, gone in dropped(*halves))


tokens = st.lists(st.integers(0, 2), min_size=1, max_size=60)


@settings(deadline=None)
@given(train=st.lists(tokens, min_size=1, max_size=4), test=tokens)
def test_what_is_removed_is_what_shares_a_13_gram_written_out(train, test):
    def ngrams(numbers):
        return {tuple(numbers[i : i + NGRAM]) for i in range(len(numbers) - NGRAM + 1)}

    flat = list(itertools.chain(*train))
    owner = [number for number, paragraph in enumerate(train) for _ in paragraph]
    touched = set()
    for start in range(len(flat) - NGRAM + 1):
        if tuple(flat[start : start + NGRAM]) in ngrams(test):
            touched |= set(owner[start : start + NGRAM])
    (kept, gone), _ = dropped(("train", "\n".join(map(text, train))), ("test", text(test)))
    assert kept == "\n".join(text(p) for n, p in enumerate(train) if n not in touched)
    assert {place - 1 for place, _, _ in gone} == touched


def test_hashes_of_different_13_grams_differ():
    random = np.random.default_rng(0)
    found = read_tokens([text(random.integers(0, 100, 20_000).tolist())])
    _, hashes = found.ngrams()
    assert len(np.unique(hashes)) == len(hashes) == 20_000 - NGRAM + 1


@given(numbers=st.lists(st.integers(0, 9)), moved=st.integers(1, 5))
def test_sorted_numbers_move_together_in_their_place(numbers, moved):
    ordered = np.array(sorted(numbers), np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "_MOVED", moved)
        found = overlap._distinct(ordered)
    assert found.tolist() == sorted(set(numbers))
    assert found.base is ordered


def test_nothing_is_held_out():
    assert dropped(("train", text([1] * 20))) == [(text([1] * 20), [])]


def test_held_out_13_grams_are_told_once_and_by_the_document_that_has_them_first():
    words = [f"palavra{i}" for i in range(20)]
    texts = [" ".join(words), " ".join(words[3:]), " ".join(["outra", *words])]
    frames = [
        pd.DataFrame({"source": ["a", "b"], "split": ["valid", "test"], "text": texts[:2]}),
        pd.DataFrame({"source": ["c"], "split": ["test"], "text": texts[2:]}),
    ]
    held_out = held_out_ngrams(frames)
    assert held_out.sources == ["a (valid)", "b (test)", "c (test)"]
    assert (np.diff(held_out.hashes) > 0).all()
    assert np.bincount(held_out.owners).tolist() == [20 - NGRAM + 1, 0, 1]
