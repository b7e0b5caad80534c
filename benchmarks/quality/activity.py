"""Scores of gene sets in single cells at thinned counts: each cell type's own signature in its cells."""

from __future__ import annotations

import importlib.util
import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scanpy as sc

import modulae as mo
from benchmarks import table

from .explanations import CONTAMINATED, LINEAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData

DEPTHS = (0.05, 0.1, 0.3, 1.0)
N_RANDOM, RANDOM_SIZE = 40, 50


def data(*, short: bool) -> Iterator[tuple[str, AnnData, str, dict[str, list[str]], dict[str, str]]]:
    """Name, cells, labels, gene sets, and the right set of each label."""
    import anndata as ad

    if short or "MODULAE_DATA" not in os.environ:
        sets = mo.datasets.immune_signatures()
        right = {"CD19+ B": "B_CELL", "CD14+ Monocyte": "MONOCYTE_CD14", "CD56+ NK": "NK_CELL"}
        yield "pbmc68k", mo.datasets.pbmc68k(), "bulk_labels", sets, right
        return
    folder = Path(os.environ["MODULAE_DATA"])
    lineages = mo.read_gene_sets(folder / "dmap_derived_lineage_top100.gmt")
    sets = {name: genes for name, genes in lineages.items() if name not in CONTAMINATED}
    for name, file, labels in (
        ("pbmc3k", "pbmc3k.h5ad", "seurat_celltype"),
        ("Kang", "kang_ifnb_sub2000.h5ad", "seurat_annotations"),
    ):
        right = {label: f"DMAP_{first}" for label, (first, *_) in LINEAGES[name].items()}
        yield name, ad.read_h5ad(folder / file), labels, sets, right


def thin(adata: AnnData, share: float) -> AnnData:
    """Every count kept with this probability."""
    adata = adata.copy()
    rng = np.random.default_rng(0)
    adata.X = adata.X.tocsr().copy()
    adata.X.data = rng.binomial(adata.X.data.astype(int), share).astype(np.float32)
    adata.X.eliminate_zeros()
    return adata


