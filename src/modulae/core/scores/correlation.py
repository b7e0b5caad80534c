"""How far two networks explain the same cells alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

if TYPE_CHECKING:
    from numpy.typing import NDArray


def correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson correlation of every column of `one` with every column of `other`; 0 where one of them is constant."""
    return standardised(one).T @ standardised(other)


def column_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson correlation of each column of `one` with the same column of `other`; 0 where one is constant."""
    return np.asarray((standardised(one) * standardised(other)).sum(axis=0))


def rank_correlation(
    one: NDArray[np.floating], other: NDArray[np.floating], groups: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Spearman correlation of each column of `one` with the same column of `other`; 0 where one is constant.

    With `groups`, groups × rows, it is within them: ranks are taken in each group alone, as shares of its size around
    0, and correlated over the rows of all groups. Rows of no group are left out.
    """
    if groups is None:
        return column_correlation(rankdata(one, axis=0), rankdata(other, axis=0))
    inside = [group for group in groups if group.any()]
    return column_correlation(*(np.concatenate([_shares(side[group]) for group in inside]) for side in (one, other)))


def _shares(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rank of each value in its column as a share of the rows, with mean 0."""
    return np.asarray((rankdata(values, axis=0) - 0.5) / len(values) - 0.5)


def match_units(
    activity: NDArray[np.floating], other: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each unit the one of another network that is active in the same cells, one to one.

    Units have no order of their own. They are paired so that the sum of |r| over the cells is largest (the Hungarian
    method). Pairing on what is to be compared, the saliency, would choose the pairs by the result.

    Parameters
    ----------
    activity, other
        Cells × units, the same cells.

    Returns
    -------
    The other network's unit for each unit (−1 where there are not enough), and r over the cells (0 there); a negative r
    is a unit that says the same the other way round.
    """
    r = correlation(activity, other)
    units, matches = linear_sum_assignment(np.abs(r), maximize=True)
    partner, result = np.full(len(r), -1, dtype=np.intp), np.zeros(len(r))
    partner[units], result[units] = matches, r[units, matches]
    return partner, result


def standardised(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Columns of mean 0 and length 1; zeros where a column is constant."""
    exact = values.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    constant = length <= 1e-12 * np.maximum(np.abs(exact).max(axis=0, initial=0) * np.sqrt(len(exact)), 1e-300)
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=~constant))
