"""What the p-values of `tl.enrich_units` are worth: how often each calls a set where there is nothing to find."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse, stats

import modulae as mo
from benchmarks import table
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae.core.scores.expression_bins import expression_bins, shuffled_within
from modulae.core.scores.set_values import set_indicator
from modulae.core.statistics.permutation import matched_sets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

HIGH = 600
"""So many of the most expressed genes make up the random sets of highly expressed genes."""
COEXPRESSED = 30
"""Genes of a co-expressed set: those whose log counts correlate most with those of one gene."""

CELL_TYPES = {
    "B-cells": ["B"],
    "naive_B-cells": ["B"],
    "Class-switched_memory_B-cells": ["B"],
    "Monocytes": ["CD14+ Mono", "FCGR3A+ Mono"],
    "NK_cells": ["NK"],
    "CD8+_Tem": ["CD8 T", "NK"],
    "Megakaryocytes": ["Platelet"],
}
"""Signatures of DMAP whose cells pbmc3k has, and how they are labelled there."""

Sets = dict[str, dict[str, list[str]]]


def data(*, short: bool) -> tuple[AnnData, Sets]:
    """Cells with their mask, and the curated collections."""
    import anndata as ad

    if short or "MODULAE_DATA" not in os.environ:
        adata, collections = mo.datasets.pbmc68k(), {"immune signatures": mo.datasets.immune_signatures()}
    else:
        folder = Path(os.environ["MODULAE_DATA"])
        adata = ad.read_h5ad(folder / "pbmc3k.h5ad")
        collections = {
            "Hallmark": mo.read_gene_sets(folder / "hallmark_human_v2025.gmt"),
            "DMAP signatures": mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt"),
        }
    mo.pp.gene_set_mask(adata, {name: genes for sets in collections.values() for name, genes in sets.items()})
    return adata, collections


def drawn_sets(adata: AnnData, sizes: list[int], rng: np.random.Generator) -> Sets:
    """Random sets, of all genes and of the highly expressed ones; and genes co-expressed with one drawn at random."""
    genes = adata.var_names[adata.var["in_gene_sets"]].to_numpy()
    counts = adata[:, genes].X
    mean = np.asarray(counts.mean(axis=0)).ravel()
    high = np.argsort(-mean)[:HIGH]
    totals = np.maximum(np.asarray(adata.X.sum(axis=1)), 1)
    correlation = np.corrcoef(np.log1p(counts.toarray() / totals * np.median(totals)).T)
    seeds = rng.choice(high, len(sizes), replace=False)
    return {
        "random": {f"random {i}": list(rng.choice(genes, n, replace=False)) for i, n in enumerate(sizes)},
        "random, highly expressed": {
            f"high {i}": list(rng.choice(genes[high], min(n, HIGH // 6), replace=False)) for i, n in enumerate(sizes)
        },
        "co-expressed with a random gene": {
            f"module {i}": list(genes[np.argsort(-correlation[at])[:COEXPRESSED]]) for i, at in enumerate(seeds)
        },
    }


def stand_ins(adata: AnnData, sets: dict[str, list[str]], rng: np.random.Generator) -> dict[str, list[str]]:
    """Every gene exchanged for another of like mean count and detection."""
    genes = adata.var_names[adata.var["in_gene_sets"]].to_numpy()
    counts = adata[:, genes].X
    bins = expression_bins(np.asarray(counts.mean(axis=0)).ravel(), np.asarray((counts > 0).mean(axis=0)).ravel())
    other = dict(zip(genes, genes[shuffled_within(bins, 1, rng)[0]], strict=True))
    return {f"like {name}": [other[gene] for gene in listed if gene in other] for name, listed in sets.items()}


def models(adata: AnnData, seed: int, *, short: bool) -> Iterator[tuple[str, AnnData]]:
    """A trained model; random mixtures of its units; the same network on counts that hold no programme; untrained."""
    settings: dict[str, Any] = {
        "architecture": "orthogonal",
        "mask_var": "in_gene_sets",
        "seed": seed,
        "progress": False,
    }
    trained = mo.tl.autoencoder(adata, **settings, **({"max_epochs": 3} if short else {}), copy=True)
    mo.tl.saliency(trained)
    yield "trained", trained
    mixed = trained.copy()
    n_units = mixed.varm["ae_saliency"].shape[1]
    mixed.varm["ae_saliency"] = mixed.varm["ae_saliency"] @ np.random.default_rng(seed).normal(size=(n_units, n_units))
    yield "random mixtures of its units", mixed
    shuffled = adata.copy()
    shuffled.X = sparse.csr_matrix(np.random.default_rng(seed).permuted(adata.X.toarray(), axis=0))
    mo.tl.autoencoder(shuffled, **settings, **({"max_epochs": 3} if short else {}))
    mo.tl.saliency(shuffled)
    yield "trained on counts shuffled gene by gene", shuffled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an untrained model says that it is one
        untrained = mo.tl.autoencoder(adata, **settings, max_epochs=1, learning_rate=1e-12, copy=True)
    mo.tl.saliency(untrained)
    yield "untrained", untrained


def as_published(adata: AnnData, sets: dict[str, list[str]], seed: int) -> pd.DataFrame:
    """Two alternatives for every unit and set: CAMERA (Wu & Smyth 2012), and sets matched in expression alone."""
    fitted = read_model(adata, "ae")
    cells = read_cells(adata, fitted, layer=None)
    saliency = mo.get.saliency(adata).loc[list(fitted.genes)].to_numpy(dtype=np.float64)
    places = [np.flatnonzero(np.isin(fitted.genes, genes)) for genes in sets.values()]
    profiles = cells.inputs().astype(np.float64)
    profiles = (profiles - profiles.mean(axis=0)) / np.maximum(profiles.std(axis=0), 1e-9)
    camera = np.stack([camera_p(saliency, profiles, genes) for genes in places])
    counts = cells.counts
    bins = expression_bins(np.asarray(counts.mean(axis=0)).ravel(), np.asarray((counts > 0).mean(axis=0)).ravel())
    matched, _ = matched_sets(
        saliency,
        set_indicator(places, len(saliency)),
        bins,
        n_permutations=500,
        rng=np.random.default_rng(seed),
    )
    return pd.DataFrame({"CAMERA": camera.ravel(), "like expression": matched.ravel()})


def camera_p(
    saliency: NDArray[np.float64], profiles: NDArray[np.float64], genes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Mean of the set against all other genes: t, its variance inflated by the mean correlation."""
    n, m = len(saliency), len(genes)
    rho = ((profiles[:, genes].sum(axis=1) ** 2).mean() - m) / (m * (m - 1))
    inflation = max(1.0, 1 + (m - 1) * rho)
    inside = saliency[genes].mean(axis=0)
    difference = inside - (saliency.sum(axis=0) - m * inside) / (n - m)
    squares = saliency.var(axis=0) * n - difference**2 * m * (n - m) / n
    t = difference / np.sqrt(squares / (n - 2) * (inflation / m + 1 / (n - m)))
    return np.asarray(2 * stats.t.sf(np.abs(t), n - 2))


