"""Passes over both factors of compressed cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .compiled_sweeps import passes as compiled_passes
from .sweeps import sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .low_rank import LowRank

    Floats = NDArray[np.float32]


def improve_in_turn(
    activity: Floats, loadings: Floats, compressed: LowRank, *, n_iterations: int, n_sweeps: int = 1, n_fixed: int = 0
) -> None:
    """Bring ‖X − activityᵀ · loadings‖² down, in place: activities of all parts, then loadings, again and again.

    Compiled where that can be, else with NumPy.

    Parameters
    ----------
    activity
        Parts × cells.
    loadings
        Parts × genes.
    compressed
        X.
    n_iterations
        Passes over both.
    n_sweeps
        Sweeps over the parts in each pass.
    n_fixed
        Of so many parts, the first ones, the loadings stay as they are.
    """
    if compiled_passes(activity, loadings, compressed, (n_fixed, n_iterations, n_sweeps)):
        return
    left, right = compressed.left, compressed.right
    for _ in range(n_iterations):
        sweep(activity, loadings @ loadings.T, (loadings @ right.T) @ left.T, n_sweeps=n_sweeps)
        if n_fixed == len(loadings):
            continue
        gram = activity @ activity.T
        products = (activity[n_fixed:] @ left) @ right - gram[n_fixed:, :n_fixed] @ loadings[:n_fixed]
        sweep(loadings[n_fixed:], np.ascontiguousarray(gram[n_fixed:, n_fixed:]), products, n_sweeps=n_sweeps)
