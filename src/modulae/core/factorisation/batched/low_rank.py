"""Several groups of the same cells, each in a few directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from modulae.core.factorisation.low_rank import POWER_ITERATIONS, LowRank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

OVERSAMPLES = 10
"""Directions more than are kept, as scikit-learn's `randomized_svd` takes them."""


def low_rank_of_groups(
    inputs: torch.Tensor, groups: Sequence[NDArray[np.intp]], rank: int, *, seeds: Sequence[int]
) -> list[LowRank]:
    """Do what :func:`modulae.core.factorisation.low_rank.low_rank` does, for all groups at a time.

    Parameters
    ----------
    inputs
        Cells × genes, dense, on the device that computes.
    groups
        The rows of each group.
    rank
        How many directions to keep; fewer where a group has fewer cells, or there are fewer genes.
    seeds
        One for each group, of the random directions that it starts with.
    """
    n_genes, ranks = inputs.shape[1], [min(rank, len(rows), inputs.shape[1]) for rows in groups]
    width = min(max(ranks) + OVERSAMPLES, n_genes)
    drawn = np.stack(
        [np.random.default_rng(seed).standard_normal((n_genes, width), dtype=np.float32) for seed in seeds]
    )
    cells = rows_of_groups(inputs, groups)
    directions = torch.from_numpy(drawn).to(inputs.device)
    for _ in range(POWER_ITERATIONS):
        directions = torch.linalg.qr(cells.mT @ torch.linalg.qr(cells @ directions)[0])[0]
    base = torch.linalg.qr(cells @ directions)[0]  # groups × cells × directions
    small = base.mT @ cells
    # in double precision the squares of singular values lose nothing that single precision has
    double = small.double()
    _, vectors = np.linalg.eigh((double @ double.mT).cpu().numpy())
    turned = torch.from_numpy(vectors[:, :, ::-1].astype(np.float32)).to(inputs.device)  # the largest first
    left, right = (base @ turned).cpu().numpy(), (turned.mT @ small).cpu().numpy()
    means = (cells.sum(dim=(1, 2), dtype=torch.float64)).cpu().numpy() / [
        max(len(rows), 1) * n_genes for rows in groups
    ]
    return [
        LowRank(np.ascontiguousarray(left[i, : len(rows), :kept]), np.ascontiguousarray(right[i, :kept]), float(mean))
        for i, (rows, kept, mean) in enumerate(zip(groups, ranks, means, strict=True))
    ]


def rows_of_groups(inputs: torch.Tensor, groups: Sequence[NDArray[np.intp]]) -> torch.Tensor:
    """Groups × cells × genes; groups with fewer cells than others end with rows of zeros."""
    cells = inputs.new_zeros((len(groups), max(map(len, groups)), inputs.shape[1]))
    for i, rows in enumerate(groups):
        cells[i, : len(rows)] = inputs[torch.from_numpy(np.asarray(rows)).to(inputs.device)]
    return cells
