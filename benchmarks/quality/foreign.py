"""Cells that a model is carried to, and other ways to label them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import scanpy as sc

import modulae as mo

if TYPE_CHECKING:
    from anndata import AnnData

MAIN = ("B", "CD14 Mono", "CD16 Mono", "CD4 T", "CD8 T", "DC", "NK")
"""Cell types that both data sets have, under one name."""

NAMES = {
    "Naive CD4 T": "CD4 T",
    "Memory CD4 T": "CD4 T",
    "CD14+ Mono": "CD14 Mono",
    "FCGR3A+ Mono": "CD16 Mono",
    "CD4 Naive T": "CD4 T",
    "CD4 Memory T": "CD4 T",
    "B Activated": "B",
}


def blood() -> tuple[dict[str, AnnData], dict[str, list[str]]]:
    """Pbmc3k and Kang, with `obs["main"]` and the genes of Hallmark and DMAP marked, and these sets."""
    folder = Path(os.environ["MODULAE_DATA"])
    sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
    sets |= mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
    found = {}
    for name, file, labels in (
        ("pbmc3k", "pbmc3k.h5ad", "seurat_celltype"),
        ("Kang", "kang_ifnb_sub2000.h5ad", "seurat_annotations"),
    ):
        adata = ad.read_h5ad(folder / file)
        adata.obs["cell_type"] = adata.obs[labels].astype(str)
        main = adata.obs["cell_type"].replace(NAMES)
        adata.obs["main"] = main.where(main.isin(MAIN)).astype("category")
        mo.pp.gene_set_mask(adata, sets)
        found[name] = adata
    return found, sets


def simulated() -> tuple[dict[str, AnnData], dict[str, list[str]]]:
    """Two halves of a small simulation, in the same form."""
    every = mo.datasets.simulated(n_cells=240, n_genes=120, n_programmes=4, genes_per_programme=12, n_groups=3)
    every.obs["cell_type"] = every.obs["group"].astype(str)
    every.obs["main"] = every.obs["cell_type"].astype("category")
    every.obs["stim"] = np.where(np.arange(every.n_obs) % 2, "STIM", "CTRL")
    every.var["in_gene_sets"] = True
    return {"pbmc3k": every[:120].copy(), "Kang": every[120:].copy()}, dict(every.uns["gene_sets"])


def train(adata: AnnData, architecture: Any, seed: int, *, short: bool) -> None:  # noqa: ANN401
    """Train with the defaults, on the genes of the sets."""
    settings = {"n_splits": 0, **({"max_epochs": 3} if short else {})}
    mo.tl.autoencoder(
        adata, mask_var="in_gene_sets", architecture=architecture, seed=seed, progress=False, device="cpu", **settings
    )


def macro_f1(truth: Any, found: Any, labels: Any) -> float:  # noqa: ANN401
    """Mean over cell types of the harmonic mean of precision and recall; cells of other types are left out."""
    from sklearn.metrics import f1_score

    known = np.asarray(truth.notna())
    given = np.asarray(found.astype(str))
    return float(f1_score(truth[known].astype(str), given[known], labels=list(labels), average="macro"))


def normalised(source: AnnData, target: AnnData, *, variable: bool) -> tuple[AnnData, AnnData]:
    """Both log-normalised on their shared genes, only cells with a label in the source."""
    shared = source.var_names.intersection(target.var_names)
    pair = [source[source.obs["main"].notna(), shared].copy(), target[:, shared].copy()]
    for adata in pair:
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    if variable:
        sc.pp.highly_variable_genes(pair[0], n_top_genes=min(2000, pair[0].n_vars - 1))
        genes = pair[0].var["highly_variable"].to_numpy()
        pair = [adata[:, genes].copy() for adata in pair]
    return pair[0], pair[1]


def pca_neighbours(source: AnnData, target: AnnData, *, variable: bool) -> Any:  # noqa: ANN401
    """15 nearest neighbours in 50 principal components of the source."""
    import pandas as pd
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier

    known, new = normalised(source, target, variable=variable)
    dense = [np.asarray(adata.X.todense()) for adata in (known, new)]
    components = PCA(min(50, min(dense[0].shape) - 1), random_state=0).fit(dense[0])
    model = KNeighborsClassifier(15).fit(components.transform(dense[0]), known.obs["main"].astype(str))
    return pd.Series(model.predict(components.transform(dense[1])), index=target.obs_names)


def ingest(source: AnnData, target: AnnData) -> Any:  # noqa: ANN401
    """Scanpy's ingest at its defaults (on highly variable genes of the source, which it takes itself)."""
    known, new = normalised(source, target, variable=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.highly_variable_genes(known, n_top_genes=min(2000, known.n_vars - 1))
        sc.pp.pca(known, n_comps=min(50, known.n_obs - 1, known.n_vars - 1))
        sc.pp.neighbors(known)
        sc.tl.umap(known)
        sc.tl.ingest(new, known, obs="main")
    return new.obs["main"]
