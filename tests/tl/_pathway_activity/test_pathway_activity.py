"""tl.pathway_activity: what is written, from whose counts, and what is refused."""

import anndata as ad
import numpy as np
import pytest

import modulae as mo


@pytest.fixture(scope="module")
def learnt_once():
    adata = mo.datasets.simulated(n_cells=600, n_genes=200, n_programmes=4, genes_per_programme=25, seed=0)
    rng = np.random.default_rng(0)
    adata.X.data = rng.binomial(adata.X.data.astype(int), 0.03).astype(np.float32)  # thin
    adata.X.eliminate_zeros()
    mo.tl.autoencoder(adata, n_latent=16, n_splits=0, device="cpu")
    assert adata.uns["ae"]["history"]["gene_means_loss"] > adata.uns["ae"]["history"]["test_loss"].min()
    return adata


@pytest.fixture
def learnt(learnt_once):
    return learnt_once.copy()


@pytest.fixture(scope="module")
def programmes(learnt_once):
    loadings = learnt_once.varm["truth_loadings"]
    return {f"programme {at}": list(learnt_once.var_names[loadings[:, at] > 0]) for at in range(4)}


def correlations(adata):
    scores = mo.get.pathway_activity(adata).to_numpy()
    truth = adata.obsm["truth_activity"]
    return np.array([np.corrcoef(scores[:, at], truth[:, at])[0, 1] for at in range(4)])


def test_writes_the_fields_it_promises(learnt, programmes):
    with pytest.warns(UserWarning, match=r"1 of 5 gene sets is left out: .*min_share=\): elsewhere \(0 of 1\)"):
        mo.tl.pathway_activity(learnt, programmes | {"elsewhere": ["not a gene"]})
    scores, percentiles = learnt.obsm["ae_pathways"], learnt.obsm["ae_pathways_percentile"]
    assert scores.shape == percentiles.shape == (600, 4)
    assert scores.dtype == percentiles.dtype == np.float32
    assert np.isfinite(scores).all()
    assert percentiles.min() >= 0
    assert percentiles.max() <= 100
    entry = learnt.uns["ae_pathways"]
    assert list(entry["sets"]) == list(programmes)
    np.testing.assert_array_equal(entry["n_genes"], [len(genes) for genes in programmes.values()])
    assert list(entry["left_out"]) == ["elsewhere"]
    found = mo.get.pathway_activity(learnt, table="sets")
    assert found.to_dict("list") == {"n_genes": [len(genes) for genes in programmes.values()], "share_found": [1.0] * 4}
    assert list(found.index) == list(programmes)
    with pytest.raises(ValueError, match=r"table is 'genes'; choose one of \['cells', 'sets'\]"):
        mo.get.pathway_activity(learnt, table="genes")
    table = mo.get.pathway_activity(learnt, percentile=True)
    assert list(table) == list(programmes)
    assert list(table.index) == list(learnt.obs_names)


def test_planted_programmes_are_found_and_borrowing_helps(learnt, programmes):
    found = {}
    for source in ("counts", "decoded", "neighbors"):
        mo.tl.pathway_activity(learnt, programmes, source=source)
        found[source] = correlations(learnt)
        assert learnt.uns["ae_pathways"]["source"] == source
    assert (found["counts"] > 0.3).all()
    assert found["neighbors"].mean() > found["counts"].mean() + 0.01
    assert found["decoded"].mean() > found["counts"].mean()


def test_without_neighbours_and_model_it_is_the_cells_own_counts(learnt, programmes):
    mo.tl.pathway_activity(learnt, programmes, n_neighbors=1, model_cells=0.0)
    alone = mo.get.pathway_activity(learnt)
    mo.tl.pathway_activity(learnt, programmes, source="counts")
    np.testing.assert_allclose(alone, mo.get.pathway_activity(learnt), atol=1e-6)
    mo.tl.pathway_activity(learnt, programmes, n_neighbors=1, model_cells=1e7)
    nearly = mo.get.pathway_activity(learnt)
    mo.tl.pathway_activity(learnt, programmes, source="decoded")
    np.testing.assert_allclose(nearly, mo.get.pathway_activity(learnt), atol=1e-3)


def test_rates_are_the_posterior_mean_by_hand(learnt):
    from modulae._adata.counts import read_cells
    from modulae._adata.stored.models import read_model
    from modulae.core.inference.neighbours import shared_neighbours
    from modulae.tl._pathway_activity.cell_rates import cell_rates

    fitted = read_model(learnt, "ae")
    cells = read_cells(learnt, fitted, layer=None)
    rates = cell_rates(
        fitted, cells, source="neighbors", model_cells=3.0, n_neighbors=10, batch_size=64, device="cpu", seed=0
    )
    weights = shared_neighbours(learnt.obsm["X_ae"], 10).toarray()
    decoded = fitted.network.decode(learnt.obsm["X_ae"])
    expected = (weights @ cells.counts.toarray() + 3 * decoded) / (weights @ cells.size_factors + 3)[:, None]
    np.testing.assert_allclose(rates(slice(100, 120)), expected[100:120], rtol=1e-3, atol=1e-5)


