"""The model that ships: small, whole, and of use on other blood."""

import os
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import modulae as mo
from modulae.datasets._blood_model import FILE

MAIN = {
    "B cells": ["B", "B Activated"],
    "CD14+ Monocytes": ["CD14 Mono"],
    "FCGR3A+ Monocytes": ["CD16 Mono"],
    "CD4 T cells": ["CD4 Naive T", "CD4 Memory T"],
    "NK cells": ["NK"],
}
"""Types that nobody mistakes, as Kang's cells are labelled."""


@pytest.fixture(scope="module")
def blood():
    return mo.datasets.blood_model()


def test_it_is_small_and_says_where_it_is_from(blood):
    assert FILE.stat().st_size < 1_000_000
    assert "10x Genomics" in blood.uns["source"]
    assert "CC BY 4.0" in blood.uns["source"]
    assert blood.obs["cell_type"].value_counts().max() <= 40
    assert blood.obs["cell_type"].nunique() == 8
    assert (blood.X.data % 1 == 0).all()


def test_units_have_names_that_fit_their_cells_and_a_reproducibility(blood):
    units = mo.get.unit_summary(blood)
    assert ((units["reproducibility"] > 0.7) == units["name"].notna()).all()
    assert units["name"].notna().sum() >= 10
    activity = mo.get.representation(blood).groupby(blood.obs["cell_type"].to_numpy()).mean()
    for genes, cell_type in (("CD79A", "B cells"), ("S100A8", "CD14+ Monocytes"), ("PPBP", "Megakaryocytes")):
        unit = next(unit for unit, name in units["name"].dropna().items() if genes in name)
        assert activity[unit].idxmax() == cell_type


def test_its_cells_read_anew_have_the_activities_that_are_stored(blood):
    again = blood.copy()
    mo.tl.transfer(again, blood, key_added="again", device="cpu")
    np.testing.assert_allclose(again.obsm["X_again"], blood.obsm["X_ae"], rtol=1e-3, atol=1e-4)
    assert mo.get.transfer(again, key="again")["reliability"].min() > 0.999


def test_other_blood_is_read_and_labelled_by_symbols_and_by_identifiers(blood):
    cells = mo.datasets.pbmc68k()
    with pytest.warns(UserWarning, match="of the model's genes, which is too few for"):  # 765 variable genes
        mo.tl.transfer(cells, blood, device="cpu")
    mo.tl.classify(cells, blood, labels="cell_type", unknown_rate=0, device="cpu")
    label = cells.obs["ae_label"].astype(str)
    bulk = {"CD19+ B": "B cells", "CD56+ NK": "NK cells", "Dendritic": "Dendritic cells"}
    bulk["CD14+ Monocyte"] = "FCGR3A+ Monocytes"  # the cells of this label have much FCGR3A, and hardly any S100A8
    for name, expected in bulk.items():
        assert (label[cells.obs["bulk_labels"] == name] == expected).mean() > 0.6
    by_id = cells[:, cells.var_names.isin(blood.var_names)].copy()
    by_id.var_names = blood.var["gene_ids"].loc[by_id.var_names].to_numpy(dtype=str)
    by_name = cells[:, cells.var_names.isin(blood.var_names)].copy()
    for one in (by_id, by_name):
        with pytest.warns(UserWarning, match="too few for"):
            mo.tl.transfer(one, blood, device="cpu")
    np.testing.assert_array_equal(by_id.obsm["X_ae"], by_name.obsm["X_ae"])


@pytest.mark.skipif("MODULAE_DATA" not in os.environ, reason="MODULAE_DATA does not name the folder of the data")
def test_kangs_cells_get_the_labels_of_their_types(blood):
    cells = ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / "kang_ifnb_sub2000.h5ad")
    mo.tl.transfer(cells, blood, device="cpu")
    mo.tl.classify(cells, blood, labels="cell_type", unknown_rate=0, device="cpu")
    label = cells.obs["ae_label"].astype(str)
    for expected, names in MAIN.items():
        assert (label[cells.obs["seurat_annotations"].isin(names)] == expected).mean() > 0.6
