"""Word vectors against their definition, and what training begins with."""

import math

import numpy as np
import pytest
from conftest import VOCABULARY
from scipy import sparse

from pipeline.training import word_vectors as module
from pipeline.training.word_vectors import _count_pairs, mutual_information, word_vectors


def test_neighbours_by_hand():
    # 0 1 2 1: pairs at distance 1: 01, 12, 21; at distance 2: 02, 11; at distance 3: 01.
    counts = _count_pairs(np.array([0, 1, 2, 1], np.int32), 4).toarray()
    by_hand = np.zeros((4, 4))
    by_hand[0, 1] = by_hand[1, 0] = 1 + 1 / 3
    by_hand[1, 2] = by_hand[2, 1] = 2
    by_hand[0, 2] = by_hand[2, 0] = 1 / 2
    by_hand[1, 1] = 2 / 2
    np.testing.assert_allclose(counts, by_hand)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_chunks_count_the_same(chunk, monkeypatch):
    stream = np.random.default_rng(5).integers(0, 6, 40).astype(np.int32)
    whole = _count_pairs(stream, 6).toarray()
    monkeypatch.setattr(module, "_CHUNK", chunk)
    np.testing.assert_allclose(_count_pairs(stream, 6).toarray(), whole)


def test_mutual_information_by_hand():
    counts = sparse.csr_array(np.array([[0.0, 3.0, 0.0], [3.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    got = mutual_information(counts).toarray()
    q = np.array([3**0.75, 4**0.75, 1]) / (3**0.75 + 4**0.75 + 1)
    # p(i, j) / p(i) = p(j | i)
    assert got[0, 1] == pytest.approx(math.log(1 / q[1]))
    assert got[1, 0] == pytest.approx(math.log(0.75 / q[0]))
    assert got[1, 2] == pytest.approx(math.log(0.25 / q[2]))
    assert got[0, 0] == got[0, 2] == got[2, 2] == 0


def test_words_in_the_same_places_have_the_same_vectors():
    random = np.random.default_rng(2)
    pairs = [(5, 6), (7, 8)]  # "5 a" and "6 a" as often, and so "7 b" and "8 b"
    stream = np.array([token for _ in range(3000) for token in _phrase(random, pairs)], np.int32)
    vectors = word_vectors(stream, vocabulary_size=10, length=4, seed=1)
    assert vectors.shape == (10, 4)
    assert vectors.dtype == np.float32
    assert vectors.std() == pytest.approx(0.2 / math.sqrt(12), rel=1e-3)
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths[9] == pytest.approx(0, abs=1e-6)  # it does not occur
    cosine = vectors[:9] @ vectors[:9].T / np.outer(lengths[:9], lengths[:9])
    assert cosine[5, 6] > 0.95
    assert cosine[7, 8] > 0.95
    assert max(cosine[5, 7], cosine[6, 8]) < 0.8


def _phrase(random, pairs):
    kind = random.integers(2)
    return [2 * kind, int(random.choice(pairs[kind])), 2 * kind + 1, 4]


def test_a_seed_gives_the_same_vectors():
    stream = np.random.default_rng(3).integers(0, len(VOCABULARY), 500).astype(np.int32)
    options = {"vocabulary_size": len(VOCABULARY), "length": 20}  # more than there are words
    first, second, other = (word_vectors(stream, seed=seed, **options) for seed in (1, 1, 2))
    assert first.tobytes() == second.tobytes()
    assert not np.array_equal(first, other)


def test_a_text_of_one_token_has_no_neighbours():
    vectors = word_vectors(np.array([1], np.int32), vocabulary_size=5, length=3, seed=1)
    assert not vectors.any()
