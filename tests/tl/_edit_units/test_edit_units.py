"""`tl.edit_units`: what it changes, what it leaves, and what undo gives back."""

import json
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import modulae as mo
from modulae.core.model.edited_parts import likeness

pytestmark = pytest.mark.filterwarnings("ignore:units . and . are merged:UserWarning")  # simulated ones are unlike

QUIET = {"device": "cpu", "progress": False}
WEIGHTS = ("encoder", "bias", "loadings", "baseline")


@pytest.fixture(scope="session")
def found():
    """Units that halves found, summarised."""
    adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=5, seed=0)
    mo.tl.autoencoder(adata, n_latent=5, **QUIET)
    mo.tl.unit_summary(adata, groupby="group", **QUIET)
    return adata


@pytest.fixture
def adata(found):
    return found.copy()


def frozen(adata):
    """Everything, as text that differs where anything differs."""

    def plain(value):
        if isinstance(value, dict):
            return {str(name): plain(part) for name, part in sorted(value.items())}
        return np.asarray(value).tolist() if isinstance(value, np.ndarray) else repr(value)

    stores = {
        name: {key: plain(np.asarray(value)) for key, value in getattr(adata, name).items()}
        for name in ("obsm", "varm")
    }
    return json.dumps({"uns": plain(dict(adata.uns)), **stores}, default=str)


def test_a_new_name_stands_everywhere_and_changes_no_number(adata, tmp_path):
    before, old = adata.copy(), mo.get.unit_summary(adata)["name"]
    mo.tl.edit_units(adata, rename={"1": " Interferon,\n lymphocytes ", old["0"]: "T cells"})
    mo.tl.edit_units(adata, rename={"T cells": "T"})
    new = {"0": "T", "1": "Interferon, lymphocytes"}
    for table in (mo.get.unit_summary(adata), mo.get.replication(adata)):
        assert table["name"].to_dict() == {**old.to_dict(), **new}
    assert set(mo.get.top_genes(adata, unit=1)["name"]) == {"Interferon, lymphocytes"}
    assert mo.get.units_adata(adata).var_names[:2].tolist() == ["T", "Interferon, lymphocytes"]
    assert mo.pl.top_genes(adata, unit=1).get_title().startswith("unit 1: Interferon")
    mo.write_programmes(adata, tmp_path / "sets.gmt")
    assert {"T", "Interferon, lymphocytes"} <= set(mo.read_programmes(tmp_path / "sets.gmt").columns)
    mo.save_model(adata, tmp_path / "model.safetensors")
    cells = mo.datasets.simulated(n_cells=50, n_genes=200, n_programmes=5, seed=1)
    mo.tl.transfer(cells, tmp_path / "model.safetensors")
    assert mo.get.transfer(cells)["name"].loc[list(new)].to_dict() == new
    for part in ("obsm", "varm"):
        for name in getattr(before, part):
            np.testing.assert_array_equal(getattr(adata, part)[name], getattr(before, part)[name])
    assert set(before.uns) == set(adata.uns)
    mo.tl.unit_summary(adata, groupby="group", **QUIET)  # what was not named is named as before
    assert mo.get.unit_summary(adata)["name"].to_dict() == {**old.to_dict(), **new}
    for _ in range(2):
        mo.tl.edit_units(adata, undo=True)
    assert set(adata.uns["ae"]["model"]) == set(before.uns["ae"]["model"])
    pd.testing.assert_frame_equal(mo.get.unit_summary(adata), mo.get.unit_summary(before))


def test_technical_units_stand_apart(adata, tmp_path):
    mo.tl.edit_units(adata, technical=[2])
    assert mo.get.unit_summary(adata)["technical"].to_dict() == {str(unit): unit == 2 for unit in range(5)}
    assert "2" not in set(mo.get.top_genes(adata)["unit"])
    assert not mo.get.top_genes(adata, unit=2).empty
    with pytest.warns(UserWarning, match="1 of 5 units is not written: 1 marked as technical"):
        assert mo.read_programmes(_gmt(adata, tmp_path)).shape[1] == 4
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(300, 2))
    assert "2" not in mo.pl.units(adata)
    labels = [text.get_text() for text in mo.pl.unit_summary(adata, n_units=None)["effect"].get_yticklabels()]
    assert sum("(technical" in label for label in labels) == 1
    assert len(mo.pl.unit_summary(adata)["effect"].get_yticklabels()) == 4
    mo.tl.edit_units(adata, technical={"2": False})
    assert not mo.get.unit_summary(adata)["technical"].any()
    assert mo.get.edits(adata)["what"].tolist() == ["unit 2 is technical", "unit 2 is not technical"]


