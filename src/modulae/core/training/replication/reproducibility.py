"""How surely as many new cells would show a unit again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERCEPT, SLOPE = -2.377, 6.101
"""Of a logistic curve; see :func:`reproducibility`."""

FEW_CELLS = 2.4
"""By how much the intercept is lower for units of few cells: other cells have other ones of these."""

LEVEL = 0.7
"""Units with less are kept apart: they may be chance."""


def reproducibility(
    similarity: NDArray[np.float64], *, few_cells: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Units: the probability that a model of as many new cells has the unit again, with |r| > 0.8 over all cells.

    It follows from one number, the mean over splits of how alike the units of the two halves are (0 where one of them
    has none). `python -m benchmarks reproducibility_curve` fits the curve to models of disjoint halves of real data
    sets, each replicated on its own, and sees whether it holds for halves of donors; `python -m benchmarks replication`
    measures on other halves, and other data, how often units return that say so.

    Parameters
    ----------
    similarity
        Units × splits; NaN where a half does not have the unit.
    few_cells
        Units: those that were found beside the others, as they run in few cells. As alike as others in the two halves,
        they return less often.
    """
    mean = np.where(np.isnan(similarity), 0, similarity).mean(axis=1)
    intercept = INTERCEPT - FEW_CELLS * (np.zeros(len(mean)) if few_cells is None else few_cells)
    return np.asarray(1 / (1 + np.exp(-intercept - SLOPE * mean)))