def train(adata: AnnData, sets: dict[str, list[str]], *, short: bool) -> None:
    """The model, on the genes of the Hallmark sets and of those scored."""
    genes = dict(sets)
    if "MODULAE_DATA" in os.environ and not short:
        genes |= mo.read_gene_sets(Path(os.environ["MODULAE_DATA"]) / "hallmark_human_v2025.gmt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mo.pp.gene_set_mask(adata, genes)
        given: dict[str, Any] = {"architecture": "orthogonal", **({"max_epochs": 5} if short else {})}
        mo.tl.autoencoder(adata, mask_var="in_gene_sets", progress=False, **given)


def normalised(adata: AnnData) -> AnnData:
    """Log-normalised, as the tools expect."""
    adata = bare(adata)
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    return adata


def bare(adata: AnnData) -> AnnData:
    """Counts and names alone."""
    import anndata as ad

    return ad.AnnData(adata.X.copy(), obs=adata.obs[[]].copy(), var=adata.var[[]].copy())


def score_genes(adata: AnnData, sets: dict[str, list[str]]) -> pd.DataFrame:
    """`scanpy.tl.score_genes`."""
    for name, genes in sets.items():
        sc.tl.score_genes(adata, [gene for gene in genes if gene in adata.var_names], score_name=name)
    return adata.obs[list(sets)]


def decoupler(method: str) -> Callable[[AnnData, dict[str, list[str]]], pd.DataFrame]:
    """A method of decoupler."""

    def score(adata: AnnData, sets: dict[str, list[str]]) -> pd.DataFrame:
        import decoupler as dc

        net = pd.DataFrame([(name, gene, 1.0) for name, genes in sets.items() for gene in genes])
        net.columns = ["source", "target", "weight"]
        getattr(dc.mt, method)(adata, net, tmin=1, verbose=False)
        return adata.obsm[f"score_{method}"][list(sets)]

    return score


def reconstructed(adata: AnnData, sets: dict[str, list[str]]) -> pd.DataFrame:
    """`score_genes` on what 30 principal components give back."""
    genes = sorted({gene for names in sets.values() for gene in names} & set(adata.var_names))
    adata = adata[:, genes].copy()
    sc.pp.pca(adata, n_comps=min(30, min(adata.shape) - 1))
    adata.X = adata.obsm["X_pca"] @ adata.varm["PCs"].T
    return score_genes(adata, sets)


def smoothed(adata: AnnData, sets: dict[str, list[str]]) -> pd.DataFrame:
    """`score_genes` on the mean of 15 neighbours in 30 principal components."""
    sc.pp.pca(adata, n_comps=30)
    sc.pp.neighbors(adata, n_neighbors=15, n_pcs=30)
    near = (adata.obsp["distances"] > 0).astype(np.float32)
    near.setdiag(1)
    adata.X = (near @ adata.X).multiply(1 / near.sum(axis=1)).tocsr()
    return score_genes(adata, sets)


def ours(**settings: Any) -> Callable[[AnnData, dict[str, list[str]]], pd.DataFrame]:  # noqa: ANN401
    """`modulae.tl.pathway_activity`."""

    def score(adata: AnnData, sets: dict[str, list[str]]) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mo.tl.pathway_activity(adata, sets, n_random=20, **settings)
        return mo.get.pathway_activity(adata)

    return score


SIMPLE = {
    "scanpy score_genes": score_genes,
    "decoupler ULM": decoupler("ulm"),
    "decoupler AUCell": decoupler("aucell"),
    "score_genes, 30 PCs reconstructed": reconstructed,
    "score_genes, 15 neighbours in 30 PCs": smoothed,
}
MODULAE = {
    "pathway_activity (default)": ours(),
    'pathway_activity(source="decoded")': ours(source="decoded"),
    'pathway_activity(source="counts")': ours(source="counts"),
    "pathway_activity(n_neighbors=1)": ours(n_neighbors=1),
    "pathway_activity(model_cells=0)": ours(model_cells=0.0),
}


def agreement(scores: pd.DataFrame) -> float:
    """Mean |r| between random sets that have nothing in common."""
    r = np.corrcoef(scores.to_numpy().T)
    return float(np.abs(r[np.triu_indices(len(r), 1)]).mean())


def run(*, short: bool) -> str:
    """Every tool at every depth."""
    from sklearn.metrics import roc_auc_score

    found: dict[str, dict[str, list[float]]] = {}
    for name, full, labels, sets, right in data(short=short):
        for depth in DEPTHS[1:2] if short else DEPTHS:
            adata = thin(full, depth)
            train(adata, sets, short=short)
            rng = np.random.default_rng(1)
            genes = adata.var_names[adata.var["in_gene_sets"]]
            size = min(RANDOM_SIZE, len(genes) // 4)
            chance = {f"random {at}": list(rng.choice(genes, size, replace=False)) for at in range(N_RANDOM)}
            for tool, score in {**SIMPLE, **MODULAE}.items():
                if tool.startswith("decoupler") and importlib.util.find_spec("decoupler") is None:
                    continue
                cells = adata if tool in MODULAE else normalised(adata)
                start = time.perf_counter()
                scores = score(cells, sets)
                seconds = time.perf_counter() - start
                row = found.setdefault(tool, {})
                areas = [roc_auc_score(full.obs[labels] == label, scores[best]) for label, best in right.items()]
                row.setdefault(f"{depth:.0%}", []).extend(areas)
                row.setdefault(f"{name} {depth:.0%}", []).extend(areas)
                row.setdefault("seconds", []).append(seconds)
                if depth in {0.1, 1.0}:
                    row.setdefault(f"random sets, {depth:.0%}", []).append(agreement(score(cells, chance)))
            print(name, depth, flush=True)
    columns = list(dict.fromkeys(column for row in found.values() for column in row))
    columns = sorted(
        columns, key=lambda column: (column == "seconds", column.startswith("random"), column[0].isalpha())
    )
    rows = [
        {
            "scores": tool,
            **{column: f"{np.mean(row[column]):.{1 if column == 'seconds' else 3}f}" for column in columns},
        }
        for tool, row in found.items()
    ]
    words = (
        "Counts kept with the probability at the head of a column: 10% is a tenth of the depth. Area under the ROC "
        "curve of each cell type's own DMAP lineage signature, its cells against all others: the mean over the 19 cell "
        "types of pbmc3k and Kang that have one, then of each data set. `random sets`: mean |r| over cells between the "
        "scores of 40 random sets of 50 genes, which should be 0: what is borrowed from other cells makes sets agree. "
        "`seconds` for 16 sets, a mean over depths, without training the model."
    )
    return table.write("activity", "Scores of gene sets in single cells", words, rows, short=short)
