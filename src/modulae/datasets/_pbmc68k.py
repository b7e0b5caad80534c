"""Real raw counts that need no network: the copy inside scanpy, unlogged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._utils.by_name import by_name

if TYPE_CHECKING:
    from anndata import AnnData

TARGET_SUM = 1e4
"""What scanpy's copy scaled every cell's total to."""

MAX_ROUNDING = 0.1
"""Largest distance to a whole number to be put down to rounding; 0.08 is what is seen."""


@by_name
def pbmc68k() -> AnnData:
    """Load raw counts of 700 human blood cells, and of 765 genes, from the copy inside scanpy.

    :func:`scanpy.datasets.pbmc68k_reduced` holds log1p of the counts scaled to 10 000 a cell in `.raw`, and the totals
    in `obs["n_counts"]`: scaled back and rounded, they are the counts again. Needs no network.

    The totals are over all genes of the experiment, of which 765 variable ones are left, about a fifth of the counts:
    `size_factors="n_counts"` takes the real depth of a cell, `size_factors="total"` that of the genes which are here.

    Returns
    -------
    700 cells × 765 genes.

    `.X` : :class:`scipy.sparse.csr_matrix` (`float32`)
        Raw counts.
    `.obs['bulk_labels']` : `category`
        Cell type by correlation with sorted cells (10).
    `.obs['louvain']` : `category`
        scanpy's clusters (11).
    `.obs['phase']` : `category`
        Phase of the cell cycle.
    `.obs['n_genes']`, `.obs['n_counts']`, `.obs['percent_mito']`, `.obs['S_score']`, `.obs['G2M_score']`
        Measured on all genes.
    `.obsm['X_umap_scanpy']` : :class:`numpy.ndarray` (cells × 2)
        The map that comes with the copy, made from its log-normalised values.
    `.uns['bulk_labels_colors']`
        Colours of the cell types.

    Raises
    ------
    RuntimeError
        The installed scanpy has other values in its copy, from which counts can't be recovered.

    See Also
    --------
    modulae.datasets.immune_signatures : Gene sets that fit these cells.

    Notes
    -----
    Zheng GXY et al. (2017), Massively parallel digital transcriptional profiling of single cells, *Nature
    Communications* 8:14049 (10x Genomics, fresh 68k PBMC, donor A).

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> adata.shape
    (700, 765)
    """
    import scanpy as sc
    from anndata import AnnData
    from scipy import sparse

    source = sc.datasets.pbmc68k_reduced()
    matrix = sparse.csr_matrix(source.raw.X, dtype=np.float64)  # a copy: scanpy's stays as it is
    per_value = np.repeat(source.obs["n_counts"].to_numpy(dtype=np.float64), np.diff(matrix.indptr))
    unrounded = np.expm1(matrix.data) * per_value / TARGET_SUM
    matrix.data = np.rint(unrounded)
    off = np.abs(unrounded - matrix.data).max()
    if off > MAX_ROUNDING:
        msg = (
            f"scanpy's pbmc68k_reduced gives no whole counts (off by up to {off:.2f}), so this version of scanpy has "
            "another copy. Use `mo.datasets.simulated()`, and please report the version."
        )
        raise RuntimeError(msg)

    adata = AnnData(matrix.astype(np.float32), obs=source.obs.copy(), var=source.raw.var[[]].copy())
    adata.obsm["X_umap_scanpy"] = np.asarray(source.obsm["X_umap"])
    adata.uns["bulk_labels_colors"] = source.uns["bulk_labels_colors"]
    return adata
