"""Grouping of units over runs, against answers that are known."""

import numpy as np
import pytest

from modulae.core.scores.correlation import correlation
from modulae.core.training.consensus import ConsensusRun, agree, cosine, run_correlation

N_CELLS, N_GENES = 300, 60


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    loadings = np.zeros((4, N_GENES))
    for unit in range(4):
        loadings[unit, unit * 12 : unit * 12 + 12] = rng.gamma(3.0, size=12)
    return loadings, rng.gamma(0.5, size=(N_CELLS, 4))


def noisy(truth, units, seed, noise=0.05):
    """A run that found these units, in this order."""
    rng = np.random.default_rng(seed)
    loadings, activity = truth
    return ConsensusRun(
        np.abs(loadings[units] + noise * rng.normal(size=(len(units), N_GENES))).astype(np.float32),
        np.abs(activity[:, units] + noise * rng.normal(size=(N_CELLS, len(units)))).astype(np.float32),
    )


def test_units_are_put_together_across_the_order_of_runs(truth):
    orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]]
    agreed = agree([noisy(truth, order, at) for at, order in enumerate(orders)], min_similarity=0.75, min_share=0.6)
    np.testing.assert_array_equal(agreed.share, 1)
    assert agreed.members.shape == (4, 4)
    for loadings, members in zip(agreed.loadings, agreed.members, strict=True):
        unit = int(np.argmax(cosine(np.vstack([loadings, truth[0]]))[0, 1:]))
        assert [order[place] for order, place in zip(orders, members, strict=True)] == [unit] * 4
        np.testing.assert_allclose(loadings, truth[0][unit], atol=0.25)


def test_what_few_runs_found_is_left_out(truth):
    runs = [noisy(truth, [0, 1, 2, 3] if at == 0 else [0, 1] if at > 2 else [0, 1, 2], at) for at in range(5)]
    agreed = agree(runs, min_similarity=0.75, min_share=0.6)
    np.testing.assert_allclose(agreed.share, [1, 1, 0.6])
    assert (agreed.members[2] == [2, 2, 2, -1, -1]).all()
    assert len(agree(runs, min_similarity=0.75, min_share=1.0).share) == 2
    assert len(agree(runs, min_similarity=0.75, min_share=0.2).share) == 4


def test_like_loadings_in_other_cells_are_another_unit(truth):
    loadings, activity = truth
    rng = np.random.default_rng(1)
    here = noisy(truth, [0, 1], 0)
    there = ConsensusRun(
        loadings[[0, 1]].astype(np.float32), activity[rng.permutation(N_CELLS)][:, [0, 1]].astype(np.float32)
    )
    assert len(agree([here, there], min_similarity=0.75, min_share=1.0).share) == 0


def test_a_run_counts_once_however_many_units_it_has_in_a_group(truth):
    twice = noisy(truth, [0, 0, 1], 0)
    once = noisy(truth, [0, 1], 1, noise=1.0)
    agreed = agree([twice, once], min_similarity=0.5, min_share=0.6)
    assert agreed.share.max() <= 1
    assert agreed.members.shape[1] == 2


def test_dead_units_are_like_none():
    dead = ConsensusRun(np.zeros((2, N_GENES), np.float32), np.ones((N_CELLS, 2), np.float32))
    agreed = agree([dead, dead, dead], min_similarity=0.5, min_share=1.0)
    assert len(agreed.share) == 0
    assert agreed.loadings.shape == (0, N_GENES)


def test_returns_are_correlations_with_the_match(truth):
    runs = [noisy(truth, [2, 0], 0), noisy(truth, [0, 1, 2, 3], 1)]
    found = run_correlation(truth[1], runs)
    assert found.shape == (4, 2)
    assert (found[[0, 2], 0] > 0.95).all()
    assert (found[[1, 3], 0] < 0.2).all()  # two units are left without a match of their own
    assert (found[:, 1] > 0.95).all()


def test_correlation_of_columns():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 3))
    np.testing.assert_allclose(correlation(values, values), np.corrcoef(values.T), atol=1e-12)


def test_loadings_are_the_median_of_the_members(truth):
    """One run whose loadings are twice as long changes nothing but its place."""
    runs = [noisy(truth, [0, 1, 2, 3], at) for at in range(5)]
    runs[2] = ConsensusRun(runs[2].loadings * 10, runs[2].activity)
    agreed = agree(runs, min_similarity=0.75, min_share=1.0)
    for loadings, members in zip(agreed.loadings, agreed.members, strict=True):
        found = np.array([run.loadings[member] for run, member in zip(runs, members, strict=True)])
        np.testing.assert_allclose(loadings, np.median(found, axis=0))
