"""How strongly each cell expresses each gene set, beyond what genes of the same expression do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .expression_bins import shuffled_within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from scipy import sparse

CLIP = 3.0
"""Residuals beyond are cut, so that no single gene speaks for a set."""

CELLS_AT_ONCE = 512
DRAWS_AT_ONCE = 20


def score_sets(
    rates: Callable[[slice], NDArray[np.floating]],
    n_cells: int,
    sets: Sequence[NDArray[np.intp]],
    bins: NDArray[np.intp],
    *,
    n_random: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Score and percentile of every set in every cell.

    A gene's residual in a cell is (rate − mean) / √mean, mean over all cells, cut at ±3: Pearson's for Poisson counts
    (Lause et al. 2021, *Genome Biology* 22:258, eq. 3, without overdispersion). The score of a set is the mean residual
    of its genes minus that of all genes of the same expression. The percentile is the share of random sets of genes of
    the same expression with a lower score in the same cell, 0 to 100, ties counted half.

    Parameters
    ----------
    rates
        Gives the rates of a block of cells, cells × genes, at size factor 1. It is asked twice for every block.
    n_cells
        How many cells there are.
    sets
        Positions of the genes of each set; none may be empty.
    bins
        Genes; those with the same number stand in for each other, see
        :func:`modulae.core.scores.expression_bins.expression_bins`.
    n_random
        Random sets for each set.
    rng
        Source of the random sets.

    Returns
    -------
    Scores and percentiles, each cells × sets.
    """
    blocks = [slice(start, min(start + CELLS_AT_ONCE, n_cells)) for start in range(0, n_cells, CELLS_AT_ONCE)]
    mean = sum(rates(rows).sum(axis=0, dtype=np.float64) for rows in blocks) / n_cells
    weights, expected = set_weights(sets, bins)
    draws = _random_weights(weights, bins, n_random, rng)
    scores = np.empty((n_cells, len(sets)), dtype=np.float32)
    percentiles = np.empty_like(scores)
    for rows in blocks:
        genes = residuals(rates(rows), mean).T  # genes × cells
        own = weights @ genes  # sets × cells
        scores[rows] = (own - expected @ genes).T
        below = np.zeros(own.shape)
        for drawn in draws:
            other = (drawn @ genes).reshape(-1, *own.shape)
            below += (other < own).sum(axis=0) + 0.5 * (other == own).sum(axis=0)
        percentiles[rows] = (100 * below / n_random).T
    return scores, percentiles


def residuals(rates: NDArray[np.floating], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """(rate − mean) / √mean, cut at ±3; 0 for a gene without counts."""
    spread = np.sqrt(mean)
    scaled = np.divide(rates - mean, spread, out=np.zeros(rates.shape), where=spread > 0)
    return np.clip(scaled, -CLIP, CLIP).astype(np.float32)


def set_weights(
    sets: Sequence[NDArray[np.intp]], bins: NDArray[np.intp]
) -> tuple[sparse.csr_matrix, NDArray[np.float32]]:
    """Sets × genes, twice: weights of the mean over a set's genes, and of that over all their stand-ins."""
    from scipy import sparse

    sizes = np.array([len(genes) for genes in sets])
    ends = np.concatenate([[0], np.cumsum(sizes)])
    values = np.repeat(1 / sizes, sizes).astype(np.float32)
    weights = sparse.csr_matrix((values, np.concatenate(list(sets)), ends), shape=(len(sets), len(bins)))
    of_bin = np.stack([np.bincount(bins[genes], minlength=bins.max() + 1) / len(genes) for genes in sets])
    expected = (of_bin / np.maximum(np.bincount(bins), 1))[:, bins]
    return weights, expected.astype(np.float32)


def _random_weights(
    weights: sparse.csr_matrix, bins: NDArray[np.intp], n_random: int, rng: np.random.Generator
) -> list[sparse.csr_matrix]:
    """(Draws · sets) × genes, some draws at a time: every gene of a set exchanged for one of its bin."""
    from scipy import sparse

    result = []
    for start in range(0, n_random, DRAWS_AT_ONCE):
        n = min(DRAWS_AT_ONCE, n_random - start)
        genes = shuffled_within(bins, n, rng)[:, weights.indices].ravel()
        ends = np.concatenate([[0], np.add.outer(np.arange(n) * weights.nnz, weights.indptr[1:]).ravel()])
        shape = (n * weights.shape[0], weights.shape[1])
        result.append(sparse.csr_matrix((np.tile(weights.data, n), genes, ends), shape=shape))
    return result
