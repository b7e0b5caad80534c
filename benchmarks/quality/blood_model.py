"""The model that ships, on blood of others: labels, and its units found again."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import modulae as mo
from benchmarks import table

from . import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

WORDS = (
    "`mo.datasets.blood_model()` (units that the default finds in pbmc3k, kept for 3000 genes, and at most 40 cells of "
    "each of its eight types) reads Kang's cells (1000 control and 1000 interferon-β-stimulated PBMC of other donors, "
    "another laboratory and chemistry) without training: `mo.tl.transfer(cells, blood)`, `mo.tl.classify(cells, blood, "
    'labels="cell_type")`; in the last row with `align="stim"`, each condition with a shift of its own. '
    "Macro-F1 is over B, CD14 Mono, CD16 Mono, CD4 T, CD8 T, DC and NK, once taking the best "
    "label of every cell (`unknown_rate=0`) and once with unknown cells counted as wrong; `unknown, others` is the "
    "share of cells called unknown among types that the model's cells do not have (T activated, pDC, Eryth), or "
    "hardly (Mk). Reliability is the lowest of all units. A model of pbmc3k that is trained on the genes of Hallmark "
    "and DMAP, with all its cells as the reference, has 0.854 and 0.776 (`python -m benchmarks transfer`)."
)
EACH = "all, a shift each"
LABELS = "**Each type**, all cells, with a shift of each condition: how many cells get which label."
MATCHED = (
    "**The units of pbmc3k in Kang's control cells.** Which unit of a model that the default finds in the 1000 control "
    "cells is the unit of the blood model (`mo.match_programmes(blood, control)`): similarity, p and q of the best "
    "partner, and whether each is the other's best. `found` is that, and q ≤ 0.05."
)
MAIN = {
    "B cells": "B",
    "CD14+ Monocytes": "CD14 Mono",
    "FCGR3A+ Monocytes": "CD16 Mono",
    "CD4 T cells": "CD4 T",
    "CD8 T cells": "CD8 T",
    "Dendritic cells": "DC",
    "NK cells": "NK",
}
BULK = {"CD19+ B": "B", "CD14+ Monocyte": "CD14 Mono", "CD56+ NK": "NK", "Dendritic": "DC", "CD8+ Cytotoxic T": "CD8 T"}


def run(*, short: bool) -> str:
    """Read, label and compare."""
    real = not short and "MODULAE_DATA" in os.environ
    blood, cells = mo.datasets.blood_model(), foreign.blood()[0]["Kang"] if real else _few()
    parts = {"all": np.ones(cells.n_obs, dtype=bool)}
    parts |= {str(name): np.asarray(cells.obs["stim"] == name) for name in cells.obs["stim"].unique()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of units that too few genes are left for
        rows = [_scores(cells[chosen].copy(), blood, name) for name, chosen in parts.items()]
        rows.append(_scores(cells, blood, EACH, align="stim"))
        mo.tl.classify(cells, blood, labels="cell_type", align="stim", device="cpu")
        control = cells[parts["CTRL"]].copy()
        mo.tl.autoencoder(control, device="cpu", progress=False, **({} if real else {"n_splits": 0, "max_epochs": 2}))
        mo.tl.unit_summary(control, groupby="cell_type", device="cpu", progress=False)
    more = [(LABELS, list(_labels(cells))), (MATCHED, list(_matched(blood, control)))]
    return table.write("blood_model", "A model to start from", WORDS, rows, short=short, more=more)


def _few() -> AnnData:
    """Cells that need no file, in the same form."""
    cells = mo.datasets.pbmc68k()
    cells.obs["cell_type"] = cells.obs["bulk_labels"].astype(str)
    cells.obs["main"] = cells.obs["cell_type"].map(BULK).astype("category")
    cells.obs["stim"] = np.where(np.arange(cells.n_obs) % 2, "STIM", "CTRL")
    return cells


def _scores(cells: AnnData, blood: AnnData, name: str, *, align: bool | str = True) -> dict[str, object]:
    mo.tl.transfer(cells, blood, device="cpu")
    for column, more in (("best", {"unknown_rate": 0}), ("label", {})):
        how: dict[str, Any] = {"align": align, "device": "cpu", "key_added": column, **more}
        mo.tl.classify(cells, blood, labels="cell_type", **how)
    truth, known = cells.obs["main"], cells.obs["main"].notna()
    best, label = (cells.obs[column].astype(str).replace(MAIN) for column in ("best", "label"))
    unknown = label == "unknown"
    return {
        "Kang's cells": name,
        "cells": cells.n_obs,
        "macro-F1": f"{foreign.macro_f1(truth, best, truth.cat.categories):.3f}",
        "macro-F1, unknown is wrong": f"{foreign.macro_f1(truth, label, truth.cat.categories):.3f}",
        "unknown, these types": f"{unknown[known].mean():.2f}",
        "unknown, others": f"{unknown[~known].mean():.2f}",
        "confidence": f"{cells.obs['best_confidence'][known].mean():.2f}",
        "accuracy": f"{(best == truth.astype(str))[known].mean():.2f}",
        "reliability": f"{mo.get.transfer(cells)['reliability'].min():.2f}",
    }


def _labels(cells: AnnData) -> Iterator[dict[str, object]]:
    counts = pd.crosstab(cells.obs["cell_type"], cells.obs["ae_label"])
    for cell_type, row in counts.iterrows():
        yield {"type": cell_type, **{str(label): int(n) or "" for label, n in row.items()}}


def _matched(blood: AnnData, control: AnnData) -> Iterator[dict[str, Any]]:
    for programme, row in mo.match_programmes(blood, control).iterrows():
        yield {
            "unit of pbmc3k": programme,
            "of Kang's control cells": row["partner"],
            "similarity": f"{row['similarity']:.2f}",
            "p": f"{row['p']:.3f}",
            "q": f"{row['q']:.3f}",
            "each other's best": "yes" if row["reciprocal"] else "",
            "found": "yes" if row["found"] else "",
        }
