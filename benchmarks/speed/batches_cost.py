"""What goes with a batch: the interferon response, where stimulation is named as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import modulae as mo
from benchmarks.quality.mixing import LEAST, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

SET = "HALLMARK_INTERFERON_ALPHA_RESPONSE"


def cost(
    trained: Mapping[tuple[str, str, int], AnnData],
    ways: Sequence[str],
    architectures: Sequence[str],
    seeds: Sequence[int],
    sets: Mapping[str, list[str]],
) -> Iterator[dict[str, object]]:
    """One row a model."""
    for architecture in architectures:
        for way in ways:
            found = [_interferon(trained[architecture, way, seed], sets) for seed in seeds]
            yield {"model": f"{architecture}, {way}", **spread(found)}


def _interferon(adata: AnnData, sets: Mapping[str, list[str]]) -> dict[str, Any]:
    mo.tl.pathway_impact(adata, sets, groupby="stim", groups=["STIM"], reference="CTRL")
    effects = mo.get.impact_table(adata, result="ae_impact_stim").set_index("set")
    rank = effects["effect"].abs().rank(ascending=False)
    genes = [gene for gene in sets[SET] if gene in adata.var_names]
    changes = {}
    for batch in ("own", "average") if "batches" in adata.uns["ae"]["model"] else ("own",):
        mo.tl.denoise(adata, batch=batch)
        changes[batch] = _fold_change(adata, np.asarray(adata[:, genes].layers["ae_denoised"]))
    counted = np.asarray(adata[:, genes].X.todense())
    totals = np.asarray(adata.X.sum(axis=1)).ravel()
    return {
        "best unit, AUC": _best_unit(adata),
        "impact, effect": float(effects.loc[SET, "effect"]),
        "rank": float(rank[SET]),
        "q": float(effects.loc[SET, "q"]),
        "fold change, own": changes["own"],
        "average": changes.get("average"),
        "counted": _fold_change(adata, counted, totals / np.median(totals)),
    }


def _fold_change(adata: AnnData, rates: NDArray[Any], depth: NDArray[Any] | None = None) -> float:
    """Median over genes of the ratio of mean rates per depth, stimulated over control."""
    totals = np.asarray(adata.X.sum(axis=1)).ravel() if depth is None else depth
    stimulated = (adata.obs["stim"] == "STIM").to_numpy()
    sums = [rates[cells].sum(axis=0) / totals[cells].sum() for cells in (stimulated, ~stimulated)]
    seen = (sums[0] > 0) & (sums[1] > 0)
    return float(np.median(sums[0][seen] / sums[1][seen]))


def _best_unit(adata: AnnData) -> float:
    from sklearn.metrics import roc_auc_score

    units, stimulated = np.asarray(adata.obsm["X_ae"]), (adata.obs["stim"] == "STIM").to_numpy()
    types = adata.obs["cell_type"].to_numpy()
    areas = []
    for one in np.unique(types):
        here = types == one
        if min(stimulated[here].sum(), (~stimulated[here]).sum()) >= LEAST:
            areas.append([roc_auc_score(stimulated[here], unit[here]) for unit in units.T])
    means = np.mean(areas, axis=0)
    return float(np.maximum(means, 1 - means).max())
