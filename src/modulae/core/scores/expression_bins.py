"""Genes of like expression, which stand in for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.data.map_reduce import sum_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source


def shuffled_within(bins: NDArray[np.intp], n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """N × genes: for every gene one of its bin; each row takes every gene once."""
    places = np.argsort(bins, kind="stable")
    order = np.empty((n, len(bins)), dtype=np.intp)
    order[:, places] = np.argsort(bins + rng.random((n, len(bins))), axis=1)
    return order


def expression_of(cells: Source) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean count of each gene, and the share of the cells that have it."""
    totals, detected = sum_cells(cells, _expression)
    return totals / len(cells), detected / len(cells)


def expression_bins(
    mean: NDArray[np.floating], detection: NDArray[np.floating], *, genes_per_bin: int = 25
) -> NDArray[np.intp]:
    """Genes: a number for each bin of like mean count and, within it, like share of cells in which it is seen."""
    n_bins = max(1, len(mean) // (2 * genes_per_bin))
    bins = np.argsort(np.argsort(mean, kind="stable"), kind="stable") * n_bins // len(mean) * 2
    for index in range(0, 2 * n_bins, 2):
        genes = np.flatnonzero(bins == index)
        ranks = np.argsort(np.argsort(detection[genes], kind="stable"), kind="stable")
        bins[genes] += ranks * 2 // max(len(genes), 1)
    return bins


def _expression(cells: Source) -> tuple[NDArray[Any], ...]:
    return cells.gene_totals(), cells.detected()
