"""From cells to units and back, streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .backend import pick_device, to_numpy
from .batches import as_backend

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from .batches import Cells
    from .weights import Network


def encode(network: Network, cells: Cells, *, batch_size: int = 512, device: str = "cpu") -> NDArray[np.float32]:
    """The representation, cells × units."""
    device = pick_device(device)
    network = network.on(device)
    units = np.empty((len(cells), network.n_units), dtype=np.float32)
    for rows, block in cells.blocks(batch_size):
        units[rows] = to_numpy(network.encode(as_backend(block.inputs(), device)))
    return units


def denoise(network: Network, cells: Cells, *, batch_size: int = 512, device: str = "cpu") -> NDArray[np.float32]:
    """The decoded rates, cells × genes, in counts at each cell's own size factor."""
    device = pick_device(device)
    network = network.on(device)
    rates = np.empty((len(cells), network.n_genes), dtype=np.float32)
    for rows, block in cells.blocks(batch_size):
        rates[rows] = block.scale() * to_numpy(network.decode(network.encode(as_backend(block.inputs(), device))))
    return rates


def rescale(rates: NDArray[np.float32], counts: sparse.csr_matrix, strength: float) -> NDArray[np.float64]:
    """Multiply the rates of each gene, in place, so that over all cells they sum to about the counts of the gene.

    The factor is (Σx + a) / (Σy + a), the posterior mean for Poisson counts x of rates y times a factor of mean 1 and
    variance 1 / a (gamma prior): a gene that is hardly expected and hardly seen keeps its rates.

    Parameters
    ----------
    rates
        y, cells × genes; changed.
    counts
        x, cells × genes.
    strength
        a.

    Returns
    -------
    The factor of each gene.
    """
    seen = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
    factors = np.asarray((seen + strength) / (rates.sum(axis=0, dtype=np.float64) + strength))
    rates *= factors.astype(np.float32)
    return factors
