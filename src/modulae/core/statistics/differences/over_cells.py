"""Two sides compared over cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from modulae.core.statistics.calls.shares import shares_on

from .over_donors import COVERAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .moments import Moments

    Summed = tuple[Sequence[NDArray[np.float64]], Sequence[NDArray[np.float64]]]


@dataclass(frozen=True, slots=True)
class CellsOn:
    """Which units are on in each cell, and where that is known."""

    on: NDArray[np.bool_]  # cells × units
    known: NDArray[np.bool_]  # cells × units


def welch(group: Moments, reference: Moments) -> dict[str, NDArray[np.float64]]:
    """Differences of means, comparisons × units, with Welch's confidence interval over cells."""
    effect = group.mean - reference.mean
    parts = [side.scatter / (np.maximum(side.n - 1, 1) * side.n)[:, None] for side in (group, reference)]
    variance = parts[0] + parts[1]
    squares = sum(
        part**2 / np.maximum(side.n - 1, 1)[:, None] for part, side in zip(parts, (group, reference), strict=True)
    )
    freedom = np.divide(variance**2, squares, out=np.ones_like(variance), where=squares > 0)
    half = stdtrit(freedom, 0.5 + COVERAGE / 2) * np.sqrt(variance)
    return {"effect": effect, "ci_low": effect - half, "ci_high": effect + half}


def on_and_level(n: Sequence[NDArray[np.float64]], known: Summed, on: Summed) -> dict[str, NDArray[np.float64]]:
    """The difference of means taken apart (Kitagawa 1955): more cells are on, or more in those that are.

    What cells that are off contribute is the remainder. Where a side has no cell that is on, or off, its level there is
    taken to be that of the other side. Undecided cells are left out; where too many are, all is NaN.

    Parameters
    ----------
    n
        Comparisons: cells of the group and of the reference.
    known
        Numbers and summed activity of the decided cells, comparisons × units, of both sides.
    on
        The same of those of them that are on.
    """
    (n_known, total), (n_on, total_on) = known, on
    shares = [shares_on(some, decided, every[:, None]) for some, decided, every in zip(n_on, n_known, n, strict=True)]
    n_off = [every - some for every, some in zip(n_known, n_on, strict=True)]
    total_off = [every - some for every, some in zip(total, total_on, strict=True)]
    level_on, level_off = _levels(n_on, total_on), _levels(n_off, total_off)
    height = (level_on[0] - level_off[0] + level_on[1] - level_off[1]) / 2
    return {
        "share_on": shares[0],
        "share_on_reference": shares[1],
        "effect_from_more_cells": (shares[0] - shares[1]) * height,
        "effect_from_more_in_cells": (level_on[0] - level_on[1]) * (shares[0] + shares[1]) / 2,
    }


def _levels(n: Sequence[NDArray[np.float64]], total: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    means = [
        np.divide(sums, cells, out=np.full_like(sums, np.nan), where=cells > 0)
        for cells, sums in zip(n, total, strict=True)
    ]
    filled = [np.where(np.isnan(means[0]), means[1], means[0]), np.where(np.isnan(means[1]), means[0], means[1])]
    return [np.nan_to_num(level) for level in filled]
