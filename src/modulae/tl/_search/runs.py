"""One training of a search: run it, keep it in a file, find it again."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.columns.labels import labels_of
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._utils.files import write_whole
from modulae._utils.parallel import limit_threads

from .data import digest
from .settings import Setting, defaults

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from .data import Data


@dataclass(frozen=True, slots=True)
class SearchRun:
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


def plan(data: Data, settings: list[Setting], seeds: list[int], *, folder: Path | None, n_threads: int) -> list[Task]:
    """All trainings, setting by setting, and where each is kept."""
    result, base, now = [], defaults(), version("modulae")
    cells = data.fingerprint() if folder is not None else ""
    for number, values in enumerate(settings):
        factors = values.get("size_factors", base["size_factors"])
        column = digest(data.obs[factors].to_numpy(dtype=np.float64)) if factors in data.obs else ""
        batch_key = values.get("batch_key")
        batches = "" if batch_key is None else _digest_labels(data.obs[batch_key])
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
            result.append(Task(number, values, seed, n_threads, file, text))
    return result


def _digest_labels(column: pd.Series[Any]) -> str:
    labels = labels_of(column, "batch_key")
    return digest("\n".join(labels.names).encode(), labels.codes)


def run(task: Task, data: Data, matrix: Any = None) -> SearchRun:  # noqa: ANN401
    """Train; the finished run is in its file before it is handed back.

    `matrix` is that of `data` where it travels by itself: backends send what is large once, if they can see it.
    """
    try:
        with limit_threads(task.n_threads):
            done = _train(task, data if matrix is None else replace(data, matrix=matrix))
    except Exception as error:
        error.add_note(
            f"This was the training with {task.values} and seed {task.seed}. To look into it, call "
            "`mo.tl.autoencoder` with these, or leave them out of the search."
        )
        raise
    if task.file is not None:
        save(task.file, task.identity, done)
    return done


def _train(task: Task, data: Data) -> SearchRun:
    from modulae.tl._autoencoder.autoencoder import autoencoder

    with data.opened() as adata:
        start = time.perf_counter()
        try:
            autoencoder(
                adata,
                mask_var=data.mask_var,
                n_splits=0,
                test_fraction=data.test_fraction,
                seed=task.seed,
                device=data.device,
                memory_limit=data.memory_limit,
                progress=False,
                **task.values,
            )
        except FloatingPointError as error:
            nothing = np.zeros((0, 0), dtype=np.float32)
            seconds = time.perf_counter() - start
            return SearchRun(task.setting, task.seed, np.nan, np.nan, 0, seconds, str(error), nothing)
        seconds = time.perf_counter() - start
        history, units = adata.uns[DEFAULT_KEY]["history"], adata.obsm[Fields().representation]
    if history["stopped"] == "interrupted":
        raise KeyboardInterrupt  # the training kept its best weights; a search has no use for half a run
    return SearchRun(
        task.setting,
        task.seed,
        float(np.min(history["test_loss"])),
        float(history["gene_means_loss"]),
        int(history["epoch"][-1]),
        seconds,
        "",
        units,
    )


def save(file: Path, identity: str, done: SearchRun) -> None:
    """Write a run to its file in one step: there is either all of it or nothing."""
    from safetensors.numpy import save as to_bytes

    facts = {name: value for name, value in asdict(done).items() if name not in {"representation", "setting"}}
    about = {"identity": identity, "run": json.dumps(facts)}
    content = to_bytes({"representation": np.ascontiguousarray(done.representation)}, metadata=about)
    write_whole(file, content)


def load(task: Task) -> SearchRun | None:
    """The run of an earlier search; `None` if there is none, or if its file is damaged or says something else."""
    from safetensors import SafetensorError, safe_open

    if task.file is None or not task.file.exists():
        return None
    try:
        with safe_open(task.file, framework="np") as stream:
            about = stream.metadata() or {}
            if about.get("identity") != task.identity:
                return None
            return SearchRun(
                setting=task.setting, representation=stream.get_tensor("representation"), **json.loads(about["run"])
            )
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None
