"""How far two networks explain the same cells alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

ENTRIES_AT_ONCE = 2**21
"""Entries that are standardised together: a copy of all in `float64` is never made."""


def correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson correlation of every column of `one` with every column of `other`; 0 where one of them is constant."""
    return sum((a.T @ b for a, b in _pairs(one, other)), start=np.zeros((one.shape[1], other.shape[1])))


def correlation_of_all(matrices: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """:func:`correlation` of all columns of some matrices with each other. No copy of all of them is made."""
    n_columns = sum(each.shape[1] for each in matrices)
    result = np.zeros((n_columns, n_columns))
    for blocks in zip(*(_blocks(each, _rows_at_once(n_columns)) for each in matrices), strict=True):
        block = np.concatenate(blocks, axis=1)
        result += block.T @ block  # of a matrix and itself, which takes half of the time
    return result


def column_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson correlation of each column of `one` with the same column of `other`; 0 where one is constant."""
    return sum(((a * b).sum(axis=0) for a, b in _pairs(one, other)), start=np.zeros(one.shape[1]))


def _pairs(
    one: NDArray[np.floating], other: NDArray[np.floating]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The same rows of both, standardised."""
    n_rows = _rows_at_once(max(one.shape[1], other.shape[1]))
    return zip(_blocks(one, n_rows), _blocks(other, n_rows), strict=True)


def rank_correlation(
    one: NDArray[np.floating], other: NDArray[np.floating], groups: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Spearman correlation of each column of `one` with the same column of `other`; 0 where one is constant.

    If `other` has one column, all are held against it. With `groups`, groups × rows, it is within them: ranks are taken
    in each group alone, as shares of its size around 0, and correlated over the rows of all groups. Rows of no group
    are left out.
    """
    inside = None if groups is None else [group for group in groups if group.any()]
    shared = _ranks(other[:, 0], inside) if other.shape[1] == 1 else None
    result = np.empty(one.shape[1])
    for at, column in enumerate(one.T):  # one at a time, as there may be many rows
        against = _ranks(other[:, at], inside) if shared is None else shared
        result[at] = column_correlation(_ranks(column, inside), against)[0]
    return result


def _ranks(values: NDArray[np.floating], groups: list[NDArray[np.bool_]] | None) -> NDArray[np.float64]:
    """Rows × 1: the rank of each value; with groups its rank in each, as a share of the rows, with mean 0."""
    if groups is None:
        return np.asarray(rankdata(values))[:, None]
    return np.concatenate([_shares(values[group]) for group in groups])[:, None]


def _shares(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rank of each value as a share of them all, with mean 0."""
    return np.asarray((rankdata(values) - 0.5) / len(values) - 0.5)


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
    return np.concatenate(list(_blocks(values, _rows_at_once(values.shape[1]))))


def _rows_at_once(n_columns: int) -> int:
    return max(ENTRIES_AT_ONCE // max(n_columns, 1), 1)


def _blocks(values: NDArray[np.floating], n_rows: int) -> Iterator[NDArray[np.float64]]:
    """:func:`standardised`, a block of rows at a time."""
    starts = range(0, max(len(values), 1), n_rows)

    def centred(start: int, mean: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(values[start : start + n_rows].astype(np.float64) - mean)

    mean = sum((centred(start, 0.0).sum(axis=0) for start in starts), start=np.zeros(values.shape[1])) / len(values)
    length = np.sqrt(sum(((centred(start, mean) ** 2).sum(axis=0) for start in starts), start=np.zeros_like(mean)))
    largest = np.maximum(values.max(axis=0, initial=0), -values.min(axis=0, initial=0)).astype(np.float64)
    constant = length <= 1e-12 * np.maximum(largest * np.sqrt(len(values)), 1e-300)
    for start in starts:
        block = centred(start, mean)
        yield np.divide(block, length, out=np.zeros_like(block), where=~constant)
