"""From cells to units and back, streamed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.array_backend import cells_at_once, to_numpy
from modulae.core.data.map_reduce import map_cells
from modulae.core.fallback import Fallback, in_parts
from modulae.core.plain_torch import plain_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source
    from modulae.core.model.network import Network

PLATFORM_PRIOR = 1.0
"""Of the prior on each gene's factor between data sets: it varies about as much as its mean."""


CELLS_AT_ONCE = 4096


def encode(
    network: Network,
    cells: Source,
    *,
    batch_size: int = 512,
    device: str = "cpu",
    on_cells: Callable[[int], object] = lambda _n: None,
) -> NDArray[np.float32]:
    """The representation, cells × units; `on_cells` is told of every portion how many cells it has."""
    units = np.empty((len(cells), network.n_units), dtype=np.float32)
    job = Encoder(network, batch_size, Fallback(device))
    for rows, result in map_cells(cells, job, threads=device == "cpu"):
        units[rows] = result
        on_cells(len(result))
    return units


@dataclass(frozen=True, slots=True)
class Encoder:
    """:func:`encode` as a job on a portion of the cells."""

    network: Network
    batch_size: int
    place: Fallback

    def __call__(self, cells: Source) -> NDArray[np.float32]:
        """Cells × units."""
        return self.place.run(partial(self._units, cells))

    @plain_torch()
    def _units(self, cells: Source, *, device: str, parts: int) -> NDArray[np.float32]:
        network = self.network.on(device)
        units = np.empty((len(cells), network.n_units), dtype=np.float32)
        size = cells_at_once(device, network.n_genes, self.batch_size)
        for rows, block in cells.blocks(in_parts(size, parts)):
            units[rows] = to_numpy(network.encode(block.inputs_on(device)))
        return units


def read_inputs(cells: Source, weights: NDArray[np.floating]) -> NDArray[Any]:
    """What the encoder reads of each cell, times genes × columns of weights: cells × columns."""
    result = np.empty((len(cells), weights.shape[1]), dtype=weights.dtype)
    for rows, block in cells.blocks(CELLS_AT_ONCE):
        result[rows] = block.sparse_inputs() @ weights
    return result


def denoise(network: Network, cells: Source, *, batch_size: int = 512, device: str = "cpu") -> NDArray[np.float32]:
    """The decoded rates, cells × genes, in counts at each cell's own size factor."""
    rates = np.empty((len(cells), network.n_genes), dtype=np.float32)
    for rows, block in denoised_blocks(network, cells, batch_size=batch_size, device=device):
        rates[rows] = block
    return rates


def denoised_blocks(
    network: Network, cells: Source, *, batch_size: int = 512, device: str = "cpu"
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """:func:`denoise`, a block of cells at a time, with where it stands."""
    place = Fallback(device)
    for rows, block in cells.blocks(batch_size):
        yield rows, place.run(partial(expected_counts, network, block))


@plain_torch()
def expected_counts(network: Network, block: Cells, *, device: str = "cpu", parts: int = 1) -> NDArray[np.float32]:
    """The decoded rates of a block, at each cell's own size factor and in its own batch."""
    network, rates = network.on(device), np.empty((len(block), network.n_genes), dtype=np.float32)
    for rows, part in block.blocks(max(len(block) // parts, 1)):
        rates[rows] = to_numpy(network.decode(network.encode(part.inputs_on(device)), part.batch))
    return np.asarray(block.scale() * rates)


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
    factors = gene_factors(seen, rates.sum(axis=0, dtype=np.float64), strength)
    rates *= factors.astype(np.float32)
    return factors


def gene_factors(seen: NDArray[np.float64], expected: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """The factors of :func:`rescale`, from summed counts and summed rates of each gene."""
    return np.asarray((seen + strength) / (expected + strength))
