"""Where the parts-based autoencoder starts: non-negative matrix factorisation, and linear maps there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from modulae.core.factorisation.factorise import factorise
from modulae.core.factorisation.low_rank import low_rank
from modulae.core.factorisation.read import read_parts
from modulae.core.factorisation.silent import silent_shares
from modulae.core.factorisation.sweeps import sweep

from . import batch_factors
from .given_parts import fixed_decoder, given_activity
from .parts import MIN_PREACTIVATION, PartsNetwork
from .ridge import RidgeReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source

    from .config import Config

RANK = 200
"""Directions that the inputs are compressed to before they are factorised; more where there are more parts."""

BLIND_WEIGHT = 15.0
"""How much it weighs, beside the activity of a cell, that it be read alike in another batch. The directions in which
batches differ are few, so that the units lose little by it."""

SWEEPS = 100
"""How many times the non-negative least squares of the decoder go through the units."""


def initial_parts(
    config: Config,
    learn: Source,
    given: NDArray[np.floating] | None = None,
    factors: NDArray[np.float32] | None = None,
) -> PartsNetwork:
    """Factorise the inputs of the training cells, read the parts off by ridge regression, and decode what is read.

    E ≈ W·H with W, H ≥ 0 (Lee & Seung 1999, :mod:`modulae.core.factorisation`), rescaled so that every unit has
    mean(W²) = 1; then A = (EᵀE + λI)⁻¹ EᵀW with λ a share of tr(EᵀE), c = 0; and V and b are the non-negative least
    squares of E on the activities that A gives, and 1. A part that the factorisation did without becomes a unit that is
    silent in every cell, and stays it. Of cells on disk, some random blocks stand for all.
    With `given`, units × genes, H is that, and only W is sought; c is then −t for a unit that is best called silent in
    most cells, with t what A reads in the last of these (:mod:`modulae.core.factorisation.silent`). Where the loadings
    are the user's (`config.loadings`), W is sought beside a baseline, and where they are "fixed", V is H, for
    activities of mean square 1. With `factors` of batches × genes, what is factorised and decoded is log1p of the
    counts over them, so that no part is spent on a batch. The ridge regression then reads each cell twice, as it is and
    as if of another batch, and is asked besides to see no difference between the two.
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
    users = None if config.loadings is None else given
    if users is None:
        activity = find_activity(batch_corrected, config.n_latent, config.seed, given)
    else:
        activity, users = given_activity(batch_corrected, users)
    rows = encoder_for(cells, inputs, activity, factors, seed=config.seed)
    used = activity.any(axis=0)
    bias = np.where(used, 0, MIN_PREACTIVATION).astype(np.float32)
    if given is not None and users is None:
        bias -= noise_floor(inputs @ rows.T, silent_shares(batch_corrected, given, seed=config.seed))
    nothing = np.zeros_like(rows), np.zeros(rows.shape[1], dtype=np.float32)
    read = np.asarray(PartsNetwork(rows, bias, *nothing).encode(inputs))
    if users is not None and config.loadings == "fixed":
        return PartsNetwork(rows, bias, *fixed_decoder(batch_corrected, read * used, users), factors)
    return PartsNetwork(rows, bias, *decoder_for(batch_corrected, read * used), factors)


def quiet(network: PartsNetwork) -> NDArray[np.bool_]:
    """Units that start with a noise floor. They are read as at the start: learning would only read the noise again."""
    bias = np.asarray(network.bias)
    return np.asarray((bias < 0) & (bias > MIN_PREACTIVATION))


def noise_floor(sums: NDArray[np.floating], silent: NDArray[np.float64]) -> NDArray[np.float32]:
    """Units: what is read, cells × units, in the last of the cells that are silent; 0 where none are."""
    levels = [np.quantile(of_unit, share) if share else 0.0 for of_unit, share in zip(sums.T, silent, strict=True)]
    return np.maximum(levels, 0).astype(np.float32)


def encoder_for(
    cells: Cells,
    inputs: sparse.csr_matrix,
    activity: NDArray[np.floating],
    factors: NDArray[np.float32] | None,
    *,
    seed: int,
) -> NDArray[np.float32]:
    """A, units × genes: the ridge regression of these activities on the inputs of the cells, blind to batches."""
    if factors is not None and batch_factors.PERMUTE_BATCHES:
        as_others = inputs.copy()
        order = np.random.default_rng([seed, 7]).permutation(len(cells))
        as_others.data = cells.permute_batches(order, factors)
        change = (as_others - inputs) * np.float32(np.sqrt(BLIND_WEIGHT))
        reader = RidgeReader(sparse.csr_matrix(sparse.vstack([inputs, as_others, change])))
        encoder = reader.solve(np.vstack([activity, activity, np.zeros_like(activity)]))
    else:
        encoder = RidgeReader(inputs).solve(activity)
    # by rows, as a file gives them back: the order of the numbers in memory decides the last bits of a product
    return np.ascontiguousarray(encoder.T, dtype=np.float32)


def find_activity(
    inputs: sparse.csr_matrix, n_parts: int, seed: int, given: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Cells × parts with mean square 1; a part that was not needed is 0."""
    if given is None:
        found = factorise(low_rank(inputs, max(RANK, n_parts), seed=seed), n_parts)
        activity = np.zeros((inputs.shape[0], n_parts))
        activity[:, found.kept] = found.activity
    else:
        activity = read_parts(inputs, given).astype(np.float64)
    size = np.sqrt((activity**2).mean(axis=0))
    return activity / np.where(size > 0, size, 1)


def decoder_for(
    inputs: sparse.csr_matrix, activity: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """V, units × genes, and b, genes: the non-negative least squares of the inputs on activity·V + b."""
    with_one = np.column_stack([activity, np.ones(len(activity))]).astype(np.float32)
    decoder = np.zeros((with_one.shape[1], inputs.shape[1]), dtype=np.float32)
    sweep(decoder, with_one.T @ with_one, (inputs.T @ with_one).T, n_sweeps=SWEEPS)
    return np.ascontiguousarray(decoder[:-1]), np.ascontiguousarray(decoder[-1])
