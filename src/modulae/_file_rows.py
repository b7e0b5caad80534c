"""Rows of matrices that lie in files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from anndata.abc import CSRDataset
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_OF_A_BLOCK = 2048
"""Rows of a block of a dask array: enough to be worth a task, few enough for one on every core."""


class FileRows:
    """Rows of a CSR matrix in a file, read as they lie there.

    anndata's own slicing looks up the version of scipy every time, which takes longer than to read some hundred cells.
    """

    def __init__(self, matrix: CSRDataset) -> None:
        group: Any = matrix.group
        self._matrix, self.shape = matrix, matrix.shape
        self._ends = np.asarray(group["indptr"][:], dtype=np.int64)
        self._arrays = group["data"], group["indices"]
        self.chunks = _rows_of_a_chunk(self._arrays[0], self.shape[0])

    def __getitem__(self, rows: slice) -> sparse.csr_matrix:
        return _rows_between(self._ends[rows.start : rows.stop + 1], *self._arrays, self.shape[1])

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


class LazyRows(FileRows):
    """Rows of a CSR matrix in zarr; also as a dask array, in blocks that are worth a task.

    `anndata.experimental.read_lazy` makes blocks of a thousand rows, opens the matrix anew for each, and unpacks for
    each all chunks that it has a part in: four to six times the work.
    """

    def __init__(self, matrix: CSRDataset) -> None:
        super().__init__(matrix)
        import dask.array as da

        sizes = [min(ROWS_OF_A_BLOCK, self.shape[0] - at) for at in range(0, self.shape[0], ROWS_OF_A_BLOCK)]
        self.array = da.map_blocks(  # type: ignore[no-untyped-call]
            partial(_block, matrix),
            dtype=matrix.dtype,
            chunks=(tuple(sizes), (self.shape[1],)),
            meta=sparse.csr_matrix((0, 0), dtype=matrix.dtype),
        )


def read_lazily(matrix: Any) -> CSRDataset | None:  # noqa: ANN401
    """The matrix in zarr that a dask array of `anndata.experimental.read_lazy` reads, where that is all it does."""
    layers = getattr(getattr(matrix, "dask", None), "layers", {})
    if len(layers) != 1:
        return None
    (layer,) = layers.values()
    for value, *_ in getattr(layer, "indices", None) or ():
        made = getattr(value, "value", value)  # dask wraps it, or does not
        if isinstance(made, partial) and made.func.__module__.partition(".")[0] == "anndata" and made.args:
            behind = made.args[0]
            if isinstance(behind, CSRDataset) and behind.shape == matrix.shape and behind.dtype == matrix.dtype:
                return behind
    return None


def _block(matrix: CSRDataset, block_info: Any = None) -> sparse.csr_matrix:  # noqa: ANN401
    """Rows of one block, wherever this is called."""
    start, stop = block_info[None]["array-location"][0]
    group: Any = matrix.group
    ends = np.asarray(group["indptr"][start : stop + 1], dtype=np.int64)
    return _rows_between(ends, group["data"], group["indices"], matrix.shape[1])


def _rows_between(ends: NDArray[np.int64], data: Any, indices: Any, n_genes: int) -> sparse.csr_matrix:  # noqa: ANN401
    counts = slice(int(ends[0]), int(ends[-1]))
    return sparse.csr_matrix((data[counts], indices[counts], ends - ends[0]), shape=(len(ends) - 1, n_genes))


def _rows_of_a_chunk(data: Any, n_rows: int) -> tuple[int] | None:  # noqa: ANN401
    """How many rows are unpacked together on average, where they are packed; `None` where any can be read by itself."""
    if getattr(data, "compressors", None) or getattr(data, "compression", None):
        return (max(int(data.chunks[0] * n_rows / max(data.shape[0], 1)), 1),)
    return None
