"""The defaults of `architecture="orthogonal"` beside other settings: held-out loss, clustering, seconds."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import modulae as mo
from benchmarks import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "max_epochs=40": {"max_epochs": 40},
    "max_epochs=160": {"max_epochs": 160},
    "batch_size=4, learning_rate=0.05": {"batch_size": 4, "learning_rate": 0.05},
    "batch_size=64, learning_rate=0.3, max_epochs=120": {"batch_size": 64, "learning_rate": 0.3, "max_epochs": 120},
    "learning_rate=0.1": {"learning_rate": 0.1},
    "learning_rate=0.4": {"learning_rate": 0.4},
    "schedule='constant', batch_size=64, learning_rate=0.1": {
        "schedule": "constant",
        "batch_size": 64,
        "learning_rate": 0.1,
    },
    "output_bias='constant'": {"output_bias": "constant"},
    "output_bias='gene_means'": {"output_bias": "gene_means"},
    "orthogonality=0": {"orthogonality": 0.0},
    "orthogonality=0.5": {"orthogonality": 0.5},
    "momentum=0": {"momentum": 0.0},
    "n_latent=16": {"n_latent": 16},
    "activation_beta='width'": {"activation_beta": "width"},
    "size_factors=None": {"size_factors": None},
}


SHOWN = ("held-out loss", "gain, % of the best", "epochs", "k-means NMI", "‖I − WWᵀ‖")


def data(*, short: bool) -> Iterator[tuple[str, AnnData, str]]:
    """Name, cells with their mask, and the labels to be found again."""
    import anndata as ad

    if short or "MODULAE_DATA" not in os.environ:
        adata = mo.datasets.pbmc68k()
        mo.pp.gene_set_mask(adata, mo.datasets.immune_signatures())
        yield "pbmc68k", adata, "bulk_labels"
        return
    folder = Path(os.environ["MODULAE_DATA"])
    hallmark = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
    immune = mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
    for name, file, sets, labels in (
        ("pbmc3k", "pbmc3k.h5ad", hallmark | immune, "seurat_celltype"),
        ("Kang", "kang_ifnb_sub2000.h5ad", hallmark, "seurat_annotations"),
    ):
        adata = ad.read_h5ad(folder / file)
        mo.pp.gene_set_mask(adata, sets)
        yield name, adata, labels
    adata = mo.datasets.simulated(n_cells=1500, n_genes=600, mean_counts=1000)
    adata.var["in_gene_sets"] = True
    yield "simulated", adata, "group"


def scanpy_seconds(adata: AnnData) -> float:
    """PCA, neighbours, UMAP and Leiden with scanpy's defaults, the usual way to look at the same cells."""
    import scanpy as sc

    adata = adata.copy()
    start = time.perf_counter()
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata)
    sc.pp.pca(adata)
    sc.pp.neighbors(adata)
    sc.tl.umap(adata)
    sc.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False)
    return time.perf_counter() - start


def measure(adata: AnnData, labels: str, settings: dict[str, Any], *, short: bool) -> dict[str, object]:
    """Train once and look at the result."""
    start = time.perf_counter()
    limit = {"max_epochs": 2} if short else {}
    trained = mo.tl.autoencoder(
        adata,
        architecture="orthogonal",
        mask_var="in_gene_sets",
        progress=False,
        copy=True,
        device="cpu",
        **{**settings, **limit},
    )
    seconds = time.perf_counter() - start
    history = mo.get.history(trained)
    nmi = mo.metrics.clustering_nmi(trained, labels=labels, n_runs=2 if short else 20)
    return {
        "held-out loss": f"{history['test_loss'].min():.5f}",
        "gain, % of the best": "",
        "epochs": f"{history.index[history['best']][0]} of {history.index.max()}",
        "k-means NMI": f"{np.mean(nmi):.3f} ± {np.std(nmi):.3f}",
        "‖I − WWᵀ‖": f"{history.loc[history['best'], 'orthogonality'].iloc[0]:.2f}",
        "seconds": f"{seconds:.0f}",
    }


def show_gains(rows: list[dict[str, object]], adata: AnnData) -> None:
    """What each row gains over rates that are the gene means times the size factor, in % of the best gain."""
    untrained = mo.tl.autoencoder(
        adata,
        architecture="orthogonal",
        mask_var="in_gene_sets",
        copy=True,
        progress=False,
        max_epochs=1,
        learning_rate=1e-12,
        output_bias="gene_means",
    )
    means = float(mo.get.history(untrained)["test_loss"].iloc[0])
    gains = [means - float(str(row["held-out loss"])) for row in rows]
    for row, gain in zip(rows, gains, strict=True):
        row["gain, % of the best"] = f"{100 * gain / max(gains):.1f}"


def run(*, short: bool) -> str:
    """Train once for every setting and data set."""
    rows: list[dict[str, object]] = []
    for name, adata, labels in data(short=short):
        if not short:
            usual = [f"{scanpy_seconds(adata):.0f}" for _ in range(2)][-1]  # the first compiles
            rows.append(
                {"data": name, "setting": "(scanpy: PCA to Leiden)", **dict.fromkeys(SHOWN, ""), "seconds": usual}
            )
            measure(adata, labels, {}, short=True)  # compiles
        variants = list(VARIANTS.items())[: 2 if short else None]
        for variant, settings in variants:
            shown = variant if variant == "default" else f"`{variant}`"
            rows.append({"data": name, "setting": shown, **measure(adata, labels, settings, short=short)})
            print(rows[-1], flush=True)
        show_gains([row for row in rows if row["data"] == name and row["held-out loss"]], adata)
    words = (
        "One change at a time against the defaults, one seed, so that all rows share the split of the cells. The loss "
        "is the mean Poisson loss y − x·log y of the held-out cells; lower is better. Its gain is over about the gene "
        "means times the size factor (`output_bias='gene_means'`, untrained). NMI: 20 runs of k-means on the "
        "representation against the published cell types. Seconds are of one run on a shared machine: an order of "
        "magnitude."
    )
    return table.write("settings", "Settings of the training", words, rows, short=short)
