"""Counts on disk: every function gives what it gives for counts in memory, and holds a few cells at a time."""

import warnings
import weakref

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import modulae as mo
from modulae._adata import counts as counts_of_adata
from modulae._adata.counts import open_counts
from modulae._counts import stored_counts
from modulae._counts.memory_limit import read_bytes
from modulae._counts.stored_counts import StoredCounts
from modulae._model_io import checkpoint
from modulae.core.data import stored_cells as core_stored

N_CELLS = 1500
SETTINGS = {"n_latent": 5, "n_splits": 0, "max_epochs": 4, "device": "cpu"}
ORTHOGONAL = {"architecture": "orthogonal", "n_hidden": 8}
SETS = {"a": [f"gene_{at:02d}" for at in range(8)], "b": [f"gene_{at:02d}" for at in range(5, 20)]}
FORMS = ["backed", "dask", "dask layer", "lazy zarr", "lazy h5ad"]


@pytest.fixture(scope="module")
def source():
    adata = mo.datasets.simulated(n_cells=N_CELLS, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)
    adata.obs["depth"] = np.asarray(adata.X.sum(axis=1)).ravel() * 2.0
    adata.obs["donor"] = np.array(["d1", "d2", "d3", "d4", "d5", "d6"])[np.arange(N_CELLS) % 6]
    mo.tl.autoencoder(adata, **SETTINGS)
    return adata


@pytest.fixture(scope="module")
def orthogonal(source):
    return mo.tl.autoencoder(source, copy=True, **SETTINGS, **ORTHOGONAL)


@pytest.fixture
def model_for(request, call):
    """Saliencies of parts hardly differ between groups: gradients are the same wherever a unit is on."""
    return request.getfixturevalue("orthogonal" if call == "impact, saliency" else "source")


@pytest.fixture
def nothing_in_memory(monkeypatch):
    """Even small files stay on disk, and are read in small portions; hands back how many cells were in memory."""
    monkeypatch.setattr(counts_of_adata, "MAX_BYTES_IN_MEMORY", 0)
    monkeypatch.setattr(stored_counts, "PORTION", 128)
    monkeypatch.setattr(stored_counts, "ROWS_TOGETHER", 64)
    held, real = [], core_stored.StoredCells.load

    def noted(self):
        held.append(len(self))
        return real(self)

    monkeypatch.setattr(core_stored.StoredCells, "load", noted)
    return held


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    """Write an object to a file of its own, once."""
    written = {}

    def path_of(adata, suffix):
        if (id(adata), suffix) not in written:
            path = tmp_path_factory.mktemp("cells") / f"cells.{suffix}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # anndata's own plans for its formats
                (adata.write_zarr if suffix == "zarr" else adata.write_h5ad)(path)
            written[id(adata), suffix] = path, adata  # kept, so that no other object gets its id
        return written[id(adata), suffix][0]

    return path_of


@pytest.fixture
def on_disk(file_of):
    """Give an object whose counts are on disk, in one of the forms."""
    opened = []

    def make(adata, form):
        if form == "backed":
            opened.append(ad.read_h5ad(file_of(adata, "h5ad"), backed="r"))
            return opened[-1]
        array = pytest.importorskip("dask.array", reason="needs modulae[scale]: dask")
        if form.startswith("dask"):
            lazy = array.from_array(sparse.csr_matrix(adata.X), chunks=(64, adata.n_vars), asarray=False)
            adata = adata.copy()
            if form == "dask layer":
                adata.X = sparse.csr_matrix(adata.shape, dtype=np.float32)
                adata.layers["counts"] = lazy
            else:
                adata.X = lazy
            return adata
        pytest.importorskip("xarray", reason="needs modulae[scale]: xarray")
        path = file_of(adata, "zarr" if "zarr" in form else "h5ad")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # anndata's own plans for its formats
            return ad.experimental.read_lazy(path)

    yield make
    for adata in opened:
        adata.file.close()


def layer_of(form):
    return "counts" if form == "dask layer" else None


