"""How much of held-out cells some units explain: what says when there are enough of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.factorisation.read import read_parts
from modulae.core.factorisation.sweeps import sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.model.ridge import RidgeReader


class HeldOut:
    """Inputs of training cells and of cells that none of the halves has seen."""

    def __init__(
        self,
        inputs: sparse.csr_matrix,
        unseen: sparse.csr_matrix,
        log_depth: tuple[NDArray[np.floating], NDArray[np.floating]],
        reader: RidgeReader,
    ) -> None:
        """`log_depth` is the logarithm of the size factors, of the training cells and of the others."""
        self._inputs, self._unseen, self._reader = inputs, unseen, reader
        low, high = min(map(np.min, log_depth)), max(map(np.max, log_depth))
        self._depth = [
            np.stack([depth * 0 + 1, depth - low, high - depth, (depth - low) ** 2, (high - depth) ** 2], axis=1)
            for depth in log_depth
        ]
        self._squares = np.asarray(unseen.multiply(unseen).sum(axis=1), dtype=np.float64).ravel()
        self._nothing = 1.0
        self._nothing = self.errors(np.zeros((0, inputs.shape[1]), dtype=np.float32)).mean()

    def errors(self, loadings: NDArray[Any]) -> NDArray[np.float64]:
        """Held-out cells: the squared error, in shares of what is left on average where there is no unit at all.

        Units are read by the ridge regression that the training starts with, and give back the inputs by non-negative
        least squares, beside a constant and the depth of the cell; both are learnt from the training cells. So a unit
        that only follows the depth, as the zeros of thin cells do, explains nothing.
        """
        weights = self._reader.solve(read_parts(self._inputs, loadings).astype(np.float64))  # genes × units
        seen, units = (
            np.concatenate([np.maximum(cells @ weights, 0), depth], axis=1).astype(np.float32)
            for cells, depth in zip((self._inputs, self._unseen), self._depth, strict=True)
        )
        decoder = np.zeros((seen.shape[1], self._inputs.shape[1]), dtype=np.float32)
        sweep(decoder, seen.T @ seen, (self._inputs.T @ seen).T, n_sweeps=100)
        made, exact = decoder.astype(np.float64), units.astype(np.float64)
        crossed = ((self._unseen @ made.T) * exact).sum(axis=1)
        error = self._squares - 2 * crossed + ((exact @ (made @ made.T)) * exact).sum(axis=1)
        return np.asarray(error / self._nothing)


def explained(errors: NDArray[np.float64]) -> float:
    """Share of the variance of held-out cells that is explained beyond their depth; below 0: worse than nothing."""
    return float(1 - errors.mean())


def within_noise(errors: NDArray[np.float64], best: NDArray[np.float64], n_errors: float = 1) -> bool:
    """Whether errors exceed the best ones by no more than so many standard errors of the difference, cell by cell."""
    difference = errors - best
    noise = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0
    return bool(difference.mean() <= n_errors * noise)
