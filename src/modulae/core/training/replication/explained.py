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

    def __init__(self, inputs: sparse.csr_matrix, unseen: sparse.csr_matrix, reader: RidgeReader) -> None:
        self._inputs, self._unseen, self._reader = inputs, unseen, reader
        means = np.asarray(inputs.mean(axis=0), dtype=np.float64).ravel()
        self._squares = np.asarray(unseen.multiply(unseen).sum(axis=1), dtype=np.float64).ravel()
        self._of_means = self._squares - 2 * np.asarray(unseen @ means).ravel() + (means**2).sum()

    def errors(self, loadings: NDArray[Any]) -> NDArray[np.float64]:
        """Held-out cells: the squared error, in shares of what the means of the genes leave on average.

        Units are read by the ridge regression that the training starts with, and give back the inputs by non-negative
        least squares with a constant; both are learnt from the training cells.
        """
        weights = self._reader.solve(read_parts(self._inputs, loadings).astype(np.float64))  # genes × units
        units, seen = (self._with_constant(cells, weights) for cells in (self._unseen, self._inputs))
        decoder = np.zeros((seen.shape[1], self._inputs.shape[1]), dtype=np.float32)
        sweep(decoder, seen.T @ seen, (self._inputs.T @ seen).T, n_sweeps=100)
        made = decoder.astype(np.float64)
        exact = units.astype(np.float64)
        error = self._squares - 2 * ((self._unseen @ made.T) * exact).sum(axis=1) + ((exact @ (made @ made.T)) * exact).sum(axis=1)
        return np.asarray(error / self._of_means.mean())

    def explained(self, errors: NDArray[np.float64]) -> float:
        """Share of the variance of held-out cells that is explained; below 0: worse than the means of the genes."""
        return float(1 - errors.mean())

    @staticmethod
    def _with_constant(cells: sparse.csr_matrix, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        read = np.maximum(cells @ weights, 0)
        return np.concatenate([read, np.ones((len(read), 1))], axis=1).astype(np.float32)


def within_noise(errors: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether errors are larger than the best ones by no more than the standard error of the difference, cell by cell."""
    difference = errors - best
    return bool(difference.mean() <= difference.std(ddof=1) / np.sqrt(len(difference))) if len(difference) > 1 else False
