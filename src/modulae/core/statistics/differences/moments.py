"""Numbers of cells, sums and sums of squares of parts of the cells: all that means and variances need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from modulae.core.statistics.group_pairs import STILL

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELLS_AT_ONCE = 2**16
"""Cells that are worked on at a time, in double precision."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of each part; parts that share no cell may be added, and one that lies inside taken away."""

    n: NDArray[np.float64]  # parts
    total: NDArray[np.float64]  # parts × values
    squares: NDArray[np.float64]  # parts × values

    def __add__(self, other: Self) -> Self:
        """Both together."""
        return type(self)(self.n + other.n, self.total + other.total, self.squares + other.squares)

    def __sub__(self, other: Self) -> Self:
        """Without the other."""
        return type(self)(self.n - other.n, self.total - other.total, self.squares - other.squares)

    def of(self, parts: NDArray[np.intp] | slice) -> Self:
        """Some of the parts."""
        return type(self)(self.n[parts], self.total[parts], self.squares[parts])

    def gathered(self, into: NDArray[np.intp], n: int) -> Self:
        """Sums over the parts with the same number, from 0 up to `n`."""
        result = [np.zeros((n, *array.shape[1:])) for array in (self.n, self.total, self.squares)]
        for sums, array in zip(result, (self.n, self.total, self.squares), strict=True):
            np.add.at(sums, into, array)
        return type(self)(*result)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Parts × values; 0 where there is no cell."""
        return np.asarray(self.total / np.maximum(self.n, 1)[:, None])

    @property
    def scatter(self) -> NDArray[np.float64]:
        """Parts × values: squared distances from the mean, summed up."""
        return np.asarray(np.maximum(self.squares - self.total * self.mean, 0))


def moments_of(
    values: NDArray[np.floating] | NDArray[np.bool_],
    parts: NDArray[np.intp],
    n_parts: int,
    *,
    centre: NDArray[np.float64] | float = 0.0,
    spread: NDArray[np.float64] | float = 1.0,
) -> Moments:
    """Moments of cells × values, less `centre` and divided by `spread`; cells of part −1 are passed over."""
    from scipy import sparse

    width = values.shape[1]
    n = np.bincount(parts[parts >= 0], minlength=n_parts).astype(np.float64)
    total, squares = np.zeros((n_parts, width)), np.zeros((n_parts, width))
    for start in range(0, len(values) if width else 0, CELLS_AT_ONCE):
        of = parts[start : start + CELLS_AT_ONCE]
        block = (values[start : start + CELLS_AT_ONCE].astype(np.float64) - centre) / spread
        cells = np.flatnonzero(of >= 0)
        who = sparse.csr_matrix((np.ones(len(cells)), (of[cells], cells)), shape=(n_parts, len(of)))
        total += np.asarray(who @ block)
        np.square(block, out=block)
        squares += np.asarray(who @ block)
    return Moments(n, total, squares)


def centre_and_spread(
    values: NDArray[np.floating], used: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Mean and standard deviation of each column over the cells that are used, and which never change (spread 1)."""
    rough = values[used][:1].astype(np.float64)[0]  # near enough to the mean for sums of squares to keep their digits
    part = np.where(used, 0, -1)
    shifted = moments_of(values, part, 1, centre=rough)
    mean = rough + shifted.mean[0]
    variance = shifted.scatter[0] / shifted.n[0]
    still = np.sqrt(variance) <= STILL * np.sqrt(variance + mean**2)
    return mean, np.where(still, 1.0, np.sqrt(variance)), still
