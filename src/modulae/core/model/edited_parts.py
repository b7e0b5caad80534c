"""Units of a model of parts that are put together, or taken out, while all others stay as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .parts import PartsNetwork
from .starts import encoder_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modulae.core.data.source import Source


def merged_parts(network: PartsNetwork, groups: Sequence[Sequence[int]], cells: Source, *, seed: int) -> PartsNetwork:
    """The network with the units of each group as one, in the place of the first of them; others keep their weights.

    Loadings are those of the group, weighted by share, the share of each unit in their summed mean activity: w = Σ sV.
    The activity sought is the one that makes of w most nearly what the units of the group make, t = Σ z (V·w) / (w·w).
    The encoder's row is the ridge regression of t that training starts from, read off these cells; at last w is
    scaled so that what the row reads makes as much as t does.

    Parameters
    ----------
    network
        The trained network, of NumPy arrays.
    groups
        Units that become one; no unit is in two groups.
    cells
        Cells to learn from.
    seed
        Of the draw of cells on disk, and of batches.
    """
    some = cells.some(seed)
    inputs = some.sparse_inputs()
    units = np.asarray(network.encode(inputs)).astype(np.float64)
    loadings = np.asarray(network.loadings, dtype=np.float64)
    merged = [_together(units[:, list(group)], loadings[list(group)]) for group in groups]
    targets = np.column_stack([activity for activity, _ in merged])
    rows = encoder_for(some, inputs, targets, network.batch_factors, seed=seed)
    bias = np.zeros(len(rows), dtype=np.float32)
    read = np.asarray(PartsNetwork(rows, bias, np.zeros_like(rows), network.baseline).encode(inputs), dtype=np.float64)
    scale = (read * targets).sum(axis=0) / (read**2).sum(axis=0)
    arrays = {name: np.array(getattr(network, name)) for name in ("encoder", "bias", "loadings")}
    for at, (group, (_, made)) in enumerate(zip(groups, merged, strict=True)):
        first = min(group)
        arrays["encoder"][first], arrays["bias"][first] = rows[at], bias[at]
        arrays["loadings"][first] = made * scale[at]
    kept = units_left(network.n_units, groups, ())
    return replace(network, **_rows(arrays, kept))


def likeness(loadings: NDArray[np.floating], activity: NDArray[np.floating]) -> tuple[int, int, float, float]:
    """The two units that are least alike: which, the cosine of their loadings, and the correlation of their activity.

    Two are as alike as the larger of both numbers says: one programme has the same genes, or is active in the same
    cells, or both. A unit that is 0 or the same in all cells is like no other.

    Parameters
    ----------
    loadings
        Units × genes.
    activity
        Cells × units.
    """
    genes = np.asarray(loadings, dtype=np.float64)
    cells = np.asarray(activity, dtype=np.float64).T
    cosines, correlations = (_cosines(values) for values in (genes, cells - cells.mean(axis=1, keepdims=True)))
    pairs = np.column_stack(np.triu_indices(len(genes), 1))
    one, two = min(pairs.tolist(), key=lambda pair: max(cosines[*pair], correlations[*pair]))
    return one, two, float(cosines[one, two]), float(correlations[one, two])


def _cosines(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = rows / np.where(length > 0, length, 1)
    return np.asarray(directions @ directions.T)


def without_parts(network: PartsNetwork, units: Sequence[int], activity: NDArray[np.floating]) -> PartsNetwork:
    """The network without some units; what they make on average goes to the baseline, so that rates keep their level.

    `activity` is cells × units. That is the model in which :func:`unit_effects` holds a unit at its mean.
    """
    mean = activity[:, list(units)].mean(axis=0, dtype=np.float64)
    usual = mean @ np.asarray(network.loadings, dtype=np.float64)[list(units)]
    arrays = {name: np.array(getattr(network, name)) for name in ("encoder", "bias", "loadings")}
    baseline = (np.asarray(network.baseline, dtype=np.float64) + usual).astype(np.float32)
    return replace(network, baseline=baseline, **_rows(arrays, units_left(network.n_units, (), units)))


def units_left(n_units: int, merge: Sequence[Sequence[int]], drop: Sequence[int]) -> NDArray[np.intp]:
    """Units whose place is still there, in their order: of a group that becomes one, the first."""
    gone = {unit for group in merge for unit in group if unit != min(group)} | set(drop)
    return np.array([unit for unit in range(n_units) if unit not in gone], dtype=np.intp)


def _together(
    units: NDArray[np.float64], loadings: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Activity, with mean square 1, and loadings of units as one."""
    share = units.mean(axis=0) / units.mean(axis=0).sum()
    made = share @ loadings
    activity = units @ (loadings @ made) / max(made @ made, np.finfo(np.float32).tiny)
    size = np.sqrt((activity**2).mean()) or 1.0
    return activity / size, made * size


def _rows(arrays: dict[str, Any], kept: NDArray[np.intp]) -> dict[str, Any]:
    return {name: np.ascontiguousarray(values[kept]) for name, values in arrays.items()}
