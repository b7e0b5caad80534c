"""Counts in a dask array: every step is done where dask runs it, and gives what it gives for counts in memory."""

import os
import threading
import warnings
import weakref

import numpy as np
import pytest
from scipy import sparse

import modulae as mo
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae._counts import stored_counts
from modulae.core.data import dask_blocks
from modulae.core.data.cells import Cells
from modulae.core.data.map_reduce import map_cells
from modulae.core.inference.encode import encode
from modulae.core.statistics.permutation import PermutedLabels

array = pytest.importorskip("dask.array", reason="needs modulae[scale]: dask")

N_CELLS, N_GENES = 640, 40
SETTINGS = {"n_latent": 5, "n_splits": 0, "max_epochs": 2, "device": "cpu"}
SETS = {"a": [f"gene_{at:02d}" for at in range(8)], "b": [f"gene_{at:02d}" for at in range(5, 20)]}


@pytest.fixture(scope="module")
def source():
    adata = mo.datasets.simulated(n_cells=N_CELLS, n_genes=N_GENES, n_programmes=3, genes_per_programme=8, seed=1)
    adata.obs["donor"] = np.array(["d1", "d2", "d3", "d4", "d5", "d6"])[np.arange(N_CELLS) % 6]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mo.tl.autoencoder(adata, **SETTINGS)
    return adata


@pytest.fixture(scope="module")
def orthogonal(source):
    adata = mo.datasets.simulated(n_cells=N_CELLS, n_genes=N_GENES, n_programmes=3, genes_per_programme=8, seed=1)
    adata.obs["donor"] = source.obs["donor"]
    mo.tl.autoencoder(adata, architecture="orthogonal", n_latent=5, n_hidden=8, max_epochs=2, device="cpu")
    return adata


@pytest.fixture
def model_for(request, call):
    """Saliencies of parts hardly differ between groups: gradients are the same wherever a unit is on."""
    return request.getfixturevalue("orthogonal" if call.startswith("impact, saliency") else "source")


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    monkeypatch.setattr(dask_blocks, "ROWS_OF_A_TASK", 64)


def spread(adata, chunks=(64, N_GENES)):
    adata = adata.copy()
    adata.X = array.from_array(sparse.csr_matrix(adata.X), chunks=chunks, asarray=False)
    return adata


@pytest.fixture
def not_here(monkeypatch):
    """Let whatever reads counts or encodes them in this process fail; worker processes import the real thing."""

    def refuse(*_args, **_given):
        raise AssertionError("done in this process")

    monkeypatch.setattr(Cells, "inputs", refuse)
    monkeypatch.setattr(Cells, "sparse_inputs", refuse)
    monkeypatch.setattr(stored_counts, "check_values", refuse)


GIVEN = {"groupby": "group", "n_permutations": 50, "device": "cpu"}
CALLS = {
    "saliency": lambda a: mo.tl.saliency(a, device="cpu"),
    "saliency of groups": lambda a: mo.tl.saliency(a, groupby="group", device="cpu"),
    "saliency times input": lambda a: mo.tl.saliency(a, groupby="group", method="input_x_gradient", device="cpu"),
    "absolute saliency": lambda a: mo.tl.saliency(a, method="guided", signed=False, device="cpu"),
    "impact": lambda a: mo.tl.pathway_impact(a, SETS, device="cpu"),
    "impact of groups": lambda a: mo.tl.pathway_impact(a, SETS, **GIVEN),
    "impact, saliency": lambda a: mo.tl.pathway_impact(a, SETS, explanation={"difference": "saliency"}, **GIVEN),
    "impact, saliency, donors": lambda a: mo.tl.pathway_impact(
        a, SETS, explanation={"difference": "saliency"}, donor_key="donor", **GIVEN
    ),
    "impact, saliency, strata": lambda a: mo.tl.pathway_impact(
        a, SETS, explanation={"difference": "saliency"}, stratify_by="donor", null="cells", groups=["group_1"], **GIVEN
    ),
    "novelty": mo.tl.novelty,
    "transfer": lambda a: mo.tl.transfer(a, a.copy(), key_added="moved", device="cpu"),
}
FIELDS = ("obs", "obsm", "varm", "uns")


