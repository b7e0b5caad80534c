"""What a training reads: which genes, which cells are held out, and their size factors."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.columns.batches import read_batches, warn_of_small
from modulae._adata.columns.columns import read_mask
from modulae._adata.columns.size_factors import library_sizes, size_factors
from modulae._adata.gene_names import gene_names
from modulae._adata.lost_markers import warn_of_lost_markers
from modulae._utils.stacklevel import user_stacklevel
from modulae.core.data.cells import Cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._counts.stored_counts import Counts, StoredCounts
    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.processes.ranks import Ranks

    from .asked import Asked


FEWEST_COUNTS, FEWEST_GENES, MOST_COPIES = 100, 20, 0.02
"""Cells of so many counts of so many genes are no more the same by chance; what share of them may be copies."""


def model_genes(adata: AnnData, mask_var: str | None) -> NDArray[np.str_]:
    """The genes to train on: those that `mask_var` marks, or all."""
    names = gene_names(adata)
    if mask_var is None:
        return names
    mask = read_mask(adata, mask_var)
    if not mask.any():
        msg = f"adata.var[{mask_var!r}] marks no gene. Check that the gene sets name genes as adata.var_names does."
        raise ValueError(msg)
    return np.asarray(names[mask])


def warn_of_data(
    adata: AnnData,
    counts: Counts | StoredCounts,
    genes: NDArray[np.str_],
    asked: Asked | None,
    *,
    layer: str | None,
    but: Sequence[str | None],
    ranks: Ranks,
) -> None:
    """Warn of groups of cells whose marker genes the model does not have, and of copies that halves would share."""
    if not ranks.first:
        return
    if asked is not None and len(genes) >= FEWEST_GENES:
        _warn_of_copies(counts, genes)
    if len(genes) < adata.n_vars:
        mask = np.isin(gene_names(adata), genes)
        advice = "Train on all genes: leave out mask_var=. Gene sets can be tested afterwards all the same."
        warn_of_lost_markers(adata, mask, layer=layer, advice=advice, but=but)


def _warn_of_copies(counts: Counts | StoredCounts, genes: NDArray[np.str_]) -> None:
    of_model = counts.gene_totals[np.isin(counts.names, genes)].sum() / max(counts.gene_totals.sum(), 1)
    stamps = counts.stamps[counts.totals * of_model >= FEWEST_COUNTS]
    n_copies = len(stamps) - len(np.unique(stamps))
    if n_copies > MOST_COPIES * len(counts.totals):
        warnings.warn(
            f"{n_copies} of {len(counts.totals)} cells are copies: other cells have the very same counts. Halves that "
            "share copies agree on noise as well, so reproducibility is too high. Keep one cell of each.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def training_cells(
    adata: AnnData, counts: Counts | StoredCounts, config: Config
) -> tuple[Source, NDArray[np.bool_], float]:
    """The cells as the network reads them, which of them are held out, and the library size of size factor 1."""
    from modulae.core.training.count_scale import check_counted
    from modulae.core.training.train import split_cells

    test = split_cells(adata.n_obs, config)
    sizes = library_sizes(adata, counts.totals, config.size_factors)
    counted = sizes[~test & (counts.totals > 0)]
    if not counted.size:
        msg = (
            "no training cell has any counts. Remove empty cells, or name the layer that holds the raw counts: layer=."
        )
        raise ValueError(msg)
    unit = float(np.median(counted))
    cells = counts.cells(size_factors(adata, counts.totals, config.size_factors, unit))
    if config.batch_key is not None:
        names, codes = read_batches(adata, config.batch_key)
        warn_of_small(names, codes)
        cells = cells.with_batch(codes)
    if isinstance(cells, Cells):  # of others the training looks at once itself
        check_counted(float(cells.totals()[~test].sum(dtype=np.float64)))
    return cells, test, unit
