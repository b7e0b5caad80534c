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


def squeeze(variances: NDArray[np.float64], freedom: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Variances drawn towards their common one, and the degrees of freedom that this is worth.

    Parameters
    ----------
    variances
        Above or equal to 0; NaN takes no part, and stays.
    freedom
        The degrees of freedom of each.

    Returns
    -------
    The variances, and degrees of freedom to be added to those of each: 0 for fewer than three variances, infinite
    where they differ no more than chance makes them.
    """
    known = np.isfinite(variances) & (freedom > 0)
    if known.sum() < FEWEST or not np.median(variances[known]) > 0:
        return variances, 0.0
    prior, more = fit_prior(variances[known], freedom[known])
    result = np.full_like(variances, np.nan)
    d = freedom[known]
    result[known] = prior if np.isinf(more) else (more * prior + d * variances[known]) / (more + d)
    return result, more


def fit_prior(variances: NDArray[np.float64], freedom: NDArray[np.float64]) -> tuple[float, float]:
    """The scale and the degrees of freedom of the scaled F-distribution that variances follow (`fitFDist`)."""
    half = freedom / 2
    logs = np.log(np.maximum(variances, SMALLEST * np.median(variances))) - digamma(half) + np.log(half)
    mean = logs.mean()
    beyond_chance = logs.var(ddof=1) - polygamma(1, half).mean()
    if beyond_chance <= 0:
        return float(variances.mean()), np.inf
    more = 2 * trigamma_inverse(float(beyond_chance))
    return float(np.exp(mean + digamma(more / 2) - np.log(more / 2))), more


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
