"""Passes over both factors of several groups of cells at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .sweeps import sweep_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modulae.core.factorisation.low_rank import LowRank


@dataclass(frozen=True, slots=True)
class LowRanks:
    """Groups of cells in a few directions, on a device; fewer cells or directions than others have are zeros."""

    left: torch.Tensor  # groups × cells × rank
    right: torch.Tensor  # groups × rank × genes
    n_cells: torch.Tensor  # groups

    @classmethod
    def of(cls, groups: Sequence[LowRank], device: str) -> LowRanks:
        """Send them there."""
        n_cells = torch.tensor([len(group.left) for group in groups], device=device)
        return cls(padded([g.left for g in groups], device), padded([g.right for g in groups], device), n_cells)


def padded(matrices: Sequence[NDArray[np.float32]], device: str) -> torch.Tensor:
    """Matrices of several sizes as one tensor."""
    shape = np.max([matrix.shape for matrix in matrices], axis=0)
    whole = np.zeros((len(matrices), *shape), dtype=np.float32)
    for at, matrix in zip(whole, matrices, strict=True):
        at[: matrix.shape[0], : matrix.shape[1]] = matrix
    return torch.from_numpy(whole).to(device)


def improve_all_in_turn(
    activity: torch.Tensor,
    loadings: torch.Tensor,
    compressed: LowRanks,
    *,
    n_iterations: int,
    n_sweeps: int = 1,
    n_fixed: int = 0,
) -> None:
    """Do what :func:`modulae.core.factorisation.passes.improve_in_turn` does, for each group, in place.

    Parameters
    ----------
    activity
        Groups × parts × cells.
    loadings
        Groups × parts × genes.
    compressed
        The groups.
    n_iterations, n_sweeps, n_fixed
        As there.
    """
    left, right = compressed.left, compressed.right
    rest = slice(n_fixed, None)
    for _ in range(n_iterations):
        products = (loadings @ right.mT) @ left.mT
        sweep_all(activity, loadings @ loadings.mT, products, n_sweeps=n_sweeps)
        if n_fixed == loadings.shape[1]:
            continue
        gram = activity @ activity.mT
        products = (activity[:, rest] @ left) @ right - gram[:, rest, :n_fixed] @ loadings[:, :n_fixed]
        sweep_all(loadings[:, rest], gram[:, rest, rest], products, n_sweeps=n_sweeps)


def scaled(activity: torch.Tensor, loadings: torch.Tensor, n_cells: torch.Tensor) -> torch.Tensor:
    """Loadings for activities of mean square 1; of a part that has vanished on either side, zeros."""
    size = torch.sqrt(activity.double().square().sum(dim=2) / n_cells[:, None])[:, :, None]
    return (loadings.double() * size).float()
