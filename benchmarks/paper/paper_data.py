"""The cells of the paper's PBMC experiment with both readings of which genes to train on, and its settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import modulae as mo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

TEXT, SCRIPTS = "genes_text", "genes_scripts"
"""Columns of `var`: the genes in some set and seen at all; those with some count above 2."""

MODELS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "the text": (SCRIPTS, mo.presets.KINALIS_2019),
    "the scripts": (SCRIPTS, mo.presets.KINALIS_2019_SCRIPTS),
    "modulae's orthogonal defaults": (SCRIPTS, {"architecture": "orthogonal"}),
    "the text, all genes": (TEXT, mo.presets.KINALIS_2019),
}
"""Genes and settings of each model."""


def blood_cells(*, short: bool) -> tuple[AnnData, str]:
    """Cells with a mask for either choice of genes, and the column of Seurat's labels."""
    import anndata as ad

    if short or "MODULAE_DATA" not in os.environ:
        adata, sets, labels = mo.datasets.pbmc68k(), mo.datasets.immune_signatures(), "bulk_labels"
    else:
        folder = Path(os.environ["MODULAE_DATA"])
        adata, labels = ad.read_h5ad(folder / "pbmc3k.h5ad"), "seurat_celltype"
        sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
        sets |= mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
    wanted = adata.var_names.isin([gene for genes in sets.values() for gene in genes])
    largest = adata.X.max(axis=0).toarray().ravel()
    adata.var[TEXT] = wanted & (largest > 0)
    adata.var[SCRIPTS] = wanted & (largest > 2)
    return adata, labels