def numbers(value):
    """Every array of a result, by its place; not the stamps of its rows, which any rounding changes."""
    if isinstance(value, dict):
        parts = {name: part for name, part in value.items() if name not in {"rows", "counts"}}
        return {f"{name}/{at}": one for name, part in parts.items() for at, one in numbers(part).items()}
    found = np.asarray(value)
    return {"": found} if found.dtype.kind in "fiub" else {}


def same_results(one, other, before):
    new = [(field, name) for field in FIELDS for name in set(getattr(other, field)) - set(getattr(before, field))]
    assert new
    for field, name in new:
        for at, value in numbers(getattr(other, field)[name]).items():
            found = numbers(getattr(one, field)[name])[at]
            np.testing.assert_allclose(found, value, rtol=2e-4, atol=2e-5, err_msg=f"{field} {name} {at}")


def called(call, adata):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        CALLS[call](adata)
    return adata


@pytest.mark.parametrize("call", CALLS)
def test_workers_do_all_of_it_and_get_what_one_process_gets(model_for, cluster, request, call):
    expected, lazy = called(call, model_for.copy()), spread(model_for)
    request.getfixturevalue("not_here")
    same_results(called(call, lazy), expected, model_for)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_without_a_cluster_it_is_the_same(model_for, scheduler, call):
    import dask

    chunks = ((10, 200, 64, 1, 65, 300), (15, 25)) if scheduler == "threads" else (64, N_GENES)
    with dask.config.set(scheduler=scheduler, num_workers=3):
        same_results(called(call, spread(model_for, chunks)), called(call, model_for.copy()), model_for)


def test_tasks_are_shared_out_and_the_model_travels_once(source, cluster, tmp_path):
    class Job:
        """Says who has done it; a class of this function, so that it travels as a whole."""

        def __init__(self, folder):
            self.folder = folder

        def __setstate__(self, state):
            self.__dict__.update(state)
            with (self.folder / str(os.getpid())).open("a", encoding="utf-8") as file:
                file.write("x")

        def __call__(self, cells, numbers):
            return os.getpid(), len(cells), numbers

    cells = read_cells(spread(source), read_model(source, "ae"), layer=None, spread=True)
    found = list(map_cells(cells, Job(tmp_path), np.arange(N_CELLS)))
    workers = set(cluster.run(os.getpid).values())
    assert len(workers) == 2
    assert {pid for _, (pid, _, _) in found} <= workers - {os.getpid()}
    assert [n for _, (_, n, _) in found] == [64] * 10
    for rows, (_, _, known) in found:
        np.testing.assert_array_equal(known, np.arange(rows.start, rows.stop))
    unpacked = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(unpacked.values()) == {"x"}


