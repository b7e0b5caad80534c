"""From a file of cells to a report and a written file, with the default model, on atlases of up to a million cells.

    MODULAE_ATLAS=atlas MODULAE_SCALE=20000,100000 python -m benchmarks scale

Rows are written as they come, and kept in the folder `MODULAE_ATLAS` with the atlases: after an interruption the same
command goes on, and what lies there as `.json` is not measured again. `MODULAE_SCALE` chooses sizes. `MODULAE_PEERS` is
the Python of the environment with cNMF (benchmarks/peers/requirements.txt); without it there is no row of cNMF. To add
that row alone, name the folder of a run that has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import table
from modulae.core.scores.correlation import correlation

from . import atlas
from .memory import peak_mb, start_of_peak

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray

SIZES = (20_000, 100_000, 1_000_000)
FORMS = ("memory", "h5ad", "zarr", "dask")
OTHERS = (20_000, 100_000)
"""Sizes at which others factorise the same cells."""

FOUND = 0.8
"""A planted programme is found if |r| of its activity with that of a unit, over all cells, is above this."""

CELLS_A_CHUNK = 4096
GENE_SETS = {f"set {at}": [f"gene_{gene}" for gene in range(at * 40, at * 40 + 40)] for at in range(50)}
STEPS = ("train", "unit_summary", "saliency", "enrich_units", "report", "write")


def opened(path: Path, form: str) -> AnnData:
    """An atlas, its counts in memory or wherever the form says."""
    import anndata as ad

    if form == "memory":
        return ad.read_h5ad(path)
    if form == "h5ad":
        return ad.read_h5ad(path, backed="r")
    if form == "zarr":
        return ad.experimental.read_lazy(path)
    backed = ad.read_h5ad(path, backed="r")
    import h5py

    group = h5py.File(path)["X"]
    counts = ad.experimental.read_elem_lazy(group, chunks=(CELLS_A_CHUNK, atlas.N_GENES))
    return ad.AnnData(counts.map_blocks(_as_it_is), obs=backed.obs, var=backed.var)


def _as_it_is(block: Any) -> Any:  # noqa: ANN401
    """A step of a user's own, so that the blocks come from dask and not from the file behind it."""
    return block


def one(path: str, form: str) -> None:
    """Every step on one atlas; prints seconds, seconds of the processor and the peak of the memory of each."""
    import modulae as mo

    warnings.simplefilter("ignore")
    warm_up(mo)
    found: dict[str, float] = {"start, MB": peak_mb()}
    adata = opened(Path(path), form)
    quiet: dict[str, Any] = {"device": "cpu", "progress": False}

    def timed(name: str, do: Callable[[], object]) -> None:
        start_of_peak()
        start, cpu = time.perf_counter(), time.process_time()
        do()
        found[name] = time.perf_counter() - start
        found[f"{name}, CPU"] = time.process_time() - cpu
        found[f"{name}, MB"] = peak_mb()
        print(name, f"{found[name]:.1f} s, {found[f'{name}, MB']:.0f} MB", file=sys.stderr, flush=True)

    timed("train", lambda: mo.tl.autoencoder(adata, **quiet))
    found |= recall(np.asarray(adata.obsm["X_ae"]))
    timed("unit_summary", lambda: mo.tl.unit_summary(adata, groupby="group", **quiet))
    timed("saliency", lambda: mo.tl.saliency(adata, groupby="group", device="cpu"))
    timed("enrich_units", lambda: mo.tl.enrich_units(adata, GENE_SETS, n_permutations=200, **quiet))
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        timed("report", lambda: mo.report(adata, Path(folder) / "report.html", groupby="group", **quiet))
        timed("write", lambda: written(adata, Path(folder), form))
    print(json.dumps(found))


def written(adata: AnnData, folder: Path, form: str) -> None:
    """The cells with all results as a file of their own."""
    import anndata as ad

    if form == "h5ad":
        adata.copy(filename=folder / "out.h5ad").file.close()
    elif form == "memory":
        adata.write_h5ad(folder / "out.h5ad")
    else:  # anndata writes no tables that are read lazily
        tables = {name: getattr(adata, name) for name in ("obs", "var")}
        tables = {name: one.to_memory() if hasattr(one, "to_memory") else one for name, one in tables.items()}
        stores = {name: dict(getattr(adata, name)) for name in ("obsm", "varm", "uns")}
        ad.AnnData(adata.X, **tables, **stores).write_zarr(folder / "out.zarr")


