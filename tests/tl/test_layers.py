"""Counts in a layer and log-normalised values in `.X`, as scanpy's users have them: the model remembers the layer."""

import anndata as ad
import numpy as np
import pytest
import scanpy as sc

import modulae as mo

SETTINGS = {"n_latent": 5, "n_splits": 0, "max_epochs": 3, "device": "cpu"}
pytestmark = pytest.mark.filterwarnings("ignore:.*no better than the mean of each gene:UserWarning")
CALLS = {
    "saliency": lambda adata, **given: mo.tl.saliency(adata, device="cpu", **given),
    "impact": lambda adata, **given: mo.tl.pathway_impact(
        adata, adata.uns["gene_sets"], groupby="group", n_permutations=50, device="cpu", **given
    ),
    "activity": lambda adata, **given: mo.tl.pathway_activity(
        adata, adata.uns["gene_sets"], n_random=10, device="cpu", **given
    ),
    "enrichment": lambda adata, **given: mo.tl.enrich_units(
        adata, adata.uns["gene_sets"], n_permutations=50, device="cpu", **given
    ),
    "summary": lambda adata, **given: mo.tl.unit_summary(adata, device="cpu", **given),
    "calls": lambda adata, **given: mo.tl.call_units(adata, device="cpu", **given),
    "novelty": mo.tl.novelty,
    "denoise": lambda adata, **given: mo.tl.denoise(adata, device="cpu", **given),
}


def cells(seed=1):
    return mo.datasets.simulated(n_cells=200, n_genes=60, n_programmes=4, genes_per_programme=10, n_groups=2, seed=seed)


def as_in_scanpy(adata):
    adata.layers["counts"] = adata.X.copy()
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    return adata


@pytest.fixture(scope="module")
def both():
    """The same cells and model: counts in `.X`, and counts in a layer."""
    plain, layered = cells(), as_in_scanpy(cells())
    mo.tl.autoencoder(plain, **SETTINGS)
    mo.tl.autoencoder(layered, layer="counts", **SETTINGS)
    np.testing.assert_array_equal(plain.obsm["X_ae"], layered.obsm["X_ae"])
    return plain, layered


def numbers(adata):
    """Every array that a call may have written."""
    found = {f"obs {name}": adata.obs[name].to_numpy() for name in adata.obs if adata.obs[name].dtype.kind == "f"}
    for part in ("varm", "layers", "obsm"):
        names = [name for name in getattr(adata, part) if name is not None]  # anndata 0.13 has `.X` among the layers
        found |= {f"{part} {name}": np.asarray(getattr(adata, part)[name]) for name in names}
    for name, value in adata.uns.items():
        if isinstance(value, dict) and "of_model" in value:
            flat = {**value, **(value.get("table") or {}), **(value.get("statistics") or {})}
            arrays = {inner: np.asarray(array) for inner, array in flat.items() if np.asarray(array).dtype.kind == "f"}
            found |= {f"uns {name} {inner}": array for inner, array in arrays.items()}
    return {name: value for name, value in found.items() if name != "layers counts"}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("through", ["memory", "h5ad"])
def test_later_steps_read_the_layer_of_the_training(both, call, through, tmp_path):
    plain, layered = (adata.copy() for adata in both)
    if through == "h5ad":
        layered.write_h5ad(tmp_path / "cells.h5ad")
        layered = ad.read_h5ad(tmp_path / "cells.h5ad")
    before = set(numbers(plain))
    CALLS[call](plain)
    CALLS[call](layered)  # a warning about values that are no counts would be an error
    expected, found = numbers(plain), numbers(layered)
    assert set(expected) == set(found) > before
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_layer_that_is_gone_is_no_trouble(both):
    plain, layered = (adata.copy() for adata in both)
    mo.tl.saliency(plain)
    layered.X = layered.layers.pop("counts")
    mo.tl.saliency(layered)
    np.testing.assert_array_equal(layered.varm["ae_saliency"], plain.varm["ae_saliency"])


def test_other_counts_are_read_as_those_of_new_cells(both):
    adata = both[1].copy()
    adata.layers["other"] = adata.layers["counts"][:, ::-1].tocsr()
    with pytest.raises(
        ValueError, match=r"\['other'\] holds other values.*in adata\.layers\['counts'\]\. Name it: layer="
    ):
        mo.tl.saliency(adata, layer="other")
    mo.tl.transfer(adata, adata, model_key="ae", key_added="ae2", layer="other")
    mo.tl.saliency(adata)
    mo.tl.saliency(adata, key="ae2", method="input_x_gradient")
    mo.tl.saliency(adata, key="ae", method="input_x_gradient")
    assert not np.allclose(adata.varm["ae_saliency"], adata.varm["ae2_saliency"])


def test_a_transferred_model_remembers_the_layer_of_the_new_cells(both):
    plain, layered = both
    new = as_in_scanpy(cells(2))
    new.layers["raw"] = new.layers.pop("counts")
    mo.tl.transfer(new, layered, layer="raw")  # the model's own layer is not asked for
    other = cells(2)
    mo.tl.transfer(other, plain)
    np.testing.assert_array_equal(new.obsm["X_ae"], other.obsm["X_ae"])
    assert new.uns["ae"]["layer"] == "raw"
    assert "layer" not in other.uns["ae"]
    for adata, reference in ((new, layered), (other, plain)):
        mo.tl.classify(adata, reference, labels="group", device="cpu")
    assert list(new.obs["ae_label"]) == list(other.obs["ae_label"])
    np.testing.assert_array_equal(new.obs["ae_label_confidence"], other.obs["ae_label_confidence"])


def test_the_report_remembers_it_too(tmp_path):
    adata = as_in_scanpy(cells())
    mo.tl.autoencoder(adata, layer="counts", **SETTINGS)
    page = mo.report(adata, tmp_path / "page.html", groupby="group")
    assert page.exists()
