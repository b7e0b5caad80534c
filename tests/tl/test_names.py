"""Names of models and results: those that a file would lose, or that would overwrite a model, are refused."""

import anndata as ad
import numpy as np
import pytest

import modulae as mo

TINY = {"n_latent": 3, "n_splits": 0, "max_epochs": 1, "device": "cpu"}


@pytest.fixture
def results(trained):
    """Every function of `tl` that stores a result of a model."""
    trained.obs["kind"] = ["a", "b", "c"] * 30
    names = trained.var_names[trained.var["chosen"]]
    sets = {f"set {i}": list(names[i : i + 6]) for i in range(6)}
    reference = trained.copy()
    calls = {
        "saliency": lambda **k: mo.tl.saliency(trained, **k),
        "pathway_impact": lambda **k: mo.tl.pathway_impact(trained, sets, **k),
        "pathway_activity": lambda **k: mo.tl.pathway_activity(trained, sets, **k),
        "enrich_units": lambda **k: mo.tl.enrich_units(trained, sets, **k),
        "sanity": lambda **k: mo.tl.sanity(trained, sets, **k),
        "unit_summary": lambda **k: mo.tl.unit_summary(trained, **k),
        "call_units": lambda **k: mo.tl.call_units(trained, **k),
        "novelty": lambda **k: mo.tl.novelty(trained, **k),
        "denoise": lambda **k: mo.tl.denoise(trained, **k),
        "classify": lambda **k: mo.tl.classify(trained, reference, labels="kind", **k),
        "joint_embedding": lambda **k: mo.tl.joint_embedding(trained, reference, labels="kind", **k),
    }
    return trained, calls


@pytest.mark.parametrize("name", ["a/b", "", 3])
def test_a_name_that_a_file_would_lose_is_refused(results, name):
    """With a slash the file could not even be read back."""
    adata, calls = results
    before = set(adata.uns)
    models = {
        "autoencoder": lambda **k: mo.tl.autoencoder(adata, **TINY, **k),
        "transfer": lambda **k: mo.tl.transfer(adata, adata, **k),
        "mask": lambda **k: mo.pp.gene_set_mask(adata, {"s": list(adata.var_names)}, **k),
        "gate": lambda **k: mo.pp.gate_cells(adata, {"x": {"n": "high"}}, markers=["n"], **k),
    }
    for call in (calls | models).values():
        with pytest.raises(ValueError, match=r"key_added is .*; give a name without a slash"):
            call(key_added=name)
    assert set(adata.uns) == before


def test_no_result_takes_the_place_of_a_model(results):
    adata, calls = results
    for call in calls.values():
        with pytest.raises(ValueError, match="'ae' is the name of a trained model, which would be lost"):
            call(key_added="ae")
    assert mo.get.history(adata).shape[0]


def test_groups_of_a_column_with_a_slash_are_given_a_name(results, tmp_path):
    adata, _ = results
    adata.obs["CD4/CD8"] = adata.obs["kind"].to_numpy()
    sets = {"s": list(adata.var_names)}
    for call in (lambda **k: mo.tl.saliency(adata, **k), lambda **k: mo.tl.pathway_impact(adata, sets, **k)):
        with pytest.raises(ValueError, match=r"would be called 'ae_\w+_CD4/CD8'.*Name it: key_added="):
            call(groupby="CD4/CD8")
    del adata.obs["kind"]
    mo.tl.saliency(adata, groupby="CD4/CD8", key_added="ratio")
    adata.obs = adata.obs.drop(columns="CD4/CD8")  # anndata itself warns of such columns
    adata.write_h5ad(tmp_path / "a.h5ad")
    again = mo.get.saliency(ad.read_h5ad(tmp_path / "a.h5ad"), result="ratio", group="b")
    np.testing.assert_array_equal(again, mo.get.saliency(adata, result="ratio", group="b"))


def as_other(adata):
    """Cells with another model of the same name: what both have alike is all that `concat` keeps."""
    other = adata.copy()
    for name in ("train_loss", "test_loss", "orthogonality"):
        other.uns["ae"]["history"][name] = other.uns["ae"]["history"][name] + 1
    return other


HINTS = {
    "representation": (
        lambda a: mo.get.representation(a, key="x"),
        r"no 'X_x'. Trained models here: \['ae', 'parts'\]",
    ),
    "loadings": (
        lambda a: (a.varm.pop("ae_loadings"), mo.get.loadings(a)),
        r"no loadings 'ae_loadings'.*These models have some: \['parts'\].*autoencoder\(adata\)`",
    ),
    "gone": (
        lambda a: (a.obsm.pop("X_ae"), mo.get.representation(a)),
        r"removed since: run `mo.tl.autoencoder\(adata\)` again",
    ),
    "parts of a model": (
        lambda a: mo.get.history(ad.concat([a, as_other(a)], uns_merge="same", index_unique="-")),
        r"not whole, .*Train again with `mo.tl.autoencoder\(adata, key_added='ae'\)`",
    ),
    "transfer": (
        lambda a: mo.get.transfer(ad.AnnData(a.X)),
        r"no model 'ae' in adata.uns. Run `mo.tl.transfer\(adata, model\)`",
    ),
    "enrichment": (
        lambda a: mo.tl.enrich_units(a[:, ::2].copy(), {"s": list(a.var_names[1:9])}, saliency="ae_saliency"),
        r"of the model's 30 genes are not in adata .*Use the AnnData with all the genes",
    ),
}


@pytest.mark.filterwarnings("ignore:the model predicts the held-out cells no better:UserWarning")
@pytest.mark.parametrize("name", HINTS)
def test_messages_say_what_there_is_or_what_to_run(orthogonal, name):
    mo.tl.saliency(orthogonal)
    mo.tl.autoencoder(orthogonal, n_splits=0, n_latent=3, max_epochs=1, device="cpu", key_added="parts")
    call, message = HINTS[name]
    with pytest.raises(KeyError, match=message):
        call(orthogonal)


def test_a_model_is_written_into_a_folder_that_exists(trained, tmp_path):
    for path in (tmp_path / "nothing" / "a.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{path} can't be written. Give the path of a file in a folder"):
            mo.save_model(trained, path)