def recall(units: NDArray[np.floating]) -> dict[str, float]:
    """Shares of the planted programmes that a unit follows, and how closely in the mean."""
    r = np.abs(correlation(atlas.truth(len(units)), units)).max(axis=1)
    rare = slice(atlas.N_COMMON, atlas.N_COMMON + atlas.N_RARE)
    return {
        "units": units.shape[1],
        "found": float((r > FOUND).mean()),
        "rare": float((r[rare] > FOUND).mean()),
        "r": float(r.mean()),
    }


def warm_up(mo: Any) -> None:  # noqa: ANN401
    """Compile, so that it is not counted."""
    small = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4, seed=0)
    mo.tl.autoencoder(small, device="cpu", progress=False)


def in_its_own_process(code: str) -> dict[str, float]:
    """What a piece of Python prints at its end; its memory is that of a fresh process."""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def kept(file: Path, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What was measured before, or now."""
    if not file.exists():
        file.write_text(json.dumps(measure()))
    result: dict[str, float] = json.loads(file.read_text())
    return result


def atlas_in(folder: Path, n_cells: int, kind: str) -> Path:
    """An atlas that is written where it is not there yet."""
    path = folder / f"{n_cells}.{kind}"
    if not path.exists():
        beside = folder / f"unfinished.{kind}"
        atlas.write(beside, n_cells)
        beside.rename(path)
    return path


def row_of(n_cells: int, form: str, found: dict[str, float]) -> dict[str, object]:
    """One row of the first table."""
    return {
        "cells": n_cells,
        "counts": form,
        **{f"{step}, s": f"{found[step]:.1f}" for step in STEPS},
        "together, s": f"{sum(found[step] for step in STEPS):.0f}",
        "train: µs per cell": f"{found['train'] / n_cells * 1e6:.0f}",
        "train, CPU s": f"{found['train, CPU']:.1f}",
        "train, peak MB": f"{found['train, MB']:.0f}",
        "after, peak MB": f"{max(found[f'{step}, MB'] for step in STEPS[1:]):.0f}",
        "at the start, MB": f"{found['start, MB']:.0f}",
        "units": f"{found['units']:.0f}",
        "programmes found": f"{found['found']:.0%}",
        "of the rare": f"{found['rare']:.0%}",
        "mean |r|": f"{found['r']:.3f}",
    }


def run(*, short: bool) -> str:
    """Rows of modulae, then those of other factorisations."""
    from .scale_others import rows_of_others
    from .scale_others import words as words_of_others

    asked = os.environ.get("MODULAE_SCALE")
    sizes = (1000,) if short else tuple(map(int, asked.split(","))) if asked else SIZES
    rows: list[dict[str, object]] = []
    others: list[dict[str, object]] = []

    def page() -> str:
        more = [(words_of_others(), others)] if others else []
        return table.write("scale", "From a laptop to an atlas", words(), rows, short=short, more=more)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary if short else os.environ.get("MODULAE_ATLAS", temporary))
        folder.mkdir(exist_ok=True)
        for n_cells in sizes:
            for form in FORMS[1:3] if short else FORMS:
                path = atlas_in(folder, n_cells, "zarr" if form == "zarr" else "h5ad")
                code = f"from benchmarks.speed.scale import one; one({str(path)!r}, {form!r})"
                file = folder / f"{n_cells}-{form}.json"
                rows.append(row_of(n_cells, form, kept(file, partial(in_its_own_process, code))))
                print(rows[-1], flush=True)
                page()
        for row in rows_of_others(folder, [n for n in sizes if short or n in OTHERS]):
            others.append(row)
            print(row, flush=True)
            page()
        return page()


def words() -> str:
    """What the first table shows."""
    return (
        f"Simulated cells × {atlas.N_GENES} genes, {atlas.NON_ZERO:.0%} of the counts not zero, in runs of "
        f"{atlas.CELLS_AT_ONCE} cells of one group; h5ad without, zarr with its default compression. Each row is "
        "a process of its own, after compilation; counts are in memory, in a backed h5ad file, in a zarr folder that "
        "is read lazily, or in a dask array over the h5ad file. `train` is `tl.autoencoder(adata)` with its defaults, "
        "from the first look at all counts to the last cell read; then `tl.unit_summary(groupby=)`, "
        f"`tl.saliency(groupby=)` of {atlas.N_GROUPS} groups, `tl.enrich_units` with {len(GENE_SETS)} sets, `report` "
        "with the UMAP that it makes, and the file with all results written. A planted programme is found if |r| of "
        f"its activity with that of a unit, over all cells, is above {FOUND}; the rare ones are active in "
        f"{atlas.RARE:.1%} of the cells. `at the start` is what Python, its libraries and the compiled loops take."
    )
