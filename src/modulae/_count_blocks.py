"""Raw counts, read a block of cells at a time and checked for values that no count can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from anndata.abc import CSRDataset
from scipy import sparse

from ._file_rows import DenseFileRows, FileRows, LazyRows, read_lazily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

ROWS_PER_BLOCK = 4096
"""Cells read at a time; bounds the memory that checking a file on disk takes."""

NAME_THE_LAYER = "Name the layer that holds the raw counts: layer=."


def _matrix(adata: AnnData, layer: str | None) -> Any:  # noqa: ANN401
    if layer is not None and layer not in adata.layers:
        there = layer_names(adata)
        msg = f"there is no layer {layer!r}. {f'Choose one of {there}, or' if there else 'Take'} None for `.X`."
        raise KeyError(msg)
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        there = layer_names(adata)
        advice = "Put raw counts into it"
        if there:
            advice = f"Name the layer that holds the raw counts: layer= one of {there}"
        elif adata.raw is not None:
            advice = "Take the values of `.raw`: `adata = adata.raw.to_adata()`"
        msg = f"adata has no `.X`. {advice}."
        raise ValueError(msg)
    if adata.n_obs == 0 or adata.n_vars == 0:
        msg = f"adata has {adata.n_obs} cells and {adata.n_vars} genes. Loosen the filters that emptied it."
        raise ValueError(msg)
    return matrix


def layer_names(adata: AnnData) -> list[str]:
    """Names of the layers: newer versions of anndata have `.X` among them, as `None`."""
    return [str(name) for name in adata.layers if name is not None]


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
    elif (behind := read_lazily(matrix)) is not None:
        matrix = LazyRows(behind)
    return matrix, where


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
        msg = f"{where} has negative values (scaled data?). {NAME_THE_LAYER}"
        raise ValueError(msg)
    return block


def _check_numbers(dtype: np.dtype[Any], where: str) -> None:
    if dtype.kind not in "biuf":
        msg = f"{where} holds {dtype}, not numbers. Store raw counts there, or name another layer."
        raise TypeError(msg)
