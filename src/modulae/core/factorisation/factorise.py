"""Parts of cells × genes, from a compression of it or from all of its entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.checks import check_integer
from modulae.core.data.csr import as_csr

from .passes import improve_in_turn
from .start import nndsvda
from .sweeps import sweep

if TYPE_CHECKING:
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
    _check_passes(n_iterations, n_sweeps)
    activity, loadings = nndsvda(compressed, n_parts)
    improve_in_turn(activity, loadings, compressed, n_iterations=n_iterations, n_sweeps=n_sweeps)
    return _parts(activity, loadings)


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
    _check_passes(n_iterations, n_sweeps)
    rows = as_csr(inputs).astype(np.float32, copy=False)
    of_cells, of_genes = np.array(activity.T, np.float32, order="C"), np.array(loadings, np.float32, order="C")
    for _ in range(n_iterations):
        sweep(of_cells, of_genes @ of_genes.T, (rows @ of_genes.T).T, n_sweeps=n_sweeps)
        sweep(of_genes, of_cells @ of_cells.T, (rows.T @ of_cells.T).T, n_sweeps=n_sweeps)
    return _parts(of_cells, of_genes)


def _check_passes(n_iterations: int, n_sweeps: int) -> None:
    check_integer("n_iterations", n_iterations, minimum=0)
    check_integer("n_sweeps", n_sweeps, minimum=1)


def _parts(activity: Floats, loadings: Floats) -> Parts:
    """Scaled, and without those that vanished, from parts × cells and parts × genes."""
    kept = np.flatnonzero(activity.any(axis=1) & loadings.any(axis=1))
    activity, loadings = activity[kept].astype(np.float64), loadings[kept].astype(np.float64)
    size = np.sqrt((activity**2).mean(axis=1, keepdims=True))
    return Parts(np.ascontiguousarray((activity / size).T, np.float32), (loadings * size).astype(np.float32), kept)
