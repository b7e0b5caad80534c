"""What all halves of the cells find, side by side on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from modulae.core.factorisation.batched.low_rank import low_rank_of_groups
from modulae.core.factorisation.batched.passes import LowRanks, improve_all_in_turn, padded, scaled
from modulae.core.factorisation.batched.sweeps import sweep_all
from modulae.core.factorisation.start import nndsvda

from .find import PASSES, RANK, READ_SWEEPS, HalfUnits, left_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

CELL_SWEEPS = 100
"""Sweeps over the activities of all cells."""

TIMES = 2
"""As much room as the dense cells and halves take, for what is computed with them."""


class HalvesOnDevice:
    """As :class:`.find.Halves`, with the cells as a dense matrix on a device, and one batch for all halves."""

    def __init__(
        self, inputs: sparse.csr_matrix, rows: Sequence[NDArray[np.intp]], seeds: Sequence[int], device: str
    ) -> None:
        self._device = device
        check_room(inputs.shape[1], (inputs.shape[0], *map(len, rows)), device)
        self._cells = torch.from_numpy(inputs.toarray()).to(device)
        self.compressed = low_rank_of_groups(self._cells, rows, RANK, seeds=seeds)
        self._all = LowRanks.of(self.compressed, device)
        starts = [nndsvda(half, half.rank) for half in self.compressed]  # of fewer parts it is the first of them
        self._start = padded([a for a, _ in starts], device), padded([b for _, b in starts], device)

    def find(self, sizes: Sequence[int]) -> list[list[HalfUnits]]:
        """For each half, and each size: the parts that it has."""
        return [list(of_half) for of_half in zip(*map(self._find, sizes), strict=True)]

    def _find(self, size: int) -> list[HalfUnits]:
        activity, loadings = (start[:, :size].clone() for start in self._start)
        improve_all_in_turn(activity, loadings, self._all, **PASSES)
        return self._units(scaled(activity, loadings, self._all.n_cells), 0)

    def find_one_more(self, known: NDArray[Any]) -> list[HalfUnits]:
        """For each half, what it finds beside units that are known."""
        fixed = torch.from_numpy(np.asarray(known, dtype=np.float32)).to(self._device)
        fixed = fixed.expand(len(self.compressed), -1, -1).contiguous()
        n = fixed.shape[1]
        activity = self._all.left.new_zeros((len(fixed), n, self._all.left.shape[1]))
        improve_all_in_turn(activity, fixed, self._all, n_iterations=1, n_sweeps=READ_SWEEPS, n_fixed=n)
        of_halves = zip(self.compressed, activity.cpu().numpy(), fixed.cpu().numpy(), strict=True)
        starts = [nndsvda(left_over(half, a[:, : len(half.left)], b), 1) for half, a, b in of_halves]
        both = torch.cat([activity, padded([a for a, _ in starts], self._device)], dim=1)
        loadings = torch.cat([fixed, padded([b for _, b in starts], self._device)], dim=1)
        improve_all_in_turn(both, loadings, self._all, **PASSES, n_fixed=n)
        extra = scaled(both[:, n:], loadings[:, n:], self._all.n_cells)
        return self._units(torch.cat([fixed, extra], dim=1), n)

    def _units(self, loadings: torch.Tensor, first: int) -> list[HalfUnits]:
        """Read all cells with the parts of each half; units are those from `first` on that have any loadings."""
        activity = loadings.new_zeros((*loadings.shape[:2], len(self._cells)))
        sweep_all(activity, loadings @ loadings.mT, loadings @ self._cells.T, n_sweeps=CELL_SWEEPS)
        read, parts = activity.mT.contiguous().cpu().numpy(), loadings.cpu().numpy()
        kept = [first + np.flatnonzero(of_half[first:].any(axis=1)) for of_half in parts]
        return [HalfUnits(parts[i, units], read[i][:, units]) for i, units in enumerate(kept)]


def check_room(n_genes: int, n_cells: Sequence[int], device: str) -> None:
    """Raise before any matrix is made dense where the GPU has no room for all of them."""
    needed, free = 4 * n_genes * sum(n_cells) * TIMES, free_bytes(device)
    if needed > free:
        msg = f"the halves of the cells need {needed / 1e9:.1f} GB there, and {free / 1e9:.1f} GB are free"
        raise torch.OutOfMemoryError(msg)


def free_bytes(device: str) -> float:
    """Of a GPU; of what is none, no limit is known."""
    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else float("inf")
