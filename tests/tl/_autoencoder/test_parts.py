"""The default model, parts: what it finds, and that everything that follows training works on it."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import modulae as mo
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model

SETTINGS = {"n_splits": 0, "n_latent": 6, "max_epochs": 3, "batch_size": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def fitted_once():
    adata = mo.datasets.simulated(n_cells=240, n_genes=60, n_programmes=4, genes_per_programme=10, seed=1)
    adata.var["chosen"] = np.arange(adata.n_vars) % 4 != 0
    mo.tl.autoencoder(adata, mask_var="chosen", snapshot_epochs=(0, 2), **SETTINGS)
    return adata


@pytest.fixture
def fitted(fitted_once):
    return fitted_once.copy()


@pytest.fixture(scope="module")
def easy():
    return mo.datasets.simulated(difficulty="easy", n_cells=1000, n_genes=600, n_programmes=6, n_groups=3, seed=3)


def test_writes_the_fields_it_promises(fitted):
    assert fitted.obsm["X_ae"].shape == (240, 6)
    assert fitted.obsm["X_ae"].dtype == np.float32
    assert (fitted.obsm["X_ae"] > 0).all()
    assert {"X_ae_epoch0", "X_ae_epoch2"} <= set(fitted.obsm)
    np.testing.assert_array_equal(fitted.var["ae_gene"], fitted.var["chosen"])
    params = fitted.uns["ae"]["params"]
    assert params["architecture"] == "parts"
    assert (params["learning_rate"], params["orthogonality"]) == (0.03, 0)
    assert not {"n_hidden", "orthogonality_gradient", "momentum", "loss_scale"} & set(params)
    model = read_model(fitted, "ae")
    cells = read_cells(fitted, model, layer=None)
    np.testing.assert_allclose(model.network.encode(cells.inputs()), fitted.obsm["X_ae"], rtol=1e-5)


def test_loadings_follow_the_names_of_the_genes(fitted):
    table = mo.get.loadings(fitted)
    model = fitted.uns["ae"]["model"]
    np.testing.assert_array_equal(table.loc[list(model["genes"])], model["loadings"].T)
    assert table.loc[~fitted.var["chosen"]].isna().all(axis=None)
    assert (table.dropna() >= 0).all(axis=None)
    assert list(table.columns) == list("012345")
    assert fitted.varm["ae_loadings"].dtype == np.float32


def test_loadings_are_those_of_the_model_that_is_there(fitted):
    with pytest.raises(KeyError, match=r"no saliency 'ae_loadings'.*tl.saliency"):
        mo.get.saliency(fitted, result="ae_loadings")
    mo.tl.autoencoder(fitted, architecture="orthogonal", n_latent=4, n_hidden=6, max_epochs=1, device="cpu")
    assert mo.get.loadings(fitted).shape == (fitted.n_vars, 4)
    assert (mo.get.loadings(fitted).dropna() < 0).any(axis=None)


def test_finds_programmes_that_the_other_architecture_mixes(easy):
    """Each programme and each cell type has one unit of its own, and that unit's genes are the programme's."""
    adata = easy.copy()
    mo.tl.autoencoder(adata, n_latent=12, n_splits=0, device="cpu")
    small = {"n_latent": 12, "n_hidden": 24, "max_epochs": 30}
    mo.tl.autoencoder(adata, architecture="orthogonal", key_added="other", device="cpu", **small)
    mo.tl.saliency(adata)
    truth = adata.obsm["truth_activity"]
    parts, other = (
        mo.metrics.disentanglement(adata, truth, use_rep=name).loc["LMS", "SMI"] for name in ("X_ae", "X_other")
    )
    assert parts > 0.9
    assert other < 0.7
    for key in ("ae_loadings", "ae_saliency"):
        assert mo.metrics.programme_recovery(adata, adata.uns["gene_sets"], result=key)["auprc"].mean() > 0.95


def test_units_of_programmes_come_back_with_another_seed(easy):
    first, second = (mo.tl.autoencoder(easy, seed=seed, copy=True, **{**SETTINGS, "n_latent": 9}) for seed in (0, 1))
    scores = mo.metrics.disentanglement(first, easy.obsm["truth_activity"], details=True)[1]["SMI"]
    of_programmes = scores.index[scores.max(axis=1) > 0.8]
    assert len(of_programmes) >= 7
    assert mo.metrics.unit_stability(first, second).loc[of_programmes, "back"].mean() > 0.8


def test_same_seed_same_numbers(fitted):
    again = mo.tl.autoencoder(fitted, mask_var="chosen", copy=True, **SETTINGS)
    np.testing.assert_array_equal(again.obsm["X_ae"], fitted.obsm["X_ae"])
    np.testing.assert_array_equal(again.varm["ae_loadings"], fitted.varm["ae_loadings"])


def everything(adata):
    """All that can follow training; what it made, by name."""
    genes = adata.var_names[adata.var["chosen"]]
    sets = {"a": list(genes[:6]), "b": list(genes[4:12]), "c": list(genes[12:])}
    for method in ("gradient", "guided", "input_x_gradient", "integrated_gradients"):
        mo.tl.saliency(adata, method=method, key_added=f"by_{method}")
    mo.tl.saliency(adata)
    mo.tl.saliency(adata, groupby="group")
    mo.tl.pathway_impact(adata, sets)
    mo.tl.pathway_impact(adata, sets, groupby="group")
    mo.tl.pathway_impact(adata, sets, groupby="group", explanation={"difference": "saliency"}, key_added="by_saliency")
    mo.tl.pathway_activity(adata, sets)
    mo.tl.denoise(adata)
    return {
        **{name: np.asarray(adata.varm[name]) for name in adata.varm},
        "impact": mo.get.impact(adata).to_numpy(),
        **{
            name: mo.get.impact_table(adata, result=name)[["effect", "p"]].to_numpy()
            for name in ("ae_impact_group", "by_saliency")
        },
        "activity": mo.get.pathway_activity(adata).to_numpy(),
        "denoised": np.asarray(adata.layers["ae_denoised"]),
        "history": mo.get.history(adata).to_numpy(dtype=float),
        "orthogonality": np.array(list(mo.metrics.orthogonality(adata).values())),
    }


@pytest.mark.parametrize("write", ["write_h5ad", "write_zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_everything_after_training_works_and_a_file_changes_nothing(fitted, write, tmp_path):
    getattr(fitted, write)(tmp_path / "stored")
    again = (ad.read_h5ad if write == "write_h5ad" else ad.read_zarr)(tmp_path / "stored")
    here, there = everything(fitted), everything(again)
    assert here.keys() == there.keys()
    for name, numbers in here.items():
        np.testing.assert_array_equal(numbers, there[name], err_msg=name)
        model_genes = (
            numbers[fitted.var["chosen"]] if name.startswith(("ae_", "by_g")) and name in fitted.varm else numbers
        )
        assert np.isfinite(model_genes[~np.isnan(model_genes)]).all()
    np.testing.assert_array_equal(here["by_guided"], here["by_gradient"])
    getattr(again, write)(tmp_path / "finished")


def test_pictures_of_it(fitted):
    mo.tl.saliency(fitted)
    assert mo.pl.top_genes(fitted, "0") is not None
    axes = mo.pl.history(fitted)
    assert [line.get_label() for line in axes.get_lines()][:2] == ["training cells", "held-out cells"]


def test_an_empty_cell_is_encoded_never_nan(fitted):
    counts = fitted.X.toarray()
    counts[7] = 0
    fitted.X = counts
    mo.tl.autoencoder(fitted, **SETTINGS)
    mo.tl.denoise(fitted)
    mo.tl.saliency(fitted)
    assert np.isfinite(fitted.obsm["X_ae"]).all()
    np.testing.assert_array_equal(fitted.layers["ae_denoised"][7], 0)
    assert np.isfinite(fitted.varm["ae_saliency"]).all()


@pytest.mark.filterwarnings("ignore:the held-out loss never fell:UserWarning")  # next to nothing to learn from
def test_one_gene_and_two_cells_train(fitted):
    for few in (fitted[:, [5]].copy(), fitted[:2].copy()):
        mo.tl.autoencoder(few, **{**SETTINGS, "n_latent": 1})
        assert np.isfinite(few.obsm["X_ae"]).all()


PARTS = {"architecture": "parts"}
MISTAKES = {
    "n_hidden": ({"n_hidden": 128}, "has no n_hidden. Leave these out, or take architecture='orthogonal'.$"),
    "several": ({"activation_beta": 2, "momentum": 0.9}, "has no momentum, activation_beta. Leave these out"),
    "no size factors": ({"size_factors": None}, "needs size factors. Leave out size_factors=None"),
    "too many": ({"n_latent": 100}, "there are at most 60 parts. Give n_latent=60 or less"),
    "splits": ({"n_splits": -1}, "n_splits is -1; give a whole number of at least 0"),
    "architecture": ({"architecture": "deep"}, "architecture is 'deep'; choose one of"),
    "preset": ({**mo.presets.KINALIS_2019, **PARTS}, "has no n_hidden, momentum, activation_beta"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_refused_with_the_next_step_and_nothing_is_written(fitted, name):
    settings, message = MISTAKES[name]
    before = fitted.obsm["X_ae"].copy()
    with pytest.raises(ValueError, match=message):
        mo.tl.autoencoder(fitted, **{**SETTINGS, **settings})
    np.testing.assert_array_equal(fitted.obsm["X_ae"], before)
    assert fitted.uns["ae"]["params"]["n_latent"] == 6


def test_ctrl_c_keeps_the_best_so_far_and_says_so(fitted, monkeypatch):
    from modulae.core.training.numba.parts.engine import NumbaPartsEngine

    real, calls = NumbaPartsEngine.epoch, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(NumbaPartsEngine, "epoch", interrupted)
    with pytest.warns(UserWarning, match="interrupted; the weights of epoch"):
        mo.tl.autoencoder(fitted, **SETTINGS)
    assert fitted.uns["ae"]["history"]["stopped"] == "interrupted"


def test_defaults_are_those_of_the_table():
    """What the docstring says of both architectures."""
    from modulae.core.model.config import config_for

    parts = config_for("parts", schedule="cosine", size_factors="total", n_latent=None).for_cells(3000)
    names = ("n_latent", "batch_size", "learning_rate", "max_epochs", "patience", "orthogonality")
    assert [getattr(parts, name) for name in names] == [32, 128, 0.03, 14, 10, 0]
    orthogonal = config_for("orthogonal", schedule="constant", size_factors=None, n_latent=None)
    assert [getattr(orthogonal, name) for name in names] == [64, 16, 0.2, 200, 20, 0.05]
    assert orthogonal.size_factors is None
    assert pd.isna(orthogonal.as_dict()["size_factors"])
    assert orthogonal.as_dict()["momentum"] == 0.9