@pytest.mark.parametrize("kind", [{}, ORTHOGONAL], ids=["parts", "orthogonal"])
@pytest.mark.parametrize("form", FORMS)
def test_training_streams_and_encodes_every_cell(source, orthogonal, on_disk, form, kind, nothing_in_memory):
    adata = on_disk(source, form)
    settings = {**SETTINGS, **kind}
    mo.tl.autoencoder(adata, layer=layer_of(form), memory_limit=1, key_added="new", **settings)
    assert adata.obsm["X_new"].shape == (N_CELLS, 5)
    expected = orthogonal if kind else source
    one, other = mo.get.history(adata, key="new"), mo.get.history(expected)
    if kind:  # parts start from a factorisation of some cells
        assert one["test_loss"].iloc[0] == pytest.approx(other["test_loss"].iloc[0], rel=1e-5)
    start = expected.uns["ae"]["history"]["gene_means_loss"] if not kind else other["test_loss"].iloc[0]
    learnt, learnt_in_memory = (start - table["test_loss"].iloc[-1] for table in (one, other))
    assert learnt > 0.5 * learnt_in_memory > 0
    assert nothing_in_memory
    assert max(nothing_in_memory) <= 512  # the blocks in which cells are encoded


@pytest.mark.parametrize("form", FORMS)
def test_counts_that_fit_are_read_into_memory_and_give_the_same_bits(source, on_disk, form):
    adata = on_disk(source, form)
    mo.tl.autoencoder(adata, layer=layer_of(form), key_added="new", **SETTINGS)
    np.testing.assert_array_equal(adata.obsm["X_new"], source.obsm["X_ae"])


CALLS = {
    "saliency": lambda a, **k: mo.tl.saliency(a, groupby="group", device="cpu", **k),
    "saliency, times the input": lambda a, **k: mo.tl.saliency(a, method="input_x_gradient", device="cpu", **k),
    "impact": lambda a, **k: mo.tl.pathway_impact(a, SETS, groupby="group", n_permutations=50, device="cpu", **k),
    "impact, saliency": lambda a, **k: mo.tl.pathway_impact(
        a, SETS, groupby="group", explanation={"difference": "saliency"}, n_permutations=50, device="cpu", **k
    ),
    "impact, donors": lambda a, **k: mo.tl.pathway_impact(
        a, SETS, groupby="group", donor_key="donor", n_permutations=50, device="cpu", **k
    ),
    "activity": lambda a, **k: mo.tl.pathway_activity(a, SETS, n_random=20, device="cpu", **k),
    "enrichment": lambda a, **k: mo.tl.enrich_units(a, SETS, min_genes=2, n_permutations=50, device="cpu", **k),
    "denoise": lambda a, **k: mo.tl.denoise(a, device="cpu", **k),
    "summary": lambda a, **k: mo.tl.unit_summary(a, groupby="group", device="cpu", **k),
    "transfer": lambda a, **k: mo.tl.transfer(a, k.pop("model"), key_added="moved", device="cpu", **k),
}


def numbers(value):
    """Every array of a result, by its place; not the stamps of its rows, which any rounding changes."""
    if isinstance(value, dict):
        parts = {name: part for name, part in value.items() if name not in {"rows", "counts"}}
        return {f"{name}/{at}": one for name, part in parts.items() for at, one in numbers(part).items()}
    array = np.asarray(value)
    return {"": array} if array.dtype.kind in "fiub" else {}


@pytest.mark.parametrize("form", ["backed", "dask layer", "lazy zarr"])
@pytest.mark.parametrize("call", CALLS)
def test_results_are_those_of_counts_in_memory(model_for, on_disk, form, call, nothing_in_memory):
    adata, expected = on_disk(model_for, form), model_for.copy()
    fields = {name: set(getattr(adata, name)) for name in ("obsm", "varm", "uns", "layers")}
    model = {"model": model_for} if call == "transfer" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        CALLS[call](adata, layer=layer_of(form), **model)
        CALLS[call](expected, **model)
    new = [(name, key) for name, before in fields.items() for key in set(getattr(expected, name)) - before]
    assert new
    for name, key in new:
        for at, value in numbers(getattr(expected, name)[key]).items():
            found = numbers(getattr(adata, name)[key])[at]
            np.testing.assert_allclose(found, value, rtol=2e-4, atol=2e-5, err_msg=f"{name} {key} {at}")
    most = N_CELLS if call in {"activity", "summary"} else 1024  # neighbours of a block; cells that stand for all
    assert nothing_in_memory
    assert max(nothing_in_memory) <= most


