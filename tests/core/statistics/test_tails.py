"""p-values beyond the largest permuted value: right where nothing differs, small where something does."""

import numpy as np
import pytest

from modulae.core.statistics.differences.donors import compare_donors
from modulae.core.statistics.multiple_tests import false_discovery_rates
from modulae.core.statistics.permutation import compare_cells, matched_sets
from modulae.core.statistics.tails import smallest_tail_p, tail_p

N = 1000
DRAWS = {
    "normal": lambda rng, shape: np.abs(rng.normal(size=shape)),
    "skewed": lambda rng, shape: np.abs(rng.exponential(size=shape) - 1),
    "nearly normal": lambda rng, shape: np.abs(rng.gamma(10, size=shape) - 10),
}


def plain_p(observed, permuted):
    return (1 + (permuted >= observed).sum(axis=0)) / (1 + len(permuted))


def followed(observed, permuted):
    return tail_p(observed, permuted, plain_p(observed, permuted))


@pytest.mark.parametrize("name", DRAWS)
def test_where_nothing_differs_small_p_are_as_rare_as_they_say(name):
    """Of 40 000 tests 400 should have p <= 0.01, 40 p <= 0.001 and 4 p <= 0.0001; the tail errs to the safe side."""
    rng, draw = np.random.default_rng(0), DRAWS[name]
    p = np.concatenate([followed(draw(rng, 2000), draw(rng, (N, 2000))) for _ in range(20)])
    assert 300 < (p <= 0.01).sum() < 450
    assert 8 < (p <= 0.001).sum() < 50
    assert (p <= 1e-4).sum() < 12


def test_a_known_tail_is_followed_with_some_room():
    rng = np.random.default_rng(1)
    for true in (1e-3, 1e-4, 1e-5):
        found = followed(np.full(400, -np.log(true)), rng.exponential(size=(N, 400)))
        assert true < np.median(found) < 10 * true


def test_what_is_far_out_has_the_smallest_p_there_is():
    rng = np.random.default_rng(2)
    found = followed(np.full(200, 30.0), np.abs(rng.normal(size=(N, 200))))
    assert np.median(found) == smallest_tail_p(N) == 1 / 1001**2
    assert found.max() <= 1 / 1001
    assert (found < 1e-4).mean() > 0.9  # of the others no tail fits well enough


def test_where_many_are_as_far_out_p_is_their_share():
    rng = np.random.default_rng(3)
    permuted, observed = rng.exponential(size=(N, 300)), rng.exponential(size=300) / 2
    plain = plain_p(observed, permuted)
    many = plain > 10.5 / 1001
    assert many.any()
    np.testing.assert_array_equal(followed(observed, permuted)[many], plain[many])


@pytest.mark.parametrize(
    "permuted",
    [
        np.random.default_rng(4).exponential(size=(400, 3)),  # too few
        np.ones((N, 3)),
        np.zeros((N, 3)),
        np.repeat(np.random.default_rng(5).integers(0, 2, N)[:, None], 3, axis=1).astype(float),
    ],
    ids=["few", "ones", "zeros", "two values"],
)
def test_no_tail_is_followed_where_there_is_none(permuted):
    found = followed(np.full(3, 50.0), permuted)
    np.testing.assert_array_equal(found, 1 / (len(permuted) + 1))
    assert smallest_tail_p(400) == 1 / 401


def blocks(values):
    yield slice(0, len(values)), values


def test_one_of_many_statistics_can_be_called():
    """1000 permutations alone leave the only one of 301 that differs at q = 0.30."""
    rng, group = np.random.default_rng(6), np.arange(200) < 100
    values = rng.normal(size=(200, 301))
    values[group, 7] += 1.5
    cells = compare_cells(blocks(values), group, ~group, n_permutations=N, rng=rng).p
    over_donors = compare_donors(blocks(values), group, ~group, np.arange(200), lenders=301, n_permutations=N, rng=rng)
    difference = rng.normal(size=(900, 1))
    difference[:30] += 3
    sets = np.zeros((900, 301), dtype=np.float32)
    sets[:30, 7] = 1 / 30
    for at in np.delete(np.arange(301), 7):
        sets[30 + rng.choice(870, 30, replace=False), at] = 1 / 30
    bins = np.zeros(900, dtype=np.intp)
    matched = matched_sets(difference, sets, bins, n_permutations=N, rng=rng)[0][:, 0]
    for p in (cells, over_donors["p"], matched):
        q = false_discovery_rates(p)
        assert p.argmin() == 7
        assert q[7] < 0.05


def test_no_tail_says_less_than_all_permutations_would():
    """Drawn, not all: one cell against 2000, two cells in a stratum of 1000."""
    rng = np.random.default_rng(8)
    cell = np.arange(2001) < 1
    values = blocks(rng.normal(size=(2001, 60)) + 90 * cell[:, None])
    found = compare_cells(values, cell, ~cell, n_permutations=N, rng=rng).p
    assert found.min() >= 1 / 2001 - 1e-12
    strata = np.arange(2001) // 1000
    few = (np.arange(2001) < 2) | (strata > 0)  # all of the second stratum: only the first can be dealt anew
    values = blocks(rng.normal(size=(2001, 60)) + 90 * (np.arange(2001) < 2)[:, None])
    found = compare_cells(values, few, ~few, n_permutations=N, rng=rng, strata=strata).p
    assert found.min() >= 1 / (1000 * 999 / 2) - 1e-12
