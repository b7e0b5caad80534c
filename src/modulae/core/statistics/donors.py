"""Differences between groups with donors, not cells, as the unit of replication."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.data.map_reduce import sum_values

from .permutation import two_sided
from .tails import smallest_tail_p

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DonorDifference:
    """Group minus reference over donors, for every statistic."""

    effect: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    p: NDArray[np.float64]
    lowest: NDArray[np.float64]  # with one donor left out
    highest: NDArray[np.float64]


def compare_donors(
    values: Iterable[tuple[slice, NDArray[np.floating]]],
    group: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    donors: NDArray[np.intp],
    *,
    n_permutations: int,
    rng: np.random.Generator,
) -> DonorDifference:
    """Mean over donors of donor means; donors seen on both sides are paired.

    Paired donors: the mean of their own differences, signs flipped under the null. Otherwise: the difference of the
    means over the donors of each side, labels of donors permuted. All flips or permutations are taken if there are no
    more than `n_permutations`. A donor's cells are averaged first, so each donor counts once.

    Parameters
    ----------
    values
        Blocks of cells × statistics, with where they stand.
    group, reference
        Cells; which are on either side.
    donors
        Cells; the number of the donor, from 0, or −1 where it is not known.
    n_permutations
        At most so many are drawn.
    rng
        Source of the draws.

    Raises
    ------
    ValueError
        Fewer than two donors a side, or some donors on both sides and others on one.
    """
    counts = count_donors(group, reference, donors)
    both = (counts > 0).all(axis=0)
    known = donors >= 0
    sides = np.stack([group & known, reference & known])
    (sums,) = sum_values(values, partial(_donor_sums, counts.shape[1]), sides, donors)
    means = sums / np.maximum(counts, 1)[:, :, None]  # sides × donors × statistics
    if both.any():
        return _paired(means[0, both] - means[1, both], n_permutations, rng)
    first, second = means[0, counts[0] > 0], means[1, counts[1] > 0]
    return _unpaired(np.concatenate([first, second]), len(first), n_permutations, rng)


def count_donors(group: NDArray[np.bool_], reference: NDArray[np.bool_], donors: NDArray[np.intp]) -> NDArray[np.intp]:
    """Sides × donors: cells of each, with the checks of :func:`compare_donors`."""
    known = donors >= 0
    sides = [group & known, reference & known]
    counts = np.stack([np.bincount(donors[side], minlength=donors.max() + 1) for side in sides])
    both, one = (counts > 0).all(axis=0), (counts > 0).sum(axis=0) == 1
    if both.any() and one.any():
        msg = (
            f"{both.sum()} donors have cells on both sides and {one.sum()} on one only. "
            "Keep the donors of one kind: adata[adata.obs[donor_key].isin(...)]."
        )
        raise ValueError(msg)
    if (both.sum() if both.any() else (counts > 0).sum(axis=1).min()) < 2:
        msg = (
            "there are fewer than two donors a side, so nothing is replicated. Leave out donor_key=, add donors, or "
            "leave the group out: groups=."
        )
        raise ValueError(msg)
    return counts


def smallest_p(counts: NDArray[np.intp], n_permutations: int) -> float:
    """The smallest p that :func:`compare_donors` can give, from what :func:`count_donors` gives.

    Both ends of the null count, so that with as many donors on each side two of the permutations are as far out.
    """
    both = int((counts > 0).all(axis=0).sum())
    n_first, n_second = (int(n) for n in (counts > 0).sum(axis=1))
    ways = 2**both if both else comb(n_first + n_second, n_first)
    exact = (2 if both or n_first == n_second else 1) / ways
    return max(exact, smallest_tail_p(n_permutations)) if ways > n_permutations else exact


def _donor_sums(
    n_donors: int,
    values: Iterable[tuple[slice, NDArray[np.floating]]],
    sides: NDArray[np.bool_],
    donors: NDArray[np.intp],
) -> tuple[NDArray[np.float64]]:
    """Sides × donors × statistics: sums over the cells of each."""
    sums: NDArray[np.float64] = np.zeros(0)
    for rows, block in values:
        more = np.zeros((2, n_donors, block.shape[1]))
        for index, side in enumerate(sides[:, rows]):
            cells = np.flatnonzero(side)
            np.add.at(more[index], donors[rows][cells], block[cells])
        sums = sums + more if sums.size else more
    return (sums,)


def _paired(differences: NDArray[np.float64], n_permutations: int, rng: np.random.Generator) -> DonorDifference:
    n = len(differences)
    if 2**n <= n_permutations:
        signs = np.array(list(product([1.0, -1.0], repeat=n)))[1:]  # the first flips nothing
    else:
        signs = rng.choice([1.0, -1.0], size=(n_permutations, n))
    effect = differences.mean(axis=0)
    without = (differences.sum(axis=0) - differences) / (n - 1)
    error = differences.std(axis=0, ddof=1) / np.sqrt(n)
    p = two_sided(effect, signs @ differences / n, centre=0.0, follow_tail=2**n > n_permutations)
    p = np.maximum(p, 2 / 2**n)  # all flips can't say less
    return DonorDifference(effect, error, p, without.min(axis=0), without.max(axis=0))


def _unpaired(
    means: NDArray[np.float64], n_first: int, n_permutations: int, rng: np.random.Generator
) -> DonorDifference:
    n = len(means)
    if comb(n, n_first) <= n_permutations:
        chosen = [list(rows) for rows in combinations(range(n), n_first)][1:]  # the first are the group itself
    else:
        chosen = [rng.permutation(n)[:n_first].tolist() for _ in range(n_permutations)]
    labels = np.zeros((len(chosen), n))
    for row, inside in zip(labels, chosen, strict=True):
        row[inside] = 1
    total = means.sum(axis=0)
    null = labels @ means / n_first - (total - labels @ means) / (n - n_first)
    sides = means[:n_first], means[n_first:]
    effect = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    error = np.sqrt(sum(side.var(axis=0, ddof=1) / len(side) for side in sides))
    without = np.concatenate(
        [
            _without_each(sides[0]) - sides[1].mean(axis=0),
            sides[0].mean(axis=0) - _without_each(sides[1]),
        ]
    )
    ways = comb(n, n_first)
    p = two_sided(effect, null, centre=0.0, follow_tail=ways > n_permutations)
    p = np.maximum(p, (2 if 2 * n_first == n else 1) / ways)  # all permutations can't say less
    return DonorDifference(effect, error, p, without.min(axis=0), without.max(axis=0))


def _without_each(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((values.sum(axis=0) - values) / (len(values) - 1))
