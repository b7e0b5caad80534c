"""Counts that stay where torch computes, sparse; a batch is densified there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells


Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]
"""Inputs and counts, each cells × genes, size factors, cells × 1, and batches, cells."""


class ResidentCells:
    """Cells on a device: sent once, gathered there, with no wait for the device in between."""

    def __init__(self, cells: Cells, device: str, dtype: torch.dtype) -> None:
        counts, inputs = cells.counts, cells.sparse_inputs()
        self.n_cells, self.n_genes = counts.shape
        self.device = device
        self._lengths = np.diff(counts.indptr).astype(np.int64)  # stays with the CPU, which has to know sizes ahead
        self._starts = torch.from_numpy(counts.indptr[:-1].astype(np.int64)).to(device)
        self._lengths_there = torch.from_numpy(self._lengths).to(device)
        self._genes = torch.from_numpy(counts.indices.astype(np.int64)).to(device)
        self._counts = torch.from_numpy(counts.data).to(device, dtype)
        self._inputs = torch.from_numpy(inputs.data).to(device, dtype)
        self._scale = torch.from_numpy(cells.scale()).to(device, dtype)
        self._scaled = cells.size_factors is not None
        self._most = torch.arange(int(self._lengths.max(initial=0)), device=device)
        self._batch = None if cells.batch is None else torch.from_numpy(cells.batch).to(device)

    def permute_batches(self, order: torch.Tensor, factors: torch.Tensor) -> None:
        """From now on, inputs are those of `Cells.permute_batches`."""
        if self._batch is None:
            return
        other = self._batch.clone()
        other[order] = self._batch[order.roll(1)]
        cells = torch.repeat_interleave(self._lengths_there, output_size=len(self._genes))
        ratio = factors[other[cells], self._genes] / factors[self._batch[cells], self._genes]
        counts = self._counts * ratio
        self._inputs = torch.log1p(counts / self._scale[cells, 0]) if self._scaled else counts

    def batch(self, rows: NDArray[np.intp], rows_there: torch.Tensor) -> Batch:
        """What a step needs of these rows.

        Parameters
        ----------
        rows
            Which cells.
        rows_there
            The same on the device.
        """
        n, total = len(rows), int(self._lengths[rows].sum())
        lengths = self._lengths_there[rows_there]
        cells = torch.repeat_interleave(torch.arange(n, device=self.device), lengths, output_size=total)
        before = (lengths.cumsum(0) - lengths)[cells]  # entries of the cells ahead in this batch
        places = self._starts[rows_there][cells] + torch.arange(total, device=self.device) - before
        inputs, counts = (
            torch.zeros((n, self.n_genes), dtype=v.dtype, device=self.device) for v in (self._inputs,) * 2
        )
        where = (cells, self._genes[places])
        inputs.index_put_(where, self._inputs[places])
        counts.index_put_(where, self._counts[places])
        batch = None if self._batch is None else self._batch[rows_there]
        return inputs, counts, self._scale[rows_there], batch

    def padded(self, rows: torch.Tensor) -> Batch:
        """:meth:`batch` of rows that only the device knows.

        Every row takes the room of the one with most entries; zeros, which are added somewhere, fill it up.
        """
        places = self._starts[rows][:, None] + self._most
        inside = self._most < self._lengths_there[rows][:, None]
        places = places.where(inside, 0)
        genes = self._genes[places]
        inputs, counts = (
            torch.zeros((len(rows), self.n_genes), dtype=values.dtype, device=self.device).scatter_add_(
                1, genes, values[places].where(inside, 0)
            )
            for values in (self._inputs, self._counts)
        )
        batch = None if self._batch is None else self._batch[rows]
        return inputs, counts, self._scale[rows], batch
