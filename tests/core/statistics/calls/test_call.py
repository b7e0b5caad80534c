"""Calls of cells that are drawn from the model: how many are wrong, and how many are missed."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.model.parts import PartsNetwork
from modulae.core.statistics.calls.call import decide
from modulae.core.statistics.calls.evidence import as_active_as_usual

N_CELLS, N_GENES, N_UNITS = 1500, 400, 4
GIVEN = {"least_on": np.ones(4), "n_controls": 5, "n_cells": 1500, "seed": 0, "batch_size": 256, "device": "cpu"}
ON = np.array([0.3, 0.05, 0.5, 0.0])  # shares of the cells; the last unit is on nowhere


def drawn(depth, platform=1.0):
    """Poisson counts from a model, and where each unit is on; activities are known but for some noise."""
    rng = np.random.default_rng(0)
    loadings = np.zeros((N_UNITS, N_GENES))
    for unit in range(N_UNITS):
        loadings[unit, rng.choice(N_GENES, 25, replace=False)] = rng.uniform(0.3, 1.5, 25)
    network = PartsNetwork(np.zeros((N_UNITS, N_GENES)), np.zeros(N_UNITS), loadings, rng.gamma(1, 0.3, N_GENES))
    runs = rng.random((N_CELLS, N_UNITS)) < ON
    truth = np.where(runs, rng.lognormal(0, 0.3, runs.shape), 0.05)
    factors = depth * rng.lognormal(0, 0.3, (N_CELLS, 1))
    counts = rng.poisson(factors * network.decode(truth) * platform)
    units = np.maximum(truth + rng.normal(0, 0.05, truth.shape), 1e-4).astype(np.float32)
    return network, Cells(sparse.csr_matrix(counts.astype(np.float32)), factors[:, 0].astype(np.float32)), units, runs


@pytest.mark.parametrize("fdr", [0.05, 0.2])
def test_the_rate_is_kept_and_little_is_missed(fdr):
    network, cells, units, runs = drawn(depth=1.0)
    calls = decide(network, cells, units, fdr=fdr, **GIVEN)
    assert calls.on.shape == calls.callable.shape == (N_CELLS, N_UNITS)
    for unit in range(3):
        on, truth = calls.on[:, unit], runs[:, unit]
        assert (on & ~truth).sum() <= 2 * fdr * on.sum()
        assert (on & truth).sum() > 0.8 * truth.sum()
        assert calls.fdr[unit] <= fdr
    assert calls.on[:, 3].mean() < 0.05  # of a unit that is on nowhere every call is false: there are few


def test_with_few_counts_off_is_not_said():
    """At a twentieth of the depth a unit can't be seen in most cells: these are undecided, and calls are right."""
    network, cells, units, runs = drawn(depth=0.05)
    calls = decide(network, cells, units, fdr=0.1, **GIVEN)
    deep = decide(*drawn(depth=1.0)[:3], fdr=0.1, **GIVEN)
    assert deep.callable[:, :3].mean() > 0.9
    assert calls.callable[:, :3].mean() < 0.5
    assert (calls.on & ~calls.callable).sum() == 0
    on = calls.on[:, :3]
    assert (on & ~runs[:, :3]).sum() <= 0.2 * max(on.sum(), 10)


def test_whether_depth_would_show_a_unit_does_not_hang_on_whether_it_is_on():
    deep, thin = (decide(*drawn(depth)[:3], fdr=0.1, **GIVEN).visible for depth in (1.0, 0.02))
    assert (deep > 0.9).all()
    assert (thin < 0.5).all()


def test_genes_that_another_platform_counts_more_often_hide_no_unit():
    """Some genes are counted four times as often and others half as often as the model expects."""
    platform = np.random.default_rng(5).choice([0.5, 1.0, 4.0], N_GENES)
    network, cells, units, runs = drawn(1.0, platform)
    plain, rescaled = (decide(network, cells, units, fdr=0.05, rescaled=how, **GIVEN) for how in (False, True))
    for unit in range(3):
        on, truth = rescaled.on[:, unit], runs[:, unit]
        assert (on & ~truth).sum() <= 0.1 * on.sum()
        assert (on & truth).sum() > 0.8 * truth.sum()
    assert (
        plain.threshold[:3] > 2 * rescaled.threshold[:3]
    ).all()  # so much more the counts scatter, and for no reason


def test_the_seed_chooses_the_controls():
    network, cells, units, _ = drawn(depth=1.0)
    one, again, other = (decide(network, cells, units, fdr=0.05, **{**GIVEN, "seed": seed}) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.threshold, again.threshold)
    assert (one.threshold != other.threshold).any()
    assert (one.on != other.on).mean() < 0.05


def test_a_unit_that_is_not_sought_is_on_nowhere_and_the_others_stay():
    network, cells, units, _ = drawn(depth=1.0)
    every = decide(network, cells, units, fdr=0.1, **GIVEN)
    some = decide(network, cells, units, fdr=0.1, sought=np.array([True, False, True, True]), **GIVEN)
    assert every.on[:, 1].any()
    assert not some.on[:, 1].any()
    assert not some.callable[:, 1].any()
    assert (some.threshold[1], np.isnan(some.fdr[1])) == (np.inf, True)
    np.testing.assert_array_equal(some.on[:, [0, 2, 3]], every.on[:, [0, 2, 3]])


def test_as_active_as_usual_is_half_of_the_level_where_it_is_on():
    """Of 0 and 1 that level, Σz³ / Σz², is 1; of 0 and 0.4 it is 0.4."""
    z = np.repeat([[0.0, 0.0, 0.0], [1.0, 0.4, 0.0]], 5, axis=0)
    assert as_active_as_usual(z, np.array([1.9, 0.9, 1.0])).tolist() == [True, False, False]
    assert as_active_as_usual(z, np.array([2.1, 0.7, -1.0])).tolist() == [False, True, True]
