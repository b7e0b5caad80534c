"""Counts that are a dask array, looked through by whatever dask runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.data.count_summary import CountSummarizer, combine_summaries, gene_weights
from modulae.core.data.dask_blocks import is_spread
from modulae.core.data.map_reduce import map_cells, reduce_cells
from modulae.core.data.stored_cells import StoredCells

from . import stored_counts as stored
from .stored_counts import BYTES_AS_READ, CountReader, LayerTotals, Scan

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.data.cells import Cells


class Unchanged(CountReader):
    """Reads all genes as they lie there."""

    __slots__ = ()

    def of_genes(self, block: sparse.csr_matrix) -> sparse.csr_matrix:
        """All of them."""
        return block


def can_spread(matrix: Any) -> bool:  # noqa: ANN401
    """Whether a matrix is a dask array whose blocks can be looked at one by one."""
    return is_spread(_cells(CountReader(matrix, None, "")))


def scan_spread(
    reader: CountReader, names: NDArray[np.str_], counted: NDArray[np.float64], in_memory: int | None
) -> Scan:
    """:func:`.stored_counts.scan` where the blocks are: they come here only if those of all cells fit."""
    every = Unchanged(reader.matrix, None, reader.where)
    summarize = CountSummarizer(counted, reader.columns, gene_weights(names, reader.columns))
    look = reduce_cells(_cells(every), summarize, combine=combine_summaries)
    blocks = None
    if in_memory is None or look.n_counts * BYTES_AS_READ <= in_memory:
        blocks = [block for _, block in map_cells(_cells(reader), _counts)]
    of_cells: dict[str, Any] = {"totals": look.totals, "stamps": look.stamps}
    seen = LayerTotals(names=names, gene_totals=look.gene_totals, counted=counted, **of_cells)
    return Scan(reader, seen, blocks, look.n_counts, look.all_integers)


def _cells(reader: CountReader) -> StoredCells:
    n_cells = int(reader.matrix.shape[0])
    return StoredCells(reader, np.arange(n_cells), None, stored.PORTION)


def _counts(cells: Cells) -> sparse.csr_matrix:
    return cells.counts
