"""Trainings side by side: the same table whoever runs them, wherever the counts lie."""

import threading
import warnings

import anndata as ad
import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import modulae as mo
from modulae._counts import stored_counts
from modulae._utils.parallel import limit_threads, run_parallel
from modulae.core.data.stored_cells import StoredCells
from modulae.tl._search import data, runs

SPACE = [
    {"n_latent": [4], "max_epochs": [2]},
    {"architecture": ["orthogonal"], "n_latent": [3], "n_hidden": [6], "max_epochs": [2]},
]
GIVEN = {"seeds": [0, 1], "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def cells():
    adata = mo.datasets.simulated(n_cells=400, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)
    adata.obs["depth"] = np.asarray(adata.X.sum(axis=1)).ravel() + 1.0
    return adata


def same(one, other):
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), check_exact=True)


@pytest.mark.slow  # the workers import all of it
def test_a_search_on_a_dask_cluster_is_that_of_one_process(cells, cluster, monkeypatch):
    expected = mo.tl.search(cells, SPACE, labels="group", **GIVEN)

    def refuse(*_args):
        raise AssertionError("trained in this process")

    monkeypatch.setattr(runs, "_train", refuse)
    with joblib.parallel_config(backend="dask"):
        same(mo.tl.search(cells, SPACE, labels="group", **GIVEN), expected)


@pytest.fixture
def on_disk(tmp_path):
    """Give an object whose counts are on disk, in one of the forms."""
    opened = []

    def make(adata, form):
        path = tmp_path / ("cells.zarr" if form == "lazy zarr" else "cells.h5ad")
        if form == "dask":
            array = pytest.importorskip("dask.array", reason="needs modulae[scale]: dask")
            adata = adata.copy()
            adata.X = array.from_array(sparse.csr_matrix(adata.X), chunks=(64, adata.n_vars), asarray=False)
            return adata
        if form == "backed dense":
            adata = adata.copy()
            adata.X = adata.X.toarray()
        if form.startswith("backed"):
            adata.write_h5ad(path)
            opened.append(ad.read_h5ad(path, backed="r"))
            return opened[-1]
        pytest.importorskip("xarray", reason="needs modulae[scale]: xarray")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # anndata's own plans for its formats
            (adata.write_zarr if form == "lazy zarr" else adata.write_h5ad)(path)
            return ad.experimental.read_lazy(path)

    yield make
    for adata in opened:
        adata.file.close()


FORMS = ["backed", "backed dense", "dask", "lazy zarr", "lazy h5ad"]


