"""Values that come in blocks of cells, compared with donors, not cells, as the unit of replication."""

from __future__ import annotations

from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.data.map_reduce import sum_values
from modulae.core.statistics.group_pairs import STILL

from .designs import Design, design_of
from .moments import Moments, moments_of
from .over_donors import fit_donors, moderated_tests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def compare_donors(
    values: Iterable[tuple[slice, NDArray[np.floating]]],
    group: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    donors: NDArray[np.intp],
    *,
    lenders: int,
    n_permutations: int,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """The statistics of :func:`.moderated_tests`; and `se`, the standard error behind `p`.

    Parameters
    ----------
    values
        Blocks of cells × statistics, with where they stand.
    group, reference
        Cells; which are on either side.
    donors
        Cells; the number of the donor, from 0, or −1 where it is not known.
    lenders
        The variances of the first so many statistics borrow from each other. The others, which are made of each other
        and would say one thing several times over, have their own.
    n_permutations
        Flipped signs or permuted labels for `p_exact`, at most.
    rng
        Source of these.

    Raises
    ------
    ValueError
        Fewer than two donors on each side.
    """
    design = donor_design(group, reference, donors)
    part = np.where((group | reference) & (donors >= 0), 2 * donors + reference, -1)
    n_parts = 2 * (int(donors.max()) + 1)
    n, total, squares = sum_values(values, partial(_moments, n_parts), part)
    mean, square = total.sum(axis=0) / n.sum(), squares.sum(axis=0) / n.sum()
    still = square - mean**2 <= STILL**2 * square  # the rest is rounding
    total[:, still] = squares[:, still] = 0
    sides = [Moments(n[side::2], total[side::2], squares[side::2]) for side in (0, 1)]
    fit = fit_donors(design, sides[0], sides[1], n_permutations=n_permutations, rng=rng)
    return {name: statistic[0] for name, statistic in moderated_tests([fit], lenders=lenders).items()}


def donor_design(group: NDArray[np.bool_], reference: NDArray[np.bool_], donors: NDArray[np.intp]) -> Design:
    """Which donors are compared with which: see :func:`.design_of`.

    Raises
    ------
    ValueError
        Fewer than two donors on each side.
    """
    nothing, n_donors = np.zeros((len(donors), 0)), int(donors.max()) + 1
    sides = (moments_of(nothing, np.where(side, donors, -1), n_donors) for side in (group, reference))
    design = design_of(*sides)
    if isinstance(design, Design):
        return design
    msg = (
        f"there are {design}, so nothing is replicated. Leave out donor_key=, add donors, or leave the group out: "
        "groups=."
    )
    raise ValueError(msg)


def _moments(
    n_parts: int, values: Iterable[tuple[slice, NDArray[np.floating]]], part: NDArray[np.intp]
) -> tuple[NDArray[np.float64], ...]:
    """Of donors on either side: cells, and parts × statistics, sums and sums of squares."""
    every = reduce(add, (moments_of(block, part[rows], n_parts) for rows, block in values))
    return every.n, every.total, every.squares
