"""Values that are no counts: what they are called, where the counts are, and lines that work."""

import warnings

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import modulae as mo
from modulae._adata.counts import read_counts

SMALL = {"n_latent": 4, "n_splits": 0, "max_epochs": 2, "device": "cpu", "progress": False}


@pytest.fixture
def cells():
    return mo.datasets.simulated(n_cells=100, n_genes=40, n_programmes=2, genes_per_programme=10, seed=0)


def logged(adata, base=None):
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata, base=base)
    return adata


def run_lines(message, adata):
    """Run what stands between backticks, and give back `adata` and the layer that is named."""
    names = {"adata": adata}
    for line in message.split("`")[1::2]:
        if line.startswith("adata"):
            exec(line, names)  # noqa: S102 (the lines that the message says to run)
    return names["adata"]


@pytest.mark.parametrize("base", [None, 2, 10])
def test_counts_in_raw_as_cellxgene_has_them(cells, base):
    counts = cells.X.copy()
    cells.raw = cells.copy()
    logged(cells, base)
    with pytest.raises(ValueError, match=r"adata\.X holds logarithms.* in adata\.raw\. .*layer='counts'") as caught:
        mo.tl.autoencoder(cells, **SMALL)
    assert "ae" not in cells.uns
    adata = run_lines(str(caught.value), cells)
    mo.tl.autoencoder(adata, layer="counts", **SMALL)
    assert (adata.layers["counts"] != counts).nnz == 0
    assert "X_ae" in adata.obsm


@pytest.mark.parametrize("place", ["raw", "layer"])
def test_logarithms_of_counts_that_were_not_normalised(cells, place):
    if place == "raw":
        cells.raw = cells.copy()
    else:
        cells.layers["counts"] = cells.X.copy()
    sc.pp.log1p(cells)
    with pytest.raises(ValueError, match=r"adata\.X holds logarithms of counts.*layer='counts'") as caught:
        mo.tl.autoencoder(cells, **SMALL)
    read_counts(run_lines(str(caught.value), cells), layer="counts")


@pytest.mark.parametrize("place", ["raw", "layer", "raw on disk"])
def test_the_report_finds_the_counts_too(cells, place, tmp_path):
    """Trained on `.X`, which was normalised later."""
    pytest.importorskip("bokeh", reason="needs modulae[report]")
    mo.tl.autoencoder(cells, **SMALL)
    if place == "layer":
        cells.layers["counts"] = cells.X.copy()
    else:
        cells.raw = cells.copy()
    logged(cells)
    if place == "raw on disk":
        cells.write_h5ad(tmp_path / "cells.h5ad")
        cells = sc.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    if place == "layer":
        mo.report(cells, tmp_path / "modules.html", progress=False)
    else:
        with pytest.raises(
            ValueError, match=r"adata\.X holds other values.*has read is in adata\.raw\..*layer='counts'"
        ):
            mo.report(cells, tmp_path / "modules.html", progress=False)
    assert (tmp_path / "modules.html").exists() == (place == "layer")
    if cells.isbacked:
        cells.file.close()


def test_raw_with_other_genes_keeps_the_cells(cells):
    cells.raw = cells.copy()
    part = logged(cells.copy())[:, :20].copy()
    part.var_names = [f"new {name}" for name in part.var_names]
    with pytest.raises(ValueError, match=r"adata\.X holds log.* Whole numbers are in adata\.raw\. Go on wi") as caught:
        read_counts(part, layer=None)
    adata = run_lines(str(caught.value), part)
    assert list(adata.obs) == list(part.obs)
    assert adata.n_vars == 40
    read_counts(adata, layer=None)


def test_variable_genes_with_all_counts_in_raw(cells):
    cells.raw = cells.copy()
    part = logged(cells.copy())[:, 5:20].copy()
    with pytest.raises(ValueError, match=r"logarithms of normalised counts.*adata\.raw\[:, adata\.var_names\]"):
        mo.pp.gene_set_mask(part, {"a": list(part.var_names)})


@pytest.mark.parametrize("take", ["log", "scaled by cell"])
def test_counts_in_a_layer(cells, take):
    cells.layers["raw_counts"] = cells.X.copy()
    sc.pp.normalize_total(cells)
    if take == "log":
        sc.pp.log1p(cells)
    with pytest.raises(
        ValueError, match=r"normalised counts.*in adata\.layers\['raw_counts'\]\. Name it: layer='raw_co"
    ):
        mo.tl.autoencoder(cells, **SMALL)
    mo.tl.autoencoder(cells, layer="raw_counts", **SMALL)


def test_a_layer_of_logarithms_where_x_has_the_counts(cells):
    cells.layers["log"] = logged(cells.copy()).X
    with pytest.raises(ValueError, match=r"\['log'\] holds logarithms.* in adata\.X\. Leave out layer="):
        mo.tl.autoencoder(cells, layer="log", **SMALL)


def test_on_disk(cells, tmp_path):
    cells.raw = cells.copy()
    logged(cells).write_h5ad(tmp_path / "cells.h5ad")
    backed = sc.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    with pytest.raises(ValueError, match=r"adata\.X holds logarithms of normalised counts.*in adata\.raw"):
        mo.tl.autoencoder(backed, **SMALL)
    backed.file.close()


