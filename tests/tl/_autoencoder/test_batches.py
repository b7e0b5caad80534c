"""tl.autoencoder(batch_key=...): merged samples, from training to files and foreign cells."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import modulae as mo
from modulae._adata import counts as counts_of_adata
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae._counts import stored_counts
from modulae._model_io.checkpoint import FILE

KINDS = {
    "numba": {"architecture": "orthogonal", "n_latent": 5, "n_hidden": 8, "max_epochs": 4, "engine": "numba"},
    "torch": {"architecture": "orthogonal", "n_latent": 5, "n_hidden": 8, "max_epochs": 4, "engine": "torch"},
    "parts": {"n_splits": 0, "n_latent": 4, "max_epochs": 4, "batch_size": 16},
}
COMMON = {"device": "cpu", "batch_key": "sample"}
SAMPLES = np.array(["north", "south", "west"])


@pytest.fixture(scope="module")
def merged_once():
    adata = mo.datasets.simulated(n_cells=150, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)
    rng = np.random.default_rng(3)
    sample = rng.integers(0, 3, adata.n_obs)
    kept = np.exp(rng.normal(0, 0.6, size=(3, adata.n_vars)))
    counts = rng.binomial(adata.X.toarray().astype(int), (kept / kept.max(axis=0))[sample])
    adata.X = sparse.csr_matrix(counts.astype(np.float32))
    adata.obs["sample"] = pd.Categorical(SAMPLES[sample], categories=[*SAMPLES, "empty"])
    return adata


@pytest.fixture
def merged(merged_once):
    return merged_once.copy()


@pytest.fixture(scope="module")
def trained_on_merged(merged_once):
    return {kind: mo.tl.autoencoder(merged_once, copy=True, **COMMON, **KINDS[kind]) for kind in KINDS}


def same(one, other):
    np.testing.assert_array_equal(one.obsm["X_ae"], other.obsm["X_ae"])
    for name, value in one.uns["ae"]["model"].items():
        if name not in {"training", "batches"}:
            np.testing.assert_array_equal(value, other.uns["ae"]["model"][name], err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_knows_its_batches(trained_on_merged, kind):
    entry = trained_on_merged[kind].uns["ae"]
    assert entry["params"]["batch_key"] == "sample"
    assert sorted(entry["model"]["batches"]) == sorted(SAMPLES)  # none without cells
    assert entry["model"]["batch_factors"].shape == (4, 40)
    assert entry["model"]["batch_factors"].dtype == np.float32
    assert np.isfinite(trained_on_merged[kind].obsm["X_ae"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_batches_change_nothing(merged, trained_on_merged, kind):
    swapped = merged.obs["sample"].astype(str).map({"north": "south", "south": "zoo", "west": "a b"})
    merged.obs["sample"] = swapped
    mo.tl.autoencoder(merged, **COMMON, **KINDS[kind])
    same(merged, trained_on_merged[kind])


def test_without_batches_nothing_is_stored_of_them(merged):
    mo.tl.autoencoder(merged, **KINDS["numba"], device="cpu")
    assert "batch_key" not in merged.uns["ae"]["params"]
    assert {"batches", "batch_factors"} & set(merged.uns["ae"]["model"]) == set()
    with pytest.raises(ValueError, match="the model has no batches: choose 'own', 'average'"):
        mo.tl.denoise(merged, batch="north")


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_of_the_own_batch_of_a_named_one_or_of_the_average(trained_on_merged, kind):
    adata = trained_on_merged[kind].copy()
    fitted = read_model(adata, "ae")
    cells = read_cells(adata, fitted, layer=None)
    units = fitted.network.encode(cells.inputs())
    shared = cells.scale() * fitted.network.shared_rates(units)
    number = {name: at for at, name in enumerate(fitted.batches)}
    codes = np.array([number[name] for name in adata.obs["sample"]])
    factors = fitted.network.batch_factors
    for batch, expected in (
        ("own", shared * factors[codes]),
        ("average", shared * factors[-1]),
        ("west", shared * factors[number["west"]]),
    ):
        mo.tl.denoise(adata, batch=batch)
        np.testing.assert_allclose(adata.layers["ae_denoised"], expected, rtol=1e-5)
        assert adata.uns["ae_denoised"] == {"of_model": "ae", "rescaled": False, "batch": batch}
    mo.tl.denoise(adata)
    np.testing.assert_allclose(adata.layers["ae_denoised"], shared * factors[codes], rtol=1e-5)
    adata.obs["sample"] = adata.obs["sample"].astype(str).replace("south", "nobody knows")
    mo.tl.denoise(adata)
    unknown = adata.obs["sample"].to_numpy() == "nobody knows"
    np.testing.assert_allclose(adata.layers["ae_denoised"][unknown], (shared * factors[-1])[unknown], rtol=1e-5)
    with pytest.raises(ValueError, match=r"batch is 'east'; it has to be 'own', 'average' or one of"):
        mo.tl.denoise(adata, batch="east")
    del adata.obs["sample"]
    for decode in (mo.tl.denoise, mo.tl.novelty):
        with pytest.raises(KeyError, match=r"batch_key='sample', which is not a column of adata.obs\. Put it back"):
            decode(adata)
    mo.tl.denoise(adata, batch="average")


@pytest.mark.parametrize("kind", ["numba", "parts"])
def test_foreign_cells_are_read_without_batches_and_decoded_as_the_average(trained_on_merged, merged, kind):
    model = trained_on_merged[kind]
    new = merged[:50, 5:].copy()
    here = mo.tl.transfer(new, model, copy=True, min_reliability=0)
    new.obs["sample"] = "north"
    there = mo.tl.transfer(new, model, copy=True, min_reliability=0)
    del new.obs["sample"]
    without = mo.tl.transfer(new, model, copy=True, min_reliability=0)
    for other in (there, without):
        np.testing.assert_array_equal(other.obsm["X_ae"], here.obsm["X_ae"])
        np.testing.assert_array_equal(
            mo.tl.denoise(other, copy=True).layers["ae_denoised"], mo.tl.denoise(here, copy=True).layers["ae_denoised"]
        )
        np.testing.assert_array_equal(
            mo.tl.novelty(other, copy=True).obs["ae_novelty"], mo.tl.novelty(here, copy=True).obs["ae_novelty"]
        )
    average = mo.tl.denoise(new, model=model, batch="average", copy=True).layers["ae_denoised"]
    np.testing.assert_array_equal(mo.tl.denoise(new, model=model, copy=True).layers["ae_denoised"], average)
    west = mo.tl.denoise(new, model=model, batch="west", rescale=False, copy=True).layers["ae_denoised"]
    plain = mo.tl.denoise(new, model=model, rescale=False, copy=True).layers["ae_denoised"]
    factors, names = model.uns["ae"]["model"]["batch_factors"], list(model.uns["ae"]["model"]["batches"])
    np.testing.assert_allclose(
        west / plain, np.tile((factors[names.index("west")] / factors[-1])[5:], (50, 1)), rtol=1e-4
    )


@pytest.mark.parametrize("kind", ["numba", "parts"])
def test_what_follows_works_and_sees_no_batch_where_it_only_encodes(trained_on_merged, kind):
    adata = trained_on_merged[kind].copy()
    shuffled = adata.copy()
    shuffled.obs["sample"] = np.roll(shuffled.obs["sample"].astype(str), 7)
    sets = adata.uns["gene_sets"]
    for one in (adata, shuffled):
        mo.tl.saliency(one)
        mo.tl.pathway_impact(one, sets, groupby="group")
        mo.tl.unit_summary(one, groupby="group")
        mo.tl.novelty(one)
    np.testing.assert_array_equal(adata.varm["ae_saliency"], shuffled.varm["ae_saliency"])
    assert np.abs(adata.obs["ae_novelty"] - shuffled.obs["ae_novelty"]).max() > 0.01  # decoded as of its own batch


@pytest.mark.filterwarnings("ignore:explanations that are no better:UserWarning")
def test_controls_are_trained_with_batches_too(trained_on_merged, monkeypatch):
    from modulae.core.sanity import controls

    seen = []

    def noted(cells, *args, real=controls.train_anywhere, **more):
        seen.append(np.bincount(cells.batch))
        return real(cells, *args, **more)

    monkeypatch.setattr(controls, "train_anywhere", noted)
    adata = trained_on_merged["numba"].copy()
    sets = {f"set {at}": adata.var_names[5 * at : 5 * at + 8].tolist() for at in range(6)}
    mo.tl.sanity(adata, sets, n_seeds=1, max_epochs=1, n_draws=2)
    sizes = sorted(adata.obs["sample"].value_counts().loc[list(SAMPLES)])
    assert len(seen) == 2
    assert all(sorted(found) == sizes for found in seen)
    adata.obs["sample"] = adata.obs["sample"].astype(str).replace("south", "elsewhere")
    with pytest.raises(ValueError, match=r"cells have a batch that the model does not know .*Put 'sample' back"):
        mo.tl.sanity(adata, sets, n_seeds=1, max_epochs=1)


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
@pytest.mark.parametrize("kind", KINDS)
def test_survives_files(trained_on_merged, kind, tmp_path):
    adata = trained_on_merged[kind].copy()
    expected = mo.tl.denoise(adata, copy=True).layers["ae_denoised"]
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata.write_zarr(tmp_path / "a.zarr")
    for again in (ad.read_h5ad(tmp_path / "a.h5ad"), ad.read_zarr(tmp_path / "a.zarr")):
        np.testing.assert_array_equal(mo.tl.denoise(again, copy=True).layers["ae_denoised"], expected)
    mo.save_model(adata, tmp_path / "m.safetensors")
    model = mo.load_model(tmp_path / "m.safetensors")
    assert "in 3 batches" in repr(model)
    assert list(model.fitted.batches) == list(adata.uns["ae"]["model"]["batches"])
    for batch in ("own", "west"):
        a, b = (mo.tl.denoise(adata, model=m, batch=batch, copy=True) for m in (adata, model))
        np.testing.assert_array_equal(a.layers["ae_denoised"], b.layers["ae_denoised"])


def test_a_model_file_with_batches_is_refused_by_older_versions_and_one_without_is_not(
    trained_on_merged, merged, tmp_path, monkeypatch
):
    from modulae._model_io import model_file

    mo.save_model(trained_on_merged["numba"], tmp_path / "with")
    mo.save_model(mo.tl.autoencoder(merged, **KINDS["numba"], device="cpu", copy=True), tmp_path / "without")
    monkeypatch.setattr(model_file, "FORMAT_VERSION", 1)
    mo.load_model(tmp_path / "without")
    with pytest.raises(ValueError, match="has format 2; this version reads up to 1"):
        mo.load_model(tmp_path / "with")


@pytest.fixture
def portions(monkeypatch):
    """Counts on disk are learnt from 48 cells at a time."""
    monkeypatch.setattr(counts_of_adata, "MAX_BYTES_IN_MEMORY", 0)
    monkeypatch.setattr(stored_counts, "ROWS_TOGETHER", 48)


@pytest.mark.parametrize("kind", KINDS)
def test_counts_on_disk_have_their_batches(merged, trained_on_merged, kind, tmp_path, portions):
    merged.write_h5ad(tmp_path / "a.h5ad")
    adata = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    there = mo.tl.autoencoder(adata, copy=True, memory_limit=1, **COMMON, **KINDS[kind])
    models = [one.uns["ae"]["model"] for one in (there, trained_on_merged[kind])]
    np.testing.assert_array_equal(models[0]["batches"], models[1]["batches"])
    logs = [np.log(model["batch_factors"][0] / model["batch_factors"][1]) for model in models]
    assert np.corrcoef(*logs)[0, 1] > 0.95
    losses = [one.uns["ae"]["history"]["test_loss"] for one in (there, trained_on_merged[kind])]
    np.testing.assert_allclose(losses[0][0], losses[1][0], rtol=1e-3 if kind != "parts" else 0.1)  # the same start
    np.testing.assert_allclose(losses[0].min(), losses[1].min(), atol=0.1 if kind != "parts" else 0.3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["in memory", "in portions"])
def test_a_training_that_was_ended_goes_on_to_the_same_bits(merged, kind, where, tmp_path, portions, monkeypatch):
    """Also in the middle of an epoch, whose first portions are not learnt from again."""
    from modulae.core.training.numba import numba_engine
    from modulae.core.training.numba.parts.engine import NumbaPartsEngine
    from modulae.core.training.torch import torch_engine

    merged.write_h5ad(tmp_path / "a.h5ad")

    def train(**more):
        adata = ad.read_h5ad(tmp_path / "a.h5ad", backed=None if where == "in memory" else "r")
        return mo.tl.autoencoder(adata, copy=True, memory_limit=1, **COMMON, **KINDS[kind], **more)

    whole, calls = train(), []
    with monkeypatch.context() as patch:
        for engine in (numba_engine.NumbaEngine, NumbaPartsEngine, torch_engine.TorchEngine):

            def epoch(self, *args, real=engine.epoch):
                calls.append(1)
                if len(calls) == 5 - (where == "in memory"):
                    raise RuntimeError
                return real(self, *args)

            patch.setattr(engine, "epoch", epoch)
        with pytest.raises(RuntimeError):
            train(checkpoint=tmp_path / "run", checkpoint_every="1us")
    same(train(checkpoint=tmp_path / "run", checkpoint_every="1us"), whole)


def test_other_batches_are_another_training(merged, tmp_path):
    settings = {**COMMON, **KINDS["numba"], "checkpoint": tmp_path}
    mo.tl.autoencoder(merged, **settings)
    before = (tmp_path / FILE).read_bytes()
    other = merged.copy()
    other.obs["sample"] = np.roll(other.obs["sample"].astype(str), 1)
    with pytest.raises(ValueError, match=r"differs in batches.*Give another folder"):
        mo.tl.autoencoder(other, **settings)
    with pytest.raises(ValueError, match=r"batch_key \('sample' there, None here\)"):
        mo.tl.autoencoder(merged, **{**settings, "batch_key": None})
    assert (tmp_path / FILE).read_bytes() == before


def bad(adata, how):
    labels = adata.obs["sample"].astype(object)
    if how == "missing":
        labels.iloc[3] = np.nan
    values = {
        "missing": labels,
        "numbers": np.random.default_rng(0).random(adata.n_obs),
        "one": "north",
        "a cell each": adata.obs_names.to_numpy(),
        "many numbers": np.arange(adata.n_obs) // 2,
        "reserved": np.where(np.arange(adata.n_obs) % 2, "own", "north"),
    }
    adata.obs["sample"] = values[how]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "1 cell has no batch in adata.obs.'sample'.. Give them one"),
        ("numbers", "holds numbers, not batches. Name another column"),
        ("one", r"all cells have the same batch .*\('.*'\)\. Leave out batch_key="),
        ("a cell each", "has 150 values for 150 cells: these are no batches. Name the column"),
        ("many numbers", "holds 75 different numbers, which are hardly batches.*turn them into names first"),
        ("reserved", "can't be called 'own'.*Rename it"),
    ],
)
def test_what_are_no_batches_is_refused_before_any_work(merged, how, message):
    bad(merged, how)
    before = merged.copy()
    with pytest.raises(ValueError, match=message):
        mo.tl.autoencoder(merged, batch_key="sample")
    assert set(merged.obsm) == set(before.obsm)
    assert set(merged.uns) == set(before.uns)
    pd.testing.assert_frame_equal(merged.obs, before.obs)


def test_an_unknown_column_lists_what_there_is(merged):
    with pytest.raises(KeyError, match=r"batch_key='donor' is not a column .*Choose one of \['group', .*'sample'"):
        mo.tl.autoencoder(merged, batch_key="donor")


def test_a_batch_of_few_cells_is_warned_of_and_trained_with(merged):
    merged.obs["sample"] = np.where(np.arange(merged.n_obs) < 3, "tiny", "large")
    with pytest.warns(UserWarning, match=r"1 batch has fewer than 20 cells \(tiny\)"):
        mo.tl.autoencoder(merged, **COMMON, **KINDS["numba"])
    factors = merged.uns["ae"]["model"]["batch_factors"]
    assert np.isfinite(factors).all()
    assert (factors > 0).all()


def test_whole_numbers_are_names(merged):
    text = merged.obs["sample"].astype(str).map({"north": "1", "south": "2", "west": "3"})
    merged.obs["sample"] = text.astype(int)
    mo.tl.autoencoder(merged, **COMMON, **KINDS["numba"])
    mo.tl.denoise(merged, batch="2")
    assert sorted(merged.uns["ae"]["model"]["batches"]) == ["1", "2", "3"]


def test_a_search_tries_batches_and_knows_their_cells(merged, tmp_path):
    settings = {"batch_key": [None, "sample"], "n_latent": [4], "max_epochs": [3]}
    first = mo.tl.search(merged, settings, seeds=[0], folder=tmp_path, device="cpu")
    assert first["batch_key"].fillna("none").tolist() == ["none", "sample"]  # pandas 3 has NaN for None
    assert first["loss"].nunique() == 2
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    merged.obs["sample"] = np.roll(merged.obs["sample"].astype(str), 1)
    mo.tl.search(merged, settings, seeds=[0], folder=tmp_path, device="cpu")
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    with pytest.raises(KeyError, match="batch_key='donor' is not a column"):
        mo.tl.search(merged, {"batch_key": ["donor"]}, seeds=[0])


@pytest.mark.parametrize("kind", ["numba", "parts"])
def test_cells_of_a_dask_array_have_their_batches(trained_on_merged, kind, portions):
    array = pytest.importorskip("dask.array")
    adata = trained_on_merged[kind].copy()
    spread = adata.copy()
    spread.X = array.from_array(adata.X.toarray(), chunks=(40, -1)).map_blocks(sparse.csr_matrix)
    for one in (adata, spread):
        mo.tl.novelty(one)
        mo.tl.denoise(one)
    np.testing.assert_allclose(spread.obs["ae_novelty"], adata.obs["ae_novelty"], rtol=1e-5)
    np.testing.assert_allclose(spread.layers["ae_denoised"], adata.layers["ae_denoised"], rtol=1e-5)
    trained = mo.tl.autoencoder(spread, copy=True, memory_limit=1, **COMMON, **KINDS[kind])
    assert list(trained.uns["ae"]["model"]["batches"]) == list(adata.uns["ae"]["model"]["batches"])
