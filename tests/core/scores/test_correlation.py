"""Correlations over very many rows: in blocks what they are over all at once."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from modulae.core.scores import correlation as module
from modulae.core.scores.correlation import (
    column_correlation,
    correlation,
    correlation_of_all,
    rank_correlation,
    standardised,
)


@pytest.fixture(params=[1, 28, 80, 65_536])
def values(request, monkeypatch):
    monkeypatch.setattr(module, "ENTRIES_AT_ONCE", request.param)
    rng = np.random.default_rng(0)
    one = rng.gamma(1, size=(40, 4)).astype(np.float32)
    other = (one[:, :3] + rng.normal(0, 1, (40, 3)) + 1000).astype(np.float32)
    one[:, 3] = 0.1
    return one, other


def test_pearson(values):
    one, other = values
    expected = np.corrcoef(one[:, :3].T.astype(float), other.T.astype(float))[:3, 3:]
    found = correlation(one, other)
    np.testing.assert_allclose(found[:3], expected, atol=1e-10)
    assert (found[3] == 0).all()
    np.testing.assert_allclose(column_correlation(one[:, :3], other), np.diag(expected), atol=1e-10)
    np.testing.assert_allclose(standardised(one[:, :3]).T @ standardised(other), expected, atol=1e-10)


def test_pearson_of_all_columns_of_some_matrices(values):
    one, other = values
    both = np.concatenate([one, other, one[:, :0]], axis=1)
    found = correlation_of_all([one, other, one[:, :0]])
    np.testing.assert_allclose(found, correlation(both, both), atol=1e-12)
    np.testing.assert_allclose(found, found.T, atol=1e-15)


def test_spearman_with_each_column_or_with_one(values):
    one, other = values
    expected = [spearmanr(one[:, at], other[:, at]).statistic for at in range(3)]
    np.testing.assert_allclose(rank_correlation(one[:, :3], other), expected, atol=1e-10)
    with_first = [spearmanr(one[:, at], other[:, 0]).statistic for at in range(3)]
    np.testing.assert_allclose(rank_correlation(one, other[:, :1]), [*with_first, 0], atol=1e-10)


def test_spearman_within_groups(values):
    """Ranks in a group are shares of it around 0: of two groups of one size, ranks less their mean."""
    one, other = values
    groups = np.arange(40) % 2 == np.array([[0], [1]])
    ranks = [
        np.concatenate([side[group].argsort(axis=0).argsort(axis=0) - 9.5 for group in groups])
        for side in (one[:, :3], other)
    ]
    expected = [np.corrcoef(ranks[0][:, at], ranks[1][:, at])[0, 1] for at in range(3)]
    np.testing.assert_allclose(rank_correlation(one[:, :3], other, groups), expected, atol=1e-10)
