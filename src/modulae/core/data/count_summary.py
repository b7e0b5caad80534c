"""What one pass over all cells finds out about their counts."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .cells import Cells


@dataclass(frozen=True, slots=True)
class CountSummary:
    """What is seen of some cells and all genes of the layer."""

    totals: NDArray[np.float64]  # cells: total count over the genes asked for
    gene_totals: NDArray[np.float64]  # genes: total count over the cells
    n_counts: int  # of the model's genes
    all_integers: bool  # whether all values are whole numbers
    stamps: NDArray[np.uint64]  # cells: of the counts of the model's genes, see `count_stamps`


@dataclass(frozen=True, slots=True)
class CountSummarizer:
    """Looks at a portion of the cells."""

    counted: NDArray[np.float64]  # genes: 1 where the total count of a cell counts it
    columns: NDArray[np.intp] | None  # of the model's genes; `None`: all
    weights: NDArray[np.uint64]  # genes: as `gene_weights` gives them

    def __call__(self, cells: Cells) -> CountSummary:
        """Their totals and those of the genes."""
        counts = cells.counts
        n_counts = np.bincount(counts.indices[counts.data != 0], minlength=counts.shape[1])
        return CountSummary(
            np.asarray(counts @ self.counted).ravel(),
            np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel(),
            int(n_counts.sum() if self.columns is None else n_counts[self.columns].sum()),
            are_integers(counts.data),
            count_stamps(counts, self.weights),
        )


def combine_summaries(looks: list[CountSummary]) -> CountSummary:
    """What is seen of the cells of all, in their order."""
    return CountSummary(
        np.concatenate([look.totals for look in looks]),
        np.sum([look.gene_totals for look in looks], axis=0),
        sum(look.n_counts for look in looks),
        all(look.all_integers for look in looks),
        np.concatenate([look.stamps for look in looks]),
    )


def gene_weights(names: NDArray[np.str_], columns: NDArray[np.intp] | None = None) -> NDArray[np.uint64]:
    """A random odd number for each gene, always the same for a name; 0 for genes that are not in `columns`."""
    result = np.zeros(len(names), dtype=np.uint64)
    for column in range(len(names)) if columns is None else columns:
        result[column] = int.from_bytes(blake2b(names[column].encode(), digest_size=8).digest(), "little") | 1
    return result


def count_stamps(counts: sparse.csr_matrix, weights: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number for the counts of each cell: the same for the same counts, whatever their order, type and zeros.

    The bits of the counts as `float32`, times the weights of the genes, added up modulo 2⁶⁴: no sum is rounded.
    """
    if not counts.has_canonical_format:
        counts = counts.copy()
        counts.sum_duplicates()
    bits = (counts.data.astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)  # one zero, not two
    words = sparse.csr_matrix((bits, counts.indices, counts.indptr), shape=counts.shape)
    return np.asarray(words @ weights)


def are_integers(values: NDArray[Any]) -> bool:
    """Whether all values are whole numbers."""
    return values.dtype.kind in "biu" or bool((values == np.rint(values)).all())
