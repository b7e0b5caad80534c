"""How far genes vary from cell to cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.data.map_reduce import sum_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source


def rate_deviation(cells: Source) -> NDArray[np.float64]:
    """Genes: standard deviation over the cells (n − 1) of the count over the size factor."""
    total, squares = sum_cells(cells, _sums)
    n = len(cells)
    return np.asarray(np.sqrt(np.maximum(squares - total**2 / n, 0) / max(n - 1, 1)))


def _sums(cells: Cells) -> tuple[NDArray[Any], ...]:
    rates = cells.counts.astype(np.float64)
    if cells.size_factors is not None:
        rates.data /= np.repeat(cells.size_factors, np.diff(rates.indptr))
    squares = rates.multiply(rates)
    return tuple(np.asarray(values.sum(axis=0)).ravel() for values in (rates, squares))
