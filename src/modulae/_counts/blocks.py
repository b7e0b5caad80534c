"""Raw counts, read a block of cells at a time and checked for values that no count can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from anndata.abc import CSRDataset
from scipy import sparse

from modulae.core.data.csr import as_csr, native, native_type

from .file_rows import DenseFileRows, FileRows, LazyRows, read_lazily
from .layers import layer_names, matrix_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

    from .layers import RowMatrix

ROWS_PER_BLOCK = 4096
"""Cells read at a time; bounds the memory that checking a file on disk takes."""

BLOCKS_LOOKED_AT, ROWS_LOOKED_AT = 8, 256
"""Blocks and rows of a matrix on disk that tell what it holds."""

NAME_THE_LAYER = "Name the layer that holds the raw counts: layer=."


def _matrix(adata: AnnData, layer: str | None) -> Any:  # noqa: ANN401
    matrix = matrix_of(adata, layer)
    if matrix is None:
        available = layer_names(adata)
        advice = "Put raw counts into it"
        if available:
            advice = f"Name the layer that holds the raw counts: layer= one of {available}"
        elif adata.raw is not None:
            advice = "Take the values of `.raw`: `adata = adata.raw.to_adata()`"
        msg = f"adata has no `.X`. {advice}."
        raise ValueError(msg)
    if adata.n_obs == 0 or adata.n_vars == 0:
        msg = f"adata has {adata.n_obs} cells and {adata.n_vars} genes. Loosen the filters that emptied it."
        raise ValueError(msg)
    return matrix


def checked_blocks(adata: AnnData, layer: str | None) -> Iterator[sparse.csr_matrix]:
    """Blocks of cells as CSR, each checked for values that no count can have."""
    matrix, where = counts_of(adata, layer)
    for start in range(0, adata.n_obs, ROWS_PER_BLOCK):
        yield check_values(as_rows(matrix, start, min(start + ROWS_PER_BLOCK, adata.n_obs)), where)


def counts_of(adata: AnnData, layer: str | None) -> tuple[RowMatrix, str]:
    """The matrix of raw counts, of which rows can be read, and its name."""
    matrix, where = _matrix(adata, layer), "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    _check_numbers(matrix.dtype, where)
    if np.ma.is_masked(matrix):
        msg = f"{where} has masked values, which are no counts. Put numbers there: `{where} = {where}.filled(0)`."
        raise ValueError(msg)
    if sparse.issparse(matrix):
        matrix = as_csr(matrix)
    elif getattr(matrix, "format", "csr") == "csc":  # on disk: rows can't be sliced cheaply
        parts: Any = tuple(native(np.asarray(matrix.group[name][:])) for name in ("data", "indices", "indptr"))
        matrix = sparse.csr_matrix(sparse.csc_matrix(parts, shape=matrix.shape))
    elif isinstance(matrix, CSRDataset):
        matrix = FileRows(matrix)
    elif isinstance(matrix, h5py.Dataset):
        matrix = DenseFileRows(matrix)
    elif (behind := read_lazily(matrix)) is not None:
        matrix = LazyRows(behind)
    elif hasattr(matrix, "map_blocks") and matrix.dtype != native_type(matrix.dtype):
        dtype = native_type(matrix.dtype)
        matrix = matrix.map_blocks(as_csr, dtype=dtype, meta=sparse.csr_matrix((0, 0), dtype=dtype))
    return matrix, where


def as_rows(matrix: RowMatrix, start: int, stop: int) -> sparse.csr_matrix:
    """Consecutive rows, in memory."""
    rows = matrix[start:stop]
    if hasattr(rows, "compute"):  # dask: in this thread, as the next rows are read ahead by one thread only
        rows = rows.compute(scheduler="synchronous")
    return as_csr(rows)


def few_rows(matrix: RowMatrix, start: int, stop: int) -> sparse.csr_matrix:
    """Consecutive rows, from wherever dask holds them: the workers of a cluster may be the only ones that do."""
    rows = matrix[start:stop]
    return as_csr(rows.compute() if hasattr(rows, "compute") else rows)


def some_rows(
    matrix: RowMatrix, n_rows: int, *, on_disk: int = ROWS_LOOKED_AT
) -> tuple[sparse.csr_matrix, NDArray[np.intp]]:
    """At most so many rows from everywhere, and which they are; of others than in memory `on_disk`, in a few blocks."""
    total = int(matrix.shape[0])
    if sparse.issparse(matrix) or isinstance(matrix, np.ndarray):
        rows = np.unique(np.linspace(0, total - 1, min(n_rows, total)).astype(np.intp))
        if getattr(matrix, "format", "") == "csr":
            matrix = as_csr(matrix)
        return as_csr(matrix[rows]), rows  # type: ignore[index]
    if total <= on_disk:
        return few_rows(matrix, 0, total), np.arange(total)
    size = on_disk // BLOCKS_LOOKED_AT
    starts = np.linspace(0, total - size, BLOCKS_LOOKED_AT).astype(np.intp).tolist()
    blocks = [few_rows(matrix, start, start + size) for start in starts]
    return sparse.csr_matrix(sparse.vstack(blocks)), np.concatenate([np.arange(at, at + size) for at in starts])


def check_values(block: sparse.csr_matrix, where: str) -> sparse.csr_matrix:
    """Refuse values that no count can have."""
    _check_numbers(block.dtype, where)
    if not np.isfinite(block.data).all():
        msg = f"{where} has NaN or infinite values. Remove them, or name the layer that holds the raw counts: layer=."
        raise ValueError(msg)
    if (block.data < 0).any():
        msg = f"{where} has negative values (scaled data?). {NAME_THE_LAYER}"
        raise ValueError(msg)
    return block


def _check_numbers(dtype: np.dtype[Any], where: str) -> None:
    if dtype.kind not in "biuf":
        step = f"Convert it: `{where} = {where}.astype('float32')`" if dtype.kind in "OSU" else "Store raw counts there"
        msg = f"{where} holds {dtype}, not numbers. {step}, or name another layer."
        raise TypeError(msg)
