"""From cells to units and back, streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .backend import pick_device, to_numpy
from .batches import as_backend

if TYPE_CHECKING:
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


def denoise(network: Network, cells: Source, *, batch_size: int = 512, device: str = "cpu") -> NDArray[np.float32]:
    """The decoded rates, cells × genes, in counts at each cell's own size factor."""
    device = pick_device(device)
    network = network.on(device)
    rates = np.empty((len(cells), network.n_genes), dtype=np.float32)
    for rows, block in cells.blocks(batch_size):
        rates[rows] = block.scale() * to_numpy(network.decode(network.encode(as_backend(block.inputs(), device))))
    return rates
