"""tl.denoise with a model of these cells, and with a foreign one."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import modulae as mo
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae.core.inference.encode import rescale

SETTINGS = {"n_latent": 5, "n_splits": 0, "max_epochs": 4, "device": "cpu"}


@pytest.fixture
def new(untrained):
    """Other cells: in another order, one gene of the model called otherwise, every third gene counted three times."""
    adata = untrained[:60:-1, ::-1].copy()
    counts = adata.X.toarray()
    counts[:, ::3] *= 3
    adata.X = sparse.csr_matrix(counts)
    adata.var_names = adata.var_names.str.replace("gene_05", "elsewhere")
    assert "elsewhere" in adata.var_names
    return adata


def assert_same(adata, before):
    """Hold every field of `adata` against `before`."""
    for name in ("obs", "var"):
        pd.testing.assert_frame_equal(getattr(adata, name), getattr(before, name))
    for name in ("layers", "obsm", "varm", "uns"):
        assert set(getattr(adata, name)) == set(getattr(before, name))
    np.testing.assert_array_equal(adata.X.toarray(), before.X.toarray())


def decoded(adata, key="ae"):
    fitted = read_model(adata, key)
    cells = read_cells(adata, fitted, layer=None)
    return fitted.genes, cells.scale() * fitted.network.decode(fitted.network.encode(cells.inputs()))


def test_an_own_model_gives_its_rates_as_they_are(trained):
    mo.tl.denoise(trained)
    genes, rates = decoded(trained)
    layer = trained.layers["ae_denoised"]
    assert layer.dtype == np.float32
    np.testing.assert_allclose(trained[:, genes].layers["ae_denoised"], rates, rtol=1e-5)
    assert np.isnan(layer[:, ~trained.var["chosen"]]).all()
    assert trained.uns["ae_denoised"] == {"of_model": "ae", "rescaled": False}


@pytest.mark.parametrize("given", [None, True, False])
@pytest.mark.parametrize("missing", ["model", "mean", "zero"])
def test_a_foreign_model_decodes_as_after_transfer(trained, new, given, missing):
    read = mo.tl.transfer(new, trained, missing=missing, min_reliability=0, copy=True)
    mo.tl.denoise(read, rescale=given)
    before = new.copy()
    mo.tl.denoise(new, model=trained, missing=missing, rescale=given)
    np.testing.assert_array_equal(new.layers["ae_denoised"], read.layers["ae_denoised"])
    for adata in (new, read):
        assert adata.uns["ae_denoised"]["rescaled"] is (given is not False)
    assert new.uns["ae_denoised"]["model"] == read.uns["ae"]["transfer"]["model"]
    assert new.uns["ae_denoised"]["share_of_genes"] == pytest.approx(29 / 30)
    assert new.uns["ae_denoised"]["missing"] == missing
    absent = new.var_names.isin(["elsewhere"]) | ~new.var["chosen"].to_numpy()
    np.testing.assert_array_equal(np.isnan(new.layers["ae_denoised"]).all(axis=0), absent)
    assert np.isfinite(new.layers["ae_denoised"][:, ~absent]).all()
    del new.layers["ae_denoised"], new.uns["ae_denoised"]
    assert_same(new, before)  # the model was not kept


def test_a_model_comes_from_a_file_as_from_an_anndata(trained, new, tmp_path):
    mo.save_model(trained, tmp_path / "model.safetensors")
    trained.uns["other"] = trained.uns.pop("ae")
    mo.tl.denoise(new, model=trained, model_key="other", key_added="a")
    mo.tl.denoise(new, model=tmp_path / "model.safetensors", key_added="b")
    mo.tl.denoise(new, model=mo.load_model(tmp_path / "model.safetensors"), key_added="c")
    np.testing.assert_array_equal(new.layers["a"], new.layers["b"])
    np.testing.assert_array_equal(new.layers["a"], new.layers["c"])


@pytest.mark.parametrize("how", ["orthologues", "upper_case", "gene_ids"])
def test_genes_are_matched_as_by_transfer(trained, new, how):
    new.var_names = new.var_names.str.replace("elsewhere", "gene_05")
    expected = mo.tl.denoise(new, model=trained, copy=True).layers["ae_denoised"]
    assert np.isfinite(expected).any()
    names = new.var_names.copy()
    if how == "upper_case":
        trained.var_names = trained.var_names.str.upper()
        model = trained.uns["ae"]["model"]
        model["genes"] = np.array([gene.upper() for gene in model["genes"]], dtype=object)
        others = model["training"]["other_genes"]
        model["training"]["other_genes"] = np.array([gene.upper() for gene in others], dtype=object)
        options = {"upper_case": True}
    else:
        new.var_names = [f"m{name}" for name in names]
        new.var["symbol"] = names.to_numpy()
        table = dict(zip(new.var_names, names, strict=True))
        options = {"orthologues": table} if how == "orthologues" else {"gene_ids": "symbol"}
    mo.tl.denoise(new, model=trained, **options)
    np.testing.assert_array_equal(new.layers["ae_denoised"], expected)


def test_rescaling_knows_the_factor_of_a_gene():
    rates = np.array([[1, 2, 0, 4], [3, 0, 0, 5]], dtype=np.float32)
    counts = sparse.csr_matrix(np.array([[2, 0, 0, 40], [4, 0, 3, 50]], dtype=np.float32))
    factors = rescale(rates, counts, 1)
    np.testing.assert_allclose(factors, [7 / 5, 1 / 3, 4, 91 / 10])
    np.testing.assert_allclose(rates, [[7 / 5, 2 / 3, 0, 36.4], [21 / 5, 0, 0, 45.5]], rtol=1e-6)


def test_a_strong_prior_leaves_the_rates():
    rates = np.array([[1.0, 2.0]], dtype=np.float32)
    np.testing.assert_allclose(rescale(rates, sparse.csr_matrix([[100.0, 0.0]]), 1e9), 1, rtol=1e-6)


def test_rescaled_rates_of_a_gene_sum_to_its_counts(trained, new):
    plain = mo.tl.denoise(new, model=trained, rescale=False, copy=True).layers["ae_denoised"]
    scaled = mo.tl.denoise(new, model=trained, copy=True).layers["ae_denoised"]
    inside = np.isfinite(plain).all(axis=0)
    seen = new.X.toarray().sum(axis=0)[inside]
    expected = plain[:, inside].sum(axis=0) * (seen + 1) / (plain[:, inside].sum(axis=0) + 1)
    np.testing.assert_allclose(scaled[:, inside].sum(axis=0), expected, rtol=1e-4)
    often = np.arange(new.n_vars)[inside] % 3 == 0
    factors = np.median(scaled[:, inside] / plain[:, inside], axis=0)
    assert np.median(factors[often]) / np.median(factors[~often]) == pytest.approx(3, rel=0.15)


def test_without_rescaling_no_cell_depends_on_another(trained, new):
    whole = mo.tl.denoise(new, model=trained, rescale=False, copy=True).layers["ae_denoised"]
    parts = [
        mo.tl.denoise(new[rows].copy(), model=trained, rescale=False, copy=True) for rows in (slice(9), slice(9, None))
    ]
    np.testing.assert_allclose(np.vstack([part.layers["ae_denoised"] for part in parts]), whole, rtol=1e-5)


def test_cells_come_from_the_layer_named(trained, new):
    expected = mo.tl.denoise(new, model=trained, copy=True).layers["ae_denoised"]
    new.layers["counts"] = new.X
    new.X = sparse.csr_matrix(new.shape, dtype=np.float32)
    mo.tl.denoise(new, model=trained, layer="counts")
    np.testing.assert_array_equal(new.layers["ae_denoised"], expected)


@pytest.mark.parametrize("write", ["write_h5ad", pytest.param("write_zarr", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_the_layer_survives_a_file_and_goes_with_a_new_model(trained, new, tmp_path, write):
    mo.tl.denoise(new, model=trained)
    getattr(new, write)(tmp_path / "stored")
    again = (ad.read_h5ad if write == "write_h5ad" else ad.read_zarr)(tmp_path / "stored")
    np.testing.assert_array_equal(again.layers["ae_denoised"], new.layers["ae_denoised"])
    assert dict(again.uns["ae_denoised"]) == new.uns["ae_denoised"]
    mo.tl.autoencoder(again, **SETTINGS)
    assert "ae_denoised" not in again.layers
    assert "ae_denoised" not in again.uns


def test_copy_leaves_the_original(trained, new):
    before = new.copy()
    done = mo.tl.denoise(new, model=trained, copy=True)
    assert "ae_denoised" in done.layers
    assert_same(new, before)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"gene_ids": "symbol"}, ValueError, "gene_ids.*model="),
        ({"orthologues": pd.DataFrame({"a": ["x"], "b": ["y"]})}, ValueError, "orthologues.*model="),
        ({"upper_case": True}, ValueError, "upper_case.*model="),
        ({"missing": "mean"}, ValueError, "missing.*model="),
        ({"upper_case": True, "missing": "zero"}, ValueError, "upper_case, missing.*model="),
        ({"key": "other"}, KeyError, "other"),
        ({"layer": "counts"}, KeyError, "counts"),
    ],
)
def test_bad_input_without_a_foreign_model(trained, options, error, says):
    before = trained.copy()
    with pytest.raises(error, match=says):
        mo.tl.denoise(trained, **options)
    assert_same(trained, before)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"model": 3}, TypeError, "give the path"),
        ({"model": "nowhere.safetensors"}, FileNotFoundError, "save_model"),
        ({"model_key": "other"}, KeyError, "other"),
        ({"gene_ids": "symbol"}, KeyError, "symbol"),
        ({"missing": "guess"}, ValueError, "guess"),
        ({"layer": "counts"}, KeyError, "counts"),
    ],
)
def test_bad_input_with_a_foreign_model(trained, new, options, error, says):
    before = new.copy()
    with pytest.raises(error, match=says):
        mo.tl.denoise(new, **{"model": trained, **options})
    assert_same(new, before)


def test_cells_without_a_gene_of_the_model(trained, new):
    new.var_names = [f"x{name}" for name in new.var_names]
    before = new.copy()
    with pytest.raises(KeyError, match="none of the model's 30 genes"):
        mo.tl.denoise(new, model=trained)
    assert_same(new, before)


def test_negative_counts(trained, new):
    new.X.data[0] = -1
    before = new.copy()
    with pytest.raises(ValueError, match="negative"):
        mo.tl.denoise(new, model=trained)
    assert_same(new, before)


def test_too_few_genes_are_said(trained, new):
    few = new[:, new.var["chosen"].to_numpy()][:, :3].copy()
    with pytest.warns(UserWarning, match=r"too few for \d of 5 units.*mo.get.transfer"):
        mo.tl.denoise(few, model=trained)
    assert np.isfinite(few.layers["ae_denoised"]).any()


def test_a_gene_with_several_rows_is_said(trained, new):
    new.var_names = new.var_names.str.replace("elsewhere", "gene_05")
    new.var["symbol"] = ["gene_06" if name == "gene_07" else name for name in new.var_names]
    new.var_names = [f"row{n}" for n in range(new.n_vars)]
    with pytest.warns(UserWarning, match="several rows.*gene_06"):
        mo.tl.denoise(new, model=trained, gene_ids="symbol")
