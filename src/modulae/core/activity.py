"""Where groups differ in the activity of units, read through what the sets do to those units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

AT_ONCE = 2048
"""Cells a block."""


def standardise(units: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cells × units with mean 0 and standard deviation 1; a unit that never changes is 0 everywhere."""
    exact = units.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    spread = centred.std(axis=0)
    changes = spread > 1e-6 * np.abs(exact).max(axis=0, initial=0)  # below that it is rounding
    return np.asarray(np.divide(centred, spread, out=np.zeros_like(centred), where=changes))


def activity_difference(
    units: NDArray[np.floating], group: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Units: mean activity of the group minus that of the reference, in standard deviations over the cells of both."""
    used = group | reference
    standard = standardise(units[used])
    return np.asarray(standard[group[used]].mean(axis=0) - standard[reference[used]].mean(axis=0))


def pool(
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
    standard = standardise(units)
    for start in range(0, len(standard), AT_ONCE):
        rows = slice(start, min(start + AT_ONCE, len(standard)))
        yield rows, np.hstack([standard[rows], standard[rows] @ set_saliency.T])


def by_set(
    statistics: Mapping[str, NDArray[np.float64]], set_saliency: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Statistics of :func:`activity_values` (units + sets) → sets × (units + 1), the last for the sum over units.

    What is not a p scales with the saliency of the set; ends of a range change places where it is negative.
    """
    n_units = set_saliency.shape[1]
    found = {}
    for name, values in statistics.items():
        unit, total = values[:n_units], values[n_units:]
        if name.startswith("p"):
            shares = np.broadcast_to(unit, set_saliency.shape)
        elif name == "se":
            shares = unit * np.abs(set_saliency)
        else:
            shares = unit * set_saliency
        found[name] = np.column_stack([shares, total])
    if "effect_lowest" in found:
        ends = np.stack([found["effect_lowest"], found["effect_highest"]])
        found["effect_lowest"], found["effect_highest"] = ends.min(axis=0), ends.max(axis=0)
    return found
