"""Training text that stands again in held-out text."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus import overlap
from pipeline.corpus.documents import NGRAM
from pipeline.corpus.overlap import (
    HeldOut,
    drop_overlap,
    hash_tokens,
    held_out_ngrams,
    look_up,
)

# Words that the tokenizer leaves alone, none an abbreviation: 0 → "aau", 1 → "abu", …
LETTERS = [f"{first}{second}u" for first, second in itertools.product("abcdefghij", repeat=2)]


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


RUN = list(range(20, 20 + NGRAM))


def test_a_sentence_with_thirteen_tokens_of_held_out_text_goes():
    run = RUN
    first, last = text([1, 2, 3]), text([4, *run, 5])
    (kept, gone), other = dropped(("train", f"{first}\n{last}"), ("test", text([7, *run, 8])))
    assert (kept, gone) == (first, [[2, "1.txt (test)", last]])
    assert other == (text([7, *run, 8]), [])


@pytest.mark.parametrize("beside", [NGRAM - 1, NGRAM])
def test_of_a_long_sentence_the_run_goes_and_short_rests_of_it(beside: int):
    head, tail = [40, *range(1, beside)], [50, *range(1, beside)]
    sentence = text([*head, *RUN, *tail])
    paragraph = f"Antes. {sentence}. Depois."
    (kept, gone), _ = dropped(("train", paragraph), ("test", text([7, *RUN, 8])))
    if beside < NGRAM:  # the full stop is a token of the rest as well
        assert kept == f"Antes.\n{text(tail)}. Depois."
        assert gone == [[1, "1.txt (test)", text([*head, *RUN])]]
    else:
        assert kept == f"Antes. {text(head)}\n{text(tail)}. Depois."
        assert gone == [[1, "1.txt (test)", text(RUN)]]


def test_sentences_about_a_formula_stay():
    formula = text(RUN)
    train = f"O Sr. Sá saiu. Disse: «{formula}». E o Sr. Sá voltou."
    (kept, gone), _ = dropped(("train", train), ("test", f"{formula}."))
    assert kept == "O Sr. Sá saiu.\nE o Sr. Sá voltou."
    assert gone == [[1, "1.txt (test)", f"Disse: «{formula}»."]]


def test_what_comes_to_stand_side_by_side_shares_nothing_either():
    before, after = list(range(40, 60)), list(range(60, 80))
    train = "\n".join(map(text, (before, RUN, after)))
    held_out = f"{text(RUN)}\n{text([*before[-7:], *after[:6]])}"
    (kept, gone), _ = dropped(("train", train), ("test", held_out))
    assert kept == f"{text(before[:-7])}\n{text(after[6:])}"
    assert [row[::2] for row in gone] == [
        [1, text(before[-7:])],
        [2, text(RUN)],
        [3, text(after[:6])],
    ]


def test_sixty_texts_of_which_half_hold_a_formula_keep_all_the_rest():
    random = np.random.default_rng(0)
    formula = text(range(60, 74))
    texts = [[text(random.integers(0, 60, 20)) for _ in range(2)] for _ in range(60)]
    rows = [
        ("train" if n > 3 else "test", f" {formula} ".join(t) if n % 2 else " ".join(t))
        for n, t in enumerate(texts)
    ]
    for (split, before), (after, gone), parts in zip(rows, dropped(*rows), texts, strict=True):
        shared = split == "train" and formula in before
        assert after == ("\n".join(parts) if shared else before)
        assert [passage for _, _, passage in gone] == [formula] * shared


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


def shared(tokens: list, held_out: list) -> list[range]:
    """Where the 13-grams of a list begin and end that another one has too."""
    ngrams = {tuple(held_out[i : i + NGRAM]) for i in range(len(held_out))}
    places = (range(i, i + NGRAM) for i in range(len(tokens) - NGRAM + 1))
    return [place for place in places if tuple(tokens[i] for i in place) in ngrams]


def words_that_go(paragraphs: list[list[str]], held_out: str) -> set[tuple[int, int]]:
    """(paragraph, word) of all that must go, from words that may end in a full stop."""

    def cut(word: str) -> list[str]:
        return [word.rstrip("."), "."] if word.endswith(".") else [word]

    held_out_tokens = [token for word in held_out.split() for token in cut(word)]
    gone: set[tuple[int, int]] = set()
    while True:
        tokens = [
            (token, (number, place))
            for number, words in enumerate(paragraphs)
            for place, word in enumerate(words)
            for token in cut(word)
            if (number, place) not in gone
        ]
        runs = shared([token for token, _ in tokens], held_out_tokens)
        if not runs:
            return gone
        gone |= {tokens[i][1] for run in runs for i in run}
        for number, words in enumerate(paragraphs):
            sentences = list(itertools.accumulate((w.endswith(".") for w in words), initial=0))
            hurt = {sentences[place] for n, place in gone if n == number}
            keys = [(sentences[place], (number, place) in gone) for place in range(len(words))]
            for (sentence, _), rest in itertools.groupby(range(len(words)), keys.__getitem__):
                rest = list(rest)
                if sentence in hurt and sum(len(cut(words[p])) for p in rest) < NGRAM:
                    gone |= {(number, place) for place in rest}


# Stretches of one text, and of none: how they are ended.
stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from(["", "", ".", "\n"])),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(train=stretches, test=stretches)
def test_what_goes_is_what_must_and_nothing_is_shared_after(train, test):
    def written(parts):
        return " ".join(text(range(at, at + n)) + end for at, n, end in parts).replace("\n ", "\n")

    before, held_out = written(train).strip(), written(test).strip()
    paragraphs = [paragraph.split() for paragraph in before.split("\n")]
    gone = words_that_go(paragraphs, held_out)
    (kept, passages), _ = dropped(("train", before), ("test", held_out))

    expected, removed = [], []
    for number, words in enumerate(paragraphs):
        keys = [(number, place) in gone for place in range(len(words))]
        for out, group in itertools.groupby(range(len(words)), keys.__getitem__):
            stretch = " ".join(words[place] for place in group)
            (removed.append([number + 1, stretch]) if out else expected.append(stretch))
    assert kept.split("\n") == (expected or [""])
    assert [row[::2] for row in passages] == removed
    left, others = (hash_tokens([t]).fingerprints.tolist() for t in (kept, held_out))
    assert not shared(left, others)


def test_hashes_of_different_13_grams_differ():
    random = np.random.default_rng(0)
    found = hash_tokens([text(random.integers(0, 100, 20_000).tolist())])
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


def test_held_out_13_grams_are_reported_once_with_the_first_document_that_has_them():
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


def test_hashes_are_found_by_their_first_bits_as_by_search() -> None:
    random = np.random.default_rng(1)
    ordered = np.unique(random.integers(0, 2**64, 5000, np.uint64))
    near = ordered[:1000] + np.uint64(1)  # the same first bits
    asked = np.concatenate([ordered[::7], near, random.integers(0, 2**64, 5000, np.uint64)])
    for hashes in (ordered, ordered[:0]):
        found = HeldOut(hashes, np.zeros(len(hashes), np.int64), []).look_up(asked)
        for got, expected in zip(found, look_up(asked, hashes), strict=True):
            np.testing.assert_array_equal(got, expected)
