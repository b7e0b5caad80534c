"""The saliency of every unit to every gene set in every cell: what tests over cells are made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.array_backend import to_numpy
from modulae.core.data.cells import as_backend
from modulae.core.fallback import Fallback
from modulae.core.plain_torch import plain_torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source
    from modulae.core.model.network import Method, Network


def set_indicator(sets: Sequence[NDArray[np.intp]], n_genes: int) -> NDArray[np.float32]:
    """Genes × sets; a column holds 1 / n at the n genes of the set, so that a product with it is their mean."""
    indicator = np.zeros((n_genes, len(sets)), dtype=np.float32)
    for index, genes in enumerate(sets):
        indicator[genes, index] = 1 / len(genes)
    return indicator


@dataclass(frozen=True, slots=True)
class SetValues:
    """:func:`set_values` of some cells as blocks of cells × statistics."""

    network: Network
    cells: Source
    indicator: NDArray[np.float32]
    method: Method
    signed: bool
    batch_size: int
    device: str

    def __iter__(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for rows, block in set_values(**given):
            yield rows, block.reshape(len(block), -1)


def set_values(
    network: Network,
    cells: Source,
    indicator: NDArray[np.float32],
    *,
    method: Method = "gradient",
    signed: bool = True,
    batch_size: int = 128,
    device: str = "cpu",
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Blocks of cells × sets × (units + 1): the mean saliency over the genes of a set; last, its sum over units.

    Parameters
    ----------
    network
        The trained network.
    cells
        The cells.
    indicator
        Genes × sets, from :func:`set_indicator`.
    method, signed, device
        As in :func:`modulae.core.inference.saliency.mean_saliency`.
    batch_size
        Cells per block.

    Yields
    ------
    Where the block stands among the cells, and its values.
    """
    place = Fallback(device)
    for rows, block in cells.blocks(batch_size):
        yield rows, place.run(partial(_of_block, network, block, indicator, method, signed=signed))


@plain_torch()
def _of_block(
    network: Network,
    block: Cells,
    indicator: NDArray[np.float32],
    method: Method,
    *,
    signed: bool,
    device: str,
    parts: int,
) -> NDArray[np.float32]:
    """What :func:`set_values` yields of a block."""
    network, weights = network.on(device), as_backend(indicator, device)
    values = np.empty((len(block), indicator.shape[1], network.n_units + 1), dtype=np.float32)
    for rows, part in block.blocks(max(len(block) // parts, 1)):
        inputs = part.inputs_on(device)
        times = inputs if method in {"input_x_gradient", "integrated_gradients"} else None
        for unit, (scale, along, basis) in enumerate(network.gradients(inputs @ network.input_weights.T, method)):
            values[rows, :, unit] = to_numpy(scale[:, None] * _means(along, basis, weights, times, signed=signed))
    values[:, :, -1] = values[:, :, :-1].sum(axis=2)
    return values


def _means(along: Any, basis: Any, weights: Any, times: Any | None, *, signed: bool) -> Any:  # noqa: ANN401
    """Cells × sets; without an absolute value or the input between them, the genes are averaged first."""
    if signed and times is None:
        return along @ (basis @ weights)
    saliency = along @ basis
    if times is not None:
        saliency = saliency * times
    return (saliency if signed else abs(saliency)) @ weights
