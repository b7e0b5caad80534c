"""Raw counts: looked through, checked, and read as they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.columns.size_factors import size_factors
from modulae._counts.blocks import counts_of
from modulae._counts.dask_counts import can_spread, scan_spread
from modulae._counts.distributed_scan import scan_together
from modulae._counts.stored_counts import BYTES_A_COUNT, BYTES_AS_READ, MAX_BYTES_IN_MEMORY, CountReader, is_stored
from modulae.core.model.config import KNOWN_GENES
from modulae.core.processes.ranks import ALONE

from .counts_elsewhere import pointing_at_counts, say_no_counts
from .features import of_their_kind
from .gene_names import check_genes, columns_of_genes, gene_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._counts.stored_counts import Counts, Scan, StoredCounts
    from modulae.core.data.source import Source
    from modulae.core.model.fitted import Fitted
    from modulae.core.processes.ranks import Ranks


def read_counts(
    adata: AnnData,
    *,
    genes: Sequence[str] | NDArray[np.str_] | None = None,
    layer: str | None,
    total_over: NDArray[np.str_] | None = None,
) -> Counts:
    """Read and check the raw counts of `genes` (all if `None`), in this order, in one pass over the cells.

    Totals of cells are over the genes `total_over`; if `None`, over all features of the kind of `genes`.

    Raises
    ------
    KeyError
        No such layer, or a gene that `adata` does not have.
    ValueError
        No cells, no genes, gene names that are not unique, features of several kinds among `genes`; NaN, infinite or
        negative values.
    """
    result = _look_through(adata, genes, layer, total_over, in_memory=None)
    if not result.all_integers:
        say_no_counts(adata, layer)
    return result.counts()


def open_counts(
    adata: AnnData,
    *,
    genes: Sequence[str] | NDArray[np.str_] | None = None,
    layer: str | None,
    limit: int | None = None,
    total_over: NDArray[np.str_] | None = None,
    spread: bool = False,
    ranks: Ranks = ALONE,
) -> Counts | StoredCounts:
    """:func:`read_counts`, but counts on disk stay there where they are many.

    Parameters
    ----------
    adata, genes, layer
        As in :func:`read_counts`.
    limit
        Bytes that counts may take in training; `None`: they are only read.
    total_over
        Genes whose counts the total count of a cell is made of; if `None`, all features of the layer that are of the
        kind of `genes`.
    spread
        Leave a dask array as it is, however small: what follows is done where its blocks are.
    ranks
        Processes that look at a share of the cells each, where these are on disk.
    """
    most = MAX_BYTES_IN_MEMORY if limit is None else limit * BYTES_AS_READ // BYTES_A_COUNT
    result = _look_through(adata, genes, layer, total_over, in_memory=most, spread=spread, ranks=ranks)
    if not result.all_integers:
        say_no_counts(adata, layer, warn=ranks.first)
    return result.counts() if result.blocks is not None else result.stored(limit)


def _look_through(
    adata: AnnData,
    genes: Sequence[str] | NDArray[np.str_] | None,
    layer: str | None,
    total_over: NDArray[np.str_] | None,
    *,
    in_memory: int | None,
    spread: bool = False,
    ranks: Ranks = ALONE,
) -> Scan:
    names = gene_names(adata)
    columns = None if genes is None else columns_of_genes(adata, genes)
    alike = of_their_kind(adata, columns) if total_over is None else np.isin(names, total_over)
    counted = alike.astype(np.float64)
    matrix, where = counts_of(adata, layer)
    reader = CountReader(matrix, columns, where)
    stored = is_stored(matrix)
    with pointing_at_counts(adata, layer):
        if stored and ranks.size == 1 and can_spread(matrix):
            return scan_spread(reader, names, counted, 0 if spread else in_memory)
        return scan_together(reader, names, counted, in_memory if stored else None, ranks if stored else ALONE)


def read_cells(adata: AnnData, fitted: Fitted, *, layer: str | None, spread: bool = False) -> Source:
    """The counts that a trained model reads, with the size factors it needs; `spread` as in :func:`open_counts`."""
    return open_cells(adata, fitted, layer=layer, spread=spread)[0]


def open_cells(
    adata: AnnData, fitted: Fitted, *, layer: str | None, spread: bool = False
) -> tuple[Source, Counts | StoredCounts]:
    """:func:`read_cells`, and the counts they are of."""
    check_genes(adata, fitted)
    source = fitted.config.size_factors
    over = fitted.known_genes if source == KNOWN_GENES else None
    counts = open_counts(adata, genes=fitted.genes, layer=layer, total_over=over, spread=spread)
    if source == KNOWN_GENES:
        return counts.cells((counts.totals / fitted.size_factor_unit).astype(np.float32)), counts
    return counts.cells(size_factors(adata, counts.totals, source, fitted.size_factor_unit)), counts
