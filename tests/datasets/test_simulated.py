"""Planted programmes: the counts follow the truth that comes with them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse, stats

import modulae as mo


@pytest.fixture(scope="module")
def adata():
    return mo.datasets.simulated(seed=3)


def rates(adata):
    """Work the rates out from the truth, by the formula of the docstring."""
    log_rate = adata.var["truth_baseline"].to_numpy() + adata.obsm["truth_activity"] @ adata.varm["truth_loadings"].T
    return adata.obs["truth_depth"].to_numpy()[:, None] * np.exp(log_rate)


def test_counts_as_sparse_float32(adata):
    assert adata.shape == (1000, 600)
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.X.data, np.rint(adata.X.data))


def test_counts_are_poisson_around_the_true_rates(adata):
    """Poisson counts have a dispersion of 1 around their rates: Σ (x − r)² / r is χ² with as many degrees as values."""
    r, x = rates(adata), adata.X.toarray()
    dispersion = ((x - r) ** 2 / r).mean()
    spread = np.sqrt((2 + 1 / r).mean() / r.size)  # the variance of (x − r)² / r is 2 + 1 / r
    assert abs(dispersion - 1) < 5 * spread
    assert abs((x - r).sum()) < 5 * np.sqrt(r.sum())


@pytest.mark.parametrize("mean_counts", [50.0, 2000.0])
def test_mean_total_of_a_cell(mean_counts):
    adata = mo.datasets.simulated(mean_counts=mean_counts)
    np.testing.assert_allclose(rates(adata).sum(axis=1).mean(), mean_counts, rtol=1e-5)


def test_gene_sets_are_the_genes_with_loadings(adata):
    sets = mo.read_gene_sets(adata.uns["gene_sets"])
    assert list(sets) == list(adata.uns["truth"]["programmes"])
    for p, genes in enumerate(sets.values()):
        assert set(adata.var_names[adata.varm["truth_loadings"][:, p] > 0]) == set(genes)
        assert len(genes) == 30
    inside = adata.varm["truth_loadings"][adata.varm["truth_loadings"] > 0]
    assert 0.5 <= inside.min() < 0.6
    assert 1.4 < inside.max() <= 1.5


def test_genes_of_a_programme_are_scattered(adata):
    """A result matched by position must come out wrong."""
    for p in range(8):
        assert (np.diff(np.flatnonzero(adata.varm["truth_loadings"][:, p])) > 1).any()


def test_programmes_run_where_the_truth_says(adata):
    truth, groups = adata.uns["truth"], adata.obs["group"].cat.codes.to_numpy()
    runs = adata.obsm["truth_activity"] > 0
    for g, shares in enumerate(truth["running"]):
        observed = runs[groups == g].mean(axis=0)
        np.testing.assert_array_equal(observed[shares != 0.5], shares[shares != 0.5])
        assert (abs(observed[shares == 0.5] - 0.5) < 0.15).all()
    assert (truth["running"] == 1).sum(axis=0).tolist() == [1] * 6 + [0] * 2
    assert (truth["running"] == 0.5).all(axis=0).tolist() == [False] * 6 + [True] * 2
    assert adata.obsm["truth_activity"][runs].mean() == pytest.approx(1, abs=0.05)


def test_groups_are_equal_in_size_and_shuffled(adata):
    assert adata.obs["group"].value_counts().tolist() == [250] * 4
    assert stats.kendalltau(adata.obs["group"].cat.codes, np.arange(1000)).pvalue > 1e-3


def test_names_sort_in_order(adata):
    assert list(adata.var_names) == sorted(adata.var_names)
    assert list(adata.obs_names) == sorted(adata.obs_names)
    assert list(adata.obs["group"].cat.categories) == ["group_0", "group_1", "group_2", "group_3"]


def test_same_seed_same_counts(adata):
    again, other = mo.datasets.simulated(seed=3), mo.datasets.simulated(seed=4)
    np.testing.assert_array_equal(again.X.toarray(), adata.X.toarray())
    assert (other.X != adata.X).nnz > 0


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own default
@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_the_truth_survives_a_file(adata, tmp_path, form):
    path = tmp_path / f"a.{form}"
    getattr(adata, f"write_{form}")(path)
    again = getattr(ad, f"read_{form}")(path)
    assert mo.read_gene_sets(again.uns["gene_sets"]) == mo.read_gene_sets(adata.uns["gene_sets"])
    assert list(again.uns["truth"]["groups"]) == list(adata.uns["truth"]["groups"])
    np.testing.assert_array_equal(again.uns["truth"]["running"], adata.uns["truth"]["running"])
    np.testing.assert_array_equal(rates(again), rates(adata))
    assert again.obs["group"].equals(adata.obs["group"])


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_cells": 1, "n_genes": 1, "n_programmes": 1, "genes_per_programme": 1, "n_groups": 1},
        {"n_cells": 3, "n_groups": 5},
        {"n_programmes": 2, "n_groups": 3},
        {"n_programmes": 20, "genes_per_programme": 30},
    ],
    ids=["smallest", "more groups than cells", "more groups than programmes", "every gene in a programme"],
)
def test_unusual_sizes(sizes):
    adata = mo.datasets.simulated(**sizes)
    assert (adata.obsm["truth_activity"].shape[1], adata.varm["truth_loadings"].shape[1]) == (
        sizes.get("n_programmes", 8),
    ) * 2
    assert np.isfinite(adata.X.data).all()


@pytest.mark.parametrize(
    "name", ["n_cells", "n_genes", "n_programmes", "genes_per_programme", "n_groups", "mean_counts"]
)
@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_sizes_that_are_not_positive(name, size):
    with pytest.raises(ValueError, match=rf"{name} is {size}; give a number above 0"):
        mo.datasets.simulated(**{name: size})


def test_more_programme_genes_than_genes():
    with pytest.raises(
        ValueError, match=r"8 programmes of 30 genes need 240 genes, and n_genes is 100\. Raise n_genes"
    ):
        mo.datasets.simulated(n_genes=100)
