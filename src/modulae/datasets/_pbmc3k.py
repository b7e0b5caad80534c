"""The cells of the tutorials: 2638 PBMC, raw counts, scanpy's labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._utils.by_name import by_name

if TYPE_CHECKING:
    from anndata import AnnData


@by_name
def pbmc3k() -> AnnData:
    """Load raw counts of the 2638 human blood cells that the Seurat and scanpy tutorials keep, with their clusters.

    Joins :func:`scanpy.datasets.pbmc3k` and :func:`scanpy.datasets.pbmc3k_processed` by cell. The first call downloads
    30 MB into `scanpy.settings.datasetdir`; later ones need no network.

    Returns
    -------
    2638 cells × 32738 genes, half of which are never seen.

    `.X` : :class:`scipy.sparse.csr_matrix` (`float32`)
        Raw counts.
    `.obs['louvain']` : `category`
        Eight cell types, scanpy's annotated clusters.
    `.obsm['X_umap_scanpy']` : :class:`numpy.ndarray` (cells × 2)
        The map of scanpy's tutorial.

    Raises
    ------
    OSError
        The files can't be downloaded.

    See Also
    --------
    modulae.datasets.pbmc68k : Fewer blood cells, without a download.

    Notes
    -----
    10x Genomics, 3k PBMC from a healthy donor, CC BY.

    Examples
    --------
    >>> adata = mo.datasets.pbmc3k()
    >>> adata.X.dtype.name
    'float32'
    """
    import scanpy as sc
    from scipy import sparse

    try:
        counts, processed = sc.datasets.pbmc3k(), sc.datasets.pbmc3k_processed()
    except OSError as error:
        error.add_note("The first call needs the network; `mo.datasets.pbmc68k()` never does.")
        raise
    adata = counts[processed.obs_names].copy()
    adata.X = sparse.csr_matrix(adata.X, dtype=np.float32)
    adata.obs["louvain"] = processed.obs["louvain"]
    adata.obsm["X_umap_scanpy"] = np.asarray(processed.obsm["X_umap"])
    return adata
