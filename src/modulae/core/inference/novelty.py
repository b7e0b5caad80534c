"""How badly a model explains each cell, beside held-out cells of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.data.map_reduce import map_cells

from .deviance import expected_deviance, poisson_deviance
from .encode import expected_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.network import Network


BLOCK = 512
"""Cells at a time."""


def novelty(
    network: Network, cells: Source, dispersion: NDArray[np.floating], *, batch_size: int = BLOCK
) -> NDArray[np.float64]:
    """Deviance of each cell over that expected of held-out training cells of its rates; 1: just as expected.

    A cell without counts, of which nothing can be said, has 1.

    Parameters
    ----------
    network
        The trained network.
    cells
        Cells to judge.
    dispersion
        Genes; see :class:`TrainingSummary`.
    batch_size
        Cells at a time.
    """
    job = partial(_novelty, network, dispersion.astype(np.float32), batch_size)
    return np.concatenate([result for _, result in map_cells(cells, job, threads=True)])


def _novelty(network: Network, weights: NDArray[np.float32], batch_size: int, cells: Source) -> NDArray[np.float64]:
    """:func:`novelty` of a portion of the cells."""
    ratio = np.ones(len(cells))
    for rows, block in cells.blocks(batch_size):
        rates = expected_counts(network, block)
        expected = expected_deviance(rates) @ weights
        seen = poisson_deviance(block.dense(), rates).sum(axis=1)
        np.divide(seen, expected, out=ratio[rows], where=expected > 0, casting="unsafe")
    return ratio
