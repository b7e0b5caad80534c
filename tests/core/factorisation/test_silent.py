"""In how many cells a part is best called silent."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.factorisation.silent import silent_shares

N_CELLS = 2000


@pytest.fixture(scope="module")
def cells():
    """Three parts of 40 genes: in 1 % of the cells, and in most cells, weakly beside noise; the last without noise."""
    rng = np.random.default_rng(0)
    loadings = np.kron(np.eye(3), np.ones(40))
    activity = rng.gamma(2.0, 0.5, size=(N_CELLS, 3))
    activity[:, 0] = 3 * (np.arange(N_CELLS) < 20)
    noise = 2.0 * np.abs(rng.normal(size=(N_CELLS, 120))) * (np.arange(120) < 80)
    return sparse.csr_matrix((activity @ loadings + noise).astype(np.float32)), loadings


def test_a_part_of_few_cells_is_silent_in_nearly_all_others_and_common_ones_are_left(cells):
    share = silent_shares(*cells, seed=0)
    assert 0.9 <= share[0] <= 0.99
    np.testing.assert_array_equal(share[1:], 0)


def test_a_part_of_one_gene_or_of_none_is_left(cells):
    loadings = np.zeros((2, 120))
    np.testing.assert_array_equal(silent_shares(cells[0], loadings, seed=0), 0)
    loadings[0, 3] = 1
    np.testing.assert_array_equal(silent_shares(cells[0], loadings, seed=0), 0)
