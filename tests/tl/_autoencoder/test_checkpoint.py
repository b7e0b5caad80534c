"""tl.autoencoder(checkpoint=...): whatever stops a training, it goes on to the result it would have had."""

import errno
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import modulae as mo
from modulae._model_io.checkpoint import FILE, check_every
from modulae._utils import files

ORTHOGONAL = {"architecture": "orthogonal", "n_hidden": 8}
KINDS = {
    "numba": {**ORTHOGONAL, "n_latent": 5, "max_epochs": 5, "engine": "numba"},
    "torch": {**ORTHOGONAL, "n_latent": 5, "max_epochs": 5, "engine": "torch"},
    "torch without momentum": {**ORTHOGONAL, "n_latent": 5, "max_epochs": 5, "engine": "torch", "momentum": 0.0},
    "parts": {"n_splits": 0, "n_latent": 4, "max_epochs": 5, "batch_size": 16},
}
COMMON = {"device": "cpu", "snapshot_epochs": (0, 2, 4)}


class CrashError(Exception):
    """Stands for whatever ends a process."""


def flat(entry):
    """Every value of a nested dict, by its place."""
    found = {}
    for name, value in entry.items():
        found |= {f"{name}/{at}": one for at, one in flat(value).items()} if isinstance(value, dict) else {name: value}
    return found


def same(one, other):
    """Whether two trained objects hold the same to the last bit."""
    for field in ("X_ae", "X_ae_epoch0", "X_ae_epoch2", "X_ae_epoch4"):
        np.testing.assert_array_equal(one.obsm[field], other.obsm[field])
    for part in ("model", "history"):
        first, second = flat(one.uns["ae"][part]), flat(other.uns["ae"][part])
        assert set(first) == set(second)
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name], err_msg=name)
            assert np.asarray(value).dtype == np.asarray(second[name]).dtype, name


def crash_in_epoch(monkeypatch, at, how=CrashError):
    """End the training when the epoch `at`, counted from the first of this call, begins."""
    from modulae.core.training.numba import numba_engine
    from modulae.core.training.numba.parts.engine import NumbaPartsEngine
    from modulae.core.training.torch import torch_engine

    seen = []
    for engine in (numba_engine.NumbaEngine, NumbaPartsEngine, torch_engine.TorchEngine):

        def epoch(self, *args, real=engine.epoch):
            seen.append(1)
            if len(seen) == at:
                raise how
            return real(self, *args)

        monkeypatch.setattr(engine, "epoch", epoch)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_ended_anywhere_goes_on_to_the_same_bits(untrained, kind, tmp_path, monkeypatch):
    settings = {**COMMON, **KINDS[kind]}
    whole = mo.tl.autoencoder(untrained, copy=True, **settings)
    for at in (1, 3, 5):
        folder = tmp_path / str(at)
        with monkeypatch.context() as patch:
            crash_in_epoch(patch, at)
            with pytest.raises(CrashError):
                mo.tl.autoencoder(untrained, checkpoint=folder, copy=True, **settings)
        epochs = []
        with monkeypatch.context() as patch:
            crash_in_epoch(patch, 7 - at)  # what is left, and one more
            epochs.append(mo.tl.autoencoder(untrained, checkpoint=folder, copy=True, **settings))
        same(whole, epochs[0])
    with monkeypatch.context() as patch:
        crash_in_epoch(patch, 1)  # not a single epoch more
        same(whole, mo.tl.autoencoder(untrained, checkpoint=folder, copy=True, **settings))
    assert [file.name for file in folder.iterdir()] == [FILE]


