"""Where a factorisation starts: the same every time, and near to where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .low_rank import LowRank

ZERO_BELOW = 1e-6
"""Smaller numbers of the start count as 0, as in scikit-learn."""


def nndsvda(compressed: LowRank, n_parts: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Parts × cells and parts × genes from the singular vectors, with the mean of the data in place of zeros.

    Boutsidis & Gallopoulos (2008), *Pattern Recognition* 41:1350. Of each pair of vectors it takes either the positive
    entries or the negative ones, whichever make the larger product. (The first pair has one sign anyway.)
    """
    left, right = compressed.left.T[:n_parts], compressed.right[:n_parts]
    cells, genes = np.maximum(left, 0), np.maximum(right, 0)
    other_cells, other_genes = np.maximum(-left, 0), np.maximum(-right, 0)
    other = (_size(other_cells) * _size(other_genes) > _size(cells) * _size(genes))[:, 0]
    cells[other], genes[other] = other_cells[other], other_genes[other]
    product = _size(cells) * _size(genes)
    return _filled(cells, product, compressed.mean), _filled(genes, product, compressed.mean)


def _size(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(rows, axis=1, keepdims=True))


def _filled(rows: NDArray[np.float32], product: NDArray[np.float32], mean: float) -> NDArray[np.float32]:
    """Scale rows, so that both sides of a part have the same size, and fill in the mean."""
    size = _size(rows)
    scaled = rows * (np.sqrt(product) / np.where(size > 0, size, np.float32(1)))
    return np.ascontiguousarray(np.where(scaled < ZERO_BELOW, np.float32(mean), scaled), dtype=np.float32)
