"""What a consensus of ten runs gives: how many units, whether they come back, and what it costs."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import modulae as mo
from benchmarks import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

SHARE = 0.8
"""Of the cells, in each of two parts that are compared."""

PAIRS = 3

HALF = 0.5


def data(*, short: bool) -> Iterator[tuple[str, AnnData, str | None, str]]:
    """Name, cells, mask and labels."""
    import anndata as ad

    if short:
        yield (
            "simulated, easy",
            mo.datasets.simulated(difficulty="easy", n_cells=400, n_genes=200),
            None,
            "truth_activity",
        )
        return
    for rates in ("log-additive", "additive"):
        adata = mo.datasets.simulated(difficulty="hard", rates=rates, seed=200)
        yield f"simulated, hard, {rates}", adata, None, "truth_activity"
    if "MODULAE_DATA" not in os.environ:
        return
    folder = Path(os.environ["MODULAE_DATA"])
    sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
    sets |= mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
    for name, file, labels in (
        ("pbmc3k", "pbmc3k.h5ad", "seurat_celltype"),
        ("Kang", "kang_ifnb_sub2000.h5ad", "seurat_annotations"),
    ):
        adata = ad.read_h5ad(folder / file)
        mo.pp.gene_set_mask(adata, sets)
        yield name, adata, "in_gene_sets", labels


def row(adata: AnnData, other: AnnData, labels: str, key: str) -> dict[str, float]:
    """Scores of the representation in the first, and how many of its units are in the second too."""
    field = f"X_{key}"
    both = adata.obs_names.intersection(other.obs_names)
    back = mo.metrics.unit_stability(adata[both].obsm[field], other[both].obsm[field])["back"].to_numpy()
    scores = mo.metrics.disentanglement(adata, labels, use_rep=field)["SMI"]
    history = adata.uns[key]["history"]
    nmi = mo.metrics.clustering_nmi(adata, labels=labels, use_rep=field).mean() if labels in adata.obs else np.nan
    found = {
        "units": adata.obsm[field].shape[1],
        "LMS": scores["LMS"],
        "MSGS": scores["MSGS"],
        "back in other cells": back.mean(),
        "k-means NMI": nmi,
        "gain": history["gene_means_loss"] - history["test_loss"].min(),
    }
    if "consensus" in adata.uns[key]:
        in_runs = mo.get.consensus(adata, key=key)["back"].to_numpy()
        found["of those back in half of the runs"] = back[in_runs >= HALF].mean() if (in_runs >= HALF).any() else np.nan
        found["units back in half of the runs"] = (in_runs >= HALF).sum()
        found["AUC"] = auc(in_runs, back)
    return found


def auc(values: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """How well the values tell the positives apart; NaN where there is only one kind."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, values)) if 0 < positive.sum() < len(positive) else np.nan


def train(adata: AnnData, what: str, mask: str | None, *, seed: int, short: bool) -> None:
    """One run, or ten of them."""
    given: dict[str, Any] = {"mask_var": mask, "seed": seed, "progress": False, "key_added": "m"}
    if short:
        given["n_latent"] = 16
    if what == "one run":
        mo.tl.autoencoder(adata, architecture="parts", **given)
    else:
        mo.tl.consensus(adata, n_runs=3 if short else 10, n_jobs=1 if short else -1, **given)


def run(*, short: bool) -> str:
    """One run, and the consensus, each on two parts of the cells from different seeds; three such pairs."""
    rows = []
    for name, adata, mask, labels in data(short=short):
        found: dict[str, list[dict[str, float]]] = {}
        for pair in range(1 if short else PAIRS):
            rng = np.random.default_rng(pair)
            n = int(SHARE * adata.n_obs)
            parts = [adata[np.sort(rng.permutation(adata.n_obs)[:n])].copy() for _ in range(2)]
            for what in ("one run", "consensus"):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for at, part in enumerate(parts):
                        train(part, what, mask, seed=1000 * (2 * pair + at), short=short)
                both = [row(*each, labels, "m") for each in (parts, parts[::-1])]
                found.setdefault(what, []).append({key: _mean([each[key] for each in both]) for key in both[0]})
            print(name, pair, found["consensus"][-1], flush=True)
        for what, pairs in found.items():
            shown = {key: _words(key, [each[key] for each in pairs]) for key in pairs[0]}
            rows.append({"data": name if what == "one run" else "", "model": what, **shown})
    columns = list(rows[-1])
    rows = [{column: each.get(column, "") for column in columns} for each in rows]
    words = (
        'One run of `tl.autoencoder(architecture="parts")` and `tl.consensus` of ten, both with their defaults, on two '
        f"random parts of the cells, 80 % each, from different seeds; means of {PAIRS} such pairs, and in brackets the "
        "lowest and the highest of the pairs. LMS and MSGS over SMI, against the planted programmes and cell types or "
        "the published cell types. `back in other cells`: the share of units with |r| above 0.9 to their match in the "
        "other model, over the cells that both saw; the next two columns are of the units that were back in at least "
        "half of their own ten runs (`back` of {func}`modulae.get.consensus`); `AUC`: how well that number foretells, "
        "unit by unit, which ones come back in the other cells. `gain`: how much lower the held-out Poisson loss is "
        "than that of the gene means. Kang's data have 2000 cells and thirteen cell types, of which the rarest has "
        "five cells: a pair of parts alone says little."
    )
    return table.write("consensus", "Consensus of runs", words, rows, short=short)


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan


def _words(key: str, values: list[float]) -> str:
    """Mean, and the range over the pairs; units in whole numbers."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return ""
    digits = 0 if key.startswith("units") else 3 if key == "gain" else 2
    between = "" if len(known) == 1 else f" ({min(known):.{digits}f}–{max(known):.{digits}f})"
    return f"{np.mean(known):.{digits}f}{between}"
