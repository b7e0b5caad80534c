"""Are the units programmes, and do they come back? Our architectures beside classical and deep ones."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd

import modulae as mo
from benchmarks import table

from .modules_methods import SOME_UNITS, Fit, Task, methods, warm_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

    from .modules_methods import Method

SEEDS = (130, 131, 132, 133, 134)
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
    seed: int = SEEDS[0]  # of the simulation


def data(*, short: bool) -> Iterator[Data]:
    """Simulated cells of every kind and seed, then real ones."""
    for name, settings in SIMULATED.items():
        for seed in SEEDS[: 1 if short else None]:
            adata = mo.datasets.simulated(**settings, seed=seed, **(SHORT if short else {}))
            yield Data(name, with_size(adata), adata.obsm["truth_activity"], "group", adata.uns["gene_sets"], seed)
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


def measure(it: Data, fit: Fit, unseen: NDArray[np.bool_], *, short: bool) -> dict[str, float]:
    """Everything that one fit is asked."""
    scores = mo.metrics.disentanglement(fit.units, it.labels)
    found = {f"{metric}-SMI": scores.loc[metric, "SMI"] for metric in scores.index}
    found["LMS-SPN"] = scores.loc["LMS", "SPN"]
    for name, weights in {"loadings": fit.loadings, "saliency": fit.saliency}.items():
        known = weights is not None and it.gene_sets is not None
        by_name = pd.DataFrame(weights, index=it.adata.var_names) if known else None
        recovered = mo.metrics.programme_recovery(by_name, it.gene_sets)["auprc"].mean() if known else np.nan
        found[f"AUPRC of {name}"] = recovered
    seen = ad.AnnData(obs=it.adata.obs[[it.cell_types]].copy(), obsm={"X_units": fit.units})
    found["k-means NMI"] = mo.metrics.clustering_nmi(
        seen, labels=it.cell_types, use_rep="X_units", n_runs=2 if short else 20
    ).mean()
    found["Leiden NMI"] = np.nan if it.gene_sets is not None else leiden_nmi(seen, it.cell_types)
    new = it.adata[unseen].X.toarray()
    found["loss of unseen cells"] = np.nan if fit.rates is None else poisson_loss(fit.rates, new)
    found["CPU seconds"] = fit.seconds
    found["live units"] = live(fit.units).sum()
    return found


def live(units: NDArray[Any]) -> NDArray[np.bool_]:
    """Units that vary at least a hundredth as much as the one that varies most."""
    spread = units.std(axis=0)
    return np.asarray(spread > 0.01 * spread.max())


def rows(it: Data, *, short: bool) -> Iterator[dict[str, Any]]:
    """Each method on one draw of the cells or two, each with a seed of its own."""
    rng = np.random.default_rng(0)
    draws = [np.sort(rng.permutation(it.adata.n_obs)[: int(SHARE * it.adata.n_obs)]) for _ in range(2)]
    both = np.intersect1d(*draws)
    for name, method in methods(short=short).items():
        if method.first_seed_only and it.seed != SEEDS[0]:
            continue
        found, every = [], []
        for seed, drawn in enumerate(draws[: method.n_draws]):
            made = once(it, name, method, Task(it.adata, drawn, seed), short=short)
            if made is None:
                continue
            scores, units = made
            found.append(scores)
            every.append(units[both])
        if not found:
            continue
        alive = every[0][:, live(every[0])]
        back = mo.metrics.unit_stability(alive, every[1])["back"].mean() if len(every) > 1 else np.nan
        yield {"data": it.name, "method": name, **pd.DataFrame(found).mean(), "units back": back, "fits": len(found)}
        print(it.name, it.seed, name, "done", flush=True)


def once(
    it: Data, name: str, method: Method, task: Task, *, short: bool
) -> tuple[dict[str, float], NDArray[np.floating]] | None:
    """Scores and units of one fit; kept in the folder that `MODULAE_KEEP` names, and read from it the next time.

    With `MODULAE_KEPT_ONLY=1` nothing is learnt anew: the page is made of what an interrupted run has left.
    """
    kept = None
    if "MODULAE_KEEP" in os.environ and not short:
        words = f"{it.name} {it.seed} {name} {task.seed}"
        kept = Path(os.environ["MODULAE_KEEP"]) / ("".join(c if c.isalnum() else "_" for c in words) + ".npz")
        if kept.exists():
            with np.load(kept) as read:
                return json.loads(str(read["scores"])), read["units"]
        if "MODULAE_KEPT_ONLY" in os.environ:
            return None
    fit = method.learn(task)
    scores = {key: float(value) for key, value in measure(it, fit, task.unseen, short=short).items()}
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, units=fit.units, scores=json.dumps(scores))
    return scores, fit.units


WORDS = (
    "Each method learns twice, from 80 % of the cells each time and with another seed, and then encodes all cells: "
    f"means over all fits, for the simulated data over {len(SEEDS)} fresh seeds; `fits` says how many there were. "
    "Labels are `truth_activity` of "
    "`datasets.simulated` (ten programmes, five cell types) or the cell types that came with real cells, whose genes "
    "are those of Hallmark and DMAP. LMS, MSAS, MSGS: {func}`modulae.metrics.disentanglement`. AUPRC: "
    "{func}`modulae.metrics.programme_recovery`. k-means: 20 runs; Leiden: the best of seven resolutions. Loss: mean "
    "Poisson loss of the 20 % of cells that were not learnt from. Units back: share of the live units of the first fit "
    "that the second has at |r| > 0.9, on the cells that both learnt from. CPU seconds are of one thread."
)
OF_METHODS = (
    "Ours with their defaults; the paper preset is `presets.KINALIS_2019`. PCA, ICA and NMF "
    "read the same log1p(x / s) as ours; units of NMF are scaled to mean square 1, as ours start; sparse NMF has an "
    "L1 penalty."
)
OF_PEERS = (
    "Peers have their authors' defaults and run in an environment of their own (`benchmarks/peers/requirements.txt`; "
    "`MODULAE_PEERS` names its Python): scVI and LinearSCVI with 10 units, DRVI with 32 on the 2000 most variable "
    "genes (so on real cells its loss is not that of the others, and left out), all for the 400 epochs that their "
    f"authors train few cells for. cNMF tries {', '.join(SOME_UNITS)} programmes and takes the largest number at which "
    "its stability has a peak, as its authors do by eye, or else the most stable. Genes of DRVI are ranked by its own "
    "out-of-distribution scores."
)
NOT_ALL = (
    "**Not all fits were made**, as `fits` says: peers, and the paper preset, learn once (so no units "
    "back), from one seed of simulated data, and cNMF factorises 20 times for each number, not 100 times; "
    "`MODULAE_PEERS_ALL=1` runs all. The fits were kept between several runs (`MODULAE_KEEP`), some of them on a busy "
    "machine: take the seconds as an order of magnitude. A method without a row was not run on that data."
)
NO_PEERS = "scVI, LinearSCVI, DRVI and cNMF are left out: `MODULAE_PEERS` did not name the Python of their environment."
COLUMNS = ("LMS-SMI", "MSAS-SMI", "MSGS-SMI", "LMS-SPN", "AUPRC of loadings", "AUPRC of saliency", "units back")
COLUMNS += ("k-means NMI", "Leiden NMI", "loss of unseen cells", "CPU seconds", "live units", "fits")


def page(found: list[dict[str, Any]], *, short: bool) -> str:
    """Means over the seeds, a table for each kind of data."""
    frame = pd.DataFrame(found)
    fits = frame.groupby(["data", "method"])["fits"].sum()
    means = frame.groupby(["data", "method"], sort=False).mean()
    shown: dict[str, list[dict[str, str]]] = {}
    for (name, method), row in means.iterrows():
        digits = {"CPU seconds": 0, "live units": 0, "loss of unseen cells": 4, "units back": 2, "fits": 0}
        row["fits"] = fits[name, method]
        cells = {c: "–" if np.isnan(row[c]) else f"{row[c]:.{digits.get(c, 3)}f}" for c in COLUMNS}
        shown.setdefault(name, []).append({"method": method, **cells})
    of_peers = [NO_PEERS]
    if "MODULAE_PEERS" in os.environ:
        of_peers = [OF_PEERS, *([] if "MODULAE_PEERS_ALL" in os.environ else [NOT_ALL])]
    words = [WORDS, OF_METHODS, *of_peers]
    (first, rows_of_first), *others = shown.items()
    return table.write(
        "modules",
        "Units as programmes, and units that come back",
        "\n\n".join([*words, f"## {TITLES.get(first, first)}"]),
        rows_of_first,
        more=[(f"## {TITLES.get(name, name)}", of_name) for name, of_name in others],
        short=short,
    )


TITLES = {"easy": "Simulated, easy", "hard": "Simulated, hard", "hard, additive": "Simulated, hard, additive"}


def run(*, short: bool) -> str:
    """Every method on all data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of methods that stop before they converge
        warm_up(lambda: with_size(mo.datasets.simulated(**SHORT)))
        return page([row for it in data(short=short) for row in rows(it, short=short)], short=short)
