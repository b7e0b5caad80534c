"""What a model remembers of very many cells."""

import numpy as np
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.inference import training_summary
from modulae.core.inference.encode import encode
from modulae.core.inference.novelty import novelty
from modulae.core.inference.training_summary import QUANTILES, summarise
from modulae.core.model.parts import PartsNetwork


def test_of_very_many_held_out_cells_some_stand_for_all(monkeypatch):
    rng = np.random.default_rng(0)
    cells = Cells(sparse.csr_matrix(rng.poisson(1.0, (90, 12)).astype(np.float32)), np.ones(90, dtype=np.float32))
    weights = (rng.uniform(0, 0.3, (3, 12)).astype(np.float32) for _ in range(2))
    network = PartsNetwork(next(weights), np.zeros(3, np.float32), next(weights), np.full(12, 0.3, np.float32))
    test = np.arange(90) % 2 == 0
    given = (network, cells, encode(network, cells), test, (np.array([], dtype=str), np.array([])))
    whole = summarise(*given)
    monkeypatch.setattr(training_summary, "MOST_HELD_OUT", 12)
    some = summarise(*given)
    rows = np.flatnonzero(test)[[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]]
    expected = np.quantile(novelty(network, cells.take(rows), some.dispersion), QUANTILES)
    np.testing.assert_allclose(some.novelty, expected, rtol=1e-5)
    assert (some.novelty != whole.novelty).any()
    np.testing.assert_array_equal(some.unit_covariance, whole.unit_covariance)  # of all cells, as before
    np.testing.assert_array_equal(some.rates, whole.rates)


def test_where_units_are_on_is_read_off_all_cells(monkeypatch):
    rng = np.random.default_rng(0)
    cells = Cells(sparse.csr_matrix(rng.poisson(1.0, (50, 12)).astype(np.float32)), np.ones(50, dtype=np.float32))
    weights = (rng.uniform(0, 0.3, (3, 12)).astype(np.float32) for _ in range(2))
    network = PartsNetwork(next(weights), np.zeros(3, np.float32), next(weights), np.full(12, 0.3, np.float32))
    z = np.where(rng.random((50, 3)) < [0.1, 0.5, 0.0], 3.0, 0.5).astype(np.float32)
    monkeypatch.setattr(training_summary, "CELLS_PER_CHUNK", 7)
    found = summarise(network, cells, z, np.arange(50) < 5, (np.array([], dtype=str), np.array([])))
    n = (z == 3).sum(axis=0)
    np.testing.assert_allclose(found.units_on, (27 * n + (50 - n) / 8) / (9 * n + (50 - n) / 4))
