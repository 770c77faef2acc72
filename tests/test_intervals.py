"""Wilson's interval of a share, where some answers depend on each other."""

import math

import numpy as np
import pytest

from pipeline.evaluation.intervals import share_interval


def test_an_interval_of_independent_answers_is_wilsons():
    """Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662, 0 of 20 is 0 to 0.1611."""
    right = np.arange(263) < 81
    assert share_interval(np.zeros(20, bool), np.arange(20)) == pytest.approx(
        (0, 0, 0.1611), abs=1e-4
    )
    share, low, high = share_interval(right, np.arange(263))
    assert (low, high) == pytest.approx((0.2553, 0.3662), abs=5e-4)
    assert share == 81 / 263


@pytest.mark.parametrize("answer", [0, 1])
def test_where_all_answers_are_alike_each_item_counts_as_one(answer):
    right, items = np.full(12, answer), np.repeat(np.arange(6), 2)
    assert share_interval(right, items) == share_interval(right[::2], items[::2])
    # Where one of two mirrored pairs is right, no item is apart from the others.
    mirrored = np.tile([0, 1], 6)
    assert share_interval(mirrored, items)[2] < share_interval(mirrored, np.arange(12))[2]


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("alike", [0.0, 0.8])
def test_an_interval_covers_what_it_should(alike, share):
    """Of simulated items of two answers, of which a share is alike in both, 95 % are covered."""
    random = np.random.default_rng(7)
    items = np.repeat(np.arange(60), 2)
    covered = 0
    for _ in range(600):
        right = random.random(120) < share
        same = random.random(60) < alike
        right[1::2] = np.where(same, right[::2], right[1::2])
        _, low, high = share_interval(right, items)
        covered += low <= share <= high
    assert 0.925 <= covered / 600 <= 0.98


def test_few_items_that_hold_many_answers_make_a_wide_interval():
    """Six items whose shares differ as those of a beta distribution do."""
    random = np.random.default_rng(3)
    items, covered = np.repeat(np.arange(6), 10), 0
    for _ in range(400):
        right = random.random(60) < random.beta(6, 4, size=6).repeat(10)
        _, low, high = share_interval(right, items)
        covered += low <= 0.6 <= high
    assert 0.93 <= covered / 400 <= 0.99


def test_no_answers_have_no_share():
    assert all(map(math.isnan, share_interval(np.zeros(0), np.zeros(0))))
