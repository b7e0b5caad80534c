"""Pre-ranked gene set enrichment: the enrichment score, its null from random sets, and the normalised score (NES)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


ROUNDING = 1e-9
"""Scores that differ by less, relative to themselves, are equal."""


@dataclass(frozen=True, slots=True)
class Prerank:
    """Enrichment of every gene set in every ranking."""

    es: NDArray[np.float64]  # sets × rankings: enrichment score, the running sum where it is furthest from 0
    nes: NDArray[np.float64]  # sets × rankings: es over the mean es of the null with the same sign
    p: NDArray[np.float64]  # sets × rankings: against the null
    leading: NDArray[np.unsignedinteger]  # genes of all sets, one set after the other, × rankings: see `prerank`


def prerank(
    scores: NDArray[np.floating],
    sets: Sequence[NDArray[np.intp]],
    *,
    n_permutations: int,
    seed: int,
    after_size: Callable[[int], object] | None = None,
) -> Prerank:
    """Gene set enrichment analysis of given rankings (Subramanian et al. 2005, PNAS 102:15545, Appendix; weight 1).

    The numbers are those of GSEApy's `prerank`, except for p. The null (the enrichment scores of random sets) depends
    only on the ranking and on the size of the set, so sets of one size share their draws: that makes it fast. p is the
    share of the null with the same sign that is at least as far from 0, the observed score included, so it is never 0
    (Phipson & Smyth 2010, *Statistical Applications in Genetics and Molecular Biology*
    9:39). Genes with equal scores are put in random order.

    Parameters
    ----------
    scores
        Genes × rankings.
    sets
        For each set the positions of its genes: at least one, not all.
    n_permutations
        Random sets of each size.
    seed
        Seed of the random sets and of the order of equal scores. A set's numbers don't depend on the other sets.
    after_size
        Called with the number of sets that are done.

    Returns
    -------
    `leading` says for each gene of a set its place in the leading edge, from 1 for the gene furthest out; 0 for a gene
    that is not in it. `nes` is NaN where no random set has the sign of `es`. A ranking in which all scores are equal
    has es and nes 0 and p 1.
    """
    n_genes, n_rankings = scores.shape
    ends = np.cumsum([len(genes) for genes in sets])
    random_order = np.random.default_rng(seed).permutation(n_genes)
    order = np.stack([np.lexsort((random_order, -column)) for column in scores.T], axis=1)  # the highest first
    place = np.argsort(order, axis=0)  # genes × rankings
    weight = np.abs(np.take_along_axis(np.asarray(scores, dtype=np.float64), order, axis=0))
    ranked = np.flatnonzero(np.ptp(scores, axis=0) > 0)

    es, nes, p = (np.full((len(sets), n_rankings), value) for value in (0.0, 0.0, 1.0))
    leading = np.zeros((int(ends[-1]), n_rankings), dtype=np.min_scalar_type(max(map(len, sets))))
    sizes = np.array([len(genes) for genes in sets])
    for size in np.unique(sizes):
        same_size = np.flatnonzero(sizes == size)
        genes = np.stack([sets[int(index)] for index in same_size])  # sets × genes of the set
        drawn = random_places(n_genes, int(size), n_permutations, seed)
        for k in ranked:
            null, _ = running_sum(weight[:, k], drawn)
            result = np.argsort(place[genes, k], axis=1)
            observed, peak = running_sum(weight[:, k], np.sort(place[genes, k], axis=1))
            es[same_size, k] = observed
            for row, index in enumerate(same_size):
                nes[index, k], p[index, k] = _against(float(observed[row]), null)
                out = result[row, : peak[row] + 1] if observed[row] >= 0 else result[row, peak[row] :][::-1]
                leading[ends[index] - size + out, k] = np.arange(1, len(out) + 1)
        if after_size is not None:
            after_size(len(same_size))
    return Prerank(es, nes, p, leading)


def running_sum(weight: NDArray[np.float64], places: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Enrichment scores of sets of one size in one ranking, and which gene of each set the sum peaks at.

    The sum goes down the ranking, up by a gene's share of the set's weight at a gene of the set, and down by the same
    step at every other gene. It is furthest up just after, and furthest down just before, a gene of the set.

    Parameters
    ----------
    weight
        |score| of each place of the ranking, the highest score first.
    places
        Sets × genes of the set: where they stand in the ranking, ascending.
    """
    n_genes, size = len(weight), places.shape[1]
    share = weight[places]
    total = share.sum(axis=1, keepdims=True)
    share = np.divide(share, total, out=np.full_like(share, 1 / size), where=total > 0)
    above = np.cumsum(share, axis=1) - (places - np.arange(size)) / (n_genes - size)  # just after each gene
    below = above - share  # just before it
    peaks = np.argmax(above, axis=1), np.argmin(below, axis=1)
    rows = np.arange(len(places))
    highest, lowest = above[rows, peaks[0]], below[rows, peaks[1]]
    up = highest >= -lowest * (1 - ROUNDING)
    return np.where(up, highest, lowest), np.where(up, *peaks)


def random_places(n_genes: int, size: int, n: int, seed: int) -> NDArray[np.intp]:
    """N × size: random places in a ranking, ascending; the same for the same size and seed."""
    rng = np.random.default_rng([seed, size])
    draws = [rng.choice(n_genes, size, replace=False, shuffle=False) for _ in range(n)]
    return np.sort(np.stack(draws), axis=1)


def _against(es: float, null: NDArray[np.float64]) -> tuple[float, float]:
    """Normalised score and p, from the random sets of the same sign."""
    same = null[null >= 0] if es >= 0 else -null[null < 0]
    nes = es / same.mean() if len(same) else np.nan
    # a sum that is furthest down before the first gene of its set is a whole number of steps: many are equal
    return nes, (1 + int((same >= abs(es) * (1 - ROUNDING)).sum())) / (1 + len(same))
