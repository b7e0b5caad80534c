"""Genes that mark groups of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray


def strongest_markers(
    counts: sparse.csr_matrix, codes: NDArray[np.intp], *, n: int, least: float, min_cells: int
) -> dict[int, NDArray[np.intp]]:
    """The genes by which each group stands out most, the strongest first.

    Parameters
    ----------
    counts
        Cells × genes, raw.
    codes
        Cells: their group; below 0 for none, which is left out.
    n
        Genes a group at most.
    least
        How much larger the mean log1p of the group is at least, at the median depth, than that of the other cells.
    min_cells
        Cells with counts that a group, and the others together, have at least; smaller groups are left out.
    """
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    use = (codes >= 0) & (totals > 0)
    if not use.any():
        return {}
    counts, codes, totals = counts[use], codes[use], totals[use]
    logs = sparse.csr_matrix(sparse.diags(np.median(totals) / totals) @ counts)
    logs.data = np.log1p(logs.data)
    present, number, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    of_group = sparse.csr_matrix((np.ones(len(codes)), (number, np.arange(len(codes)))))  # groups × cells
    sums = np.asarray((of_group @ logs).todense(), dtype=np.float64)  # groups × genes
    found = {}
    for group, total, size in zip(present, sums, sizes, strict=True):
        others = len(codes) - size
        if min(size, others) >= min_cells:
            change = total / size - (sums.sum(axis=0) - total) / others
            genes = np.argsort(-change, kind="stable")[:n]
            found[int(group)] = genes[change[genes] >= least]
    return found
