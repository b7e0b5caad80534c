"""Cells whose rates are sums of known parts."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

import modulae as mo


@pytest.fixture(scope="session")
def planted():
    """Poisson counts; rates are a level of all genes and eight programmes that add to it."""
    adata = mo.datasets.simulated(
        rates="additive", n_cells=400, n_genes=300, n_programmes=8, genes_per_programme=30, mean_counts=5000, seed=3
    )
    counts = sparse.csr_matrix(adata.X, dtype=np.float32)
    depth = np.asarray(counts.sum(axis=1)).ravel()
    logs = sparse.csr_matrix(sparse.diags(np.median(depth) / depth) @ counts, dtype=np.float32).log1p()
    return SimpleNamespace(
        counts=counts,
        logs=logs,
        activity=np.asarray(adata.obsm["truth_activity"]),  # cells × programmes
        loadings=np.asarray(adata.varm["truth_loadings"]),  # genes × programmes
    )
