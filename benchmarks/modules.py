"""Are the units programmes, and do they come back? The two architectures beside PCA, ICA and NMF."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import modulae as mo
from modulae._anndata import read_cells, read_model
from modulae.core.encode import denoise, encode
from modulae.core.parts_start import sparsity

from . import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

N_UNITS = 32
SEEDS = (110, 111, 112)
SHARE = 0.8
RESOLUTIONS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.4, 1.8)
SIMULATED: dict[str, dict[str, Any]] = {
    "easy": {"difficulty": "easy"},
    "hard": {"difficulty": "hard"},
    "hard, additive": {"difficulty": "hard", "rates": "additive"},
}
SHORT = {"n_cells": 150, "n_genes": 150, "n_programmes": 6, "genes_per_programme": 12, "n_groups": 2}


@dataclass(frozen=True)
class Data:
    """Cells with the genes to learn, `obs["size"]` for size factors, and what is to be found again."""

    name: str
    adata: AnnData
    labels: Any
    cell_types: str
    gene_sets: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Fit:
    """What a method learnt from some cells, applied to others."""

    units: Callable[[AnnData], NDArray[Any]]
    rates: Callable[[AnnData], NDArray[Any]]
    loadings: NDArray[Any] | None = None  # genes × units
    saliency: NDArray[Any] | None = None


def data(*, short: bool) -> Iterator[Data]:
    """Simulated cells of every kind and seed, then real ones."""
    for name, settings in SIMULATED.items():
        for seed in SEEDS[: 1 if short else None]:
            adata = mo.datasets.simulated(**settings, seed=seed, **(SHORT if short else {}))
            yield Data(name, with_size(adata), adata.obsm["truth_activity"], "group", adata.uns["gene_sets"])
    if short or "MODULAE_DATA" not in os.environ:
        return
    folder = Path(os.environ["MODULAE_DATA"])
    sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
    sets |= mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
    for name, file, labels in (
        ("pbmc3k", "pbmc3k.h5ad", "seurat_celltype"),
        ("Kang", "kang_ifnb_sub2000.h5ad", "seurat_annotations"),
    ):
        adata = with_size(ad.read_h5ad(folder / file))
        mo.pp.gene_set_mask(adata, sets)
        adata = adata[:, adata.var["in_gene_sets"]].copy()
        yield Data(name, adata, adata.obs[labels].astype(str), labels)


def with_size(adata: AnnData) -> AnnData:
    """Note the total count over all genes, before some are left out."""
    totals = np.asarray(adata.X.sum(axis=1), dtype=np.float64).ravel()
    adata.obs["size"] = totals / np.median(totals)
    return adata


def inputs(adata: AnnData) -> NDArray[np.float64]:
    """log1p of the counts over the size factor."""
    return np.log1p(adata.X.toarray().astype(np.float64) / adata.obs["size"].to_numpy()[:, None])


def ours(adata: AnnData, seed: int, **settings: Any) -> Fit:  # noqa: ANN401
    """One of our architectures."""
    mo.tl.autoencoder(adata, size_factors="size", seed=seed, progress=False, device="cpu", **settings)
    mo.tl.saliency(adata, device="cpu")
    fitted = read_model(adata, "ae")
    return Fit(
        lambda other: encode(fitted.network, read_cells(other, fitted, layer=None)),
        lambda other: denoise(fitted.network, read_cells(other, fitted, layer=None)),
        adata.varm.get("ae_loadings"),
        adata.varm["ae_saliency"],
    )


def theirs(adata: AnnData, seed: int, name: str, n_units: int) -> Fit:
    """PCA, ICA or NMF of the same input; units of NMF are scaled as ours are."""
    from sklearn.decomposition import NMF, PCA, FastICA

    values = inputs(adata)
    alpha = sparsity(sparse.csr_matrix(values))
    model = {
        "PCA": lambda: PCA(n_units, random_state=seed),
        "ICA": lambda: FastICA(n_units, max_iter=500, random_state=seed),
        "NMF": lambda: NMF(n_units, init="nndsvda", max_iter=200, random_state=seed),
        "sparse NMF": lambda: NMF(
            n_units, init="nndsvda", max_iter=200, random_state=seed, alpha_W=alpha, alpha_H=alpha, l1_ratio=1.0
        ),
    }[name]()
    units = model.fit_transform(values)
    size = np.sqrt((units**2).mean(axis=0))
    scale = size if "NMF" in name else np.ones(n_units)
    weights = (model.mixing_ if name == "ICA" else model.components_.T) * size

    def rates(other: AnnData) -> NDArray[Any]:
        means = np.expm1(model.inverse_transform(model.transform(inputs(other))))
        return other.obs["size"].to_numpy()[:, None] * (np.maximum(means, 0) + 1e-4)

    return Fit(lambda other: model.transform(inputs(other)) / np.where(scale > 0, scale, 1), rates, weights)


def methods(*, short: bool) -> dict[str, Callable[[AnnData, int], Fit]]:
    """By name: cells and a seed → what was learnt."""
    n_units = 8 if short else N_UNITS
    quick = {"max_epochs": 3} if short else {}
    return {
        'ours, `architecture="parts"`': lambda adata, seed: ours(
            adata, seed, architecture="parts", **({"n_latent": 8} if short else {})
        ),
        "ours, default": lambda adata, seed: ours(adata, seed, **quick),
        **{
            f"{name}({n_units})": lambda adata, seed, name=name: theirs(adata, seed, name, n_units)
            for name in ("NMF", "sparse NMF", "ICA", "PCA")
        },
    }


def poisson_loss(rates: NDArray[Any], counts: NDArray[Any]) -> float:
    """Mean of y − x·log(y + ε)."""
    return float((rates - counts * np.log(rates + 1e-8)).mean())


def leiden_nmi(adata: AnnData, labels: str) -> float:
    """Best over a few resolutions."""
    import scanpy as sc
    from sklearn.metrics import normalized_mutual_info_score

    sc.pp.neighbors(adata, use_rep="X_units")
    found = []
    for resolution in RESOLUTIONS:
        sc.tl.leiden(adata, resolution, flavor="igraph", n_iterations=2, directed=False)
        found.append(normalized_mutual_info_score(adata.obs[labels].astype(str), adata.obs["leiden"]))
    return max(found)


def measure(it: Data, fit: Fit, units: NDArray[Any], unseen: NDArray[np.bool_], *, short: bool) -> dict[str, float]:
    """Everything that one fit is asked."""
    scores = mo.metrics.disentanglement(units, it.labels)
    found = {f"{metric}-SMI": scores.loc[metric, "SMI"] for metric in scores.index}
    found["LMS-SPN"] = scores.loc["LMS", "SPN"]
    for name, weights in {"loadings": fit.loadings, "saliency": fit.saliency}.items():
        known = weights is not None and it.gene_sets is not None
        by_name = pd.DataFrame(weights, index=it.adata.var_names) if known else None
        recovered = mo.metrics.programme_recovery(by_name, it.gene_sets)["auprc"].mean() if known else np.nan
        found[f"AUPRC of {name}"] = recovered
    seen = ad.AnnData(obs=it.adata.obs[[it.cell_types]].copy(), obsm={"X_units": units})
    found["k-means NMI"] = mo.metrics.clustering_nmi(
        seen, labels=it.cell_types, use_rep="X_units", n_runs=2 if short else 20
    ).mean()
    found["Leiden NMI"] = np.nan if it.gene_sets is not None else leiden_nmi(seen, it.cell_types)
    new = it.adata[unseen]
    found["loss of unseen cells"] = poisson_loss(fit.rates(new), new.X.toarray())
    found["live units"] = live(units).sum()
    return found


def live(units: NDArray[Any]) -> NDArray[np.bool_]:
    """Units that vary at least a hundredth as much as the one that varies most."""
    spread = units.std(axis=0)
    return np.asarray(spread > 0.01 * spread.max())


def warm_up() -> None:
    """What is imported or compiled at first use belongs to no method."""
    few = with_size(mo.datasets.simulated(**SHORT))
    for settings in ({"architecture": "parts", "n_latent": 4}, {}):
        ours(few.copy(), 0, max_epochs=1, **settings)


def rows(it: Data, *, short: bool) -> Iterator[dict[str, Any]]:
    """Each method on two draws of the cells, each with a seed of its own."""
    rng = np.random.default_rng(0)
    draws = [np.sort(rng.permutation(it.adata.n_obs)[: int(SHARE * it.adata.n_obs)]) for _ in range(2)]
    both = np.intersect1d(*draws)
    for method, learn in methods(short=short).items():
        found, every = [], []
        for seed, drawn in enumerate(draws):
            start = time.process_time()
            fit = learn(it.adata[drawn].copy(), seed)
            seconds = time.process_time() - start
            every.append(fit.units(it.adata))
            unseen = ~np.isin(np.arange(it.adata.n_obs), drawn)
            found.append({**measure(it, fit, every[-1], unseen, short=short), "CPU seconds": seconds})
        first, second = (units[both] for units in every)
        back = mo.metrics.unit_stability(first[:, live(first)], second)["back"].mean()
        yield {"data": it.name, "method": method, **pd.DataFrame(found).mean(), "units back": back}
        print(it.name, method, "done", flush=True)


WORDS = (
    "Each method learns twice, from 80 % of the cells each time and with another seed, and then encodes all cells: "
    f"means of both, for the simulated data over {len(SEEDS)} fresh seeds. Labels are `truth_activity` of "
    "`datasets.simulated` (ten programmes, five cell types) or the cell types that came with real cells, whose genes "
    "are those of Hallmark and DMAP. LMS, MSAS, MSGS: {func}`modulae.metrics.disentanglement`. AUPRC: "
    "{func}`modulae.metrics.programme_recovery`. k-means: 20 runs; Leiden: the best of seven resolutions. Loss: mean "
    "Poisson loss of the 20 % of cells that were not learnt from. Units back: share of the live units of the first run "
    "that the second has at |r| > 0.9, on the cells that both learnt from. PCA, ICA and NMF read the same "
    "log1p(x / s) as ours; units of NMF are scaled to mean square 1, as ours start; sparse NMF has the L1 penalty of "
    "our start. CPU seconds are of one thread."
)
COLUMNS = ("LMS-SMI", "MSAS-SMI", "MSGS-SMI", "LMS-SPN", "AUPRC of loadings", "AUPRC of saliency", "units back")
COLUMNS += ("k-means NMI", "Leiden NMI", "loss of unseen cells", "CPU seconds", "live units")


def page(found: list[dict[str, Any]], *, short: bool) -> str:
    """Means over the seeds, as a table."""
    means = pd.DataFrame(found).groupby(["data", "method"], sort=False).mean()
    shown = []
    for (name, method), row in means.iterrows():
        digits = {"CPU seconds": 0, "live units": 0, "loss of unseen cells": 4, "units back": 2}
        cells = {c: "–" if np.isnan(row[c]) else f"{row[c]:.{digits.get(c, 3)}f}" for c in COLUMNS}
        shown.append({"data": name, "method": method, **cells})
    return table.write("modules", "Units as programmes, and units that come back", WORDS, shown, short=short)


def run(*, short: bool) -> str:
    """Every method on all data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of methods that stop before they converge
        warm_up()
        return page([row for it in data(short=short) for row in rows(it, short=short)], short=short)
