"""The only way into an AnnData: counts, gene names, groups of cells, stored models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.columns.columns import obs_column
from modulae._adata.stored.lazy_results import loaded
from modulae._adata.stored.ownership import check_whole, is_model
from modulae._counts.blocks import counts_of
from modulae._counts.dask_counts import can_spread, scan_spread
from modulae._counts.distributed_scan import scan_together
from modulae._counts.stored_counts import BYTES_A_COUNT, BYTES_AS_READ, IN_MEMORY, CountReader, is_stored
from modulae._genes.explain_names import explain_spelling
from modulae._genes.gene_sets import listed
from modulae.core.model.config import KNOWN_GENES
from modulae.core.processes.ranks import ALONE

from .counts_elsewhere import pointing_at_counts, say_no_counts
from .features import of_their_kind
from .gene_names import gene_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._counts.stored_counts import Counts, Scan, StoredCounts
    from modulae.core.data.stored_cells import Source
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
    found = _look_through(adata, genes, layer, total_over, in_memory=None)
    if not found.whole:
        say_no_counts(adata, layer)
    return found.counts()


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
    most = IN_MEMORY if limit is None else limit * BYTES_AS_READ // BYTES_A_COUNT
    found = _look_through(adata, genes, layer, total_over, in_memory=most, spread=spread, ranks=ranks)
    if not found.whole:
        say_no_counts(adata, layer, warn=ranks.first)
    return found.counts() if found.blocks is not None else found.stored(limit)


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
    columns = None if genes is None else _columns(adata, genes)
    alike = of_their_kind(adata, columns) if total_over is None else np.isin(names, total_over)
    counted = alike.astype(np.float64)
    matrix, where = counts_of(adata, layer)
    reader = CountReader(matrix, columns, where)
    stored = is_stored(matrix)
    with pointing_at_counts(adata, layer):
        if stored and ranks.size == 1 and can_spread(matrix):
            return scan_spread(reader, names, counted, 0 if spread else in_memory)
        return scan_together(reader, names, counted, in_memory if stored else None, ranks if stored else ALONE)


def check_genes(adata: AnnData, fitted: Fitted) -> None:
    """Refuse cells that lack genes of the model."""
    names = gene_names(adata)
    absent = np.setdiff1d(fitted.genes, names)
    if len(absent):
        reason = explain_spelling(fitted.genes.tolist(), names.tolist(), ours="the model's genes")
        msg = f"{len(absent)} of the model's {len(fitted.genes)} genes are not in adata ({listed(absent)}). " + (
            reason or "Use the AnnData with all the genes the model was trained on, or train again on these."
        )
        raise KeyError(msg)


def read_cells(adata: AnnData, fitted: Fitted, *, layer: str | None, spread: bool = False) -> Source:
    """The counts that a trained model reads, with the size factors it needs; `spread` as in :func:`open_counts`."""
    check_genes(adata, fitted)
    source = fitted.config.size_factors
    if source == KNOWN_GENES:
        over = fitted.known_genes
        counts = open_counts(adata, genes=fitted.genes, layer=layer, total_over=over, spread=spread)
        return counts.cells((counts.totals / fitted.size_factor_unit).astype(np.float32))
    counts = open_counts(adata, genes=fitted.genes, layer=layer, spread=spread)
    return counts.cells(size_factors(adata, counts.totals, source, fitted.size_factor_unit))


def library_sizes(adata: AnnData, totals: NDArray[np.float64], source: str | None) -> NDArray[np.float64]:
    """What size factors are proportional to: the totals, or the `obs` column that `source` names."""
    if source is None or source == "total":
        return totals
    if source not in adata.obs:
        msg = f"size_factors={source!r} is no column of adata.obs. Choose 'total', None or one of {list(adata.obs)}."
        raise KeyError(msg)
    try:
        values = obs_column(adata, source).to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            f"adata.obs[{source!r}] holds no numbers, so it cannot be size factors. Choose a numeric column or 'total'."
        )
        raise ValueError(msg) from error
    if not np.isfinite(values).all() or (values < 0).any():
        msg = (
            f"adata.obs[{source!r}] has missing, infinite or negative values. Repair them: size factors are 0 or more."
        )
        raise ValueError(msg)
    if (values[totals > 0] == 0).any():
        msg = f"adata.obs[{source!r}] is 0 for cells that have counts. Give every such cell a size factor above 0."
        raise ValueError(msg)
    return np.asarray(values)


def size_factors(
    adata: AnnData, totals: NDArray[np.float64], source: str | None, unit: float
) -> NDArray[np.float32] | None:
    """Size factors relative to `unit`, the library size of a cell with factor 1; `None` where the model uses none."""
    if source is None:
        return None
    factors = library_sizes(adata, totals, source) / unit
    factors[totals == 0] = 0  # nothing was counted: read as zeros, never divided by
    return factors.astype(np.float32)


def read_model(adata: AnnData, key: str) -> Fitted:
    """The model that `tl.autoencoder` stored under `key`."""
    from modulae.core.model.fitted import Fitted

    entry = model_entry(adata, key)
    return Fitted.from_dict(entry["model"], entry["params"], entry["history"])


def model_entry(adata: AnnData, key: str, made_by: str = "autoencoder(adata)") -> dict[str, Any]:
    """The `uns` entry of a trained model: `params`, `history`, `model`; `made_by` is what to run first."""
    entry = adata.uns.get(key, {})
    if not is_model(entry):
        there = model_names(adata)
        hint = f"Trained models here: {there}." if there else f"Run `modulae.tl.{made_by}` first."
        msg = f"there is no model {key!r} in adata.uns. {hint}"
        raise KeyError(msg)
    check_whole(entry, key)
    return dict(loaded(entry))


def model_names(adata: AnnData, part: str = "model") -> list[str]:
    """Names of the trained models that have this part."""
    return [str(name) for name, value in adata.uns.items() if is_model(value) and part in value]


def changeable(adata: AnnData, *, copy: bool) -> AnnData:
    """The object to write to: `adata` itself, or a copy (in memory, if `adata` is backed)."""
    if not copy:
        return adata
    return adata.to_memory() if adata.isbacked else adata.copy()


def place_by_name(adata: AnnData, genes: NDArray[np.str_], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Genes × … of the model → all genes of `adata` × …; NaN for a gene outside the model (0 would claim no effect)."""
    field = np.full((adata.n_vars, *values.shape[1:]), np.nan, dtype=np.float32)
    field[adata.var_names.get_indexer(genes)] = values
    return field


def _columns(adata: AnnData, genes: Sequence[str] | NDArray[np.str_]) -> NDArray[np.intp]:
    columns = adata.var_names.get_indexer(genes)
    if (columns < 0).any():
        absent = [gene for gene, column in zip(genes, columns, strict=True) if column < 0]
        msg = f"{len(absent)} genes are not in adata ({listed(absent)}). Choose genes from adata.var_names."
        raise KeyError(msg)
    return np.asarray(columns)
