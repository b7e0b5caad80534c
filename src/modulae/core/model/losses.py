"""The loss of Kinalis et al. 2019, eq. 1, with its letters the right way round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from scipy import sparse

EPSILON = 1e-8
"""The "very small constant" inside the logarithm."""

MIN_NORM = 1e-12
"""Below it the penalty's gradient, which has no limit at 0, is scaled down to 0."""


def poisson_loss(rates: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean over cells and genes of y − x·log(y + ε), y the rate and x the count."""
    return (rates - counts * (rates + EPSILON).log()).mean()


def gene_means_loss(
    rates: NDArray[np.float64], counts: sparse.csr_matrix, size_factors: NDArray[np.floating] | None
) -> float:
    """:func:`poisson_loss` of a model without structure: the rate of a gene times the size factor of the cell.

    Parameters
    ----------
    rates
        Mean count of each gene in a cell of size factor 1.
    counts
        Cells × genes.
    size_factors
        Cells; 1 if `None`.
    """
    factors = np.ones(counts.shape[0]) if size_factors is None else size_factors.astype(np.float64)
    seen = counts.tocoo()
    expected = factors[seen.row] * rates[seen.col]
    likely = float((seen.data * np.log(expected + EPSILON)).sum())
    return (float(factors.sum() * rates.sum()) - likely) / (counts.shape[0] * counts.shape[1])


def orthogonality_penalty(weight: torch.Tensor) -> torch.Tensor:
    """‖I − W Wᵀ‖_F of the last encoding layer, W units × hidden.

    The norm itself, not its square: its gradient −2 (I − WWᵀ) W / ‖I − WWᵀ‖ has length of order 1 however near W is to
    orthogonal rows.
    """
    import torch

    gap = torch.eye(len(weight), dtype=weight.dtype, device=weight.device) - weight @ weight.T
    return gap.square().sum().clamp_min(MIN_NORM**2).sqrt()


def orthogonality_gap(weight: NDArray[Any]) -> float:
    """:func:`orthogonality_penalty` of an array, as a number."""
    return float(np.linalg.norm(np.eye(len(weight)) - weight @ weight.T))
