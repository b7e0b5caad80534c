"""tl.autoencoder: what it writes, from which counts, and what it refuses before it writes."""

import subprocess
import sys
import warnings

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import modulae as mo

SETTINGS = {"n_latent": 4, "n_splits": 0, "max_epochs": 2, "learning_rate": 2e-4, "device": "cpu"}
ORTHOGONAL = {"architecture": "orthogonal", "n_latent": 5, "n_hidden": 8, "max_epochs": 2, "device": "cpu"}
both = pytest.mark.parametrize("settings", [SETTINGS, ORTHOGONAL], ids=["parts", "orthogonal"])


def snapshot(adata):
    return (
        {name: set(getattr(adata, name)) for name in ("obs", "var", "obsm", "varm", "layers", "uns")},
        adata.X.toarray().tobytes() if sparse.issparse(adata.X) else np.asarray(adata.X).tobytes(),
    )


def test_writes_the_fields_it_promises(either):
    trained = either
    assert trained.obsm["X_ae"].shape == (90, 5)
    assert trained.obsm["X_ae"].dtype == np.float32
    assert (trained.obsm["X_ae"] > 0).all()
    np.testing.assert_array_equal(trained.var["ae_gene"], trained.var["chosen"])
    assert set(trained.uns["ae"]) == {"params", "history", "model", "rows", "counts", "whole"}
    assert list(trained.uns["ae"]["model"]["genes"]) == list(trained.var_names[trained.var["chosen"]])
    assert {"X_ae_epoch0", "X_ae_epoch2"} <= set(trained.obsm)
    assert np.abs(trained.obsm["X_ae_epoch0"] - trained.obsm["X_ae_epoch2"]).max() > 0


def test_representation_is_that_of_the_best_weights(either):
    from modulae._adata.counts import read_cells
    from modulae._adata.stored.models import read_model

    fitted = read_model(either, "ae")
    cells = read_cells(either, fitted, layer=None)
    np.testing.assert_allclose(fitted.network.encode(cells.inputs()), either.obsm["X_ae"], rtol=1e-5)


@both
@pytest.mark.parametrize("form", ["csr", "csc", "dense", "integer", "csr_array", "layer", "view", "backed"])
def test_every_form_of_counts_gives_the_same_numbers(untrained, form, settings, tmp_path):
    expected = mo.tl.autoencoder(untrained, copy=True, **settings).obsm["X_ae"]
    layer, adata = None, untrained.copy()
    match form:
        case "csc":
            adata.X = sparse.csc_matrix(adata.X)
        case "dense":
            adata.X = adata.X.toarray()
        case "integer":
            adata.X = adata.X.astype(np.int64)
        case "csr_array":
            adata.X = sparse.csr_array(adata.X)
        case "layer":
            adata.layers["counts"] = adata.X.copy()
            adata.X = np.log1p(adata.X)
            layer = "counts"
        case "view":
            double = ad.concat([adata, adata], index_unique="-")
            adata = double[:90]
            assert adata.is_view
        case "backed":
            adata.write_h5ad(tmp_path / "cells.h5ad")
            adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    if form == "view":
        with pytest.warns(UserWarning, match="view"):
            mo.tl.autoencoder(adata, layer=layer, **settings)
    else:
        mo.tl.autoencoder(adata, layer=layer, **settings)
    np.testing.assert_allclose(adata.obsm["X_ae"], expected, rtol=1e-6)
    if form == "backed":
        adata.file.close()


def test_copy_leaves_the_original_alone(untrained):
    before = snapshot(untrained)
    changed = mo.tl.autoencoder(untrained, copy=True, **SETTINGS)
    assert snapshot(untrained) == before
    assert "X_ae" in changed.obsm


