"""Raw counts out of scanpy's own copy."""

from __future__ import annotations

import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

import modulae as mo


@pytest.fixture(scope="module")
def adata():
    return mo.datasets.pbmc68k()


def test_whole_counts_as_sparse_float32(adata):
    assert adata.shape == (700, 765)
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    assert adata.X.data.min() == 1
    np.testing.assert_array_equal(adata.X.data, np.rint(adata.X.data))


def test_normalising_the_counts_gives_scanpys_values_back(adata):
    """The way back, by scanpy's recipe on the totals over all genes. Rounding moves a value by little."""
    source = sc.datasets.pbmc68k_reduced()
    again = np.log1p(adata.X.toarray() / source.obs["n_counts"].to_numpy()[:, None] * 1e4)
    np.testing.assert_allclose(again, source.raw.X.toarray(), atol=0.02)


def test_names_labels_and_map_are_scanpys(adata):
    source = sc.datasets.pbmc68k_reduced()
    assert list(adata.var_names) == list(source.raw.var_names)
    assert list(adata.obs["bulk_labels"]) == list(source.obs["bulk_labels"])
    assert set(adata.obs) == set(source.obs)
    np.testing.assert_array_equal(adata.obsm["X_umap_scanpy"], source.obsm["X_umap"])
    assert len(adata.uns["bulk_labels_colors"]) == adata.obs["bulk_labels"].nunique()
    assert adata.raw is None


def test_the_genes_that_are_left_hold_a_fifth_of_the_counts(adata):
    share = np.asarray(adata.X.sum(axis=1)).ravel() / adata.obs["n_counts"]
    assert 0.15 < share.median() < 0.25


def test_it_survives_a_file(adata, tmp_path):
    adata.write_h5ad(tmp_path / "a.h5ad")
    again = sc.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(again.X.toarray(), adata.X.toarray())
    assert list(again.obs["bulk_labels"]) == list(adata.obs["bulk_labels"])


def test_another_copy_inside_scanpy(monkeypatch):
    other = sc.datasets.pbmc68k_reduced()
    other.obs["n_counts"] *= 1.3
    monkeypatch.setattr("scanpy.datasets.pbmc68k_reduced", lambda: other)
    with pytest.raises(RuntimeError, match=r"gives no whole counts \(off by up to 0\.5.* Use `mo\.datasets\.simulated"):
        mo.datasets.pbmc68k()
