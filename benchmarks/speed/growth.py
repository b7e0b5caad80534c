"""How seconds and memory grow with cells and with genes: an epoch, encode, saliency."""

from __future__ import annotations

import resource
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from benchmarks import table
from modulae.core.data.cells import Cells
from modulae.core.inference.encode import encode
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import initial_network
from modulae.core.training.numba.numba_engine import NumbaEngine

if TYPE_CHECKING:
    from collections.abc import Callable


def simulated(n_cells: int, n_genes: int) -> Cells:
    """Counts of which 8 % are not zero."""
    rng = np.random.default_rng(0)
    n = int(0.08 * n_genes)
    indices = np.sort(rng.integers(n_genes // n, size=(n_cells, n)) + np.arange(n) * (n_genes // n), axis=1)
    counts = (1 + rng.poisson(0.8, size=n_cells * n)).astype(np.float32)
    rows = np.arange(n_cells + 1) * n
    matrix = sparse.csr_matrix((counts, indices.ravel(), rows), shape=(n_cells, n_genes))
    return Cells(matrix, rng.uniform(0.5, 2, n_cells).astype(np.float32))


def peak_megabytes() -> float:
    """Most memory the process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def seconds(do: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def run(*, short: bool) -> str:
    """From small to large, so that the peak memory of a row is its own."""
    rows = []
    shapes = [(500, 500), (1000, 500)] if short else [(1000, 2000), (10_000, 2000), (100_000, 2000), (10_000, 20_000)]
    for n_cells, n_genes in shapes:
        cells, config = simulated(n_cells, n_genes), Config()
        counts = (cells.counts.data.nbytes + cells.counts.indices.nbytes) / 1e6
        before = peak_megabytes()
        start = initial_network(config, np.asarray(cells.counts.mean(axis=0)).ravel(), np.random.default_rng(0))
        engine = NumbaEngine(start, cells, config, 0.15)
        engine.epoch(np.arange(32), 0.01)  # compiles, or reads the cache
        steps = {
            "epoch": seconds(lambda e=engine, n=n_cells: e.epoch(np.random.default_rng(0).permutation(n), 0.01)),
            "encode": seconds(lambda s=start, c=cells: encode(s, c)),
            "saliency": seconds(lambda s=start, c=cells: mean_saliency(s, c)),
            "guided |S|": seconds(lambda s=start, c=cells: mean_saliency(s, c, method="guided", signed=False)),
        }
        rows.append(
            {
                "cells": n_cells,
                "genes": n_genes,
                **{f"{name}, µs per cell": f"{found / n_cells * 1e6:.1f}" for name, found in steps.items()},
                "counts, MB": f"{counts:.0f}",
                "peak memory beyond, MB": f"{max(0.0, peak_megabytes() - before):.0f}",
            }
        )
        print(rows[-1], flush=True)
    words = (
        "Simulated counts, 8 % not zero, default settings, one run. The guided saliency keeps the published |·|. "
        "Memory is the growth of the process's peak over the steps, once the counts were there (0 where an earlier "
        "row, or the making of the counts, had needed as much)."
    )
    return table.write("growth", "Growth with cells and genes", words, rows, short=short)
