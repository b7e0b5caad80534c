"""What is joined to scanpy's downloads; the network is never touched."""

from __future__ import annotations

from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import modulae as mo


@pytest.fixture
def downloads(monkeypatch):
    """Four cells; the tutorial keeps three of them, in another order."""
    names = ["a", "b", "c", "d"]
    counts = sparse.csc_matrix(np.arange(8, dtype=np.float64).reshape(4, 2))
    raw = AnnData(counts, obs=pd.DataFrame(index=names), var=pd.DataFrame({"gene_ids": ["1", "2"]}, index=["g1", "g2"]))
    kept = AnnData(
        np.zeros((3, 1), np.float32),
        obs=pd.DataFrame({"louvain": pd.Categorical(["T", "B", "T"])}, index=["d", "a", "c"]),
        obsm={"X_umap": np.array([[4.0, 4.0], [1.0, 1.0], [3.0, 3.0]])},
    )
    paul = AnnData(np.eye(3, dtype=np.float32), obs=pd.DataFrame({"paul15_clusters": list("xyz")}, index=list("abc")))
    monkeypatch.setattr("scanpy.datasets.pbmc3k", lambda: raw)
    monkeypatch.setattr("scanpy.datasets.pbmc3k_processed", lambda: kept)
    monkeypatch.setattr("scanpy.datasets.paul15", lambda: paul)


@pytest.mark.usefixtures("downloads")
def test_pbmc3k_joins_by_cell():
    adata = mo.datasets.pbmc3k()
    assert list(adata.obs_names) == ["d", "a", "c"]
    np.testing.assert_array_equal(adata.X.toarray(), [[6, 7], [0, 1], [4, 5]])
    assert list(adata.obs["louvain"]) == ["T", "B", "T"]
    np.testing.assert_array_equal(adata.obsm["X_umap_scanpy"][:, 0], [4, 1, 3])
    assert list(adata.var["gene_ids"]) == ["1", "2"]


@pytest.mark.usefixtures("downloads")
def test_paul15_keeps_its_clusters():
    adata = mo.datasets.paul15()
    np.testing.assert_array_equal(adata.X.toarray(), np.eye(3))
    assert list(adata.obs["paul15_clusters"]) == ["x", "y", "z"]


@pytest.mark.usefixtures("downloads")
@pytest.mark.parametrize("name", ["pbmc3k", "paul15"])
def test_counts_are_sparse_float32(name):
    adata = getattr(mo.datasets, name)()
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32


@pytest.mark.parametrize("name", ["pbmc3k", "paul15"])
def test_no_network(monkeypatch, name):
    def unreachable():
        raise URLError("no route to host")

    monkeypatch.setattr(f"scanpy.datasets.{name}", unreachable)
    with pytest.raises(OSError, match="no route") as caught:
        getattr(mo.datasets, name)()
    assert caught.value.__notes__ == ["The first call needs the network; `mo.datasets.pbmc68k()` never does."]
