"""Decoded rates beside other ways to denoise, by molecular cross-validation (Batson, Royer & Webber 2019)."""

from __future__ import annotations

import os
import subprocess
import tempfile
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

import modulae as mo
from benchmarks import table
from modulae.core.inference.encode import rescale as scale_genes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

SCRIPT = Path(__file__).parent / "denoising_magic.py"
"""Runs in the environment of MAGIC."""

COMPONENTS = (5, 10, 20, 30, 50, 100)
STEPS = (1, 2, 3, 5)
"""Of MAGIC's diffusion; its default is 3."""

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Of the gene means in what the other methods say."""

CONSTANTS = np.geomspace(1e-3, 1, 13)
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Of the prior on each gene's factor in `rescale`; `tl.denoise` has 1."""

WORDS = (
    "Every count is thrown to one of two halves by a fair coin; each method denoises the first, and is scored by the "
    "mean Poisson loss y − x·log y of the counts of the second, in which the noise is another "
    "([Batson, Royer & Webber 2019](https://doi.org/10.1101/786269)). Mean and standard deviation over the splits; "
    "lower is better, and `gain` is over the gene means, in % of the gain of the default model trained on the half "
    "itself. Scored are the genes of Hallmark and DMAP that both data sets have. Size factors are of all genes "
    "throughout. **The methods that are not ours are helped with the answer**: their rates are mixed with those of "
    "the gene means, scaled to each gene's sum or not, in whatever way (and with the number of components or steps) "
    "scores best on the second half. PCA is of log1p of the counts over the size factor; kNN is the mean over "
    "scanpy's 15 neighbours; MAGIC reads the square root of all genes, in 1, 2, 3 or 5 steps (3 is its default), and "
    "its rates are squared. Ours are as they come. A model of the other data was trained on that data set, whole, "
    "with its own genes. **Without `rescale`, such a model is worse than the gene means of the cells themselves**; "
    "with it, it beats them, but not a model of the same architecture trained on the cells. For rates alone, train "
    "`parts`: the orthogonal model is behind PCA on both data sets, and behind MAGIC on pbmc3k."
)

FURTHER = (
    "What `rescale` changes, by the strength a of its prior (each gene's rates are multiplied by (Σx + a) / (Σy + a), "
    "sums over the cells) and by the cells at hand: loss of the second half less that of the model of the other "
    "data as it is, in % of the distance of the latter from the loss of the gene means (over all cells), whichever "
    "is lower; negative is better, so rescaling helps in every case. Orthogonal models, the same splits."
)


@dataclass(frozen=True)
class Halves:
    """One split of one data set."""

    first: AnnData
    genes: NDArray[np.str_]  # scored
    held: NDArray[np.float32]  # counts of the second half: cells × genes scored
    size: NDArray[np.float64]  # size factors of the first half

    @property
    def counts(self) -> NDArray[np.float32]:
        """Of the first half, genes scored."""
        return np.asarray(self.first[:, self.genes].X.toarray())

    @property
    def means(self) -> NDArray[np.float64]:
        """The rates of a model that knows only gene means and size factors."""
        totals = self.counts.sum(axis=0, dtype=np.float64)
        return self.size[:, None] * np.maximum(totals, 0.5) / self.size.sum()

    def loss(self, rates: NDArray[Any]) -> float:
        """Mean Poisson loss of the second half; the logarithm is needed only where something was counted."""
        at = self.held > 0
        return self._loss(float(rates.sum(dtype=np.float64)), rates[at], self.held[at])

    def _loss(self, total: float, rates: NDArray[Any], counts: NDArray[np.float32]) -> float:
        return (total - float(counts @ np.log(np.maximum(rates, 1e-12)))) / self.held.size

    def best(self, rates: NDArray[Any]) -> float:
        """The loss, helped with the answer."""
        at = self.held > 0
        counts, means, rates = self.held[at], self.means, np.maximum(rates, 0)
        factors = means.sum(axis=0) / np.maximum(rates.sum(axis=0, dtype=np.float64), 1e-9)
        total, known = means.sum(), means[at]
        return min(
            self._loss((1 - w) * float(y.sum(dtype=np.float64)) + w * total, (1 - w) * y[at] + w * known, counts)
            for y in (rates, rates * factors)
            for w in SHARES
        )


