"""Is the simulator a fair test? What the truth itself, known loadings and simple methods reach."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import Bounds, minimize

import modulae as mo
from benchmarks import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

    Found = tuple[str, NDArray[Any], NDArray[Any]]

DATA: dict[str, dict[str, Any]] = {
    "easy": {"difficulty": "easy"},
    "hard": {"difficulty": "hard"},
    "hard, additive": {"difficulty": "hard", "rates": "additive"},
}
N_UNITS = 32
SHORT = {"n_cells": 150, "n_genes": 150, "n_programmes": 6, "genes_per_programme": 12, "n_groups": 2}


def normalised(adata: AnnData) -> NDArray[np.float64]:
    """log1p of the counts over the cell's size factor."""
    counts = adata.X.toarray().astype(np.float64)
    totals = counts.sum(axis=1)
    return np.log1p(counts / (totals / np.median(totals))[:, None])


def most_likely(adata: AnnData) -> NDArray[np.float64]:
    """Activities that make the counts most likely where all else is known: about what the counts can tell at most."""
    counts = adata.X.toarray().astype(np.float64)
    base = adata.obs["truth_depth"].to_numpy()[:, None] * np.exp(adata.var["truth_baseline"].to_numpy())
    additive = adata.uns["truth"]["rates"] == "additive"
    loadings = adata.varm["truth_loadings"].astype(np.float64)
    weights = np.expm1(loadings) if additive else loadings

    def loss(z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        effect = z.reshape(adata.n_obs, -1) @ weights.T
        rates = base * (1 + effect if additive else np.exp(effect))
        slope = (1 - counts / rates) * (base if additive else rates)
        return float((rates - counts * np.log(rates)).sum()), (slope @ weights).ravel()

    start = np.full(adata.n_obs * weights.shape[1], 0.3)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=Bounds(0, np.inf), options={"maxiter": 200})
    return np.asarray(found.x.reshape(adata.n_obs, -1))


def methods(adata: AnnData, seed: int, *, short: bool) -> Iterator[Found]:
    """Name, cells × units and genes × units of each method."""
    from sklearn.decomposition import NMF, PCA, FastICA

    values, truth = normalised(adata), adata.obsm["truth_activity"]
    n_units = 8 if short else N_UNITS
    with_mean = np.c_[np.ones(len(truth)), truth]
    slopes = np.linalg.lstsq(with_mean, values, rcond=None)[0][1:].T  # genes × programmes
    yield "(the truth itself)", truth, slopes
    yield "(true loadings known)", most_likely(adata), adata.varm["truth_loadings"]
    for name, model in {
        f"NMF({n_units})": NMF(n_units, init="nndsvda", max_iter=200, random_state=seed),
        f"PCA({n_units})": PCA(n_units, random_state=seed),
        f"ICA({n_units})": FastICA(n_units, max_iter=500, random_state=seed),
    }.items():
        units = model.fit_transform(values)
        weights = model.mixing_ if name.startswith("ICA") else model.components_.T
        yield name, units, weights * np.sqrt((units**2).mean(axis=0))
    given: dict[str, Any] = {"architecture": "orthogonal", **({"max_epochs": 3} if short else {})}
    mo.tl.autoencoder(adata, seed=seed, progress=False, device="cpu", **given)
    mo.tl.saliency(adata)
    yield "`tl.autoencoder`, orthogonal", adata.obsm["X_ae"], adata.varm["ae_saliency"]


def measure(adata: AnnData, units: NDArray[Any], weights: NDArray[Any]) -> dict[str, float]:
    """How well the units fit the programmes, and their weights the genes of these."""
    scores = mo.metrics.disentanglement(units, adata.obsm["truth_activity"])
    genes = mo.metrics.programme_recovery(pd.DataFrame(weights, index=adata.var_names), adata.uns["gene_sets"])
    found = {f"{metric}-{score}": scores.loc[metric, score] for score in scores for metric in scores.index}
    return {**found, "AUPRC of genes": genes["auprc"].mean()}


def run(*, short: bool) -> str:
    """All methods on fresh data of every kind, over the seeds."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for name, settings in DATA.items():
        for seed in range(1 if short else 3):
            adata = mo.datasets.simulated(**settings, seed=seed, **(SHORT if short else {}))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of methods that stop before they converge
                start = time.perf_counter()
                for method, units, weights in methods(adata, seed, short=short):
                    seconds = time.perf_counter() - start
                    found.setdefault((name, method), []).append({**measure(adata, units, weights), "seconds": seconds})
                    start = time.perf_counter()
            print(name, seed, "done", flush=True)
    rows = []
    for (name, method), every in found.items():
        means = pd.DataFrame(every).mean()
        shown = {column: f"{value:.3f}" for column, value in means.drop("seconds").items()}
        rows.append({"data": name, "method": method, **shown, "seconds": f"{means['seconds']:.0f}"})
    words = (
        "`datasets.simulated(difficulty=...)` with its own sizes, mean of three seeds; the labels are "
        "`truth_activity`, ten programmes and the identities of five cell types. The first two rows of each kind are "
        "bounds: the truth scored with itself (its MSGS is below 1 where programmes run together), and the activities "
        "that make the counts most likely when loadings, baselines and depths are known. PCA, ICA and NMF see log1p of "
        "the counts over the size factor. Genes are ranked by loadings times the size of the unit, for the autoencoder "
        "by the saliency, for the truth by least squares on its activities. Seconds are of a shared machine."
    )
    return table.write("simulator", "Planted programmes, easy and hard", words, rows, short=short)
