"""The deviance of counts from Poisson rates, and its expectation where the counts are Poisson."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special, stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW, HIGH, POINTS = 1e-6, 1e3, 400


def poisson_deviance(counts: NDArray[Any], rates: NDArray[Any]) -> NDArray[Any]:
    """Unit deviance 2·(x·log(x / y) − x + y), which is ≥ 0 and 0 where x = y (McCullagh & Nelder 1989, §2.3).

    Parameters
    ----------
    counts
        x, of any shape.
    rates
        y, of the same shape; a rate of 0 (a cell without counts) has deviance 0 at x = 0.
    """
    floor = np.finfo(np.float32).tiny
    return np.asarray(np.maximum(2 * (special.xlogy(counts, counts / np.maximum(rates, floor)) - counts + rates), 0))


def expected_deviance(rates: NDArray[Any]) -> NDArray[Any]:
    """Mean of :func:`poisson_deviance` over Poisson counts of these rates.

    It is 0 at a rate of 0, −2·y·log(y) near it, and comes near 1 for high rates. Summed over the counts once, on a grid
    of rates, and interpolated on the logarithm of the rate (relative error below 5e-3).
    """
    points, values = _grid()
    first, last = points[0], points[-1]
    place = (np.log(np.clip(rates, LOW, HIGH)) - first) * ((POINTS - 1) / (last - first))  # points are evenly spaced
    below = np.minimum(place.astype(np.intp), POINTS - 2)
    result = values[below] + (place - below) * np.diff(values)[below]
    low = rates < LOW
    result[low] = -2 * special.xlogy(rates[low], rates[low])
    return np.asarray(result, dtype=rates.dtype)


@cache
def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rates = np.geomspace(LOW, HIGH, POINTS)
    values = np.empty(POINTS)
    for index, rate in enumerate(rates):
        counts = np.arange(np.ceil(rate + 12 * np.sqrt(rate) + 20))
        values[index] = stats.poisson.pmf(counts, rate) @ poisson_deviance(counts, np.full(len(counts), rate))
    return np.log(rates), values