def _gmt(adata, folder):
    mo.write_programmes(adata, folder / "sets.gmt")
    return folder / "sets.gmt"


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("way", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
def test_merged_units_leave_the_others_as_they_are_and_undo_gives_all_back(adata, tmp_path, way):
    before = adata.copy()
    mo.tl.edit_units(adata, rename={"3": "kept"}, technical=["4"])
    with pytest.warns(UserWarning, match=r"removed: ae_units\. Run .*`mo\.tl\.unit_summary\(adata\)`"):
        mo.tl.edit_units(adata, merge=[("2", "1")], rename={"2": "both"})
    assert adata.obsm["X_ae"].shape == (300, 4)
    np.testing.assert_array_equal(adata.obsm["X_ae"][:, [0, 2, 3]], before.obsm["X_ae"][:, [0, 3, 4]])
    np.testing.assert_array_equal(adata.varm["ae_loadings"][:, [0, 2, 3]], before.varm["ae_loadings"][:, [0, 3, 4]])
    both = before.obsm["X_ae"][:, 1] + before.obsm["X_ae"][:, 2]
    assert np.corrcoef(adata.obsm["X_ae"][:, 1], both)[0, 1] > 0.9
    known = mo.get.replication(adata)
    assert known["name"].dropna().to_dict() == {"1": "both", "2": "kept"}
    assert known.drop(columns="name").loc["1"].isna().sum() == 3
    assert known["reproducibility"]["2"] == mo.get.replication(before)["reproducibility"]["3"]
    if way == "h5ad":
        adata.write_h5ad(tmp_path / "cells.h5ad")
        adata = ad.read_h5ad(tmp_path / "cells.h5ad")
    else:
        adata.write_zarr(tmp_path / "cells.zarr")
        adata = ad.io.read_zarr(tmp_path / "cells.zarr")
    mo.pl.replication(adata)
    mo.tl.saliency(adata, device="cpu")  # the model is whole
    mo.tl.unit_summary(adata, **QUIET)
    table = mo.get.unit_summary(adata)
    assert table["technical"].to_dict() == {unit: unit == "3" for unit in table.index}
    with pytest.warns(UserWarning, match="removed: ae_saliency, ae_units"):
        mo.tl.edit_units(adata, undo=True)
    assert mo.get.edits(adata)["what"].tolist() == ['unit 3 is called "kept"; unit 4 is technical']
    mo.tl.edit_units(adata, undo=True)
    for name in WEIGHTS:
        np.testing.assert_array_equal(adata.uns["ae"]["model"][name], before.uns["ae"]["model"][name])
    assert set(adata.uns["ae"]) == set(before.uns["ae"])
    pd.testing.assert_frame_equal(
        mo.get.replication(adata).drop(columns="name"), mo.get.replication(before).drop(columns="name")
    )
    np.testing.assert_allclose(adata.obsm["X_ae"], before.obsm["X_ae"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(adata.obsm["X_ae"][:, [0, 3, 4]], before.obsm["X_ae"][:, [0, 3, 4]])


@pytest.fixture
def twice(found):
    """A model whose first two units are one programme."""
    made = mo.get.loadings(found)
    programmes = pd.DataFrame({"a": made["1"], "again": made["1"], "other": made["4"]})
    adata = found[:].copy()
    mo.tl.autoencoder(adata, loadings=programmes, refine_loadings=False, max_epochs=2, **QUIET)
    return adata


def test_merging_units_that_are_not_alike_says_how_alike_they_are(adata, found):
    loadings, units = found.uns["ae"]["model"]["loadings"].astype(float), found.obsm["X_ae"].astype(float)
    cosine = loadings[1] @ loadings[2] / np.sqrt((loadings[1] ** 2).sum() * (loadings[2] ** 2).sum())
    r = np.corrcoef(units[:, 1], units[:, 2])[0, 1]
    assert max(cosine, r) < 0.75
    words = f"units 2 and 1 are merged, .* loadings is {cosine:.2f}, and .* activities {r:.2f}; .*undo=True"
    with pytest.warns(UserWarning, match=words), pytest.warns(UserWarning, match="removed"):
        mo.tl.edit_units(adata, merge=[("2", "1")])
    mo.tl.edit_units(adata, undo=True)
    assert adata.obsm["X_ae"].shape == (300, 5)


def test_merging_one_programme_that_was_found_twice_warns_of_nothing(twice):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mo.tl.edit_units(twice, merge=[("a", "again")])


def test_of_several_units_those_are_named_that_are_least_alike(twice):
    with pytest.warns(UserWarning, match="units [01] and 2 are merged"):
        mo.tl.edit_units(twice, merge=[("a", "again", "other")], rename={"a": "all"})


def test_likeness_of_a_unit_that_is_nothing():
    loadings, activity = np.array([[1.0, 0], [0, 0], [2, 1]]), np.array([[1.0, 0, 1], [2, 0, 5]])
    assert likeness(loadings, activity) == (0, 1, 0.0, 0.0)
    one, two, cosine, r = likeness(loadings[[0, 2]], activity[:, [0, 2]])
    assert (one, two) == (0, 1)
    assert (cosine, r) == pytest.approx((2 / 5**0.5, 1.0))


def test_dropping_a_unit_costs_its_effect(adata, found):
    with pytest.warns(UserWarning, match="removed"):
        mo.tl.edit_units(adata, drop=["1"])
    row = mo.get.edits(adata).iloc[0]
    assert (row["what"], row["n_units"]) == ("unit 1 is dropped", 4)
    np.testing.assert_array_equal(adata.obsm["X_ae"], np.delete(found.obsm["X_ae"], 1, axis=1))
    assert row["loss_before"] == pytest.approx(mo.get.history(found)["test_loss"].min(), rel=1e-5)
    assert row["loss_after"] - row["loss_before"] == pytest.approx(_effect_of_held_out(found, 1), rel=1e-3)


def _effect_of_held_out(adata, unit):
    """The rise of the loss of held-out cells with the unit at its mean over all cells."""
    from modulae._adata.counts import read_cells
    from modulae._adata.stored.models import read_model

    fitted = read_model(adata, "ae")
    held, mean = np.flatnonzero(fitted.test_cells), adata.obsm["X_ae"].mean(axis=0)
    cells = read_cells(adata, fitted, layer=None).take(held)
    units = adata.obsm["X_ae"][held]
    x, s = cells.dense().astype(np.float64), cells.scale()
    changed = units.copy()
    changed[:, unit] = mean[unit]
    with_it, without = (s * fitted.network.decode(z) for z in (units, changed))
    return float((without - x * np.log(without + 1e-8) - with_it + x * np.log(with_it + 1e-8)).mean())


def test_all_in_one_call(adata):
    with pytest.warns(UserWarning, match="removed"):
        mo.tl.edit_units(adata, rename={"4": "last"}, merge=[(0, 3)], drop=[1], technical=["2"])
    assert mo.get.replication(adata)["name"].dropna().to_dict() == {"2": "last"}
    assert adata.uns["ae"]["model"]["technical"].tolist() == [False, True, False]
    assert adata.uns["ae"]["edits"]["1"]["became"].tolist() == [0, -1, 1, 0, 2]
    assert mo.get.edits(adata)["what"].tolist() == [
        'unit 4 is called "last"; units 0, 3 are one, now 0; unit 1 is dropped; unit 2 is technical'
    ]


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({}, ValueError, "nothing to edit"),
        ({"rename": {"9": "x"}}, KeyError, "there are 5"),
        ({"rename": {"Interferon": "x"}}, KeyError, "no unit is called 'Interferon'"),
        ({"rename": {"0": " "}}, ValueError, "is empty"),
        ({"rename": {"0": "3"}}, ValueError, "is a number"),
        ({"rename": {"0": None}}, TypeError, "give a text"),
        ({"rename": {"0": "same", "1": "same"}}, ValueError, "two units would be called 'same'"),
        ({"rename": {"0": "a", 0: "b"}}, ValueError, "names a unit twice"),
        ({"rename": ["x"]}, TypeError, "dict of unit"),
        ({"merge": [("0", "1"), ("1", "2")]}, ValueError, "unit 1 is in two groups"),
        ({"merge": [("0",)]}, ValueError, "two different units"),
        ({"merge": ["01"]}, TypeError, "give a list of units"),
        ({"merge": [("0", "1")], "drop": ["1"]}, ValueError, "unit 1 is to be merged and dropped"),
        ({"merge": [("0", "1")], "rename": {"0": "a", "1": "b"}}, ValueError, "with one name and one mark"),
        ({"drop": "7"}, TypeError, "give a list of units"),
        ({"drop": [0, 1, 2, 3, 4]}, ValueError, "nothing would be left"),
        ({"technical": {"0": "yes"}}, TypeError, "give True"),
        ({"undo": True}, ValueError, "no edits to undo"),
        ({"undo": True, "drop": ["0"]}, ValueError, "drop was given too"),
        ({"edits": "nowhere.json"}, FileNotFoundError, "no file"),
        ({"edits": {}}, ValueError, "holds no edits"),
        ({"edits": {"names": {"0": "a"}}}, ValueError, "'names', which is no edit"),
        ({"edits": {"model": "other", "rename": {"0": "a"}}}, ValueError, "of another model"),
        ({"rename": {"0": "a"}, "key": "b"}, KeyError, "no model 'b'"),
    ],
)
def test_bad_input_changes_nothing(adata, given, error, match):
    before = frozen(adata)
    with pytest.raises(error, match=match):
        mo.tl.edit_units(adata, **given)
    assert frozen(adata) == before


def test_a_name_that_two_units_have_does_not_say_which(adata):
    adata.uns["ae_units"]["table"]["name"][:2] = "alike"
    with pytest.raises(KeyError, match="2 units are called 'alike': 0, 1"):
        mo.tl.edit_units(adata, drop=["alike"])


def test_edits_of_a_page(adata, tmp_path):
    path = tmp_path / "edits.json"
    path.write_text(json.dumps({"modulae_edits": 1, "key": "ae", "rename": {"0": "A"}, "technical": {"1": True}}))
    mo.tl.edit_units(adata, edits=path)
    assert mo.get.unit_summary(adata).loc["0", "name"] == "A"
    assert mo.get.unit_summary(adata)["technical"].sum() == 1
    path.write_text(json.dumps({"modulae_edits": 1, "key": "ae", "technical": {"1": False}}))
    mo.tl.edit_units(adata, edits=path)
    assert not mo.get.unit_summary(adata)["technical"].any()
    path.write_text("no JSON")
    with pytest.raises(ValueError, match="holds no edits"):
        mo.tl.edit_units(adata, edits=path)


def test_digits_in_a_file_are_numbers_and_elsewhere_what_can_be_told(adata):
    """Programmes of cNMF are called 1, 2, …: the first is unit 0."""
    adata.uns["ae_units"]["table"]["name"] = np.array(list("12345"), dtype=object)
    with pytest.raises(KeyError, match="number of a unit, and the name of another, unit 1"):
        mo.tl.edit_units(adata, rename={"2": "third"})
    mo.tl.edit_units(adata, edits={"rename": {"2": "third"}, "technical": ["3"]})
    mo.tl.edit_units(adata, rename={1: "second", "5": "fifth"})
    assert mo.get.unit_summary(adata)["name"].to_dict() == {
        "0": "1",
        "1": "second",
        "2": "third",
        "3": "4",
        "4": "fifth",
    }
    assert mo.get.unit_summary(adata).loc["3", "technical"]


def test_another_model_is_edited_by_its_name(adata):
    mo.tl.transfer(adata, adata, key_added="other")
    mo.tl.edit_units(adata, rename={"0": "A"}, key="other")
    assert "A" not in mo.get.unit_summary(adata)["name"].tolist()
    assert mo.get.transfer(adata, key="other").loc["0", "name"] == "A"
    assert (len(mo.get.edits(adata)), len(mo.get.edits(adata, key="other"))) == (0, 1)


def test_a_copy_leaves_the_original(adata):
    before = frozen(adata)
    other = mo.tl.edit_units(adata, rename={"0": "A"}, copy=True)
    assert mo.get.unit_summary(other).loc["0", "name"] == "A"
    other.uns["ae"]["model"]["loadings"][:] = 0
    assert frozen(adata) == before


def test_orthogonal_units_can_be_named_but_not_merged(orthogonal):
    mo.tl.edit_units(orthogonal, rename={"0": "A"}, technical=[1])
    mo.tl.unit_summary(orthogonal, **QUIET)
    assert mo.get.unit_summary(orthogonal).loc["1", "technical"]
    before = frozen(orthogonal)
    for given in ({"merge": [("0", "1")]}, {"drop": ["0"]}):
        with pytest.raises(ValueError, match=r"decoded together.*technical="):
            mo.tl.edit_units(orthogonal, **given)
    assert frozen(orthogonal) == before


def test_units_are_merged_where_they_were_trained(adata):
    cells = mo.datasets.simulated(n_cells=50, n_genes=200, n_programmes=5, seed=1)
    mo.tl.edit_units(adata, technical=[3])
    mo.tl.transfer(cells, adata)
    assert cells.uns["ae"]["model"]["technical"].tolist() == [False, False, False, True, False]
    with pytest.raises(ValueError, match="trained on other cells"):
        mo.tl.edit_units(cells, drop=["0"])
    some = adata[:200].copy()
    with pytest.raises(ValueError, match="trained on 300 cells, and adata has 200"):
        mo.tl.edit_units(some, drop=["0"])
    mo.tl.edit_units(some, rename={"0": "A"})  # this can be done


@pytest.mark.parametrize("way", ["file", "object", "again"])
def test_the_history_goes_along_with_the_model(adata, tmp_path, way):
    mo.tl.edit_units(adata, rename={"0": "A"}, technical=[3])
    with pytest.warns(UserWarning, match="removed"):
        mo.tl.edit_units(adata, drop=["1"])
    cells = mo.datasets.simulated(n_cells=50, n_genes=200, n_programmes=5, seed=1)
    mo.save_model(adata, tmp_path / "model.safetensors")
    if way == "object":
        mo.tl.transfer(cells, adata)
    else:
        mo.tl.transfer(cells, mo.load_model(tmp_path / "model.safetensors"))
    if way == "again":  # from those cells on, by a file
        cells.write_h5ad(tmp_path / "cells.h5ad")
        mo.save_model(ad.read_h5ad(tmp_path / "cells.h5ad"), tmp_path / "model.safetensors")
        mo.tl.transfer(cells, tmp_path / "model.safetensors", key_added="ae")
    pd.testing.assert_frame_equal(mo.get.edits(cells), mo.get.edits(adata))
    assert all("before" not in edit for edit in cells.uns["ae"]["edits"].values())
    before = frozen(cells)
    with pytest.raises(ValueError, match="made where the model came from"):
        mo.tl.edit_units(cells, undo=True)
    assert frozen(cells) == before
    mo.tl.edit_units(cells, rename={"A": "B"})
    assert len(mo.get.edits(cells)) == 3
    mo.tl.edit_units(cells, undo=True)
    assert frozen(cells) == before
    mo.tl.saliency(cells, device="cpu")  # the model is whole


def test_batches_stay_known(tmp_path):
    adata = mo.datasets.simulated(n_cells=160, n_genes=120, n_programmes=3, seed=0)
    adata.obs["batch"] = np.where(np.arange(160) % 2, "a", "b")
    adata.layers["raw"] = adata.X.copy()
    mo.tl.autoencoder(adata, batch_key="batch", layer="raw", n_splits=0, n_latent=4, max_epochs=3, **QUIET)
    before = adata.uns["ae"]["model"]["batch_factors"].copy()
    mo.tl.edit_units(adata, merge=[("0", "2")], device="cpu")
    np.testing.assert_array_equal(adata.uns["ae"]["model"]["batch_factors"], before)
    assert str(adata.uns["ae"]["layer"]) == "raw"
    mo.tl.denoise(adata, device="cpu")
    assert adata.layers["ae_denoised"].shape == adata.shape
