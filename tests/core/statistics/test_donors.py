"""Donors as the unit of replication."""

import numpy as np
import pytest
from scipy import stats

from modulae.core.statistics.donors import compare_donors, count_donors, smallest_p

from .test_permutation import blocks


def unpaired(n_first, n_second, cells_each=20, donor_spread=1.0, n_statistics=1, shift=0.0, seed=0):
    """Donors of which each is on one side; its cells share what is its own."""
    rng = np.random.default_rng(seed)
    donors = np.repeat(np.arange(n_first + n_second), cells_each)
    own = rng.normal(scale=donor_spread, size=(n_first + n_second, n_statistics))
    group = donors < n_first
    return rng.normal(size=(len(donors), n_statistics)) + own[donors] + shift * group[:, None], group, donors


def test_unpaired_p_is_that_of_scipys_exact_permutation_test():
    values, group, donors = unpaired(4, 5, shift=1.0)
    found = compare_donors(blocks(values), group, ~group, donors, n_permutations=1000, rng=np.random.default_rng(0))
    means = np.array([values[donors == donor, 0].mean() for donor in range(9)])
    expected = stats.permutation_test((means[:4], means[4:]), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf)
    np.testing.assert_allclose(found.effect, means[:4].mean() - means[4:].mean(), rtol=1e-5)
    np.testing.assert_allclose(found.p, expected.pvalue, atol=2 / 126)
    welch = stats.ttest_ind(means[:4], means[4:], equal_var=False)
    np.testing.assert_allclose(found.effect / found.standard_error, welch.statistic, rtol=1e-4)


def test_paired_donors_flip_signs_all_of_them():
    rng = np.random.default_rng(1)
    donors, group = np.tile(np.repeat(np.arange(6), 10), 2), np.repeat([True, False], 60)
    values = rng.normal(size=(120, 1)) + 3 * group[:, None] + 10 * donors[:, None]
    found = compare_donors(blocks(values), group, ~group, donors, n_permutations=1000, rng=rng)
    differences = [values[group & (donors == d)].mean() - values[~group & (donors == d)].mean() for d in range(6)]
    np.testing.assert_allclose(found.effect, np.mean(differences), rtol=1e-4)
    np.testing.assert_allclose(found.p, 2 / 64)  # all six point one way: the two extremes of 64
    np.testing.assert_allclose(found.lowest, min(np.delete(differences, d).mean() for d in range(6)), rtol=1e-4)
    np.testing.assert_allclose(found.highest, max(np.delete(differences, d).mean() for d in range(6)), rtol=1e-4)
    np.testing.assert_allclose(found.standard_error, stats.sem(differences), rtol=1e-4)


def test_donors_that_differ_by_chance_are_called_at_the_nominal_rate_where_cells_are_not():
    from modulae.core.statistics.permutation import compare_cells

    values, group, donors = unpaired(8, 8, donor_spread=1.0, n_statistics=2000)
    rng = np.random.default_rng(2)
    over_donors = compare_donors(blocks(values), group, ~group, donors, n_permutations=500, rng=rng)
    over_cells = compare_cells(blocks(values), group, ~group, n_permutations=200, rng=rng)
    assert 0.03 < (over_donors.p < 0.05).mean() < 0.07
    assert (over_cells.p < 0.05).mean() > 0.4


def test_left_out_donors_bound_the_effect():
    values, group, donors = unpaired(3, 4, shift=2.0)
    found = compare_donors(blocks(values), group, ~group, donors, n_permutations=100, rng=np.random.default_rng(0))
    means = np.array([values[donors == donor, 0].mean() for donor in range(7)])
    without = [
        np.delete(means, out)[: 3 - (out < 3)].mean() - np.delete(means, out)[3 - (out < 3) :].mean()
        for out in range(7)
    ]
    np.testing.assert_allclose([found.lowest[0], found.highest[0]], [min(without), max(without)], rtol=1e-4)


def test_what_cannot_be_replicated_is_refused():
    values, group, donors = unpaired(1, 4)
    with pytest.raises(ValueError, match="fewer than two donors a side"):
        compare_donors(blocks(values), group, ~group, donors, n_permutations=10, rng=np.random.default_rng(0))
    mixed = donors.copy()
    mixed[:30] = 4
    with pytest.raises(ValueError, match=r"1 donors have cells on both sides and .* Keep the donors of one kind"):
        compare_donors(blocks(values), group, ~group, mixed, n_permutations=10, rng=np.random.default_rng(0))


def test_cells_without_a_donor_are_left_out():
    values, group, donors = unpaired(3, 3)
    expected = compare_donors(blocks(values), group, ~group, donors, n_permutations=50, rng=np.random.default_rng(0))
    more = np.concatenate([values, values[:10] + 100])
    found = compare_donors(
        blocks(more),
        np.concatenate([group, group[:10]]),
        ~np.concatenate([group, group[:10]]),
        np.concatenate([donors, np.full(10, -1)]),
        n_permutations=50,
        rng=np.random.default_rng(0),
    )
    np.testing.assert_allclose(found.effect, expected.effect, rtol=1e-5)
    np.testing.assert_allclose(found.p, expected.p)


@pytest.mark.parametrize(("n_first", "n_second"), [(3, 3), (2, 4), (4, 5)])
def test_the_smallest_p_is_that_of_donors_that_are_told_apart(n_first, n_second):
    values, group, donors = unpaired(n_first, n_second, shift=1e6)
    counts = count_donors(group, ~group, donors)
    for n in (1000, 5):  # all permutations, and some
        found = compare_donors(blocks(values), group, ~group, donors, n_permutations=n, rng=np.random.default_rng(1))
        if n == 1000:
            np.testing.assert_allclose(found.p, smallest_p(counts, n))
        assert found.p >= smallest_p(counts, n)
    assert smallest_p(counts, 5) == 1 / 6
