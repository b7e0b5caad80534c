"""What becomes of a unit when its genes are taken away, and when any others are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.array_backend import to_numpy
from modulae.core.scores.expression_bins import expression_bins, shuffled_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.model.network import Network

MAX_SHARE = 0.25
"""Share of the genes that is deleted at the end of a curve."""

N_CURVE_POINTS = 12
"""Points of a curve, from one gene on a log scale."""

MAX_ACTIVE_CELLS = 100
"""Cells in which a unit is looked at: those where it is most active, and at most every tenth."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Mean activity of each unit, relative to that with all its genes, as genes are set to 0."""

    n_deleted: NDArray[np.int64]  # steps, the first is 0
    top: NDArray[np.float64]  # units × steps: the genes that raise the unit most go first
    random: NDArray[np.float64]  # units × draws × steps: each exchanged for one of its expression

    def score(self) -> NDArray[np.float64]:
        """Units: how much further the unit falls than with random genes, a mean over the steps."""
        return np.asarray((self.random.mean(axis=1) - self.top)[:, 1:].mean(axis=1))

    def beaten(self) -> NDArray[np.float64]:
        """Units: share of the random draws that the unit falls further than."""
        area = self.top[:, None, 1:].mean(axis=2)
        return np.asarray((area < self.random[:, :, 1:].mean(axis=2)).mean(axis=1))


def deletion_steps(n_genes: int) -> NDArray[np.int64]:
    """How many genes are gone at each step: 0, then from 1 to a quarter of them on a log scale."""
    most = max(1, round(MAX_SHARE * n_genes))
    return np.unique(np.concatenate([[0], np.geomspace(1, most, N_CURVE_POINTS).round()])).astype(np.int64)


def delete_genes(
    network: Network,
    cells: Cells,
    saliency: NDArray[np.floating],
    activity: NDArray[np.floating],
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> Deletion:
    """Set a unit's top genes to 0 and see how far it falls (Samek et al. 2017; RISE, Petsiuk et al. 2018).

    Zero is what the network reads for a gene that was not seen. Genes are ranked once, by their mean saliency, and a
    unit is looked at in the cells where it is most active: elsewhere there is nothing to lose. The random genes of a
    draw are as much expressed, and in as many of these very cells, as those they stand in for: a highly expressed gene
    takes more away than a rare one, whatever its rank.

    Parameters
    ----------
    network
        The network, NumPy arrays.
    cells
        The cells.
    saliency
        Genes × units; the highest go first.
    activity
        Cells × units, of the same cells.
    n_draws
        Random deletions.
    rng
        Source of the random genes.
    """
    steps = deletion_steps(network.n_genes)
    n_cells = min(MAX_ACTIVE_CELLS, max(1, len(cells) // 10))
    curves = np.empty((network.n_units, 1 + n_draws, len(steps)))
    for unit in range(network.n_units):
        active = np.argsort(-activity[:, unit], kind="stable")[:n_cells]
        inputs = cells.take(np.sort(active)).inputs()
        bins = expression_bins(inputs.mean(axis=0), (inputs > 0).mean(axis=0))
        first = np.argsort(-saliency[:, unit], kind="stable")[: steps[-1]]
        stand_ins = shuffled_within(bins, n_draws, rng)[:, first]
        orders = np.concatenate([first[None], stand_ins])
        curves[unit] = _curves(network, unit, inputs, orders, steps)
    return Deletion(steps, curves[:, 0], curves[:, 1:])


def _curves(
    network: Network,
    unit: int,
    inputs: NDArray[np.float32],
    orders: NDArray[np.intp],
    steps: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Orders × steps: mean activity of the unit over the cells, as genes go; only the first layer's sums change."""
    by_gene = np.ascontiguousarray(network.input_weights.T)
    whole = inputs @ by_gene
    result = np.empty(orders.shape[:1] + steps.shape)
    for index, order in enumerate(orders):
        sums = whole.copy()
        for step, (start, stop) in enumerate(zip(np.concatenate([[0], steps[:-1]]), steps, strict=True)):
            gone = order[start:stop]
            sums -= inputs[:, gone] @ by_gene[gone]
            result[index, step] = to_numpy(network.unit_from_preactivation(sums, unit)).mean(dtype=np.float64)
    before = result[:, :1]
    return np.divide(result, before, out=np.ones_like(result), where=before > 0)
