"""In how many cells what is read of a part is noise, as one half of its genes can't foretell the other there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .read import read_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

SHARES = (0.0, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
"""Shares of the cells that are tried. Where fewer cells are silent, little of what is read is noise."""

ENOUGH = 0.995
"""The smallest share is taken that foretells this well, as a share of the best."""

MIN_GAIN = 1.03
"""How much better the best has to foretell than no silence does: else a part is left as it is."""


def silent_shares(inputs: sparse.csr_matrix, loadings: NDArray[Any], *, seed: int) -> NDArray[np.float64]:
    """Parts: the share of the cells in which it is best called silent; 0 where that foretells no better.

    The genes are cut at random into two halves, whose noise is independent, and each part is read from each half. What
    one half reads is cut off at the quantile of a share, and correlated with what the other half reads. Cutting off
    noise makes that larger, cutting off activity makes it smaller. A part of few cells gains most, since the noise of
    all the others is nearly all there is.

    Parameters
    ----------
    inputs
        Cells × genes.
    loadings
        Parts × genes.
    seed
        Of the halves.
    """
    genes = np.random.default_rng([seed, 10]).permutation(np.flatnonzero(loadings.any(axis=0)))
    parts = [np.sort(half) for half in (genes[: len(genes) // 2], genes[len(genes) // 2 :])]
    if not all(map(len, parts)):
        return np.zeros(len(loadings))
    one, other = (read_parts(inputs[:, half], loadings[:, half]) for half in parts)
    foretold = np.array([_foretold(one, other, share) + _foretold(other, one, share) for share in SHARES])
    best = foretold.max(axis=0)
    first = (foretold >= ENOUGH * best).argmax(axis=0)
    return np.where(best > MIN_GAIN * np.maximum(foretold[0], 0), np.asarray(SHARES)[first], 0.0)


def _foretold(one: NDArray[np.float32], other: NDArray[np.float32], share: float) -> NDArray[np.float64]:
    kept = np.maximum(one - np.quantile(one, share, axis=0), 0)
    a, b = (each - each.mean(axis=0, dtype=np.float64) for each in (kept, other))
    size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.where(size > 0, size, 1))
