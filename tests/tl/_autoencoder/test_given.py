"""`loadings=`: a model of programmes that the user brings."""

import importlib

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import modulae as mo

QUICK = {"max_epochs": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def planted():
    return mo.datasets.simulated(n_cells=200, n_genes=80, n_programmes=3, genes_per_programme=12, seed=2)


@pytest.fixture
def cells(planted):
    return planted.copy()


def programmes(adata):
    """Different weights for the genes of each set, and a fourth programme."""
    sets = dict(adata.uns["gene_sets"])
    table = mo.read_programmes(
        {name: dict(zip(genes, np.linspace(2, 0.5, 12), strict=True)) for name, genes in sets.items()}
    )
    return table.rename(columns={"programme_0": "Interferon, lymphocytes"})


def fixed(adata, table, **given):
    mo.tl.autoencoder(adata, loadings=table, refine_loadings=False, **{**QUICK, **given})
    return mo.get.loadings(adata).to_numpy()


def ratio(loadings, weights):
    """What each unit's loadings are of its weights, and how far that is the same for all genes."""
    shares = np.where(weights > 0, loadings / np.where(weights > 0, weights, 1), np.nan)
    return np.nanmean(shares, axis=0), np.nanmax(shares, axis=0) / np.nanmin(shares, axis=0) - 1


def test_units_are_the_programmes_in_their_order_with_their_names(cells):
    mo.tl.autoencoder(cells, loadings=programmes(cells), **QUICK)
    r = np.corrcoef(cells.obsm["X_ae"].T, cells.obsm["truth_activity"].T)[:3, 3:]
    np.testing.assert_array_equal(r.argmax(axis=1), [0, 1, 2])
    assert (np.diag(r) > 0.7).all()
    names = mo.get.top_genes(cells, n=1)["name"].tolist()
    assert names == ["Interferon, lymphocytes", "programme_1", "programme_2"]
    assert cells.uns["ae"]["params"]["loadings"] == "refined"
    assert "replication" not in cells.uns["ae"]
    mo.tl.unit_summary(cells, progress=False)
    units = mo.get.unit_summary(cells)
    assert units["name"].tolist() == names
    assert units["reproducibility"].isna().all()


def test_fixed_loadings_are_the_weights_but_for_a_factor_of_the_unit(cells):
    table = programmes(cells)
    weights = table.reindex(cells.var_names).fillna(0).to_numpy()
    loadings = fixed(cells, table)
    scale, spread = ratio(loadings, weights)
    assert (scale > 0).all()
    assert spread.max() < 1e-5
    assert (loadings[weights == 0] == 0).all()


def test_a_file_of_tpm_is_put_on_the_scale_of_the_model(cells, tmp_path):
    table = programmes(cells)
    (table * 1e4).T.to_csv(tmp_path / "run.gene_spectra_tpm.k_3.dt_0_1.txt", sep="\t")
    rates = cells.X.toarray() / cells.X.toarray().sum(axis=1, keepdims=True)
    learnt = ~np.asarray(_model(cells, table)["test_cells"])
    depth = cells.X.toarray().sum(axis=1)
    rates *= np.median(depth[learnt])
    weights = table.reindex(cells.var_names).fillna(0).to_numpy()
    usual = rates[learnt].mean(axis=0)[weights.any(axis=1)].sum()
    expected = np.log1p(weights / weights.sum(axis=0) * usual)
    loadings = fixed(cells, tmp_path / "run.gene_spectra_tpm.k_3.dt_0_1.txt")
    assert ratio(loadings, expected)[1].max() < 1e-4
    assert ratio(loadings, weights)[1].min() > 0.05  # which is not what the file has


def _model(cells, table):
    mo.tl.autoencoder(cells, loadings=table, max_epochs=1, device="cpu")
    return cells.uns["ae"]["model"]


def test_genes_in_another_order_or_by_their_ids_are_the_same(cells):
    table = programmes(cells)
    first = fixed(cells, table)
    other = table.iloc[::-1].copy()
    cells.var["gene_ids"] = [f"ENSG{number:011d}" for number in range(cells.n_vars)]
    other.index = cells.var["gene_ids"].loc[other.index].to_numpy()
    np.testing.assert_allclose(fixed(cells, other), first, rtol=1e-6)


def test_what_is_lost_is_said(cells):
    table = programmes(cells)
    signed = table - 0.5 * (table == 0)
    below = 24 * 0.5 / (24 * 0.5 + np.linspace(2, 0.5, 12).sum())
    with pytest.warns(UserWarning, match=rf"3 of 3 programmes, with {below:.0%} of the absolute weight"):
        loadings = fixed(cells, signed)
    np.testing.assert_allclose(loadings, fixed(cells, table), rtol=1e-6)

    sets = cells.uns["gene_sets"]
    lost = [*sets["programme_1"][:9]]
    fewer = cells[:, ~cells.var_names.isin(lost)].copy()
    with pytest.warns(UserWarning, match=r"75% of the genes.* 1 of 3 programmes .*\(programme_1\)"):
        mo.tl.autoencoder(fewer, loadings=table, **QUICK)


def test_what_follows_works_on_such_a_model(cells, tmp_path):
    mo.tl.autoencoder(cells, loadings=programmes(cells), **QUICK)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    cells = ad.read_h5ad(tmp_path / "cells.h5ad")
    mo.tl.saliency(cells, device="cpu")
    mo.tl.enrich_units(cells, cells.uns["gene_sets"], n_permutations=20, progress=False, device="cpu")
    mo.save_model(cells, tmp_path / "model.safetensors")
    new = cells[:50].copy()
    mo.tl.transfer(new, tmp_path / "model.safetensors", key_added="of file", device="cpu")
    np.testing.assert_allclose(new.obsm["X_of file"], cells.obsm["X_ae"][:50], rtol=1e-3, atol=1e-4)
    names = mo.get.top_genes(new, n=1, key="of file")["name"].tolist()
    assert names == ["Interferon, lymphocytes", "programme_1", "programme_2"]


def test_a_checkpoint_of_other_programmes_is_refused(cells, tmp_path):
    table = programmes(cells)
    mo.tl.autoencoder(cells, loadings=table, checkpoint=tmp_path, **QUICK)
    first = cells.obsm["X_ae"].copy()
    mo.tl.autoencoder(cells, loadings=table, checkpoint=tmp_path, **QUICK)
    np.testing.assert_array_equal(cells.obsm["X_ae"], first)
    with pytest.raises(ValueError, match=r"another training.*loadings_hash"):
        mo.tl.autoencoder(cells, loadings=table + (table > 1), checkpoint=tmp_path, **QUICK)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"n_splits": 3}, ValueError, "Leave out n_splits"),
        ({"n_latent": 3}, ValueError, "Leave out n_latent"),
        ({"replicate_over": "half", "n_splits": 2}, ValueError, "Leave out n_splits, replicate_over"),
        ({"architecture": "orthogonal"}, ValueError, "Leave out architecture="),
        ({"loadings": None, "refine_loadings": False}, ValueError, "refine_loadings.*Leave it out"),
        ({"loadings": {"T": ["ENSG00000167286"]}}, KeyError, "no gene of the programmes"),
        ({"loadings": {"T": ["gene_00"], "B": ["nowhere"]}}, ValueError, r"drop\(columns=\['B'\]\)"),
        ({"loadings": "nowhere.csv"}, FileNotFoundError, "Give the path"),
        ({"loadings": 3}, TypeError, "can't be read from int"),
    ],
)
def test_what_is_refused_leaves_the_cells_alone(cells, given, error, message):
    before = set(cells.uns)
    with pytest.raises(error, match=message):
        mo.tl.autoencoder(cells, **{"loadings": programmes(cells), **QUICK, **given})
    assert set(cells.uns) == before
    assert "X_ae" not in cells.obsm


def test_a_bare_table_is_genes_by_programmes_even_where_it_could_be_read_either_way(cells):
    genes = cells.uns["gene_sets"]["programme_1"][:2]
    bare = pd.DataFrame(np.eye(2), index=genes, columns=["x", "y"])
    assert (fixed(cells, bare) > 0).sum() == 2


def test_of_more_than_max_cells_some_are_learnt_from_and_all_are_read(cells, monkeypatch):
    module = importlib.import_module("modulae.tl._autoencoder.autoencoder")
    real, learnt = module.run_training, []

    def noted(some, test, *given, **named):
        learnt.append((len(some), int(test.sum())))
        return real(some, test, *given, **named)

    monkeypatch.setattr(module, "run_training", noted)
    mo.tl.autoencoder(cells, loadings=programmes(cells), max_cells=100, **QUICK)
    assert learnt == [(120, 20)]  # a tenth of the 200 cells is held out
    assert cells.obsm["X_ae"].shape == (200, 3)
    assert (cells.obsm["X_ae"].std(axis=0) > 0).all()
