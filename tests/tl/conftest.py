"""A small trained model that several tests read."""

import numpy as np
import pytest

import modulae as mo

SETTINGS = {"n_latent": 5, "n_hidden": 8, "max_epochs": 4, "device": "cpu"}


@pytest.fixture(scope="session")
def trained_once():
    adata = mo.datasets.simulated(n_cells=90, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)
    adata.var["chosen"] = np.arange(adata.n_vars) % 4 != 0
    mo.tl.autoencoder(adata, mask_var="chosen", snapshot_epochs=(0, 2), **SETTINGS)
    return adata


@pytest.fixture
def trained(trained_once):
    return trained_once.copy()


@pytest.fixture
def untrained(trained_once):
    adata = trained_once.copy()
    for field in (adata.obsm, adata.uns, adata.varm):
        for name in [name for name in field if name.startswith(("ae", "X_ae"))]:
            del field[name]
    del adata.var["ae_gene"]
    return adata
