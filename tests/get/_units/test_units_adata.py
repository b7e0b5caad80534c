"""Cells × units as an object, with which scanpy goes on."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import modulae as mo


@pytest.fixture(scope="module")
def trained_once():
    adata = mo.datasets.simulated(n_cells=120, n_genes=60, n_programmes=3, genes_per_programme=12, seed=1)
    mo.tl.autoencoder(adata, n_latent=4, n_splits=0, max_epochs=10, batch_size=16, device="cpu", progress=False)
    adata.obsm["X_umap"] = np.arange(240.0).reshape(120, 2)
    adata.obsp["connectivities"] = sparse.random(120, 120, 0.1, "csr", random_state=0)  # as `sc.pp.neighbors` would
    adata.uns["neighbors"] = {"connectivities_key": "connectivities", "params": {"n_neighbors": 5}}
    adata.uns["group_colors"] = np.array(["#000000", "#ff0000", "#00ff00", "#0000ff"], dtype=object)
    return adata


@pytest.fixture
def trained(trained_once):
    return trained_once.copy()


def test_what_it_holds(trained):
    units = mo.get.units_adata(trained)
    assert units.shape == (120, 4)
    assert units.X.dtype == np.float32
    np.testing.assert_array_equal(units.X, trained.obsm["X_ae"])
    assert units.var_names.tolist() == ["0", "1", "2", "3"]
    pd.testing.assert_frame_equal(units.obs, trained.obs)
    np.testing.assert_array_equal(units.obsm["X_umap"], trained.obsm["X_umap"])
    assert (units.obsp["connectivities"] != trained.obsp["connectivities"]).nnz == 0
    assert set(units.uns) == {"group_colors", "neighbors"}
    assert "on" not in units.layers


def test_nothing_is_shared(trained):
    units = mo.get.units_adata(trained)
    units.X[:] = -1
    units.obs["new"] = 1
    units.obsm["X_umap"][:] = -1
    assert trained.obsm["X_ae"].min() > 0
    assert "new" not in trained.obs
    assert trained.obsm["X_umap"].min() == 0


def test_units_are_described_in_their_order_where_they_were_summarised(trained):
    mo.tl.unit_summary(trained, device="cpu", progress=False)
    units = mo.get.units_adata(trained)
    table = mo.get.unit_summary(trained)  # the strongest first
    assert units.var_names.tolist() != table.index.tolist()
    for at, unit in enumerate(units.var.get("unit", pd.Series(units.var_names))):
        assert units.var["effect"].iloc[at] == table.loc[unit, "effect"]
        assert unit == str(at)


def test_names_are_unique(trained, monkeypatch):
    mo.tl.unit_summary(trained, device="cpu", progress=False)
    table = mo.get.unit_summary(trained).loc[["2", "0", "1", "3"]].assign(name=["B cells", "B cells", "NK", np.nan])
    monkeypatch.setattr(mo.get, "unit_summary", lambda _adata, key: {"ae": table}[key], raising=False)
    units = mo.get.units_adata(trained)
    assert units.var_names.tolist() == ["B cells (0)", "NK", "B cells (2)", "3"]
    assert units.var["unit"].tolist() == ["0", "1", "2", "3"]


def test_calls_are_layers(trained):
    mo.tl.call_units(trained, device="cpu")
    units = mo.get.units_adata(trained)
    for layer, field in (("on", "ae_on"), ("callable", "ae_on_callable")):
        np.testing.assert_array_equal(units.layers[layer], trained.obsm[field])
        assert units.layers[layer].dtype == bool


def test_results_of_another_model_are_left_alone(trained):
    mo.tl.call_units(trained, device="cpu")
    mo.tl.unit_summary(trained, device="cpu", progress=False)
    for name in ("ae_on", "ae_units"):
        trained.uns[name]["of_model"] = "other"
    units = mo.get.units_adata(trained)
    assert "on" not in units.layers
    assert not len(units.var.columns)


@pytest.mark.filterwarnings("ignore:The set_bad function:PendingDeprecationWarning")  # of scanpy
def test_scanpy_goes_on(trained, tmp_path):
    """Programmes in the place of genes: groups ranked by another route, pictures with their names, and a file."""
    mo.tl.unit_summary(trained, device="cpu", progress=False)
    mo.tl.call_units(trained, device="cpu")
    units = mo.get.units_adata(trained)
    sc.tl.rank_genes_groups(units, "group", method="t-test")
    first = units.obs["group"] == "group_0"
    difference = units.X[first].mean(axis=0) - units.X[~first].mean(axis=0)
    spread = [np.sqrt(units.X[part].var(axis=0, ddof=1) / part.sum()) for part in (first, ~first)]
    best = units.var_names[np.argmax(difference / np.hypot(*spread))]
    assert units.uns["rank_genes_groups"]["names"]["group_0"][0] == best
    names = list(units.var_names)
    axes = sc.pl.matrixplot(units, names, groupby="group", show=False)
    assert [text.get_text() for text in axes["mainplot_ax"].get_xticklabels()] == names
    axes = sc.pl.dotplot(units, names, groupby="group", layer="on", show=False)
    assert [text.get_text() for text in axes["mainplot_ax"].get_xticklabels()] == names
    assert sc.pl.violin(units, names[0], groupby="group", show=False) is not None
    assert sc.pl.umap(units, color=names[0], show=False).get_title() == names[0]
    plt.close("all")
    units.write_h5ad(tmp_path / "units.h5ad")
    again = sc.read_h5ad(tmp_path / "units.h5ad")
    np.testing.assert_array_equal(again.X, units.X)
    assert again.var_names.tolist() == names


def test_without_a_representation(trained):
    del trained.obsm["X_ae"]
    with pytest.raises(KeyError, match=r"no 'X_ae'.*run `mo.tl.autoencoder\(adata\)` again"):
        mo.get.units_adata(trained)
