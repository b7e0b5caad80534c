"""Does the explanation of a cell type name its own signature? Methods beside an untrained network and simple tools."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scanpy as sc

import modulae as mo

from . import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anndata import AnnData

METHODS: dict[str, tuple[dict[str, Any], bool]] = {  # settings, and whether each set is ranked by its best unit
    "gradient, sum over units (default)": ({}, False),
    "gradient, best unit": ({}, True),
    "gradient, median over genes, sum over units": ({"aggregate": "median"}, False),
    "guided |S|, best unit (the paper)": ({"method": "guided", "signed": False}, True),
    "guided |S|, sum over units": ({"method": "guided", "signed": False}, False),
    "guided, signed, sum over units": ({"method": "guided"}, False),
    "input × gradient, sum over units": ({"method": "input_x_gradient"}, False),
    "integrated gradients, sum over units": ({"method": "integrated_gradients"}, False),
}

TOP = 3

LINEAGES = {
    "pbmc3k": {
        "Naive CD4 T": ["CD4_T"],
        "Memory CD4 T": ["CD4_T"],
        "CD14+ Mono": ["MONO"],
        "B": ["B_CELL"],
        "CD8 T": ["CD8_T"],
        "FCGR3A+ Mono": ["MONO"],
        "NK": ["NK", "NKT"],
        "DC": ["MYELOID_DC"],
        "Platelet": ["MEGA"],
    },
    "Kang": {
        "CD14 Mono": ["MONO"],
        "CD4 Naive T": ["CD4_T"],
        "CD4 Memory T": ["CD4_T"],
        "CD16 Mono": ["MONO"],
        "B": ["B_CELL"],
        "CD8 T": ["CD8_T"],
        "NK": ["NK", "NKT"],
        "DC": ["MYELOID_DC"],
        "Mk": ["MEGA"],
        "pDC": ["PLASMACYTOID_DC"],
    },
}
"""Cell types with a lineage of DMAP of their own; the 19 contrasts."""


def data(*, short: bool) -> Iterator[tuple[AnnData, str, dict[str, list[str]], dict[str, list[str]]]]:
    """Cells with their mask, the labels, the signatures, and which is right for which label."""
    import anndata as ad

    if short or "MODULAE_DATA" not in os.environ:
        adata = mo.datasets.pbmc68k()
        sets = mo.datasets.immune_signatures()
        mo.pp.gene_set_mask(adata, sets)
        expected = {"CD19+ B": ["B_CELL"], "CD14+ Monocyte": ["MONOCYTE_CD14"], "CD56+ NK": ["NK_CELL"]}
        yield adata, "bulk_labels", sets, expected
        return
    folder = Path(os.environ["MODULAE_DATA"])
    sets = mo.read_gene_sets(folder / "dmap_derived_lineage_top100.gmt")
    hallmark = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
    for name, file, labels in (
        ("pbmc3k", "pbmc3k.h5ad", "seurat_celltype"),
        ("Kang", "kang_ifnb_sub2000.h5ad", "seurat_annotations"),
    ):
        adata = ad.read_h5ad(folder / file)
        mo.pp.gene_set_mask(adata, hallmark | sets)
        yield adata, labels, sets, {group: [f"DMAP_{n}" for n in names] for group, names in LINEAGES[name].items()}


def ranks_by_score(
    adata: AnnData, labels: str, sets: Mapping[str, list[str]], expected: Mapping[str, list[str]]
) -> list[int]:
    """The same with `scanpy.tl.score_genes`: mean score in the group minus the rest."""
    normal = adata.copy()
    sc.pp.normalize_total(normal)
    sc.pp.log1p(normal)
    for name, genes in sets.items():
        sc.tl.score_genes(normal, [gene for gene in genes if gene in normal.var_names], score_name=name)
    scores, ranks = normal.obs[list(sets)], []
    for group, wanted in expected.items():
        inside = normal.obs[labels] == group
        difference = (scores[inside].mean() - scores[~inside].mean()).sort_values(ascending=False)
        ranks.append(1 + min(list(difference.index).index(name) for name in wanted))
    return ranks


def run(*, short: bool) -> str:
    """Every method, trained and untrained, over the seeds."""
    found: dict[tuple[str, str], list[int]] = {}
    seeds, methods = (1, list(METHODS.items())[:2]) if short else (5, list(METHODS.items()))
    for adata, labels, sets, expected in data(short=short):
        found.setdefault(("scanpy.tl.score_genes", ""), []).extend(
            ranks_by_score(adata, labels, sets, expected) * seeds
        )
        for seed in range(seeds):
            for who, settings in (
                ("trained", {"max_epochs": 5} if short else {}),
                ("untrained", {"max_epochs": 1, "learning_rate": 1e-12}),
            ):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # an untrained model says that it is one
                    mo.tl.autoencoder(adata, mask_var="in_gene_sets", seed=seed, progress=False, **settings)
                for name, (reading, per_unit) in methods:
                    mo.tl.pathway_impact(adata, sets, groupby=labels, null=None, key_added="explained", **reading)
                    recovered = mo.metrics.signature_recovery(
                        adata, expected=expected, key="explained", per_unit=per_unit
                    )
                    found.setdefault((name, who), []).extend(recovered["rank"])
        print(len(next(iter(found.values()))), "ranks", flush=True)
    rows = [
        {
            "explanation": name,
            "network": who,
            "on top": f"{np.mean(np.array(ranks) == 1) * len(ranks) / seeds:.1f}",
            "in the top three": f"{np.mean(np.array(ranks) <= TOP) * len(ranks) / seeds:.1f}",
            "median rank": f"{pd.Series(ranks).median():.0f}",
            "of": len(ranks) // seeds,
        }
        for (name, who), ranks in found.items()
    ]
    words = (
        "Each cell type against the rest, 19 DMAP lineage signatures: how often its own is on top, a mean over seeds. "
        "An untrained network is the control: what it finds, expression alone explains. `score_genes` has no model at "
        "all. Of 19 sets, chance puts the right one on top in 1 contrast of 19."
    )
    return table.write("explanations", "Explanations beside their controls", words, rows, short=short)
