"""The evidence in a cell, against the likelihoods of its counts written out."""

import numpy as np
import pytest
from scipy import sparse, stats

from modulae.core.data.cells import Cells
from modulae.core.fallback import Fallback
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import initial_network
from modulae.core.model.parts import PartsNetwork
from modulae.core.statistics.calls.evidence import ControlEvidence, Evidence, levels, probes

N_CELLS, N_GENES = 30, 24
MOST = np.arange(400)  # counts beyond are next to impossible


def parts(rng, batches=None):
    loadings = rng.uniform(size=(3, N_GENES)) * (rng.random((3, N_GENES)) < 0.5)
    encoder = rng.normal(size=(3, N_GENES))
    return PartsNetwork(encoder, np.zeros(3), loadings, rng.uniform(0.02, 0.3, N_GENES), batches)


def orthogonal(rng):
    return initial_network(Config(n_latent=3, n_hidden=6), rng.gamma(1.0, size=N_GENES), rng)


@pytest.fixture(params=["parts", "batches", "orthogonal"])
def setup(request):
    rng = np.random.default_rng(0)
    factors = rng.uniform(0.5, 2, size=(3, N_GENES))
    network = {"parts": parts, "batches": lambda rng: parts(rng, factors), "orthogonal": orthogonal}[request.param](rng)
    units = (rng.uniform(0, 1.5, size=(N_CELLS, 3)) * (rng.random((N_CELLS, 3)) < 0.5) + 1e-4).astype(np.float32)
    counts = sparse.csr_matrix(rng.poisson(2, size=(N_CELLS, N_GENES)).astype(np.float32))
    batch = rng.integers(0, 2, N_CELLS) if request.param == "batches" else None
    cells = Cells(counts, rng.uniform(0.5, 3, N_CELLS).astype(np.float32), batch)
    return network, cells, units


def moments(rates, weight):
    """Mean and variance of Σ weight · count for Poisson counts, summed over what can be counted."""
    chances = stats.poisson.pmf(MOST, rates[:, None])
    mean = chances @ MOST
    return weight @ mean, weight**2 @ (chances @ MOST**2 - mean**2)


def test_is_the_likelihood_ratio_in_standard_deviations_where_the_unit_is_off(setup):
    network, cells, units = setup
    asked = probes(network, units, np.zeros(units.shape[1]))
    found = Evidence(asked, 7, Fallback("cpu"))(cells, units.T)
    assert found.shape == (3, N_CELLS, 3)
    for cell, probe in [(0, asked[0]), (4, asked[1]), (9, asked[2]), (29, asked[0])]:
        held = np.repeat(units[[cell]].astype(np.float64), 2, axis=0)
        held[:, probe.unit] = probe.off, probe.on
        batch = None if cells.batch is None else cells.batch[[cell, cell]]
        off, on = (network.decode(held, batch) * cells.size_factors[cell])[:, probe.genes]
        counts = cells.dense()[cell, probe.genes]
        ratio = (stats.poisson.logpmf(counts, on) - stats.poisson.logpmf(counts, off)).sum()
        weight, constant = np.log(on / off), (on - off).sum()
        (mean_off, variance_off), (mean_on, variance_on) = moments(off, weight), moments(on, weight)
        expected = (ratio - (mean_off - constant), mean_on - mean_off, np.sqrt(variance_on))
        np.testing.assert_allclose(
            found[:, cell, probe.unit], np.array(expected) / np.sqrt(variance_off), rtol=1e-3, atol=1e-3
        )


def test_a_control_takes_other_genes_with_the_same_weights(setup):
    network, cells, units = setup
    asked = probes(network, units, np.zeros(units.shape[1]))
    rng = np.random.default_rng(1)
    stand_ins = np.array([rng.permutation(N_GENES) for _ in range(2)])
    found = ControlEvidence(asked, network, stand_ins, 11, Fallback("cpu"))(cells, units.T)
    assert found.shape == (2, N_CELLS, 3)
    cell, probe = 6, asked[1]
    held = np.repeat(units[[cell]].astype(np.float64), 3, axis=0)
    held[1:, probe.unit] = probe.off, probe.on
    batch = None if cells.batch is None else cells.batch[[cell] * 3]
    rates = network.decode(held, batch) * cells.size_factors[cell]
    weight = np.log(rates[2] / rates[1])[probe.genes]
    for control in range(2):
        genes = stand_ins[control][probe.genes]
        difference = weight @ (cells.dense()[cell, genes] - rates[0, genes])
        expected = difference / np.sqrt(weight**2 @ rates[0, genes])
        assert found[control, cell, 1] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_levels_are_those_of_the_silent_and_of_the_active_cells():
    silent, active = np.full(90, 0.1), np.full(10, 2.0)
    units = np.c_[np.r_[silent, active], np.full(100, 3.0), np.zeros(100)]
    off, on = levels(units, np.zeros(3))
    np.testing.assert_allclose(on, [(90 * 0.001 + 10 * 8) / (90 * 0.01 + 10 * 4), 3, 0])
    np.testing.assert_allclose(off, [0.1, 3, 0])


def test_where_no_cell_is_active_the_level_is_that_of_the_training_cells():
    units = np.linspace(0, 0.2, 101)[:, None]
    off, on = levels(units, np.array([1.0]))
    assert on == 1.0
    assert off == pytest.approx(0.1)  # all cells are off


def test_the_genes_are_the_fewest_that_carry_a_unit():
    loadings = np.zeros((2, 5))
    loadings[0, [1, 3]] = 2.0, 1e-3
    network = PartsNetwork(np.zeros((2, 5)), np.zeros(2), loadings, np.full(5, 0.1))
    units = np.tile([[1e-4, 1.0], [2.0, 1.0]], (5, 1)).astype(np.float32)
    first, second = probes(network, units, np.zeros(units.shape[1]))
    assert first.genes.tolist() == [1]
    assert second.genes.tolist() == []  # it makes nothing


def test_a_cell_without_counts_says_nothing(setup):
    network, cells, units = setup
    factors = cells.size_factors.copy()
    factors[3] = 0
    counts = cells.counts.tolil()
    counts[3] = 0
    empty = Cells(counts.tocsr(), factors, cells.batch)
    assert (
        Evidence(probes(network, units, np.zeros(units.shape[1])), 8, Fallback("cpu"))(empty, units.T)[:, 3] == 0
    ).all()


@pytest.mark.parametrize("batch_size", [1, 1000])
def test_blocks_change_nothing(setup, batch_size):
    network, cells, units = setup
    asked = probes(network, units, np.zeros(units.shape[1]))
    one, other = (Evidence(asked, size, Fallback("cpu"))(cells, units.T) for size in (9, batch_size))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
