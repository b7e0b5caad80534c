"""Rows of counts put together, and what needs no copy."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data.csr import as_csr, is_clean, stacked


def test_blocks_are_stacked_and_let_go():
    whole = sparse.random(50, 9, density=0.3, format="csr", dtype=np.float32, random_state=0)
    blocks = [whole[:20], whole[20:20], whole[20:49], whole[49:]]
    found = stacked(blocks)
    assert blocks == []
    assert found.has_canonical_format
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def changed(how):
    matrix = sparse.csr_matrix(np.array([[0, 2, 1], [3, 0, 0]], dtype=np.float32))
    if how == "other type":
        return matrix.astype(np.float64)
    if how == "zeros":
        matrix.data[1] = 0
    if how == "order":
        matrix = sparse.csr_matrix((matrix.data, matrix.indices[[1, 0, 2]], matrix.indptr), shape=matrix.shape)
    if how == "read-only":
        matrix.data.flags.writeable = False
    return matrix


@pytest.mark.parametrize("how", ["", "other type", "zeros", "order", "read-only"])
def test_only_what_is_as_it_should_be_needs_no_copy(how):
    assert is_clean(changed(how)) == (how == "")


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_two_types_of_index_become_one(form):
    # as anndata reads what `concat_on_disk` writes: SciPy copies all indices for every slice of such a matrix
    matrix = sparse.random(50, 9, density=0.3, format=form, dtype=np.float32, random_state=0)
    mixed = matrix.copy()
    mixed.indptr = mixed.indptr.astype(np.int64)
    found = as_csr(mixed)
    assert found.indices.dtype == found.indptr.dtype == np.int32
    np.testing.assert_array_equal(found.toarray(), matrix.toarray())
    if form == "csr":  # what is large is not copied
        assert np.shares_memory(found.indices, mixed.indices)
        assert np.shares_memory(found.data, mixed.data)
        assert mixed.indptr.dtype == np.int64  # nor is the caller's matrix changed
