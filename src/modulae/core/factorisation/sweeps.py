"""Coordinate descent over a factor that must not be negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .compiled_sweeps import descend
from .limits import LEAST

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 2048
"""Columns at a time: with some dozens of parts they stay in the cache of a processor."""


def sweep(factor: NDArray[np.float32], gram: NDArray[np.float32], products: NDArray[Any], *, n_sweeps: int = 1) -> None:
    """Bring ‖X − AᵀB‖² down over A ≥ 0, in place: its parts in turn, each set to the best it can be for all columns.

    In compiled loops where these can be had, else with NumPy.
    This is hierarchical alternating least squares (Cichocki & Phan 2009, *IEICE Transactions* E92-A:708), the order of
    scikit-learn's solver `"cd"`. The columns of A are independent of each other.

    Parameters
    ----------
    factor
        A, parts × cells; or parts × genes, with X the other way round.
    gram
        BBᵀ, parts × parts.
    products
        BXᵀ, parts × cells.
    n_sweeps
        How many times to go through the parts, at most: where nothing changes any more, it ends.
    """
    if descend(factor, gram, products, n_sweeps):
        return
    curvature = gram.diagonal()
    parts = np.flatnonzero(curvature > LEAST)
    step = 1 / np.where(curvature > LEAST, curvature, 1)[:, None]
    others = gram * step  # what the other parts already explain of each
    np.fill_diagonal(others, 0)
    for start in range(0, factor.shape[1], BLOCK):
        block = np.ascontiguousarray(factor[:, start : start + BLOCK])
        best_alone = np.multiply(products[:, start : start + BLOCK], step, order="C")
        for _ in range(n_sweeps):
            for part in parts:
                np.maximum(best_alone[part] - others[part] @ block, 0, out=block[part])
        factor[:, start : start + BLOCK] = block
