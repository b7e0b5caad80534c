"""Several processes train the model that one process trains, through torch.distributed on localhost."""

import json
import pickle
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import modulae as mo
from modulae._cli.files import opened
from modulae._counts import stored_counts

from .ranks_job import result

pytestmark = [
    pytest.mark.slow,  # each start of two processes takes ten seconds
    pytest.mark.skipif(sys.platform == "win32", reason="started with the signals of POSIX"),
]

N_CELLS = 1503  # of 1353 training cells, the last batch of 26 has one: a process has no cell there
COMMON = {"device": "cpu", "engine": "torch", "n_latent": 4, "batch_size": 26, "snapshot_epochs": [0, 2]}
SETTINGS = {  # larger steps magnify rounding
    "orthogonal": {**COMMON, "architecture": "orthogonal", "n_hidden": 8, "max_epochs": 3, "learning_rate": 0.01},
    "parts": {**COMMON, "n_splits": 0, "max_epochs": 3, "learning_rate": 0.02},
    "replicated": {**COMMON, "n_splits": 2, "max_epochs": 3, "learning_rate": 0.02},
}
FORMS = ("memory", "h5ad", "zarr", "few", "few h5ad")
KINDS = [(architecture, form) for architecture in ("orthogonal", "parts") for form in FORMS]
KINDS += [("replicated", "memory"), ("replicated", "h5ad")]
ON_DISK = {"memory_limit": 1}  # portions of 256 cells a process


