"""p-values that mean what they say: known answers, and false-positive rates where nothing differs."""

import numpy as np
import pytest
from scipy import sparse, stats

from modulae.core.data.cells import Cells
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import initial_network
from modulae.core.scores.expression_bins import expression_bins
from modulae.core.scores.set_values import set_indicator, set_values
from modulae.core.statistics.permutation import PermutedLabels, compare_cells, matched_sets


def blocks(values, size=37):
    for start in range(0, len(values), size):
        rows = slice(start, min(start + size, len(values)))
        yield rows, values[rows].astype(np.float32)


def sides(n_group, n_reference, n_other=0):
    labels = np.repeat([0, 1, 2], [n_group, n_reference, n_other])
    labels = np.random.default_rng(7).permutation(labels)
    return labels == 0, labels == 1


def test_effect_and_standard_error_are_welchs():
    group, reference = sides(60, 90, n_other=20)
    values = np.random.default_rng(0).normal(size=(170, 5)) + group[:, None] * np.arange(5)
    found = compare_cells(blocks(values), group, reference, n_permutations=20, rng=np.random.default_rng(1))
    welch = stats.ttest_ind(values[group], values[reference], equal_var=False)
    np.testing.assert_allclose(found.effect, values[group].mean(axis=0) - values[reference].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.effect / found.standard_error, welch.statistic, rtol=1e-4)


def test_p_is_that_of_scipys_permutation_test():
    group, reference = sides(30, 40)
    values = np.random.default_rng(2).normal(size=(70, 1)) + 0.7 * group[:, None]
    found = compare_cells(blocks(values), group, reference, n_permutations=20_000, rng=np.random.default_rng(3))
    expected = stats.permutation_test(
        (values[group, 0], values[reference, 0]),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        n_resamples=20_000,
        vectorized=True,
        rng=np.random.default_rng(4),
    )
    assert 0.01 < expected.pvalue < 0.3
    np.testing.assert_allclose(found.p[0], expected.pvalue, atol=0.01)


def test_cells_of_the_same_kind_are_called_different_at_the_nominal_rate():
    group, reference = sides(40, 160)
    values = np.random.default_rng(5).exponential(size=(200, 3000))
    found = compare_cells(blocks(values), group, reference, n_permutations=400, rng=np.random.default_rng(6))
    assert 0.04 < (found.p < 0.05).mean() < 0.06
    assert found.p.min() >= 1 / 401  # too few for a tail


def test_swapping_the_sides_flips_the_effect_and_keeps_the_rest():
    group, reference = sides(30, 50)
    values = np.random.default_rng(8).normal(size=(80, 4)) + group[:, None]
    one, other = (
        compare_cells(blocks(values), *pair, n_permutations=500, rng=np.random.default_rng(9))
        for pair in ((group, reference), (reference, group))
    )
    np.testing.assert_allclose(one.effect, -other.effect)
    np.testing.assert_allclose(one.standard_error, other.standard_error)
    np.testing.assert_allclose(one.p, other.p, atol=0.02)


def test_strata_take_away_what_only_their_composition_explains():
    rng = np.random.default_rng(10)
    strata = np.repeat([0, 1], 100)
    group = rng.random(200) < np.where(strata == 0, 0.8, 0.2)
    values = rng.normal(size=(200, 1000)) + strata[:, None]
    plain, within = (
        compare_cells(blocks(values), group, ~group, n_permutations=300, rng=rng, strata=given)
        for given in (None, strata)
    )
    assert (plain.p < 0.05).mean() > 0.9
    centred = within.p  # the labels move within strata only, so the difference between strata is part of the null
    assert (centred < 0.05).mean() < 0.07


def test_permuted_labels_keep_the_numbers_and_leave_others_out():
    group, reference = sides(13, 21, n_other=9)
    strata = np.arange(43) % 3
    labels = PermutedLabels.permuted(group, reference, 50, np.random.default_rng(0), strata).of(slice(0, len(group)))
    np.testing.assert_array_equal(labels[0], group)
    assert not labels[:, ~(group | reference)].any()
    for stratum in range(3):
        assert np.unique(labels[:, strata == stratum].sum(axis=1)).size == 1
    assert len(np.unique(labels, axis=0)) > 40


def test_random_sets_are_called_at_the_nominal_rate_also_among_highly_expressed_genes():
    rng = np.random.default_rng(11)
    n_genes = 1500
    mean = np.exp(rng.normal(-2, 1.5, n_genes))
    difference = (np.log(mean) + rng.normal(size=n_genes))[:, None]  # follows expression, as saliencies do
    high = np.flatnonzero(mean > np.quantile(mean, 0.8))
    sets = [rng.choice(pool, 30, replace=False) for pool in (np.arange(n_genes), high) for _ in range(400)]
    bins = expression_bins(mean, 1 - np.exp(-mean))
    p, centre = matched_sets(difference, set_indicator(sets, n_genes), bins, n_permutations=400, rng=rng)
    by_chance = (p[:, 0] < 0.05).reshape(2, 400).mean(axis=1)
    assert (by_chance > 0.02).all()
    assert (by_chance < 0.08).all()
    naive = np.array([stats.ttest_1samp(difference[genes, 0], difference.mean()).pvalue for genes in sets])
    assert (naive[400:] < 0.05).mean() > 0.9
    assert centre[400:].mean() > centre[:400].mean() + 0.5


def test_a_set_with_more_than_its_expression_explains_is_found():
    rng = np.random.default_rng(12)
    mean = np.exp(rng.normal(-2, 1.5, 600))
    difference = rng.normal(size=(600, 2))
    difference[:40, 1] += 1
    indicator = set_indicator([np.arange(40)], 600)
    p, _ = matched_sets(difference, indicator, expression_bins(mean, mean), n_permutations=999, rng=rng)
    assert p[0, 1] <= 0.001 + 1e-9
    assert p[0, 0] > 0.01


def test_bins_hold_genes_of_like_expression():
    rng = np.random.default_rng(13)
    mean = rng.random(1000)
    bins = expression_bins(mean, rng.random(1000))
    sizes = np.bincount(bins)
    assert sizes.min() >= 20
    spread = [np.ptp(mean[bins == at]) for at in np.unique(bins)]
    assert max(spread) < 0.2
    assert np.unique(expression_bins(mean[:5], mean[:5])).size <= 2


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("method", ["gradient", "guided", "input_x_gradient", "integrated_gradients"])
def test_values_of_cells_average_to_the_mean_saliency_of_the_sets(method, signed):
    rng = np.random.default_rng(14)
    counts = sparse.csr_matrix(rng.poisson(1, size=(30, 12)).astype(np.float32))
    cells = Cells(counts, rng.uniform(0.5, 2, 30).astype(np.float32))
    network = initial_network(Config(n_latent=4, n_hidden=6), np.ones(12), rng)
    sets = [np.array([0, 3, 5]), np.array([7]), np.arange(12)]
    values = np.concatenate(
        [
            block
            for _, block in set_values(
                network, cells, set_indicator(sets, 12), method=method, signed=signed, batch_size=7
            )
        ]
    )
    assert values.shape == (30, 3, 5)
    saliency = mean_saliency(network, cells, method=method, signed=signed)[0]
    expected = np.stack([saliency[genes].mean(axis=0) for genes in sets])
    np.testing.assert_allclose(values.mean(axis=0)[:, :4], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values[:, :, 4], values[:, :, :4].sum(axis=2), rtol=1e-5, atol=1e-6)