def rates(adata: AnnData, collections: Sets, seed: int, *, short: bool) -> dict[str, pd.DataFrame]:
    """All p-values, for every collection."""
    found = {}
    for name, sets in collections.items():
        mo.tl.enrich_units(
            adata,
            sets,
            min_genes=5,
            saliency="ae_saliency",
            n_permutations=50 if short else 1000,
            seed=seed,
            progress=False,
        )
        tested = mo.get.enrichment(adata).set_index(["set", "unit"])
        kept = {key: sets[key] for key in adata.uns["ae_enrichment"]["sets"]}
        units = [str(unit) for unit in range(adata.varm["ae_saliency"].shape[1])]
        others = as_published(adata, kept, seed)
        others.index = pd.MultiIndex.from_product([kept, units], names=["set", "unit"])
        found[name] = tested[["p", "p_correlated", "p_prerank"]].join(others)
    return found


def agreement(adata: AnnData, sets: dict[str, list[str]]) -> pd.DataFrame:
    """Whether a unit is more active in the cells of a signature where z is above 0, and less where it is below."""
    kinds = {name: CELL_TYPES.get(name.partition("_NOVERSHTERN")[0]) for name in sets}
    mo.tl.enrich_units(adata, sets, min_genes=5, saliency="ae_saliency", n_permutations=20, progress=False)
    tested = mo.get.enrichment(adata)
    tested = tested[tested["set"].map(kinds).notna()]
    units = pd.DataFrame(adata.obsm["X_ae"], columns=[str(at) for at in range(adata.obsm["X_ae"].shape[1])])
    differences = {}
    for name in set(tested["set"]):
        inside = adata.obs["seurat_celltype"].isin(kinds[name]).to_numpy()
        differences[name] = units[inside].mean() - units[~inside].mean()
    more = np.array([differences[name][unit] for name, unit in zip(tested["set"], tested["unit"], strict=True)])
    return pd.DataFrame({"called": tested["q"] < 0.05, "agrees": np.sign(more) == np.sign(tested["z"])})


def seconds(adata: AnnData, sets: dict[str, list[str]], *, short: bool) -> tuple[float, float]:
    """Processor time for all units: ours, and GSEApy's, of which some units are run and the rest reckoned."""
    import gseapy

    n = 50 if short else 1000
    start = time.process_time()
    mo.tl.enrich_units(adata, sets, min_genes=5, saliency="ae_saliency", n_permutations=n, progress=False)
    ours, start = time.process_time() - start, time.process_time()
    saliency = mo.get.saliency(adata).dropna()
    some = saliency.iloc[:, : 1 if short else 4]
    for unit in some:
        gseapy.prerank(
            some[unit].rename("s"), sets, outdir=None, min_size=5, permutation_num=n, threads=1, no_plot=True
        )
    return ours, (time.process_time() - start) * saliency.shape[1] / some.shape[1]


