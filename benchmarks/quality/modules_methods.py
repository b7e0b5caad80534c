"""The methods of the modules benchmark: ours, classical ones, and peers that run in an environment of their own."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np

import modulae as mo
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae.core.inference.encode import denoise, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray

N_UNITS = 32
PARTS = "ours, `n_splits=0`"
SPARSE = 1.2e-3
"""L1 penalty of sparse NMF on both factors, for inputs of mean square 1."""

EPOCHS = 400
"""What the authors of scVI and DRVI train for with so few cells."""

VARIABLE_GENES = 2000
"""What the authors of DRVI (and, by default, those of cNMF) choose."""

SOME_UNITS = ("3", "5", "8", "12", "16", "24", "32")
"""What cNMF chooses its number from."""


@dataclass(frozen=True)
class Task:
    """Cells, which of them to learn from, and a seed."""

    adata: AnnData
    drawn: NDArray[np.intp]
    seed: int

    @property
    def unseen(self) -> NDArray[np.bool_]:
        """The others."""
        return ~np.isin(np.arange(self.adata.n_obs), self.drawn)


@dataclass(frozen=True)
class Fit:
    """What a method learnt from some cells, and says of the others."""

    units: NDArray[Any]  # of all cells
    rates: NDArray[Any] | None = None  # of the cells not learnt from × genes
    loadings: NDArray[Any] | None = None  # genes × units
    saliency: NDArray[Any] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Method:
    """How to learn, and from how many draws; on the first seed alone where it takes long."""

    learn: Callable[[Task], Fit]
    n_draws: int = 2
    first_seed_only: bool = False


def inputs(adata: AnnData) -> NDArray[np.float64]:
    """log1p of the counts over the size factor."""
    return np.log1p(adata.X.toarray().astype(np.float64) / adata.obs["size"].to_numpy()[:, None])


def ours(task: Task, **settings: Any) -> Fit:  # noqa: ANN401
    """One of our models."""
    adata = task.adata[task.drawn].copy()
    given = {"size_factors": "size", "seed": task.seed, "progress": False, "device": "cpu", "key_added": "ae"}
    given |= settings
    start = time.process_time()
    mo.tl.autoencoder(adata, **given)
    mo.tl.saliency(adata, device="cpu")
    seconds = time.process_time() - start
    fitted = read_model(adata, "ae")
    every, new = (read_cells(cells, fitted, layer=None) for cells in (task.adata, task.adata[task.unseen]))
    return Fit(
        encode(fitted.network, every),
        denoise(fitted.network, new),
        adata.varm.get("ae_loadings"),
        adata.varm["ae_saliency"],
        seconds,
    )


def classical(task: Task, name: str, n_units: int) -> Fit:
    """PCA, ICA or NMF of the same input; units of NMF are scaled as ours are."""
    from sklearn.decomposition import NMF, PCA, FastICA

    seed, new = task.seed, task.adata[task.unseen]
    start = time.process_time()
    values = inputs(task.adata[task.drawn])
    alpha = SPARSE * float((values.astype(np.float64) ** 2).mean()) ** 0.75  # the same parts whatever the unit
    model = {
        "PCA": lambda: PCA(n_units, random_state=seed),
        "ICA": lambda: FastICA(n_units, max_iter=500, random_state=seed),
        "NMF": lambda: NMF(n_units, init="nndsvda", max_iter=200, random_state=seed),
        "sparse NMF": lambda: NMF(
            n_units, init="nndsvda", max_iter=200, random_state=seed, alpha_W=alpha, alpha_H=alpha, l1_ratio=1.0
        ),
    }[name]()
    units = model.fit_transform(values)
    seconds = time.process_time() - start
    size = np.sqrt((units**2).mean(axis=0))
    scale = size if "NMF" in name else np.ones(n_units)
    weights = (model.mixing_ if name == "ICA" else model.components_.T) * size
    means = np.expm1(model.inverse_transform(model.transform(inputs(new))))
    rates = new.obs["size"].to_numpy()[:, None] * (np.maximum(means, 0) + 1e-4)
    return Fit(model.transform(inputs(task.adata)) / np.where(scale > 0, scale, 1), rates, weights, seconds=seconds)


def peer(task: Task, name: str, *options: str) -> Fit:
    """What `benchmarks/peers/peers.py` finds in the peers' environment."""
    cells = ad.AnnData(task.adata.X, obs=task.adata.obs[[]].copy(), var=task.adata.var[[]].copy())
    cells.obs["learn"] = ~task.unseen
    script = Path(__file__).parents[1] / "peers" / "peers.py"
    with tempfile.TemporaryDirectory() as folder:
        given, found = f"{folder}/cells.h5ad", f"{folder}/found.npz"
        cells.write_h5ad(given)
        command = [os.environ["MODULAE_PEERS"], str(script), name, given, found, "--seed", str(task.seed), *options]
        own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"{name} ended with an error:\n{done.stderr[-3000:]}"
            raise RuntimeError(msg)
        with np.load(found) as read:
            arrays = {key: read[key] for key in read.files}
    return Fit(arrays["units"], arrays.get("rates"), arrays.get("loadings"), seconds=float(arrays["seconds"]))


def methods(*, short: bool) -> dict[str, Method]:
    """By name, our parts-based model first; peers where `MODULAE_PEERS` names the Python of their environment."""
    n_units = 8 if short else N_UNITS
    few = {"n_latent": 8} if short else {}
    quick = {"max_epochs": 3} if short else {}
    paper = {**mo.presets.KINALIS_2019, **({"max_epochs": 2} if short else {})}
    return {
        PARTS: Method(lambda task: ours(task, n_splits=0, **few)),
        "`tl.autoencoder`, default": Method(lambda task: ours(replace(task, seed=1000 * task.seed), **few)),
        "ours, orthogonal": Method(lambda task: ours(task, architecture="orthogonal", **quick)),
        "ours, paper preset": Method(lambda task: ours(task, **paper), n_draws=1, first_seed_only=True),
        **{
            f"{name}({n_units})": Method(lambda task, name=name: classical(task, name, n_units))
            for name in ("NMF", "sparse NMF", "ICA", "PCA")
        },
        **(peers(short=short) if "MODULAE_PEERS" in os.environ else {}),
    }


def peers(*, short: bool) -> dict[str, Method]:
    """As their authors train them, from the first seed, or from all of them with `MODULAE_PEERS_ALL=1`."""
    everything = "MODULAE_PEERS_ALL" in os.environ
    runs = ("--runs", str(100 if everything else 20), "--units", *(("4", "8") if short else SOME_UNITS))
    epochs = ("--epochs", "2" if short else str(EPOCHS))
    genes = ("--genes", str(VARIABLE_GENES))
    few: dict[str, Any] = {} if everything or short else {"n_draws": 1, "first_seed_only": True}
    found = {"cNMF, its own number": Method(lambda task: peer(task, "cNMF", *runs), **few)}
    for name, options in (("LinearSCVI", ()), ("scVI", ()), ("DRVI", genes)):
        found[f"{name}, {epochs[1]} epochs"] = Method(
            lambda task, name=name, options=options: peer(task, name, *options, *epochs), **few
        )
    return found


def warm_up(few: Callable[[], AnnData]) -> None:
    """What is imported or compiled at first use belongs to no method."""
    for settings in ({"n_splits": 0, "n_latent": 4}, {"architecture": "orthogonal"}, {**mo.presets.KINALIS_2019}):
        adata = few()
        ours(Task(adata, np.arange(adata.n_obs - 10), 0), **{**settings, "max_epochs": 1})
