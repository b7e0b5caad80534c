"""Raw counts, read a block of cells at a time and checked for values that no count can have."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from anndata.abc import CSRDataset
from scipy import sparse

from ._users_line import users_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

ROWS_PER_BLOCK = 4096
"""Cells read at a time; bounds the memory that checking a file on disk takes."""


def _matrix(adata: AnnData, layer: str | None) -> Any:  # noqa: ANN401
    if layer is not None and layer not in adata.layers:
        msg = f"there is no layer {layer!r}. Choose one of {list(adata.layers)}, or None for `.X`."
        raise KeyError(msg)
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        msg = f"adata has no `.X`. Name the layer that holds the raw counts: layer= one of {list(adata.layers)}."
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


def counts_of(adata: AnnData, layer: str | None) -> tuple[Any, str]:
    """The matrix of raw counts, of which rows can be read, and its name."""
    matrix, where = _matrix(adata, layer), "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    _check_numbers(matrix.dtype, where)
    if getattr(matrix, "format", "csr") == "csc":  # in memory or on disk: rows can't be sliced cheaply
        in_memory: Any = matrix if sparse.issparse(matrix) else matrix.to_memory()
        matrix = sparse.csr_matrix(in_memory)
    elif isinstance(matrix, CSRDataset):
        matrix = FileRows(matrix)
    elif isinstance(matrix, h5py.Dataset):
        matrix = DenseFileRows(matrix)
    return matrix, where


class FileRows:
    """Rows of a CSR matrix in a file, read as they lie there.

    anndata's own slicing looks up the version of scipy every time, which takes longer than to read some hundred cells.
    """

    def __init__(self, matrix: CSRDataset) -> None:
        group: Any = matrix.group
        self._matrix, self.shape = matrix, matrix.shape
        self._ends = np.asarray(group["indptr"][:], dtype=np.int64)
        self._data, self._indices = group["data"], group["indices"]

    def __getitem__(self, rows: slice) -> sparse.csr_matrix:
        ends = self._ends[rows.start : rows.stop + 1]
        counts = slice(int(ends[0]), int(ends[-1]))
        arrays = self._data[counts], self._indices[counts], ends - ends[0]
        return sparse.csr_matrix(arrays, shape=(len(ends) - 1, self.shape[1]))

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the file for itself."""
        group: Any = self._matrix.group
        if isinstance(group, h5py.Group):
            return _reopened, (group.file.filename, group.name)
        return type(self), (self._matrix,)


class DenseFileRows:
    """Rows of a plain matrix in an HDF5 file."""

    def __init__(self, matrix: h5py.Dataset) -> None:
        self._matrix, self.shape, self.chunks = matrix, matrix.shape, matrix.chunks

    def __getitem__(self, rows: slice) -> Any:  # noqa: ANN401
        return self._matrix[rows]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the file for itself."""
        return _reopened, (self._matrix.file.filename, self._matrix.name)


def _reopened(path: str, name: str) -> FileRows | DenseFileRows:
    from anndata.io import sparse_dataset

    found: Any = h5py.File(path, "r")[name]
    return DenseFileRows(found) if isinstance(found, h5py.Dataset) else FileRows(sparse_dataset(found))


def as_rows(matrix: Any, start: int, stop: int) -> sparse.csr_matrix:  # noqa: ANN401
    """Consecutive rows, in memory."""
    rows = matrix[start:stop]
    if hasattr(rows, "compute"):  # dask: in this thread, as the next rows are read ahead by one thread only
        rows = rows.compute(scheduler="synchronous")
    if rows.dtype == np.float16:  # SciPy has no such sparse matrix
        rows = rows.astype(np.float32)
    return sparse.csr_matrix(rows)


def check_values(block: sparse.csr_matrix, where: str) -> sparse.csr_matrix:
    """Refuse values that no count can have."""
    _check_numbers(block.dtype, where)
    if not np.isfinite(block.data).all():
        msg = f"{where} has NaN or infinite values. Remove them, or name the layer that holds the raw counts: layer=."
        raise ValueError(msg)
    if (block.data < 0).any():
        msg = f"{where} has negative values (scaled data?). Name the layer that holds the raw counts: layer=."
        raise ValueError(msg)
    return block


def _check_numbers(dtype: np.dtype[Any], where: str) -> None:
    if dtype.kind not in "biuf":
        msg = f"{where} holds {dtype}, not numbers. Store raw counts there, or name another layer."
        raise TypeError(msg)


def warn_no_counts(layer: str | None) -> None:
    """Warn that the values are no raw counts, at the line of the user who called a public function."""
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    warnings.warn(
        f"{where} holds values that are not whole numbers, so they are no raw counts, which the Poisson loss expects. "
        "Name the layer that holds the raw counts: layer=.",
        UserWarning,
        stacklevel=users_line(),
    )
