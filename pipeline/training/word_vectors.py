"""The word vectors that training begins with: they tell which words have similar neighbours.

Two words i and j that stand at most four tokens apart, each pair counted 1 / distance times, have
the positive pointwise mutual information

    ppmi(i, j) = max(0, ln p(i, j) / (p(i) q(j))),  q(j) ∝ p(j)^0.75

and a truncated singular value decomposition ppmi ≈ U S Vᵀ gives the vectors U √S (Levy, Goldberg &
Dagan 2015, §2 and §3).
"""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

# Tokens between two that count as neighbours, plus one.
_DISTANCE = 4
# Tokens that are counted at once.
_CHUNK = 2**22
# That of uniform numbers from −0.1 to 0.1, `LanguageModel`'s embedding.
_DEVIATION = 0.2 / 12**0.5


def word_vectors(stream: np.ndarray, *, vocabulary_size: int, length: int, seed: int) -> np.ndarray:
    """Compute word vectors from text.

    Args:
        stream: int32 ids of the training text, (tokens,).
        vocabulary_size: V.
        length: E, of a vector.
        seed: of the decomposition, which is approximate.

    Returns:
        float32, (V, E); a word without neighbours has zeros.
    """
    ppmi = mutual_information(_count_pairs(stream, vocabulary_size))
    count = min(length, vocabulary_size)
    u, s, _ = randomized_svd(ppmi, count, n_iter=2, random_state=seed)
    # Turned at random, so that no unit of a vector says more than another.
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(length, length)))
    vectors = u * np.sqrt(s) @ turned[:count]
    return (vectors * (_DEVIATION / max(vectors.std(), 1e-12))).astype(np.float32)


def _count_pairs(stream: np.ndarray, vocabulary_size: int) -> sparse.csr_array:
    """Count 1 / distance for each pair of neighbours, (V, V), symmetric."""
    counts = sparse.csr_array((vocabulary_size, vocabulary_size))
    for start in range(0, len(stream), _CHUNK):
        ids = stream[start : start + _CHUNK + _DISTANCE]
        for distance in range(1, _DISTANCE + 1):
            first = ids[:_CHUNK][: max(len(ids) - distance, 0)]
            second = ids[distance:][: len(first)]
            weights = np.full(len(first), 1 / distance)
            counts += sparse.csr_array((weights, (first, second)), shape=counts.shape)
    return counts + counts.T


def mutual_information(counts: sparse.csr_array) -> sparse.csr_array:
    """Compute ppmi(i, j) of symmetric counts, (V, V) both."""
    pairs = counts.tocoo()
    p = counts.sum(axis=1)
    q = p**0.75 / ((p**0.75).sum() or 1)
    i, j = pairs.coords
    ppmi = np.maximum(np.log(pairs.data / (p[i] * q[j])), 0)
    return sparse.csr_array((ppmi, (i, j)), shape=counts.shape)
