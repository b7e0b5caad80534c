"""Fit the curve from the likeness of halves to `reproducibility`, and see whether it holds for halves of donors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd

import modulae as mo
from benchmarks import table
from benchmarks.quality.replication import BACK, CLOSE, REAL, SHORT, returns, share
from modulae.core.training.replication.reproducibility import FEW_CELLS, INTERCEPT, SLOPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

FIT_SEEDS = (11, 12, 13, 14, 15)
DONOR_SEEDS = (51, 52, 53)
NOT_FITTED = ("glioblastoma, 300 genes",)
"""A panel of chosen genes is not what models are made for."""

N_DONORS = 16
OWN_LEVELS = (0.2, 0.4)
"""How much the expression of a gene differs between donors: standard deviation of its logarithm."""

WORDS = (
    "`reproducibility` is a logistic curve in one number: how alike the units of the two halves are, on average over "
    "the splits. This page makes that curve. Each data set is cut into two halves without a common cell, "
    "`tl.autoencoder` makes a model of each on its own, and a unit is *back* if a unit of the other model has "
    "|r| > 0.8 with it over all cells. Each data set counts alike; the panel of 300 genes is left out. The first table "
    "has the curve that comes out, and the one that the package has; {doc}`replication` measures it on other halves "
    "and on data it was not fitted to. "
    "Units that were found beside the others, as they run in few cells, have the same slope and a lower intercept. The "
    "package keeps the curve of an earlier fit. For units that are little alike it gives a higher number than the fit "
    "here; on the halves of {doc}`replication` about as many units come back as it says.\n\n"
    "**Donors.** The same curve serves halves of donors (`replicate_over`). There are no public data here with enough "
    "people, so the donors of the second table are made: the cells of real and of simulated data sets are given to "
    f"{N_DONORS} donors, each with its own composition of cell types; each gene of each donor is thinned to a share of "
    "its counts (log-normal, with the standard deviation that the table names), and in half of the donors 40 genes are "
    "silenced in one cell type. Models of two disjoint groups of eight donors are compared as above. "
    "Real people differ in more ways; the number says what this table says."
)


def cells(*, short: bool, real_only: bool) -> Iterator[tuple[str, AnnData, str]]:
    """Cells by name, and the column of their types."""
    if short:
        yield "simulated, easy", mo.datasets.simulated(difficulty="easy", **SHORT), "group"  # type: ignore[arg-type]
        return
    labels = {"pbmc3k": "seurat_celltype", "Kang": "seurat_annotations", "five lines": "cell_line"}
    yield "pbmc68k (scanpy)", mo.datasets.pbmc68k(), "bulk_labels"
    for name, file in REAL.items():
        if real_only and name in NOT_FITTED:
            continue
        yield name, ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / file), labels.get(name, "patient_id")
    if not real_only:
        for kind in ("easy", "hard"):
            yield f"simulated, {kind}", mo.datasets.simulated(difficulty=kind, seed=78), "group"  # type: ignore[arg-type]


def with_donors(adata: AnnData, types: str, spread: float, seed: int) -> AnnData:
    """The cells, given to donors that differ in composition, in each gene, and in a programme that half lack."""
    rng = np.random.default_rng([seed, 5])
    kinds = pd.Categorical(adata.obs[types].astype(str)).codes
    weights = rng.dirichlet(np.full(N_DONORS, 5.0), size=kinds.max() + 1)
    donor = np.array([rng.choice(N_DONORS, p=weights[kind]) for kind in kinds])
    keep = np.exp(spread * rng.standard_normal((N_DONORS, adata.n_vars)))
    keep = np.minimum(keep / np.exp(2 * spread), 1)
    counts = adata.X.tocsr().astype(np.int64)
    rows = np.repeat(np.arange(adata.n_obs), np.diff(counts.indptr))
    probability = keep[donor[rows], counts.indices]
    often = np.argsort(-np.asarray(counts.sum(axis=0)).ravel())[: adata.n_vars // 4]
    own = rng.choice(often, 40, replace=False)
    silent = (donor < N_DONORS // 2) & (kinds == np.bincount(kinds).argmax())
    probability = np.where(silent[rows] & np.isin(counts.indices, own), 0.2 * probability, probability)
    counts.data = rng.binomial(counts.data, probability)
    made = ad.AnnData(counts.astype(np.float32), obs=pd.DataFrame(index=adata.obs_names), var=adata.var[[]])
    made.X.eliminate_zeros()
    made.obs["donor"] = pd.Categorical([f"donor {d:02d}" for d in donor])
    return made


def two_groups_of_donors(made: AnnData, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of two disjoint halves of the donors, each with some of those that lack the programme."""
    rng = np.random.default_rng([seed, 7])
    half = N_DONORS // 2
    first = np.concatenate([rng.permutation(half)[: half // 2], half + rng.permutation(half)[: half // 2]])
    inside = np.isin(made.obs["donor"].cat.codes, first)
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def fit(found: pd.DataFrame) -> tuple[float, float, float]:
    """Intercept and slope of the logistic curve, and how much lower the intercept is for units of few cells.

    Each data set counts alike.
    """
    from scipy.optimize import brentq
    from sklearn.linear_model import LogisticRegression

    few = found[found["few_cells"].astype(bool)]
    found = found.drop(index=few.index)
    weights = 1 / found.groupby("data")["data"].transform("size")
    model = LogisticRegression(C=1e3)
    model.fit(found[["likeness"]], found["r"] > BACK, sample_weight=weights * len(found) / weights.sum())
    intercept, slope, back = float(model.intercept_[0]), float(model.coef_[0, 0]), (few["r"] > BACK).mean()

    def too_sure(less: float) -> float:
        return float((1 / (1 + np.exp(less - intercept - slope * few["likeness"]))).mean() - back)

    return intercept, slope, float(brentq(too_sure, -5, 10))


def row(name: str, found: pd.DataFrame, said: NDArray[np.float64]) -> dict[str, object]:
    """How often units are back that say at least 0.9, and all."""
    sure = found[said >= 0.9]
    return {
        "data": name,
        "units": len(found),
        "mean said": f"{said.mean():.2f}",
        f"back at abs(r) > {BACK}": share(found["r"] > BACK),
        "say ≥ 0.9": len(sure),
        f"of these > {BACK}": share(sure["r"] > BACK),
        f"> {CLOSE}": share(sure["r"] > CLOSE),
    }


def run(*, short: bool) -> str:
    """The curve, then donors."""
    halves, donors = [], []
    for name, adata, _ in cells(short=short, real_only=True):
        for seed in FIT_SEEDS[: 1 if short else None]:
            halves.append(returns(name, adata, seed))
            print(name, seed, len(halves[-1]), "units", flush=True)
    for name, adata, types in cells(short=short, real_only=False):
        for i, seed in enumerate(DONOR_SEEDS[: 1 if short else None]):
            spread = OWN_LEVELS[i % len(OWN_LEVELS)]
            made = with_donors(adata, types, spread, seed)
            got = returns(name, made, seed, halves=two_groups_of_donors(made, seed), replicate_over="donor")
            donors.append(got.assign(spread=spread))
            print(name, seed, "donors", len(got), "units", f"{(got['r'] > BACK).mean():.2f} back", flush=True)
    found, people = pd.concat(halves, ignore_index=True), pd.concat(donors, ignore_index=True)
    if short:
        intercept, slope, less = INTERCEPT, SLOPE, FEW_CELLS
    else:
        intercept, slope, less = fit(found)
    few = "less for units of few cells"
    curve = [
        {"curve": "fitted here", "intercept": f"{intercept:.3f}", "slope": f"{slope:.3f}", few: f"{less:.2f}"},
        {"curve": "in the package", "intercept": INTERCEPT, "slope": SLOPE, few: FEW_CELLS},
    ]
    counts = {"units": len(found), "of few cells": int(found["few_cells"].sum())}
    curve = [{**curve[0], **counts}, {**curve[1], **dict.fromkeys(counts, "")}]
    said = people["said"].to_numpy()
    rows = [row("all", people, said)]
    rows += [row(f"spread {s}", people[people["spread"] == s], said[people["spread"] == s]) for s in OWN_LEVELS]
    rows += [row(str(n), g, said[g.index]) for n, g in people.groupby("data", sort=False)]
    more = [("**Halves of donors.**", rows)]
    return table.write(
        "reproducibility_curve", "Where reproducibility comes from", WORDS, curve, short=short, more=more
    )
