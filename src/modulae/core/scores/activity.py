"""Where groups differ in the activity of units, read through what the sets do to those units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

CELLS_PER_PIECE = 2048
"""Cells a block."""

CELLS_PER_SUM = 65_536
"""Cells at a time where only sums are kept."""


@dataclass(frozen=True, slots=True)
class ZScores:
    """Cells × units with mean 0 and standard deviation 1, worked out for some cells at a time."""

    units: NDArray[np.floating]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    changes: NDArray[np.bool_]  # units that do; one that does not is 0 everywhere

    @classmethod
    def of(cls, units: NDArray[np.floating]) -> Self:
        """Look at all cells three times; their activities as `float64` are never all in memory."""

        def summed(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
            parts = (
                units[start : start + CELLS_PER_SUM].astype(np.float64) for start in range(0, len(units), CELLS_PER_SUM)
            )
            return sum((function(part).sum(axis=0) for part in parts), start=np.zeros(units.shape[1]))

        mean = summed(lambda part: part) / len(units)
        rest = summed(lambda part: part - mean) / len(units)  # what rounding left
        spread = np.sqrt(summed(lambda part: (part - mean - rest) ** 2) / len(units))
        largest = np.maximum(units.max(axis=0, initial=0), -units.min(axis=0, initial=0))
        return cls(units, mean, spread, spread > 1e-6 * largest)  # below that it is rounding

    def __len__(self) -> int:
        return len(self.units)

    def __getitem__(self, rows: slice) -> NDArray[np.float64]:
        centred = self.units[rows].astype(np.float64) - self.mean
        return np.asarray(np.divide(centred, self.spread, out=np.zeros_like(centred), where=self.changes))


def activity_difference(
    units: NDArray[np.floating], group: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Units: mean activity of the group minus that of the reference, in standard deviations over the cells of both."""
    used = group | reference
    standard, sides = ZScores.of(units[used]), (group[used], reference[used])
    sums = np.zeros((2, units.shape[1]))
    for start in range(0, len(standard), CELLS_PER_SUM):
        rows = slice(start, start + CELLS_PER_SUM)
        block = standard[rows]
        sums += np.stack([block[side[rows]].sum(axis=0) for side in sides])
    return np.asarray(sums[0] / sides[0].sum() - sums[1] / sides[1].sum())


def pooled_mean(
    groups: NDArray[np.floating],
    references: NDArray[np.floating],
    members: NDArray[np.bool_],
    reference_members: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Means over the cells of both sides, from those of either side, which have no cell in common.

    Parameters
    ----------
    groups, references
        Comparisons × …: means over the cells of either side.
    members, reference_members
        Comparisons × cells.
    """
    n, m = members.sum(axis=1, dtype=np.float64), reference_members.sum(axis=1, dtype=np.float64)
    share = (n / (n + m)).reshape(-1, *(1,) * (groups.ndim - 1))
    return np.asarray(share * groups + (1 - share) * references)


def activity_differences(
    units: NDArray[np.floating], members: NDArray[np.bool_], reference_members: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Comparisons × units: :func:`activity_difference` of each."""
    sides = zip(members, reference_members, strict=True)
    return np.stack([activity_difference(units, group, reference) for group, reference in sides])


def chance_higher(units: NDArray[np.floating], members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Groups × units: how often a cell of the group is more active than a cell of the others, of all such pairs.

    The area under the ROC curve (a tie counts half), which does not depend on how large the group is. Cells that are in
    no group are left out.

    Parameters
    ----------
    units
        Cells × units.
    members
        Groups × cells, each cell in one group at most.
    """
    labelled = np.flatnonzero(members.any(axis=0))
    group, n = members.argmax(axis=0)[labelled], members.sum(axis=1, dtype=np.float64)
    # one unit at a time, as there may be many cells
    ranks = (np.bincount(group, rankdata(column[labelled]), minlength=len(n)) for column in units.T)
    above = np.stack([sums - n * (n + 1) / 2 for sums in ranks], axis=1)
    return np.asarray(above / (n * (n.sum() - n))[:, None])


def activity_values(
    units: NDArray[np.floating], set_saliency: NDArray[np.float64]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Blocks of cells × (units + sets): standardised activities, and their sums weighted with each set's saliency.

    A difference of means over cells of the second is the sum over units of activity difference × saliency; that of the
    first, times the saliency, is one unit's share in it: see :func:`by_set`.

    Parameters
    ----------
    units
        Cells × units.
    set_saliency
        Sets × units: the mean saliency of the units to the genes of each set.
    """
    standard = ZScores.of(units)
    for start in range(0, len(standard), CELLS_PER_PIECE):
        rows = slice(start, min(start + CELLS_PER_PIECE, len(standard)))
        block = standard[rows]
        yield rows, np.hstack([block, block @ set_saliency.T])


def per_set_statistics(
    statistics: Mapping[str, NDArray[np.float64]], set_saliency: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Statistics of :func:`activity_values` (units + sets) → sets × (units + 1), the last for the sum over units.

    What is not a p scales with the saliency of the set; ends of a range change places where it is negative.
    """
    n_units = set_saliency.shape[1]
    result = {}
    for name, values in statistics.items():
        unit, total = values[:n_units], values[n_units:]
        if name.startswith("p"):
            shares = np.broadcast_to(unit, set_saliency.shape)
        elif name == "se":
            shares = unit * np.abs(set_saliency)
        else:
            shares = unit * set_saliency
        result[name] = np.column_stack([shares, total])
    if "effect_lowest" in result:
        ends = np.stack([result["effect_lowest"], result["effect_highest"]])
        result["effect_lowest"], result["effect_highest"] = ends.min(axis=0), ends.max(axis=0)
    return result
