"""Rows of matrices that lie in files.

anndata reads them too, but slowly where the blocks are small. 200 random blocks of 256 rows, as a training on disk
reads them, of 100 000 cells × 2000 genes in h5ad: 0.2 s here, 3.1 s by its `sparse_dataset`, 11 s by `read_lazy`. All
rows in order: 0.4, 0.6 and 3.0 s. For zarr, `sparse_dataset` is as fast as this, and `read_lazy` 4 to 9 times slower
(one core; `python -m benchmarks.speed.file_rows`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from anndata.abc import CSRDataset
from scipy import sparse

from modulae.core.data.csr import native, native_type

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
        self._data, self._indices = group["data"], group["indices"]
        self.chunks = _rows_of_a_chunk(self._data, self.shape[0])

    def __getitem__(self, rows: slice) -> sparse.csr_matrix:
        return _rows_between(self._ends[rows.start : rows.stop + 1], self._data, self._indices, self.shape[1])

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

    result: Any = h5py.File(path, "r")[name]
    return DenseFileRows(result) if isinstance(result, h5py.Dataset) else FileRows(sparse_dataset(result))


class LazyRows(FileRows):
    """Rows of a CSR matrix in zarr; also as a dask array, in blocks that are worth a task.

    `anndata.experimental.read_lazy` makes blocks of a thousand rows, opens the matrix anew for each, and unpacks for
    each all chunks that it has a part in: several times the work.
    """

    def __init__(self, matrix: CSRDataset) -> None:
        super().__init__(matrix)
        import dask.array as da

        sizes = [min(ROWS_OF_A_BLOCK, self.shape[0] - index) for index in range(0, self.shape[0], ROWS_OF_A_BLOCK)]
        self.array = da.map_blocks(  # type: ignore[no-untyped-call]
            partial(_block, Blocks(matrix, self)),
            dtype=native_type(matrix.dtype),
            chunks=(tuple(sizes), (self.shape[1],)),
            meta=sparse.csr_matrix((0, 0), dtype=native_type(matrix.dtype)),
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


class Blocks:
    """Blocks of rows for dask: through an object of this process, where there is one."""

    def __init__(self, matrix: CSRDataset, rows: FileRows | None = None) -> None:
        self._matrix, self._rows = matrix, rows

    def between(self, start: int, stop: int) -> sparse.csr_matrix:
        """Consecutive rows."""
        if self._rows is not None:
            return self._rows[start:stop]
        group: Any = self._matrix.group
        ends = np.asarray(group["indptr"][start : stop + 1], dtype=np.int64)
        return _rows_between(ends, group["data"], group["indices"], self._matrix.shape[1])

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process has one block to read, and does not look through the whole matrix for it."""
        return type(self), (self._matrix,)


def _block(blocks: Blocks, block_info: Any = None) -> sparse.csr_matrix:  # noqa: ANN401
    return blocks.between(*block_info[None]["array-location"][0])


def _rows_between(ends: NDArray[np.int64], data: Any, indices: Any, n_genes: int) -> sparse.csr_matrix:  # noqa: ANN401
    counts = slice(int(ends[0]), int(ends[-1]))
    parts = native(np.asarray(data[counts])), native(np.asarray(indices[counts])), ends - ends[0]
    return sparse.csr_matrix(parts, shape=(len(ends) - 1, n_genes))


def _rows_of_a_chunk(data: Any, n_rows: int) -> tuple[int] | None:  # noqa: ANN401
    """How many rows are unpacked together on average, where they are packed; `None` where any can be read by itself."""
    if getattr(data, "compressors", None) or getattr(data, "compression", None):
        return (max(int(data.chunks[0] * n_rows / max(data.shape[0], 1)), 1),)
    return None
