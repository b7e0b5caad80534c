"""Do units come back as surely as they say? Models of two disjoint halves of the cells, each made on its own."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd

import modulae as mo
from benchmarks import table
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae.core.inference.encode import encode
from modulae.core.scores.correlation import correlation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

SEEDS = (41, 42)
BACK, CLOSE = 0.8, 0.9
LEVELS = {"at least 0.9": (0.9, 1.01), "0.8 to 0.9": (0.8, 0.9), "0.7 to 0.8": (0.7, 0.8), "below 0.7": (-0.01, 0.7)}
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "replication.png"
SHORT = {"n_cells": 400, "n_genes": 200, "n_programmes": 6, "genes_per_programme": 20, "n_groups": 2}
REAL = {
    "pbmc3k": "pbmc3k.h5ad",
    "Kang": "kang_ifnb_sub2000.h5ad",
    "glioblastoma, 300 genes": "glioblastoma_patients_300genes.h5ad",
    "five lines": "celseq2_5lines_plate1.h5ad",
}

WORDS = (
    "The cells of each data set are cut at random into two halves that share no cell. `tl.autoencoder`, with its "
    "defaults, makes a model of each half on its own, so each unit carries the `reproducibility` that its half alone "
    "gives it: how likely a model of as many new cells has it again. The other half is these new cells. All cells are "
    "read with both models, and a unit is *back* if one unit of the other model has |r| > 0.8 with it (Pearson, over "
    "all cells).\n\n"
    "The curve from the likeness of halves to `reproducibility` was fitted to other random halves of the same real "
    "data sets ({doc}`reproducibility_curve`), so this page shows that it holds for new halves, and for the simulated "
    "cells, which it was not fitted to. The number is a promise about cells of the same kind, not about another "
    "laboratory.\n\n"
    "![Share of units that are back, against what they said](../images/replication.png)\n\n"
    "*Each point stands for the units that say about the same, all data sets together; bars are 95 % intervals "
    "(Wilson). On the dashed line what is said is what happens.*"
)


def data(*, short: bool) -> Iterator[tuple[str, AnnData]]:
    """Cells by name."""
    if short:
        yield "simulated, easy", mo.datasets.simulated(difficulty="easy", **SHORT)
        return
    for kind in ("easy", "together", "hard", "rare"):
        yield f"simulated, {kind}", mo.datasets.simulated(difficulty=kind, seed=77)  # type: ignore[arg-type]
    yield "pbmc68k (scanpy)", mo.datasets.pbmc68k()
    if "MODULAE_DATA" in os.environ:
        for name, file in REAL.items():
            yield name, ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / file)


def model(
    adata: AnnData, rows: NDArray[np.intp], seed: int, replicate_over: str | None = None
) -> tuple[NDArray[Any], pd.DataFrame]:
    """Units of all cells, learnt from some, and what each says of itself."""
    half = adata[rows].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mo.tl.autoencoder(half, replicate_over=replicate_over, seed=seed, device="cpu", progress=False)
    fitted, known = read_model(half, "ae"), half.uns["ae"]["replication"]
    likeness = np.nan_to_num(known["similarity"]).mean(axis=1, dtype=float)
    said = pd.DataFrame({"said": known["reproducibility"], "likeness": likeness, "few_cells": known["few_cells"]})
    return encode(fitted.network, read_cells(adata, fitted, layer=None)), said


def returns(
    name: str,
    adata: AnnData,
    seed: int,
    *,
    halves: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
    replicate_over: str | None = None,
) -> pd.DataFrame:
    """What each unit of two disjoint halves said, and the largest |r| with a unit of the other half."""
    order = np.random.default_rng(seed).permutation(adata.n_obs)
    drawn = halves or (np.sort(order[: adata.n_obs // 2]), np.sort(order[adata.n_obs // 2 :]))
    (one, said), (other, also_said) = (model(adata, rows, 2 * seed + i, replicate_over) for i, rows in enumerate(drawn))
    r = np.abs(correlation(one, other))
    found = pd.concat([said, also_said], ignore_index=True)
    return found.assign(data=name, seed=seed, r=np.concatenate([r.max(axis=1), r.max(axis=0)]))


def share(values: pd.Series) -> str:
    """With two digits, or a dash where there is nothing."""
    return f"{values.mean():.2f}" if len(values) else "–"


def by_level(found: pd.DataFrame) -> list[dict[str, object]]:
    """One row a level."""
    rows = []
    for name, (low, high) in LEVELS.items():
        units = found[(found["said"] >= low) & (found["said"] < high)]
        rows.append(
            {
                "reproducibility said": name,
                "units": len(units),
                "mean said": share(units["said"]),
                f"back at abs(r) > {BACK}": share(units["r"] > BACK),
                f"> {CLOSE}": share(units["r"] > CLOSE),
            }
        )
    return rows


def by_data(found: pd.DataFrame) -> list[dict[str, object]]:
    """One row a data set."""
    rows = []
    for name, units in found.groupby("data", sort=False):
        sure = units[units["said"] >= LEVELS["at least 0.9"][0]]
        rows.append(
            {
                "data": name,
                "units a model": f"{len(units) / (2 * units['seed'].nunique()):.0f}",
                "of these say ≥ 0.9": share(units["said"] >= 0.9),
                f"all: back at abs(r) > {BACK}": share(units["r"] > BACK),
                f"say ≥ 0.9: > {BACK}": share(sure["r"] > BACK),
                f"say ≥ 0.9: > {CLOSE}": share(sure["r"] > CLOSE),
            }
        )
    return rows


def draw(found: pd.DataFrame) -> None:
    """What happens against what was said."""
    import matplotlib.pyplot as plt
    from statsmodels.stats.proportion import proportion_confint

    fig, ax = plt.subplots(figsize=(4.4, 4.0), layout="constrained")
    ax.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1)
    bins = pd.cut(found["said"], [0, 0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 1])
    for _, units in found.groupby(bins, observed=True):
        back = int((units["r"] > BACK).sum())
        low, high = proportion_confint(back, len(units), method="wilson")
        said, happened = units["said"].mean(), back / len(units)
        ax.errorbar(said, happened, [[happened - low], [high - happened]], color="#0072b2", marker="o", capsize=2)
        ax.annotate(f"{len(units)}", (said, happened), xytext=(5, -10), textcoords="offset points", fontsize="small")
    ax.set(xlabel="reproducibility said", ylabel="share of units that are back", xlim=(0, 1), ylim=(0, 1.02))
    PICTURE.parent.mkdir(exist_ok=True)
    fig.savefig(PICTURE, dpi=90)
    plt.close(fig)


def run(*, short: bool) -> str:
    """All data sets and seeds."""
    every = []
    for name, adata in data(short=short):
        for seed in SEEDS[: 1 if short else None]:
            every.append(returns(name, adata, seed))
            print(name, seed, f"{(every[-1]['r'] > BACK).mean():.2f} of {len(every[-1])} units back", flush=True)
    found = pd.concat(every, ignore_index=True)
    if not short:
        draw(found)
    more = [("**By data set.**", by_data(found))]
    return table.write(
        "replication", "Do programmes come back as surely as they say?", WORDS, by_level(found), short=short, more=more
    )
