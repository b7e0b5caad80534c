"""The compression is nearly the best there is of its rank, and never makes the cells dense."""

from unittest import mock

import numpy as np
import pytest
from scipy import sparse

from modulae.core.factorisation.low_rank import low_rank


def test_it_is_nearly_the_best_approximation_of_its_rank(planted):
    dense = planted.counts.toarray().astype(np.float64)
    values = np.linalg.svd(dense, compute_uv=False)
    found = low_rank(planted.counts, 20, seed=0)
    assert (found.left.shape, found.right.shape, found.rank) == ((400, 20), (20, 300), 20)
    assert found.left.dtype == found.right.dtype == np.float32
    missed = ((dense - found.left.astype(np.float64) @ found.right) ** 2).sum()
    best = (values[20:] ** 2).sum()  # Eckart & Young
    assert best * (1 - 1e-5) < missed < best * 1.01
    np.testing.assert_allclose(found.left.T @ found.left, np.eye(20), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.right[:9], axis=1), values[:9], rtol=1e-3)
    assert found.mean == pytest.approx(dense.mean(), rel=1e-6)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (1, 4), (4, 1)])
def test_all_directions_give_the_data_back(shape):
    data = np.random.default_rng(0).poisson(2.0, shape).astype(np.float32)
    found = low_rank(sparse.csr_matrix(data), 50, seed=0)
    assert found.rank == min(shape)
    np.testing.assert_allclose(found.left @ found.right, data, atol=1e-5)


def test_the_seed_decides(planted):
    first, again, other = (low_rank(planted.counts, 15, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.left, again.left)
    np.testing.assert_array_equal(first.right, again.right)
    assert not np.array_equal(first.right, other.right)


@pytest.mark.parametrize("form", [sparse.csc_matrix, sparse.coo_matrix, sparse.csr_array])
def test_other_forms_are_converted(planted, form):
    expected = low_rank(planted.counts, 10, seed=0)
    found = low_rank(form(planted.counts.astype(np.float64)), 10, seed=0)
    np.testing.assert_array_equal(found.left, expected.left)
    np.testing.assert_array_equal(found.right, expected.right)


def test_sparse_cells_stay_sparse(planted):
    with mock.patch.object(sparse.csr_matrix, "toarray", side_effect=AssertionError("made dense")):
        low_rank(planted.counts, 10, seed=0)


def test_bad_input_is_refused(planted):
    with pytest.raises(ValueError, match=r"rank is 0; give a whole number of at least 1"):
        low_rank(planted.counts, 0, seed=0)
    with pytest.raises(ValueError, match=r"there are 0 cells × 300 genes to factorise; give at least one of each"):
        low_rank(planted.counts[:0], 10, seed=0)
