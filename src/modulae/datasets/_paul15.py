"""Myeloid progenitors of the mouse, the second data set of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._utils.by_name import by_name

if TYPE_CHECKING:
    from anndata import AnnData


@by_name
def paul15() -> AnnData:
    """Load counts of 2730 myeloid progenitors from mouse bone marrow.

    What :func:`scanpy.datasets.paul15` has, as a sparse matrix. The first call downloads 10 MB into
    `scanpy.settings.datasetdir`; later ones need no network. Gene symbols are those of the mouse (`Gata1`).

    Returns
    -------
    2730 cells × 3451 genes.

    `.X` : :class:`scipy.sparse.csr_matrix` (`float32`)
        Counts of the informative genes, as the authors corrected them for batch.
    `.obs['paul15_clusters']` : `category`
        The 19 clusters of the publication.
    `.uns['iroot']` : `int`
        A stem-like cell, where trajectories begin.

    Raises
    ------
    OSError
        The file can't be downloaded.

    See Also
    --------
    scanpy.datasets.paul15 : Where it comes from.

    Notes
    -----
    Paul F et al. (2015), Transcriptional heterogeneity and lineage commitment in myeloid progenitors, *Cell*
    163:1663–1677 (GSE72857). Kinalis et al. (2019) train on 4180 cells of it, sorted controls included.

    Examples
    --------
    >>> adata = mo.datasets.paul15()
    >>> adata.X.dtype.name
    'float32'
    """
    import scanpy as sc
    from scipy import sparse

    try:
        adata = sc.datasets.paul15()
    except OSError as error:
        error.add_note("The first call needs the network; `mo.datasets.pbmc68k()` never does.")
        raise
    adata.X = sparse.csr_matrix(adata.X, dtype=np.float32)
    return adata
