"""Programmes of few cells, which are lost in the noise of all others where every entry counts alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse
from scipy.ndimage import median_filter

from modulae.core.factorisation.low_rank import low_rank
from modulae.core.factorisation.passes import improve_in_turn
from modulae.core.factorisation.read import read_parts
from modulae.core.factorisation.start import nndsvda
from modulae.core.factorisation.sweeps import sweep
from modulae.core.scores.correlation import correlation

from .find import PASSES, HalfUnits, left_over, read_half

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .agree import Agreed

    Floats = NDArray[np.float32]

N_GENES, SHARE = 300, 10
"""Genes that they are looked for in, and one of so many at most: those that vary most beyond noise, as that of all the
others hides them."""

N_PARTS, RANK, SWEEPS = 32, 100, 30
"""Parts of a half beside the known units, directions that it is compressed to, and sweeps for the other genes."""

DEPTHS = 4.0
"""A cell weighs by its depth, within this ratio of the median depth."""

NEIGHBOURS = 101
"""Genes of nearly the same mean whose median variance counts as noise."""

LEAST_CELLS, MOST_CELLS = 8, 0.05
"""In how many cells a unit must run, and in which share of them it may, by (Σa²)² / Σa⁴ of its activity. What runs in
fewer does not come back in other cells."""

MOST_ALIKE = 0.2
"""How alike a new unit and a known one may be: what is more alike is a piece of it, or where two of them meet."""


@dataclass(frozen=True, slots=True)
class EvenNoise:
    """Inputs whose noise is nearly the same in all entries: a scarce gene counts for as much as a frequent one."""

    weighted: sparse.csr_matrix  # cells × genes
    scale: Floats  # genes: what their inputs were multiplied by
    chosen: NDArray[np.intp]  # the genes with the most variance beyond noise

    @classmethod
    def of(cls, inputs: sparse.csr_matrix, log_depth: NDArray[np.floating], known: NDArray[Any]) -> Self:
        """The noise of a gene is the median variance, among genes of nearly its mean, that known units leave over."""
        depth = np.exp(log_depth - np.median(log_depth))
        weight = np.sqrt(np.clip(depth, 1 / DEPTHS, DEPTHS)).astype(np.float32)
        variance = _left_variance(sparse.diags(weight) @ inputs, weight[:, None] * read_parts(inputs, known), known)
        order = np.argsort(np.asarray(inputs.mean(axis=0)).ravel(), kind="stable")
        noise = np.empty_like(variance)
        logarithm = np.log(np.maximum(variance[order], 0) + 1e-6)
        noise[order] = np.exp(median_filter(logarithm, size=min(NEIGHBOURS, len(order)), mode="nearest"))
        scale = (1 / np.sqrt(noise + 1e-5)).astype(np.float32)
        chosen = np.sort(np.argsort(-variance / noise, kind="stable")[: min(N_GENES, -(-len(noise) // SHARE))])
        weighted = sparse.csr_matrix(sparse.diags(weight) @ inputs @ sparse.diags(scale), dtype=np.float32)
        return cls(weighted, scale, chosen)


def _left_variance(inputs: sparse.csr_matrix, activity: Floats, loadings: NDArray[Any]) -> NDArray[np.float64]:
    """Genes: the variance of the inputs less activity · loadings, without making either of them cells × genes."""
    exact, made = activity.astype(np.float64), loadings.astype(np.float64)
    squares = np.asarray(inputs.multiply(inputs).sum(axis=0), dtype=np.float64).ravel()
    crossed = ((inputs.T @ exact) * made.T).sum(axis=1)
    total = squares - 2 * crossed + ((exact.T @ exact @ made) * made).sum(axis=0)
    mean = np.asarray(inputs.mean(axis=0), dtype=np.float64).ravel() - exact.mean(axis=0) @ made
    return np.asarray(total / len(activity) - mean**2)


def find_few(
    inputs: sparse.csr_matrix, even: EvenNoise, rows: NDArray[np.intp], seed: int, known: NDArray[Any]
) -> HalfUnits:
    """What a half finds beside known units where the noise is even; from the chosen genes, then for all genes.

    The loadings of the known units stay. New ones start from the largest directions of what these leave over.
    """
    half = low_rank(even.weighted[rows][:, even.chosen], RANK, seed=seed)
    everywhere = np.asarray(known * even.scale, dtype=np.float32)
    fixed = np.ascontiguousarray(everywhere[:, even.chosen])
    activity, n = read_half(half, fixed), len(known)
    rest = left_over(half, activity, fixed, min(N_PARTS, half.rank))
    extra_activity, extra = nndsvda(rest, rest.rank)
    both, loadings = np.concatenate([activity, extra_activity]), np.concatenate([fixed, extra])
    improve_in_turn(both, loadings, half, **PASSES, n_fixed=n)
    size = np.sqrt((both[n:].astype(np.float64) ** 2).mean(axis=1, keepdims=True))
    new = np.asarray(both[n:] / np.where(size > 0, size, 1), dtype=np.float32)
    found = np.zeros((len(new), inputs.shape[1]), dtype=np.float32)
    products = (even.weighted[rows].T @ new.T).T - (new @ both[:n].T) @ everywhere
    sweep(found, new @ new.T, products, n_sweeps=SWEEPS)
    found = (found / even.scale)[found.any(axis=1)]
    return HalfUnits(found, read_parts(inputs, np.concatenate([known, found]))[:, n:])


def of_few_cells(more: Agreed, inputs: sparse.csr_matrix, known: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of these units run in few cells, but not in a handful, and are no pieces of known ones."""
    from sklearn.metrics.pairwise import cosine_similarity

    activity = read_parts(inputs, np.concatenate([known, more.loadings]))
    old, new = activity[:, : len(known)], activity[:, len(known) :].astype(np.float64)
    fourth = np.maximum((new**4).sum(axis=0), np.finfo(np.float64).tiny)
    cells = (new**2).sum(axis=0) ** 2 / fourth
    alike = np.minimum(cosine_similarity(more.loadings, known), correlation(new, old))
    some = (cells >= LEAST_CELLS) & (cells < MOST_CELLS * len(new))
    return np.asarray(some & (alike.max(axis=1, initial=0) < MOST_ALIKE))
