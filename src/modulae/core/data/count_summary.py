"""What one pass over all cells finds out about their counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True, slots=True)
class CountSummarizer:
    """Looks at a portion of the cells."""

    counted: NDArray[np.float64]  # genes: 1 where the total count of a cell counts it
    columns: NDArray[np.intp] | None  # of the model's genes; `None`: all

    def __call__(self, cells: Cells) -> CountSummary:
        """Their totals and those of the genes."""
        counts = cells.counts
        n_counts = np.bincount(counts.indices[counts.data != 0], minlength=counts.shape[1])
        return CountSummary(
            np.asarray(counts @ self.counted).ravel(),
            np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel(),
            int(n_counts.sum() if self.columns is None else n_counts[self.columns].sum()),
            are_integers(counts.data),
        )


def combine_summaries(looks: list[CountSummary]) -> CountSummary:
    """What is seen of the cells of all, in their order."""
    return CountSummary(
        np.concatenate([look.totals for look in looks]),
        np.sum([look.gene_totals for look in looks], axis=0),
        sum(look.n_counts for look in looks),
        all(look.all_integers for look in looks),
    )


def are_integers(values: NDArray[Any]) -> bool:
    """Whether all values are whole numbers."""
    return values.dtype.kind in "biu" or bool((values == np.rint(values)).all())
