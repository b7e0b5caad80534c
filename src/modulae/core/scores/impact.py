"""From genes × units to sets × units, and to scales that pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Aggregate = Literal["mean", "median"]
Scale = Literal["all", "set"]
Difference = Literal["activity", "saliency"]


def aggregate_sets(
    saliency: NDArray[np.floating], sets: Sequence[NDArray[np.intp]], *, aggregate: Aggregate = "mean"
) -> NDArray[np.float64]:
    """Mean (Kinalis et al. 2019, Methods) or median (the authors' scripts) saliency over the genes of each set.

    Parameters
    ----------
    saliency
        … × genes × units.
    sets
        For each set the positions of its genes; none may be empty.
    aggregate
        `"mean"` or `"median"`.

    Returns
    -------
    … × sets × units.
    """
    reduce = np.mean if aggregate == "mean" else np.median
    per_set = [reduce(saliency[..., genes, :].astype(np.float64), axis=-2) for genes in sets]
    return np.stack(per_set, axis=-2)


def scale_strength(unscaled: NDArray[np.float64], *, scale: Scale = "all") -> NDArray[np.float64]:
    """Min–max scale the strength |unscaled| of sets × units to [0, 1].

    `scale="all"` takes the smallest and the largest of the whole table (Kinalis et al. 2019, Methods), `"set"` those of
    each set over the units (the authors' scripts). Where all are equal there is no contrast, and the result is 0.
    """
    strength = np.abs(unscaled)
    axis = None if scale == "all" else -1
    lowest = strength.min(axis=axis, keepdims=True)
    spread = strength.max(axis=axis, keepdims=True) - lowest
    return np.asarray(np.divide(strength - lowest, spread, out=np.zeros_like(strength), where=spread > 0))


def scale_difference(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide sets × units by the largest absolute value, so in [−1, 1] with 0 kept (Kinalis et al. 2019, Methods)."""
    largest = np.abs(difference).max(axis=(-2, -1), keepdims=True)
    return np.asarray(np.divide(difference, largest, out=np.zeros_like(difference), where=largest > 0))
