"""The effect of a unit, against the loss written out."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.inference.encode import encode
from modulae.core.inference.unit_importance import unit_effects
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import initial_network


@pytest.fixture
def setup():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.7, size=(40, 15)).astype(np.float32)
    counts[3] = 0  # a cell without counts has size factor 0
    factors = (counts.sum(axis=1) / 10).astype(np.float32)
    network = initial_network(Config(n_latent=4, n_hidden=6), counts.mean(axis=0).astype(np.float64), rng)
    cells = Cells(sparse.csr_matrix(counts), factors)
    return network, cells, encode(network, cells)


def loss(network, cells, units):
    rates = cells.scale().astype(np.float64) * network.decode(units.astype(np.float64))
    return (rates - cells.dense() * np.log(rates + 1e-8)).mean()


def test_is_the_rise_of_the_loss_with_the_unit_at_its_mean(setup):
    network, cells, units = setup
    expected = []
    for unit in range(4):
        held = units.copy()
        held[:, unit] = units[:, unit].mean()
        expected.append(loss(network, cells, held) - loss(network, cells, units))
    found = unit_effects(network, cells, units)
    np.testing.assert_allclose(found, expected, atol=2e-7)
    assert np.abs(found).max() > 1e-4  # there is something to find


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_blocks_change_nothing(setup, batch_size):
    network, cells, units = setup
    told = []
    found = unit_effects(network, cells, units, batch_size=batch_size, on_cells=told.append)
    np.testing.assert_allclose(found, unit_effects(network, cells, units), atol=1e-7)
    assert sum(told) == len(cells)


def test_a_unit_that_never_changes_has_no_effect(setup):
    network, cells, units = setup
    units[:, 2] = 0.5
    found = unit_effects(network, cells, units)
    assert found[2] == 0
    assert (found[[0, 1, 3]] != 0).all()


def test_the_model_without_size_factors(setup):
    network, cells, _ = setup
    raw = Cells(cells.counts, None)
    units = encode(network, raw)
    held = units.copy()
    held[:, 1] = units[:, 1].mean()
    expected = loss(network, raw, held) - loss(network, raw, units)
    np.testing.assert_allclose(unit_effects(network, raw, units)[1], expected, atol=2e-7)


def test_some_cells_stand_for_all(setup):
    network, cells, units = setup
    drawn = np.sort(np.random.default_rng([5, 2]).choice(40, 25, replace=False))
    expected = []
    for unit in range(4):
        held = units.copy()
        held[:, unit] = units[:, unit].mean()  # over all cells
        some = cells.take(drawn)
        expected.append(loss(network, some, held[drawn]) - loss(network, some, units[drawn]))
    told = []
    found = unit_effects(network, cells, units, n_cells=25, seed=5, on_cells=told.append)
    np.testing.assert_allclose(found, expected, atol=2e-7)
    assert sum(told) == 25
    whole = unit_effects(network, cells, units)
    assert np.abs(found - whole).max() > 1e-5
    np.testing.assert_array_equal(unit_effects(network, cells, units, n_cells=40), whole)
