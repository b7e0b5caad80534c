"""Cells × genes in a few directions: what all factorisations of the same cells share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.checks import check_integer
from modulae.core.data.csr import as_csr

if TYPE_CHECKING:
    from numpy.typing import NDArray

POWER_ITERATIONS = 3
"""Passes there and back that turn random directions towards the largest ones."""


@dataclass(frozen=True, slots=True)
class LowRank:
    """`left @ right` is nearly cells × genes."""

    left: NDArray[np.float32]  # cells × rank, orthonormal columns
    right: NDArray[np.float32]  # rank × genes: singular values times right vectors, largest first
    mean: float  # of all entries of cells × genes

    @property
    def rank(self) -> int:
        """How many directions there are."""
        return len(self.right)


def low_rank(inputs: Any, rank: int, *, seed: int) -> LowRank:  # noqa: ANN401
    """Compress cells × genes by a randomised singular value decomposition.

    Halko, Martinsson & Tropp (2011), *SIAM Review* 53:217. Sparse inputs are only multiplied, never made dense.

    Parameters
    ----------
    inputs
        Cells × genes, best as a `csr_matrix` of float32; others are converted.
    rank
        How many directions to keep; fewer where there are fewer cells or genes.
    seed
        Of the random directions that it starts with.
    """
    from sklearn.utils.extmath import randomized_svd

    check_integer("rank", rank, minimum=1)
    rows = as_csr(inputs).astype(np.float32, copy=False)
    if not min(rows.shape):
        msg = f"there are {rows.shape[0]} cells × {rows.shape[1]} genes to factorise; give at least one of each."
        raise ValueError(msg)
    left, values, right = randomized_svd(
        rows, min(rank, *rows.shape), n_iter=POWER_ITERATIONS, random_state=seed
    )  # cells × rank, rank, rank × genes
    mean = float(rows.sum(dtype=np.float64)) / (rows.shape[0] * rows.shape[1])
    return LowRank(np.ascontiguousarray(left), np.ascontiguousarray(values[:, None] * right), mean)
