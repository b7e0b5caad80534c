"""Any two groups of cells beside each other, from what is known of each group alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELLS_AT_ONCE = 65_536

STILL = 1e-6
"""A unit whose standard deviation is below this share of its root mean square never changes: the rest is rounding."""


@dataclass(frozen=True, slots=True)
class GroupActivity:
    """What of each group's activity is needed to compare it with any other."""

    n_cells: NDArray[np.float64]  # groups
    mean: NDArray[np.float64]  # groups × units
    variance: NDArray[np.float64]  # groups × units

    @classmethod
    def of(cls, units: NDArray[np.floating], members: NDArray[np.bool_]) -> GroupActivity:
        """Of cells × units, for groups × cells; every group has a cell."""
        groups = [np.flatnonzero(member) for member in members]
        moments = [_moments(units, cells) for cells in groups]
        return cls(
            np.array([len(cells) for cells in groups], dtype=np.float64),
            np.stack([mean for mean, _ in moments]),
            np.stack([variance for _, variance in moments]),
        )

    def side(self, groups: NDArray[np.intp]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Cells, mean and variance (units) of several groups taken together."""
        n = self.n_cells[groups]
        mean = (n @ self.mean[groups]) / n.sum()
        variance = (n @ (self.variance[groups] + (self.mean[groups] - mean) ** 2)) / n.sum()
        return float(n.sum()), mean, variance

    def difference(self, group: NDArray[np.intp], reference: NDArray[np.intp]) -> NDArray[np.float64]:
        """Units: mean of the group minus that of the reference, in standard deviations over the cells of both.

        The same number as :func:`modulae.core.scores.activity.activity_difference`, which goes through the cells.
        """
        _, mean, _ = self.side(group)
        _, mean_reference, _ = self.side(reference)
        _, middle, variance = self.side(np.concatenate([group, reference]))
        spread = np.sqrt(variance)
        changes = spread > STILL * np.sqrt(variance + middle**2)
        return np.asarray(np.divide(mean - mean_reference, spread, out=np.zeros_like(spread), where=changes))

    def set_difference(
        self, group: NDArray[np.intp], reference: NDArray[np.intp], set_saliency: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sets: the impact that moves a cell from the reference to the group, summed over units.

        Parameters
        ----------
        group, reference
            Positions of groups; none is in both.
        set_saliency
            Groups × sets × units: the mean saliency of the units to the genes of each set, over each group's cells.
        """
        both = np.concatenate([group, reference])
        pooled = np.tensordot(self.n_cells[both] / self.n_cells[both].sum(), set_saliency[both], axes=1)
        return np.asarray(pooled @ self.difference(group, reference))


def _moments(units: NDArray[np.floating], cells: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of the units over some cells, of which a block is in memory as `float64`."""
    blocks = [cells[start : start + CELLS_AT_ONCE] for start in range(0, len(cells), CELLS_AT_ONCE)]
    zero = np.zeros(units.shape[1])
    mean = sum((units[block].astype(np.float64).sum(axis=0) for block in blocks), start=zero) / len(cells)
    squares = (((units[block].astype(np.float64) - mean) ** 2).sum(axis=0) for block in blocks)
    return mean, sum(squares, start=zero) / len(cells)


def pairs(n_groups: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Each group beside all others, then each pair, the first of a pair in front: (0, 1), (0, 2), …, (1, 2)."""
    everyone = np.arange(n_groups)
    if n_groups < 2:
        return []
    rest = [(everyone[[i]], np.delete(everyone, i)) for i in everyone]
    return rest + [(everyone[[i]], everyone[[j]]) for i in everyone for j in everyone[i + 1 :]]
