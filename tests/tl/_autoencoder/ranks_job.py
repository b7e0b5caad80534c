"""What the processes of tests/tl/test_ranks.py do: `torchrun ranks_job.py FOLDER`, or with a way to fail."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import warnings
from pathlib import Path

import anndata as ad
import numpy as np

import modulae as mo
from modulae.__main__ import main
from modulae._cli.files import opened
from modulae.core.processes.group import end_group, start_group
from modulae.core.training.torch import torch_engine


class CrashError(Exception):
    """Stands for whatever ends a process."""


def result(adata):
    """Arrays of a trained object, by name."""
    found = {name: np.asarray(adata.obsm[name]) for name in adata.obsm if name.startswith("X_ae")}
    model = {f"model {name}": value for name, value in adata.uns["ae"]["model"].items() if np.ndim(value) > 1}
    summary = adata.uns["ae"]["model"]["training"]
    model |= {f"summary {name}": value for name, value in summary.items() if np.asarray(value).dtype.kind == "f"}
    replication = adata.uns["ae"].get("replication", {})
    model |= {f"halves {name}": np.nan_to_num(value) for name, value in replication.items() if np.ndim(value)}
    history = mo.get.history(adata)[["train_loss", "test_loss"]].to_numpy()
    return {**found, **model, "history": history, "best": adata.uns["ae"]["history"]["best_epoch"]}


def threads():
    """Names of this process's threads that exchange what processes send each other."""
    tasks = Path("/proc/self/task")
    names = [(task / "comm").read_text() for task in tasks.iterdir()] if tasks.exists() else []
    return [name for name in names if "gloo" in name]


def crash_at(turn, real=torch_engine.TorchEngine.epoch):
    """The method `epoch`, which fails when it is called so many times."""
    turns = []

    def epoch(self, *args):
        turns.append(1)
        if len(turns) == turn:
            raise CrashError
        return real(self, *args)

    return epoch


def train(adata, settings):
    """One job; with `crash`, a checkpoint is left behind in the middle first."""
    crash = settings.pop("crash", None)
    if crash is not None:
        torch_engine.TorchEngine.epoch, real = crash_at(crash), torch_engine.TorchEngine.epoch
        with contextlib.suppress(CrashError):
            mo.tl.autoencoder(adata, **settings)
        torch_engine.TorchEngine.epoch = real
    mo.tl.autoencoder(adata, **settings)
    return result(adata)


def changed(adata, rank, change):
    """What is wrong with the cells of one process."""
    if change == "other cells on rank 1" and rank == 1:
        return adata[:-1].copy()
    return adata


def run(folder):
    """Every job of `jobs.json`; each process writes what it found, or what was said."""
    import torch.distributed as dist

    start_group("gloo")
    rank, found = dist.get_rank(), {}
    for name, job in json.loads((folder / "jobs.json").read_text()).items():
        with contextlib.ExitStack() as stack:
            path = folder / job["path"]
            adata = ad.read_h5ad(path) if job["in_memory"] else stack.enter_context(opened(path)).adata
            if job.get("torch_is_set"):
                import torch

                torch.use_deterministic_algorithms(True)
                stack.callback(torch.use_deterministic_algorithms, False)
                for setting in (torch.device("meta"), torch.inference_mode(), torch.autocast("cpu")):
                    stack.enter_context(setting)
            if job.get("change") == "once on rank 1" and rank == 1:
                job["settings"]["n_splits"] = 0
            try:
                found[name] = train(changed(adata, rank, job.get("change")), job["settings"])
            except (ValueError, OSError) as error:
                found[name] = f"{type(error).__name__}: {error}"
    end_group()
    found["threads"] = threads()
    (folder / f"found.{rank}").write_bytes(pickle.dumps(found))


def fail(how, words):
    """The command line, where the second process fails in its third epoch, or none does."""
    real, turns = torch_engine.TorchEngine.epoch, []

    def epoch(self, *args):
        turns.append(1)
        if os.environ["RANK"] == "1" and len(turns) == 3 and how != "ends":
            if how == "error":
                raise OSError("the counts have gone")
            if how == "interrupt":
                signal.raise_signal(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *args)

    torch_engine.TorchEngine.epoch = epoch
    status = main(words)
    sys.stderr.write(f"threads left: {threads()}\n")
    return status


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "fail":
        sys.exit(fail(sys.argv[2], sys.argv[3:]))
    run(Path(sys.argv[1]))
