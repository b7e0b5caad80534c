"""Activity of known parts is the non-negative least squares solution of each cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import nnls

from modulae.core.factorisation.read import read_parts


def exact(inputs, loadings):
    return np.array([nnls(loadings.T.astype(np.float64), cell)[0] for cell in inputs.toarray().astype(np.float64)])


def some_parts(n_parts=6, n_genes=300):
    return np.random.default_rng(0).gamma(0.3, size=(n_parts, n_genes)).astype(np.float32)


def test_it_agrees_with_scipy():
    rng, loadings = np.random.default_rng(2), some_parts()
    activity = rng.gamma(1.0, size=(100, 6)) * (rng.random((100, 6)) < 0.5)
    inputs = sparse.csr_matrix(rng.poisson(activity @ loadings)).astype(np.float32)
    expected = exact(inputs, loadings)
    found = read_parts(inputs, loadings)
    assert found.shape == (100, 6)
    assert found.dtype == np.float32
    assert (expected == 0).any()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_planted_activities_are_read_back():
    rng = np.random.default_rng(1)
    activity, loadings = rng.gamma(0.5, size=(50, 5)), some_parts(5).astype(np.float64)
    activity[rng.random(activity.shape) < 0.5] = 0
    found = read_parts(sparse.csr_matrix(activity @ loadings), loadings)
    np.testing.assert_allclose(found, activity, atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 8))
def test_no_number_can_be_made_better(seed, n_parts, n_cells):
    """Karush, Kuhn & Tucker: no slope where a part is active, and none downwards where it is not."""
    rng = np.random.default_rng(seed)
    loadings = rng.gamma(0.3, size=(n_parts, 200))
    inputs = rng.poisson(0.5, (n_cells, 200)).astype(np.float64)
    found = read_parts(sparse.csr_matrix(inputs), loadings, n_sweeps=300).astype(np.float64)
    slope = (found @ loadings - inputs) @ loadings.T / (loadings**2).sum(axis=1)
    assert (found >= 0).all()
    assert slope.min() > -1e-4
    assert np.abs(found * slope).max() < 1e-4


def test_what_is_empty_has_no_activity(planted):
    loadings, inputs = some_parts(), planted.logs.tolil()
    loadings[[1, 4]] = 0
    inputs[7] = 0
    found = read_parts(inputs.tocsr(), loadings)
    np.testing.assert_array_equal(found[7], 0)
    np.testing.assert_array_equal(found[:, [1, 4]], 0)
    others = read_parts(inputs.tocsr(), loadings[[0, 2, 3, 5]])
    np.testing.assert_allclose(found[:, [0, 2, 3, 5]], others, rtol=1e-4, atol=1e-5)
    assert read_parts(inputs.tocsr(), loadings[:0]).shape == (400, 0)
    assert read_parts(inputs.tocsr()[:0], loadings).shape == (0, 6)


def test_a_cell_is_read_the_same_among_others(planted):
    loadings, some = some_parts(), np.random.default_rng(0).permutation(400)[:30]
    together, alone = read_parts(planted.logs, loadings), read_parts(planted.logs[some], loadings)
    np.testing.assert_allclose(alone, together[some], rtol=1e-4, atol=1e-5)


def test_other_forms_are_converted_and_none_is_changed(planted):
    loadings, inputs = some_parts().astype(np.float64), planted.logs.astype(np.float64).tocsc()
    before = loadings.copy(), inputs.copy()
    np.testing.assert_array_equal(read_parts(inputs, loadings), read_parts(planted.logs, some_parts()))
    np.testing.assert_array_equal(loadings, before[0])
    assert (inputs != before[1]).nnz == 0
    with pytest.raises(ValueError, match=r"n_sweeps is 0; give a whole number of at least 1"):
        read_parts(inputs, loadings, n_sweeps=0)
