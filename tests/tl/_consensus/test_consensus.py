"""tl.consensus: a model of the units that come back, which later steps can use."""

import anndata as ad
import numpy as np
import pytest

import modulae as mo

SETTINGS = {"n_latent": 16, "n_runs": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def cells():
    return mo.datasets.simulated(difficulty="easy", n_cells=500, n_genes=300, seed=0)


@pytest.fixture(scope="module")
def agreed_once(cells):
    return mo.tl.consensus(cells, copy=True, **SETTINGS)


@pytest.fixture
def agreed(agreed_once):
    return agreed_once.copy()


def test_writes_a_model_like_any_other(agreed, cells):
    n_units = agreed.obsm["X_ae_consensus"].shape[1]
    assert 10 <= n_units <= 16
    assert agreed.varm["ae_consensus_loadings"].shape == (300, n_units)
    entry = agreed.uns["ae_consensus"]
    assert entry["params"]["architecture"] == "parts"
    assert entry["params"]["n_latent"] == n_units
    assert entry["consensus"]["returns"].shape == (n_units, 4)
    assert "ae_consensus" not in cells.uns


def test_units_are_those_of_the_network_in_the_order_of_their_effect(agreed):
    from modulae._adata.counts import read_cells
    from modulae._adata.stored.models import read_model
    from modulae.core.inference.unit_importance import unit_effects

    fitted = read_model(agreed, "ae_consensus")
    cells = read_cells(agreed, fitted, layer=None)
    units = fitted.network.encode(cells.inputs())
    np.testing.assert_allclose(units, agreed.obsm["X_ae_consensus"], rtol=1e-4, atol=1e-6)
    effects = unit_effects(fitted.network, cells, units)
    table = mo.get.consensus(agreed)
    np.testing.assert_allclose(table["effect"], effects, rtol=1e-3, atol=1e-7)
    assert (np.diff(table["effect"]) <= 1e-9).all()
    assert list(table.index) == [str(at) for at in range(len(table))]
    assert table["share"].between(0.6, 1).all()
    assert (table["lowest"] <= table["stability"] + 1e-6).all()


def test_planted_programmes_come_back(agreed):
    truth, units = agreed.obsm["truth_activity"], agreed.obsm["X_ae_consensus"]
    n = truth.shape[1]
    r = np.abs(np.corrcoef(truth.T, units.T)[:n, n:])
    assert np.median(r.max(axis=1)) > 0.9
    assert (r.max(axis=1) > 0.7).mean() > 0.75  # a programme beside the edge does not decide
    table = mo.get.consensus(agreed)
    assert (table["stability"].to_numpy()[r.argmax(axis=1)] > 0.9).mean() > 0.9
    assert (table["back"] == 1).mean() > 0.8


def test_every_later_step_takes_it(agreed, tmp_path):
    sets = {name: list(genes) for name, genes in agreed.uns["gene_sets"].items()}
    agreed.obs["side"] = np.where(np.arange(agreed.n_obs) % 2, "a", "b")
    key = {"key": "ae_consensus"}
    mo.tl.saliency(agreed, **key)
    mo.tl.pathway_impact(agreed, sets, groupby="side", n_permutations=20, **key)
    mo.tl.pathway_activity(agreed, sets, **key)
    mo.tl.denoise(agreed, **key)
    mo.tl.unit_summary(agreed, **key)
    assert np.isfinite(agreed.uns["ae_consensus_impact_side"]["statistics"]["p"]).all()
    agreed.write_h5ad(tmp_path / "a.h5ad")
    again = ad.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(mo.get.consensus(again), mo.get.consensus(agreed))
    mo.tl.saliency(again, **key)
    np.testing.assert_array_equal(again.varm["ae_consensus_saliency"], agreed.varm["ae_consensus_saliency"])


def test_jobs_and_repetition_change_nothing(agreed, cells):
    for n_jobs in (1, 2):
        again = mo.tl.consensus(cells, copy=True, n_jobs=n_jobs, **SETTINGS)
        np.testing.assert_array_equal(again.obsm["X_ae_consensus"], agreed.obsm["X_ae_consensus"])
        np.testing.assert_array_equal(
            again.uns["ae_consensus"]["consensus"]["returns"], agreed.uns["ae_consensus"]["consensus"]["returns"]
        )


MISTAKES = {
    "runs": ({"n_runs": 1}, "n_runs is 1; give a whole number of at least 2"),
    "share": ({"min_share": 0}, "min_share is 0; give a number above 0, up to 1"),
    "cells": ({"share_of_cells": 1.5}, r"share_of_cells is 1\.5; give a number"),
    "too strict": (
        {"min_similarity": 1.0, "min_share": 1.0},
        "no unit was found in 100% of the 4 runs. Lower min_share",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_the_next_step_and_write_nothing(cells, name):
    settings, message = MISTAKES[name]
    adata = cells.copy()
    with pytest.raises(ValueError, match=message):
        mo.tl.consensus(adata, **{**SETTINGS, **settings})
    assert set(adata.obsm) == set(cells.obsm)
    assert set(adata.uns) == set(cells.uns)


def test_what_is_no_consensus_is_named(agreed):
    mo.tl.autoencoder(agreed, n_latent=4, n_hidden=8, max_epochs=1, device="cpu")
    with pytest.raises(KeyError, match="the model 'ae' is no consensus"):
        mo.get.consensus(agreed, key="ae")
