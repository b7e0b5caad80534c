"""How memory and time grow with the number of cells on disk, and what the order of cells costs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import table
from modulae.core.scores.correlation import correlation

from . import atlas
from .rounds import median

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

ORTHOGONAL: dict[str, Any] = {"architecture": "orthogonal"}
LIMIT = "1GB"
SIZES = (10_000, 100_000, 1_000_000)
N_PERMUTATIONS = 200
FOUND = 0.8
"""A planted programme is found if |r| of its activity with that of a unit, over all cells, is above this."""

GENE_SETS = {f"set {at}": [f"gene_{gene}" for gene in range(at * 40, at * 40 + 40)] for at in range(50)}


def opened(path: Path) -> AnnData:
    """An atlas whose counts stay on disk."""
    import anndata as ad

    if path.suffix == ".h5ad":
        return ad.read_h5ad(path, backed="r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ad.experimental.read_lazy(path)


def one(path: str) -> None:
    """Every step on one atlas; prints the processor's seconds of each, and the peak of the process's memory in MB."""
    import modulae as mo
    from modulae._adata.counts import read_cells
    from modulae._adata.stored.models import read_model
    from modulae.core.inference.encode import encode

    warnings.simplefilter("ignore")
    warm_up(mo)
    adata, found = opened(Path(path)), {}

    def timed(name: str, do: Callable[[], object]) -> None:
        start = time.process_time()
        do()
        found[name] = time.process_time() - start
        found[f"{name}, peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(name, f"{found[name]:.1f} s, {found[f'{name}, peak MB']:.0f} MB", file=sys.stderr, flush=True)

    found["start, peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    timed("train", lambda: mo.tl.autoencoder(adata, memory_limit=LIMIT, device="cpu", progress=False))
    r = np.abs(correlation(atlas.truth(adata.n_obs), np.asarray(adata.obsm["X_ae"]))).max(axis=1)
    rare = slice(atlas.N_COMMON, atlas.N_COMMON + atlas.N_RARE)
    found |= {"recall": float((r > FOUND).mean()), "rare": float((r[rare] > FOUND).mean())}
    fitted = read_model(adata, "ae")
    timed("encode", lambda: encode(fitted.network, read_cells(adata, fitted, layer=None)))
    timed("saliency", lambda: mo.tl.saliency(adata, groupby="group", device="cpu"))
    given: dict[str, Any] = {"groupby": "group", "n_permutations": N_PERMUTATIONS, "device": "cpu"}
    timed("impact", lambda: mo.tl.pathway_impact(adata, GENE_SETS, **given))
    print(json.dumps(found))


def warm_up(mo: Any) -> None:  # noqa: ANN401
    """Compile, so that it is not counted."""
    small = mo.datasets.simulated(n_cells=60, n_genes=30, n_programmes=2, genes_per_programme=5, seed=0)
    mo.tl.autoencoder(small, **ORTHOGONAL, n_latent=4, n_hidden=4, max_epochs=1, device="cpu")
    mo.tl.autoencoder(small, n_splits=0, n_latent=2, max_epochs=1, device="cpu")


def in_its_own_process(path: Path) -> dict[str, float]:
    """The numbers of :func:`one`; memory is that of a fresh process."""
    code = f"from benchmarks.speed.scale import one; one({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def growth(folder: Path, sizes: tuple[int, ...]) -> list[dict[str, object]]:
    """One row a size and format."""
    rows = []
    for n_cells in sizes:
        for kind in ("h5ad", "zarr"):
            path = folder / f"{n_cells}.{kind}"
            if not path.exists():
                atlas.write(path, n_cells)
            found = in_its_own_process(path)
            row: dict[str, object] = {"cells": n_cells, "format": kind}
            for name in ("train", "encode", "saliency", "impact"):
                row[f"{name}: µs a cell"] = f"{found[name] / n_cells * 1e6:.0f}"
            row |= {"programmes found": f"{found['recall']:.0%}", "of the rare": f"{found['rare']:.0%}"}
            row |= {"peak MB": f"{found['impact, peak MB']:.0f}", "before, MB": f"{found['start, peak MB']:.0f}"}
            rows.append(row)
            print(row, flush=True)
    return rows


def rates(folder: Path, n_cells: int, rounds: int) -> list[dict[str, object]]:
    """Cells learnt from in a second of the processor, with counts in memory and on disk, in turns."""
    import anndata as ad

    import modulae as mo

    path = folder / f"{n_cells}.h5ad"
    if not path.exists():
        atlas.write(path, n_cells)
    limit = f"{max(n_cells // 1000, 4)}MB"  # a tenth or so of what the counts would take
    forms = {
        "in memory": lambda: (ad.read_h5ad(path), "4GB"),
        "h5ad, backed": lambda: (opened(path), limit),
        "zarr, lazily read": lambda: (opened(path.with_suffix(".zarr")), limit),
    }
    if not path.with_suffix(".zarr").exists():
        atlas.write(path.with_suffix(".zarr"), n_cells)
    warm_up(mo)
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            adata, most = form()
            seconds[name].append(_epoch(adata, most))
    plain = median(seconds["in memory"])
    return [
        {
            "counts": name,
            "memory_limit": "" if name == "in memory" else limit,
            "cells a second": f"{0.9 * n_cells / median(found):.0f}",
            "of the rate in memory": f"{plain / median(found):.0%}",
            "lowest, highest": f"{plain / max(found):.0%}, {plain / min(found):.0%}",
        }
        for name, found in seconds.items()
    ]


def _epoch(adata: AnnData, limit: str) -> float:
    """Seconds of the processor in an epoch: reading, steps, and the loss of the held-out cells."""
    from modulae._adata.counts import open_counts
    from modulae._counts.stored_counts import read_bytes
    from modulae.core.model.config import config_for
    from modulae.core.training.train import train
    from modulae.tl._autoencoder.data import model_genes, training_cells

    config = config_for("orthogonal", schedule="cosine", size_factors="total", max_epochs=2)
    counts = open_counts(adata, genes=model_genes(adata, None), layer=None, limit=read_bytes(limit))
    cells, test, _ = training_cells(adata, counts, config)
    ends: list[float] = []
    train(cells, test, config, on_epoch=lambda _epoch, _loss: ends.append(time.process_time()))
    return ends[1] - ends[0]


def orders(folder: Path, n_cells: int, seeds: range, epochs: int) -> list[dict[str, object]]:
    """Held-out loss and clusters after training in memory and on disk, with the same seeds."""
    import anndata as ad

    import modulae as mo

    path = folder / f"{n_cells}.h5ad"
    if not path.exists():
        atlas.write(path, n_cells)
    rows = []
    for seed in seeds:
        row: dict[str, object] = {"seed": seed}
        for name, limit in (("in memory", None), ("a tenth at a time", 0.1), ("a fortieth at a time", 0.025)):
            adata = ad.read_h5ad(path) if limit is None else opened(path)
            room = "4GB" if limit is None else int(limit * n_cells * 2 * (40 * atlas.NON_ZERO * atlas.N_GENES + 32))
            mo.tl.autoencoder(adata, **ORTHOGONAL, max_epochs=epochs, memory_limit=room, seed=seed, device="cpu")
            history = mo.get.history(adata)
            gain = adata.uns["ae"]["history"]["gene_means_loss"] - history["test_loss"].min()
            nmi = mo.metrics.clustering_nmi(adata, labels="group")
            row |= {f"{name}: gain": f"{gain:.5f}", f"{name}: NMI": f"{float(np.mean(nmi)):.3f}"}
        rows.append(row)
        print(row, flush=True)
    return rows


def run(*, short: bool) -> str:
    """Growth, rates, and orders."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kept = os.environ.get("MODULAE_ATLAS")  # gigabytes that are slow to make: kept where it is asked for
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(kept or temporary)
        rows = growth(folder, (1000,) if short else SIZES)
        speed = rates(folder, 2000 if short else 100_000, 1 if short else 3)
        order = orders(folder, 2000 if short else 20_000, range(1 if short else 2), 2 if short else 10)
    return page(rows, speed, order, short=short)


