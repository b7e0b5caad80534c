"""Two groups compared from their moments are two groups compared cell by cell."""

import numpy as np
import pytest

from modulae.core.scores.activity import activity_difference
from modulae.core.statistics import group_pairs
from modulae.core.statistics.group_pairs import GroupActivity, pairs


@pytest.fixture
def cells():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, 90)
    codes[:5] = 3
    units = (rng.normal(size=(90, 6)) + codes[:, None] * [0, 1, -2, 0.1, 0, 5]).astype(np.float32)
    units[:, 4] = 0.3  # never changes
    return units, codes[None, :] == np.arange(4)[:, None]


@pytest.mark.parametrize(("group", "reference"), [([0], [1]), ([3], [0, 1, 2]), ([2, 1], [3])])
def test_difference_is_that_of_the_cells(cells, group, reference):
    units, members = cells
    by_cell = activity_difference(units, members[group].any(axis=0), members[reference].any(axis=0))
    found = GroupActivity.of(units, members).difference(np.array(group), np.array(reference))
    np.testing.assert_allclose(found, by_cell, rtol=1e-10, atol=1e-12)
    assert found[4] == 0
    assert np.abs(found[[0, 1, 2, 3, 5]]).min() > 0


def test_sides_take_cells_as_they_come(cells):
    units, members = cells
    n, mean, variance = GroupActivity.of(units, members).side(np.array([1, 3]))
    both = units[members[[1, 3]].any(axis=0)].astype(np.float64)
    assert n == len(both)
    np.testing.assert_allclose(mean, both.mean(axis=0))
    np.testing.assert_allclose(variance, both.var(axis=0), atol=1e-12)


def test_sets_are_weighted_with_the_saliency_of_the_cells_of_both_sides(cells):
    units, members = cells
    saliency = np.random.default_rng(0).normal(size=(4, 3, 6))  # groups × sets × units
    activity = GroupActivity.of(units, members)
    found = activity.set_difference(np.array([0]), np.array([2]), saliency)
    n = members.sum(axis=1)
    by_hand = [
        sum(
            (n[0] * saliency[0, s, u] + n[2] * saliency[2, s, u])
            / (n[0] + n[2])
            * activity_difference(units, members[0], members[2])[u]
            for u in range(6)
        )
        for s in range(3)
    ]
    np.testing.assert_allclose(found, by_hand)


def test_order_of_pairs():
    listed = [(list(group), list(reference)) for group, reference in pairs(3)]
    assert listed == [([0], [1, 2]), ([1], [0, 2]), ([2], [0, 1]), ([0], [1]), ([0], [2]), ([1], [2])]
    assert pairs(1) == []


def test_moments_are_the_same_a_few_cells_at_a_time(cells, monkeypatch):
    units, members = cells
    monkeypatch.setattr(group_pairs, "CELLS_AT_ONCE", 3)
    found = GroupActivity.of(units, members)
    for at, member in enumerate(members):
        exact = units[member].astype(np.float64)
        np.testing.assert_allclose(found.mean[at], exact.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.variance[at], exact.var(axis=0), rtol=1e-9, atol=1e-12)
