"""The slope of the penalty on directions that are not orthogonal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae.core.model.losses import MIN_NORM

if TYPE_CHECKING:
    from numpy.typing import NDArray


def penalty_gradient(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of ‖I − DDᵀ‖_F, where D are the rows, scaled to length 1."""
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(rows.dtype).tiny)
    directions = rows / length
    gap = directions @ directions.T - np.eye(len(rows), dtype=rows.dtype)
    by_direction = 2 * gap @ directions / max(float(np.linalg.norm(gap)), MIN_NORM)
    along = (by_direction * directions).sum(axis=1, keepdims=True)
    return np.asarray((by_direction - along * directions) / length)
