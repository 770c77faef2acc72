import math
import re

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import CELLS, TOKENS, VOCABULARY, random_model

from pipeline import InputError
from pipeline.evaluation.evaluator import count_ngrams, unigram
from pipeline.evaluation.minimal_pairs import (
    MinimalPairs,
    band_ends,
    count_right,
    group_by_window,
    prefers_right,
    read_pairs,
)
from pipeline.model.meter import LANES, Meter

HEADER = "item\tdistance\tattractor\tcontext\tright\twrong"


def write(tmp_path, *rows, header=HEADER):
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def pairs_of(*pairs):
    """Pairs of texts, each pair an item of its own."""
    right, wrong = ([np.array(ids, np.int32) for ids in side] for side in zip(*pairs, strict=True))
    return MinimalPairs(pd.DataFrame({"item": range(len(pairs))}), right, wrong)


def ids_of(*words):
    return [TOKENS.index(word) for word in words]


# Reading


def test_pairs_are_read_from_a_table(tmp_path):
    path = write(
        tmp_path,
        "1\t0\tnone\tEla bebeu\tágua\to",
        '2\t5\tother\t"o cachorro\tbebeu\te',
        "3\t6\tsame\t\tEla\tO",
    )
    pairs = read_pairs(path, VOCABULARY)
    assert [ids.tolist() for ids in pairs.right] == [
        ids_of("<s>", "ela", "bebeu", "água"),
        ids_of("<s>", "<unk>", "o", "cachorro", "bebeu"),  # a quotation mark is none of the table's
        ids_of("<s>", "ela"),
    ]
    assert [ids.tolist()[-1] for ids in pairs.wrong] == ids_of("o", "e", "o")
    assert pairs.table["distance"].tolist() == [0, 5, 6]
    assert {*pairs.table} == {"item", "distance", "attractor"}
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")  # a blank last line
    assert len(read_pairs(path, VOCABULARY).right) == 3


def test_only_forms_are_needed_and_whole_sentences_may_be_compared(tmp_path):
    path = write(
        tmp_path,
        "ela bebeu água .\tela bebeu o .",
        "ela bebeu vinho .\tela bebeu vinhos .",
        header="right\twrong",
    )
    with pytest.raises(InputError, match="columns context, right, wrong"):
        read_pairs(path, VOCABULARY)
    path = write(
        tmp_path, "\tEla bebeu água.\tEla bebeu o.", "\tela\tela", header="context\tright\twrong"
    )
    pairs = read_pairs(path, VOCABULARY)
    assert [*pairs.table] == ["item"]
    assert len(pairs.right) == 1


def test_pairs_whose_forms_the_vocabulary_lacks_are_left_out(tmp_path, caplog):
    rows = (
        "1\t0\tnone\to gato\tbebeu\te",
        "2\t0\tnone\tela\tbebia\tbebeu",
        "3\t0\tnone\tela\tfoi\tera",
        "4\t0\tnone\tela\tbebeu\tbebeu água",  # of which the shorter would always be preferred
        "5\t0\tnone\tela\to cachorro\to",
    )
    pairs = read_pairs(write(tmp_path, *rows), VOCABULARY)  # the context may be unknown
    assert pairs.table["item"].tolist() == ["1"]
    assert re.search("4 of 5 pairs in .* are left out", caplog.text)
    with pytest.raises(InputError, match=r"lacks the forms of all pairs in .*name another file"):
        read_pairs(write(tmp_path, *rows[1:]), VOCABULARY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("context\tright\n", "does not have the columns"),
        (HEADER + "\n", "and a row below them"),
        (HEADER + "\n1\tfar\tnone\tela\tbebeu\te\n", "Line 2 of .* has no distance"),
        (HEADER + "\n1\t-1\tnone\tela\tbebeu\te\n", "Line 2 of .* has no distance"),
        (
            HEADER + "\n1\t0\tnone\tela\tbebeu\te\n1\t0\tnone\tela\te\t \n",
            "Line 3 .* no wrong form",
        ),
        (HEADER + "\n\n1\t0\tnone\tela\tbebeu\te\n", "Line 2 .* no right form"),
        ("context\tright\twrong\n1\tela\tbebeu\te\n", "rows .* have more columns than its first"),
        ("\xe1", "cannot be read: name a table in UTF-8"),
    ],
)
def test_what_is_no_table_of_pairs_is_refused(text, message, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_pairs(path, VOCABULARY)
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "none.tsv", VOCABULARY)


def test_other_columns_are_ignored(tmp_path):
    path = write(tmp_path, "\tela\tbebeu\te", header="window\tcontext\tright\twrong")
    assert [*read_pairs(path, VOCABULARY).table] == ["item"]


def test_distances_come_in_bands(tmp_path):
    rows = [f"{d}\t{d}\tnone\tela\tbebeu\te" for d in (0, 4, 5, 6, 7, 12, 15, 16, 31, 99)]
    pairs = read_pairs(write(tmp_path, *rows), VOCABULARY)
    counts = count_right(pairs, {"lstm": np.ones(len(rows))})
    counts = counts[counts["by"] == "distance"]
    bands = {"0": 1, "4": 1, "5-6": 2, "7-9": 1, "10-12": 1, "13-15": 1, "16-20": 1, "31+": 2}
    assert dict(zip(counts["group"], counts["pairs"], strict=True)) == bands
    assert [band_ends(band) for band in ("0", "5-6", "31+")] == [(0, 0), (5, 6), (31, math.inf)]