def test_scaled_values_point_at_the_counts(cells):
    cells.raw = cells.copy()
    cells.X = logged(cells).X.toarray()
    sc.pp.scale(cells)
    with pytest.raises(ValueError, match=r"negative values \(scaled data\?\)\. Whole numbers are in adata\.raw\. Copy"):
        mo.tl.autoencoder(cells, **SMALL)
    del cells.raw
    with pytest.raises(ValueError, match=r"Name the layer that holds the raw counts: layer=\.$"):
        mo.tl.autoencoder(cells, **SMALL)


def test_no_x_but_raw(cells):
    cells.raw = cells.copy()
    adata = ad.AnnData(obs=cells.obs, var=cells.var)
    adata.raw = cells
    with pytest.raises(ValueError, match=r"no `\.X`\. Take the values of `\.raw`: `adata = adata\.raw\.to_adata\(\)`"):
        read_counts(adata, layer=None)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16), dense=st.booleans(), most=st.floats(0.05, 0.6), many=st.booleans())
def test_corrected_counts_are_read_with_a_warning(seed, dense, most, many):
    """As SoupX takes the background out of them: of every gene another share. Few counts have to be in a layer."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3.0, (30, 12)).astype(np.float32) + np.eye(30, 12, dtype=np.float32)
    counts[:, 0] += 100 * many
    corrected = np.where(counts > 0, counts * (1 - most * rng.uniform(size=12)), 0).astype(np.float32)
    corrected += np.where(counts > 0, 0.013, 0).astype(np.float32)
    adata = ad.AnnData(corrected if dense else sparse.csr_matrix(corrected))
    adata.layers["counts"] = sparse.csr_matrix(counts)
    if not many:
        with pytest.raises(ValueError, match=r"no counts.*\['counts'\]\. Name it: layer='counts'.*SoupX") as caught:
            read_counts(adata, layer=None)
        assert str(caught.value).endswith("layer='corrected'.")
        adata = run_lines(str(caught.value), adata)
    with pytest.warns(UserWarning, match=r"not whole numbers.*SoupX.*\['counts'\]\. Name it: layer='counts'"):
        read = read_counts(adata, layer=None if many else "corrected")
    np.testing.assert_allclose(read.matrix.toarray(), corrected, rtol=1e-6)
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), counts)


@pytest.mark.parametrize("base", [None, 2, 10])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_logarithms_without_any_counts_are_refused_before_anything_is_written(cells, base, named, kind):
    logged(cells, base)
    cells.X = cells.X.astype(kind)
    if named:
        cells.layers["log"], cells.X = cells.X, np.zeros(cells.shape, dtype=np.float32)
    before = str(cells)
    with pytest.raises(ValueError, match=r"holds logarithms.*needs the counts themselves") as caught:
        mo.tl.autoencoder(cells, layer="log" if named else None, **SMALL)
    assert str(caught.value).endswith("put them into a layer, and name it: layer=.")
    assert str(cells) == before


def test_normalised_counts_without_any_counts_are_refused(cells):
    sc.pp.normalize_total(cells)
    with pytest.raises(ValueError, match=r"adata\.X holds normalised counts.*Read the raw counts.*layer=\.$"):
        mo.tl.autoencoder(cells, **SMALL)


def test_logarithms_that_are_of_no_counts_are_refused_unless_they_are_named(cells):
    """Such as of TPM, where each gene has a factor of its own."""
    length = np.random.default_rng(0).uniform(0.5, 3, cells.n_vars)
    cells.X = np.log1p(cells.X.toarray() * length)
    with pytest.raises(ValueError, match=r"adata\.X holds no counts.*as of logarithms.*adata\.X\.copy\(\)") as caught:
        mo.tl.autoencoder(cells, **SMALL)
    assert "ae" not in cells.uns
    adata = run_lines(str(caught.value), cells)
    with pytest.warns(UserWarning, match="not whole numbers"):
        mo.tl.autoencoder(adata, layer="corrected", **SMALL)


def test_counts_shared_out_among_genes_are_read_with_a_warning():
    """As by alevin or kallisto: most are whole."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, (40, 30)).astype(np.float32)
    shared = counts + np.where((counts > 0) & (rng.random(counts.shape) < 0.2), 0.37, 0).astype(np.float32)
    with pytest.warns(UserWarning, match="not whole numbers"):
        read_counts(ad.AnnData(shared), layer=None)


def test_other_functions_refuse_logarithms_too(cells):
    mo.tl.autoencoder(cells, **SMALL)
    new = logged(cells[:50].copy())
    for name in ("ae", "ae_loadings"):
        new.uns.pop(name, None)
    before = str(new)
    with pytest.raises(ValueError, match="holds logarithms of normalised counts"):
        mo.tl.transfer(new, cells, key_added="other")
    assert str(new) == before


def test_counts_are_read_without_a_word_whatever_else_is_there(cells):
    cells.layers["log"] = logged(cells.copy()).X
    cells.raw = logged(cells.copy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_counts(cells, layer=None)


def test_cells_in_which_all_counts_are_alike_tell_nothing():
    """Whatever stands there is a multiple of them."""
    counts = np.eye(20, 12, dtype=np.float32) + np.eye(20, 12, k=-8, dtype=np.float32)
    adata = ad.AnnData(counts * 0.9)
    adata.layers["part"], adata.layers["seen"] = adata.X, counts
    with pytest.warns(UserWarning, match=r"not whole numbers.*\['seen'\]"):
        read_counts(adata, layer="part")
