"""What is lost where units are learnt from some of the cells: whether they come back as they say, and all are there.

    MODULAE_DRAWN=atlas python -m benchmarks drawn_cells

keeps each training as a table in the folder `MODULAE_DRAWN`, and goes on from there after an interruption.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import modulae as mo
from benchmarks import table
from benchmarks.speed import atlas
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae.core.inference.encode import encode
from modulae.core.scores.correlation import correlation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

BACK = 0.8
SEEDS = (61, 62, 63)
N_CELLS = 12_000
"""Simulated cells whose halves are compared: in 6000, a programme of 0.5 % has 30 cells."""

DRAWN = {"simulated": 2000, "pbmc3k": 650, "Kang": 500}
"""Cells that are drawn of a half."""

MANY = 100_000
SIZES = (2500, 5000, 10_000, 20_000)

WORDS = (
    "Where there are more than `max_cells` cells, units are looked for and learnt from cells that are drawn of them: "
    "half at random and half of unusual ones. `reproducibility` was fitted to models of all cells. Here, the cells are "
    "cut into two halves without a cell in common, three times (seeds 61 to 63), and each half makes a model of its "
    "own with `tl.autoencoder`, of all its cells or of as many as the table says. A unit is *back* if one unit of the "
    f"other half's model has |r| > {BACK} with it over all cells of both. What is said and what is back are to be "
    "alike: below what was said, a promise is broken."
)
WORDS_OF_SIZES = (
    f"What more cells would find, in {MANY} simulated cells with {atlas.N_COMMON} programmes that are active in "
    f"{atlas.COMMON:.0%} of them, {atlas.N_RARE} in {atlas.RARE:.1%} and {atlas.N_GROUPS} groups: units, planted "
    f"programmes that a unit follows with |r| > {BACK}, the mean |r| of a programme with its best unit, and the "
    "processor's seconds of the whole call."
)


def simulated(n_cells: int, n_of: int = 100_000) -> tuple[AnnData, NDArray[np.float32]]:
    """Random cells of an atlas, in which groups lie in runs, and the truth of them."""
    counts = sparse.vstack([block for block, _ in atlas.blocks(max(n_of, n_cells))], format="csr")
    truth = atlas.truth(counts.shape[0])
    rows = np.sort(np.random.default_rng(0).permutation(counts.shape[0])[:n_cells])
    return ad.AnnData(sparse.csr_matrix(counts[rows])), truth[rows]


def data(*, short: bool) -> Iterator[tuple[str, Callable[[], AnnData]]]:
    """Cells by name."""
    if short:
        yield "simulated", lambda: simulated(1200, 1200)[0]
        return
    yield "simulated", lambda: simulated(N_CELLS)[0]
    if "MODULAE_DATA" in os.environ:
        folder = Path(os.environ["MODULAE_DATA"])
        yield "pbmc3k", lambda: ad.read_h5ad(folder / "pbmc3k.h5ad")
        yield "Kang", lambda: ad.read_h5ad(folder / "kang_ifnb_sub2000.h5ad")


def model(adata: AnnData, rows: NDArray[np.intp], max_cells: int | None, seed: int) -> tuple[Any, NDArray[Any]]:
    """Units of all cells, learnt from some of these, and what each says of itself."""
    half = adata[rows].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mo.tl.autoencoder(half, max_cells=max_cells or half.n_obs, seed=seed, device="cpu", progress=False)
    fitted = read_model(half, "ae")
    said = np.asarray(half.uns["ae"]["replication"]["reproducibility"], dtype=np.float64)
    return encode(fitted.network, read_cells(adata, fitted, layer=None)), said


def returns(adata: AnnData, max_cells: int | None, seed: int) -> pd.DataFrame:
    """What each unit of two halves said, and the largest |r| with a unit of the other half."""
    order = np.random.default_rng(seed).permutation(adata.n_obs)
    halves = np.sort(order[: adata.n_obs // 2]), np.sort(order[adata.n_obs // 2 :])
    (one, said), (other, also) = (model(adata, rows, max_cells, 2 * seed + i) for i, rows in enumerate(halves))
    r = np.abs(correlation(one, other))
    return pd.DataFrame({"said": [*said, *also], "r": [*r.max(axis=1), *r.max(axis=0)]})


def sizes(adata: AnnData, truth: NDArray[np.float32], max_cells: int) -> pd.DataFrame:
    """What a model learnt from so many of the cells finds."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mo.tl.autoencoder(adata, max_cells=max_cells, device="cpu", progress=False)
    seconds = time.process_time() - start
    r = np.abs(correlation(truth, np.asarray(adata.obsm["X_ae"])))
    return pd.DataFrame({"r": r.max(axis=1), "units": r.shape[1], "seconds": seconds})


def kept(file: Path, measure: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """What was measured before, or now."""
    if not file.exists():
        measure().to_csv(file, index=False)
        print(file.stem, flush=True)
    return pd.read_csv(file)


def row_of_returns(name: str, learnt: str, found: pd.DataFrame) -> dict[str, object]:
    """One row of the first table."""
    sure = found[found["said"] >= 0.7]
    error = np.sqrt(((found["r"] > BACK).mean() * (1 - (found["r"] > BACK).mean())) / len(found))
    return {
        "data": name,
        "learnt from": learnt,
        "units": len(found),
        "mean said": f"{found['said'].mean():.2f}",
        "back": f"{(found['r'] > BACK).mean():.2f} ± {error:.2f}",
        "say ≥ 0.7": len(sure),
        "mean said by these": f"{sure['said'].mean():.2f}",
        "of these back": f"{(sure['r'] > BACK).mean():.2f}",
    }


def row_of_size(max_cells: int, found: pd.DataFrame) -> dict[str, object]:
    """One row of the second table."""
    rare = found["r"].iloc[atlas.N_COMMON : atlas.N_COMMON + atlas.N_RARE]
    return {
        "max_cells": max_cells,
        "units": int(found["units"].iloc[0]),
        "programmes found": f"{(found['r'] > BACK).sum()} of {len(found)}",
        "of the rare": f"{(rare > BACK).sum()} of {len(rare)}",
        "mean abs(r)": f"{found['r'].mean():.3f}",
        "CPU s": f"{found['seconds'].iloc[0]:.0f}",
    }


def run(*, short: bool) -> str:
    """Promises of drawn cells, and what more of them find."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary if short else os.environ.get("MODULAE_DRAWN", temporary))
        folder.mkdir(exist_ok=True)
        rows = []
        for name, read in data(short=short):
            adata = read()
            for learnt in (None, 300 if short else DRAWN[name]):
                label = "all cells of a half" if learnt is None else f"{learnt} drawn of {adata.n_obs // 2}"
                parts = [
                    kept(folder / f"{name}-{learnt}-{seed}.csv", partial(returns, adata, learnt, seed))
                    for seed in (SEEDS[:1] if short else SEEDS)
                ]
                rows.append(row_of_returns(name, label, pd.concat(parts)))
        adata, truth = simulated(2000, 2000) if short else simulated(MANY)
        of_sizes = [
            row_of_size(most, kept(folder / f"size-{most}.csv", partial(sizes, adata, truth, most)))
            for most in ((500, 1000) if short else SIZES)
        ]
    title = "Units learnt from drawn cells"
    return table.write("drawn_cells", title, WORDS, rows, short=short, more=[(WORDS_OF_SIZES, of_sizes)])