@pytest.mark.parametrize("window", [5, 6, 7, 40])
def test_a_window_may_end_within_a_band(window, tmp_path):
    """What is as far away as a window has tokens is the first that it does not see."""
    distances = [0, 5, 6, 9, 39, 40]
    rows = [f"{d}\t{d}\tnone\tela\tbebeu\te" for d in distances]
    grouped = group_by_window(read_pairs(write(tmp_path, *rows), VOCABULARY), window)
    inside = [distance for distance in distances if distance < window]
    assert (grouped.table["window"] == "inside").sum() == len(inside)
    counts = count_right(grouped, {"lstm": np.ones(len(rows))})
    counts = counts[counts["by"] == "window"].set_index("group")["pairs"]
    assert counts.to_dict() == {"inside": len(inside), "outside": len(rows) - len(inside)}


# Asking


def test_the_form_of_the_greater_probability_is_preferred():
    """A model that knows p(next | last): only the differing tokens decide."""
    p = np.full((len(TOKENS), len(TOKENS)), 1e-9)
    ela, bebeu, agua, stop = ids_of("ela", "bebeu", "água", ".")
    p[ela, [bebeu, agua]] = 0.5, 0.2
    p[bebeu, stop], p[agua, stop] = 0.1, 0.4
    p[:, 0] = 1 - p[:, 1:].sum(axis=1)
    meter = Meter(lambda ids: tf.gather(tf.constant(np.log(p), tf.float32), ids))
    pairs = pairs_of(
        ([1, ela, bebeu], [1, ela, agua]),  # 0.5 > 0.2
        ([1, ela, agua], [1, ela, bebeu]),
        ([1, ela, bebeu, stop], [1, ela, agua, stop]),  # 0.5 · 0.1 < 0.2 · 0.4
        ([1, ela, agua], [1, ela, bebeu, stop]),  # 0.2 > 0.5 · 0.1
        ([1, agua, ela], [1, agua, bebeu]),
    )
    assert prefers_right(meter, pairs).tolist() == [1, 0, 0, 1, 0.5]


@pytest.mark.parametrize("cell", CELLS)
def test_every_text_is_read_from_an_empty_state(cell):
    """The nats of texts of different lengths, in batches, are those of each text alone."""
    random = np.random.default_rng(3)
    texts = [
        np.append(1, random.integers(0, len(TOKENS), size)).astype(np.int32)
        for size in random.integers(1, 9, 2 * LANES + 3)
    ]
    together = Meter(random_model(cell, batch_size=LANES)).of_texts(texts)
    model = random_model(cell)  # stateless
    for text, nats in zip(texts, together, strict=True):
        log_p = tf.nn.log_softmax(model(text[None, :-1])[0]).numpy()
        expected = -log_p[np.arange(len(text) - 1), text[1:]]
        np.testing.assert_allclose(nats, expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_see_the_cue_is_right_in_exactly_half_of_mirrored_pairs():
    """Neither the unigram model, nor n-grams, nor a feedforward model beyond its window."""
    random = np.random.default_rng(5)
    right, wrong = [], []
    for _ in range(20):
        between = random.integers(2, len(TOKENS), 6)
        one, other = random.choice(np.arange(4, len(TOKENS)), 2, replace=False)
        for cue, good, bad in ((4, one, other), (5, other, one)):
            right.append(np.array([1, cue, *between, good], np.int32))
            wrong.append(np.array([1, cue, *between, bad], np.int32))
    pairs = MinimalPairs(pd.DataFrame({"item": np.repeat(range(20), 2)}), right, wrong)
    train = random.integers(0, len(TOKENS), 500).astype(np.int32)
    reader, counted = count_ngrams(train, order=4, vocabulary_size=len(TOKENS))
    assert counted == 500
    for model in (unigram(VOCABULARY), reader, random_model("feedforward", batch_size=LANES)):
        preferred = prefers_right(Meter(model), pairs)
        assert (preferred[::2] + preferred[1::2] == 1).all()
    remembers = prefers_right(Meter(random_model("lstm", batch_size=LANES)), pairs)
    assert (remembers[::2] == remembers[1::2]).any()


# Counting


def test_pairs_are_counted_by_group():
    table = pd.DataFrame({"item": [1, 1, 2, 2], "distance": [10, 12, 2, 2], "attractor": [*"abab"]})
    right = np.array([True, False, True, True])
    counts = count_right(MinimalPairs(table, [], []), {"lstm": right, "unigram": ~right})
    lstm = counts[counts["model"] == "lstm"]
    assert [*zip(lstm["by"], lstm["group"], lstm["pairs"], lstm["share"], strict=True)] == [
        ("all", "all", 4, 0.75),
        ("distance", "2", 2, 1.0),
        ("distance", "10-12", 2, 0.5),
        ("attractor", "a", 2, 1.0),
        ("attractor", "b", 2, 0.5),
    ]
    assert ((counts["low"] <= counts["share"]) & (counts["share"] <= counts["high"])).all()
