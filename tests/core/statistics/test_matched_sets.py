"""Sets against sets of genes like their own: exact moments, calibrated z, and what correlation does to them."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy import sparse, stats

from modulae.core.data.cells import Cells
from modulae.core.scores.expression_bins import expression_bins
from modulae.core.statistics.matched_sets import MatchedSets, variance_inflation


def rate(z, level=0.05):
    return (2 * stats.norm.sf(np.abs(z)) < level).mean()


def test_mean_and_variance_are_those_of_all_matched_sets():
    """Seven genes in two bins: every way of shuffling them within their bins is written down."""
    values = np.random.default_rng(0).normal(size=(7, 3))
    bins = np.array([0, 1, 0, 1, 1, 0, 1])
    first, second = np.flatnonzero(bins == 0), np.flatnonzero(bins == 1)
    sets = [np.array([0, 1, 2]), np.array([3, 6]), np.arange(7), np.array([5])]
    observed, mean, variance = MatchedSets.of(sets, bins * 5 + 2).compare(values)
    for at, genes in enumerate(sets):
        means = []
        for one, other in product(permutations(first), permutations(second)):
            stand_in = np.empty(7, dtype=int)
            stand_in[first], stand_in[second] = one, other
            means.append(values[stand_in[genes]].mean(axis=0))
        np.testing.assert_allclose(observed[at], values[genes].mean(axis=0))
        np.testing.assert_allclose(mean[at], np.mean(means, axis=0), atol=1e-12)
        np.testing.assert_allclose(variance[at], np.var(means, axis=0), atol=1e-12)


def test_where_nothing_varies_z_is_0():
    same = np.full((30, 1), 0.1, dtype=np.float32) * np.arange(1, 40, dtype=np.float32)  # of many sizes, to round
    values = np.column_stack([same, np.arange(30, dtype=np.float32)])
    z = MatchedSets.of([np.arange(7), np.arange(30)], np.arange(30) % 3).z(values)[2]
    np.testing.assert_array_equal(z[:, :-1], 0)
    assert z[0, -1] < -2
    assert z[1, -1] == 0  # all genes: every matched set is the set itself


@pytest.fixture(scope="module")
def follows_expression():
    """Saliencies as a trained model has them: highly expressed genes are read strongly, and upwards on average."""
    rng = np.random.default_rng(1)
    mean = np.exp(rng.normal(-2, 1.5, 2000))
    strength = 0.02 + 0.1 * (np.argsort(np.argsort(mean)) / 2000) ** 6
    return mean, strength[:, None] * (rng.standard_t(8, size=(2000, 16)) + 0.5)


@pytest.mark.parametrize("size", [5, 20, 80])
def test_random_sets_are_called_at_the_nominal_rate_also_among_highly_expressed_genes(follows_expression, size):
    mean, saliency = follows_expression
    rng = np.random.default_rng(2)
    bins = expression_bins(np.sqrt((saliency**2).mean(axis=1)), mean)
    high = np.argsort(-mean)[:300]
    for pool in (np.arange(2000), high):
        sets = [rng.choice(pool, size, replace=False) for _ in range(300)]
        z = MatchedSets.of(sets, bins).z(saliency)[2]
        assert 0.03 < rate(z) < 0.07
        assert rate(z, 0.001) < 0.003
    naive = np.stack([stats.ttest_ind(saliency[genes], saliency).pvalue for genes in sets])
    assert (naive < 0.05).mean() > 0.15


def test_a_set_that_a_unit_reads_is_found(follows_expression):
    mean, saliency = follows_expression
    changed = saliency.copy()
    changed[:40, 3] += 1.5 * np.sqrt((saliency[:40] ** 2).mean(axis=1))
    bins = expression_bins(np.sqrt((changed**2).mean(axis=1)), mean)
    z = MatchedSets.of([np.arange(40)], bins).z(changed)[2][0]
    assert z[3] > 5
    assert np.abs(np.delete(z, 3)).max() < 4


def correlated_cells(rng, *, n_cells=1500, n_genes=600, size=30, rho=0.2):
    """Normal profiles; the first genes share a factor, so that each pair of them has correlation rho."""
    profiles = rng.normal(size=(n_cells, n_genes))
    profiles[:, :size] = np.sqrt(1 - rho) * profiles[:, :size] + np.sqrt(rho) * rng.normal(size=(n_cells, 1))
    depth = 0.3 * rng.normal(size=(n_cells, 1))  # all genes together: matched sets move as the set does
    return profiles + depth


def test_inflation_is_that_of_camera_beyond_what_all_genes_share():
    rng = np.random.default_rng(3)
    profiles = correlated_cells(rng) * rng.uniform(0.5, 2, 600) + 3
    cells = Cells(sparse.csr_matrix(profiles.astype(np.float32)), None)
    sets = MatchedSets.of([np.arange(30), np.arange(100, 130), np.arange(600)], np.zeros(600, dtype=int))
    inflation = variance_inflation(cells, np.ones(600), sets)
    standard = (profiles - profiles.mean(axis=0)) / profiles.std(axis=0)
    correlation = standard.T @ standard / len(standard)
    own, background = (m[~np.eye(len(m), dtype=bool)].mean() for m in (correlation[:30, :30], correlation))
    assert inflation[0] == pytest.approx(1 + 29 * (own - background) / (1 - background), rel=0.05)
    assert inflation[0] > 5
    assert inflation[1] == pytest.approx(1, abs=0.15)
    assert inflation[2] == 1
    np.testing.assert_allclose(variance_inflation(cells, np.ones(600), sets, batch_size=7), inflation, rtol=1e-5)


def test_units_that_mix_the_cells_at_random_are_called_at_the_nominal_rate():
    """The null of p_correlated. Against matched genes alone, a set of genes that vary together stands out."""
    rng = np.random.default_rng(4)
    profiles = correlated_cells(rng, rho=0.1)
    cells = Cells(sparse.csr_matrix(profiles.astype(np.float32)), None)
    standard = (profiles - profiles.mean(axis=0)) / profiles.std(axis=0)
    saliency = standard.T @ rng.normal(size=(1500, 2000))  # genes × units
    sets = MatchedSets.of([np.arange(30)], np.zeros(600, dtype=int))
    z = sets.z(saliency)[2]
    inflation = variance_inflation(cells, np.ones(600), sets)
    assert rate(z) > 0.2
    assert 0.035 < rate(z / np.sqrt(inflation)[:, None]) < 0.065


def test_a_gene_that_is_the_same_everywhere_is_no_trouble():
    profiles = np.random.default_rng(5).poisson(2, size=(40, 12)).astype(np.float32)
    profiles[:, 3], profiles[:, 4] = 0, 7
    cells = Cells(sparse.csr_matrix(profiles), np.ones(40, dtype=np.float32))
    sets = MatchedSets.of([np.array([3, 4]), np.array([0, 3, 5])], np.zeros(12, dtype=int))
    inflation = variance_inflation(cells, np.ones(12), sets)
    assert np.isfinite(inflation).all()
    assert inflation[0] == 1
