"""Signatures derived from the DMAP table beside the published ones, and the cell types they name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from scipy import stats

import modulae as mo
from benchmarks import table
from benchmarks.quality.explanations import LINEAGES, TOP, ranks_by_score
from modulae.tl._signatures import SignatureMethod

if TYPE_CHECKING:
    from collections.abc import Mapping

# lineage: its populations in the table; its types among the 24 of xCell; its sets among the 19 lineages
LINEAGE_OF: dict[str, tuple[list[str], list[str], list[str]]] = {
    "HSC": (
        ["Hematopoietic stem cell_CD133+ CD34dim", "Hematopoietic stem cell_CD38- CD34+"],
        ["HSC", "MPP"],
        ["HSC"],
    ),
    "Erythroid": (
        [
            "Erythroid_CD34+ CD71+ GlyA-",
            "Erythroid_CD34- CD71+ GlyA-",
            "Erythroid_CD34- CD71+ GlyA+",
            "Erythroid_CD34- CD71lo GlyA+",
            "Erythroid_CD34- CD71- GlyA+",
        ],
        ["Erythrocytes"],
        ["ERY_EARLY", "ERY_LATE"],
    ),
    "Megakaryocytes": (["Megakaryocyte", "Colony Forming Unit-Megakaryocytic"], ["Megakaryocytes"], ["MEGA"]),
    "Monocytes": (["Monocyte", "Colony Forming Unit-Monocyte"], ["Monocytes"], ["MONO"]),
    "Granulocytes": (["Granulocyte (Neutrophil)", "Granulocyte (Neutrophilic Metamyelocyte)"], [], ["GRAN"]),
    "Pro-B": (["Pro B-cell", "Early B-cell"], ["pro_B-cells"], ["PRE_B"]),
    "B": (
        ["Naïve B-cells", "Mature B-cells", "Mature B-cell class able to switch", "Mature B-cell class switched"],
        ["B-cells", "naive_B-cells", "Class-switched_memory_B-cells"],
        ["B_CELL"],
    ),
    "NK": (
        ["Mature NK cell_CD56- CD16- CD3-", "Mature NK cell_CD56- CD16+ CD3-", "Mature NK cell_CD56+ CD16+ CD3-"],
        ["NK_cells"],
        ["NK"],
    ),
    "CD4 T": (
        ["Naive CD4+ T-cell", "CD4+ Central Memory", "CD4+ Effector Memory"],
        ["CD4+_naive_T-cells", "CD4+_Tcm", "CD4+_Tem"],
        ["CD4_T"],
    ),
    "CD8 T": (
        ["Naive CD8+ T-cell", "CD8+ Central Memory", "CD8+ Effector Memory", "CD8+ Effector Memory RA"],
        ["CD8+_T-cells", "CD8+_Tcm", "CD8+_Tem"],
        ["CD8_T"],
    ),
    "CMP": (["Common myeloid progenitor"], ["CMP"], ["CMP"]),
    "MEP": (["Megakaryocyte/ erythroid progenitor"], ["MEP"], ["MEP"]),
    "GMP": (["Granulocyte/monocyte progenitor"], ["GMP"], ["GMP"]),
    "Basophils": (["Basophils"], ["Basophils"], ["BASO"]),
    "Eosinophils": (["Eosinophill"], ["Eosinophils"], ["EOS"]),
    "Myeloid DC": (["Myeloid Dendritic Cell"], ["cDC"], ["MYELOID_DC"]),
    "Plasmacytoid DC": (["Plasmacytoid Dendritic Cell"], ["pDC"], ["PLASMACYTOID_DC"]),
    "NKT": (["NKT"], ["NKT"], ["NKT"]),
}


SAME_TYPE = {
    "CD14 Mono": ["CD14+ Mono"],
    "CD4 Naive T": ["Naive CD4 T"],
    "CD4 Memory T": ["Memory CD4 T"],
    "CD16 Mono": ["FCGR3A+ Mono"],
    "B": ["B"],
    "CD8 T": ["CD8 T"],
    "NK": ["NK"],
    "DC": ["DC"],
    "Mk": ["Platelet"],
}
"""Cell types of Kang's study, as pbmc3k calls them."""


@dataclass
class Published:
    """Sets to compare with: name of the collection, sets, the type of each set, and which types are right."""

    name: str
    sets: dict[str, list[str]]
    type_of: dict[str, str]
    right: dict[str, list[str]]


