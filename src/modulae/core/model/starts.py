"""Where the parts-based autoencoder starts: non-negative matrix factorisation, and a linear map that reads it back."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from . import batch_factors
from .parts import MIN_PREACTIVATION, PartsNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source

    from .config import Config

MAX_ITERATIONS = 200
"""Iterations of the factorisation at most."""

SPARSE = 1.2e-3
"""L1 penalty of the factorisation on both factors, for inputs of mean square 1: few parts a cell, few genes a part.
Chosen with :data:`RIDGE_SHARE` by the loss of unseen cells and by how many units come back, not by labels."""

RIDGE_SHARE = 5e-4
"""The ridge penalty, as a share of the total sum of squares of the inputs."""

DIRECT_UP_TO = 4096
"""Largest system that is solved directly; beyond it, conjugate gradients need no square matrix in memory."""


def initial_parts(
    config: Config,
    learn: Source,
    given: NDArray[np.float64] | None = None,
    factors: NDArray[np.float32] | None = None,
) -> PartsNetwork:
    """Factorise the inputs of the training cells; decode with the parts found, and read them off by ridge regression.

    E ≈ W·H with W, H ≥ 0 and an L1 penalty on both (Lee & Seung 1999, Hoyer 2002; scikit-learn's coordinate descent
    from `nndsvda`), rescaled so that every unit has mean(W²) = 1; then V = H, A = (EᵀE + λI)⁻¹ EᵀW with λ a share of
    tr(EᵀE), c = 0. A part that the factorisation did without becomes a unit that is silent in every cell, and stays it.
    Of cells on disk, some random blocks stand for all.
    With `given`, units × genes, H is that, and only W is sought. With `factors` of batches × genes, what is factorised
    is log1p of the counts over them, so that no part is spent on a batch. The ridge regression then reads each cell
    twice, as it is and as if of another batch.
    """
    cells = learn.some(config.seed)
    inputs = cells.sparse_inputs()
    most = min(inputs.shape)
    if config.n_latent > most:
        msg = (
            f"n_latent is {config.n_latent}; with {inputs.shape[0]} training cells and {inputs.shape[1]} genes there "
            f"are at most {most} parts. Give n_latent={most} or less."
        )
        raise ValueError(msg)
    batch_corrected = inputs if factors is None else cells.without_batches(factors).sparse_inputs()
    activity, loadings = factorise(batch_corrected, config.n_latent, config.seed, given)
    if factors is not None and batch_factors.PERMUTE_BATCHES:
        as_others = inputs.copy()
        order = np.random.default_rng([config.seed, 7]).permutation(len(cells))
        as_others.data = cells.permute_batches(order, factors)
        encoder = ridge(sparse.csr_matrix(sparse.vstack([inputs, as_others])), np.vstack([activity, activity]))
    else:
        encoder = ridge(inputs, activity)
    bias = np.where(activity.any(axis=0), 0, MIN_PREACTIVATION).astype(np.float32)
    # by rows, as a file gives them back: the order of the numbers in memory decides the last bits of a product
    by_rows = (np.ascontiguousarray(weights, dtype=np.float32) for weights in (encoder.T, loadings))
    encoder_rows, loadings_rows = by_rows
    return PartsNetwork(encoder_rows, bias, loadings_rows, factors)


def factorise(
    inputs: sparse.csr_matrix, n_parts: int, seed: int, given: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cells × parts with mean square 1, and parts × genes; a part that was not needed is 0 in both."""
    from sklearn.decomposition import non_negative_factorization
    from sklearn.exceptions import ConvergenceWarning

    alpha = sparsity(inputs)
    start = {"init": "nndsvda"} if given is None else {"H": given.astype(inputs.dtype), "update_H": False}
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # an error of 0 may be rounded to below
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is a start, not a result
        result = non_negative_factorization(
            inputs,
            n_components=n_parts,
            max_iter=MAX_ITERATIONS,
            random_state=seed,
            alpha_W=alpha,
            alpha_H=alpha,
            l1_ratio=1.0,
            **start,
        )
    activity, loadings = (part.astype(np.float64) for part in result[:2])
    used = activity.any(axis=0) & loadings.any(axis=1)
    size = np.where(used, np.sqrt((activity**2).mean(axis=0)), 1)
    return activity * used / size, loadings * used[:, None] * size[:, None]


def sparsity(inputs: sparse.csr_matrix) -> float:
    """What scikit-learn calls `alpha_W` and `alpha_H`.

    With this power of the mean square, inputs in other units, E → κE, have the same parts: √κ·W and √κ·H.
    """
    mean_square = float((inputs.data.astype(np.float64) ** 2).sum()) / (inputs.shape[0] * inputs.shape[1])
    return float(SPARSE * mean_square**0.75)


def ridge(inputs: sparse.csr_matrix, targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Genes × parts: the A that makes ‖inputs·A − targets‖² + λ‖A‖² smallest, λ a share of ‖inputs‖²."""
    from sklearn.linear_model import Ridge

    exact = inputs.astype(np.float64)
    penalty = RIDGE_SHARE * float((exact.data**2).sum())
    if penalty == 0:
        return np.zeros((inputs.shape[1], targets.shape[1]))
    solver = "cholesky" if min(inputs.shape) <= DIRECT_UP_TO else "sparse_cg"
    fitted = Ridge(alpha=penalty, fit_intercept=False, solver=solver, tol=1e-6).fit(exact, targets)
    return np.asarray(fitted.coef_).reshape(targets.shape[1], -1).T  # of one part it has one axis only