def test_a_checkpoint_in_the_middle_of_patience_stops_in_the_same_epoch(untrained, tmp_path, monkeypatch):
    settings = {**COMMON, **ORTHOGONAL, "n_latent": 5, "max_epochs": 60, "patience": 3, "schedule": "constant"}
    whole = mo.tl.autoencoder(untrained, copy=True, **settings)
    history = whole.uns["ae"]["history"]
    assert history["stopped"] == "patience"
    with monkeypatch.context() as patch:
        crash_in_epoch(patch, history["best_epoch"] + 2)
        with pytest.raises(CrashError):
            mo.tl.autoencoder(untrained, checkpoint=tmp_path, copy=True, **settings)
    same(whole, mo.tl.autoencoder(untrained, checkpoint=tmp_path, copy=True, **settings))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"learning_rate": 0.1}, r"differs in learning_rate \(0\.2 there, 0\.1 here\)"),
        ({"seed": 1}, r"seed \(0 there, 1 here\).*held-out cells"),
        ({"engine": "torch"}, "engine"),
        ({"mask_var": "chosen"}, "genes, counts"),
        ({"size_factors": "depth"}, "size_factors .*counts"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_and_says_in_what(untrained, changed, message, tmp_path):
    untrained.obs["depth"] = np.arange(1.0, 91)
    settings = {**ORTHOGONAL, "n_latent": 5, "max_epochs": 1, "device": "cpu", "checkpoint": tmp_path}
    mo.tl.autoencoder(untrained, **settings)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ValueError, match=f"{message}.*Give another folder as checkpoint="):
        mo.tl.autoencoder(untrained, **{**settings, **changed})
    assert (tmp_path / FILE).read_bytes() == before


def test_other_counts_are_another_training(untrained, tmp_path):
    settings = {"n_splits": 0, "n_latent": 4, "max_epochs": 1, "device": "cpu", "checkpoint": tmp_path}
    mo.tl.autoencoder(untrained, **settings)
    other = untrained.copy()
    other.X[3, 4] += 1
    with pytest.raises(ValueError, match="differs in counts"):
        mo.tl.autoencoder(other, **settings)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", None])
def test_a_damaged_checkpoint_says_what_to_do(untrained, content, tmp_path):
    settings = {"n_splits": 0, "n_latent": 4, "max_epochs": 1, "device": "cpu", "checkpoint": tmp_path}
    mo.tl.autoencoder(untrained, **settings)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[:-10] if content is None else content)
    with pytest.raises(ValueError, match=r"can't be read .*delete the file to train from the start"):
        mo.tl.autoencoder(untrained, **settings)


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(untrained, tmp_path, monkeypatch):
    settings = {**COMMON, **KINDS["numba"]}
    real, calls = os.fsync, []

    def full(handle):
        calls.append(1)
        if len(calls) >= 3:  # two a file: it and its folder
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(OSError, match=r"disk is full.*the last checkpoint is whole.*Free some space") as caught:
            mo.tl.autoencoder(untrained, checkpoint=tmp_path, copy=True, **settings)
    assert caught.value.errno == errno.ENOSPC
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    whole = mo.tl.autoencoder(untrained, copy=True, **settings)
    same(whole, mo.tl.autoencoder(untrained, checkpoint=tmp_path, copy=True, **settings))

    def always(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", always)
    with pytest.raises(OSError, match="no checkpoint has been written yet"):
        mo.tl.autoencoder(untrained, checkpoint=tmp_path / "new", copy=True, **settings)


def test_a_file_in_place_of_the_folder_is_refused_before_any_work(untrained, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match=r"is a file\. Give a folder"):
        mo.tl.autoencoder(untrained, checkpoint=tmp_path / "file", device="cpu")
    assert "ae" not in untrained.uns


@pytest.mark.parametrize("every", [0, -1, True, "soon", "-1min", 2.5, None])
def test_intervals_that_can_not_be(untrained, every):
    with pytest.raises(ValueError, match="give a number of epochs, such as 1, or a time, such as '10min'"):
        mo.tl.autoencoder(untrained, checkpoint_every=every, device="cpu")


def test_checkpoints_come_every_so_many_epochs_or_minutes(untrained, tmp_path, monkeypatch):
    from modulae._model_io import checkpoint

    written, now = [], [0.0]

    def noted(self, state):
        written.append(state.epoch)
        self._written = now[0]

    monkeypatch.setattr(checkpoint.Checkpoint, "keep", noted)
    settings = {**KINDS["numba"], "max_epochs": 5, "device": "cpu"}
    mo.tl.autoencoder(untrained, checkpoint=tmp_path, checkpoint_every=2, **settings)
    assert written == [0, 2, 4, 5]  # the end is always kept
    assert check_every("10min") == 600.0
    written.clear()

    def clock():
        now[0] += 4  # seconds between two looks
        return now[0]

    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(monotonic=clock))
    mo.tl.autoencoder(untrained, checkpoint=tmp_path, checkpoint_every="10s", **settings)
    assert written == [0, 3, 5]


