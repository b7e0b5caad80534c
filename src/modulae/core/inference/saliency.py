"""How strongly each unit responds to each gene, averaged over cells, streamed and in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.array_backend import cells_at_once, concatenate, to_numpy
from modulae.core.data.cells import as_backend
from modulae.core.data.map_reduce import sum_cells
from modulae.core.fallback import Fallback, in_parts
from modulae.core.model.network import PATH_STEPS, Method
from modulae.core.plain_torch import plain_torch
from modulae.core.threads import in_turn, parallel_products

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.network import Network


BLOCKS_OF_INPUTS = 8
"""Blocks of cells whose inputs are densified together."""

BLOCKS_OF_SLOPES = 64
"""Blocks of cells whose slopes are worked out together, so that what a unit needs of the weights is laid out once."""


def mean_saliency(
    network: Network,
    cells: Source,
    *,
    method: Method = "gradient",
    signed: bool = True,
    membership: NDArray[np.bool_] | None = None,
    batch_size: int = 128,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Mean over cells of each unit's saliency to each gene, for every group in one pass over the cells.

    Parameters
    ----------
    network
        The trained network.
    cells
        Cells to average over.
    method
        `"gradient"`: d unit / d input. `"guided"`: the same with negative gradients clipped on the way back.
        `"input_x_gradient"`: the gradient times the input. `"integrated_gradients"`: along the path from an input of
        zeros, times the input. The input is what the encoder reads, see :meth:`modulae.core.data.cells.Cells.inputs`.
    signed
        Average the saliency; `False` averages its absolute value.
    membership
        groups × cells, which cells are in which group (a cell may be in several); all cells in one group if `None`.
    batch_size
        Cells per block: so many cells × genes are held at once by each thread, and eight times as many inputs.
    device
        Where to compute.

    Returns
    -------
    groups × genes × units. A group without cells is NaN.
    """
    if membership is None:
        membership = np.ones((1, len(cells)), dtype=bool)
    job = SaliencySums(network, method, signed, batch_size, Fallback(device))
    (total,) = sum_cells(cells, job, membership)
    if job.of_products:
        total = np.moveaxis(to_numpy(network.to_numpy().gradient_of_slopes(total, method)), 0, 1)
    shape = (network.n_units, len(membership), network.n_genes)
    n_cells = membership.sum(axis=1, dtype=np.float64)[None, :, None]
    mean = np.divide(
        total, n_cells, out=np.full(shape, np.nan, dtype=np.float32), where=n_cells > 0, casting="same_kind"
    )
    return np.ascontiguousarray(np.moveaxis(mean, 0, 2))


@dataclass(frozen=True, slots=True)
class SaliencySums:
    """What :func:`mean_saliency` sums over the cells, as a job on a portion of them."""

    network: Network
    method: Method
    signed: bool
    batch_size: int
    place: Fallback

    @property
    def of_products(self) -> bool:
        """Whether sums of slope products are enough; they are smaller than sums of saliencies."""
        return self.signed and self.method in {"gradient", "guided"}

    def _width(self, n_groups: int) -> int:
        """Of each cell: its inputs; a weighted slope of every unit for every group; or the slopes along a path."""
        network = self.network
        slopes = n_groups * network.n_units if self.of_products else network.n_units + network.n_hidden_paths
        return max(network.n_genes, slopes * (PATH_STEPS if self.method == "integrated_gradients" else 1))

    def __call__(self, cells: Source, membership: NDArray[np.bool_]) -> tuple[NDArray[np.float64]]:
        """Groups × units × paths, or units × groups × genes."""
        return (self.place.run(partial(self._sums, cells, membership)),)

    @plain_torch()
    def _sums(self, cells: Source, membership: NDArray[np.bool_], *, device: str, parts: int) -> NDArray[np.float64]:
        size = in_parts(cells_at_once(device, self._width(len(membership)), self.batch_size), parts)
        as_asked = size == self.batch_size
        spelt_out = size * BLOCKS_OF_INPUTS if as_asked else size
        of_slopes = size * BLOCKS_OF_SLOPES if as_asked else size
        network = self.network.on(device)
        n_groups, n_units = len(membership), network.n_units
        shape = (
            (n_groups, n_units, network.n_hidden_paths) if self.of_products else (n_units, n_groups, network.n_genes)
        )
        total = np.zeros(shape, dtype=np.float64)
        if self.of_products:
            for rows, block in cells.blocks(spelt_out):
                weights = as_backend(membership[:, rows].astype(np.float32), device)  # groups × cells
                total += to_numpy(network.accumulate_slopes(block.inputs_on(device), weights))
            return total
        times_inputs = self.method in {"input_x_gradient", "integrated_gradients"}
        for rows, block in cells.blocks(spelt_out if times_inputs else of_slopes):
            weights = as_backend(membership[:, rows].astype(np.float32), device)
            inputs = block.inputs_on(device) if times_inputs else None
            blocks = [block] if times_inputs else [part for _, part in block.blocks(spelt_out)]
            sums = [(part.inputs_on(device) if inputs is None else inputs) @ network.input_weights.T for part in blocks]
            gradients = enumerate(network.gradients(concatenate(sums), self.method))
            tasks = (
                partial(_add_sums, total[unit], along, basis, weights * scale, inputs, signed=self.signed, size=size)
                for unit, (scale, along, basis) in gradients
            )
            if device == "cpu":
                parallel_products(tasks)
            else:
                in_turn(tasks)
        return total


def _add_sums(
    total: NDArray[np.float64],
    along: Any,  # noqa: ANN401
    basis: Any,  # noqa: ANN401
    weights: Any,  # noqa: ANN401
    times: Any | None,  # noqa: ANN401
    *,
    signed: bool,
    size: int,
) -> None:
    """Add groups × genes: the sum over cells of weight · |along · basis · times|, a block of cells at a time."""
    shape = (min(size, len(along)), basis.shape[1])
    memory = np.empty(shape, dtype=basis.dtype) if isinstance(basis, np.ndarray) else None
    for start in range(0, len(along), size):
        part = slice(start, min(start + size, len(along)))
        if memory is None:
            saliency = along[part] @ basis
        else:
            saliency = np.matmul(along[part], basis, out=memory[: part.stop - part.start])
        if times is not None:
            saliency *= times[part]
        if not signed:
            saliency = saliency.abs_() if memory is None else np.abs(saliency, out=saliency)
        total += to_numpy(weights[:, part] @ saliency)