def reference(*, short: bool) -> tuple[AnnData, list[Published]]:
    """Log expression of populations with their lineage in `obs`, and what to compare its signatures with."""
    if short or "MODULAE_DATA" not in os.environ:
        return stand_in()
    folder = Path(os.environ["MODULAE_DATA"])
    means = pd.read_csv(folder / "dmap_GSE24759_log2_mean_by_population.csv.gz", index_col=0).T
    adata = AnnData(means)
    lineage = {population: name for name, (populations, _, _) in LINEAGE_OF.items() for population in populations}
    adata.obs["lineage"] = [lineage.get(population) for population in adata.obs_names]
    xcell = mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
    top = mo.read_gene_sets(folder / "dmap_derived_lineage_top100.gmt")
    return adata, [
        Published(
            "xCell, 72 sets of 24 types",
            xcell,
            {name: name.partition("_NOVERSHTERN")[0] for name in xcell},
            {name: types for name, (_, types, _) in LINEAGE_OF.items() if types},
        ),
        Published(
            "top 100 of 19 lineages",
            top,
            {name: name.removeprefix("DMAP_") for name in top},
            {name: types for name, (_, _, types) in LINEAGE_OF.items()},
        ),
    ]


def stand_in() -> tuple[AnnData, list[Published]]:
    """Without the table: means of random thirds of the cell types of 700 blood cells, and the packaged signatures."""
    cells = mo.datasets.pbmc68k()
    sc.pp.normalize_total(cells)
    sc.pp.log1p(cells)
    third = np.random.default_rng(0).integers(3, size=cells.n_obs)
    means = cells.to_df().groupby([cells.obs["bulk_labels"].astype(str), third]).mean()
    adata = AnnData(means.set_axis([f"{label} {part}" for label, part in means.index]))
    adata.obs["lineage"] = means.index.get_level_values(0)
    sets = mo.datasets.immune_signatures()
    right = {"CD19+ B": ["B_CELL"], "CD14+ Monocyte": ["MONOCYTE_CD14"], "CD56+ NK": ["NK_CELL"]}
    return adata, [Published("packaged", sets, {name: name for name in sets}, right)]


def agreement(
    derived: Mapping[str, list[str]], published: Published, universe: set[str]
) -> dict[str, tuple[int, float, float, str]]:
    """For each derived set: rank of its type by overlap, share found and Jaccard of its type's best set, the leader."""
    found = {}
    for name, types in published.right.items():
        if name not in derived:
            continue
        mine, rows = set(derived[name]), []
        for other, genes in published.sets.items():
            theirs = set(genes) & universe
            shared = len(mine & theirs)
            p = stats.hypergeom.logsf(shared - 1, len(universe), len(theirs), len(mine))
            jaccard = shared / len(mine | theirs)
            rows.append((published.type_of[other], p, shared / max(len(theirs), 1), jaccard))
        overlaps = pd.DataFrame(rows, columns=["type", "p", "share", "jaccard"]).sort_values("p", kind="stable")
        order = list(dict.fromkeys(overlaps["type"]))  # types by their best set
        best = overlaps[overlaps["type"].isin(types)].iloc[0]
        rank = 1 + min(order.index(type_) for type_ in types)
        found[name] = (rank, float(best["share"]), float(best["jaccard"]), order[0])
    return found


def cells_named(derived: Mapping[str, list[str]], right: Mapping[str, list[str]]) -> str:
    """In how many of the cell types of 2638 blood cells the right signature has the highest score."""
    import anndata as ad

    adata = ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / "pbmc3k.h5ad")
    ranks = ranks_by_score(adata, "seurat_celltype", derived, right)
    return f"{sum(rank == 1 for rank in ranks)} (top {TOP}: {sum(rank <= TOP for rank in ranks)}) of {len(ranks)}"


