"""How much evidence is enough: a threshold for each unit, from its controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW = 20
"""Cells below 0 with fewer of which the spread of a unit is that of its controls."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which evidence on a unit is called on."""

    value: float  # infinite: no threshold keeps the rate
    fdr: float  # the expected share of false calls at it; NaN where it is infinite
    spread: float  # standard deviation of the evidence where the unit is off
    chance: float  # evidence that no more than a share `fdr` of the controls has; `value` is never lower


def threshold(evidence: NDArray[np.floating], controls: NDArray[np.floating], fdr: float) -> Threshold:
    """The lowest value at which the expected share of false calls is at most `fdr`.

    Of the cells with the unit off, as many are expected above a value as of the controls (Storey & Tibshirani 2003).
    How many cells those are is read off the lower half of the controls. The counts of a unit's own genes may scatter
    more than those of its controls: where the cells below 0 do, the controls are spread as much. And no cell is called
    with evidence that more than a share `fdr` of the controls has.

    Parameters
    ----------
    evidence
        Cells.
    controls
        The same for control units, any number.
    fdr
        Share of the calls that may be false.
    """
    null = np.sort(controls.ravel().astype(np.float64) * _widening(evidence, controls))
    values = np.sort(evidence.astype(np.float64))[::-1]
    n = len(values)
    if not n or null[0] == null[-1]:
        return Threshold(np.inf, np.nan, 0.0, np.inf)
    off = min(1.0, 2 * (np.count_nonzero(values <= np.median(null)) + 1) / n)  # share of the cells
    above = (len(null) - np.searchsorted(null, values) + 1) / (len(null) + 1)
    expected = np.minimum.accumulate((off * above * n / np.arange(1, n + 1))[::-1])[::-1]
    chance, spread = float(np.quantile(null, 1 - fdr)), float(null.std())
    enough = (expected <= fdr) & (values >= chance)
    if not enough.any():
        return Threshold(np.inf, np.nan, spread, chance)
    last = int(np.flatnonzero(enough)[-1])
    return Threshold(float(values[last]), float(expected[last]), spread, chance)


def _widening(evidence: NDArray[np.floating], controls: NDArray[np.floating]) -> float:
    """How much further the evidence reaches below 0 than that of the controls; at least 1."""
    own, others = (_below(values) for values in (evidence, controls))
    if len(own) < FEW or not len(others):
        return 1.0
    return max(1.0, float(np.median(own) / np.median(others)))


def _below(values: NDArray[np.floating]) -> NDArray[np.float64]:
    flat = values.ravel().astype(np.float64)
    return -flat[flat < 0]
