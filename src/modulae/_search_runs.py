"""One training of a search: run it, keep it in a file, find it again."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from ._fields import DEFAULT_KEY, Fields
from ._files import write_whole
from ._search_settings import Setting, defaults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray
    from scipy import sparse


@dataclass(frozen=True, slots=True)
class Data:
    """What every training reads."""

    matrix: sparse.csr_matrix  # cells × genes, checked counts
    obs: pd.DataFrame  # columns that settings name as size factors or batches
    var: pd.DataFrame  # the mask
    mask_var: str | None
    test_fraction: float
    device: str

    def fingerprint(self) -> str:
        """Hash of the counts, the genes and the mask."""
        mask = np.zeros(0) if self.mask_var is None else self.var[self.mask_var].to_numpy()
        parts = (self.matrix.data, self.matrix.indices, self.matrix.indptr, np.asarray(self.matrix.shape), mask)
        return _digest(*parts, "\n".join(self.var.index).encode())


@dataclass(frozen=True, slots=True)
class Run:
    """A finished training; losses are mean Poisson losses of the held-out cells, in counts."""

    setting: int
    seed: int
    loss: float
    gene_means_loss: float
    epochs: int
    seconds: float
    error: str
    representation: NDArray[np.float32]  # cells × units; no cells after an error


@dataclass(frozen=True, slots=True)
class Task:
    """A training to be done."""

    setting: int
    values: Setting
    seed: int
    n_threads: int
    file: Path | None
    identity: str
    home: int  # the process that asked for it


def plan(data: Data, settings: list[Setting], seeds: list[int], *, folder: Path | None, n_threads: int) -> list[Task]:
    """All trainings, setting by setting, and where each is kept."""
    found, base, now = [], defaults(), version("modulae")
    cells = data.fingerprint() if folder is not None else ""
    for number, values in enumerate(settings):
        factors = values.get("size_factors", base["size_factors"])
        column = _digest(data.obs[factors].to_numpy(dtype=np.float64)) if factors in data.obs else ""
        batch_key = values.get("batch_key")
        batches = "" if batch_key is None else _digest("\n".join(data.obs[batch_key].astype(str)).encode())
        for seed in seeds:
            identity = {
                "modulae": now,
                "data": cells,
                "size_factors": column,
                "batches": batches,
                "test_fraction": data.test_fraction,
                "settings": {**base, **values},
                "seed": seed,
            }
            text = json.dumps(identity, sort_keys=True, default=list)
            name = f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.safetensors"
            file = None if folder is None else folder / name
            found.append(Task(number, values, seed, n_threads, file, text, os.getpid()))
    return found


def run(task: Task, data: Data) -> Run:
    """Train; the finished run is in its file before it is handed back."""
    if os.getpid() == task.home:  # a thread: threads and warnings belong to all, and are seen to by who asked
        done = _train(task, data)
    else:
        with quiet(task.n_threads):
            done = _train(task, data)
    if task.file is not None:
        save(task.file, task.identity, done)
    return done


def _train(task: Task, data: Data) -> Run:
    from anndata import AnnData

    from .tl import autoencoder

    adata = AnnData(data.matrix, obs=data.obs.copy(), var=data.var.copy())
    start = time.perf_counter()
    try:
        autoencoder(
            adata,
            mask_var=data.mask_var,
            test_fraction=data.test_fraction,
            seed=task.seed,
            device=data.device,
            progress=False,
            **task.values,
        )
    except FloatingPointError as error:
        nothing = np.zeros((0, 0), dtype=np.float32)
        seconds = time.perf_counter() - start
        return Run(task.setting, task.seed, np.nan, np.nan, 0, seconds, str(error), nothing)
    seconds = time.perf_counter() - start
    history = adata.uns[DEFAULT_KEY]["history"]
    if history["stopped"] == "interrupted":
        raise KeyboardInterrupt  # the training kept its best weights; a search has no use for half a run
    return Run(
        task.setting,
        task.seed,
        float(np.min(history["test_loss"])),
        float(history["gene_means_loss"]),
        int(history["epoch"][-1]),
        seconds,
        "",
        adata.obsm[Fields().representation],
    )


def save(file: Path, identity: str, done: Run) -> None:
    """Write a run to its file in one step: there is either all of it or nothing."""
    from safetensors.numpy import save as to_bytes

    facts = {name: value for name, value in asdict(done).items() if name not in {"representation", "setting"}}
    about = {"identity": identity, "run": json.dumps(facts)}
    content = to_bytes({"representation": np.ascontiguousarray(done.representation)}, metadata=about)
    write_whole(file, content)


def load(task: Task) -> Run | None:
    """The run of an earlier search; `None` if there is none, or if its file is damaged or says something else."""
    from safetensors import SafetensorError, safe_open

    if task.file is None or not task.file.exists():
        return None
    try:
        with safe_open(task.file, framework="np") as stream:
            about = stream.metadata() or {}
            if about.get("identity") != task.identity:
                return None
            return Run(
                setting=task.setting, representation=stream.get_tensor("representation"), **json.loads(about["run"])
            )
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None


@contextmanager
def quiet(n_threads: int) -> Iterator[None]:
    """So many threads for everything in this process, and no warnings of trainings: the table says what they would."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with threadpool_limits(limits=n_threads), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        torch.set_num_threads(before)


def _digest(*parts: Any) -> str:  # noqa: ANN401
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            found.update(part)
        else:
            array = np.ascontiguousarray(part)
            found.update(f"{array.dtype.str}{array.shape}".encode())
            found.update(array.view(np.uint8).data if array.size else b"")
    return found.hexdigest()
