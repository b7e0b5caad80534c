"""What counts say before any training: the mean rates, and the unit of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source


def mean_rates(cells: Source) -> NDArray[np.float64]:
    """Counts of each gene per cell of size factor 1: the best rates of a Poisson model without structure."""
    exposure = len(cells) if cells.size_factors is None else float(cells.size_factors.sum(dtype=np.float64))
    return np.asarray(cells.gene_totals() / max(exposure, np.finfo(float).tiny))


def loss_unit(cells: Source) -> float:
    """What the loss is divided by, so that one learning rate serves thin and deep data: the mean count, or its root.

    Below a count of 1, SoftPlus is an exponential and the curvature of the Poisson loss in what it gets is the mean
    count; far above, SoftPlus is linear and the curvature falls as 1 / count. The square root above 1 is what measured
    between too slow (the mean count) and unstable (its inverse).
    """
    mean = float(cells.gene_totals().sum()) / (len(cells) * cells.n_genes)
    check_counted(mean)
    return mean if mean < 1 else float(np.sqrt(mean))


def check_counted(total: float) -> None:
    """Raise where the training cells have no counts, all in all."""
    if total == 0:
        msg = (
            "the training cells have no counts in the model's genes. Choose other genes (`mask_var`) or another layer."
        )
        raise ValueError(msg)
