"""Rates of every gene in every cell, from its own counts, those of cells like it, and the model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from modulae.core.array_backend import to_numpy
from modulae.core.data.cells import Cells
from modulae.core.fallback import Fallback
from modulae.core.inference.encode import encode
from modulae.core.inference.neighbours import shared_neighbours
from modulae.core.plain_torch import plain_torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.data.source import Source
    from modulae.core.model.fitted import Fitted
    from modulae.core.model.network import Network

Whose = Literal["neighbors", "decoded", "counts"]


@dataclass(frozen=True, slots=True)
class CellRates:
    """Expected counts of the model's genes at size factor 1, a block of cells at a time."""

    fitted: Fitted
    cells: Source
    factors: NDArray[np.float32]  # cells: how deeply each was sequenced
    source: Whose
    model_cells: float  # how many cells of size factor 1 the decoded rates count for
    weights: sparse.csr_matrix | None  # cells × cells
    place: Fallback

    def __call__(self, rows: slice) -> NDArray[np.floating]:
        """Cells of the block × genes."""
        if self.source == "decoded":
            return self._decoded(rows)
        if self.weights is None:
            counts, depth = self._block(rows).dense(), self.factors[rows]
        else:
            weights = self.weights[rows]
            used = np.unique(weights.indices).astype(np.intp)  # of cells on disk, only the neighbours are read
            near = self.cells if isinstance(self.cells, Cells) else self.cells.take(used).load()
            within = weights if isinstance(self.cells, Cells) else weights[:, used]
            counts, depth = (within @ near.counts).toarray(), weights @ self.factors
        if self.source == "neighbors" and self.model_cells > 0:
            counts, depth = counts + self.model_cells * self._decoded(rows), depth + self.model_cells
        return np.asarray(np.divide(counts, depth[:, None], out=np.zeros_like(counts), where=depth[:, None] > 0))

    def _decoded(self, rows: slice) -> NDArray[np.float32]:
        rates = self.place.run(partial(_decoded_rates, self.fitted.network, self._block(rows)))
        if self.cells.size_factors is None:  # then the model's rates are at the cell's own depth
            depth = self.factors[rows, None]
            rates = np.divide(rates, depth, out=np.zeros_like(rates), where=depth > 0)
        return rates

    def _block(self, rows: slice) -> Cells:
        return self.cells.take(np.arange(rows.start, rows.stop)).load()


@plain_torch()
def _decoded_rates(network: Network, block: Cells, *, device: str, parts: int) -> NDArray[np.float32]:
    network, rates = network.on(device), np.empty((len(block), network.n_genes), dtype=np.float32)
    for rows, part in block.blocks(max(len(block) // parts, 1)):
        rates[rows] = to_numpy(network.decode(network.encode(part.inputs_on(device))))
    return rates


def cell_rates(
    fitted: Fitted,
    cells: Source,
    *,
    source: Whose,
    model_cells: float,
    n_neighbors: int,
    batch_size: int,
    device: str,
    seed: int,
) -> CellRates:
    """Choose whose counts make up the rates of a cell.

    Parameters
    ----------
    fitted, cells
        The model and the cells as it reads them.
    source
        `"neighbors"`: the counts of cells alike in the representation, weighted, and the decoded rates counting for
        `model_cells` cells: the posterior mean of a Poisson rate with a Gamma prior about the decoded one. `"decoded"`:
        the decoded rates. `"counts"`: the cell's own counts.
    model_cells
        How many cells of size factor 1 the decoded rates count for.
    n_neighbors
        Cells alike, the cell itself included; 1 leaves out all others.
    batch_size, device, seed
        As elsewhere.
    """
    factors = cells.size_factors
    if factors is None:
        totals = cells.totals()
        factors = (totals / max(np.median(totals[totals > 0]), 1.0)).astype(np.float32)
    weights = None
    if source == "neighbors" and n_neighbors > 1:
        representation = encode(fitted.network, cells, batch_size=batch_size, device=device)
        weights = shared_neighbours(representation, n_neighbors, seed=seed)
    return CellRates(fitted, cells, factors, source, model_cells, weights, Fallback(device))
