"""Programmes that are given: how their numbers become loadings, and where a model of them starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.factorisation.sweeps import sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.data.source import Source

ROUNDS = 10
"""How often activities and baseline are sought in turn; each round goes through the parts as often."""


def as_loadings(weights: NDArray[np.float64], scale: str, learn: Source, seed: int) -> NDArray[np.float64]:
    """Units × genes: what a unit adds to log1p of the rate, from ≥ 0 weights of some scale, up to a factor by unit.

    `"weights"` and `"log1p"` are that already. A z-score times the standard deviation of log1p of the rate is it in
    that unit. Of expression (`"counts"` and `"tpm"`) w the loading is log1p(w · R / Σw), with R the mean rate of the
    cells summed over the genes that some programme has: a cell of this programme alone has as many counts there as a
    usual cell. `"scaled"` is expression over its standard deviation, with which it is multiplied first.
    """
    if scale in {"weights", "log1p"}:
        return weights
    cells = learn.some(seed)
    inputs = cells.sparse_inputs()
    if scale == "z_score":
        return weights * _moments(inputs)[1]
    rates = inputs.copy()
    rates.data = np.expm1(inputs.data)
    mean, deviation = _moments(rates)
    expression = weights * deviation if scale == "scaled" else weights
    total = expression.sum(axis=1, keepdims=True)
    usual = mean[weights.any(axis=0)].sum()
    return np.asarray(np.log1p(expression * usual / np.where(total > 0, total, 1)))


def given_activity(
    inputs: sparse.csr_matrix, loadings: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cells × parts with mean square 1, and the loadings, parts × genes, in the scale that goes with that.

    The activities are the W of E ≈ W·V + b with W, b ≥ 0 and V given, a convex problem, by turns of W and b from b = 0.
    Without b, a part of few genes would be as active in a cell as these genes are in all cells. A part that is active
    in no cell keeps its loadings, the largest of them 1.
    """
    parts = np.asarray(loadings, dtype=np.float32)
    gram, products = parts @ parts.T, np.asarray(inputs @ parts.T)
    mean = np.asarray(inputs.mean(axis=0)).ravel().astype(np.float32)
    activity, baseline = np.zeros((len(parts), inputs.shape[0]), dtype=np.float32), np.zeros_like(mean)
    for _ in range(ROUNDS):
        sweep(activity, gram, (products - parts @ baseline).T, n_sweeps=ROUNDS)
        baseline = np.maximum(mean - activity.mean(axis=1) @ parts, 0)
    exact = activity.T.astype(np.float64)
    size = np.sqrt((exact**2).mean(axis=0))
    largest = np.maximum(np.asarray(loadings, dtype=np.float64).max(axis=1), np.finfo(np.float32).tiny)
    scale = np.where(size > 0, size, 1 / largest)
    return exact / scale, np.asarray(loadings, dtype=np.float64) * scale[:, None]


def fixed_decoder(
    inputs: sparse.csr_matrix, activity: NDArray[np.floating], loadings: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """V as it is given, and the b ≥ 0 of least squares beside it, for these activities."""
    mean = np.asarray(inputs.mean(axis=0)).ravel()
    baseline = np.maximum(mean - np.asarray(activity, dtype=np.float64).mean(axis=0) @ loadings, 0)
    return np.ascontiguousarray(loadings, dtype=np.float32), baseline.astype(np.float32)


def _moments(values: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # noqa: ANN401 - cells × genes, sparse
    """Mean and standard deviation of each gene."""
    mean = np.asarray(values.mean(axis=0, dtype=np.float64)).ravel()
    squares = np.asarray(values.multiply(values).sum(axis=0, dtype=np.float64)).ravel() / values.shape[0]
    return mean, np.sqrt(np.maximum(squares - mean**2, 0))
