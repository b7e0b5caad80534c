"""How strongly each unit responds to each gene, averaged over cells, streamed and in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from .backend import pick_device, to_numpy
from .batches import as_backend
from .network import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .batches import Cells
    from .network import OrthogonalNetwork


def check_method(method: str) -> None:
    """Refuse a method there is not."""
    if method not in get_args(Method):
        msg = f"method is {method!r}; choose one of {list(get_args(Method))}."
        raise ValueError(msg)


def mean_saliency(
    network: OrthogonalNetwork,
    cells: Cells,
    *,
    method: Method = "gradient",
    signed: bool = True,
    membership: NDArray[np.bool_] | None = None,
    batch_size: int = 256,
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
        zeros, times the input. The input is what the encoder reads, see :meth:`modulae.core.batches.Cells.inputs`.
    signed
        Average the saliency; `False` averages its absolute value.
    membership
        groups × cells, which cells are in which group (a cell may be in several); all cells in one group if `None`.
    batch_size
        Cells per block.
    device
        Where to compute.

    Returns
    -------
    groups × genes × units. A group without cells is NaN.
    """
    device = pick_device(device)
    network = network.on(device)
    if membership is None:
        membership = np.ones((1, len(cells)), dtype=bool)
    total = np.zeros((len(membership), network.n_genes, network.n_units), dtype=np.float64)
    for rows, block in cells.blocks(batch_size):
        inputs = as_backend(block.inputs(), device)
        weights = as_backend(membership[:, rows].astype(np.float32), device)  # groups × cells
        times_input = method in {"input_x_gradient", "integrated_gradients"}
        for unit, (along, basis) in enumerate(network.gradients(inputs, method)):
            if signed and not times_input:  # the mean goes through the product: paths are averaged, not genes
                total[:, :, unit] += to_numpy((weights @ along) @ basis)
                continue
            saliency = along @ basis  # cells × genes
            if times_input:
                saliency *= inputs
            total[:, :, unit] += to_numpy(weights @ (saliency if signed else abs(saliency)))
    n_cells = membership.sum(axis=1, dtype=np.float64)[:, None, None]
    mean = np.divide(total, n_cells, out=np.full_like(total, np.nan), where=n_cells > 0)
    return np.asarray(mean, dtype=np.float32)