def data(*, short: bool) -> dict[str, AnnData]:
    """Two data sets whose models are each other's foreign ones, with their masks."""
    import anndata as ad

    if short or "MODULAE_DATA" not in os.environ:
        whole = mo.datasets.pbmc68k()
        mo.pp.gene_set_mask(whole, mo.datasets.immune_signatures())
        return {"pbmc68k, even": whole[::2].copy(), "pbmc68k, odd": whole[1::2].copy()}
    folder = Path(os.environ["MODULAE_DATA"])
    sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
    sets |= mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
    found = {}
    for name, file in (("pbmc3k", "pbmc3k.h5ad"), ("Kang", "kang_ifnb_sub2000.h5ad")):
        found[name] = ad.read_h5ad(folder / file)
        mo.pp.gene_set_mask(found[name], sets)
    return found


def split(adata: AnnData, genes: NDArray[np.str_], seed: int) -> Halves:
    """Throw a coin for every count."""
    counts = sparse.csr_matrix(adata.X)
    first = counts.copy()
    first.data = np.random.default_rng(seed).binomial(counts.data.astype(np.int64), 0.5).astype(np.float32)
    half = adata.copy()
    half.X = first
    half.X.eliminate_zeros()
    totals = np.asarray(first.sum(axis=1), dtype=np.float64).ravel()
    held = np.asarray(adata[:, genes].X.toarray() - half[:, genes].X.toarray())
    return Halves(half, genes, held, totals / np.median(totals))


def train(adata: AnnData, architecture: str, *, short: bool) -> AnnData:
    """With the defaults."""
    settings: dict[str, Any] = {"architecture": architecture, "n_splits": 0, **({"max_epochs": 3} if short else {})}
    trained = adata.copy()
    mo.tl.autoencoder(trained, mask_var="in_gene_sets", progress=False, **settings)
    return trained


def decoded(halves: Halves, adata: AnnData, *, rescale: bool, model: AnnData | None = None) -> NDArray[np.float32]:
    """What `tl.denoise` says of the genes scored."""
    done = mo.tl.denoise(adata, model=model, rescale=rescale, copy=True)
    return np.asarray(done[:, halves.genes].layers["ae_denoised"])


def usual(halves: Halves) -> Iterator[tuple[str, float]]:
    """What needs no model of ours, and no environment of its own."""
    import scanpy as sc
    from sklearn.decomposition import PCA

    counts, size = halves.counts, halves.size[:, None]
    yield "no denoising, plus the best constant", min(halves.loss(counts + c) for c in CONSTANTS)
    yield "no denoising", halves.best(counts)
    yield "gene means × size factor", halves.loss(halves.means)
    inputs = np.log1p(counts / size)
    mean = inputs.mean(axis=0)
    pca = PCA(min(max(COMPONENTS), *inputs.shape), random_state=0).fit(inputs)
    scores = pca.transform(inputs)
    yield (
        "PCA",
        min(halves.best(size * np.expm1(scores[:, :k] @ pca.components_[:k] + mean)) for k in COMPONENTS),
    )
    cells = halves.first[:, halves.genes].copy()
    cells.X = sparse.csr_matrix(inputs)
    sc.pp.pca(cells, n_comps=min(50, min(inputs.shape) - 1))
    sc.pp.neighbors(cells, n_neighbors=15)
    near = (cells.obsp["distances"] > 0).astype(np.float64) + sparse.identity(len(inputs))
    yield "kNN", halves.best(size * (near @ counts) / (near @ size))


def magic(halves: Halves) -> Iterator[tuple[str, float]]:
    """MAGIC has an environment of its own; left out where `MODULAE_MAGIC_PYTHON` does not name its Python."""
    python = os.environ.get("MODULAE_MAGIC_PYTHON")
    if not python:
        return
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        roots = np.sqrt(halves.first.X.toarray() / np.maximum(halves.size, 1e-9)[:, None])
        np.savez(given, roots=roots, columns=halves.first.var_names.get_indexer(halves.genes), steps=STEPS)
        subprocess.run([python, str(SCRIPT), str(given), str(made)], check=True)
        rates = halves.size[:, None] * np.maximum(np.load(made)["smoothed"], 0) ** 2
    yield "MAGIC", min(halves.best(one) for one in rates)