def test_ctrl_c_keeps_the_best_so_far_and_a_second_call_goes_on(untrained, tmp_path, monkeypatch):
    settings = {**COMMON, **KINDS["numba"]}
    with monkeypatch.context() as patch:
        crash_in_epoch(patch, 3, KeyboardInterrupt)
        with pytest.warns(UserWarning, match=r"interrupted; the weights of epoch 2.*same checkpoint= to go on"):
            stopped = mo.tl.autoencoder(untrained, checkpoint=tmp_path, copy=True, **settings)
    assert stopped.uns["ae"]["history"]["stopped"] == "interrupted"
    whole = mo.tl.autoencoder(untrained, copy=True, **settings)
    same(whole, mo.tl.autoencoder(untrained, checkpoint=tmp_path, copy=True, **settings))


def test_progress_counts_cells_and_starts_where_it_left_off(untrained, tmp_path, monkeypatch, capsys):
    settings = {**COMMON, **KINDS["numba"], "checkpoint": tmp_path, "copy": True}
    with monkeypatch.context() as patch:
        crash_in_epoch(patch, 3)
        with pytest.raises(CrashError):
            mo.tl.autoencoder(untrained, **settings)
    capsys.readouterr()
    mo.tl.autoencoder(untrained, progress=True, **settings)
    shown = capsys.readouterr().err
    assert "405/405" in shown  # five epochs of 81 cells
    assert "epoch 5/5, held-out loss" in shown
    assert "cell/s" in shown


def test_the_rate_counts_the_cells_of_this_call(untrained, tmp_path, monkeypatch):
    from modulae.tl._autoencoder import run

    settings = {**COMMON, **KINDS["numba"], "checkpoint": tmp_path, "copy": True}
    bars, real = [], run.progress_bar

    def noted(*args, **given):
        bars.append(real(*args, **given))
        return bars[-1]

    monkeypatch.setattr(run, "progress_bar", noted)
    with monkeypatch.context() as patch:
        crash_in_epoch(patch, 3)
        with pytest.raises(CrashError):
            mo.tl.autoencoder(untrained, progress=True, **settings)
    mo.tl.autoencoder(untrained, progress=True, **settings)
    trained = [bar for bar in bars if bar.desc == "training"]
    assert [(bar.initial, bar.n) for bar in trained] == [(0, 162), (162, 405)]  # 81 cells an epoch


TRAIN = """
import sys
import anndata as ad
import modulae as mo

adata = ad.read_h5ad(sys.argv[1])
mo.tl.autoencoder(
    adata, architecture="orthogonal", n_latent=16, n_hidden=32, max_epochs={epochs}, patience={epochs},
    snapshot_epochs=(0, 2, 4), batch_size=4, device="cpu", checkpoint=sys.argv[2],
)
adata.write_h5ad(sys.argv[3])
"""


def kill_until_done(tmp_path, name, kills, epochs, seed):
    """Run the training as a process of its own, killed so many times at random moments."""
    rng = np.random.default_rng(seed)
    folder, result = tmp_path / f"run {name}", tmp_path / f"{name}.h5ad"
    command = [sys.executable, "-c", TRAIN.format(epochs=epochs), tmp_path / "cells.h5ad", folder, result]
    for number in range(kills):
        before = (folder / FILE).stat().st_mtime_ns if (folder / FILE).exists() else None
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while process.poll() is None:  # wait for the first write of this process, then for a random moment
            now = (folder / FILE).stat().st_mtime_ns if (folder / FILE).exists() else None
            if now != before:
                break
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.12))
        assert process.poll() is None, f"it was done before kill {number}: give it more epochs"
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True)
    return result


def killed_is_the_same(tmp_path, kills, epochs):
    import anndata as ad

    mo.datasets.simulated(n_cells=600, n_genes=200, n_programmes=3, seed=1).write_h5ad(tmp_path / "cells.h5ad")
    whole = kill_until_done(tmp_path, "whole", 0, epochs, 0)
    broken = kill_until_done(tmp_path, "broken", kills, epochs, 1)
    same(ad.read_h5ad(whole), ad.read_h5ad(broken))
    assert [file.name for file in (tmp_path / "run broken").iterdir()] == [FILE]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_twice_nothing_is_lost(tmp_path):
    killed_is_the_same(tmp_path, kills=2, epochs=60)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_twenty_times_nothing_is_lost(tmp_path):
    killed_is_the_same(tmp_path, kills=20, epochs=300)
