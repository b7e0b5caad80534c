"""Whether cells with a unit on have more of its genes."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.model.parts import PartsNetwork
from modulae.core.statistics.calls.evidence import probes
from modulae.core.statistics.calls.likeness import likeness

N_CELLS, N_GENES = 400, 60


@pytest.fixture
def drawn():
    """Counts of a model with two units, where each is on, and what is asked of them."""
    rng = np.random.default_rng(0)
    loadings = np.where(np.arange(N_GENES) < 30, [[1.0], [0.0]], [[0.0], [1.0]]) * rng.uniform(0.2, 1.5, N_GENES)
    network = PartsNetwork(np.zeros((2, N_GENES)), np.zeros(2), loadings, rng.gamma(1, 0.3, N_GENES) + 0.05)
    on = rng.random((N_CELLS, 2)) < 0.4
    units = np.where(on, 1.0, 0.05).astype(np.float32)
    factors = rng.lognormal(0, 0.3, N_CELLS).astype(np.float32)
    counts = rng.poisson(factors[:, None] * np.asarray(network.decode(units)))
    return counts, factors, on, probes(network, units, np.ones(2))


def cells_of(counts, factors):
    return Cells(sparse.csr_matrix(counts.astype(np.float32)), factors)


def test_it_is_the_weighted_correlation_of_two_log_ratios(drawn):
    counts, factors, on, asked = drawn
    found = likeness(cells_of(counts, factors), on, asked)
    mean = counts.sum(axis=0) / factors.sum()
    for unit, probe in enumerate(asked):
        ratios = []
        for gene in range(N_GENES):
            sides = (counts[side, gene].sum() for side in (on[:, unit], ~on[:, unit]))
            sizes = (factors[side].sum() for side in (on[:, unit], ~on[:, unit]))
            mine, other = ((total + mean[gene]) / (size + 1) for total, size in zip(sides, sizes, strict=True))
            ratios.append(np.log(mine / other))
        off, present = probe.rates
        covariance = np.cov(ratios, np.log(present / off), aweights=np.sqrt((off + present) / 2))
        assert found[unit] == pytest.approx(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]), rel=1e-4)
    assert (found > 0.8).all()


def test_one_gene_for_another_reason_is_not_alike(drawn):
    counts, factors, on, asked = drawn
    counts = np.random.default_rng(1).permutation(counts)  # nothing follows the units now
    counts[on[:, 0], 0] += 20
    assert likeness(cells_of(counts, factors), on, asked)[0] < 0.4


def test_a_gene_that_is_not_there_says_nothing(drawn):
    counts, factors, on, asked = drawn
    counts[:, :5] = 0
    assert likeness(cells_of(counts, factors), on, asked)[0] > 0.8


@pytest.mark.parametrize("everywhere", [False, True])
def test_where_there_is_nothing_to_compare_it_is_missing(drawn, everywhere):
    counts, factors, on, asked = drawn
    on[:, 0] = everywhere
    found = likeness(cells_of(counts, factors), on, asked)
    assert np.isnan(found[0])
    assert found[1] > 0.8
