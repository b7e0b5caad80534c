"""Sums of parts of the cells."""

import numpy as np
import pytest

from modulae.core.statistics.differences.moments import centre_and_spread, moments_of


@pytest.fixture
def values():
    return np.random.default_rng(0).gamma(1, 2, (70, 3)).astype(np.float32)


def test_mean_and_scatter_are_those_of_each_part(values, monkeypatch):
    monkeypatch.setattr("modulae.core.statistics.differences.moments.CELLS_AT_ONCE", 16)
    parts = np.random.default_rng(1).integers(-1, 4, 70)
    found = moments_of(values, parts, 5, centre=np.array([1.0, 2, 3]), spread=2.0)
    for part in range(4):
        mine = (values[parts == part].astype(float) - [1, 2, 3]) / 2
        np.testing.assert_allclose(found.mean[part], mine.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(found.scatter[part], ((mine - mine.mean(axis=0)) ** 2).sum(axis=0), rtol=1e-10)
        assert found.n[part] == len(mine)
    assert found.n[4] == 0
    np.testing.assert_array_equal(found.mean[4], 0)


def test_parts_are_added_and_taken_away(values):
    parts = np.arange(70) % 3
    three = moments_of(values, parts, 3)
    two = three.gathered(np.array([0, 1, 1]), 2)
    mine = values[parts > 0].astype(float)
    np.testing.assert_allclose(two.mean[1], mine.mean(axis=0))
    without = three.gathered(np.zeros(3, int), 1) - two.of(slice(1, 2))
    np.testing.assert_allclose(without.scatter[0], three.scatter[0], rtol=1e-9)


def test_spread_is_over_the_cells_in_use_and_far_from_zero(values):
    values = values + np.float32(1000)
    values[:, 2] = 7
    used = np.arange(70) < 50
    centre, spread, still = centre_and_spread(values, used)
    np.testing.assert_allclose(centre, values[used].astype(float).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(spread[:2], values[used, :2].astype(float).std(axis=0), rtol=1e-9)
    assert still.tolist() == [False, False, True]
    assert spread[2] == 1
