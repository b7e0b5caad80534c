"""Values in blocks, compared over donors: beside SciPy, and how often what is not there is called."""

import numpy as np
import pytest
from scipy import stats

from modulae.core.scores.activity import activity_values
from modulae.core.statistics.differences.donors import compare_donors
from modulae.core.statistics.permutation import compare_cells


def blocks(values, size=7):
    for start in range(0, len(values), size):
        yield slice(start, min(start + size, len(values))), values[start : start + size]


def unpaired(n_first, n_second, cells_each=20, donor_spread=1.0, n_statistics=1, shift=0.0, seed=0):
    """Donors of which each is on one side; its cells share what is its own."""
    rng = np.random.default_rng(seed)
    donors = np.repeat(np.arange(n_first + n_second), cells_each)
    own = rng.normal(scale=donor_spread, size=(n_first + n_second, n_statistics))
    group = donors < n_first
    return rng.normal(size=(len(donors), n_statistics)) + own[donors] + shift * group[:, None], group, donors


def compared(values, group, donors, *, lenders=0, reference=None, n_permutations=1000):
    reference = ~group if reference is None else reference
    how = {"lenders": lenders, "n_permutations": n_permutations, "rng": np.random.default_rng(0)}
    return compare_donors(blocks(values), group, reference, donors, **how)


def test_sides_are_compared_as_scipy_does():
    values, group, donors = unpaired(4, 5, shift=1.0)
    found = compared(values, group, donors)
    means = np.array([values[donors == donor, 0].mean() for donor in range(9)])
    exact = stats.permutation_test((means[:4], means[4:]), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf)
    np.testing.assert_allclose(found["effect"], means[:4].mean() - means[4:].mean(), rtol=1e-5)
    np.testing.assert_allclose(found["p_exact"], exact.pvalue, atol=2 / 126)
    student = stats.ttest_ind(means[:4], means[4:])
    np.testing.assert_allclose(found["p"], student.pvalue, rtol=1e-5)
    np.testing.assert_allclose(found["effect"] / found["se"], student.statistic, rtol=1e-5)
    without = [
        np.delete(means, out)[: 4 - (out < 4)].mean() - np.delete(means, out)[4 - (out < 4) :].mean()
        for out in range(9)
    ]
    ends = [found["effect_lowest"][0], found["effect_highest"][0]]
    np.testing.assert_allclose(ends, [min(without), max(without)], rtol=1e-4)


def test_six_pairs_can_be_surer_than_their_flipped_signs():
    """All six point one way: the two extremes of 64."""
    rng = np.random.default_rng(1)
    donors, group = np.tile(np.repeat(np.arange(6), 10), 2), np.repeat([True, False], 60)
    values = rng.normal(size=(120, 1)) + 3 * group[:, None] + 10 * donors[:, None]
    found = compared(values, group, donors)
    differences = [values[group & (donors == d)].mean() - values[~group & (donors == d)].mean() for d in range(6)]
    np.testing.assert_allclose(found["effect"], np.mean(differences), rtol=1e-4)
    np.testing.assert_allclose(found["se"], stats.sem(differences), rtol=1e-4)
    np.testing.assert_allclose(found["p"], stats.ttest_1samp(differences, 0).pvalue, rtol=1e-4)
    np.testing.assert_allclose(found["p_exact"], 2 / 64)
    assert found["p"][0] < 1e-3
    without = [np.delete(differences, d).mean() for d in range(6)]
    np.testing.assert_allclose(found["effect_lowest"], min(without), rtol=1e-4)
    np.testing.assert_allclose(found["effect_highest"], max(without), rtol=1e-4)


def test_donors_that_differ_by_chance_are_called_at_the_nominal_rate_where_cells_are_not():
    values, group, donors = unpaired(8, 8, donor_spread=1.0, n_statistics=2000)
    rng = np.random.default_rng(2)
    over_cells = compare_cells(blocks(values), group, ~group, n_permutations=200, rng=rng)
    assert 0.03 < (compared(values, group, donors)["p"] < 0.05).mean() < 0.07
    assert (over_cells.p < 0.05).mean() > 0.4


@pytest.mark.parametrize(("n_donors", "paired"), [(6, False), (6, True)])
def test_sets_made_of_the_same_units_are_called_at_the_nominal_rate(n_donors, paired):
    """Donors differ in several units at once, and sets share their units."""
    rng, p = np.random.default_rng(0), []
    donors = np.tile(np.repeat(np.arange(n_donors), 25), 2 if paired else 1)
    group = np.arange(len(donors)) >= len(donors) / 2 if paired else donors < n_donors / 2
    for _ in range(60):
        together = rng.normal(size=(20, 3))  # units × directions in which donors differ
        parts, of = np.unique(np.column_stack([donors, group]), axis=0, return_inverse=True)
        own = rng.normal(size=(len(parts), 20)) + rng.normal(size=(len(parts), 3)) @ together.T
        units = (rng.normal(size=(len(donors), 20)) + 0.3 * own[of.ravel()]).astype(np.float32)
        set_saliency = rng.normal(size=(100, 20)) + 2 * rng.normal(size=20)
        values = np.concatenate([block for _, block in activity_values(units, set_saliency)])
        p.append(compared(values, group, donors, lenders=20, n_permutations=10)["p"][20:])
    assert 0.02 < (np.concatenate(p) < 0.05).mean() < 0.08


def test_the_first_statistics_borrow_from_each_other_and_the_others_do_not():
    values, group, donors = unpaired(4, 4, n_statistics=40)
    alone, both = compared(values, group, donors), compared(values, group, donors, lenders=30)
    np.testing.assert_allclose(both["p"][30:], alone["p"][30:])
    assert np.ptp(np.log(both["se"][:30])) < 0.8 * np.ptp(np.log(alone["se"][:30]))
    first = compared(values[:, :30], group, donors, lenders=30)["effect"]
    np.testing.assert_allclose(first, both["effect"][:30], rtol=0.1, atol=0.02)  # weights differ a little


def test_what_cannot_be_replicated_is_refused_and_a_donor_of_another_kind_left_out():
    values, group, donors = unpaired(1, 4)
    with pytest.raises(ValueError, match="1 and 4 donors; a side needs 2, so nothing is replicated"):
        compared(values, group, donors)
    values, group, donors = unpaired(4, 4)
    donors[80:] -= 4  # the same four on both sides
    pairs = compared(values, group, donors)
    more = np.concatenate([values, values[:20] + 100]), np.append(group, [True] * 20), np.append(donors, [4] * 20)
    np.testing.assert_allclose(compared(*more)["p"], pairs["p"], rtol=1e-6)


def test_cells_without_a_donor_are_left_out():
    values, group, donors = unpaired(3, 3)
    expected = compared(values, group, donors)
    more = np.concatenate([values, values[:10] + 100])
    found = compared(more, np.append(group, group[:10]), np.append(donors, np.full(10, -1)))
    for name in ("effect", "p", "p_exact"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)


def test_what_never_changes_differs_nowhere():
    values, group, donors = unpaired(3, 3, n_statistics=3)
    values[:, 1] = 0.7
    found = compared(values, group, donors, lenders=3)
    assert (found["effect"][1], found["p"][1]) == (0, 1)
    assert np.isfinite(found["p"]).all()
