"""Variances of many tests that borrow from each other (Smyth 2004, as in limma's `squeezeVar`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import digamma, polygamma

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 3
"""Variances from which on they say something of each other."""

SMALLEST = 1e-5
"""Share of the median below which a variance counts as that share: a zero would have no logarithm."""


def squeeze(
    variances: NDArray[np.float64], freedom: NDArray[np.float64], *, independent: int
) -> tuple[NDArray[np.float64], float]:
    """Variances drawn towards their common one, and the degrees of freedom that this is worth.

    Parameters
    ----------
    variances
        Above or equal to 0; NaN takes no part, and stays.
    freedom
        The degrees of freedom of each.
    independent
        How many of the variances tell something of their own, such as one for each unit where the same donors are
        compared several times.

    Returns
    -------
    The variances, and degrees of freedom to be added to those of each: 0 for fewer than three variances.
    """
    known = np.isfinite(variances) & (freedom > 0)
    if known.sum() < FEWEST or not np.median(variances[known]) > 0:
        return variances, 0.0
    prior, more = fit_prior(variances[known], freedom[known], independent=independent)
    result = np.full_like(variances, np.nan)
    d = freedom[known]
    result[known] = (more * prior + d * variances[known]) / (more + d)
    return result, more


def fit_prior(variances: NDArray[np.float64], freedom: NDArray[np.float64], *, independent: int) -> tuple[float, float]:
    """The scale and the degrees of freedom of the scaled F-distribution that variances follow.

    As limma's `fitFDist`, but from a few variances it is not known that their true values are all alike: they are
    taken to differ at least by the standard error of what is measured. So the degrees of freedom stay finite.
    """
    half = freedom / 2
    logs = np.log(np.maximum(variances, SMALLEST * np.median(variances))) - digamma(half) + np.log(half)
    by_chance, spread = polygamma(1, half).mean(), logs.var(ddof=1)
    error = np.sqrt((polygamma(3, half).mean() + 2 * max(spread, by_chance) ** 2) / max(independent - 1, 1))
    more = 2 * trigamma_inverse(float(max(spread - by_chance, error)))
    return float(np.exp(logs.mean() + digamma(more / 2) - np.log(more / 2))), more


def trigamma_inverse(value: float) -> float:
    """Where the trigamma function has this value above 0, by Newton's method on its reciprocal."""
    if value > 1e7:
        return float(1 / np.sqrt(value))
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = polygamma(1, x)
        step = trigamma * (1 - trigamma / value) / polygamma(2, x)
        x += step
        if -step / x < 1e-8:
            break
    return float(x)


def typical_ratio(ratios: NDArray[np.float64], freedom: float) -> float:
    """What variances with so many degrees of freedom are about, each seen once: a geometric mean without its bias."""
    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not len(known):
        return 0.0
    return float(np.exp(np.log(known).mean() - digamma(freedom / 2) + np.log(freedom / 2)))
