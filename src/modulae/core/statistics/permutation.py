"""What a difference between two groups of cells would be if there were none: other labels, and other genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from modulae.core.data.map_reduce import sum_values
from modulae.core.scores.expression_bins import shuffled_within

from .tails import tail_p

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


PERMUTATIONS_AT_ONCE = 100
"""Shuffles of the genes that are worked out together."""

LABELS_AT_ONCE = 50_000_000
"""Permuted labels of cells that are in memory before they are packed."""


@dataclass(frozen=True, slots=True)
class GroupDifference:
    """Group minus reference for every statistic, and the same under permuted labels."""

    effect: NDArray[np.float64]  # statistics
    standard_error: NDArray[np.float64]  # statistics
    p: NDArray[np.float64]  # statistics, two-sided


def compare_cells(
    values: Iterable[tuple[slice, NDArray[np.floating]]],
    group: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    *,
    n_permutations: int,
    rng: np.random.Generator,
    strata: NDArray[np.intp] | None = None,
) -> GroupDifference:
    """Difference of means, its standard error (Welch), and p from permuting the labels of the cells.

    Sums are permuted, never the model: each block of cells is read once.

    Parameters
    ----------
    values
        Blocks of cells × statistics, with where they stand.
    group, reference
        Cells; which are on either side.
    n_permutations
        How many. The observed labels count as one of them (Phipson & Smyth 2010, *Statistical Applications in Genetics
        and Molecular Biology* 9:39); where few are as far out, p is from their tail, see :func:`.tail_p`.
    rng
        Source of the permutations.
    strata
        Cells; labels are permuted among cells with the same number only.
    """
    labels = PermutedLabels.permuted(group, reference, n_permutations, rng, strata)
    sides, total, squares = sum_values(values, label_sums, labels, group, reference)
    n = np.array([group.sum(), reference.sum()], dtype=np.float64)
    means = np.stack([sides / n[0], (total - sides) / n[1]])  # sides × permutations × statistics
    difference = means[0] - means[1]
    freedom = np.where(n > 1, n - 1, np.nan)[:, None]  # one cell says nothing of how cells vary
    variance = np.maximum(squares / n[:, None] - means[:, 0] ** 2, 0) * n[:, None] / freedom
    p = two_sided(difference[0], difference[1:], centre=0.0, follow_tail=True)
    least = min(share_of_ways(group, reference, strata), 1 / (n_permutations + 1))  # all permutations can't say less
    return GroupDifference(difference[0], np.sqrt((variance / n[:, None]).sum(axis=0)), np.maximum(p, least))


def share_of_ways(group: NDArray[np.bool_], reference: NDArray[np.bool_], strata: NDArray[np.intp] | None) -> float:
    """One in the number of ways in which labels can be dealt."""
    from scipy.special import gammaln

    used = group | reference
    strata = np.zeros(len(group), dtype=np.intp) if strata is None else strata
    _, number = np.unique(strata[used], return_inverse=True)
    n_group, n = np.bincount(number, weights=group[used]), np.bincount(number)
    return float(np.exp(-(gammaln(n + 1) - gammaln(n_group + 1) - gammaln(n - n_group + 1)).sum()))


def label_sums(
    values: Iterable[tuple[slice, NDArray[np.floating]]],
    labels: PermutedLabels,
    group: NDArray[np.bool_],
    reference: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], ...]:
    """Sums over the cells labelled as the group, permutations × statistics; over all; of squares, 2 × statistics."""
    sides: Any = 0.0
    total: Any = 0.0
    squares: Any = 0.0
    for rows, block in values:
        numbers, either = block.astype(np.float64), [group[rows], reference[rows]]
        sides = sides + labels.of(rows) @ numbers
        total = total + numbers[either[0] | either[1]].sum(axis=0)
        squares = squares + np.stack([(numbers[side] ** 2).sum(axis=0) for side in either])
    return sides, total, squares


@dataclass(frozen=True, slots=True)
class PermutedLabels:
    """(1 + permutations) × cells: who is in the group, a bit each; the first row is as it is."""

    bits: NDArray[np.uint8]
    first: int = 0  # cells to be passed over

    @classmethod
    def permuted(
        cls,
        group: NDArray[np.bool_],
        reference: NDArray[np.bool_],
        n_permutations: int,
        rng: np.random.Generator,
        strata: NDArray[np.intp] | None,
    ) -> Self:
        """Labels dealt anew among the cells of either side, within strata if there are any."""
        used = group | reference
        strata = np.zeros(len(group), dtype=np.intp) if strata is None else strata
        places = [np.flatnonzero(used & (strata == stratum)) for stratum in np.unique(strata[used])]
        bits = np.zeros((n_permutations + 1, -(-len(group) // 8)), dtype=np.uint8)
        bits[0] = np.packbits(group)
        at_once = max(1, LABELS_AT_ONCE // len(group)) if len(places) == 1 else n_permutations
        for start in range(0, n_permutations, at_once):  # one stratum after the other, so only one can be cut
            labels = np.zeros((min(at_once, n_permutations - start), len(group)), dtype=bool)
            for where in places:
                labels[:, where] = rng.permuted(np.tile(group[where], (len(labels), 1)), axis=1)
            bits[1 + start : 1 + start + len(labels)] = np.packbits(labels, axis=1)
        return cls(bits)

    def of(self, rows: slice) -> NDArray[np.float64]:
        """The labels of some cells."""
        part = self.cut(rows)
        labels = np.unpackbits(part.bits, axis=1)
        return labels[:, part.first : part.first + rows.stop - rows.start].astype(np.float64)

    def cut(self, rows: slice) -> Self:
        """The same of some cells only."""
        start, stop = self.first + rows.start, self.first + rows.stop
        return type(self)(np.ascontiguousarray(self.bits[:, start // 8 : -(-stop // 8)]), start % 8)


def matched_sets(
    gene_difference: NDArray[np.floating],
    indicator: NDArray[np.float32],
    bins: NDArray[np.intp],
    *,
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P and mean of the null in which each gene of a set is exchanged for another of the same expression.

    Parameters
    ----------
    gene_difference
        Genes × units: the difference between the groups in the saliency to every gene.
    indicator
        Genes × sets, from :func:`modulae.core.scores.set_values.set_indicator`.
    bins
        Genes; those with the same number may take each other's place, see :func:`expression_bins`.
    n_permutations
        How many times all genes are shuffled within their bins.
    rng
        Source of the shuffles.

    Returns
    -------
    p (two-sided, about the mean of the null) and that mean, each sets × units.
    """
    from scipy import sparse

    weights = sparse.csr_matrix(indicator.T.astype(np.float64))  # sets × genes
    exact = gene_difference.astype(np.float64)
    observed = np.asarray(weights @ exact)
    null = np.empty((n_permutations, *observed.shape))
    for start in range(0, n_permutations, PERMUTATIONS_AT_ONCE):
        n = min(PERMUTATIONS_AT_ONCE, n_permutations - start)
        drawn = shuffled_within(bins, n, rng)[
            :, weights.indices
        ].ravel()  # the genes that stand in for those of the sets
        rows = np.concatenate([[0], np.add.outer(np.arange(n) * weights.nnz, weights.indptr[1:]).ravel()])
        stand_ins = sparse.csr_matrix((np.tile(weights.data, n), drawn, rows), shape=(n * len(observed), len(bins)))
        null[start : start + n] = (stand_ins @ exact).reshape(n, *observed.shape)
    centre = null.mean(axis=0)
    return two_sided(observed, null, centre=centre, follow_tail=True), centre


def two_sided(
    observed: NDArray[np.float64],
    null: NDArray[np.float64],
    *,
    centre: NDArray[np.float64] | float,
    follow_tail: bool = False,
) -> NDArray[np.float64]:
    """Share of the null at least as far from its centre, the observed one counted (Phipson & Smyth 2010).

    With `follow_tail` smaller p than 1 / (n + 1) come from the tail of a null that was drawn, see :func:`tail_p`.
    """
    far = np.abs(observed - centre)
    slack = 1e-9 * np.maximum(far, np.finfo(np.float64).tiny)  # a permutation that changes nothing counts as a tie
    distances = np.abs(null - centre)
    p = np.asarray((1 + (distances >= far - slack).sum(axis=0)) / (1 + len(null)))
    if not follow_tail:
        return p
    return tail_p(far.ravel(), distances.reshape(len(null), -1), p.ravel()).reshape(p.shape)
