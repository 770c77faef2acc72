"""The minimal pairs of data/agreement.tsv."""

import csv
from collections import Counter
from itertools import takewhile
from typing import NamedTuple

import pytest
import tensorflow as tf
from conftest import ROOT, SAMPLE

from pipeline.corpus.ingest import ingest
from pipeline.text.tokenizer import normalise, tokenize
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.tokenize import tokenize as tokenize_documents

COLUMNS = "item phenomenon feature distance attractor context right wrong".split()
PHENOMENA = ("verb", "adjective", "participle", "possessive", "clitic", "quantifier")
DISTANCES = range(16)


class Pair(NamedTuple):
    """Two mirrored rows, and the tokens of their contexts."""

    rows: tuple[dict[str, str], dict[str, str]]
    contexts: tuple[list[str], list[str]]

    @property
    def before(self) -> int:
        """Number of tokens before the cue."""
        return len(list(takewhile(lambda t: t[0] == t[1], zip(*self.contexts, strict=True))))

    @property
    def distance(self) -> int:
        """Number of tokens between the cue and the target."""
        turned = (reversed(context) for context in self.contexts)
        return len(list(takewhile(lambda t: t[0] == t[1], zip(*turned, strict=True))))


def tokens_of(texts: list[str]) -> list[list[str]]:
    tokens = tokenize(tf.constant(texts))
    folded = tokens.with_values(normalise(tokens.values, case="fold", numbers="keep"))
    return [[token.decode() for token in text] for text in folded.to_list()]


@pytest.fixture(scope="module")
def rows():
    with (ROOT / "data/agreement.tsv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        assert reader.fieldnames == COLUMNS
        return list(reader)


@pytest.fixture(scope="module")
def pairs(rows):
    contexts = tokens_of([row["context"] for row in rows])
    halves = [[*zip(rows[i::2], contexts[i::2], strict=True)] for i in (0, 1)]
    return [Pair(*zip(*both, strict=True)) for both in zip(*halves, strict=True)]


def test_the_file_is_large_and_no_row_stands_twice(rows):
    assert len(rows) >= 640
    assert len({row["context"] for row in rows}) == len(rows)
    assert all(row[c] == " ".join(row[c].split()) != "" for row in rows for c in COLUMNS)


def test_the_right_form_of_a_row_is_the_wrong_form_of_its_mirror(pairs):
    for number, (rows, _) in enumerate(pairs, start=1):
        first, second = rows
        for column in ("item", "phenomenon", "feature", "distance"):
            assert first[column] == second[column]
        assert first["item"] == str(number)
        assert (first["right"], first["wrong"]) == (second["wrong"], second["right"])
        assert first["right"] != first["wrong"]


def test_mirrored_contexts_differ_in_one_noun_and_its_determiner(pairs):
    for pair in pairs:
        first, second = pair.contexts
        assert len(first) == len(second), pair
        assert 1 <= len(first) - pair.before - pair.distance <= 2, pair


def test_distance_is_the_number_of_tokens_between_cue_and_target(pairs):
    assert [str(p.distance) for p in pairs] == [p.rows[0]["distance"] for p in pairs]


def test_an_attractor_is_like_the_cue_in_one_of_two_mirrored_rows(pairs):
    for pair in pairs:
        found = sorted(row["attractor"] for row in pair.rows)
        assert found in (["none", "none"], ["other", "same"]), pair
        assert pair.distance > 1 or found[0] == "none", pair


def test_every_distance_feature_and_phenomenon_has_rows_enough(rows):
    cells = Counter((int(row["distance"]), row["attractor"] != "none") for row in rows)
    assert {distance for distance, _ in cells} == {*DISTANCES}
    for distance in DISTANCES:
        without, attracted = cells[distance, False], cells[distance, True]
        assert without + attracted >= 40
        assert distance < 2 or abs(without - attracted) <= 0.15 * (without + attracted)
    features = Counter(row["feature"] for row in rows)
    assert set(features) == {"number", "gender"}
    assert min(features.values()) >= 0.45 * len(rows)
    phenomena = Counter(row["phenomenon"] for row in rows)
    assert set(phenomena) == set(PHENOMENA)
    assert min(phenomena.values()) >= 40
    distances = {(row["phenomenon"], row["distance"]) for row in rows}
    assert min(Counter(phenomenon for phenomenon, _ in distances).values()) >= 10


def test_cues_and_frames_are_many(pairs):
    cues, frames = Counter(), Counter()
    for pair in pairs:
        end = len(pair.contexts[0]) - pair.distance
        cues.update(context[end - 1] for context in pair.contexts)
        frames[*pair.contexts[0][end:], pair.rows[0]["phenomenon"]] += 2
    assert max(cues.values()) <= 0.05 * 2 * len(pairs)
    assert len(frames) >= 60
    assert max(frames.values()) <= 40


def test_the_default_vocabulary_knows_every_word(rows, pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    ingest(corpus=[str(SAMPLE)], output=folder)
    tokenize_documents(folder, folder, config=VocabularyConfig())
    known = set(Vocabulary.load(folder / "vocabulary.tsv").tokens)
    forms = {row[column] for row in rows for column in ("right", "wrong")}
    assert tokens_of(sorted(forms)) == [[form] for form in sorted(forms)]
    words = forms.union(*(context for pair in pairs for context in pair.contexts))
    assert words <= known, words - known


def test_data_readme_counts_the_rows(rows):
    counted = Counter((row["phenomenon"], row["feature"]) for row in rows)
    table = (ROOT / "data/README.md").read_text(encoding="utf-8")
    for phenomenon in PHENOMENA:
        number, gender = counted[phenomenon, "number"], counted[phenomenon, "gender"]
        assert f"\n| {phenomenon} | {number} | {gender} | " in table