def run(*, short: bool) -> str:
    """Every method, against every published collection; and on cells that had no part in the reference."""
    adata, collections = reference(short=short)
    n_samples = adata.obs["lineage"].value_counts()
    replicated = [name for name in n_samples.index if n_samples[name] > 1]
    ask = {"groupby": "lineage", "n_genes": 100}
    by_change = mo.tl.signatures(adata, **ask, method="log_fold_change")
    derived = {
        method: mo.tl.signatures(adata, **ask, method=method, groups=replicated)
        for method in ("t-test_overestim_var", "t-test")
    }
    derived["log_fold_change"] = {name: by_change[name] for name in replicated}
    singles = {name: genes for name, genes in by_change.items() if name not in replicated}
    groups = [("several populations", method, sets) for method, sets in derived.items()]
    groups += [("one population", "log_fold_change", singles)] if singles else []

    rows = []
    for published in collections:
        for samples, method, sets in groups:
            found = agreement(sets, published, set(adata.var_names))
            ranks, shares, jaccards, leaders = zip(*found.values(), strict=True)
            wrong = [f"{name} → {top}" for name, rank, top in zip(found, ranks, leaders, strict=True) if rank > 1]
            rows.append(
                {
                    "published": published.name,
                    "lineages with": samples,
                    "method": f"`{method}`",
                    "best match is right": f"{sum(rank == 1 for rank in ranks)} of {len(ranks)}",
                    f"in the top {TOP}": f"{sum(rank <= TOP for rank in ranks)} of {len(ranks)}",
                    "share of the right set found, median": f"{np.median(shares):.2f}",
                    "Jaccard, median": f"{np.median(jaccards):.2f}",
                    "not right": "; ".join(wrong),
                }
            )
    more = []
    if "MODULAE_DATA" in os.environ and not short:
        more = [on_cells(derived, singles, collections[-1]), with_replicates()]
    words = (
        "Sets of 100 genes from the table of DMAP (mean log2 expression of 38 populations, 13038 genes), one lineage "
        "against all others. Lineages are populations taken together, so that they are each other's replicates; a "
        "lineage of one population has none, and only the log-fold change can rank its genes. Overlap with the "
        "published sets, ordered by the hypergeometric p of their best set: is the first type the right one? "
        "All come from the same study, so this shows that the derivations agree, not that the sets are true. xCell has "
        "8 to 99 genes per set (half of them 15 or fewer). The 19 lineages are ranked by their mean minus the 75th "
        "percentile of *unrelated* lineages; its basophils and eosinophils are contaminated with B cells."
    )
    return table.write("paper_signatures", "Signatures from a reference", words, rows, short=short, more=more)


def on_cells(
    derived: Mapping[str, dict[str, list[str]]], singles: dict[str, list[str]], lineages: Published
) -> tuple[str, list[dict[str, object]]]:
    """Words and table of the second question: do the sets name the cell types of other cells."""
    names = {published[0]: name for name, (_, _, published) in LINEAGE_OF.items()}
    right = {group: [names[wanted] for wanted in types] for group, types in LINEAGES["pbmc3k"].items()}
    rows: list[dict[str, object]] = [
        {
            "sets": f"`{method}` ({len(sets) + len(singles)} sets)",
            "own signature leads": cells_named(sets | singles, right),
        }
        for method, sets in derived.items()
    ]
    expected = {group: [f"DMAP_{name}" for name in types] for group, types in LINEAGES["pbmc3k"].items()}
    rows.append({"sets": lineages.name, "own signature leads": cells_named(lineages.sets, expected)})
    words = (
        "The cell types of 2638 PBMC, which had no part in DMAP: the score of each set (`scanpy.tl.score_genes`), cell "
        "type minus the rest. Lineages of one population have their sets by log-fold change in every row."
    )
    return words, rows


def with_replicates() -> tuple[str, list[dict[str, object]]]:
    """Words and table of the third question: the same where a population has true replicates."""
    import anndata as ad

    folder = Path(os.environ["MODULAE_DATA"])
    cells, other = ad.read_h5ad(folder / "pbmc3k.h5ad"), ad.read_h5ad(folder / "kang_ifnb_sub2000.h5ad")
    other = other[other.obs["stim"] == "CTRL"].copy()
    counts, labels = cells.to_df(), cells.obs["seurat_celltype"].astype(str)
    logs = np.log1p(counts.div(counts.sum(axis=1), axis=0) * 1e4)
    rows: list[dict[str, object]] = []
    for kind in ("mean of the log counts", "log of the summed counts"):
        ranks: dict[str, list[int]] = {method: [] for method in get_args(SignatureMethod)}
        for seed in range(3):
            parts = [labels.to_numpy(), np.random.default_rng(seed).integers(3, size=cells.n_obs)]
            if kind == "mean of the log counts":
                values = logs.groupby(parts).mean()
            else:
                sums = counts.groupby(parts).sum()
                values = np.log2(sums.div(sums.sum(axis=1), axis=0) * 1e6 + 1)
            samples = AnnData(values.set_axis([f"{label} {part}" for label, part in values.index]))
            samples.obs["cell type"] = values.index.get_level_values(0)
            for method in ranks:
                sets = mo.tl.signatures(samples, groupby="cell type", method=method)
                ranks[method] += ranks_by_score(other, "seurat_annotations", sets, SAME_TYPE)
        rows += [
            {
                "replicates": kind,
                "method": f"`{method}`",
                "own signature leads": f"{np.mean(np.array(found) == 1) * len(SAME_TYPE):.1f} of {len(SAME_TYPE)}",
            }
            for method, found in ranks.items()
        ]
    words = (
        "The same question with replicates: the cells of each type of the 2638 PBMC in three random parts (mean of "
        "three draws; 14 platelets are the fewest), 100 genes, and the score on the 1000 control cells of Kang's study."
    )
    return words, rows
