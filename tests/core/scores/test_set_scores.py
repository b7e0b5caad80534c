"""Neighbours, residuals, scores and percentiles against definitions by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from modulae.core.inference import neighbours
from modulae.core.inference.neighbours import nearest, shared_neighbours
from modulae.core.scores.set_scores import CLIP, residuals, score_sets


def test_weights_are_the_squared_share_of_common_neighbours():
    rng = np.random.default_rng(0)
    points, k = rng.normal(size=(200, 4)), 7
    weights = shared_neighbours(points, k)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = [set(np.argsort(row, kind="stable")[:k]) for row in distances]
    for cell in (0, 57, 199):
        row = weights[cell]
        assert set(row.indices) <= near[cell]
        for other in near[cell]:
            assert row[0, other] == pytest.approx((len(near[cell] & near[other]) / k) ** 2)
    np.testing.assert_allclose(weights.diagonal(), 1)


def test_a_rare_type_keeps_to_itself():
    """Two cells far from 100 others fill up their neighbours with them, and those hardly count."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(100, 3)), rng.normal(size=(2, 3)) / 10 + 8])
    weights = shared_neighbours(points, 15)[100].toarray().ravel()
    assert weights[100] == 1
    assert weights[101] > 2 * weights[:100].max()


def test_equal_cells_are_still_their_own_first_neighbour():
    found = nearest(np.zeros((30, 2)), 5)
    np.testing.assert_array_equal(found[:, 0], np.arange(30))
    assert all(len(set(row)) == 5 for row in found)


@pytest.mark.slow  # PyNNDescent compiles itself
def test_many_cells_are_searched_approximately(monkeypatch):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(400, 3))
    exact = nearest(points, 10)
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 100)
    found = nearest(points, 10)
    np.testing.assert_array_equal(found[:, 0], np.arange(400))
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)]) > 0.95
    np.testing.assert_array_equal(found, nearest(points, 10))


def test_residual_is_pearsons_and_cut():
    rates = np.array([[1.0, 0.0, 100.0], [3.0, 0.0, 0.0]])
    found = residuals(rates, np.array([2.0, 0.0, 4.0]))
    np.testing.assert_allclose(found, [[-1 / np.sqrt(2), 0, CLIP], [1 / np.sqrt(2), 0, -2]], rtol=1e-6)


def make(seed=0, n_cells=700, n_genes=40):
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, size=(n_cells, n_genes)), np.repeat(np.arange(4), 10)


def test_scores_and_percentiles_by_hand():
    rates, bins = make()
    sets = [np.array([0, 1, 12]), np.array([30, 31])]
    scores, percentiles = score_sets(
        lambda rows: rates[rows], len(rates), sets, bins, n_random=400, rng=np.random.default_rng(0)
    )
    by_gene = residuals(rates, rates.mean(axis=0)).astype(float)
    by_bin = np.stack([by_gene[:, bins == at].mean(axis=1) for at in range(4)], axis=1)
    expected = by_gene[:, [0, 1, 12]].mean(axis=1) - (2 * by_bin[:, 0] + by_bin[:, 1]) / 3
    np.testing.assert_allclose(scores[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(scores[:, 1], by_gene[:, [30, 31]].mean(axis=1) - by_bin[:, 3], atol=1e-5)
    pairs = [(i, j) for i in range(30, 40) for j in range(i) if j >= 30]
    for cell in (0, 699):
        own = by_gene[cell, [30, 31]].mean()
        others = np.array([by_gene[cell, list(pair)].mean() for pair in pairs])
        exact = 100 * ((others < own - 1e-9).mean() + 0.5 * (np.abs(others - own) < 1e-9).mean())
        assert abs(percentiles[cell, 1] - exact) < 8


def test_random_sets_lie_anywhere_among_random_sets():
    """The percentile of a set drawn at random from bins of equal genes is uniform."""
    rates, bins = make(1)
    rng = np.random.default_rng(1)
    sets = [rng.choice(40, 8, replace=False) for _ in range(60)]
    _, percentiles = score_sets(
        lambda rows: rates[rows], len(rates), sets, bins, n_random=100, rng=np.random.default_rng(2)
    )
    assert abs(percentiles.mean() - 50) < 3
    assert abs((percentiles < 20).mean() - 0.2) < 0.05
    assert abs((percentiles > 80).mean() - 0.2) < 0.05


@given(st.floats(0.5, 3.0), st.integers(0, 5))
def test_raising_the_genes_of_a_set_raises_its_score(factor, seed):
    rates, bins = make(seed, n_cells=40)
    genes = np.array([2, 3, 15])
    raised = rates.copy()
    raised[0, genes] *= 1 + factor
    one, two = (
        score_sets(lambda rows, x=x: x[rows], 40, [genes], bins, n_random=5, rng=np.random.default_rng(0))[0]
        for x in (rates, raised)
    )
    assert two[0, 0] >= one[0, 0] - 1e-5  # equal where both are clipped


def test_genes_without_counts_score_nothing():
    rates, bins = make()
    rates[:, :10] = 0
    scores, percentiles = score_sets(
        lambda rows: rates[rows], len(rates), [np.array([0, 1])], bins, n_random=10, rng=np.random.default_rng(0)
    )
    np.testing.assert_array_equal(scores, 0)
    np.testing.assert_array_equal(percentiles, 50)


def test_weights_of_sparse_counts_stay_sparse():
    weights = shared_neighbours(np.random.default_rng(0).normal(size=(50, 3)), 5)
    assert sparse.issparse(weights)
    assert weights.nnz <= 250
