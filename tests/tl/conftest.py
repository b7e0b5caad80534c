"""A small trained model that several tests read."""

import importlib

import numpy as np
import pytest

import modulae as mo

SETTINGS = {
    "parts": {"n_latent": 5, "n_splits": 0, "max_epochs": 3, "batch_size": 16, "device": "cpu"},
    "orthogonal": {"architecture": "orthogonal", "n_latent": 5, "n_hidden": 8, "max_epochs": 4, "device": "cpu"},
}


def train(architecture):
    adata = mo.datasets.simulated(n_cells=90, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)
    adata.var["chosen"] = np.arange(adata.n_vars) % 4 != 0
    mo.tl.autoencoder(adata, mask_var="chosen", snapshot_epochs=(0, 2), **SETTINGS[architecture])
    return adata


@pytest.fixture(scope="session")
def trained_once():
    return train("parts")


@pytest.fixture(scope="session")
def orthogonal_once():
    return train("orthogonal")


@pytest.fixture
def orthogonal(orthogonal_once):
    """What `trained` is, of the other architecture."""
    return orthogonal_once.copy()


@pytest.fixture(params=["parts", "orthogonal"])
def either(request):
    """What `trained` is, of each architecture."""
    return request.getfixturevalue({"parts": "trained_once", "orthogonal": "orthogonal_once"}[request.param]).copy()


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


@pytest.fixture(scope="module")
def cluster():
    """Start two worker processes that dask sends everything to; on any port, as several clusters may run."""
    distributed = pytest.importorskip("distributed", reason="needs modulae[scale]: distributed")
    given = {"n_workers": 2, "processes": True, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**given) as workers, distributed.Client(workers) as client:
        client.run(importlib.import_module, "modulae.tl")  # takes seconds, which are not those of the first test
        yield client
