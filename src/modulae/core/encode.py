"""From cells to units and back, streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import pick_device, to_numpy
from .batches import as_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .stored import Source
    from .weights import Network


def encode(network: Network, cells: Source, *, batch_size: int = 512, device: str = "cpu") -> NDArray[np.float32]:
    """The representation, cells × units."""
    device = pick_device(device)
    network = network.on(device)
    units = np.empty((len(cells), network.n_units), dtype=np.float32)
    for rows, block in cells.blocks(batch_size):
        units[rows] = to_numpy(network.encode(as_backend(block.inputs(), device)))
    return units


def read_inputs(cells: Source, weights: NDArray[np.floating]) -> NDArray[Any]:
    """What the encoder reads of each cell, times genes × columns of weights: cells × columns."""
    return np.concatenate([np.asarray(part.sparse_inputs() @ weights) for part in cells.portions()])


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
    device = pick_device(device)
    network = network.on(device)
    for rows, block in cells.blocks(batch_size):
        yield rows, block.scale() * to_numpy(network.decode(network.encode(as_backend(block.inputs(), device))))