def test_a_training_that_streams_encodes_on_the_workers(source, cluster, monkeypatch):
    from modulae.core.inference import training_summary
    from modulae.core.inference.encode import Encoder

    def refuse(*_args):
        raise AssertionError("done in this process")

    lazy = spread(source)
    monkeypatch.setattr(Encoder, "__call__", refuse)
    monkeypatch.setattr(training_summary.Moments, "__call__", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mo.tl.autoencoder(lazy, memory_limit=1, **SETTINGS)
    monkeypatch.undo()
    fitted = read_model(lazy, "ae")
    expected = encode(fitted.network, read_cells(source, fitted, layer=None))
    np.testing.assert_allclose(lazy.obsm["X_ae"], expected, rtol=1e-4, atol=1e-6)
    assert fitted.training.n_cells == N_CELLS


@pytest.mark.parametrize("rows", [np.arange(5, 600, 7), np.array([639]), np.arange(100, 300), np.arange(N_CELLS)[::-1]])
def test_some_of_the_cells(source, rows):
    fitted = read_model(source, "ae")
    for chunks in [(64, N_GENES), (100, 30), (300, N_GENES)]:
        cells = read_cells(spread(source, chunks), fitted, layer=None, spread=True)
        np.testing.assert_allclose(encode(fitted.network, cells.take(rows)), source.obsm["X_ae"][rows], rtol=1e-5)


def test_a_view_of_some_cells_in_any_order(source):
    order = np.random.default_rng(0).permutation(N_CELLS)[:200]
    lazy, expected = spread(source)[order], source[order].copy()
    found = called("novelty", lazy.copy())
    same_results(found, called("novelty", expected), source)


def test_blocks_may_be_dense(source):
    lazy = source.copy()
    lazy.X = array.from_array(source.X.toarray(), chunks=(100, 15))
    same_results(called("saliency of groups", lazy), called("saliency of groups", source.copy()), source)


def test_blocks_that_the_workers_hold_are_read_there(source, cluster, request):
    expected, lazy = called("saliency of groups", source.copy()), spread(source)
    lazy.X = cluster.persist(lazy.X)
    request.getfixturevalue("not_here")
    same_results(called("saliency of groups", lazy), expected, source)


def test_what_is_wrong_on_a_worker_is_said_here(source, cluster):
    broken = source.copy()
    broken.X = sparse.csr_matrix(broken.X)
    broken.X.data[7] = -1
    lazy = spread(broken)
    with pytest.raises(ValueError, match=r"adata\.X has negative values .*layer="):
        mo.tl.saliency(lazy, device="cpu")
    assert "ae_saliency" not in lazy.varm


def test_labels_of_some_cells_are_those_of_all():
    rng = np.random.default_rng(0)
    group = rng.random(101) < 0.3
    labels = PermutedLabels.permuted(group, ~group, 5, rng, None)
    every = labels.of(slice(0, 101))
    part = labels.cut(slice(13, 90))
    np.testing.assert_array_equal(part.of(slice(0, 77)), every[:, 13:90])
    np.testing.assert_array_equal(part.cut(slice(9, 60)).of(slice(3, 20)), every[:, 25:42])


@pytest.mark.parametrize("limit", [64, 150, 10_000])
def test_threads_hold_no_more_cells_than_there_is_room_for(source, limit, monkeypatch):
    import dask

    monkeypatch.setattr(stored_counts, "PORTION", limit)
    lock, held, most = threading.Lock(), [0], [0]

    def let_go(n):
        with lock:
            held[0] -= n

    def block(block_info=None):
        (start, stop), _ = block_info[None]["array-location"]
        found = sparse.csr_matrix(source.X[start:stop])
        with lock:
            held[0] += stop - start
            most[0] = max(most[0], held[0])
        weakref.finalize(found, let_go, stop - start)
        return found

    lazy = source.copy()
    lazy.X = array.map_blocks(block, chunks=((32,) * 20, (N_GENES,)), dtype=np.float32, meta=sparse.csr_matrix((0, 0)))
    fitted = read_model(source, "ae")
    with dask.config.set(scheduler="threads", num_workers=4):
        cells = read_cells(lazy, fitted, layer=None, spread=True)
        units = encode(fitted.network, cells)
    np.testing.assert_allclose(units, source.obsm["X_ae"], rtol=1e-5)
    assert most[0] <= max(limit, 64)


def test_tasks_in_threads_do_not_each_start_threads(source):
    import dask
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads(_cells=None):
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    cells = read_cells(spread(source), read_model(source, "ae"), layer=None, spread=True)
    with threadpool_limits(3, user_api="blas"):
        for n, expected in [(2, {1}), (1, {3})]:
            with dask.config.set(scheduler="threads", num_workers=n):
                assert set().union(*(found for _, found in map_cells(cells, threads))) == expected
            assert threads() == {3}


def test_units_are_called_where_dask_runs(source):
    """Alike but for rounding, which may tip a single call."""
    in_memory, lazy = (mo.tl.call_units(adata, device="cpu", copy=True) for adata in (source, spread(source)))
    assert (lazy.obsm["ae_on"] == in_memory.obsm["ae_on"]).mean() > 0.99
    np.testing.assert_allclose(lazy.uns["ae_on"]["level_on"], in_memory.uns["ae_on"]["level_on"])
