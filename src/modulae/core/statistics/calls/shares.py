"""In what share of some cells a unit is on, as far as it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOWN_FROM = 0.5
"""Of so many of the cells it has to be known: where it is of few, nearly all of these are on, as cells with the unit on
are called with fewer counts than it takes to say that it is off."""


def shares_on(
    n_on: NDArray[np.number], n_known: NDArray[np.number], n: NDArray[np.number] | int
) -> NDArray[np.float64]:
    """The share of the decided cells in which a unit is on; NaN where too few are decided.

    Parameters
    ----------
    n_on
        In how many cells it is on; any shape.
    n_known
        In how many it is known whether it is on.
    n
        How many there are; may lack the last axes.
    """
    enough = (n_known > 0) & (n_known >= KNOWN_FROM * n)
    share: NDArray[np.float64] = np.divide(n_on, n_known, out=np.full(np.shape(n_known), np.nan), where=enough)
    return share
