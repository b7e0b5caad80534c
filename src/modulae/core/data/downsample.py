"""Cells for a picture: fewer where they lie dense, all where they are few; and in few bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 128
"""Squares along each side of the layout."""

PLACE = 0.12
"""Side of the square in which points lie thickest, as a share of the layout."""

PLACES_PER_SIDE = 5
"""Squares of the grid along the side of such a square."""

STEPS = 253
"""Numbers from the lowest to the highest of a scale in one byte; 254 and 255 stand for what lies below and above."""
BELOW, ABOVE = 254, 255


def downsample_by_density(points: NDArray[np.floating], n_cells: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of at most `n_cells` points, ascending: no square of a grid keeps more than it must.

    The limit is the same for all squares, so what is lost is where points hide each other anyway, and the few
    cells of a rare kind all stay.
    """
    if len(points) <= n_cells:
        return np.arange(len(points))
    low, reach = points.min(axis=0), max(float(np.ptp(points, axis=0).max()), np.finfo(float).tiny)
    square = np.minimum(((points - low) / reach * BINS).astype(np.intp), BINS - 1) @ np.array([BINS, 1])
    order = rng.permutation(len(points))
    by_square = order[np.argsort(square[order], kind="stable")]
    sizes = np.bincount(square)
    sizes = sizes[sizes > 0]
    place = np.arange(len(points)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # 0 for the first of its square
    # those of lowest place: every square up to a limit, and of the points at the limit as many as there is room for
    shuffled = rng.permutation(len(points))
    chosen = shuffled[np.argsort(place[shuffled], kind="stable")][:n_cells]
    return np.sort(by_square[chosen])


def thickest(points: NDArray[np.floating], reach: float) -> int:
    """Which of some points in a layout of this width stands for them: a middle one of where they lie thickest.

    Their median may lie between two islands, and the point that is nearest to it on a third with few of them.
    """
    from scipy.ndimage import correlate

    side = (reach or 1.0) * PLACE / PLACES_PER_SIDE
    at = np.floor((points - points.min(axis=0)) / side).astype(np.intp)
    n = np.zeros(at.max(axis=0) + 1, dtype=np.intp)
    np.add.at(n, tuple(at.T), 1)
    inside = correlate(n, np.ones((PLACES_PER_SIDE, PLACES_PER_SIDE), dtype=np.intp), mode="constant")
    middle = np.array(np.unravel_index(inside.argmax(), inside.shape))
    near = np.flatnonzero((np.abs(at - middle) <= PLACES_PER_SIDE // 2).all(axis=1))
    away = np.linalg.norm(points[near] - np.median(points[near], axis=0), axis=1)
    return int(near[away.argmin()])


def map_extent(points: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Points in a square of 0 to 65535, both directions on one scale, in the middle."""
    exact = points.astype(np.float64)
    reach = float(np.ptp(exact, axis=0).max()) or 1.0
    middle = (exact.max(axis=0) + exact.min(axis=0)) / 2
    return np.asarray(np.rint((0.5 + (exact - middle) / reach) * 65535), dtype=np.uint16)


def to_bytes(
    values: NDArray[np.floating], cells: NDArray[np.intp], units: NDArray[np.intp]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Some cells and units of cells × units in one byte each, and 2 × units: what are 0 and 253 there.

    These are the 1st and 99th percentile over all cells. A few extreme cells would otherwise take all the colours; they
    are marked as below or above.
    """
    scale = np.empty((2, len(units)))
    for at, unit in enumerate(units):  # one at a time, as there may be many cells
        exact = values[:, unit].astype(np.float64)
        low, high = np.quantile(exact, [0.01, 0.99])
        if low >= high:  # nearly all cells are alike
            low, high = exact.min(), exact.max()
        scale[:, at] = low, high if high > low else low + 1.0
    exact = values[np.ix_(cells, units)].astype(np.float64)
    codes = np.rint((exact - scale[0]) / (scale[1] - scale[0]) * STEPS)
    return np.select([codes < 0, codes > STEPS], [BELOW, ABOVE], codes).astype(np.uint8), scale