def ours(halves: Halves, foreign: dict[str, AnnData], *, short: bool) -> Iterator[tuple[str, float]]:
    """Models trained on the half, and on the other data set."""
    for architecture, other in foreign.items():
        own = train(halves.first, architecture, short=short)
        for scaled in (False, True):
            more = ", `rescale=True`" if scaled else ""
            yield f"`{architecture}`, own{more}", halves.loss(decoded(halves, own, rescale=scaled))
        for scaled in (False, True):
            more = ", `rescale=True`" if scaled else ", `rescale=False`"
            rates = decoded(halves, halves.first, model=other, rescale=scaled)
            yield f"`{architecture}`, model of the other data{more}", halves.loss(rates)


def some_cells(halves: Halves, seed: int) -> dict[str, NDArray[np.intp]]:
    """Which cells may be at hand."""
    obs, rng = halves.first.obs, np.random.default_rng(seed)
    found = {"all": np.arange(len(obs))}
    found |= {f"{n} drawn": rng.choice(len(obs), n, replace=False) for n in (300, 30)}
    for labels in ("seurat_celltype", "seurat_annotations"):
        if labels in obs:
            found["B cells"] = np.flatnonzero(obs[labels].astype(str) == "B")
    return found


def strengths(halves: Halves, foreign: AnnData, seed: int) -> Iterator[tuple[str, str, float]]:
    """Cells, strength, and the change of the loss in % of the gain."""
    counts, means = halves.counts, halves.means
    rates = decoded(halves, halves.first, model=foreign, rescale=False)
    for name, rows in some_cells(halves, seed).items():
        here = Halves(halves.first[rows], halves.genes, halves.held[rows], halves.size[rows])
        before = here.loss(rates[rows])
        for strength in STRENGTHS:
            scaled = rates[rows].copy()
            scale_genes(scaled, sparse.csr_matrix(counts[rows]), strength)
            yield name, f"a = {strength:g}", 100 * (here.loss(scaled) - before) / abs(here.loss(means[rows]) - before)


def run(*, short: bool) -> str:
    """All methods on all data sets and splits."""
    warnings.simplefilter("ignore")  # half the counts is thin, and says so
    sets = data(short=short)
    one, other = sets.values()
    genes = np.array([gene for gene in one.var_names[one.var["in_gene_sets"]] if gene in other.var_names], dtype=str)
    genes = genes[other.var.loc[genes, "in_gene_sets"].to_numpy()]
    trained = {name: {a: train(adata, a, short=short) for a in ("orthogonal", "parts")} for name, adata in sets.items()}
    rows, below = [], []
    for name, adata in sets.items():
        (foreign,) = [models for there, models in trained.items() if there != name]
        losses: dict[str, list[float]] = defaultdict(list)
        changes: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for seed in range(1 if short else 3):
            halves = split(adata, genes, seed)
            for source in (usual(halves), magic(halves), ours(halves, foreign, short=short)):
                for method, loss in source:
                    losses[method].append(loss)
                    print(name, seed, method, f"{loss:.5f}", flush=True)
            for cells, strength, change in strengths(halves, foreign["orthogonal"], seed):
                changes[cells][strength].append(change)
        means, best = np.mean(losses["gene means × size factor"]), np.mean(losses["`orthogonal`, own"])
        for method, values in losses.items():
            gain = (means - np.mean(values)) / (means - best)
            rows.append(
                {
                    "data": name,
                    "method": method,
                    "loss": f"{np.mean(values):.5f} ± {np.std(values):.5f}",
                    "gain": f"{100 * gain:.0f} %",
                }
            )
        for cells, by_strength in changes.items():
            shown = {strength: f"{np.mean(values):+.1f}" for strength, values in by_strength.items()}
            below.append({"data": name, "cells": cells, **shown})
    title = "Denoising by molecular cross-validation"
    return table.write("denoising", title, WORDS, rows, short=short, more=[(FURTHER, below)])
