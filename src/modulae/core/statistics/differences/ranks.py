"""How often a cell of one side is above one of the other, and the test by Mann and Whitney, for many groups at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rank_test(
    values: NDArray[np.floating], groups: NDArray[np.intp], n_groups: int, reference: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AUC and two-sided p of every group against the reference, or against all other cells.

    One sort of each column serves all groups. p is that of the normal approximation, with the correction for ties and
    for continuity.

    Parameters
    ----------
    values
        Cells × values.
    groups
        Cells; numbers from 0.
    n_groups
        How many there are.
    reference
        The group that the others are held against; `None` for all cells outside of each.

    Returns
    -------
    Groups × values, twice; 0.5 and 1 for the reference itself and where a side has no cell.
    """
    n = np.bincount(groups, minlength=n_groups).astype(np.float64)
    other = n.sum() - n if reference is None else np.where(np.arange(n_groups) == reference, 0.0, n[reference])
    possible = (n > 0) & (other > 0)
    auc, p = np.full((2, n_groups, values.shape[1]), 0.5)
    p += 0.5
    for column in range(values.shape[1]):
        above, ties = _pairs_above(np.ascontiguousarray(values[:, column]), groups, n_groups, reference)
        if reference is None:
            above = above - n**2 / 2  # each cell beside those of its own group
        auc[possible, column] = (above / np.maximum(n * other, 1))[possible]
        p[possible, column] = _p(above[possible], n[possible], other[possible], ties[possible])
    return auc, p


def smallest_rank_p(n: NDArray[np.integer], other: NDArray[np.integer]) -> NDArray[np.float64]:
    """Comparisons: p where all cells of one side have one value and all of the other a lower one."""
    exact, theirs = n.astype(np.float64), other.astype(np.float64)
    return _p(exact * theirs, exact, theirs, _cubes(exact) + _cubes(theirs))


def _pairs_above(
    values: NDArray[np.floating], groups: NDArray[np.intp], n_groups: int, reference: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each group: pairs of its cells with cells of the reference (all cells) below them, a tie counts half.

    And the sum of t³ − t over the t cells of both sides that are tied with each other.
    """
    order = np.argsort(values)
    ordered, of = values[order], groups[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(values)))
    if reference is None:
        below, tied = starts, sizes
    else:
        counted = np.concatenate([[0], np.cumsum(of == reference)])
        below, tied = counted[starts], counted[starts + sizes] - counted[starts]
    place = below + tied / 2
    if len(sizes) < len(values):
        place = np.repeat(place, sizes)
    above = np.asarray(np.bincount(of, weights=place, minlength=n_groups), dtype=np.float64)
    if reference is None:
        return above, np.full(n_groups, _cubes(sizes).sum())
    return above, _ties_with(of, sizes, tied, n_groups)


def _ties_with(
    of: NDArray[np.intp], sizes: NDArray[np.intp], tied: NDArray[np.intp], n_groups: int
) -> NDArray[np.float64]:
    """Groups: t³ − t summed over sets of cells with one value, of the group and the reference alone."""
    ties = np.full(n_groups, _cubes(tied).sum())
    several = sizes > 1
    if not several.any():
        return ties
    cells = np.repeat(several, sizes)
    which = np.repeat(np.cumsum(several)[several] - 1, sizes[several])
    in_reference = tied[several].astype(np.float64)
    pairs, n = np.unique(of[cells] * len(in_reference) + which, return_counts=True)
    group, at = np.divmod(pairs, len(in_reference))
    np.add.at(ties, group, _cubes(n + in_reference[at]) - _cubes(in_reference[at]))
    return ties


def _cubes(n: NDArray[np.integer] | NDArray[np.floating]) -> NDArray[np.float64]:
    exact = n.astype(np.float64)
    return np.asarray(exact**3 - exact)


def _p(
    above: NDArray[np.float64], n: NDArray[np.float64], other: NDArray[np.float64], ties: NDArray[np.float64]
) -> NDArray[np.float64]:
    from scipy.special import ndtr

    both = n + other
    variance = n * other / 12 * (both + 1 - ties / (both * (both - 1)))
    distance = np.maximum(np.abs(above - n * other / 2) - 0.5, 0)
    certain = variance <= 1e-9 * n * other  # all cells have one value
    return np.asarray(np.where(certain, 1.0, 2 * ndtr(-distance / np.sqrt(np.where(certain, 1.0, variance)))))
