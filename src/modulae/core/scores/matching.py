"""Which programme of one catalogue is which of another, by the weights of their genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .correlation import correlation, standardised
from .expression_bins import shuffled_within
from .gene_ranking import gene_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

GENES_PER_BIN = 25
"""Genes of like level that are dealt to each other."""

AT_ONCE = 20
"""Permutations drawn at a time."""

FEW = 3
"""Units from which on it can be told what they have in common."""


def match_loadings(
    one: NDArray[np.floating], other: NDArray[np.floating], *, n_permutations: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Similarity of every unit with every unit of the other, and p of the best of each unit of `one`.

    The similarity is Pearson's correlation, over the genes, of the square roots of the scores, with their signs: a few
    genes of large scores would otherwise decide alone. Of a side with three units or more only what a gene
    has above its mean over these counts, as genes that all units make would make unrelated units alike. Less than the
    mean counts as nothing: two units that both lack the genes of a third are not alike for it.

    p says how often a unit would have a partner as similar among the units of `other` if their genes were others of the
    same level: rows of `other` are exchanged within bins of like genes, all units together, and the largest similarity
    of each unit is compared.

    Parameters
    ----------
    one, other
        The same genes × units: loadings.
    n_permutations
        How often; the smallest p is 1 / (n + 1).
    seed
        Of the permutations.
    """
    roots = [_roots(loadings) for loadings in (one, other)]
    similarity = correlation(*roots)
    rng = np.random.default_rng([seed, 11])
    bins = level_bins(gene_level(roots[0]) + gene_level(roots[1]), rng)
    left, right = standardised(roots[0]).T, standardised(roots[1])
    best = similarity.max(axis=1)
    higher = np.zeros(len(best), dtype=np.int64)
    for start in range(0, n_permutations, AT_ONCE):
        for order in shuffled_within(bins, min(AT_ONCE, n_permutations - start), rng):
            higher += (left @ right[order]).max(axis=1) >= best
    return similarity, (higher + 1) / (n_permutations + 1)


def gene_level(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Genes: the mean root of what is compared, each unit with mean square 1.

    Genes that are expressed more have larger loadings, and stand out more in some unit or other, by chance too; and so
    would make unrelated units alike.
    """
    exact = np.asarray(values, dtype=np.float64)
    size = np.sqrt((exact**2).mean(axis=0))
    return np.asarray(np.sqrt(np.abs(exact / np.where(size > 0, size, 1))).mean(axis=1))


def level_bins(level: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Genes: a number for each bin of about :data:`GENES_PER_BIN` of like level, equal ones in a random order."""
    order = np.lexsort((rng.random(len(level)), level))
    n_bins = max(1, len(level) // GENES_PER_BIN)
    bins = np.empty(len(level), dtype=np.intp)
    bins[order] = np.arange(len(level)) * n_bins // len(level)
    return bins


def _roots(loadings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Roots of scores, each unit with mean square 1: what they have beyond what the units have in common."""
    scores = gene_scores(loadings)
    roots = np.sign(scores) * np.sqrt(np.abs(scores))
    size = np.sqrt((roots**2).mean(axis=0))
    roots = roots / np.where(size > 0, size, 1)
    if roots.shape[1] < FEW:
        return np.asarray(roots)
    beyond = roots - roots.mean(axis=1, keepdims=True)
    return np.where(np.sign(beyond) == np.sign(roots), beyond, 0.0)
