"""Ridge regression on the inputs of many cells, for several targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

RIDGE_SHARE = 5e-4
"""The ridge penalty, as a share of the total sum of squares of the inputs."""

DIRECT_UP_TO = 4096
"""Largest system that is solved directly; beyond it, conjugate gradients need no square matrix in memory."""

DENSE_FROM = 0.02
"""Share of entries that are not 0 from which a product of the inputs with themselves is faster as a dense one."""

GENES_AT_ONCE = 2048
"""Genes (or cells) that are spelt out at a time for it."""


class RidgeReader:
    """Reads targets off inputs: the A that makes ‖inputs·A − targets‖² + λ‖A‖² smallest, λ a share of ‖inputs‖².

    EᵀE + λI, or EEᵀ + λI where there are fewer cells than genes, is factorised once, and serves all targets.
    """

    def __init__(self, inputs: sparse.csr_matrix) -> None:
        """Take inputs of cells × genes."""
        from scipy.linalg import cho_factor

        self._inputs = inputs.astype(np.float64)
        self._penalty = RIDGE_SHARE * float((self._inputs.data**2).sum())
        self._by_cells = inputs.shape[0] < inputs.shape[1]
        self._factor: Any = None
        if self._penalty > 0 and min(inputs.shape) <= DIRECT_UP_TO:
            square = _with_itself(self._inputs if self._by_cells else self._inputs.T.tocsr())
            square[np.diag_indices_from(square)] += self._penalty
            self._factor = cho_factor(square, overwrite_a=True, check_finite=False)

    def solve(self, targets: NDArray[np.floating]) -> NDArray[np.float64]:
        """Genes × targets: A, for targets of cells × targets."""
        from scipy.linalg import cho_solve
        from sklearn.linear_model import Ridge

        exact = targets.astype(np.float64)
        if self._penalty == 0:
            return np.zeros((self._inputs.shape[1], exact.shape[1]))
        if self._factor is None:
            fitted = Ridge(alpha=self._penalty, fit_intercept=False, solver="sparse_cg", tol=1e-6)
            coefficients = np.asarray(fitted.fit(self._inputs, exact).coef_)  # of one target it has one axis only
            return coefficients.reshape(exact.shape[1], -1).T
        if self._by_cells:
            return np.asarray(self._inputs.T @ cho_solve(self._factor, exact))
        return np.asarray(cho_solve(self._factor, self._inputs.T @ exact))


def _with_itself(rows: sparse.csr_matrix) -> NDArray[np.float64]:
    """Rows × rows: products of each row with each other."""
    if rows.nnz < DENSE_FROM * rows.shape[0] * rows.shape[1]:
        return np.asarray((rows @ rows.T).toarray())
    result = np.zeros((rows.shape[0], rows.shape[0]))
    columns = rows.astype(np.float32).tocsc()
    for start in range(0, rows.shape[1], GENES_AT_ONCE):
        block = columns[:, start : start + GENES_AT_ONCE].toarray()
        result += block @ block.T  # in half the time of float64; the penalty is far above its rounding
    return result
