"""What is lost where units are learnt from some of the cells: whether they come back as they say, and all are there.

    MODULAE_DRAWN=atlas python -m benchmarks drawn_cells

keeps what was measured in the folder `MODULAE_DRAWN`, and goes on from there after an interruption. It takes about ten
minutes of one processor.
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
    from collections.abc import Callable, Iterable, Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

BACK, SAME = 0.8, 0.95
SEEDS = (61, 62)
N_CELLS = 12_000
"""Simulated cells whose halves are compared: in 6000, a programme of 0.5 % has 30 cells."""

DRAWN = {"simulated": 2000, "pbmc3k": 650, "Kang": 500}
"""Cells that are drawn of a half."""

MANY, DEFAULT = 100_000, 10_000
SIZES = (2500, 5000, 10_000, 20_000)

WORDS = (
    "Where there are more than `max_cells` cells, units are looked for and learnt from cells that are drawn of them: "
    "half at random and half of unusual ones. `reproducibility` was fitted to models of all cells. Here, the cells are "
    "cut into two halves without a cell in common, twice (seeds 61 and 62), and each half makes a model of its "
    "own with `tl.autoencoder`, of all its cells or of as many as the table says. A unit is *back* if one unit of the "
    f"other half's model has |r| > {BACK} with it over all cells of both. What is said and what is back are to be "
    "alike: below what was said, a promise is broken. The last row is the default on many simulated cells, "
    "where models of all cells of a half would take too long: one cut (seed 61)."
)
WORDS_OF_SAME = (
    "Whether the drawn cells give the units that all cells give: of the units of a half's model of all its cells, the "
    f"share that a unit of another model of the same half follows with |r| ≥ {SAME} (and > {BACK}) over all cells. "
    "That model has learnt from the drawn cells, or from all cells again with another seed (of one half of each cut): "
    "what chance alone changes."
)
WORDS_OF_SIZES = (
    f"What more cells would find, in {MANY} simulated cells with {atlas.N_COMMON} programmes that are active in "
    f"{atlas.COMMON:.0%} of them, {atlas.N_RARE} in {atlas.RARE:.1%} and {atlas.N_GROUPS} groups: units, planted "
    f"programmes that a unit follows with |r| > {BACK}, the mean |r| of a programme with its best unit, the share of "
    f"the units learnt from {SIZES[-1]} cells that a unit follows with |r| ≥ {SAME}, and the processor's seconds of "
    "the whole call. One training a row."
)


def simulated(n_cells: int, n_of: int = 100_000) -> AnnData:
    """Random cells of an atlas, in which groups lie in runs; all of them in its order."""
    counts = sparse.vstack([block for block, _ in atlas.blocks(max(n_of, n_cells))], format="csr")
    rows = np.sort(np.random.default_rng(0).permutation(counts.shape[0])[:n_cells])
    return ad.AnnData(sparse.csr_matrix(counts[rows]))


def data(*, short: bool) -> Iterator[tuple[str, Callable[[], AnnData]]]:
    """Cells by name."""
    if short:
        yield "simulated", lambda: simulated(1200, 1200)
        return
    yield "simulated", lambda: simulated(N_CELLS)
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


def returns(adata: AnnData, drawn: int, seed: int) -> pd.DataFrame:
    """Units of two halves: what each said, and the largest |r| with one of the other half and of the same cells."""
    halves = halves_of(adata, seed)
    of_all, of_some = (of_halves(adata, halves, most, seed) for most in (None, drawn))
    again = model(adata, halves[0], None, 2 * seed + 100)[0]
    tables = []
    for learnt, models in (("all", of_all), ("drawn", of_some)):
        for i, (units, said) in enumerate(models):
            found = {"said": said, "r": largest(units, models[1 - i][0])}
            if learnt == "all":
                found["drawn"] = largest(units, of_some[i][0])
                found["again"] = largest(units, again) if i == 0 else np.full(len(said), np.nan)
            tables.append(pd.DataFrame({"learnt": learnt, **found}))
    return pd.concat(tables)


def returns_of_many(adata: AnnData, drawn: int, seed: int) -> pd.DataFrame:
    """:func:`returns` of models of drawn cells only."""
    (one, said), (other, also) = of_halves(adata, halves_of(adata, seed), drawn, seed)
    r = [*largest(one, other), *largest(other, one)]
    return pd.DataFrame({"learnt": "drawn", "said": [*said, *also], "r": r})


def halves_of(adata: AnnData, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cells in two halves, by chance."""
    order = np.random.default_rng(seed).permutation(adata.n_obs)
    return np.sort(order[: adata.n_obs // 2]), np.sort(order[adata.n_obs // 2 :])


def of_halves(adata: AnnData, halves: Iterable[NDArray[np.intp]], most: int | None, seed: int) -> list[Any]:
    """:func:`model` of each half, of all its cells or of `most`."""
    return [model(adata, rows, most, 2 * seed + i) for i, rows in enumerate(halves)]


def largest(units: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Of each unit, the largest |r| with one of the others."""
    found: NDArray[Any] = np.abs(correlation(units, others)).max(axis=1)
    return found


def units_of(adata: AnnData, max_cells: int, file: Path) -> tuple[NDArray[Any], float]:
    """Activity of the units that are learnt from so many of the cells, and the processor's seconds; kept in a file."""
    if not file.exists():
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mo.tl.autoencoder(adata, max_cells=max_cells, device="cpu", progress=False)
        np.savez(file, units=np.asarray(adata.obsm["X_ae"]), seconds=time.process_time() - start)
        print(file.stem, flush=True)
    with np.load(file) as found:
        return found["units"], float(found["seconds"])


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


def row_of_same(name: str, found: pd.DataFrame) -> dict[str, object]:
    """One row of the second table."""
    row: dict[str, object] = {"data": name, "units": len(found)}
    for ending, units in (("", found), (", say ≥ 0.9", found[found["said"] >= 0.9])):
        for other in ("drawn", "again"):
            r = units[other].dropna()
            row[f"{other}{ending}"] = f"{(r >= SAME).mean():.2f} ({(r > BACK).mean():.2f}) of {len(r)}"
    return row


def row_of_size(max_cells: int, units: NDArray[Any], seconds: float, most: NDArray[Any]) -> dict[str, object]:
    """One row of the last table."""
    r = largest(atlas.truth(len(units)), units)
    rare = r[atlas.N_COMMON : atlas.N_COMMON + atlas.N_RARE]
    return {
        "max_cells": max_cells,
        "units": units.shape[1],
        "programmes found": f"{(r > BACK).sum()} of {len(r)}",
        "of the rare": f"{(rare > BACK).sum()} of {len(rare)}",
        "mean abs(r)": f"{r.mean():.3f}",
        "units of the most cells": f"{(largest(most, units) >= SAME).mean():.2f}",
        "CPU s": f"{seconds:.0f}",
    }


def run(*, short: bool) -> str:
    """Promises of drawn cells, whether they are the units of all cells, and what more of them find."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary if short else os.environ.get("MODULAE_DRAWN", temporary))
        folder.mkdir(exist_ok=True)
        rows, same = [], []
        for name, read in data(short=short):
            adata, drawn = read(), 300 if short else DRAWN[name]
            found = pd.concat(
                kept(folder / f"{name}-{seed}.csv", partial(returns, adata, drawn, seed))
                for seed in (SEEDS[:1] if short else SEEDS)
            )
            labels = {"all": "all cells of a half", "drawn": f"{drawn} drawn of {adata.n_obs // 2}"}
            rows += [row_of_returns(name, label, found[found["learnt"] == one]) for one, label in labels.items()]
            same.append(row_of_same(name, found[found["learnt"] == "all"]))
        adata, drawn = simulated(2000, 2000) if short else simulated(MANY), 500 if short else DEFAULT
        many = kept(folder / f"many-{SEEDS[0]}.csv", partial(returns_of_many, adata, drawn, SEEDS[0]))
        rows.append(row_of_returns("simulated, many", f"{drawn} drawn of {adata.n_obs // 2}", many))
        sizes = (500, 1000) if short else SIZES
        learnt = {most: units_of(adata, most, folder / f"size-{most}.npz") for most in sizes}
        of_sizes = [row_of_size(most, *found, learnt[sizes[-1]][0]) for most, found in learnt.items()]
    title = "Units learnt from drawn cells"
    more = [(WORDS_OF_SAME, same), (WORDS_OF_SIZES, of_sizes)]
    return table.write("drawn_cells", title, WORDS, rows, short=short, more=more)
