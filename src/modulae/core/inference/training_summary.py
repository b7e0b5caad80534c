"""What a model remembers of the cells it was trained on, so that it can judge and read cells it has never seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.data.map_reduce import sum_cells
from modulae.core.model.training_summary import TrainingSummary
from modulae.core.processes.ranks import ALONE

from .deviance import expected_deviance, poisson_deviance
from .encode import expected_counts
from .novelty import BLOCK, novelty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.network import Network
    from modulae.core.processes.ranks import Ranks


CELLS_PER_CHUNK = 65_536
"""Cells at a time where nothing but their units is in memory."""

MOST_HELD_OUT = 20_000
"""Held-out cells whose counts are held against what the model expects, at most."""

QUANTILES = np.linspace(0, 1, 201)
"""Of the novelty of the held-out cells; enough for a percentile in steps of half a percent."""


def summarise(
    network: Network,
    cells: Source,
    units: NDArray[np.float32],
    test: NDArray[np.bool_],
    others: tuple[NDArray[np.str_], NDArray[np.float64]],
    *,
    ranks: Ranks = ALONE,
) -> TrainingSummary:
    """Look once more at the training cells.

    Parameters
    ----------
    network
        The trained network.
    cells
        All its cells.
    units
        Their representation.
    test
        Which of them were held out.
    others
        Names and total counts of genes that are not in the model, but count towards size factors.
    ranks
        Processes that look at a share of the cells each; all end with the same.
    """
    average = units.mean(axis=0, dtype=np.float64)
    mine = ranks.share(np.arange(len(cells)))
    part, own = (cells, units) if ranks.size == 1 else (cells.take(mine), units[mine])
    sums = sum_cells(part, Moments(network, average), own.T, threads=True)
    total, square, crossed, slopes, counted = (ranks.total(one) for one in sums)
    n = len(cells)
    covariance = ranks.total(_moments(own, average)) / n
    powers = ranks.total(np.stack([_powers(own, 2), _powers(own, 3)]))
    readout = np.linalg.lstsq(covariance, crossed / n, rcond=1e-6)[0].T  # constant units get a slope of 0
    mean = total / n
    variance = np.maximum(square / n - mean**2, 0)
    explained = np.einsum("gu,uv,gv->g", readout, covariance, readout)
    exposure = n if cells.size_factors is None else float(cells.size_factors.sum(dtype=np.float64))
    exposure = max(exposure, float(np.finfo(float).tiny))
    held_out = np.flatnonzero(test)
    if len(held_out) > MOST_HELD_OUT:  # they were drawn at random, so that evenly spaced ones are random as well
        held_out = held_out[np.linspace(0, len(held_out) - 1, MOST_HELD_OUT).astype(np.intp)]
    dispersion, novelty = _held_out(network, cells.take(ranks.share(held_out)), ranks)
    return TrainingSummary(
        n_cells=n,
        rates=(counted / exposure).astype(np.float32),
        input_mean=mean.astype(np.float32),
        readout=readout.astype(np.float32),
        input_residual=np.maximum(variance - explained, 0).astype(np.float32),
        unit_covariance=covariance,
        slopes=slopes / n,
        dispersion=dispersion.astype(np.float32),
        novelty=novelty,
        other_genes=others[0],
        other_rates=(others[1] / exposure).astype(np.float32),
        units_on=np.divide(powers[1], powers[0], out=np.zeros(len(covariance)), where=powers[0] > 0),
    )


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over cells, as a job on a portion of them."""

    network: Network
    average: NDArray[np.float64]  # units: over all cells

    def __call__(self, cells: Source, units: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
        """Inputs and their squares (genes), times what units differ from their average (units × genes); slopes; counts.

        `units` is units × cells.
        """
        n_genes, n_units = self.network.n_genes, self.network.n_units
        total, square, counted = np.zeros(n_genes), np.zeros(n_genes), np.zeros(n_genes)
        crossed, slopes = np.zeros((n_units, n_genes)), np.zeros((n_units, self.network.n_hidden_paths))
        for rows, block in cells.blocks(BLOCK):
            inputs = block.sparse_inputs()
            total += np.asarray(inputs.sum(axis=0, dtype=np.float64)).ravel()
            square += np.bincount(inputs.indices, weights=inputs.data.astype(np.float64) ** 2, minlength=n_genes)
            crossed += (units[:, rows] - self.average[:, None]) @ inputs
            slopes += np.asarray(self.network.accumulate_slopes(inputs, np.ones((1, len(block)), dtype=np.float32)))[0]
            counted += np.asarray(block.counts.sum(axis=0)).ravel()
        return total, square, crossed, slopes, counted


def _moments(units: NDArray[np.float32], average: NDArray[np.float64]) -> NDArray[np.float64]:
    """Units × units: summed products of what differs from the average, many cells at a time."""
    total = np.zeros((units.shape[1],) * 2)
    for start in range(0, len(units), CELLS_PER_CHUNK):
        centred = units[start : start + CELLS_PER_CHUNK] - average
        total += centred.T @ centred
    return total


def _powers(units: NDArray[np.float32], power: int) -> NDArray[np.float64]:
    """Units: sums of a power, many cells at a time."""
    total = np.zeros(units.shape[1])
    for start in range(0, len(units), CELLS_PER_CHUNK):
        total += (units[start : start + CELLS_PER_CHUNK].astype(np.float64) ** power).sum(axis=0)
    return total


def _held_out(network: Network, cells: Source, ranks: Ranks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much more the counts of each gene vary than Poisson counts, and the quantiles of the cells' novelty."""
    seen, expected = (ranks.total(one) for one in sum_cells(cells, partial(_deviances, network), threads=True))
    dispersion = (seen + 1) / (expected + 1)  # a gene that was hardly expected to be seen says nothing: 1
    return dispersion, np.quantile(ranks.joined(novelty(network, cells, dispersion)), QUANTILES)


def _deviances(network: Network, cells: Source) -> tuple[NDArray[np.float64], ...]:
    """Genes: summed deviance, and what is expected of it."""
    seen, expected = np.zeros(network.n_genes), np.zeros(network.n_genes)
    for _, block in cells.blocks(BLOCK):
        rates = expected_counts(network, block)
        seen += poisson_deviance(block.dense(), rates).sum(axis=0, dtype=np.float64)
        expected += expected_deviance(rates).sum(axis=0, dtype=np.float64)
    return seen, expected
