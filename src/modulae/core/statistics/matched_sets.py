"""A set's mean against sets of genes like its own: mean and variance over all such sets, without drawing any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.data.source import Source


@dataclass(frozen=True, slots=True)
class MatchedSets:
    """Sets of genes, and how many of each set's genes every bin of like genes holds.

    A matched set takes for each gene of the set another of its bin: it is a stratified random sample of genes without
    replacement, whose mean and variance are known exactly (Cochran 1977, *Sampling Techniques*, 3rd ed., chapter 5).
    """

    members: sparse.csr_matrix  # sets × genes: 1 / n at the n genes of the set
    in_bin: sparse.csr_matrix  # bins × genes: 1 / N at the N genes of the bin
    sizes: NDArray[np.float64]  # bins: N
    share: NDArray[np.float64]  # sets × bins: n_b / n
    spread: NDArray[np.float64]  # sets × bins: n_b (1 − n_b / N_b) / n²

    @classmethod
    def of(cls, sets: Sequence[NDArray[np.intp]], bins: NDArray[np.intp]) -> Self:
        """Sets as positions of genes, bins as a number for every gene."""
        from scipy import sparse

        bins = np.unique(bins, return_inverse=True)[1]
        n_genes, sizes = len(bins), np.bincount(bins).astype(np.float64)
        lengths = np.array([len(genes) for genes in sets])
        rows, genes = np.repeat(np.arange(len(sets)), lengths), np.concatenate(sets)
        members = sparse.csr_matrix((1 / np.repeat(lengths, lengths), (rows, genes)), shape=(len(sets), n_genes))
        in_bin = sparse.csr_matrix((1 / sizes[bins], (bins, np.arange(n_genes))), shape=(len(sizes), n_genes))
        counts = np.zeros((len(sets), len(sizes)))
        np.add.at(counts, (rows, bins[genes]), 1)
        spread = counts * (1 - counts / sizes) / lengths[:, None] ** 2
        return cls(members, in_bin, sizes, counts / lengths[:, None], spread)

    def compare(
        self, values: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Genes × columns → the mean of each set, and mean and variance of the means of all sets matched to it.

        Each sets × columns.
        """
        exact = np.asarray(values, dtype=np.float64)
        centre = self.in_bin @ exact  # bins × columns
        squares = self.in_bin @ exact**2 - centre**2
        variance = np.maximum(squares, 0) * (self.sizes / np.maximum(self.sizes - 1, 1))[:, None]
        return self.members @ exact, self.share @ centre, self.spread @ variance

    def z(self, values: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Mean of each set, of the sets matched to it, and their difference in standard deviations of the latter.

        Where nothing varies there is nothing to compare, and the last is 0.
        """
        observed, mean, variance = self.compare(values)
        deviation = np.sqrt(variance)
        some = deviation > 1e-7 * np.abs(values).max(axis=0, initial=0.0)  # beyond the rounding of the values
        z = np.divide(observed - mean, deviation, out=np.zeros_like(mean), where=some)
        return observed, mean, z


def variance_inflation(
    cells: Source, strength: NDArray[np.floating], sets: MatchedSets, *, batch_size: int = 128
) -> NDArray[np.float64]:
    """How much more the mean of a set varies than that of matched sets, because its genes vary together in the cells.

    The variance inflation factor 1 + (m − 1) · ρ of CAMERA (Wu & Smyth 2012, *Nucleic Acids Research* 40:e133,
    Methods), with ρ the mean correlation of the set's m genes beyond that of matched genes: what all genes share, such
    as depth, moves matched sets alike. It is measured as a variance instead of summing up correlations: the profile of
    every cell is taken for the saliency of a unit, and the sets are compared with matched sets in it. So it is what a
    unit would show that mixes the differences between the cells at random.

    Parameters
    ----------
    cells
        The cells; what the encoder reads of them is standardised gene by gene.
    strength
        Genes: how strongly each is read; a set's mean saliency is mostly that of the genes read most.
    sets
        The sets and the bins of like genes.
    batch_size
        Cells per block.

    Returns
    -------
    Sets; at least 1.
    """
    mean, deviation = _over_cells(cells, batch_size)
    scale = np.divide(strength, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    of_set, of_matched = np.zeros(sets.share.shape[0]), np.zeros(sets.share.shape[0])
    for _, block in cells.blocks(batch_size):
        profiles = ((block.inputs() - mean) * scale).T  # genes × cells
        observed, centre, variance = sets.compare(profiles)
        of_set += ((observed - centre) ** 2).sum(axis=1)
        of_matched += variance.sum(axis=1)
    inflation = np.divide(of_set, of_matched, out=np.ones_like(of_set), where=of_matched > 0)
    return np.maximum(inflation, 1.0)


def _over_cells(cells: Source, batch_size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of what the encoder reads of each gene."""
    n_genes = cells.n_genes
    total, squares = np.zeros(n_genes), np.zeros(n_genes)
    for _, block in cells.blocks(batch_size):
        inputs = block.sparse_inputs()
        total += np.asarray(inputs.sum(axis=0, dtype=np.float64)).ravel()
        squares += np.asarray(inputs.multiply(inputs).sum(axis=0, dtype=np.float64)).ravel()
    mean = total / len(cells)
    variance = squares / len(cells) - mean**2
    variance[variance < 1e-12 * squares / len(cells)] = 0  # a gene that is the same everywhere, but for rounding
    return mean, np.sqrt(variance)
