"""Comparisons planned and worked out, beside statsmodels, SciPy and loops over donors."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import digamma

from modulae.core.statistics.differences.compare import Labels, Parts, compare_units, plan_comparisons
from modulae.core.statistics.differences.designs import design_of
from modulae.core.statistics.differences.moments import moments_of
from modulae.core.statistics.differences.over_cells import CellsOn
from modulae.core.statistics.differences.over_donors import fit_donors, moderated_tests


def cells(n_donors, *, paired, each=(8, 30), n_units=6, seed=0):
    """Activities of units, donors, and who is in the group."""
    rng = np.random.default_rng(seed)
    rows, donors, group = [], [], []
    for donor in range(n_donors):
        own = rng.normal(size=n_units)
        for side in (True, False) if paired else (donor % 2 == 0,):
            n = int(rng.integers(*each))
            rows.append(rng.gamma(1, 1, (n, n_units)) + own + 0.5 * side + 0.2 * rng.normal(size=n_units))
            donors += [donor] * n
            group += [side] * n
    return np.concatenate(rows).astype(np.float32), np.array(donors), np.array(group)


def compare(units, labels, *, wanted=(1,), min_cells=3, on=None, known=None, n_permutations=300):
    on = None if on is None else CellsOn(on, np.ones_like(on) if known is None else known)
    parts = Parts(labels)
    plan = plan_comparisons(labels, parts, list(wanted), min_cells=min_cells)
    return compare_units(units, labels, parts, plan, on=on, n_permutations=n_permutations, seed=0), plan


def labelled(group, donors=None, covariates=None, categories=None, reference=0):
    n = len(group)
    return Labels(
        np.zeros(n, int) if categories is None else categories,
        np.asarray(group).astype(int),
        donors,
        np.zeros((n, 0)) if covariates is None else covariates,
        reference,
    )


def test_over_cells_effect_and_interval_are_those_of_welch():
    units, _, group = cells(4, paired=True)
    found, _ = compare(units, labelled(group))
    units = units.astype(float)
    spread = units.std(axis=0)
    test = stats.ttest_ind(units[group] / spread, units[~group] / spread, equal_var=False)
    interval = test.confidence_interval(0.95)
    np.testing.assert_allclose(
        found["effect"][0], (units[group].mean(axis=0) - units[~group].mean(axis=0)) / spread, rtol=1e-4
    )
    np.testing.assert_allclose(found["ci_low"][0], interval.low, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["ci_high"][0], interval.high, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["mean"][0], units[group].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["p"][0], stats.mannwhitneyu(units[group], units[~group]).pvalue, rtol=1e-6)


def test_the_rest_are_all_other_groups_of_the_category():
    rng = np.random.default_rng(3)
    units, groups, kinds = rng.normal(size=(300, 2)).astype(np.float32), rng.integers(0, 3, 300), np.arange(300) % 2
    found, plan = compare(units, labelled(groups, categories=kinds, reference=None), wanted=(0, 2))
    assert list(zip(plan.categories, plan.groups, strict=True)) == [(0, 0), (0, 2), (1, 0), (1, 2)]
    for at, (kind, group) in enumerate(zip(plan.categories, plan.groups, strict=True)):
        mine, rest = (units[(kinds == kind) & who].astype(float) for who in (groups == group, groups != group))
        difference = (mine.mean(axis=0) - rest.mean(axis=0)) / units.std(axis=0)
        np.testing.assert_allclose(found["effect"][at], difference, atol=1e-5)
        np.testing.assert_allclose(found["mean_reference"][at], rest.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(found["p"][at], stats.mannwhitneyu(mine, rest).pvalue, rtol=1e-6)


def donor_table(units, donors, group, *, paired):
    """Means and numbers of cells of each donor, by a loop."""
    means = {s: {d: units[(donors == d) & (group == s)] for d in np.unique(donors[group == s])} for s in (True, False)}
    if paired:
        y = np.array([means[True][d].mean(axis=0) - means[False][d].mean(axis=0) for d in means[True]])
        noise = np.array([1 / len(means[True][d]) + 1 / len(means[False][d]) for d in means[True]])
        return y, np.ones((len(y), 1)), noise
    sides = [means[True][d] for d in means[True]] + [means[False][d] for d in means[False]]
    x = np.column_stack([np.arange(len(sides)) < len(means[True]), np.ones(len(sides))]).astype(float)
    return np.array([side.mean(axis=0) for side in sides]), x, np.array([1 / len(side) for side in sides])


def fitted(units, donors, group, covariates=None):
    labels = labelled(group, donors, covariates)
    parts = Parts(labels)
    design = design_of(*parts.sides(moments_of(labels.covariates, parts.of_cells, len(parts)), 0, 1))
    sides = parts.sides(moments_of(units, parts.of_cells, len(parts)), 0, 1)
    return design, fit_donors(design, *sides, n_permutations=500, rng=np.random.default_rng(0))


@pytest.mark.parametrize("paired", [True, False])
def test_over_donors_the_fit_is_statsmodels_weighted_least_squares(paired):
    units, donors, group = cells(7 if paired else 9, paired=paired)
    design, fit = fitted(units, donors, group)
    assert design.paired == paired
    y, x, noise = donor_table(units.astype(float), donors, group, paired=paired)
    each = [units[(donors == d) & (group == s)].astype(float) for d in np.unique(donors) for s in (True, False)]
    each = [part for part in each if len(part)]
    within = sum(part.var(axis=0) * len(part) for part in each) / (len(units) - len(each))
    left = y - x @ np.linalg.lstsq(x, y)[0]
    freedom = len(x) - x.shape[1]
    ratio = np.exp(np.log((left**2).sum(axis=0) / freedom / within).mean() - digamma(freedom / 2) + np.log(freedom / 2))
    maker = np.eye(len(x)) - x @ np.linalg.inv(x.T @ x) @ x.T
    weights = 1 / (max(ratio - np.trace(maker * noise) / freedom, 0) + noise)
    for unit in range(units.shape[1]):
        model = sm.WLS(y[:, unit], x, weights=weights).fit()
        np.testing.assert_allclose(fit.effect[unit], model.params[0], rtol=1e-5)
        np.testing.assert_allclose(fit.residual[unit] * fit.unit[unit], model.bse[0] ** 2, rtol=1e-5)
        without = [
            sm.WLS(np.delete(y[:, unit], at), np.delete(x, at, axis=0), weights=np.delete(weights, at)).fit().params[0]
            for at in range(len(y))
        ]
        np.testing.assert_allclose([fit.lowest[unit], fit.highest[unit]], [min(without), max(without)], rtol=1e-5)


def test_with_as_many_cells_everywhere_it_is_the_t_test_of_donor_means():
    units, donors, group = cells(8, paired=True, each=(20, 21))
    _, fit = fitted(units, donors, group)
    y, _, _ = donor_table(units.astype(float), donors, group, paired=True)
    t = fit.effect / np.sqrt(fit.residual * fit.unit)
    np.testing.assert_allclose(t, stats.ttest_1samp(y, 0).statistic, rtol=1e-5)
    signs = np.array([[1 if at >> bit & 1 else -1 for bit in range(8)] for at in range(256)])
    means = np.abs(signs @ y / 8)
    np.testing.assert_allclose(fit.p_exact, (means >= np.abs(y.mean(axis=0)) * (1 - 1e-9)).mean(axis=0))
    np.testing.assert_array_equal(fit.n_agreeing, (np.sign(y) == np.sign(y.mean(axis=0))).sum(axis=0))


def test_moderated_t_has_more_degrees_of_freedom_and_one_unit_alone_none():
    units, donors, group = cells(6, paired=True, n_units=1, each=(20, 21))
    _, fit = fitted(units, donors, group)
    y, _, _ = donor_table(units.astype(float), donors, group, paired=True)
    np.testing.assert_allclose(moderated_tests([fit])["p"][0], stats.ttest_1samp(y, 0).pvalue, rtol=1e-5)
    units, donors, group = cells(6, paired=True, n_units=30, each=(20, 21))
    _, fit = fitted(units, donors, group)
    found = moderated_tests([fit])
    assert (found["ci_low"] < found["effect"]).all()
    half = (found["ci_high"] - found["ci_low"])[0] / 2
    plain = stats.t.ppf(0.975, 5) * np.sqrt(fit.residual * fit.unit)
    assert np.log(half / plain).std() > 0
    assert half.max() / half.min() < plain.max() / plain.min()  # drawn towards each other


def test_a_covariate_that_explains_the_difference_takes_it():
    """Age alone moves the unit, and the treated are older."""
    rng = np.random.default_rng(5)
    donors = np.repeat(np.arange(12), 40)
    group, age = donors < 6, np.repeat(rng.normal(size=12) + 2 * (np.arange(12) < 6), 40)
    units = (rng.normal(size=(480, 4)) * 0.1 + 3 * age[:, None]).astype(np.float32)
    design, adjusted = fitted(units, donors, group, age[:, None])
    assert design.has_covariates
    _, plain = fitted(units, donors, group)
    assert (np.abs(adjusted.effect) < 0.2).all()
    assert (plain.effect > 2).all()
    assert np.isnan(adjusted.p_exact).all()


def test_pairs_and_sides_are_told_apart():
    def design(group_cells, reference_cells, covariates=None):
        sides = []
        for n in (group_cells, reference_cells):
            numbers = np.repeat(np.arange(len(n)), n)
            values = (
                np.zeros((len(numbers), 0)) if covariates is None else np.array(covariates, float)[numbers][:, None]
            )
            sides.append(moments_of(values, numbers, len(n)))
        return design_of(*sides)

    assert design([5, 5, 0], [5, 5, 3]).group.tolist() == [0, 1]
    sides = design([5, 5, 2, 0, 0, 0], [0, 0, 9, 4, 4, 0])  # the third has cells on both, more in the reference
    assert not sides.paired
    assert (sides.group.tolist(), sides.reference.tolist()) == ([0, 1], [2, 3, 4])
    assert design([5, 0, 0], [0, 5, 5]) == "1 and 2 donors; a side needs 2"
    aliased = design([5, 5, 0, 0], [0, 0, 5, 5], [1, 1, 0, 0])
    assert aliased.startswith("the covariates tell the sides apart")
    assert design([5, 5, 0, 0], [0, 0, 5, 5], [1, 2, 3, 4]).freedom == 1
    assert design([5, 5, 5], [5, 5, 5], [1, 2, 3]).columns.shape == (3, 1)  # the same on both sides of each pair


def test_more_cells_and_more_in_each_add_up_to_the_difference():
    rng = np.random.default_rng(6)
    group = np.arange(400) < 150
    on = rng.random((400, 2)) < np.where(group, 0.6, 0.2)[:, None]
    level = np.array([5.0, 5.0]) + np.outer(group, [0.0, 2.0])  # the second is also stronger where it is on
    units = np.where(on, level, 1.0).astype(np.float32)
    found, _ = compare(units, labelled(group), on=on)
    np.testing.assert_allclose(found["share_on"][0], on[group].mean(axis=0))
    np.testing.assert_allclose(found["share_on_reference"][0], on[~group].mean(axis=0))
    parts = found["effect_from_more_cells"] + found["effect_from_more_in_cells"]
    np.testing.assert_allclose(parts, found["effect"], rtol=1e-5)  # nothing changes in cells that are off
    spread = units.astype(float).std(axis=0)
    shares = on[group].mean(axis=0), on[~group].mean(axis=0)
    np.testing.assert_allclose(
        found["effect_from_more_in_cells"][0], np.array([0, 2]) * (shares[0] + shares[1]) / 2 / spread, atol=1e-6
    )
    without, _ = compare(units, labelled(group))
    assert np.isnan(without["share_on"]).all()


def test_a_unit_that_never_changes_differs_nowhere():
    units, donors, group = cells(6, paired=True)
    units[:, 2] = 0.5
    for of in (None, donors):
        found, _ = compare(units, labelled(group, of))
        assert found["effect"][0, 2] == 0
        assert found["p"][0, 2] == 1
        assert np.isfinite(found["p"]).all()


def test_what_is_too_small_is_named_with_its_numbers():
    units = np.random.default_rng(7).normal(size=(60, 2)).astype(np.float32)
    kinds = np.repeat([0, 1, 2], 20)
    group = np.concatenate([np.arange(20) < 10, np.arange(20) < 2, np.zeros(20, bool)])
    _, plan = compare(units, labelled(group, categories=kinds), min_cells=5)
    assert plan.categories == [0]
    assert plan.left_out == [(1, 1, "2 and 18 cells"), (2, 1, "0 and 20 cells")]


@pytest.mark.parametrize(("n_donors", "paired"), [(6, True), (10, False)])
def test_donor_effects_alone_are_called_no_more_often_than_they_should(n_donors, paired):
    """500 tests at 0.05, of which cells would call most; bounds are four standard errors away."""
    p, over_cells = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        units, donors, group = cells(n_donors, paired=paired, each=(10, 100), n_units=20, seed=seed)
        units -= 0.5 * group[:, None].astype(np.float32)
        if paired:  # a side of a donor is its own, too
            units += rng.normal(0, 0.5, (2 * n_donors, 20))[2 * donors + group].astype(np.float32)
        found, _ = compare(units, labelled(group, donors), n_permutations=10)
        p.append(found["p"].ravel())
        over_cells.append(found["p_cells"].ravel())
    share = (np.concatenate(p) < 0.05).mean()
    assert 0.01 < share < 0.09
    assert (np.concatenate(over_cells) < 0.05).mean() > 0.3


def test_shares_are_those_of_the_decided_cells():
    rng = np.random.default_rng(9)
    group = np.arange(400) < 150
    on = rng.random((400, 3)) < np.where(group, 0.6, 0.2)[:, None]
    units = np.where(on, 5.0, 1.0).astype(np.float32)
    known = np.ones_like(on)
    known[50:120, 0] = False  # of the group 80 cells are left, of the reference all
    known[20:130, 1] = False  # of the group 40
    known[:, 2] = False
    on &= known
    found, _ = compare(units, labelled(group), on=on, known=known)
    decided = known[:, 0]
    np.testing.assert_allclose(found["share_on"][0, 0], on[group & decided, 0].mean())
    np.testing.assert_allclose(found["share_on_reference"][0, 0], on[~group, 0].mean())
    alone, _ = compare(units[decided][:, :1], labelled(group[decided]), on=on[decided][:, :1])
    scale = units[decided, 0].astype(float).std() / units[:, 0].astype(float).std()
    for name in ("effect_from_more_cells", "effect_from_more_in_cells"):
        np.testing.assert_allclose(found[name][0, 0], alone[name][0, 0] * scale, rtol=1e-5, atol=1e-9)
    for name in ("share_on", "effect_from_more_cells", "effect_from_more_in_cells"):
        assert np.isnan(found[name][0, 1:]).all()
    np.testing.assert_allclose(found["share_on_reference"][0, 1], on[~group, 1].mean())
    assert np.isnan(found["share_on_reference"][0, 2])
