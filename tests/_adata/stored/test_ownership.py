"""What is ours to replace, and what joining objects leaves of two models."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import modulae as mo
from modulae._adata.stored.ownership import MOST, ROWS_PER_STAMP, check_rows, rows_stamp, stamp_rows

SETTINGS = {"n_latent": 3, "n_splits": 0, "max_epochs": 2, "device": "cpu"}
SIMULATED = {"n_genes": 30, "n_programmes": 3, "genes_per_programme": 8}


@pytest.fixture(scope="module")
def first():
    adata = mo.datasets.simulated(n_cells=60, seed=1, **SIMULATED)
    mo.tl.autoencoder(adata, **SETTINGS)
    return adata


@pytest.fixture(scope="module")
def second():
    adata = mo.datasets.simulated(n_cells=50, seed=2, **SIMULATED)
    adata.obs_names = [f"other {name}" for name in adata.obs_names]
    mo.tl.autoencoder(adata, seed=5, **SETTINGS)
    return adata


@pytest.fixture
def plain(first):
    return ad.AnnData(first.X.copy(), obs=first.obs.copy(), var=first.var[[]].copy())


THEIRS = {
    "uns": lambda a: a.uns.update(ae={"mine": 1}),
    "text": lambda a: a.uns.update(ae="mine"),
    "obsm": lambda a: a.obsm.update(X_ae=np.ones((a.n_obs, 2))),
    "table": lambda a: a.obsm.update(X_ae=pd.DataFrame(np.ones((a.n_obs, 2)), index=a.obs_names)),
    "varm": lambda a: a.varm.update(ae_loadings=np.ones((a.n_vars, 2))),
    "var": lambda a: a.var.insert(0, "ae_gene", 1),
}
WRITE = {
    "autoencoder": lambda a, _: mo.tl.autoencoder(a, **SETTINGS),
    "transfer": lambda a, other: mo.tl.transfer(a, other, device="cpu"),
}


@pytest.mark.parametrize("what", THEIRS)
@pytest.mark.parametrize("function", WRITE)
def test_what_is_not_ours_is_never_overwritten(plain, first, what, function):
    THEIRS[what](plain)
    before = plain.copy()
    with pytest.raises(
        ValueError, match=r"would be overwritten.*key_added='ae2'.*`del adata\.\w+\['\w+'\]`\.$"
    ) as refused:
        WRITE[function](plain, first)
    assert str(before) == str(plain)
    assert repr(before.uns) == repr(plain.uns)
    exec(str(refused.value).rsplit("`", 2)[1], {"adata": plain})  # noqa: S102
    mo.tl.autoencoder(plain, **SETTINGS)
    assert plain.obsm["X_ae"].shape == (60, 3)


def test_what_is_ours_is_replaced(first):
    adata = first.copy()
    for _ in range(2):
        mo.tl.autoencoder(adata, **SETTINGS)
        mo.tl.saliency(adata, device="cpu")
        mo.tl.novelty(adata)
        mo.tl.embeddings(adata, n_neighbors=5)
        mo.tl.denoise(adata, device="cpu")


RESULTS = {
    "saliency": (lambda a: mo.tl.saliency(a, device="cpu"), lambda a: a.varm.update(ae_saliency=np.ones((30, 2)))),
    "novelty": (mo.tl.novelty, lambda a: a.obs.insert(0, "ae_novelty", 1.0)),
    "beside": (mo.tl.novelty, lambda a: a.obs.insert(0, "ae_novelty_percentile", 1.0)),
    "named": (lambda a: mo.tl.novelty(a, key_added="group"), lambda _: None),
    "denoise": (lambda a: mo.tl.denoise(a, device="cpu"), lambda a: a.layers.update(ae_denoised=np.ones((60, 30)))),
    "uns": (lambda a: mo.tl.unit_summary(a, device="cpu"), lambda a: a.uns.update(ae_units=["mine"])),
    "umap": (mo.tl.embeddings, lambda a: a.obsm.update(X_ae_umap=np.ones((60, 2)))),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_overwrite_nothing_of_the_user_either(first, name):
    run, put = RESULTS[name]
    adata = first.copy()
    put(adata)
    before = str(adata)
    with pytest.raises(ValueError, match=r"would be overwritten.*key_added='\w+2'"):
        run(adata)
    assert str(adata) == before


def test_a_field_that_a_function_does_not_write_is_the_users(first):
    """Of the same name as a result: it neither stops the function nor goes with the result."""
    adata = first.copy()
    adata.layers["ae_saliency"] = mine = np.ones((60, 30))
    mo.tl.saliency(adata, device="cpu")
    mo.tl.unit_summary(adata, device="cpu", key_added="mine")
    adata.obs["mine"], adata.obsm["mine"] = 1, np.ones((60, 2))
    mo.tl.autoencoder(adata, **SETTINGS)
    assert not {"mine", "ae_saliency"} & set(adata.uns)
    assert "ae_saliency" not in adata.varm
    np.testing.assert_array_equal(adata.layers["ae_saliency"], mine)
    assert (adata.obs["mine"] == 1).all()
    np.testing.assert_array_equal(adata.obsm["mine"], np.ones((60, 2)))


NAMED = {
    "saliency": lambda a: mo.tl.saliency(a, device="cpu", key_added="mine"),
    "pathway_impact": lambda a: mo.tl.pathway_impact(a, sets_of(a), device="cpu", key_added="mine"),
    "pathway_activity": lambda a: mo.tl.pathway_activity(a, sets_of(a), source="counts", n_random=5, key_added="mine"),
    "enrich_units": lambda a: mo.tl.enrich_units(a, sets_of(a), n_permutations=20, device="cpu", key_added="mine"),
    "unit_summary": lambda a: mo.tl.unit_summary(a, device="cpu", key_added="mine"),
    "denoise": lambda a: mo.tl.denoise(a, device="cpu", key_added="mine"),
    "classify": lambda a: mo.tl.classify(a, a, labels="group", unknown_rate=0, device="cpu", key_added="mine"),
    "joint_embedding": lambda a: mo.tl.joint_embedding(a, a, n_neighbors=5, device="cpu", key_added="mine"),
}
"""What writes a result, under one name."""


def sets_of(adata):
    return {f"set {at}": list(adata.var_names[at::5]) for at in range(5)}


@pytest.mark.parametrize("name", [name for name in NAMED if name != "joint_embedding"])  # umap warns of twins
def test_the_result_of_another_function_is_not_lost(first, name):
    """As where all that is done with one collection of sets is called after it."""
    adata = first.copy()
    NAMED[name](adata)
    before = str(adata)
    for other in set(NAMED) - {name}:
        with pytest.raises(ValueError, match=rf"result of `mo\.tl\.{name}`, which .* key_added='mine_{other}'"):
            NAMED[other](adata)
    assert str(adata) == before
    NAMED[name](adata)  # its own is replaced


def reads(adata):
    return {
        "representation": lambda: mo.get.representation(adata),
        "units": lambda: mo.pl.units(adata, basis="X_map"),
        "embeddings": lambda: mo.tl.embeddings(adata, n_neighbors=5),
        "report": lambda: mo.report(adata, "never.html", basis="X_map"),
        "disentanglement": lambda: mo.metrics.disentanglement(adata, "group"),
        "nmi": lambda: mo.metrics.clustering_nmi(adata, labels="group", n_clusters=2),
        "stability": lambda: mo.metrics.unit_stability(adata, adata),
    }


NEEDS_A_MODEL = ("representation", "units", "embeddings", "report")
METRICS = ("disentanglement", "nmi", "stability")


@pytest.mark.parametrize("merge", [None, "same", "unique", "first", "only"])
def test_two_models_joined_are_refused_wherever_the_units_are_read(first, second, merge):
    joined = ad.concat([first, second], uns_merge=merge, merge="same")
    joined.obsm["X_map"] = np.random.default_rng(0).normal(size=(110, 2))
    assert joined.obsm["X_ae"].shape == (110, 3)
    known = "ae" in joined.uns
    for name in (*NEEDS_A_MODEL, *(METRICS if known else ())):
        with pytest.raises((ValueError, KeyError), match=r"joined|Joining|there is no model 'ae'"):
            reads(joined)[name]()
    if merge == "first":
        with pytest.raises(ValueError, match=r"for 50 of 110 cells.*model_key='ae', key_added='ae'\)`"):
            mo.get.representation(joined)
        mo.tl.transfer(joined, joined, model_key="ae", key_added="ae", device="cpu")  # the step it says
        units = mo.get.representation(joined)
        np.testing.assert_allclose(units[:60], first.obsm["X_ae"], rtol=1e-4, atol=1e-5)
        assert np.abs(units[60:] - second.obsm["X_ae"]).max().max() > 1e-3


def test_a_model_that_gained_a_part_of_another_is_refused(first, second):
    """`uns_merge="first"` takes the layer of the second model for the first, which was trained on X."""
    other = second.copy()
    other.layers["raw"] = other.X.copy()
    mo.tl.autoencoder(other, layer="raw", **SETTINGS)
    joined = ad.concat([first, other], uns_merge="first", merge="same")
    assert joined.uns["ae"]["layer"] == "raw"
    with pytest.raises(KeyError, match="parts of it are of another model"):
        mo.tl.saliency(joined, device="cpu")
    batches = first.copy()
    batches.uns["ae"]["model"]["batches"] = np.array(["a", "b"], dtype=object)
    with pytest.raises(KeyError, match="parts of it are of another model"):
        mo.get.representation(batches)


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_parts_of_one_object_join_again(first, tmp_path):
    """The same model on both sides: nothing is wrong, whatever the order, the file and the cells that are left."""
    shuffled = np.random.default_rng(0).permutation(60)[:50]
    joined = ad.concat([first[shuffled[:20]], first[shuffled[20:]]], uns_merge="same", merge="same")
    np.testing.assert_array_equal(mo.get.representation(joined), first.obsm["X_ae"][shuffled])
    joined.write_h5ad(tmp_path / "a.h5ad")
    joined.write_zarr(tmp_path / "a.zarr")
    for again in (ad.read_h5ad(tmp_path / "a.h5ad"), ad.read_zarr(tmp_path / "a.zarr")):
        np.testing.assert_array_equal(mo.get.representation(again), first.obsm["X_ae"][shuffled])
        mo.tl.saliency(again, device="cpu")


def test_results_by_cell_that_were_joined_are_refused(first, second):
    one, other = first.copy(), second.copy()
    for adata in (one, other):
        mo.tl.pathway_activity(adata, {"a": list(adata.var_names[:8])}, n_random=5, device="cpu", source="counts")
    assert len(mo.get.pathway_activity(one[:7].copy())) == 7
    joined = ad.concat([one, other], uns_merge="first", merge="same")
    with pytest.raises(ValueError, match=r"'ae_pathways'\] holds other values .* for 50 of 110 .*pathway_activity"):
        mo.get.pathway_activity(joined)


def test_stamps_know_rows_and_nothing_of_their_order():
    values = np.random.default_rng(0).normal(size=(ROWS_PER_STAMP + 10, 5)).astype(np.float32)
    stamps = stamp_rows(values)
    np.testing.assert_array_equal(stamp_rows(values[::-1]), stamps[::-1])
    np.testing.assert_array_equal(stamp_rows(values.astype(np.float64)), stamps)
    np.testing.assert_array_equal(stamp_rows(values[:, [0]] * 0), stamp_rows(values[:, [0]] * -0.0))
    assert len(np.unique(stamps)) > 0.999 * len(stamps)
    changed = values.copy()
    changed[3, 2] = np.nextafter(changed[3, 2], np.float32(10))
    assert np.flatnonzero(stamp_rows(changed) != stamps).tolist() == [3]
    assert stamp_rows(values[:2, [1, 0, 2, 3, 4]]).tolist() != stamps[:2].tolist()


def test_of_many_cells_some_are_looked_at():
    values = np.random.default_rng(0).normal(size=(MOST + 20_000, 2)).astype(np.float32)
    entry = {"rows": rows_stamp(values[:MOST])}
    check_rows(values[:MOST], entry, "X", step="")
    with pytest.raises(ValueError, match=f"of {MOST} cells"):
        check_rows(values, entry, "X", step="")
    check_rows(values, {}, "X", step="")  # of an older version
