"""What the reconstruction loses without each unit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.array_backend import pick_device, to_numpy
from modulae.core.data.cells import as_backend
from modulae.core.fallback import Fallback
from modulae.core.model.losses import EPSILON
from modulae.core.plain_torch import plain_torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source
    from modulae.core.model.network import Network

EFFECT_CELLS = 4000
"""Cells that put the units in much the same order as all do, in a time that does not grow with the cells."""


def unit_effects(
    network: Network,
    cells: Source,
    units: NDArray[np.floating],
    *,
    n_cells: int | None = None,
    seed: int = 0,
    batch_size: int = 128,
    device: str = "cpu",
    on_cells: Callable[[int], object] = lambda _n: None,
) -> NDArray[np.float64]:
    """How much the Poisson loss rises when one unit is held at its mean over the cells, and all others stay.

    Parameters
    ----------
    network
        The trained network.
    cells
        The cells to reconstruct.
    units
        Cells × units: their representation.
    n_cells
        On how many cells, drawn at random, the rise is measured; on all if `None`. The mean is over all in any case.
    seed
        Seed of the draw.
    batch_size
        Cells per block: so many cells × genes are held at once.
    device
        Where to compute.
    on_cells
        Told of every block how many cells are done.

    Returns
    -------
    Units: the rise of the mean over cells and genes of y − x·log(y + ε), in counts. Below 0 for a unit that makes the
    reconstruction worse.
    """
    place = Fallback(device)
    means = units.mean(axis=0, dtype=np.float64).astype(np.float32)
    if n_cells is not None and n_cells < len(cells):
        drawn = np.sort(np.random.default_rng([seed, 2]).choice(len(cells), n_cells, replace=False))
        cells, units = cells.take(drawn), units[drawn]
    rise = np.zeros(len(means))
    for rows, block in cells.blocks(batch_size):
        rise += place.run(partial(_rise, network, block, units[rows].astype(np.float32), means))
        on_cells(len(block))
    return rise / (len(cells) * network.n_genes)


@plain_torch()
def _rise(
    network: Network,
    block: Cells,
    units: NDArray[np.float32],
    means: NDArray[np.float32],
    *,
    device: str,
    parts: int,
) -> NDArray[np.float64]:
    """Units: how much the summed loss of a block of cells rises."""
    network, rise = network.on(device), np.zeros(len(means))
    for rows, part in block.blocks(max(len(block) // parts, 1)):
        loss = _BlockLoss(part, device)
        whole = loss(network.decode(as_backend(units[rows], device), part.batch))
        for unit, mean in enumerate(means):
            held = units[rows].copy()
            held[:, unit] = mean
            rise[unit] += loss(network.decode(as_backend(held, device), part.batch)) - whole
    return rise


@plain_torch()
def reconstruction_loss(network: Network, cells: Source, *, batch_size: int = 128, device: str = "cpu") -> float:
    """Mean over cells and genes of y − x·log(y + ε), in counts, of cells that the network reads and makes again."""
    device = pick_device(device)
    network, total = network.on(device), 0.0
    for _, block in cells.blocks(batch_size):
        total += _BlockLoss(block, device)(network.decode(network.encode(block.inputs_on(device)), block.batch))
    return total / (len(cells) * network.n_genes)


class _BlockLoss:
    """Summed Poisson loss of a block; the logarithm is only taken where something was counted."""

    def __init__(self, block: Cells, device: str) -> None:
        seen = block.counts.tocoo()
        self._counts = seen.data.astype(np.float64)
        self._scale = block.scale()[:, 0].astype(np.float64)
        self._scale_seen = self._scale[seen.row]
        self._at = tuple(as_backend(index.astype(np.int64), device) for index in (seen.row, seen.col))

    def __call__(self, rates: Any) -> float:  # noqa: ANN401
        totals = to_numpy(rates.sum(-1)).astype(np.float64)  # cells
        expected = self._scale_seen * to_numpy(rates[self._at])
        return float(self._scale @ totals - self._counts @ np.log(expected + EPSILON))
