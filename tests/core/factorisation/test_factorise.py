"""Parts as scikit-learn finds them, from a compression of the cells."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.decomposition import non_negative_factorization

from modulae.core.factorisation.factorise import Parts, factorise, refine
from modulae.core.factorisation.low_rank import low_rank

N_PARTS = 9
"""Eight programmes, and the level of all genes."""


def by_sklearn(inputs, n_parts, n_iterations, **start):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        activity, loadings, _ = non_negative_factorization(
            inputs.astype(np.float64),
            n_components=n_parts,
            solver="cd",
            tol=0,
            max_iter=n_iterations,
            random_state=0,
            **{"init": "nndsvda", **start},
        )
    size = np.sqrt((activity**2).mean(axis=0))
    return Parts(activity / size, loadings * size[:, None], np.arange(n_parts))


def distance(inputs, parts):
    return ((inputs.toarray() - parts.activity.astype(np.float64) @ parts.loadings.astype(np.float64)) ** 2).sum()


def correlated(a, b):
    """Columns of a × columns of b."""
    return np.corrcoef(a, b, rowvar=False)[: a.shape[1], a.shape[1] :]


@pytest.mark.parametrize("kind", ["counts", "logs"])
def test_the_distance_is_that_of_scikit_learn(planted, kind):
    inputs = getattr(planted, kind)
    found = factorise(low_rank(inputs, N_PARTS + 16, seed=0), N_PARTS)
    assert distance(inputs, found) < 1.005 * distance(inputs, by_sklearn(inputs, N_PARTS, 60))


def test_without_compression_the_numbers_are_those_of_scikit_learn(planted):
    found, expected = factorise(low_rank(planted.counts, 300, seed=0), N_PARTS), by_sklearn(planted.counts, N_PARTS, 60)
    np.testing.assert_allclose(found.activity, expected.activity, atol=0.01)  # of mean square 1
    np.testing.assert_allclose(found.loadings, expected.loadings, atol=1e-3 * expected.loadings.max())


def test_refining_takes_the_steps_of_scikit_learn_on_all_entries(planted):
    start = factorise(low_rank(planted.counts, 12, seed=0), N_PARTS, n_iterations=10)
    before = start.activity.copy(), start.loadings.copy()
    found = refine(planted.counts, start.loadings, start.activity, n_iterations=20)
    activity, loadings = start.activity.astype(np.float64), start.loadings.astype(np.float64)
    expected = by_sklearn(planted.counts, N_PARTS, 20, init="custom", W=activity.copy(), H=loadings.copy())
    np.testing.assert_allclose(found.activity, expected.activity, atol=0.01)
    np.testing.assert_allclose(found.loadings, expected.loadings, atol=1e-3 * expected.loadings.max())
    assert distance(planted.counts, found) < distance(planted.counts, start)
    np.testing.assert_array_equal(start.activity, before[0])
    np.testing.assert_array_equal(start.loadings, before[1])
    columns = planted.counts.astype(np.float64).tocsc()
    other = refine(columns, loadings, np.asfortranarray(activity), n_iterations=20)
    np.testing.assert_allclose(other.activity, found.activity, atol=0.01)


def test_planted_programmes_are_found(planted):
    found = factorise(low_rank(planted.counts, N_PARTS + 16, seed=0), N_PARTS)
    of_cells = correlated(planted.activity, found.activity)
    assert len(set(of_cells.argmax(axis=1))) == 8
    assert of_cells.max(axis=1).min() > 0.75


def test_planted_parts_are_found_with_their_genes():
    rng = np.random.default_rng(0)
    activity, loadings = rng.gamma(1.0, size=(300, 4)), np.kron(np.eye(4), np.ones(20)) * rng.uniform(1, 4, 80)
    activity *= rng.random(activity.shape) < 0.6
    found = factorise(low_rank(sparse.csr_matrix(rng.poisson(activity @ loadings)), 20, seed=0), 4)
    of_cells, of_genes = correlated(activity, found.activity), correlated(loadings.T, found.loadings.T)
    best = of_cells.argmax(axis=1)
    assert sorted(best) == [0, 1, 2, 3]
    assert of_cells[np.arange(4), best].min() > 0.95
    assert of_genes[np.arange(4), best].min() > 0.95


def test_the_order_of_cells_and_genes_is_that_of_the_result(planted):
    rng = np.random.default_rng(0)
    cells, genes = rng.permutation(400), rng.permutation(300)
    shuffled = planted.counts[cells][:, genes]
    expected, found = (factorise(low_rank(data, 300, seed=0), N_PARTS) for data in (planted.counts, shuffled))
    np.testing.assert_allclose(found.activity, expected.activity[cells], atol=0.01)
    np.testing.assert_allclose(found.loadings, expected.loadings[:, genes], atol=1e-3 * expected.loadings.max())
    compressed = (factorise(low_rank(data, 25, seed=0), N_PARTS) for data in (planted.counts, shuffled))
    expected, found = compressed
    assert np.diag(correlated(expected.activity[cells], found.activity)).min() > 0.97


def test_the_same_cells_give_the_same_numbers(planted):
    first, again = (factorise(low_rank(planted.logs, 20, seed=1), 6) for _ in range(2))
    np.testing.assert_array_equal(first.activity, again.activity)
    np.testing.assert_array_equal(first.loadings, again.loadings)


def test_one_compression_serves_many_numbers_of_parts_and_stays_as_it_is(planted):
    compressed = low_rank(planted.logs, 20, seed=1)
    before = compressed.left.copy(), compressed.right.copy()
    for n_parts in (1, 7, 20):
        found = factorise(compressed, n_parts, n_iterations=5)
        assert found.loadings.shape == (len(found.kept), 300)
        assert found.activity.shape == (400, len(found.kept))
        assert 0 < len(found.kept) <= n_parts
        assert found.activity.flags.c_contiguous
    np.testing.assert_array_equal(compressed.left, before[0])
    np.testing.assert_array_equal(compressed.right, before[1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12), st.integers(1, 6), st.floats(1e-2, 1e3))
def test_parts_are_numbers_that_are_not_negative(seed, n_cells, n_genes, n_parts, scale):
    data = np.random.default_rng(seed).poisson(1.0, (n_cells, n_genes)) * scale
    compressed = low_rank(sparse.csr_matrix(data), 12, seed=0)
    found = factorise(compressed, min(n_parts, compressed.rank))
    for factor in (found.activity, found.loadings):
        assert factor.dtype == np.float32
        assert np.isfinite(factor).all()
        assert (factor >= 0).all()
    np.testing.assert_allclose((found.activity.astype(np.float64) ** 2).mean(axis=0), 1, rtol=1e-4)
    assert ((data - found.activity @ found.loadings) ** 2).sum() <= (data**2).sum() * (1 + 1e-4)


def test_cells_and_genes_without_counts_are_in_no_part(planted):
    counts = planted.counts.tolil()
    counts[[5, 399]] = 0
    counts[:, [0, 17]] = 0
    counts = counts.tocsr()
    found = factorise(low_rank(counts, 25, seed=0), N_PARTS)
    assert found.activity[[5, 399]].max() < 1e-4
    assert found.loadings[:, [0, 17]].max() < 1e-4 * found.loadings.max()
    found = refine(counts, found.loadings, found.activity, n_iterations=1)
    np.testing.assert_array_equal(found.activity[[5, 399]], 0)
    np.testing.assert_array_equal(found.loadings[:, [0, 17]], 0)


def test_constant_inputs_are_one_level():
    found = factorise(low_rank(sparse.csr_matrix(np.full((7, 5), 3.0)), 4, seed=0), 3)
    np.testing.assert_allclose(found.activity @ found.loadings, 3, rtol=1e-4)


def test_where_there_is_nothing_there_are_no_parts():
    found = factorise(low_rank(sparse.csr_matrix((7, 5), dtype=np.float32), 4, seed=0), 3)
    assert (found.activity.shape, found.loadings.shape, len(found.kept)) == ((7, 0), (0, 5), 0)


def test_a_part_that_vanishes_is_left_out(planted):
    start = factorise(low_rank(planted.counts, 10, seed=0), 4)
    loadings, activity = np.insert(start.loadings, 1, 0, axis=0), np.insert(start.activity, 1, 0, axis=1)
    found, expected = (
        refine(planted.counts, *given, n_iterations=3)
        for given in ((loadings, activity), (start.loadings, start.activity))
    )
    np.testing.assert_array_equal(found.kept, [0, 2, 3, 4])
    np.testing.assert_allclose(found.activity, expected.activity, atol=1e-3)


def test_bad_numbers_are_refused_with_what_to_do(planted):
    compressed = low_rank(planted.counts, 10, seed=0)
    with pytest.raises(ValueError, match=r"n_parts is 11, but .* rank 10; give n_parts of at most 10, or compress"):
        factorise(compressed, 11)
    with pytest.raises(ValueError, match=r"n_parts is 0; give a whole number of at least 1"):
        factorise(compressed, 0)
    with pytest.raises(ValueError, match=r"n_iterations is -1; give a whole number of at least 0"):
        factorise(compressed, 3, n_iterations=-1)
