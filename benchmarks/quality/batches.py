"""Merged samples: what is left of the batch in the units, and what goes with it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import scanpy as sc
from scipy import sparse

import modulae as mo
from benchmarks import table
from benchmarks.speed.batches_cost import cost
from modulae.core.model import batch_factors

from . import mixing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

SEEDS = (0, 1, 2)
ARCHITECTURES: tuple[Any, ...] = ("orthogonal", "parts")
WAYS = ("without `batch_key`", "with `batch_key`", "factors alone")
WORDS = (
    "What a merged sample costs, and what `batch_key=` takes away (`python -m benchmarks batches`). Kang: 1000 control "
    "and 1000 interferon-β cells, the genes of Hallmark, defaults; the stimulation stands for a batch, with cell types "
    "known in both. *Told apart*: balanced accuracy of a logistic regression from the representation to the batch, "
    "five-fold; 0.5 is chance. *Batch ASW*: 1 − |silhouette| of the batch within cell types (scib's), 1 is mixed. "
    "*iLISI*: inverse Simpson index of the batches among 90 neighbours, unweighted, mean, 0 to 1. NMI and ARI: "
    "k-means (20 and 5 runs) against the published cell types; *type ASW*: their silhouette, scaled to 0–1. The loss "
    "is the mean Poisson loss of held-out cells. Mean ± SD of three seeds. "
    "PCA: 50 components of log1p of counts scaled to the median total, the same genes; Harmony on these{harmony}. "
    "*Factors alone* is `batch_key` without the second half of the method, in which the encoder learns from cells as "
    "if they were of a batch at random."
)
SIMULATED = (
    "**Samples that differ by nothing but technique.** 1600 simulated cells × 1000 genes, `datasets.simulated("
    "difficulty='easy')`, in two batches that count each gene a random number of times as often (standard deviation "
    "of the log ratio 0.7). *Equal*: batches hold the cell types in equal shares; *unequal*: 90 % of the cells of one "
    "type are in the first batch, 10 % of another, 80, 30 and 50 % of the others. *Types*: balanced accuracy of a "
    "logistic regression to the cell types; *programmes*: area under the precision–recall curve of the planted "
    "programmes in the saliencies (`metrics.programme_recovery`). *Factors*: correlation of log ratios with the "
    "planted ones, over genes with a mean count above 0.05. Mean ± SD of three seeds."
)
COST = (
    "**What goes with it.** The same models of Kang's cells: the interferon-α response is all that these two “batches” "
    "differ in. Best unit: area under the ROC curve of stimulated against control cells, of the unit that tells "
    "them apart best, within each cell type and averaged over types. Impact: signed effect of the Hallmark "
    "interferon-α set, stimulated against control (`tl.pathway_impact`), its rank among the sets by size and its q. "
    "Fold change: of the set's decoded rates, stimulated over control, median over its genes, as of a cell's "
    "own batch and as of the average one (`tl.denoise(batch=...)`); counted: of the counts themselves."
)


def run(*, short: bool) -> str:
    """Train with and without batches, and look at what each leaves."""
    real = not short and "MODULAE_DATA" in os.environ
    seeds = SEEDS if real else SEEDS[:1]
    kang, sets = _kang() if real else _small()
    rows, trained = [], {}
    for name, found in _baselines(kang, seeds):
        rows.append({"representation": name, **mixing.spread([_look(kang, points, None) for points in found])})
    for architecture in ARCHITECTURES:
        for way in WAYS:
            found = []
            for seed in seeds:
                done = _train(kang, architecture, way, seed, key="stim", short=not real)
                trained[architecture, way, seed] = done
                loss = float(mo.get.history(done)["test_loss"].min())
                found.append(_look(kang, np.asarray(done.obsm["X_ae"]), loss))
            rows.append({"representation": f"{architecture}, {way}", **mixing.spread(found)})
            print(rows[-1], flush=True)
    more = [
        (SIMULATED, list(_simulated(seeds, short=not real))),
        (COST, list(cost(trained, WAYS[:2], ARCHITECTURES, seeds, sets))),
    ]
    words = WORDS.format(harmony=_harmony_version())
    return table.write("batches", "Batches", words, rows, short=short, more=more)


def _look(adata: AnnData, points: NDArray[np.floating], loss: float | None) -> dict[str, object]:
    adata = adata.copy()
    adata.obsm["X"] = points
    return {**mixing.scores(adata, "stim", "cell_type"), "held-out loss": loss}


def _train(adata: AnnData, architecture: Any, way: str, seed: int, *, key: str, short: bool) -> AnnData:  # noqa: ANN401
    settings: dict[str, Any] = {"n_splits": 0, **({"max_epochs": 2} if short else {})}
    if way != WAYS[0]:
        settings["batch_key"] = key
    with _read_as_others(way != WAYS[2]):
        return mo.tl.autoencoder(  # type: ignore[return-value]
            adata, architecture=architecture, seed=seed, progress=False, device="cpu", copy=True, **settings
        )


@contextmanager
def _read_as_others(how: bool) -> Iterator[None]:  # noqa: FBT001
    before = batch_factors.PERMUTE_BATCHES
    batch_factors.PERMUTE_BATCHES = how
    try:
        yield
    finally:
        batch_factors.PERMUTE_BATCHES = before


def _kang() -> tuple[AnnData, dict[str, list[str]]]:
    folder = os.environ["MODULAE_DATA"]
    sets = mo.read_gene_sets(f"{folder}/hallmark_human_v2025.gmt")
    adata = ad.read_h5ad(f"{folder}/kang_ifnb_sub2000.h5ad")
    mo.pp.gene_set_mask(adata, sets)
    adata = adata[:, adata.var["in_gene_sets"]].copy()
    adata.obs["cell_type"] = adata.obs["seurat_annotations"].astype(str)
    return adata, sets


def _small() -> tuple[AnnData, dict[str, list[str]]]:
    adata, _ = _merged(0, unequal=False, n_cells=240, n_genes=120, genes_per_programme=(8, 12))
    adata.obs["stim"] = np.where(adata.obs["sample"] == "first", "CTRL", "STIM")
    genes = adata.uns["gene_sets"]
    return adata, {"HALLMARK_INTERFERON_ALPHA_RESPONSE": next(iter(genes.values())), **genes}


def _merged(seed: int, *, unequal: bool, **sizes: Any) -> tuple[AnnData, NDArray[np.float64]]:  # noqa: ANN401
    """Simulated cells in two batches, and the log ratio of how often these count each gene."""
    adata = mo.datasets.simulated(difficulty="easy", seed=seed, **sizes)
    rng = np.random.default_rng([seed, 1])
    types = adata.obs["group"].cat.codes.to_numpy()
    shares = np.array([0.9, 0.1, 0.8, 0.3, 0.5]) if unequal else np.full(5, 0.5)
    second = rng.random(adata.n_obs) >= shares[types]
    kept = np.exp(rng.normal(0, 0.5, size=(2, adata.n_vars)))
    kept /= kept.max(axis=0)
    counts = rng.binomial(adata.X.toarray().astype(int), kept[second.astype(int)])
    adata.X = sparse.csr_matrix(counts.astype(np.float32))
    adata.obs["sample"] = np.where(second, "second", "first")
    adata.obs["cell_type"] = adata.obs["group"].astype(str)
    return adata, np.log(kept[1] / kept[0])


def _simulated(seeds: tuple[int, ...], *, short: bool) -> Iterator[dict[str, object]]:
    sizes: dict[str, Any] = {"n_cells": 1600, "n_genes": 1000}
    if short:
        sizes = {"n_cells": 240, "n_genes": 120, "genes_per_programme": (8, 12)}
    for unequal in (False, True):
        data = {seed: _merged(seed, unequal=unequal, **sizes) for seed in seeds}
        for architecture in ARCHITECTURES:
            for way in WAYS:
                found = []
                for seed, (adata, truth) in data.items():
                    done = _train(adata, architecture, way, seed, key="sample", short=short)
                    found.append(_look_simulated(done, truth))
                name = {"cell types": "unequal" if unequal else "equal", "model": f"{architecture}, {way}"}
                yield {**name, **mixing.spread(found)}


def _look_simulated(done: AnnData, truth: NDArray[np.float64]) -> dict[str, object]:
    done.obsm["X"] = done.obsm["X_ae"]
    mo.tl.saliency(done)
    found = mixing.scores(done, "sample", "cell_type")
    model, factors = done.uns["ae"]["model"], None
    if "batches" in model:
        second = list(model["batches"]).index("second")
        ratio = np.log(model["batch_factors"][second] / model["batch_factors"][1 - second])
        often = np.asarray(done.X.mean(axis=0)).ravel() > 0.05
        factors = float(np.corrcoef(ratio[often], truth[often])[0, 1])
    programmes = mo.metrics.programme_recovery(done, done.uns["gene_sets"])["auprc"].mean()
    kept = {name: found[name] for name in ("told apart", "batch ASW", "iLISI")}
    types = mixing.told_apart(np.asarray(done.obsm["X"]), done.obs["cell_type"].to_numpy())
    loss = float(mo.get.history(done)["test_loss"].min())
    return {**kept, "types": types, "programmes": programmes, "factors": factors, "held-out loss": loss}


def _baselines(adata: AnnData, seeds: tuple[int, ...]) -> Iterator[tuple[str, list[NDArray[np.floating]]]]:
    work = adata.copy()
    sc.pp.normalize_total(work)
    sc.pp.log1p(work)
    sc.pp.pca(work, n_comps=min(50, min(work.shape) - 1), random_state=0)
    points = np.asarray(work.obsm["X_pca"])
    yield "PCA", [points]
    try:
        import harmonypy
    except ImportError:
        return
    found = []
    for seed in seeds:
        corrected = np.asarray(
            harmonypy.run_harmony(points, adata.obs, "stim", random_state=seed, verbose=False).Z_corr
        )
        found.append(corrected if corrected.shape == points.shape else corrected.T)
    yield "PCA, Harmony", found


def _harmony_version() -> str:
    try:
        return f" (harmonypy {version('harmonypy')})"
    except PackageNotFoundError:
        return " is left out: harmonypy is not installed"