def page(
    rows: list[dict[str, object]], speed: list[dict[str, object]], order: list[dict[str, object]], *, short: bool
) -> str:
    """The three tables and their words."""
    words = (
        f"Simulated cells × {atlas.N_GENES} genes, {atlas.NON_ZERO:.0%} of the counts not zero, in runs of "
        f"{atlas.CELLS_AT_ONCE} cells of one group; h5ad without, zarr with its default compression. Each row is "
        "a process of its own; times are of the processor, all threads together. "
        f"`train` is `tl.autoencoder(memory_limit='{LIMIT}')`, the default model, from the first look at all counts to "
        "the summary that goes with the model. A planted programme is found if |r| of its activity with that of a "
        f"unit, over all cells, is above {FOUND}; the rare ones are active in {atlas.RARE:.1%} of the cells. Then "
        "encoding alone, `tl.saliency(groupby=)`, and `tl.pathway_impact(groupby=)` of eight groups, 50 "
        f"sets and {N_PERMUTATIONS} permutations. `before` is what Python and its libraries take. "
        "Up to 100 000 cells the counts fit into the limit and are read into memory, a million do not."
    )
    of_rates = (
        "Cells learnt from in a second of the processor, held-out loss included: medians of rounds in turns. On disk, "
        "portions are read ahead by a second thread while the first one learns: both are counted here, and where a "
        "second core is free, reading takes no time of its own."
    )
    of_orders = (
        "How far the held-out loss falls below that of the gene means (`gain`; higher is better), and the clusters of "
        "the units against the groups (NMI), after the same number of epochs with the same seeds, when all cells are "
        "shuffled in memory, or blocks of the file in portions of about a tenth or a fortieth of the cells."
    )
    more = [(of_rates, speed), (of_orders, order)]
    return table.write("scale", "From a laptop to an atlas", words, rows, short=short, more=more)
