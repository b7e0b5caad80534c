"""Foreign models: the whole way, on small planted data."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import modulae as mo
from modulae._adata.stored.models import read_model
from modulae._model_io.common_genes import read_both

SETTINGS = {"n_cells": 800, "n_genes": 120, "n_programmes": 4, "genes_per_programme": 15, "n_groups": 3}
OPTIONS = {"n_latent": 6, "n_splits": 0, "device": "cpu", "progress": False}


@pytest.fixture(scope="module", params=["orthogonal", "parts"])
def source(request):
    adata = mo.datasets.simulated(seed=1, **SETTINGS)[:400].copy()
    adata.var["chosen"] = np.arange(adata.n_vars) < 100
    adata.var["gene_ids"] = [f"ENSG{at:011d}.{at % 7}" for at in range(adata.n_vars)]
    epochs = {"orthogonal": 30, "parts": 15}[request.param]
    mo.tl.autoencoder(adata, mask_var="chosen", architecture=request.param, max_epochs=epochs, **OPTIONS)
    return adata


@pytest.fixture
def new(source):
    """Other cells of the same programmes: the second half of the draw, without what is known of them."""
    every = mo.datasets.simulated(seed=1, **SETTINGS)[400:].copy()
    return ad.AnnData(every.X.copy(), obs=every.obs[["group"]].copy(), var=every.var[[]].copy())


def correlation(a, b):
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])


def test_cells_are_read_as_the_model_reads_its_own(source, new):
    same = source.copy()
    mo.tl.transfer(same, source, key_added="again")
    np.testing.assert_allclose(same.obsm["X_again"], source.obsm["X_ae"], atol=1e-4)
    assert mo.get.transfer(same, key="again").trusted.all()
    assert mo.get.transfer(same, key="again").attrs["share_of_genes"] == 1


def test_a_cell_does_not_depend_on_the_others(source, new):
    some = new[::7].copy()
    mo.tl.transfer(new, source)
    mo.tl.transfer(some, source)
    np.testing.assert_allclose(new.obsm["X_ae"][::7], some.obsm["X_ae"], atol=1e-5)


def test_the_order_of_the_genes_does_not_matter(source, new):
    shuffled = new[:, np.random.default_rng(0).permutation(new.n_vars)].copy()
    mo.tl.transfer(new, source)
    mo.tl.transfer(shuffled, source)
    np.testing.assert_allclose(new.obsm["X_ae"], shuffled.obsm["X_ae"], atol=1e-5)


def test_absent_genes_cost_what_reliability_says(source, new):
    mo.tl.transfer(new, source)
    fewer = new[:, np.random.default_rng(2).random(new.n_vars) < 0.6].copy()
    mo.tl.transfer(fewer, source, min_reliability=0)
    table = mo.get.transfer(fewer)
    live = new.obsm["X_ae"].std(axis=0) > 0.05 * new.obsm["X_ae"].std(axis=0).max()
    r = correlation(new.obsm["X_ae"], fewer.obsm["X_ae"])
    assert np.abs(r - table.reliability.to_numpy())[live].mean() < 0.15
    assert table.attrs["share_of_genes"] == pytest.approx(
        np.isin(read_model(source, "ae").genes, fewer.var_names).mean()
    )
    assert ((table.coverage > 0) & (table.coverage < 1)).all()


def test_doubtful_units_are_flagged_with_a_warning(source, new):
    fewer = new[:, [*range(6), 110, 111]].copy()
    with pytest.warns(UserWarning, match=r"6% of the model's genes, which is too few for \d+ of 6 units"):
        mo.tl.transfer(fewer, source)
    assert not mo.get.transfer(fewer).trusted.all()


def test_ensembl_ids_find_their_symbols(source, new):
    by_name = new.copy()
    mo.tl.transfer(by_name, source)
    new.var_names = [name.split(".")[0] for name in source.var["gene_ids"]]
    mo.tl.transfer(new, source)
    np.testing.assert_allclose(new.obsm["X_ae"], by_name.obsm["X_ae"], atol=1e-5)
    assert new.var["ae_gene"].sum() == 100


def test_the_other_species(source, new):
    by_name = new.copy()
    mo.tl.transfer(by_name, source)
    names = new.var_names.tolist()
    new.var_names = [f"m-{name}" for name in names]
    mo.tl.transfer(new, source, orthologues=dict(zip(new.var_names, names, strict=True)))
    np.testing.assert_allclose(new.obsm["X_ae"], by_name.obsm["X_ae"], atol=1e-5)


def test_names_that_differ_in_their_capitals_are_pointed_out(source, new):
    """One gene that is called the same must not hide what the matter is with all others."""
    new.var_names = [new.var_names[0], *new.var_names[1:].str.capitalize()]
    for call in (lambda: mo.tl.transfer(new, source), lambda: mo.tl.denoise(new, model=source)):
        with pytest.raises(
            ValueError, match=r"too few for all of its units.*differ in their capitals.*upper_case=True"
        ):
            call()
    assert not new.obsm
    assert not new.layers
    mo.tl.transfer(new, source, min_reliability=0)
    assert "X_ae" in new.obsm


def test_later_steps_work_on_the_new_cells(source, new):
    mo.tl.transfer(new, source)
    mo.tl.saliency(new, device="cpu")
    mo.tl.pathway_impact(new, source.uns["gene_sets"], groupby="group", device="cpu")
    mo.tl.denoise(new, device="cpu")
    mo.tl.novelty(new)
    assert np.isfinite(new.varm["ae_saliency"][:100]).all()
    assert np.isnan(new.varm["ae_saliency"][100:]).all()
    assert len(mo.get.impact_table(new, result="ae_impact_group")) > 0


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_what_was_read_survives_a_file(source, new, kind, tmp_path):
    mo.tl.transfer(new, source)
    mo.tl.novelty(new)
    mo.tl.classify(new, source, labels="group")
    getattr(new, f"write_{kind}")(tmp_path / "new")
    again = getattr(ad, f"read_{kind}")(tmp_path / "new")
    mo.tl.transfer(again, again, key_added="twice")
    np.testing.assert_allclose(again.obsm["X_twice"], new.obsm["X_ae"], atol=1e-4)
    mo.tl.classify(again, source, labels="group", key_added="second")
    assert again.obs["second"].tolist() == new.obs["ae_label"].tolist()
    pd.testing.assert_frame_equal(mo.get.transfer(again), mo.get.transfer(new))


def test_a_new_reading_drops_what_the_old_one_left(source, new):
    mo.tl.transfer(new, source)
    mo.tl.saliency(new, device="cpu")
    mo.tl.novelty(new)
    mo.tl.classify(new, source, labels="group")
    mo.tl.transfer(new, source)
    assert not [name for name in new.obs if name.startswith("ae_")]
    assert "ae_saliency" not in new.varm


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda adata: setattr(adata, "var_names", [f"x{at}" for at in range(adata.n_vars)]), KeyError, "same species"),
        (lambda adata: setattr(adata, "var_names", ["a"] * adata.n_vars), ValueError, "var_names_make_unique"),
        (lambda adata: setattr(adata, "X", -adata.X), ValueError, "negative"),
    ],
)
def test_bad_input_leaves_the_cells_untouched(source, new, change, error, words):
    change(new)
    with pytest.raises(error, match=words):
        mo.tl.transfer(new, source)
    assert not new.uns
    assert not new.obsm


@pytest.mark.parametrize(
    ("model", "options", "error"),
    [
        (3, {}, TypeError),
        ("nowhere.safetensors", {}, FileNotFoundError),
        (None, {"model_key": "other"}, KeyError),
        (None, {"missing": "median"}, ValueError),
        (None, {"min_reliability": 2}, ValueError),
        (None, {"gene_ids": "nonsense"}, KeyError),
        (None, {"layer": "nonsense"}, KeyError),
    ],
)
def test_bad_arguments(source, new, model, options, error):
    with pytest.raises(error):
        mo.tl.transfer(new, source if model is None else model, **options)
    assert not new.uns


def test_a_copy_leaves_the_original(source, new):
    copy = mo.tl.transfer(new, source, copy=True)
    assert "X_ae" in copy.obsm
    assert not new.obsm


def test_its_own_model_has_no_transfer(source):
    with pytest.raises(KeyError, match="trained on these cells"):
        mo.get.transfer(source)


def test_own_held_out_cells_have_even_percentiles(source):
    own = mo.tl.novelty(source, copy=True)
    test = read_model(source, "ae").test_cells
    percentiles = own.obs["ae_novelty_percentile"][test]
    assert percentiles.mean() == pytest.approx(50, abs=3)
    assert own.obs["ae_novelty"][test].mean() == pytest.approx(1, abs=0.15)


def test_cells_of_other_programmes_are_novel(source, new):
    strange = new[:, np.random.default_rng(0).permutation(new.n_vars)].copy()
    strange.var_names = new.var_names
    for adata in (new, strange):
        mo.tl.transfer(adata, source)
        mo.tl.novelty(adata)
    assert strange.obs["ae_novelty"].median() > new.obs["ae_novelty"].median()
    assert strange.obs["ae_novelty_percentile"].median() > 95


def test_labels_are_carried_over(source, new):
    mo.tl.transfer(new, source)
    mo.tl.classify(new, source, labels="group")
    known = new.obs["ae_label"] != "unknown"
    assert known.mean() > 0.85
    assert (new.obs["ae_label"].astype(str) == new.obs["group"].astype(str))[known].mean() > 0.8
    assert new.obs["ae_label"].cat.categories.tolist() == [
        *source.obs["group"].astype("category").cat.categories,
        "unknown",
    ]
    assert ((new.obs["ae_label_distance"] > 1) == ~known).all()


def test_genes_that_one_side_lacks_are_hidden_from_both(source, new):
    """The reference with all its genes reads as the reference cut to those of the new cells."""
    fewer = new[:, np.random.default_rng(3).random(new.n_vars) < 0.7].copy()
    mo.tl.transfer(fewer, source, min_reliability=0)
    cut = source[:, np.isin(source.var_names, fewer.var_names)].copy()
    mo.tl.transfer(cut, source, min_reliability=0)
    options = {
        "key": "ae",
        "reference_key": "ae",
        "layer": None,
        "reference_layer": None,
        "batch_size": 99,
        "all_units": True,
    }
    readings = [read_both(fewer, other, **options, device="cpu") for other in (source, cut)]
    np.testing.assert_allclose(readings[0][0], fewer.obsm["X_ae"], atol=1e-3)
    np.testing.assert_allclose(readings[0][1], readings[1][1], atol=1e-3)
    assert np.abs(readings[0][1] - source.obsm["X_ae"]).max() > 0.1


def test_colours_come_along(source, new):
    reference = source.copy()
    reference.obs["group"] = reference.obs["group"].astype("category")
    reference.uns["group_colors"] = ["#111111", "#222222", "#333333"]
    mo.tl.transfer(new, reference)
    mo.tl.classify(new, reference, labels="group")
    assert list(new.uns["ae_label_colors"])[:3] == ["#111111", "#222222", "#333333"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"labels": "nonsense"}, KeyError, "reference.obs"),
        ({"labels": "number"}, ValueError, "numbers"),
        ({"labels": "counted"}, ValueError, "numbers"),
        ({"labels": "one"}, ValueError, "two or more"),
        ({"labels": "unknowns"}, ValueError, "unknown"),
        ({"labels": "group", "method": "svm"}, ValueError, "discriminant"),
        ({"labels": "group", "unknown_rate": "few"}, ValueError, r"0\.05"),
        ({"labels": "group", "unknown_rate": 1.0}, ValueError, r"0\.05"),
        ({"labels": "group", "align": "nonsense"}, KeyError, r"adata\.obs"),
        ({"labels": "group", "align": ["measured"]}, TypeError, "name one column"),
        ({"labels": "group", "align": "measured"}, ValueError, "numbers"),
    ],
)
def test_labels_that_can_not_be_carried(source, new, options, error, words):
    reference = source.copy()
    reference.obs["number"], reference.obs["one"] = 0.5, "a"
    reference.obs["counted"] = np.arange(reference.n_obs)
    reference.obs["unknowns"] = np.where(np.arange(reference.n_obs) % 2, "unknown", "b")
    new.obs["measured"] = np.linspace(0, 1, new.n_obs)
    mo.tl.transfer(new, reference)
    before = list(new.obs)
    with pytest.raises(error, match=words):
        mo.tl.classify(new, reference, **options)
    assert list(new.obs) == before


def test_samples_have_a_shift_each_where_a_column_names_them(source, new):
    new.obs["sample"] = pd.Categorical(np.where(np.arange(new.n_obs) < new.n_obs // 2, "first", "second"))
    mo.tl.transfer(new, source)
    mo.tl.classify(new, source, labels="group", align="sample")
    assert new.uns["ae_label"]["align"] == "sample"
    for sample in ("first", "second"):
        alone = new[new.obs["sample"] == sample].copy()
        mo.tl.classify(alone, source, labels="group")
        together = new.obs.loc[alone.obs_names, "ae_label"]
        assert together.astype(str).tolist() == alone.obs["ae_label"].astype(str).tolist()


def test_two_models_do_not_mix(source, new):
    other = mo.datasets.simulated(seed=5, **SETTINGS)
    mo.tl.autoencoder(other, max_epochs=2, **OPTIONS)
    mo.tl.transfer(new, other)
    with pytest.raises(ValueError, match=r"tl\.transfer"):
        mo.tl.classify(new, source, labels="group")


def test_flagged_units_are_left_out_unless_asked(source, new):
    mo.tl.transfer(new, source)
    trusted = new.uns["ae"]["transfer"]["trusted"].copy()
    trusted[:2] = False
    new.uns["ae"]["transfer"]["trusted"] = trusted
    mo.tl.classify(new, source, labels="group")
    assert new.uns["ae_label"]["n_units"] == len(trusted) - 2
    mo.tl.classify(new, source, labels="group", all_units=True)
    assert new.uns["ae_label"]["n_units"] == len(trusted)
    new.uns["ae"]["transfer"]["trusted"] = np.zeros_like(trusted)
    with pytest.raises(ValueError, match="all_units=True"):
        mo.tl.classify(new, source, labels="group")


def test_a_joint_embedding_gives_each_side_its_own_points(source, new, monkeypatch):
    few = new[:150].copy()
    mo.tl.transfer(few, source)
    rows = np.arange(source.n_obs + 150, dtype=np.float32)
    monkeypatch.setattr("modulae.tl._new_cells.joint_embedding.umap_layout", lambda *_: np.column_stack([rows, rows]))
    mo.tl.joint_embedding(few, source)
    np.testing.assert_array_equal(few.uns["X_ae_joint"]["reference"][:, 0], rows[: source.n_obs])
    np.testing.assert_array_equal(few.obsm["X_ae_joint"][:, 0], rows[source.n_obs :])


def test_a_model_that_the_reference_has_by_another_name_can_be_named(source, new):
    mo.tl.transfer(new, source, key_added="blood")
    with pytest.raises(
        KeyError, match=r"of the reference: there is no model 'blood'.*Name its model in reference_key="
    ):
        mo.tl.classify(new, source, labels="group", key="blood")
    mo.tl.classify(new, source, labels="group", key="blood", reference_key="ae")
    assert "blood_label" in new.obs


def test_labels_of_few_cells_are_not_learnt_and_named(source, new):
    """Five cells of a group, called by a name of their own, are neither a label nor part of another."""
    reference = source.copy()
    group = reference.obs["group"].astype(str).to_numpy(dtype=object)
    few = np.flatnonzero(group == group[0])[:5]
    group[few] = "rare"
    reference.obs["fine"] = group
    reference.uns["fine_colors"] = ["#111111", "#222222", "#333333", "#444444"]
    mo.tl.transfer(new, reference)
    with pytest.warns(UserWarning, match=r"labels of fewer than min_cells=10 cells are not learnt.*'rare' \(5\)"):
        mo.tl.classify(new, reference, labels="fine")
    names = sorted(set(group) - {"rare"})
    assert new.obs["ae_label"].cat.categories.tolist() == [*names, "unknown"]
    reference.obs["coarse"] = np.where(group == "rare", None, group)
    mo.tl.classify(new, reference, labels="coarse", key_added="coarse")
    assert new.obs["coarse"].tolist() == new.obs["ae_label"].tolist()
    mo.tl.classify(new, reference, labels="fine", min_cells=5, key_added="fine")
    assert "rare" in new.obs["fine"].cat.categories


def test_two_labels_of_enough_cells_are_needed(source, new):
    mo.tl.transfer(new, source)
    before = list(new.obs)
    reference = source.copy()
    reference.obs["sides"] = np.where(np.arange(reference.n_obs) < 4, "few", "many")
    with pytest.raises(ValueError, match=r"\['sides'\] has 1\. Too few cells have 'few' \(4\)\. Lower"):
        mo.tl.classify(new, reference, labels="sides")
    assert list(new.obs) == before
