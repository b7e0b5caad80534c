"""Two sides compared over donors: weighted means, and tests that borrow strength from other units."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

from modulae.core.statistics.permutation import two_sided

from .moderated import squeeze, typical_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .designs import Design
    from .moments import Moments

COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class DonorFit:
    """A comparison over donors, for every unit, before its variances have been drawn together with others."""

    effect: NDArray[np.float64]
    lowest: NDArray[np.float64]  # with one donor left out
    highest: NDArray[np.float64]
    n_agreeing: NDArray[np.float64]
    p_exact: NDArray[np.float64]
    residual: NDArray[np.float64]  # variance over donors that is left, as a multiple of what cells explain
    unit: NDArray[np.float64]  # variance of the effect where `residual` is 1
    freedom: int


def fit_donors(
    design: Design, group: Moments, reference: Moments, *, n_permutations: int, rng: np.random.Generator
) -> DonorFit:
    """Weighted least squares over donors; `group` and `reference` are donors × units.

    The mean of a donor with n cells varies by τ² + σ²/n: σ² is the variance over the cells of a donor, and the ratio
    τ²/σ² is taken to be that of a typical unit, so that all units of a comparison have the same weights.
    """
    values = design.values(group.mean, reference.mean)
    within = _within(design, group, reference)
    weights = _weights(design, values, within)
    x = design.columns
    inverse = np.linalg.inv((x.T * weights) @ x)
    pull = inverse @ x.T * weights  # coefficients × rows
    coefficients = pull @ values
    left = values - x @ coefficients
    residual = weights @ left**2 / design.freedom
    leverage = np.einsum("rk,kr->r", x, pull)
    free = leverage < 1 - 1e-9  # without a donor of leverage 1 there is no effect
    without = coefficients[0] - (pull[0, free] / (1 - leverage[free]))[:, None] * left[free]
    known = within > 0
    return DonorFit(
        effect=coefficients[0],
        lowest=without.min(axis=0),
        highest=without.max(axis=0),
        n_agreeing=_agreeing(design, values, weights, coefficients[0]),
        p_exact=_exact(design, values, weights, n_permutations, rng),
        residual=np.where(known, residual / np.where(known, within, 1.0), np.nan),
        unit=within * inverse[0, 0],
        freedom=design.freedom,
    )


def moderated_tests(fits: Sequence[DonorFit], *, lenders: int | None = None) -> dict[str, NDArray[np.float64]]:
    """Statistics of all comparisons × units, with variances moderated over all of them.

    The test is that of limma: t with as many degrees of freedom more as the variances of the others are worth. All
    comparisons are of the same donors, so that each unit counts once in what is known of these. With `lenders`, the
    first so many units borrow from each other, and the test of the others is the plain one.
    """
    residual = np.stack([fit.residual for fit in fits])
    freedom = np.repeat(np.array([fit.freedom for fit in fits], dtype=np.float64)[:, None], residual.shape[1], axis=1)
    moderated, total = residual.copy(), freedom.copy()
    own, theirs = residual[:, :lenders], freedom[:, :lenders]
    n_units = int(np.isfinite(own).any(axis=0).sum())
    squeezed, more = squeeze(own.ravel(), theirs.ravel(), independent=n_units)
    moderated[:, :lenders] = squeezed.reshape(own.shape)
    total[:, :lenders] = np.maximum(np.minimum(theirs + more, theirs[np.isfinite(own)].sum()), theirs)
    effect = np.stack([fit.effect for fit in fits])
    error = np.sqrt(moderated * np.stack([fit.unit for fit in fits]))
    tested = error > 0
    t = np.abs(effect) / np.where(tested, error, 1.0)
    half = stdtrit(total, 0.5 + COVERAGE / 2) * error
    return {
        "effect": effect,
        "se": error,
        "ci_low": effect - half,
        "ci_high": effect + half,
        "effect_lowest": np.stack([fit.lowest for fit in fits]),
        "effect_highest": np.stack([fit.highest for fit in fits]),
        "n_donors_agreeing": np.stack([fit.n_agreeing for fit in fits]),
        "p_exact": np.stack([fit.p_exact for fit in fits]),
        "p": np.where(tested, 2 * stdtr(total, -t), 1.0),
    }


def _within(design: Design, group: Moments, reference: Moments) -> NDArray[np.float64]:
    """Variance over the cells of a donor on one side; 1 where no donor has two cells."""
    sides = group.of(design.group), reference.of(design.reference)
    freedom = float(sum(np.maximum(side.n - 1, 0).sum() for side in sides))
    scatter = sides[0].scatter.sum(axis=0) + sides[1].scatter.sum(axis=0)
    return np.asarray(scatter / freedom if freedom else np.ones(len(scatter)))


def _weights(design: Design, values: NDArray[np.float64], within: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows: 1 / (τ²/σ² + variance from cells)."""
    x = design.columns
    maker = np.eye(len(x)) - x @ np.linalg.pinv(x)  # what is left of the values
    spread = ((maker @ values) ** 2).sum(axis=0) / design.freedom
    known = within > 0
    ratio = typical_ratio(spread[known] / within[known], design.freedom)
    of_cells = float(np.diag(maker) @ design.noise) / design.freedom
    return np.asarray(1 / (max(ratio - of_cells, 0.0) + design.noise))


def _agreeing(
    design: Design, values: NDArray[np.float64], weights: NDArray[np.float64], effect: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Units: pairs whose difference, or donors of the group whose distance to the reference, has the effect's sign."""
    n = len(design.group)
    middle = 0.0 if design.paired else weights[n:] @ values[n:] / weights[n:].sum()
    return np.asarray((np.sign(values[:n] - middle) == np.sign(effect)).sum(axis=0), dtype=np.float64)


def _exact(
    design: Design,
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_permutations: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Units: p from flipped signs of pairs or permuted labels of donors; NaN with covariates."""
    n, n_first = len(values), len(design.group)
    if design.has_covariates:
        return np.full(values.shape[1], np.nan)
    if design.paired:
        every = 2**n <= n_permutations
        signs = (
            np.array(list(product([1.0, -1.0], repeat=n))) if every else rng.choice([1.0, -1.0], (n_permutations, n))
        )
        null = signs[1 if every else 0 :] * weights @ values / weights.sum()
        return two_sided(weights @ values / weights.sum(), null, centre=0.0)
    every = comb(n, n_first) <= n_permutations
    chosen = combinations(range(n), n_first) if every else (rng.permutation(n)[:n_first] for _ in range(n_permutations))
    labels = np.array([np.isin(np.arange(n), list(inside)) for inside in chosen], dtype=np.float64)
    labels = labels if every else np.concatenate([np.arange(n)[None] < n_first, labels])
    weighted = labels * weights, (1 - labels) * weights
    means = [side @ values / side.sum(axis=1, keepdims=True) for side in weighted]
    return two_sided((means[0] - means[1])[0], (means[0] - means[1])[1:], centre=0.0)
