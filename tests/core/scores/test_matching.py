"""Programmes that are the same are found, and others are not."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from modulae.core.scores.gene_ranking import gene_scores
from modulae.core.scores.matching import gene_level, level_bins, match_loadings

N_GENES = 600


def units(rng, level, n_units, first=None):
    """Loadings that follow the level of each gene in all units, and of some genes more in each."""
    loadings = level[:, None] * rng.gamma(1, 0.15, size=(N_GENES, n_units))
    for unit in range(n_units):
        genes = rng.choice(N_GENES, 40, replace=False)
        loadings[genes, unit] += level[genes] * rng.gamma(3, 0.7, 40)
    if first is not None:
        loadings[:, 0] = first
    return loadings * rng.lognormal(0, 0.4, size=loadings.shape)


def test_the_similarity_is_the_correlation_of_the_roots_of_scores():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    similarity, _ = match_loadings(one, other, n_permutations=1, seed=0)
    roots = [np.sign(side) * np.sqrt(np.abs(side)) for side in (gene_scores(one), gene_scores(other))]
    roots = [side / np.sqrt(np.mean(side**2, axis=0)) for side in roots]
    mean = (roots[0][:, 0] + roots[0][:, 1] + roots[0][:, 2]) / 3  # of two units it is not known what they share
    for i in range(3):
        for j in range(2):
            beyond = [r - m if (r - m) * r > 0 else 0.0 for r, m in zip(roots[0][:, i], mean, strict=True)]
            expected = pearsonr(beyond, roots[1][:, j]).statistic
            np.testing.assert_allclose(similarity[i, j], expected, rtol=1e-9)


def test_p_is_small_for_the_same_programme_on_half_of_the_genes_and_not_for_others():
    """The level of genes, which both sides share, makes unrelated units alike: it must make no p small."""
    same, others, naive = [], [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        level = rng.lognormal(0, 1, N_GENES)
        planted = units(rng, level, 1)[:, 0]
        half = rng.random(N_GENES) < 0.5
        sides = [units(rng, level, n_units, planted)[half] for n_units in (4, 7)]
        same.append(match_loadings(*sides, n_permutations=199, seed=0)[1][0])
        one, other = (units(rng, level, n_units) for n_units in (4, 7))
        similarity, p = match_loadings(one, other, n_permutations=99, seed=0)
        others += p.tolist()
        naive += [pearsonr(one[:, i], other[:, similarity[i].argmax()]).pvalue for i in range(4)]
    assert np.mean(np.array(same) <= 0.01) >= 0.95
    assert np.mean(np.array(others) <= 0.1) < 0.1
    assert 0.2 < np.mean(np.array(others) <= 0.5) < 0.55
    assert np.mean(np.array(naive) <= 0.1) > 0.5  # what would be said without the exchange of genes


def test_programmes_that_both_sides_have_make_no_others_alike():
    """Units that lack the genes of the same programmes were alike for that: p ≤ 0.05 in every second case."""
    same, others = [], []
    for seed in range(40):
        rng = np.random.default_rng(100 + seed)
        level = rng.lognormal(0, 1, N_GENES)
        planted = units(rng, level, 3)
        sides = [np.column_stack([planted * noise(rng), units(rng, level, n)]) for n in (2, 3)]
        p = match_loadings(*sides, n_permutations=199, seed=0)[1]
        same += p[:3].tolist()
        others += p[3:].tolist()
    assert np.mean(np.array(same) <= 0.01) >= 0.95
    assert np.mean(np.array(others) <= 0.05) < 0.1


def noise(rng):
    return rng.lognormal(0, 0.4, size=(N_GENES, 3))


def test_the_level_of_a_gene_is_its_mean_root():
    loadings = np.array([[9.0, 0.0, 1.0], [1.0, 1.0, 4.0], [0.0, 4.0, 0.0], [1.0, -1.0, 1.0]])
    roots = np.sqrt(np.abs(loadings) / np.sqrt((loadings**2).mean(axis=0)))
    np.testing.assert_allclose(gene_level(loadings), roots.mean(axis=1))
    assert np.isfinite(gene_level(np.zeros((4, 3)))).all()


def test_bins_are_of_like_level_and_equal_levels_are_dealt_at_random():
    rng = np.random.default_rng(0)
    bins = level_bins(np.arange(100.0)[::-1], rng)
    np.testing.assert_array_equal(bins, np.repeat([3, 2, 1, 0], 25))
    equal = level_bins(np.zeros(100), rng)
    assert np.bincount(equal).tolist() == [25, 25, 25, 25]
    assert len(set(equal[:25].tolist())) > 1


def test_the_same_seed_gives_the_same_p():
    rng = np.random.default_rng(1)
    one, other = (units(rng, np.ones(N_GENES), 3) for _ in range(2))
    first, again, more = (match_loadings(one, other, n_permutations=60, seed=seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != more).any()


@pytest.mark.parametrize("n_permutations", [1, 19, 45])
def test_the_smallest_p_is_one_over_the_permutations_and_one(n_permutations):
    loadings = units(np.random.default_rng(2), np.ones(N_GENES), 4)
    p = match_loadings(loadings, loadings, n_permutations=n_permutations, seed=0)[1]
    np.testing.assert_allclose(p, 1 / (n_permutations + 1))