def start(*words, n=2, cwd=None):
    """Run a script with torchrun, on a free port."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=cwd)


def job(architecture, form, **more):
    in_memory = form in {"memory", "few"}
    settings = {**SETTINGS[architecture], **({} if in_memory else ON_DISK), **more}
    path = "cells.zarr" if form == "zarr" else "few.h5ad" if form.startswith("few") else "cells.h5ad"
    return {"path": path, "in_memory": in_memory, "settings": settings}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("zarr", reason="needs modulae[scale]: zarr")
    folder = tmp_path_factory.mktemp("ranks")
    adata = mo.datasets.simulated(n_cells=N_CELLS, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)
    adata.write_h5ad(folder / "cells.h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata's own plans for its formats
        adata.write_zarr(folder / "cells.zarr")
    adata[:10].copy().write_h5ad(folder / "few.h5ad")  # one is held out: a process has none
    adata.X[N_CELLS - 1, 3] = -1
    adata.write_h5ad(folder / "wrong.h5ad")
    return folder


@pytest.fixture(scope="module")
def found(folder):
    """What each of two processes found, job by job: one start for all, as it takes longer than the jobs."""
    jobs = {f"{architecture}, {form}": job(architecture, form) for architecture, form in KINDS}
    few = {"crash": 3, "checkpoint": str(folder / "few"), "checkpoint_every": 1}
    jobs["crashed, memory"] = job("orthogonal", "memory", **few)
    often = {"crash": 5, "checkpoint": str(folder / "often"), "checkpoint_every": "1us"}  # amid the second epoch
    jobs["crashed, h5ad"] = job("parts", "h5ad", **often)
    jobs["batch size"] = job("orthogonal", "memory", batch_size=25)
    jobs["numba"] = job("orthogonal", "memory", engine="numba")
    jobs["wrong count"] = {**job("parts", "h5ad"), "path": "wrong.h5ad"}
    jobs["damaged"] = job("parts", "memory", checkpoint=str(folder / "damaged"))
    jobs["other splits"] = {**job("replicated", "memory"), "change": "once on rank 1"}
    jobs["other cells"] = {**job("parts", "memory"), "change": "other cells on rank 1"}
    for architecture in SETTINGS:
        jobs[f"{architecture}, set"] = {**job(architecture, "memory"), "torch_is_set": True}
    (folder / "damaged").mkdir()
    (folder / "damaged" / "checkpoint.safetensors").write_bytes(b"nothing of the kind")
    (folder / "jobs.json").write_text(json.dumps(jobs))
    done = start(Path(__file__).with_name("ranks_job.py"), folder)
    assert done.returncode == 0, done.stderr
    return [pickle.loads((folder / f"found.{rank}").read_bytes()) for rank in (0, 1)]  # noqa: S301 - written above


@pytest.mark.filterwarnings("ignore:the held-out loss never fell:UserWarning")  # in three epochs
@pytest.mark.parametrize(("architecture", "form"), KINDS)
def test_two_processes_train_what_one_does(folder, found, architecture, form, monkeypatch):
    """On disk, the one process goes through two streams of blocks, as the two do."""
    real = stored_counts.StoredCounts.cells
    monkeypatch.setattr(stored_counts.StoredCounts, "cells", lambda *args: replace(real(*args), streams=2))
    alone = job(architecture, form)
    with opened(folder / alone["path"]) as file:
        adata = file.adata.to_memory() if alone["in_memory"] else file.adata
        mo.tl.autoencoder(adata, **alone["settings"])
        expected = result(adata)
    first, second = (of_rank[f"{architecture}, {form}"] for of_rank in found)
    assert set(expected) == set(first) == set(second)
    assert {"X_ae", "X_ae_epoch0", "X_ae_epoch2", "history"} < set(expected)
    assert ("halves found" in expected) == (architecture == "replicated")
    for name, value in expected.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        near = 1e-4 if form.startswith("few") else 2e-5  # a regression on nine cells magnifies rounding
        near = 1e-3 if name in {"summary readout", "summary input_residual"} else near  # so does one on units alike
        np.testing.assert_allclose(
            first[name], value, rtol=2e-4, atol=near * np.abs(value).max(initial=0), err_msg=name
        )
    moved = np.abs(expected["X_ae_epoch2"] - expected["X_ae_epoch0"]).max()
    if architecture != "parts" or "few" not in form:  # of few cells, these epochs are a step each, and the first small
        assert moved > 5e-3 * np.abs(expected["X_ae"]).max()  # far more than the tolerance


@pytest.mark.parametrize("architecture", SETTINGS)
def test_what_is_set_in_torch_changes_nothing(found, architecture):
    for of_rank in found:
        for name, value in of_rank[f"{architecture}, memory"].items():
            np.testing.assert_array_equal(of_rank[f"{architecture}, set"][name], value, err_msg=name)


@pytest.mark.parametrize(("crashed", "whole"), [("memory", "orthogonal, memory"), ("h5ad", "parts, h5ad")])
def test_two_processes_go_on_from_a_checkpoint_to_the_same_bits(found, crashed, whole):
    for of_rank in found:
        for name, value in of_rank[whole].items():
            np.testing.assert_array_equal(of_rank[f"crashed, {crashed}"][name], value, err_msg=name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("batch size", "batch_size is 25.*does not divide by 2 processes. Give a multiple of 2, such as batch_size=26"),
        ("numba", "engine='numba' trains in one process, and these are 2. Use engine='torch'"),
        ("wrong count", "adata.X has negative values"),  # it lies in the share of the second
        ("damaged", "can't be read .*delete the file to train from the start"),  # the first reads it
        ("other splits", "given different cells, genes or settings .rank 1 than rank 0"),
        ("other cells", "given different cells.* .rank 1 than rank 0.*same whole data and settings in every process"),
    ],
)
def test_what_is_wrong_is_said_by_all_processes(found, name, message):
    for of_rank in found:
        assert re.search(message, of_rank[name]), of_rank[name]


@pytest.mark.parametrize("how", ["error", "interrupt", "kill"])
def test_a_process_that_fails_ends_all(folder, tmp_path, how):
    words = [
        "train",
        folder / "cells.zarr",
        "-o",
        tmp_path / "trained.h5ad",
        "--max-epochs",
        "5",
        "--splits",
        "0",
        "--device",
        "cpu",
    ]
    done = start(Path(__file__).with_name("ranks_job.py"), "fail", how, *words)
    assert done.returncode != 0
    said = {"error": "the counts have gone", "interrupt": "interrupted", "kill": "SIGKILL"}
    assert said[how] in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_trains_with_two_processes(folder, tmp_path):
    words = ["--max-epochs", "2", "--splits", "0", "--batch-size", "32", "--device", "cpu"]
    path = tmp_path / "trained.h5ad"
    done = start("-m", "modulae", "train", folder / "cells.zarr", "-o", path, *words, "--memory-limit", "1GB")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Written:") == 3  # the cells, the units and the loadings, by one of the two
    trained, alone = ad.read_h5ad(path), ad.read_h5ad(folder / "cells.h5ad")
    mo.tl.autoencoder(alone, n_splits=0, max_epochs=2, batch_size=32, device="cpu")
    np.testing.assert_allclose(trained.obsm["X_ae"], alone.obsm["X_ae"], rtol=1e-3, atol=1e-4)
    assert (trained.X != alone.X).nnz == 0
    assert "ae_saliency" in trained.varm


def test_no_thread_outlives_the_group(found, folder, tmp_path):
    """One that drops a tensor while Python ends would abort the process, though all is done."""
    assert [of_rank["threads"] for of_rank in found] == [[], []]
    words = ["train", folder / "few.h5ad", "-o", tmp_path / "trained.h5ad", "--max-epochs", "3", "--device", "cpu"]
    words += ["--architecture", "orthogonal"]  # 9 cells have no 32 parts
    done = start(Path(__file__).with_name("ranks_job.py"), "fail", "ends", *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("threads left: []") == 2