def test_embeddings_of_cells_on_disk(source, on_disk, nothing_in_memory):
    adata = on_disk(source, "backed")
    mo.tl.embeddings(adata, n_pcs=5)
    assert adata.obsm["X_ae_umap_input"].shape == (N_CELLS, 2)
    assert max(nothing_in_memory) <= 128


def test_sanity_of_cells_on_disk(source, on_disk, nothing_in_memory):
    adata = on_disk(source, "backed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sets = {str(at): [f"gene_{gene:02d}" for gene in range(at, at + 8)] for at in range(0, 30, 5)}
        mo.tl.sanity(adata, sets, n_seeds=1, max_epochs=1, n_draws=2, n_cells=60, device="cpu")
    assert max(nothing_in_memory) <= 512  # the blocks in which cells are encoded


@pytest.mark.parametrize("method", ["columns", "all zero", "text"])
def test_what_is_wrong_is_found_in_the_first_look(source, on_disk, method, nothing_in_memory):
    adata = source.copy()
    if method == "columns":
        adata.X[250, 3] = -1
        message = r"adata.X has negative values.*layer="
    elif method == "all zero":
        adata.X = adata.X * 0
        message = "no training cell has any counts"
    else:
        adata.X = adata.X + 0.1 * adata.X.sqrt()
        message = "not whole numbers.*layer="
    lazy = on_disk(adata, "backed")
    if method == "text":
        with pytest.warns(UserWarning, match=message) as caught:
            mo.tl.autoencoder(lazy, memory_limit=1, **SETTINGS)
        assert caught[0].filename == __file__
    else:
        with pytest.raises(ValueError, match=message):
            mo.tl.autoencoder(lazy, memory_limit=1, **SETTINGS)


@pytest.mark.parametrize("kind", [{}, ORTHOGONAL, {**ORTHOGONAL, "engine": "torch"}])
def test_a_training_on_disk_that_ended_amid_an_epoch_goes_on_to_the_same_bits(
    source, on_disk, kind, nothing_in_memory, tmp_path, monkeypatch
):
    adata = on_disk(source, "backed")
    settings = {**SETTINGS, "memory_limit": 1, "snapshot_epochs": (0, 2), "key_added": "new", **kind}
    mo.tl.autoencoder(adata, **settings)
    whole = {name: adata.obsm[name].copy() for name in ("X_new", "X_new_epoch0", "X_new_epoch2")}
    history = mo.get.history(adata, key="new")
    real, kept = checkpoint.Checkpoint.keep, []

    class CrashError(Exception):
        """Stands for whatever ends a process."""

    def crash(self, state):
        real(self, state)
        kept.append((state.epoch, len(state.portions)))
        if len(kept) == 6:
            raise CrashError

    for _ in range(3):
        kept.clear()
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint.Checkpoint, "keep", crash)
            with pytest.raises(CrashError):
                mo.tl.autoencoder(adata, checkpoint=tmp_path / "run", checkpoint_every="1us", **settings)
        assert any(portions for _, portions in kept)
    mo.tl.autoencoder(adata, checkpoint=tmp_path / "run", checkpoint_every="1us", **settings)
    for name, values in whole.items():
        np.testing.assert_array_equal(adata.obsm[name], values)
    assert mo.get.history(adata, key="new").equals(history)
    with pytest.raises(ValueError, match="differs in cells at a time"):
        mo.tl.autoencoder(adata, checkpoint=tmp_path / "run", **{**settings, "memory_limit": 10**6})


def test_rates_that_do_not_fit_go_to_disk(source, on_disk, nothing_in_memory, tmp_path, monkeypatch):
    from modulae.tl import _denoise

    monkeypatch.setattr(_denoise, "MAX_BYTES_OF_RATES", 1000)
    adata = on_disk(source, "backed")
    with pytest.raises(ValueError, match=rf"{N_CELLS} cells × 40 genes would take .* store="):
        mo.tl.denoise(adata, device="cpu")
    mo.tl.denoise(adata, store=tmp_path / "rates.zarr", device="cpu")
    expected = mo.tl.denoise(source, copy=True, device="cpu").layers["ae_denoised"]
    np.testing.assert_allclose(np.asarray(adata.layers["ae_denoised"]), expected, rtol=1e-5)
    assert max(nothing_in_memory) <= 512
    with pytest.raises(FileExistsError, match=r"is there already\. Remove it"):
        mo.tl.denoise(adata, store=tmp_path / "rates.zarr", device="cpu")


