"""Rows of counts, in whatever form they come, as one kind of matrix."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_csr(rows: Any) -> sparse.csr_matrix:  # noqa: ANN401
    """The same numbers by rows, in a type that SciPy calculates with (see :func:`native_type`).

    Both index arrays are of one type: of two (anndata reads what `concat_on_disk` and others write), SciPy would copy
    all indices for every slice.
    """
    if not sparse.issparse(rows):
        return sparse.csr_matrix(native(np.asarray(rows)))
    matrix: Any = rows
    if matrix.format in {"csr", "csc"}:
        parts = matrix.data, matrix.indices, matrix.indptr
        mixed = matrix.indices.dtype != matrix.indptr.dtype
        if mixed or any(part.dtype != native_type(part.dtype) for part in parts):
            made: Any = sparse.csr_matrix if matrix.format == "csr" else sparse.csc_matrix
            matrix = made(tuple(native(part) for part in parts), shape=matrix.shape)
    elif matrix.dtype != native_type(matrix.dtype):
        matrix = matrix.astype(native_type(matrix.dtype))
    return sparse.csr_matrix(matrix)


def native_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The nearest type that sparse matrices may have: bytes in this machine's order, and 32 bits rather than 16.

    Files of other machines, and of R and MATLAB, can have them the other way round.
    """
    return np.dtype(np.float32) if dtype.kind == "f" and dtype.itemsize == 2 else dtype.newbyteorder("=")


def native(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the type of :func:`native_type`; a copy only if it is another one."""
    return values.astype(native_type(values.dtype), copy=False)


def is_clean(matrix: sparse.csr_matrix) -> bool:
    """Whether :func:`clean` would only make a copy; of what may not be written to, libraries want one."""
    arrays = matrix.data, matrix.indices, matrix.indptr
    usual = matrix.dtype == np.float32 and all(array.flags.writeable for array in arrays)
    return bool(usual and matrix.has_canonical_format and (matrix.data != 0).all())


def stacked(blocks: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    """Blocks of rows one below the other. The list is emptied, so that nothing is in memory twice."""
    if len(blocks) == 1:
        return sparse.csr_matrix(blocks.pop())
    shape = sum(int(block.shape[0]) for block in blocks), int(blocks[0].shape[1])
    ends = np.cumsum([0, *(block.nnz for block in blocks)])
    wide = max(ends[-1], shape[1]) > np.iinfo(np.int32).max
    data = np.empty(ends[-1], dtype=blocks[0].dtype)
    indices = np.empty(ends[-1], dtype=np.int64 if wide else np.int32)
    indptr, row = np.zeros(shape[0] + 1, dtype=indices.dtype), 1
    blocks.reverse()
    for start, end in pairwise(ends.tolist()):
        block = blocks.pop()
        data[start:end], indices[start:end] = block.data, block.indices
        indptr[row : row + block.shape[0]] = block.indptr[1:] + indices.dtype.type(start)
        row += int(block.shape[0])
    return sparse.csr_matrix((data, indices, indptr), shape=shape)


def clean(block: sparse.csr_matrix) -> sparse.csr_matrix:
    """`float32` without duplicates and stored zeros: a 0 of an empty cell would be divided by its size factor, 0."""
    block = sparse.csr_matrix(block.astype(np.float32))
    block.sum_duplicates()
    block.eliminate_zeros()
    return block
