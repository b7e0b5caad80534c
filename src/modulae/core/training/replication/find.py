"""What one half of the cells finds on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.factorisation.factorise import factorise
from modulae.core.factorisation.low_rank import LowRank, low_rank
from modulae.core.factorisation.passes import improve_in_turn
from modulae.core.factorisation.read import read_parts
from modulae.core.factorisation.start import nndsvda

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    Floats = NDArray[np.float32]

RANK = 200
"""Directions that are kept of a half. Fewer lose programmes of few cells; more take longer and find the same."""

PASSES: dict[str, int] = {"n_iterations": 40, "n_sweeps": 3}
"""Passes of a factorisation over both factors, and sweeps in each, which cost less than the products of a pass."""

READ_SWEEPS = 60
"""Sweeps over the activities of a half where the loadings stay."""


@dataclass(frozen=True, slots=True)
class HalfUnits:
    """The units that one half of the cells found."""

    loadings: Floats  # units × genes
    activity: Floats  # cells × units, of all cells, also those of the other half


def compress(inputs: sparse.csr_matrix, rows: NDArray[np.intp], seed: int) -> LowRank:
    """A half in a few directions, which all factorisations of it share."""
    return low_rank(inputs[rows], RANK, seed=seed)


def find(inputs: sparse.csr_matrix, half: LowRank, sizes: Sequence[int]) -> list[HalfUnits]:
    """Factorise a half into so many parts, for each size on its own, and read all cells with each."""
    found = []
    for size in sizes:
        loadings = factorise(half, min(size, half.rank), **PASSES).loadings
        found.append(HalfUnits(loadings, read_parts(inputs, loadings)))
    return found


def find_one_more(inputs: sparse.csr_matrix, half: LowRank, known: NDArray[Any]) -> HalfUnits:
    """What a half finds beside units that are known: one part more, while the loadings of the known stay.

    It starts from the largest direction of what the known units leave over. What all cells share is often found this
    way only: with many parts at once, each half cuts it into other pieces.
    """
    fixed = np.asarray(known, dtype=np.float32)
    activity = read_half(half, fixed)  # units × cells of the half
    extra_activity, extra = nndsvda(left_over(half, activity, fixed), 1)
    both, loadings = np.concatenate([activity, extra_activity]), np.concatenate([fixed, extra])
    n = len(fixed)
    improve_in_turn(both, loadings, half, **PASSES, n_fixed=n)
    size = np.sqrt((both[n:].astype(np.float64) ** 2).mean(axis=1, keepdims=True))
    one = np.asarray(loadings[n:] * size, dtype=np.float32)
    if not one.any():
        return HalfUnits(one[:0], np.zeros((inputs.shape[0], 0), dtype=np.float32))
    return HalfUnits(one, read_parts(inputs, np.concatenate([fixed, one]))[:, n:])


def read_half(half: LowRank, loadings: Floats) -> Floats:
    """Units × cells of the half: the activity of known units."""
    activity = np.zeros((len(loadings), len(half.left)), dtype=np.float32)
    improve_in_turn(activity, loadings, half, n_iterations=1, n_sweeps=READ_SWEEPS, n_fixed=len(loadings))
    return activity


def left_over(half: LowRank, activity: Floats, loadings: Floats, n: int = 1) -> LowRank:
    """The largest directions of the half less what the units make, without making either of them cells × genes.

    From the products of the few columns and rows that it is made of, in double precision.
    """
    cells = np.concatenate([half.left, activity.T], axis=1).astype(np.float64)
    genes = np.concatenate([half.right, -loadings]).astype(np.float64)
    squares, vectors = np.linalg.eigh(cells.T @ cells)
    kept = squares > squares[-1] * len(squares) * np.finfo(np.float64).eps
    sizes, vectors = np.sqrt(squares[kept]), vectors[:, kept]
    # cells = base · diag(sizes) · vectorsᵀ with an orthonormal base, in which the rest is this times genes
    inner = sizes[:, None] * (vectors.T @ genes)
    largest = np.linalg.eigh(inner @ inner.T)[1][:, : -n - 1 : -1]
    left, right = cells @ (vectors @ (largest / sizes[:, None])), largest.T @ inner
    return LowRank(left.astype(np.float32), right.astype(np.float32), half.mean)