@both
def test_same_seed_same_numbers(untrained, settings):
    first, again, other = (
        mo.tl.autoencoder(untrained, copy=True, seed=seed, **settings).obsm["X_ae"] for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize("write", ["write_h5ad", pytest.param("write_zarr", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_a_reloaded_model_goes_on(either, write, tmp_path):
    trained = either
    mo.tl.saliency(trained)
    getattr(trained, write)(tmp_path / "stored")
    again = (ad.read_h5ad if write == "write_h5ad" else ad.read_zarr)(tmp_path / "stored")
    mo.tl.saliency(again, key_added="anew")
    np.testing.assert_array_equal(again.varm["anew"], trained.varm["ae_saliency"])
    mo.tl.denoise(again)
    assert again.layers["ae_denoised"].shape == again.shape
    assert mo.get.history(again).equals(mo.get.history(trained))


def test_the_published_setting_runs(untrained):
    untrained.X = untrained.X.multiply(1 / 8).floor().tocsr()  # its learning rate is for thin counts
    mo.tl.autoencoder(untrained, **{**mo.presets.KINALIS_2019, "max_epochs": 1, "device": "cpu"})
    assert untrained.uns["ae"]["params"]["size_factors"] is None
    history = mo.get.history(untrained)
    assert history["test_loss"].iloc[-1] < history["test_loss"].iloc[0]


def test_size_factors_from_an_obs_column(untrained):
    untrained.obs["depth"] = np.asarray(untrained.X.sum(axis=1)).ravel() * 7
    by_column = mo.tl.autoencoder(untrained, size_factors="depth", copy=True, **SETTINGS)
    by_total = mo.tl.autoencoder(untrained, copy=True, **SETTINGS)
    np.testing.assert_allclose(by_column.obsm["X_ae"], by_total.obsm["X_ae"], rtol=1e-4)


def test_size_factors_count_genes_outside_the_mask(untrained):
    mask = untrained.var["chosen"].to_numpy()
    mo.tl.autoencoder(untrained, mask_var="chosen", **SETTINGS)
    model = untrained.uns["ae"]["model"]
    totals = np.asarray(untrained.X.sum(axis=1)).ravel()
    assert model["size_factor_unit"] == np.median(totals[~model["test_cells"]])
    assert model["size_factor_unit"] > np.median(np.asarray(untrained[:, mask].X.sum(axis=1)))


@pytest.mark.parametrize("source", ["total", "depth"])
def test_an_empty_cell_is_encoded_never_nan(untrained, source):
    untrained.obs["depth"] = 3.0  # says nothing of the cell being empty
    counts = untrained.X.toarray()
    counts[7] = 0
    untrained.X = sparse.csr_matrix(counts)
    mo.tl.autoencoder(untrained, size_factors=source, **SETTINGS)
    mo.tl.denoise(untrained)
    mo.tl.saliency(untrained)
    assert np.isfinite(untrained.obsm["X_ae"]).all()
    np.testing.assert_array_equal(untrained.layers["ae_denoised"][7], 0)
    assert np.isfinite(untrained.varm["ae_saliency"]).all()


def test_training_again_drops_what_the_old_model_left(trained):
    mo.tl.saliency(trained)
    mo.tl.pathway_impact(trained, {"a": list(trained.var_names)})
    mo.tl.denoise(trained)
    trained.varm["mine"] = np.zeros((40, 2))
    mo.tl.autoencoder(trained, **SETTINGS)
    assert not {"ae_saliency", "ae_impact", "ae_denoised"} & (
        set(trained.varm) | set(trained.uns) | set(trained.layers)
    )
    assert "X_ae_epoch2" not in trained.obsm
    assert "mine" in trained.varm


def test_two_models_live_side_by_side(trained):
    mo.tl.saliency(trained)
    mo.tl.autoencoder(trained, key_added="other", **SETTINGS)
    assert {"X_ae", "X_other"} <= set(trained.obsm)
    assert "ae_saliency" in trained.varm


def bad(adata, change):
    counts = adata.X.toarray()
    counts[3, 2] = change
    adata.X = sparse.csr_matrix(counts)


BAD_INPUT = {
    "negative": (lambda a: bad(a, -1), {}, ValueError, r"adata.X has negative values.*layer="),
    "nan": (lambda a: bad(a, np.nan), {}, ValueError, r"adata.X has NaN or infinite values.*layer="),
    "infinite": (lambda a: bad(a, np.inf), {}, ValueError, r"adata.X has NaN or infinite values"),
    "layer": (None, {"layer": "counts"}, KeyError, r"no layer 'counts'. Take None for"),
    "mask": (None, {"mask_var": "in_gene_sets"}, KeyError, r"is not a column of adata.var.*variable_genes"),
    "size factors": (
        None,
        {"size_factors": "n_counts"},
        KeyError,
        r"'n_counts' is not a column of adata.obs. Choose 'total'",
    ),
    "device": (None, {"device": "cuda:77"}, ValueError, r"cannot be used here.*device='auto'"),
    "setting": (None, {"learning_rate": -1}, ValueError, r"give a number above 0"),
    "all zero": (lambda a: setattr(a, "X", a.X * 0), {}, ValueError, r"no training cell has any counts.*layer="),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_refused_with_the_next_step_and_nothing_is_written(untrained, name):
    change, settings, error, message = BAD_INPUT[name]
    if change is not None:
        change(untrained)
    before = snapshot(untrained)
    with pytest.raises(error, match=message):
        mo.tl.autoencoder(untrained, **{**SETTINGS, **settings})
    assert snapshot(untrained) == before


def test_values_that_are_no_counts_warn_and_name_the_layer(untrained):
    untrained.X = untrained.X + 0.1 * untrained.X.sqrt()  # what no cell has whole multiples of
    with pytest.warns(UserWarning, match=r"adata.X holds values that are not whole numbers.*layer=") as caught:
        mo.tl.autoencoder(untrained, **SETTINGS)
    assert caught[0].filename == __file__


def test_genes_named_twice_are_refused_with_the_fix(untrained):
    untrained.var_names = ["twice", "twice", *untrained.var_names[2:]]
    with pytest.raises(ValueError, match=r"1 gene name appears more than once \(twice\).*var_names_make_unique"):
        mo.tl.autoencoder(untrained, **SETTINGS)


def test_one_cell_or_none_is_refused(untrained):
    with pytest.raises(ValueError, match="at least 2 cells"):
        mo.tl.autoencoder(untrained[:1].copy(), **SETTINGS)
    with pytest.raises(ValueError, match="0 cells and 40 genes"):
        mo.tl.autoencoder(untrained[:0].copy(), **SETTINGS)
    with pytest.raises(ValueError, match="90 cells and 0 genes"):
        mo.tl.autoencoder(untrained[:, :0].copy(), **SETTINGS)


def test_one_gene_and_two_cells_train(untrained):
    one_gene = untrained[:, [5]].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one gene may well teach nothing, which is warned of
        mo.tl.autoencoder(one_gene, **ORTHOGONAL)
    assert np.isfinite(one_gene.obsm["X_ae"]).all()
    two = untrained[:2].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mo.tl.autoencoder(two, **ORTHOGONAL)
    assert two.obsm["X_ae"].shape == (2, 5)


def test_masks_that_mark_nothing_or_hold_no_booleans(untrained):
    untrained.var["none"], untrained.var["text"] = False, "yes"
    with pytest.raises(ValueError, match=r"'none'\] marks no gene"):
        mo.tl.autoencoder(untrained, mask_var="none", **SETTINGS)
    with pytest.raises(ValueError, match=r"not True and False\. Name a boolean column"):
        mo.tl.autoencoder(untrained, mask_var="text", **SETTINGS)


def test_size_factors_that_can_not_be(untrained):
    untrained.obs["text"] = "a"
    untrained.obs["missing"] = np.where(np.arange(90) == 4, np.nan, 1.0)
    untrained.obs["zero"] = np.where(np.arange(90) == 4, 0.0, 1.0)
    for column, message in {
        "text": "holds no numbers",
        "missing": "missing, infinite",
        "zero": "is 0 for cells",
    }.items():
        with pytest.raises(ValueError, match=message):
            mo.tl.autoencoder(untrained, size_factors=column, **SETTINGS)


def test_ctrl_c_keeps_the_best_so_far_and_says_so(untrained, monkeypatch):
    from modulae.core.training.numba.numba_engine import NumbaEngine

    real, calls = NumbaEngine.epoch, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(NumbaEngine, "epoch", interrupted)
    with pytest.warns(UserWarning, match="interrupted; the weights of epoch 1"):
        mo.tl.autoencoder(untrained, **ORTHOGONAL)
    assert untrained.uns["ae"]["history"]["stopped"] == "interrupted"


def test_ctrl_c_at_the_very_end_leaves_nothing_behind(untrained, monkeypatch):
    """While checksums of the result are taken; otherwise the next call would refuse what is there."""
    from modulae._adata.stored import write_model

    def stop(_values):
        raise KeyboardInterrupt

    before = snapshot(untrained)
    with monkeypatch.context() as patched:
        patched.setattr(write_model, "rows_stamp", stop)
        with pytest.raises(KeyboardInterrupt):
            mo.tl.autoencoder(untrained, **SETTINGS)
    assert snapshot(untrained) == before
    mo.tl.autoencoder(untrained, **SETTINGS)
    assert "X_ae" in untrained.obsm


def test_a_training_that_never_helps_says_so(untrained):
    with pytest.warns(UserWarning, match="never fell below that of the untrained model.*learning_rate="):
        mo.tl.autoencoder(untrained, learning_rate=30.0, output_bias="gene_means", **ORTHOGONAL)


def test_a_model_no_better_than_gene_means_says_so(untrained):
    shuffled = untrained.copy()
    rng = np.random.default_rng(0)
    shuffled.X = rng.poisson(1.0, size=shuffled.shape).astype(np.float32)  # nothing to learn
    with pytest.warns(UserWarning, match=r"no better than the mean of each gene.*Train longer"):
        mo.tl.autoencoder(shuffled, **ORTHOGONAL)
    history = shuffled.uns["ae"]["history"]
    assert history["gene_means_loss"] <= history["test_loss"].min()
    learnt = mo.datasets.simulated(n_cells=300, n_genes=100, n_programmes=3, seed=0)
    mo.tl.autoencoder(learnt, n_latent=8, n_splits=0, device="cpu")
    assert learnt.uns["ae"]["history"]["gene_means_loss"] > learnt.uns["ae"]["history"]["test_loss"].min()


def test_progress_is_shown_only_where_asked_for(untrained, capsys):
    mo.tl.autoencoder(untrained, progress=True, **SETTINGS)
    assert "held-out loss" in capsys.readouterr().err
    mo.tl.autoencoder(untrained, **SETTINGS)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("architecture", "mean_counts"),
    [("parts", 100), ("parts", 1000), ("orthogonal", 100), ("orthogonal", 1000), ("orthogonal", 20_000)],
)
def test_defaults_learn_from_thin_and_from_deep_data(architecture, mean_counts):
    """The defaults predict held-out cells better than the gene means do; orthogonal up to 20 000 counts per cell."""
    from modulae._adata.counts import read_cells
    from modulae._adata.stored.models import read_model
    from modulae.core.training.count_scale import mean_rates

    adata = mo.datasets.simulated(n_cells=1000, n_genes=300, mean_counts=mean_counts, seed=0)
    mo.tl.autoencoder(adata, n_splits=0, architecture=architecture, device="cpu")
    fitted = read_model(adata, "ae")
    cells = read_cells(adata, fitted, layer=None)
    test, learn = np.flatnonzero(fitted.test_cells), np.flatnonzero(~fitted.test_cells)
    counts, means = cells.take(test).dense(), mean_rates(cells.take(learn))
    rates = cells.take(test).scale() * means
    of_means = (rates - counts * np.log(rates)).mean()
    saturated = (counts - counts * np.log(np.maximum(counts, 1e-8))).mean()
    gain = (of_means - mo.get.history(adata)["test_loss"].min()) / (of_means - saturated)
    assert gain > 0.03


def test_on_a_cpu_nothing_of_the_whole_analysis_loads_torch():
    """It takes a second and 200 MB."""
    script = (
        "import sys, modulae as mo\n"
        "adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4, seed=0)\n"
        "sets = {name: list(adata.var_names[at : at + 30]) for name, at in [('one', 0), ('two', 60)]}\n"
        "mo.tl.autoencoder(adata, device='cpu', progress=False)\n"
        "mo.tl.autoencoder(adata, architecture='orthogonal', max_epochs=2, device='cpu', key_added='paper')\n"
        "mo.tl.unit_summary(adata, device='cpu', progress=False)\n"
        "mo.tl.saliency(adata, device='cpu')\n"
        "mo.tl.enrich_units(adata, sets, n_permutations=20, device='cpu', progress=False)\n"
        "mo.tl.call_units(adata, device='cpu')\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=120)