def test_genes_outside_the_model_are_nan_on_disk_too(source, tmp_path):
    adata = source.copy()
    adata.var["chosen"] = np.arange(40) % 3 > 0
    mo.tl.autoencoder(adata, mask_var="chosen", **SETTINGS)
    mo.tl.denoise(adata, device="cpu")
    mo.tl.denoise(adata, store=tmp_path / "rates.zarr", key_added="stored", device="cpu")
    np.testing.assert_array_equal(np.asarray(adata.layers["stored"]), adata.layers["ae_denoised"])
    assert np.isnan(adata.layers["ae_denoised"][:, 0]).all()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("4GB", 4 * 10**9), ("500 MB", 5 * 10**8), ("1.5gb", 1.5 * 10**9), ("100", 100), (12, 12), ("3 kB", 3000)],
)
def test_memory_limits(limit, expected):
    assert read_bytes(limit) == expected


@pytest.mark.parametrize("limit", ["", "much", "GB", 0, -1, True, None, 2.5, "-4GB", "infGB", "nan"])
def test_memory_limits_that_can_not_be(source, limit):
    with pytest.raises(ValueError, match=r"memory_limit is .*give a number of bytes, or a text such as '4GB'"):
        mo.tl.autoencoder(source, memory_limit=limit, key_added="new", **SETTINGS)


def test_a_portion_is_as_large_as_the_limit_allows(source, on_disk, nothing_in_memory):
    adata = on_disk(source, "backed")
    counts = open_counts(adata, layer=None, limit=10**6)
    assert isinstance(counts, StoredCounts)
    per_cell = source.X.nnz / N_CELLS
    assert counts.room == int(500_000 / (40 * per_cell + 32))
    assert open_counts(adata, layer=None, limit=3 * 10**6).matrix.nnz == source.X.nnz


@pytest.mark.parametrize("fits", [True, False])
def test_counts_that_will_not_fit_are_not_kept_until_they_do_not(source, on_disk, monkeypatch, fits):
    """The first cells have twenty times the counts of the others: what fits in the end is read again."""
    real, made, alive = stored_counts.CountReader.of_genes, [], []

    def noted(self, block):
        alive.append(sum(one() is not None for one in made))
        rows = real(self, block).copy()
        made.append(weakref.ref(rows))
        return rows

    monkeypatch.setattr(stored_counts, "ROWS_PER_BLOCK", 100)
    monkeypatch.setattr(stored_counts.CountReader, "of_genes", noted)
    some = np.random.default_rng(0).random((N_CELLS, 40)) < np.where(np.arange(N_CELLS) < 100, 1, 0.05)[:, None]
    rows = sparse.csr_matrix(some.astype(np.float32))
    size = rows.nnz * stored_counts.BYTES_AS_READ
    monkeypatch.setattr(counts_of_adata, "MAX_BYTES_IN_MEMORY", size if fits else size - 1)
    counts = open_counts(on_disk(ad.AnnData(rows, var=source.var), "backed"), layer=None)
    assert isinstance(counts, StoredCounts) != fits
    assert max(alive[:15]) <= 1
    if fits:
        assert (counts.matrix != rows).nnz == 0
    np.testing.assert_array_equal(counts.totals, rows.sum(axis=1).A1)


def test_chunks_of_dask_are_read_whole(source, on_disk, nothing_in_memory):
    adata = on_disk(source, "dask")
    reader = open_counts(adata, layer=None).reader
    assert [reader.rows_together(room) for room in (10_000, 512, 80)] == [64, 64, 10]
    adata = on_disk(source, "backed")
    reader = open_counts(adata, layer=None).reader
    assert [reader.rows_together(room) for room in (10_000, 512, 80)] == [64, 16, 2]


def test_rates_brought_to_this_platform_are_the_same_from_disk(source, on_disk, nothing_in_memory):
    adata = on_disk(source, "backed")
    mo.tl.denoise(adata, rescale=True, device="cpu")
    expected = mo.tl.denoise(source, rescale=True, copy=True, device="cpu").layers["ae_denoised"]
    plain = mo.tl.denoise(source, rescale=False, copy=True, device="cpu").layers["ae_denoised"]
    np.testing.assert_allclose(adata.layers["ae_denoised"], expected, rtol=1e-4)
    assert np.abs(expected / plain - 1).max() > 1e-3