def test_rates_of_a_model_without_size_factors_are_at_one_depth(learnt):
    """It decodes at the cell's own depth, which is divided out before cells are put together."""
    from modulae._adata.counts import read_cells
    from modulae._adata.stored.models import read_model
    from modulae.tl._pathway_activity.cell_rates import cell_rates

    given = {"architecture": "orthogonal", "n_latent": 8, "n_hidden": 16, "max_epochs": 5, "size_factors": None}
    mo.tl.autoencoder(learnt, **given, key_added="raw", device="cpu")
    fitted = read_model(learnt, "raw")
    cells = read_cells(learnt, fitted, layer=None)
    counts = cells.counts.toarray()
    depth = counts.sum(axis=1) / np.median(counts.sum(axis=1))
    decoded = fitted.network.decode(learnt.obsm["X_raw"]) / depth[:, None]
    given = {"n_neighbors": 1, "batch_size": 64, "device": "cpu", "seed": 0}
    for source, expected in (
        ("decoded", decoded),
        ("counts", counts / depth[:, None]),
        ("neighbors", (counts + 2 * decoded) / (depth + 2)[:, None]),
    ):
        rates = cell_rates(fitted, cells, source=source, model_cells=2.0, **given)
        np.testing.assert_allclose(rates(slice(10, 40)), expected[10:40], rtol=1e-3, atol=1e-5)


def test_a_cell_without_counts_gets_a_number(learnt, programmes):
    counts = learnt.X.toarray()
    counts[5] = 0
    learnt.X = counts
    mo.tl.autoencoder(learnt, n_splits=0, n_latent=8, max_epochs=2, device="cpu")
    for settings in ({}, {"source": "counts"}, {"source": "decoded"}, {"n_neighbors": 1, "model_cells": 0.0}):
        mo.tl.pathway_activity(learnt, programmes, **settings)
        assert np.isfinite(learnt.obsm["ae_pathways"]).all()


def test_depth_does_not_matter_without_size_factors(learnt, programmes):
    """The paper's model reads raw counts; the score still has to be about composition."""
    given = {"architecture": "orthogonal", "n_latent": 16, "n_hidden": 32, "max_epochs": 30, "size_factors": None}
    mo.tl.autoencoder(learnt, **given, key_added="raw", device="cpu")
    depth = np.asarray(learnt.X.sum(axis=1)).ravel()
    for source in ("neighbors", "decoded", "counts"):
        mo.tl.pathway_activity(learnt, programmes, key="raw", source=source)
        scores = learnt.obsm["raw_pathways"]
        assert max(abs(np.corrcoef(depth, scores[:, at])[0, 1]) for at in range(4)) < 0.5


def test_same_seed_same_numbers_and_blocks_change_nothing(learnt, programmes):
    first = mo.tl.pathway_activity(learnt, programmes, copy=True)
    again = mo.tl.pathway_activity(learnt, programmes, copy=True, batch_size=7)
    for name in ("ae_pathways", "ae_pathways_percentile"):
        np.testing.assert_allclose(first.obsm[name], again.obsm[name], atol=1e-4 if name == "ae_pathways" else 3)
    assert "ae_pathways" not in learnt.obsm


def test_a_model_that_learnt_nothing_lends_nothing(learnt, programmes):
    learnt.uns["ae"]["history"]["gene_means_loss"] = learnt.uns["ae"]["history"]["test_loss"].min()
    with pytest.warns(UserWarning, match="nothing to borrow.*Train longer"):
        mo.tl.pathway_activity(learnt, programmes)
    assert learnt.uns["ae_pathways"]["source"] == "counts"


@pytest.mark.parametrize("write", ["write_h5ad", pytest.param("write_zarr", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_scores_survive_a_file_and_odd_names(learnt, programmes, write, tmp_path):
    mo.tl.pathway_activity(learnt, {"a/b": programmes["programme 0"], "c.d e": programmes["programme 1"]})
    getattr(learnt, write)(tmp_path / "file")
    again = (ad.read_h5ad if write == "write_h5ad" else ad.read_zarr)(tmp_path / "file")
    np.testing.assert_array_equal(mo.get.pathway_activity(again), mo.get.pathway_activity(learnt))
    assert list(mo.get.pathway_activity(again)) == ["a/b", "c.d e"]


def test_training_again_drops_the_old_scores(learnt, programmes):
    mo.tl.pathway_activity(learnt, programmes)
    mo.tl.autoencoder(learnt, n_latent=4, n_splits=0, max_epochs=2, device="cpu")
    assert not [name for name in (*learnt.obsm, *learnt.uns) if "pathways" in name]


MISTAKES = {
    "source": ({"source": "cells"}, ValueError, r"source is 'cells'; choose one of \['neighbors'"),
    "neighbours": ({"n_neighbors": 0}, ValueError, "n_neighbors is 0; give a whole number of at least 1"),
    "random": ({"n_random": 2.5}, ValueError, r"n_random is 2\.5; give a whole number"),
    "model": ({"model_cells": -1}, ValueError, "model_cells is -1; give 0 or more"),
    "key": ({"key": "no"}, KeyError, "there is no model 'no'"),
    "genes": ({"gene_sets": {"s": ["nothing"]}}, ValueError, "no gene of the 1 gene set is in adata"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_the_next_step_and_write_nothing(learnt, programmes, name):
    settings, error, message = MISTAKES[name]
    before = set(learnt.obsm), set(learnt.uns)
    with pytest.raises(error, match=message):
        mo.tl.pathway_activity(learnt, **{"gene_sets": programmes, **settings})
    assert (set(learnt.obsm), set(learnt.uns)) == before


def test_what_is_not_there_is_named(learnt):
    with pytest.raises(KeyError, match=r"Run `mo.tl.pathway_activity\(adata, gene_sets\)` first"):
        mo.get.pathway_activity(learnt)
