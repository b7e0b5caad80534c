"""What is known of the units of a model goes along with it: names, gene sets, reproducibility."""

import anndata as ad
import numpy as np
import pytest

import modulae as mo

SETTINGS = {"n_cells": 600, "n_genes": 200, "n_programmes": 4, "n_groups": 3}


@pytest.fixture(scope="module")
def source():
    """Cells whose last unit is below the level."""
    adata = mo.datasets.simulated(seed=2, **SETTINGS)[:300].copy()
    mo.tl.autoencoder(adata, n_splits=2, device="cpu", progress=False)
    values = adata.uns["ae"]["replication"]["reproducibility"].copy()
    values[-1] = 0.2
    adata.uns["ae"]["replication"]["reproducibility"] = values
    mo.tl.unit_summary(adata, adata.uns["gene_sets"], groupby="group", min_genes=5, progress=False)
    return adata


@pytest.fixture
def new(source):
    every = mo.datasets.simulated(seed=2, **SETTINGS)[300:].copy()
    return ad.AnnData(every.X.copy(), obs=every.obs[["group"]].copy(), var=every.var[[]].copy())


@pytest.fixture(params=["object", "file", "cells that were read"])
def model(request, source, new, tmp_path):
    """The model, from wherever it may come."""
    if request.param == "object":
        return source
    if request.param == "file":
        mo.save_model(source, tmp_path / "model.safetensors")
        return tmp_path / "model.safetensors"
    others = new[:100].copy()
    mo.tl.transfer(others, source)
    mo.tl.unit_summary(others, progress=False)
    return others


def names(adata):
    return mo.get.replication(adata)["name"].fillna("").tolist()


def test_units_keep_their_names_and_reproducibility(source, new, model):
    mo.tl.transfer(new, model)
    assert names(new) == names(source)
    assert names(new)[0] != ""
    assert names(new)[-1] == ""
    for column in ("reproducibility", "replicates", "share", "similarity"):
        np.testing.assert_array_equal(mo.get.replication(new)[column], mo.get.replication(source)[column])
    assert mo.get.transfer(new)["name"].fillna("").tolist() == names(source)


def test_the_summary_of_the_new_cells_has_what_is_known(source, new, model):
    mo.tl.transfer(new, model)
    new.obs["kind"] = np.where(np.arange(new.n_obs) < 150, "a", "b")
    mo.tl.unit_summary(new, groupby="group", progress=False)
    known, found = mo.get.unit_summary(source).sort_index(), mo.get.unit_summary(new).sort_index()
    silent = known["below_level"].to_numpy()
    assert silent.tolist().count(True) == 1
    for column in ("name", "reproducibility", "below_level", "set", "set_q", "sets"):
        assert found[column].equals(known[column]), column
    assert known["set"].notna().any()
    words = ["name", "top_genes_up", "set", "group", "caveats"]
    assert found.loc[silent, words].isna().all(axis=None)
    assert found["group"].dropna().isin(new.obs["group"]).all()


def test_groups_are_those_of_the_new_cells(source, new):
    mo.tl.transfer(new, source)
    unit = mo.get.unit_summary(source).index[0]
    high = new.obsm["X_ae"][:, int(unit)] > np.median(new.obsm["X_ae"][:, int(unit)])
    new.obs["kind"] = np.where(high, "many", "few")
    mo.tl.unit_summary(new, groupby="kind", progress=False)
    assert mo.get.unit_summary(new).loc[unit, "group"] == "many"
    assert mo.get.unit_summary(new).loc[unit, "name"] == mo.get.unit_summary(source).loc[unit, "name"]


def test_sets_that_are_tested_on_the_new_cells_count(source, new):
    mo.tl.transfer(new, source)
    other = {f"other_{name}": genes for name, genes in source.uns["gene_sets"].items()}
    mo.tl.unit_summary(new, other, min_genes=5, progress=False)
    assert mo.get.unit_summary(new)["set"].dropna().str.startswith("other_").all()


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("form", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
def test_what_is_known_survives_a_file(source, new, tmp_path, form):
    mo.tl.transfer(new, source)
    getattr(new, f"write_{form}")(tmp_path / "new")
    again = {"h5ad": ad.read_h5ad, "zarr": ad.io.read_zarr}[form](tmp_path / "new")
    mo.tl.unit_summary(again, progress=False)
    assert names(again) == names(source)
    found = mo.get.unit_summary(again).sort_index()["set"]
    assert found.equals(mo.get.unit_summary(source).sort_index()["set"])


def test_units_without_a_name_elsewhere_are_named_here(source, new):
    """Dead in the cells of the training, as it may be, and alive in these."""
    plain = source.copy()
    plain.uns["ae_units"]["table"]["name"] = np.array(["", *names(source)[1:]], dtype=object)
    mo.tl.transfer(new, plain)
    mo.tl.unit_summary(new, groupby="group", progress=False)
    table = mo.get.unit_summary(new)
    assert table.loc["0", "name"].startswith(", ".join(table.loc["0", "top_genes_up"].split(";")[:3]))


def test_a_model_that_was_trained_once_has_nothing_to_say(new):
    once = mo.datasets.simulated(seed=2, **SETTINGS)
    mo.tl.autoencoder(once, n_latent=3, n_splits=0, max_epochs=2, device="cpu", progress=False)
    mo.tl.transfer(new, once)
    assert mo.get.transfer(new)["name"].isna().all()
    with pytest.raises(KeyError, match="it was trained once, here or elsewhere"):
        mo.get.replication(new)