@pytest.mark.parametrize("form", FORMS)
def test_a_search_of_cells_on_disk_reads_a_few_at_a_time(cells, on_disk, form, monkeypatch):
    monkeypatch.setattr(stored_counts, "PORTION", 128)
    monkeypatch.setattr(stored_counts, "ROWS_TOGETHER", 64)
    held, real = [], StoredCells.load

    def noted(self):
        held.append(len(self))
        return real(self)

    adata = cells.copy()
    adata.var["some"] = np.arange(40) % 3 > 0
    adata = on_disk(adata, form)
    settings = {"architecture": "orthogonal", "n_latent": 4, "n_hidden": 6, "max_epochs": 2}
    settings |= {"size_factors": "depth", "mask_var": "some"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mo.tl.autoencoder(adata, **settings, seed=1, memory_limit=1, device="cpu", key_added="hand")
    monkeypatch.setattr(StoredCells, "load", noted)
    space = {name: [value] for name, value in settings.items() if name != "mask_var"}
    table = mo.tl.search(adata, space, mask_var="some", labels="group", memory_limit=1, by_run=True, **GIVEN)
    assert held
    assert max(held) <= 128
    assert table["loss"].iloc[1] == mo.get.history(adata, key="hand")["test_loss"].min()
    assert table["stability"].notna().all()
    assert table["nmi"].notna().all()


@pytest.mark.parametrize("form", ["backed", "dask", "lazy zarr"])
def test_counts_that_fit_give_the_table_of_counts_in_memory(cells, on_disk, form):
    same(
        mo.tl.search(on_disk(cells, form), SPACE, labels="group", **GIVEN),
        mo.tl.search(cells, SPACE, labels="group", **GIVEN),
    )


@pytest.mark.parametrize("form", FORMS)
def test_runs_of_cells_on_disk_are_the_same_in_other_processes(cells, on_disk, form):
    adata = on_disk(cells, form)
    given = {**GIVEN, "memory_limit": 1}
    one = mo.tl.search(adata, SPACE, **given)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        same(mo.tl.search(adata, SPACE, **given), one)


def test_a_folder_knows_cells_on_disk_and_how_many_were_in_memory(cells, on_disk, tmp_path, monkeypatch):
    done, real = [], runs._train

    def noted(task, data):
        done.append(task.seed)
        return real(task, data)

    monkeypatch.setattr(runs, "_train", noted)
    adata = on_disk(cells, "backed")
    given = {**GIVEN, "memory_limit": 1, "folder": tmp_path / "runs"}
    first = mo.tl.search(adata, SPACE, **given)
    pd.testing.assert_frame_equal(mo.tl.search(adata, SPACE, **given), first)
    assert len(done) == 4
    mo.tl.search(adata, SPACE, **{**given, "memory_limit": 100_000})
    assert len(done) == 8
    monkeypatch.setattr(data.Data, "fingerprint", lambda _: "other cells")
    mo.tl.search(adata, SPACE, **given)
    assert len(done) == 12


def test_a_run_that_fails_is_named(cells, monkeypatch):
    def broken(task, _data):
        raise OSError(f"no space for {task.seed}")

    monkeypatch.setattr(runs, "_train", broken)
    with pytest.raises(OSError, match="no space for 0") as caught:
        mo.tl.search(cells, {"n_latent": [7], "max_epochs": [1]}, **GIVEN)
    (note,) = caught.value.__notes__
    assert "'n_latent': 7" in note
    assert "seed 0" in note
    assert note.endswith("leave them out of the search.")


def test_a_run_that_fails_elsewhere_is_named(cells, cluster):
    with joblib.parallel_config(backend="dask"), pytest.raises(ValueError, match="at most 40 parts") as caught:
        mo.tl.search(cells, {"n_latent": [41]}, **GIVEN)
    assert any("'n_latent': 41} and seed" in note for note in caught.value.__notes__)


def test_what_belongs_to_the_process_is_put_back_by_the_last_to_leave():
    import torch

    usual, filters = torch.get_num_threads(), list(warnings.filters)
    torch.set_num_threads(3)
    try:
        inside, leave = threading.Event(), threading.Event()

        def first():
            with limit_threads(1):
                inside.set()
                leave.wait()

        other = threading.Thread(target=first)
        other.start()
        inside.wait()
        with limit_threads(1):
            leave.set()
            other.join()
            seen = [torch.get_num_threads(), list(warnings.filters) == filters]
        assert seen == [1, False]  # this one was still running when the other had left
        assert torch.get_num_threads() == 3
        assert list(warnings.filters) == filters
    finally:
        torch.set_num_threads(usual)


@pytest.mark.parametrize("backend", ["loky", "dask", "threading"])
def test_a_run_has_as_many_threads_as_it_is_given_wherever_it_is(backend, request):
    def run():
        import torch
        from threadpoolctl import threadpool_info

        with limit_threads(2):
            pools = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
            return torch.get_num_threads(), pools

    if backend == "dask":
        request.getfixturevalue("cluster")
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = list(run_parallel((joblib.delayed(run)() for _ in range(3)), n_jobs=None, in_order=False))
    assert found == [(2, {2})] * 3


def test_threads_of_dask_do_not_come_on_top():
    dask = pytest.importorskip("dask", reason="needs modulae[scale]: dask")
    with limit_threads(1):
        assert dask.config.get("scheduler") == "synchronous"
    assert dask.config.get("scheduler", None) != "synchronous"


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_results_come_in_order_where_that_is_asked_for(backend):
    with joblib.parallel_config(backend=backend, n_jobs=2):
        calls = (joblib.delayed(pow)(at, 2) for at in range(9))
        assert list(run_parallel(calls, n_jobs=None, in_order=True)) == [at**2 for at in range(9)]
