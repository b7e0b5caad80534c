"""Parts of cells × genes, from a compression of it or from all of its entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.checks import check_integer
from modulae.core.data.csr import as_csr

from .start import nndsvda
from .sweeps import sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .low_rank import LowRank

    Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parts:
    """`activity @ loadings` is nearly cells × genes; nothing in them is negative."""

    activity: Floats  # cells × parts, each part with mean square 1
    loadings: Floats  # parts × genes
    kept: NDArray[np.intp]  # parts: which of those that it started with; the others vanished


def factorise(compressed: LowRank, n_parts: int, *, n_iterations: int = 60, n_sweeps: int = 1) -> Parts:
    """Non-negative matrix factorisation of what :func:`.low_rank.low_rank` has kept; any number of times.

    Parameters
    ----------
    compressed
        The cells; its rank should be some more than the parts.
    n_parts
        How many parts to start with; those that vanish are left out.
    n_iterations
        Passes over both factors.
    n_sweeps
        Sweeps over the parts in each pass. A few cost little beside the products with the data, and save passes.
    """
    check_integer("n_parts", n_parts, minimum=1)
    if n_parts > compressed.rank:
        msg = (
            f"n_parts is {n_parts}, but these cells were compressed to rank {compressed.rank}; give n_parts of at most "
            f"{compressed.rank}, or compress them with a larger rank (no more than there are cells or genes)."
        )
        raise ValueError(msg)
    left, right = compressed.left, compressed.right
    activity, loadings = nndsvda(compressed, n_parts)
    how = n_iterations, n_sweeps
    return _alternate(activity, loadings, how, lambda b: (b @ right.T) @ left.T, lambda a: (a @ left) @ right)


def refine(
    inputs: Any,  # noqa: ANN401
    loadings: NDArray[Any],
    activity: NDArray[Any],
    *,
    n_iterations: int,
    n_sweeps: int = 1,
) -> Parts:
    """Factorise all entries of the inputs, without compression, from a given start.

    Parameters
    ----------
    inputs
        Cells × genes, best as a `csr_matrix` of float32; others are converted.
    loadings
        Parts × genes to start with.
    activity
        Cells × parts to start with; left as they are, as are the loadings.
    n_iterations
        Passes over both factors.
    n_sweeps
        Sweeps over the parts in each pass.
    """
    rows = as_csr(inputs).astype(np.float32, copy=False)
    start = np.array(activity.T, dtype=np.float32, order="C"), np.array(loadings, dtype=np.float32, order="C")
    return _alternate(*start, (n_iterations, n_sweeps), lambda b: (rows @ b.T).T, lambda a: (rows.T @ a.T).T)


def _alternate(
    activity: Floats,
    loadings: Floats,
    how: tuple[int, int],
    of_cells: Callable[[Floats], NDArray[Any]],
    of_genes: Callable[[Floats], NDArray[Any]],
) -> Parts:
    """Improve parts × cells and parts × genes in turn; the functions multiply one of them with the data."""
    n_iterations, n_sweeps = how
    check_integer("n_iterations", n_iterations, minimum=0)
    check_integer("n_sweeps", n_sweeps, minimum=1)
    for _ in range(n_iterations):
        sweep(activity, loadings @ loadings.T, of_cells(loadings), n_sweeps=n_sweeps)
        sweep(loadings, activity @ activity.T, of_genes(activity), n_sweeps=n_sweeps)
    kept = np.flatnonzero(activity.any(axis=1) & loadings.any(axis=1))
    activity, loadings = activity[kept].astype(np.float64), loadings[kept].astype(np.float64)
    size = np.sqrt((activity**2).mean(axis=1, keepdims=True))
    return Parts(np.ascontiguousarray((activity / size).T, np.float32), (loadings * size).astype(np.float32), kept)
