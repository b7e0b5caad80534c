"""Counts on disk: backed h5ad, dask arrays, zarr; looked through once, then read where they are needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.data.count_summary import are_integers, count_stamps, gene_weights
from modulae.core.data.csr import clean, is_clean, stacked
from modulae.core.data.stored_cells import StoredCells

from .blocks import ROWS_PER_BLOCK, as_rows, check_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layers import RowMatrix

ROWS_TOGETHER = 256
"""Rows of a random block, where the file does not say better."""

MAX_ROWS_TOGETHER = 2048
"""Rows of a random block at most: longer ones would leave too few of them to be random."""

MAX_BLOCKS, FEW_BLOCKS = 32, 8
"""Random blocks of a portion at least, where rows lie by themselves, and where whole chunks have to be read."""

PORTION = 8192
"""Cells in memory at once where nothing is learnt from them, so that their order does not matter."""

BYTES_A_COUNT = 40
"""Memory that a count takes in training: as it is read, as the encoder reads it, and as the engine wants it."""

BYTES_AS_READ = 8
"""Memory that a count takes as it is read."""

MAX_BYTES_IN_MEMORY = 500 * 10**6
"""Bytes up to which counts on disk are read into memory where nothing is learnt from them."""


@dataclass(frozen=True, slots=True)
class CountReader:
    """Reads rows of a matrix on disk, and of them the model's genes."""

    matrix: RowMatrix
    columns: NDArray[np.intp] | None
    where: str

    @property
    def n_genes(self) -> int:
        """Genes of the model."""
        return int(self.matrix.shape[1]) if self.columns is None else len(self.columns)

    def rows_together(self, room: int) -> int:
        """Rows of a random block: a chunk of the file where there are chunks, else fewer.

        Cells that lie together are alike, and a step should see all kinds: so a portion has many blocks, unless to read
        them would be to read every chunk of the file many times.
        """
        chunks = getattr(self.matrix, "chunks", None)
        if not chunks:
            return min(ROWS_TOGETHER, room // MAX_BLOCKS)
        rows = int(chunks[0][0]) if isinstance(chunks[0], tuple) else int(chunks[0])
        return min(max(rows, ROWS_TOGETHER), MAX_ROWS_TOGETHER, room // FEW_BLOCKS)

    def read(self, start: int, stop: int) -> sparse.csr_matrix:
        """Consecutive rows; a file that has changed since it was checked is noticed."""
        return self.checked(as_rows(self.matrix, start, stop))

    def checked(self, block: sparse.csr_matrix) -> sparse.csr_matrix:
        """What :meth:`read` makes of rows of all genes."""
        return self.of_genes(check_values(block, self.where))

    @property
    def reads_all_in_order(self) -> bool:
        """Whether the model's genes are all of the matrix, in its order."""
        return self.columns is None or np.array_equal(self.columns, np.arange(int(self.matrix.shape[1])))

    @property
    def array(self) -> Any | None:  # noqa: ANN401
        """The matrix as a dask array, where it is one, or is read as one."""
        return self.matrix if hasattr(self.matrix, "to_delayed") else getattr(self.matrix, "array", None)

    def elsewhere(self) -> Self:
        """What :meth:`checked` needs, without the matrix."""
        return replace(self, matrix=None)  # type: ignore[arg-type]

    def of_genes(self, block: sparse.csr_matrix) -> sparse.csr_matrix:
        """The model's genes of some rows of all genes."""
        return clean(block if self.columns is None else block[:, self.columns])


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTotals:
    """What only the whole matrix can tell."""

    totals: NDArray[np.float64]  # cells: total count over all genes of the layer, or over those asked for
    names: NDArray[np.str_]  # of all genes of the layer
    gene_totals: NDArray[np.float64]  # all genes of the layer: total count over the cells
    counted: NDArray[np.float64]  # all genes of the layer: 1 where the total count of a cell counts it
    stamps: NDArray[np.uint64]  # cells: of the counts of the genes asked for, see `count_stamps`

    def others(self, genes: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
        """Names and total counts of the layer's other genes: not of what the total of a cell does not count."""
        other = ~np.isin(self.names, genes) & (self.counted > 0)
        return self.names[other], self.gene_totals[other]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(LayerTotals):
    """Checked raw counts of some genes in memory."""

    matrix: sparse.csr_matrix  # cells × genes, float32

    def cells(self, size_factors: NDArray[np.float32] | None) -> Cells:
        """The cells as a model reads them."""
        return Cells(self.matrix, size_factors)

    def some(self, rows: NDArray[np.intp]) -> Self:
        """Some of the cells."""
        fields = _fields(self) | {"totals": self.totals[rows], "stamps": self.stamps[rows]}
        return type(self)(matrix=self.matrix[rows], **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCounts(LayerTotals):
    """Checked raw counts of some genes that stay on disk."""

    reader: CountReader
    n_counts: int  # that are not 0, of the model's genes
    limit: int | None  # bytes

    def cells(self, size_factors: NDArray[np.float32] | None) -> StoredCells:
        """The cells as a model reads them."""
        columns = slice(None) if self.reader.columns is None else self.reader.columns
        known = [self.gene_totals[columns]]
        return StoredCells(self.reader, np.arange(len(self.totals)), size_factors, self.room, _totals=known)

    def some(self, rows: NDArray[np.intp]) -> Counts:
        """Some of the cells, in memory."""
        matrix = self.cells(None).take(rows).load().counts
        return Counts(matrix=matrix, **(_fields(self) | {"totals": self.totals[rows], "stamps": self.stamps[rows]}))

    @property
    def room(self) -> int:
        """Cells in memory at once; with a limit, so many that those read ahead fit into it too."""
        if self.limit is None:
            return PORTION
        # held-out cells may take a quarter; half is for a portion, and the rest for the next, which is read ahead
        per_cell = BYTES_A_COUNT * max(self.n_counts / len(self.totals), 1.0) + 32
        return max(int(self.limit / 2 / per_cell), ROWS_TOGETHER)


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass over all cells finds."""

    reader: CountReader
    seen: LayerTotals
    blocks: list[sparse.csr_matrix] | None  # `None`: too many to be kept
    n_counts: int
    all_integers: bool  # whether all values are whole numbers

    def counts(self) -> Counts:
        """All that was read, in memory."""
        return Counts(matrix=stacked(self.blocks or []), **_fields(self.seen))

    def stored(self, limit: int | None) -> StoredCounts:
        """What is to be read again."""
        return StoredCounts(reader=self.reader, n_counts=self.n_counts, limit=limit, **_fields(self.seen))


def scan(
    reader: CountReader,
    names: NDArray[np.str_],
    counted: NDArray[np.float64],
    in_memory: int | None,
    rows: NDArray[np.intp] | None = None,
) -> Scan:
    """Look at every count once, and keep the model's genes while they are few.

    None are kept any more once those of all cells will not fit, going by the cells so far: what is let go then is not
    given back to the system. Should they fit in the end, they are read again.

    Parameters
    ----------
    reader
        Where they are.
    names
        Of all genes of the matrix.
    counted
        Genes of the matrix: 1 where the total count of a cell counts it.
    in_memory
        Bytes that may be kept; `None`: all.
    rows
        Consecutive cells to look at; all if `None`.
    """
    first, end = (0, int(reader.matrix.shape[0])) if rows is None else (int(rows[0]), int(rows[-1]) + 1)
    blocks: list[sparse.csr_matrix] | None = []
    weights = gene_weights(names, reader.columns)
    totals: list[NDArray[np.float64]] = []
    stamps: list[NDArray[np.uint64]] = []
    gene_totals, n_counts, all_integers = np.zeros(len(names)), 0, True
    whole: Any = reader.matrix if rows is None and in_memory is None else None
    shared = isinstance(whole, sparse.csr_matrix) and reader.reads_all_in_order and is_clean(whole)  # needs no copy
    for start in range(first, end, ROWS_PER_BLOCK):
        block = check_values(as_rows(reader.matrix, start, min(start + ROWS_PER_BLOCK, end)), reader.where)
        all_integers = all_integers and are_integers(block.data)
        totals.append(np.asarray(block @ counted).ravel())
        stamps.append(count_stamps(block, weights))
        gene_totals += np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
        kept = block if shared else reader.of_genes(block)
        n_counts += kept.nnz
        expected = n_counts * (end - first) / (min(start + ROWS_PER_BLOCK, end) - first)
        if in_memory is not None and expected * BYTES_AS_READ > in_memory:
            blocks = None
        if blocks is not None and not shared:
            blocks.append(kept)
    if shared:
        blocks = [whole]
    if blocks is None and in_memory is not None and n_counts * BYTES_AS_READ <= in_memory:
        return scan(reader, names, counted, None, rows)
    of_cells: dict[str, Any] = {"totals": np.concatenate(totals), "stamps": np.concatenate(stamps)}
    seen = LayerTotals(names=names, gene_totals=gene_totals, counted=counted, **of_cells)
    return Scan(reader, seen, blocks, n_counts, all_integers)


def _fields(seen: LayerTotals) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in ("totals", "names", "gene_totals", "counted", "stamps")}


def is_stored(matrix: Any) -> bool:  # noqa: ANN401
    """Whether a matrix lies somewhere else than in memory."""
    return not (sparse.issparse(matrix) or isinstance(matrix, np.ndarray))
