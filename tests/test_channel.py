"""The noisy channel: what it costs to type one word while another is meant."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text import channel
from pipeline.text.channel import Channel, Costs, encode, letter_sets

# Not those that were fitted, so that these tests do not depend on them.
COSTS = Costs(
    accent=2.0, tilde=2.1, cedilla=2.2, added_accent=4.0, other_accent=3.0, sound=3.5, vowel=4.1,
    key=4.5, other_vowel=5.5, letter=6.5, doubled=4.2, added_key=4.6, added_vowel=5.0, added=5.6,
    single=3.1, silent=3.6, lost_vowel=4.7, lost=4.8, hyphen=2.3, swapped=4.3, cluster=3.7,
    spelled_out=4.4, first=1.9,
)  # fmt: skip
CHANNEL = Channel.of(COSTS)


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)] * 2, autograph=False)
def all_costs(typed, meant):
    return CHANNEL.costs(encode(typed).to_tensor(), encode(meant).to_tensor())


def cost(typed: str, meant: str) -> float:
    return float(all_costs(tf.constant([typed]), tf.constant([meant]))[0, len(meant)])


@pytest.mark.parametrize(
    ("typed", "meant", "edits"),
    [
        ("casa", "casa", []),
        ("nao", "não", ["tilde"]),
        ("preco", "preço", ["cedilla"]),
        ("voce", "você", ["accent"]),
        ("idéia", "ideia", ["added_accent"]),
        ("vôce", "você", ["added_accent", "accent"]),
        ("nâo", "não", ["other_accent"]),
        ("caza", "casa", ["sound"]),
        ("minino", "menino", ["vowel"]),
        ("casw", "casa", ["key"]),
        ("caramba", "caramza", ["letter"]),
        ("cassa", "casa", ["doubled"]),
        ("cachoro", "cachorro", ["single"]),
        ("telefne", "telefone", ["lost_vowel"]),
        ("mecado", "mercado", ["lost"]),
        ("omem", "homem", ["silent", "first"]),
        ("guarda chuva".replace(" ", ""), "guarda-chuva", ["hyphen"]),
        ("mercaod", "mercado", ["swapped"]),
        ("almossar", "almoçar", ["spelled_out"]),
        ("exelente", "excelente", ["cluster"]),
        ("xave", "chave", ["cluster"]),
        ("espectativa", "expectativa", ["sound"]),
    ],
)
def test_edits_of_real_errors(typed, meant, edits):
    assert cost(typed, meant) == pytest.approx(sum(getattr(COSTS, e) for e in edits), abs=1e-3)


def reference(typed: str, meant: str) -> float:
    """The cheapest edits, by the textbook's recursion over the ends of both words."""
    kinds, clusters = channel._kinds(), channel._cluster_numbers()
    values = [*vars_of(COSTS), 0.0, channel._INFINITE]
    t, w = (encode(tf.constant([word])).values.numpy().tolist() for word in (typed, meant))
    first = COSTS.first

    @functools.cache
    def best(i: int, j: int) -> float:
        if i == j == 0:
            return 0.0
        ways = [math.inf]
        before = w[j - 2] if j > 1 else 0
        if i:
            after = w[j - 1] if j else 0
            ways.append(best(i - 1, j) + values[kinds["insert"][t[i - 1], after]])
            ways[-1] += first * (i == 1)
        if j:
            lost = values[kinds["delete"][w[j - 1], before]] + first * (j == 1)
            ways.append(best(i, j - 1) + lost)
        if i and j:
            changed = first * (i == j == 1 and t[0] != w[0])
            ways.append(best(i - 1, j - 1) + values[kinds["substitute"][t[i - 1], w[j - 1]]])
            ways[-1] += changed
        if i and j > 1:
            cluster = clusters[before, w[j - 1]]
            ways.append(best(i - 1, j - 2) + values[kinds["merge"][cluster, t[i - 1]]])
        if i > 1 and j:
            cluster = clusters[t[i - 2], t[i - 1]]
            ways.append(best(i - 2, j - 1) + values[kinds["split"][cluster, w[j - 1]]])
        if i > 1 and j > 1 and t[i - 1] == before and t[i - 2] == w[j - 1]:
            ways.append(best(i - 2, j - 2) + COSTS.swapped)
        return min(ways)

    return best(len(t), len(w))


def vars_of(costs: Costs) -> list[float]:
    return [getattr(costs, name) for name in channel._KINDS]


WORDS = st.text("aeãsçxchhr-é", min_size=1, max_size=7)


@settings(deadline=None, max_examples=150)
@given(WORDS, WORDS)
def test_the_cheapest_edits_are_found(typed, meant):
    assert cost(typed, meant) == pytest.approx(reference(typed, meant), abs=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=2, max_size=5))
def test_a_row_does_not_depend_on_the_others(pairs):
    typed, meant = zip(*pairs, strict=True)
    together = all_costs(tf.constant(typed), tf.constant(meant)).numpy()
    for row, (t, m) in zip(together, pairs, strict=True):
        alone = all_costs(tf.constant([t]), tf.constant([m])).numpy()[0]
        np.testing.assert_allclose(row[: len(m) + 1], alone, atol=1e-3)


def test_a_column_is_what_the_first_letters_cost():
    row = all_costs(tf.constant(["merc"]), tf.constant(["mercado"])).numpy()[0]
    assert row[4] == 0
    for size in range(8):
        assert row[size] == pytest.approx(reference("merc", "mercado"[:size]), abs=1e-3)


def test_the_gradient_counts_the_edits():
    values = tf.constant(vars_of(COSTS))
    with tf.GradientTape() as tape:
        tape.watch(values)
        row = Channel(values).costs(encode(tf.constant(["exelemte"])).to_tensor(),
                                    encode(tf.constant(["excelente"])).to_tensor())[0]  # fmt: skip
        total = row[len("excelente")]
    counts = dict(zip(channel._KINDS, tape.gradient(total, values).numpy(), strict=True))
    assert {name: n for name, n in counts.items() if n} == {"cluster": 1, "sound": 1}


def test_letter_sets_have_no_accents_and_no_hyphens():
    words = tf.constant(["ação", "cao", "guarda-chuva", "guardacuva", "ж", "quero", "keuro"])
    sets = letter_sets(encode(words).to_tensor()).numpy()
    assert sets[0] == sets[1] == 0b1 << 0 | 1 << 2 | 1 << 14
    assert sets[2] == sets[3]
    assert sets[4] == 1 << 26
    assert sets[5] == sets[6]