def run(*, short: bool) -> str:
    """Every model and collection, over seeds."""
    adata, curated = data(short=short)
    rng = np.random.default_rng(0)
    everything = {name: genes for sets in curated.values() for name, genes in sets.items()}
    sizes = [len(set(genes) & set(adata.var_names)) for genes in everything.values()][: 8 if short else 50]
    sizes = [max(size, 5) for size in sizes]
    collections = drawn_sets(adata, sizes, rng)
    collections |= {
        f"like {name}, gene by gene": stand_ins(adata, sets, rng) for name, sets in curated.items()
    } | curated
    found: dict[tuple[str, str], list[pd.DataFrame]] = {}
    agreed: list[pd.DataFrame] = []
    for seed in range(1 if short else 3):
        for model, made in models(adata, seed, short=short):
            for name, frame in rates(made, collections, seed, short=short).items():
                found.setdefault((model, name), []).append(frame)
            print(model, seed, flush=True)
            if model == "trained":
                ours, theirs = seconds(made, next(iter(curated.values())), short=short)
                if "DMAP signatures" in curated:
                    agreed.append(agreement(made, curated["DMAP signatures"]))
        for name, frame in simulated(seed, short=short).items():
            found.setdefault(("simulated, trained", name), []).append(frame)
    rows = [
        row(model, name, frames, curated=name in curated or name == "planted")
        for (model, name), frames in found.items()
    ]
    n_sets = len(next(iter(curated.values())))
    words = (
        "Share of all units and sets with p < 0.05, and in the last columns how many have q < 0.05 (a mean over seeds, "
        "of so many tests). Where it says *null* there is nothing to find: the share should be 5 %, and q < 0.05 "
        "hardly ever. `p_prerank` is that of random genes, as in GSEApy; CAMERA as published, with the mean "
        "correlation of the log counts, against all other genes; *like expression* exchanges genes for others of like "
        "count and detection alone; `p` also for genes that the model reads as strongly; `p_correlated` adds that "
        "genes vary together. Random mixtures of units are null for the last with any sets. "
        f"One processor needs {ours:.1f} s for all units and the {n_sets} sets of the first collection with "
        f"1000 random sets each, GSEApy {theirs:.0f} s."
    )
    if agreed:
        pairs = pd.concat(agreed).groupby("called")["agrees"]
        words += (
            f" Of {pairs.size()[True]} pairs of a unit and a signature of a cell type with q < 0.05, "
            f"{pairs.mean()[True]:.0%} have a unit that is more (or, where z is below 0, less) active in the cells of "
            f"this type than in others; of all other pairs, {pairs.mean()[False]:.0%}."
        )
    return table.write("enrichment", "Enrichment of units", words, rows, short=short)


def simulated(seed: int, *, short: bool) -> dict[str, pd.DataFrame]:
    """Planted programmes, and random sets."""
    adata = mo.datasets.simulated(
        n_cells=200 if short else 1000, n_genes=600, n_programmes=8, genes_per_programme=30, seed=seed
    )
    given: dict[str, Any] = {"architecture": "orthogonal", "n_latent": 16, "n_hidden": 64}
    mo.tl.autoencoder(adata, seed=seed, progress=False, **given, **({"max_epochs": 3} if short else {}))
    mo.tl.saliency(adata)
    rng = np.random.default_rng(seed)
    chance = {f"random {i}": list(rng.choice(adata.var_names, 30, replace=False)) for i in range(8 if short else 50)}
    planted = {name: list(genes) for name, genes in adata.uns["gene_sets"].items()}
    return rates(adata, {"planted": planted, "random": chance}, seed, short=short)


def row(model: str, name: str, frames: list[pd.DataFrame], *, curated: bool) -> dict[str, object]:
    """One line of the table."""
    together = pd.concat(frames)

    def called(column: str) -> str:
        return f"{np.mean([(stats.false_discovery_control(frame[column]) < 0.05).sum() for frame in frames]):.0f}"

    shares = {
        head: f"{(together[column] < 0.05).mean():.1%}"
        for head, column in {
            "`p_prerank`": "p_prerank",
            "CAMERA": "CAMERA",
            "like expression": "like expression",
            "`p`": "p",
            "`p_correlated`": "p_correlated",
        }.items()
    }
    nothing = model.startswith(("untrained", "trained on counts")) or not (curated or name.startswith("co-expressed"))
    return {
        "model": model,
        "sets": name,
        "null": "yes" if nothing else "for `p_correlated`" if model.startswith("random mixtures") else "",
        **shares,
        "`q_prerank`": called("p_prerank"),
        "`q`": called("p"),
        "`q_correlated`": called("p_correlated"),
        "of": len(frames[0]),
    }
