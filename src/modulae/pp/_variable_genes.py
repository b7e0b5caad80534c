"""Which genes to train on: those whose counts vary more than chance has them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import read_batches
from modulae._adata.counts import open_counts
from modulae._adata.features import gene_features
from modulae._adata.gene_names import gene_names
from modulae._adata.lost_markers import warn_of_lost_markers
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_VARIABLE
from modulae._adata.stored.steps import step
from modulae._adata.stored.write_model import model_name
from modulae.core.checks import check_integer, check_seed

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray
    from scipy import sparse


@public
def variable_genes(
    adata: AnnData,
    *,
    n_top_genes: int = 3000,
    layer: str | None = None,
    batch_key: str | None = None,
    max_cells: int = 20_000,
    seed: int = 0,
    key_added: str = DEFAULT_VARIABLE,
    copy: bool = False,
) -> AnnData | None:
    """Mark the genes whose raw counts vary most, to train on these alone where there are many genes.

    Genes are ranked by the variance of their Pearson residuals [1]_, with
    :func:`scanpy.experimental.pp.highly_variable_genes`: what a gene varies beyond what depth and counting explain.
    Fewer genes make a training faster. Programmes are looked for among 3000 genes in any case
    (:func:`modulae.tl.autoencoder` takes those that vary most among the genes it is given); the model then describes
    all of these. A warning names groups of `adata.obs` that lose genes which mark them.

    Parameters
    ----------
    {adata}
    n_top_genes
        Genes to mark; all genes with counts, if there are no more.
    {layer}
    batch_key
        `obs` column with the batch of each cell. Genes are ranked in each batch on its own; those that are among the
        first in most batches are marked.
    max_cells
        Cells to look at, drawn at random where there are more.
    seed
        Seed of this draw.
    key_added
        Name of the column of `adata.var`.
    {copy}

    Returns
    -------
    {returns}

    `adata.var[key_added]` : `bool`
        Whether to train on the gene: `mo.tl.autoencoder(adata, mask_var="variable")`.

    Raises
    ------
    KeyError
        No such layer or column.
    ValueError
        No counts; values that no count can have; gene names that are not unique; a column that is none of batches.

    See Also
    --------
    modulae.tl.autoencoder : Train on these genes.
    modulae.pp.gene_set_mask : The genes of gene sets, as the paper takes them.

    References
    ----------
    .. [1] Lause, Berens & Kobak (2021), *Genome Biology* 22:258.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.pp.variable_genes(adata, n_top_genes=200)
    >>> adata.var["variable"].sum().item(), adata.var.loc[["LYZ", "NKG7"], "variable"].all().item()
    (200, True)
    """
    model_name(key_added)
    check_integer("n_top_genes", n_top_genes, minimum=1)
    check_integer("max_cells", max_cells, minimum=100)
    check_seed(seed)
    batches = None if batch_key is None else read_batches(adata, batch_key)[1]
    names, genes = gene_names(adata), np.flatnonzero(gene_features(adata))
    counts = open_counts(adata, genes=names[genes], layer=layer)
    rows = np.flatnonzero(counts.totals > 0)
    if not rows.size:
        msg = "no cell has any counts. Name the layer that holds the raw counts: layer=."
        raise ValueError(msg)
    if len(rows) > max_cells:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_cells, replace=False))
    chosen = _most_variable(
        counts.cells(None).take(rows).load().counts, None if batches is None else batches[rows], n_top_genes
    )
    mask = np.zeros(adata.n_vars, dtype=bool)
    mask[genes[chosen]] = True
    more = step("pp.variable_genes", f"n_top_genes={2 * n_top_genes}", layer=layer, batch_key=batch_key)
    advice = f"Mark more genes: {more}."
    warn_of_lost_markers(adata, mask, layer=layer, advice=advice, but=[batch_key])
    adata = changeable(adata, copy=copy)
    adata.var[key_added] = mask
    return adata if copy else None


def _most_variable(counts: sparse.csr_matrix, batches: NDArray[np.int64] | None, n: int) -> NDArray[np.intp]:
    """Columns of the genes that scanpy finds most variable."""
    import pandas as pd
    import scanpy as sc
    from anndata import AnnData

    counted = np.flatnonzero(np.asarray(counts.sum(axis=0)).ravel() > 0)
    if len(counted) <= n:
        return counted
    obs = pd.DataFrame(index=pd.RangeIndex(counts.shape[0]).astype(str))
    if batches is not None:
        obs["batch"] = batches
    cells = AnnData(counts[:, counted], obs=obs)
    given = {"n_top_genes": n, "batch_key": None if batches is None else "batch", "check_values": False}
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # pandas', of what scanpy calls
        sc.experimental.pp.highly_variable_genes(cells, **given)
    chosen = np.asarray(cells.var["highly_variable"], dtype=bool)
    return np.asarray(counted[chosen])
