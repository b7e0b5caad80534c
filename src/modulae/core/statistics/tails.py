"""Small p-values from few permutations: the tail of the permuted values followed beyond the largest of them.

Knijnenburg, Wessels, Reinders & Shmulevich (2009), *Bioinformatics* 25:i161: what exceeds a high threshold follows a
generalised Pareto distribution. Two things differ from there. Parameters come from probability-weighted moments
(Hosking & Wallis 1987), whose closed form fits many statistics at once. And a tail is taken to be one standard error
heavier than it was fitted, and never lighter than exponential: from a fitted end p would be 0, and small p-values too
small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW = 10
"""With so many permuted values beyond the observed one their share is p; with fewer the tail is fitted."""

TAIL = 0.1
"""Share of the permuted values that is fitted; three quarters and half of these where the first do not fit."""

FEWEST, MOST = 50, 250
"""Values that a tail is fitted to, at least and at most."""

POOR_FIT = 0.222
"""Cramér–von Mises statistic that 5 % of samples from an exponential distribution with a fitted mean are above."""

AT_ONCE = 4000
"""Statistics that are fitted together."""


def smallest_tail_p(n_permutations: int) -> float:
    """The smallest p that is given: of n permuted values a tail is followed down to 1 / (n + 1)²."""
    return 1 / (n_permutations + 1) ** (2 if _sizes(n_permutations) else 1)


def tail_p(
    observed: NDArray[np.float64], permuted: NDArray[np.float64], plain: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`plain` where many permuted values are as far out, and else p from the tail that fits the largest of them.

    Parameters
    ----------
    observed
        Statistics: distances from the centre, 0 or more.
    permuted
        Permutations × statistics.
    plain
        Statistics: (1 + permuted values as far out) / (1 + permutations).

    Returns
    -------
    Statistics. Also `plain` where no tail fits, as of values that are nearly all the same, or of too few.
    """
    n, result = len(permuted), plain.copy()
    rare = np.flatnonzero(plain * (n + 1) - 1 < FEW - 0.5)
    sizes = _sizes(n)
    for start in range(0, len(rare) if sizes else 0, AT_ONCE):
        left = rare[start : start + AT_ONCE]
        largest = -np.sort(np.partition(-permuted[:, left], sizes[0], axis=0)[: sizes[0] + 1], axis=0)  # in order
        for size in sizes:
            p = _fitted(observed[left], largest[:size], largest[size], n)
            fits = np.isfinite(p)
            result[left[fits]] = np.maximum(p[fits], smallest_tail_p(n))
            left, largest = left[~fits], largest[:, ~fits]
    return result


def _sizes(n: int) -> list[int]:
    first = min(MOST, int(TAIL * n))
    return [size for size in (first, 3 * first // 4, first // 2) if size >= FEWEST]


def _fitted(
    observed: NDArray[np.float64], largest: NDArray[np.float64], below: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    """Statistics: p, NaN where nothing fits. `largest` is values × statistics, the largest first."""
    size, threshold = len(largest), (largest[-1] + below) / 2
    beyond, distance = largest - threshold, observed - threshold
    mean = beyond.mean(axis=0)
    usable = (mean > 1e-9 * threshold) & (mean > 0)  # else the values are all the same
    mean = np.where(usable, mean, 1.0)
    weighted = ((np.arange(1, size + 1) - 0.35) / size) @ beyond / size
    shape = 2 - mean / (mean - 2 * weighted) + 1 / np.sqrt(size)  # one standard error heavier
    heavy = (shape > 0) & (shape < 1)
    usable &= shape < 1
    shape = np.where(heavy, shape, 0.5)
    scale = mean * (1 - shape)
    surely = 1 - np.where(heavy, _pareto(beyond, shape, scale), np.exp(-beyond / mean))[::-1]
    places = (2 * np.arange(1, size + 1)[:, None] - 1) / (2 * size)
    misfit = 1 / (12 * size) + ((surely - places) ** 2).sum(axis=0)
    exponential = _pareto(distance, np.float64(1 / size), mean)  # for another value where the mean is one of `size`
    p = np.where(heavy, np.maximum(_pareto(distance, shape, scale), exponential), exponential)
    return np.where(usable & (misfit < POOR_FIT), p * size / n, np.nan)


def _pareto(
    beyond: NDArray[np.float64], shape: NDArray[np.float64] | np.float64, scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of a generalised Pareto distribution that is farther out; its shape is above 0."""
    return np.asarray((1 + shape * np.maximum(beyond, 0) / scale) ** (-1 / shape))
