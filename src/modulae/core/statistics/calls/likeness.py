"""Whether cells with a unit on have more of what the model says: the check of a call that its own sum cannot make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from modulae.core.data.map_reduce import sum_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source

    from .evidence import Probe

FEWEST = 5
"""Cells on either side, for their rates to say something."""


def likeness(cells: Source, on: NDArray[np.bool_], probes: Sequence[Probe]) -> NDArray[np.float64]:
    """Units: how alike the genes are that cells with the unit on have more of, and those that the model expects.

    That is the correlation of the logarithm of the ratio of their rates in the cells with the unit on and in the
    others, with the logarithm of the ratio that the model says, over all genes that were counted. Each has the square
    root of its rate as weight, as few counts say little. A sum of weighted counts is also high where a few of the genes
    are high for another reason; then the correlation is low.

    Parameters
    ----------
    cells
        Counts of all genes of the model.
    on
        Cells × units.
    probes
        What is expected of the genes.

    Returns
    -------
    NaN where there are too few cells with the unit on, or without, or the unit changes nothing.
    """
    counts, size, every, every_size = sum_cells(cells, _sums, on.T)  # units × genes, units, genes, 1
    average = every / max(float(every_size[0]), 1e-9)
    n_on = on.sum(axis=0)
    found, genes = np.full(len(probes), np.nan), average > 0
    for unit, probe in enumerate(probes):
        if min(n_on[unit], len(on) - n_on[unit]) < FEWEST or not len(probe.genes):
            continue
        mine = _rates(counts[unit], size[unit], average)
        others = _rates(every - counts[unit], every_size[0] - size[unit], average)
        expected = np.log(probe.rates[1] / probe.rates[0])[genes]
        seen, weight = np.log(mine[genes] / others[genes]), np.sqrt(probe.rates.mean(axis=0)[genes])
        found[unit] = _correlation(seen, expected, weight / weight.sum())
    return found


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """With weights that sum to 1; NaN where one of the two never changes."""
    x, y = x - weight @ x, y - weight @ y
    spread = float(np.sqrt((weight @ x**2) * (weight @ y**2)))
    return float(weight @ (x * y)) / spread if spread > 0 else float("nan")


def _rates(counts: NDArray[np.float64], size: float, average: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rates of genes, with one average cell more, so that no count is no infinite ratio."""
    return np.asarray((np.maximum(counts, 0) + average) / (max(size, 0.0) + 1))


def _sums(cells: Cells, on: NDArray[np.bool_]) -> tuple[NDArray[Any], ...]:
    """Counts of the genes and size factors, summed over the cells with each unit on, and over all cells."""
    scale = cells.scale().astype(np.float64).ravel()
    chosen = sparse.csr_matrix(on.astype(np.float64))
    counts = cells.counts.astype(np.float64)
    return (
        np.asarray((chosen @ counts).todense()),
        np.asarray(chosen @ scale),
        np.asarray(counts.sum(axis=0)).ravel(),
        np.array([scale.sum()]),
    )
